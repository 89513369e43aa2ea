"""LangSmith's feedback, on runs, traces and threads."""

from clworkbench.signals.feedback import feedback_row, identified, target_of
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes.framework_messages import unpacked
from clworkbench.signals.shapes.framework_payloads import said
from clworkbench.signals.values import Fields, Note, Unreadable, filled, in_utc, nested, sha256_of

ORIGINS = {"app": "reviewer", "model": "system", "auto_eval": "system"}
"""By the source's type. `api` may be a user's thumb or a script: nobody can tell."""
GRADES = frozenset({"score", "value", "comment", "key", "label"})
"""A correction of these alone corrects an evaluator's grade, and is no better answer."""


def is_feedback(record: Row) -> bool:
    """Whether an object, or a table's row, is feedback."""
    said_of = record.keys() & {"run_id", "trace_id", "feedback_thread_id"}
    return bool(said_of) and "key" in record and bool(record.keys() & {"score", "value", "comment", "correction"})


def read_feedback(item: Row, rows: Rows) -> None:
    """Ends one feedback row; one on a project alone, about no interaction, is skipped.

    `key` is the name; a `correction` is the improvement, but where it corrects a grade; feedback of a group compares
    answers and is a preference, its group id in `value`, with all else that has no column.

    Raises: Unreadable for feedback that names nothing it is about.
    Source: https://docs.langchain.com/langsmith/feedback-data-format
    """
    digest, note = sha256_of(item), in_utc(rows.note)
    fields = Fields(item, note)
    own_id, name = fields.text("id"), fields.text("key")
    target_id, kind = _target(fields)
    if target_id is None:
        return rows.skip("feedback on a project, about no interaction")
    source = nested(fields.raw("feedback_source"))
    source = dict(source) if isinstance(source, dict) else {}
    origin = _origin(source)
    words: Row = {"name": name, "actor": source.pop("user_id", None), "at": fields.raw("created_at", "modified_at")}
    words |= {"comment": fields.raw("comment"), "score": fields.raw("score"), "value": nested(fields.raw("value"))}
    if better := _better(fields.rest.get("correction"), note):
        del fields.rest["correction"]
        words |= {"improvement": better}
    if fields.rest.get("feedback_group_id"):
        words["kind"] = "preference"
    rest = filled(fields.rest)
    if source:
        rest["feedback_source"] = source
    told = Fields({**rest, **words}, note)
    row = feedback_row(told, rows, target_id=target_of(target_id, kind, rows), target_kind=kind, origin=origin)
    own = (own_id,) if own_id else (target_id, str(name), "content", digest, str(rows.occurrence(digest)))
    return rows.add(None, [identified(row, rows, digest, *own)])


def _origin(source: Row) -> str | None:
    """Who speaks: an evaluator leaves the mark of its own run."""
    inner = source.get("metadata")
    by_run = isinstance(inner, dict) and "__run" in inner
    return "system" if by_run else ORIGINS.get(str(source.get("type")).lower())


def _target(fields: Fields) -> tuple[str | None, str]:
    """The id of what it is about, and its kind of `schemas.TARGET_KINDS`; no id for a project."""
    for name, kind in (("run_id", "interaction"), ("trace_id", "trace"), ("feedback_thread_id", "conversation")):
        if own_id := fields.text(name):
            return own_id, kind
    if fields.text("session_id"):
        return None, ""
    raise Unreadable("feedback that names no run, trace or thread")


def _better(correction: object, note: Note) -> object:
    """The better answer that a correction gives, as messages or a text; None where it gives none."""
    correction = unpacked(correction)
    if isinstance(correction, str):
        return correction or None
    if isinstance(correction, dict):
        if not correction or correction.keys() <= GRADES:
            return None
        texts = list(correction.values())
        if len(texts) == 1 and isinstance(texts[0], str) and texts[0]:
            return texts[0]
    if not isinstance(correction, dict | list) or not correction:
        return None
    read = said(correction, note, role="assistant").messages or []
    return [
        {
            "role": message.role,
            "content": message.content,
            "tool_calls": [call._asdict() for call in message.tool_calls or ()] or None,
        }
        for message in read
    ] or None
