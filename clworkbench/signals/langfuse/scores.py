"""Langfuse's scores and corrections as feedback, in the words of its exports and of three versions of its API."""

from typing import NamedTuple

from clworkbench.signals.feedback import feedback_row, identified, target_of
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields, Unreadable, as_bool, in_utc, kind_of, nested, sha256_of

TYPES = frozenset({"NUMERIC", "BOOLEAN", "CATEGORICAL", "TEXT", "CORRECTION"})
SOURCES = {"EVAL": "system", "ANNOTATION": "reviewer"}
"""Who speaks: an evaluator, or a person in Langfuse. `API` may be a user's thumb or a script: nobody can tell."""
EXPERIMENT = "a score of an experiment's run, about no interaction"


class Target(NamedTuple):
    """What a score is about: a kind of `schemas.TARGET_KINDS`, or an experiment, and Langfuse's own id."""

    kind: str
    own_id: str


def read_score(item: Row, rows: Rows) -> None:
    """Ends one score as a feedback row, or as skipped where it is about an experiment.

    A correction's text is the `improvement`; a category's name is the `value`; a text is the `comment`. A number
    outside -1 to 1 stands in `value`. All else that the score says is kept in `value` as well.

    Raises: Unreadable for a score without a target or a usable value.
    Source: https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields; API v1 to v3.
    """
    digest, note = sha256_of(item), in_utc(rows.note)
    fields = Fields(item, note)
    own_id = fields.text("id")
    target = _target(fields)
    if target.kind == "experiment":
        return rows.skip(EXPERIMENT)
    name = fields.text("name")
    origin = SOURCES.get(str(fields.rest.get("source")).upper())
    metadata = nested(fields.rest.get("metadata"))
    words: Row = {
        "name": name,
        "comment": fields.raw("comment"),
        "actor": fields.text("authorUserId"),
        "at": fields.raw("timestamp", "createdAt", "updatedAt"),
    }
    words |= _words(fields, words["comment"])
    rest = {key: value for key, value in fields.rest.items() if value not in (None, "", {}, [], "{}", "[]")}
    if metadata not in (None, "", {}, []):
        rest["metadata"] = metadata
    told = Fields({**rest, **words}, note)
    target_id = target_of(target.own_id, target.kind, rows)
    row = feedback_row(told, rows, target_id=target_id, target_kind=target.kind, origin=origin)
    own = (own_id,) if own_id else (target.own_id, str(name), "content", digest, str(rows.occurrence(digest)))
    return rows.add(None, [identified(row, rows, digest, *own)])


def _target(fields: Fields) -> Target:
    subject = nested(fields.raw("subject"))
    if isinstance(subject, dict):
        kind, own_id = str(subject.get("kind")).lower(), subject.get("id")
        kinds = {"observation": "interaction", "trace": "trace", "session": "conversation", "experiment": "experiment"}
        if kind not in kinds or not isinstance(own_id, str) or not own_id:
            raise Unreadable("a score whose subject names no trace, observation, session or experiment")
        if beyond := {key: value for key, value in subject.items() if key not in ("kind", "id")}:
            fields.rest["subject"] = beyond
        return Target(kinds[kind], own_id)
    for name, kind in (("observationId", "interaction"), ("traceId", "trace"), ("sessionId", "conversation")):
        if own_id := fields.text(name):
            return Target(kind, own_id)
    if fields.text("datasetRunId", "experimentId"):
        return Target("experiment", "")
    raise Unreadable("a score that names no trace, observation or session")


def _words(fields: Fields, comment: object) -> Row:
    """What the score's value says, by its data type."""
    value, label = fields.raw("value"), fields.raw("stringValue")
    long_text = fields.raw("longStringValue")
    kind = str(fields.raw("dataType") or ("NUMERIC" if isinstance(value, int | float) else "CATEGORICAL")).upper()
    texts = [text for text in (long_text, label, value) if isinstance(text, str) and text]
    if kind == "CORRECTION":
        if not texts:
            raise Unreadable("a correction without a text")
        return {"improvement": texts[0], "kind": "correction"}
    if kind == "TEXT":
        if not texts:
            raise Unreadable("a score of type TEXT without a text")
        return {"kind": "comment", "comment": texts[0], **({"value": comment} if comment else {})}
    if kind == "CATEGORICAL":
        if not texts:
            raise Unreadable("a category without a name")
        index = value if not isinstance(value, str) or texts[0] != value else None
        return {"kind": "rating", "value": texts[0], **({} if index is None else {"category": index})}
    if kind == "BOOLEAN":
        value = label if value in (None, "") else value
        return {"kind": "rating", "score": as_bool(int(value) if isinstance(value, float) else value)}
    if kind != "NUMERIC":
        raise Unreadable(f"a score of none of the types {', '.join(sorted(TYPES))}")
    if value in (None, ""):
        raise Unreadable(f"a score whose value is {kind_of(value)}")
    return {"kind": "rating", "score": value, **({"value": label} if label else {})}
