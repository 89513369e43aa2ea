"""MLflow's assessments: feedback and expectations on a trace or on one of its spans, as feedback rows."""

from collections.abc import Iterable
from functools import partial

from clworkbench.signals.feedback import JUDGES, feedback_row, identified, target_of
from clworkbench.signals.messages import are_messages, conversation
from clworkbench.signals.otlp.spelling import identifier
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.units import read_unit
from clworkbench.signals.values import Fields, Unreadable, decoded, nested, sha256_of

ANSWERS = frozenset(
    {"expected_response", "expected_answer", "expected_output", "ground_truth", "reference_answer", "response"}
)
"""Expectations under these names are the better answer; any other is kept as a value."""

INVALID = "an assessment that was withdrawn or overridden"


def add_all(assessments: Iterable[object], trace_id: str | None, user: str | None, rows: Rows) -> None:
    """Ends one record for each assessment: a feedback row, a skip for one that is not valid, or quarantine.

    MLflow's judges answer yes or no: that is a score of 1 or -1, as true and false are. An assessment that overrides
    another has the other's `feedback_id`, so that it takes its place. A person is a reviewer, or the user where the
    source's id is the trace's user.
    """
    found = list(assessments)
    older = {
        str(item["assessment_id"]): str(item["overrides"])
        for item in found
        if isinstance(item, dict) and item.get("overrides") and item.get("assessment_id")
    }
    for at, item in enumerate(found):
        read_unit(item, rows, partial(_add, older=older, trace_id=trace_id, user=user), place=f"assessment {at}")


def _add(item: Row, rows: Rows, *, older: dict[str, str], trace_id: str | None, user: str | None) -> None:
    if item.get("valid") is False:
        return rows.skip(INVALID)
    if "issue" in item and not item.get("feedback") and not item.get("expectation"):
        return rows.skip("a reference to an issue, no assessment")
    return rows.add(None, [_row(item, older, trace_id, user, rows)])


def _row(item: Row, older: dict[str, str], trace_id: str | None, user: str | None, rows: Rows) -> Row:
    digest = sha256_of(item)
    fields = Fields({key: value for key, value in item.items() if value is not None}, rows.note)
    at = fields.moment("last_update_time", "last_update_time_ms", "create_time", "create_time_ms", "timestamp")
    own_id = fields.text("assessment_id")
    trace_id = fields.text("trace_id", "request_id") or trace_id
    span_id = identifier(fields.text("span_id"), 8)
    if trace_id is None:
        raise Unreadable("it names no trace")
    name = fields.text("assessment_name", "name") or "assessment"
    words = _said(fields, name, rows) | _source(fields, user)
    comment, metadata = fields.text("rationale"), nested(fields.raw("metadata"))
    for key in ("valid", "create_time", "create_time_ms", "overrides"):
        fields.rest.pop(key, None)
    if metadata:
        fields.rest["metadata"] = metadata
    about, kind = (f"{trace_id}:{span_id}", "interaction") if span_id else (trace_id, "trace")
    given = Fields(fields.rest | words | {"name": name, "comment": comment}, rows.note)
    row = feedback_row(given, rows, target_id=target_of(about, kind, rows), target_kind=kind, origin=None)
    own = (_first(own_id, older),) if own_id else (trace_id, span_id or "", name, digest)
    return identified(row | {"at": at}, rows, digest, *own)


def _first(own_id: str, older: dict[str, str]) -> str:
    """The assessment that this one overrides in the end."""
    seen = {own_id}
    while (before := older.get(own_id)) and before not in seen:
        seen.add(before)
        own_id = before
    return own_id


def _source(fields: Fields, user: str | None) -> Row:
    source = nested(fields.raw("source"))
    if not isinstance(source, dict):
        return {}
    kind, own_id = source.get("source_type"), source.get("source_id")
    origin = JUDGES.get(str(kind))
    if origin != "reviewer":
        return {"origin": origin, "source": source}
    return {"origin": "user" if user is not None and own_id == user else origin, "actor": own_id}


def _said(fields: Fields, name: str, rows: Rows) -> Row:
    """What was said: a score, a value, a better answer, or why a judge failed."""
    feedback, expectation = nested(fields.raw("feedback")), nested(fields.raw("expectation"))
    if isinstance(feedback, dict):
        error = feedback.get("error")
        value = feedback.get("value")
        if error and value is None:
            rows.note("a judge that failed at the source", "an error in place of a value")
            return {"kind": "event", "value": None, "error": error}
        if isinstance(value, bool | int | float):
            return {"kind": "rating", "score": value}
        if value in ("yes", "no"):
            return {"kind": "rating", "score": value == "yes", "value": value}
        if value is None:
            raise Unreadable("feedback without a value")
        return {"kind": "rating", "value": value}
    if not isinstance(expectation, dict):
        raise Unreadable("neither feedback nor an expectation")
    value = expectation.get("value")
    packed = expectation.get("serialized_value")
    if value is None and isinstance(packed, dict) and isinstance(text := packed.get("value"), str):
        value = decoded(text)
    if value is None:
        raise Unreadable("an expectation without a value")
    if name in ANSWERS and (isinstance(value, str) or are_messages(value if isinstance(value, list) else [value])):
        conversation(value, rows.note, role="assistant")
        return {"kind": "correction", "improvement": value}
    rows.note("an expectation that is no answer, kept as a value", "one")
    return {"kind": "event", "value": value}
