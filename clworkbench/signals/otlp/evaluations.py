"""Evaluations as feedback: what a scorer said of a span, in a log record or in an event of the span."""

from clworkbench.signals.feedback import feedback_row
from clworkbench.signals.otlp.requests import Span
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields, Unreadable

EVALUATION = "gen_ai.evaluation.result"
FIELDS = {
    "gen_ai.evaluation.name": "name",
    "gen_ai.evaluation.score.value": "score",
    "gen_ai.evaluation.score.label": "value",
    "gen_ai.evaluation.explanation": "comment",
}


def evaluation(attributes: Row, span: Span, digest: str, rows: Rows) -> Row:
    """The feedback row of one evaluation.

    Args:
        attributes: those of the event.
        span: the span that it was logged in, which it is about; its start is the time.
        digest: hash of the record.
        rows: where the row will go.

    It is about the span; where no span is named, about the conversation or the trace; else about whatever has the
    model's response id, which is noted: no table is searched by it.
    Raises Unreadable where it says nothing of what it is about.
    """
    conversation, response = attributes.pop("gen_ai.conversation.id", None), attributes.get("gen_ai.response.id")
    target_source = rows.source.target_source or rows.source.name
    if span.trace_id and span.span_id:
        target_id, target_kind = rows.pseudonyms.id(target_source, f"{span.trace_id}:{span.span_id}"), "interaction"
    elif isinstance(conversation, str) and conversation:
        target_id, target_kind = conversation, "conversation"
    elif span.trace_id:
        target_id, target_kind = span.trace_id, "trace"
    elif isinstance(response, str) and response:
        target_id, target_kind = response, "any"
        rows.note("evaluation of a response known by its id only", "gen_ai.response.id")
    else:
        raise Unreadable("an evaluation of no span, conversation, trace or response")
    fields: Row = {FIELDS.get(name, name): value for name, value in attributes.items()}
    fields["at"] = None if span.start is None else span.start / 1e3
    fields["kind"] = "rating" if fields.get("score") is not None else "event"
    row = feedback_row(Fields(fields, rows.note), rows, target_id=target_id, target_kind=target_kind, origin="system")
    row["feedback_id"] = rows.pseudonyms.id(rows.source.name, "feedback", digest)
    row["raw_sha256"] = digest
    return row
