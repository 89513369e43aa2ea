"""OpenInference's annotations and evaluations: attributes of a span that are feedback on it, its trace or session."""

from typing import NamedTuple

from clworkbench.signals.dialects.flattened import taken
from clworkbench.signals.feedback import JUDGES, feedback_row, identified
from clworkbench.signals.otlp.requests import Span
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields, Unreadable, filled, kind_of, nested, sha256_of

SCOPES = {"interaction": "", "trace": "trace.", "conversation": "session."}
WORDS = {"annotations": "annotation", "evaluations": "evaluation"}


class Targets(NamedTuple):
    """What annotations on a span are about: the ids of the interaction (ours), of the trace and of the session."""

    interaction: str | None
    trace: str | None
    conversation: str | None


def feedback(fields: Fields, rows: Rows, targets: Targets, *, at: int | None = None) -> list[Row]:
    """One row for each annotation among a span's attributes, which it leaves.

    Both spellings are read (`annotations.N.annotation.*` and `evaluations.N.evaluation.*`), for the span, with
    `trace.` before them for its trace and with `session.` for its session. The same result in both is one row.

    Args:
        fields: the span's attributes.
        rows: makes ids and keys, takes notes.
        targets: what the annotations are about; one whose target is None is noted and kept in attributes.
        at: when they were made, in µs since 1970.

    Source: https://arize-ai.github.io/openinference/spec/annotations.html
    """
    found: dict[str, Row] = {}
    for kind, prefix in SCOPES.items():
        target = getattr(targets, kind)
        for plural, word in WORDS.items():
            left = []
            for item in taken(fields, f"{prefix}{plural}"):
                try:
                    row = annotation(_inner(item, word), rows, target=target, kind=kind)
                except Unreadable as error:
                    rows.note("annotation kept in attributes only", str(error))
                    left.append(item)
                    continue
                row["at"] = at if row["at"] is None else row["at"]
                found.setdefault(str(row["feedback_id"]), row)
            if left:
                fields.rest[f"{prefix}{plural}"] = left
    return list(found.values())


def of_otlp(attributes: Row, span: Span, rows: Rows) -> list[Row]:
    """What the annotations among an OTLP span's attributes say, which leave them.

    They are about the span itself, or, on a carrier, about the one span that it links to: then they were made when the
    carrier began.
    """
    links = span.rest.get("links")
    link = links[0] if isinstance(links, list) and len(links) == 1 else {}
    about = span.trace_id, span.span_id
    linked = link.get("traceId"), link.get("spanId")
    trace_id, span_id = linked if all(linked) else about
    own = rows.pseudonyms.id(rows.source.name, f"{trace_id}:{span_id}") if trace_id and span_id else None
    session = attributes.get("session.id")
    targets = Targets(own, trace_id, session if isinstance(session, str) else None)
    began = None if span.start is None else span.start // 1000
    return feedback(Fields(attributes, rows.note), rows, targets, at=began if all(linked) else None)


def annotation(said: Row, rows: Rows, *, target: str | None, kind: str) -> Row:
    """The feedback row that an annotation makes.

    A person is a reviewer (a user where the name begins so), a model or code the system. The label is `value`, beside
    what no column holds; `explanation` is the comment. Target, name and `identifier` identify it.

    Raises: Unreadable for one without a name, a result or a target.
    """
    if not target:
        raise Unreadable("an annotation whose target has no id")
    digest = sha256_of(said)
    fields = Fields(filled(said), rows.note)
    name = fields.text("name")
    if name is None:
        raise Unreadable("an annotation without a name")
    label, score, comment = fields.raw("label"), fields.raw("score"), fields.text("explanation")
    if label is None and score is None and comment is None:
        raise Unreadable("an annotation without a result")
    judge = str(fields.rest.get("annotator_kind", ""))
    identifier = str(fields.rest.get("identifier", ""))
    words: Row = {"name": name, "score": score, "value": label, "comment": comment, **_who(fields, judge, name)}
    if score is not None or label is not None:
        words["kind"] = "rating"
    row = feedback_row(Fields(words | fields.rest, rows.note), rows, target_id=target, target_kind=kind, origin=None)
    own = (target, name, identifier or judge)
    return identified(row, rows, digest, *own)


def _inner(item: object, word: str) -> Row:
    inner = item.get(word) if isinstance(item, dict) else None
    if not isinstance(inner, dict):
        raise Unreadable(f"an annotation that is {kind_of(inner)}, not an object")
    return {key: nested(value) if key == "metadata" else value for key, value in inner.items()}


def _who(fields: Fields, judge: str, name: str) -> Row:
    """Who said it: a person by the user's id or the identifier; of a model or code, what it is stays in `value`."""
    origin = JUDGES.get(judge)
    actor = fields.raw("user_id")
    if origin != "reviewer":
        return {"origin": origin, "actor": actor}
    fields.raw("annotator_kind")
    if actor is None:
        actor = fields.raw("identifier")
    return {"origin": "user" if name.lower().startswith("user") else origin, "actor": actor}
