"""Whatever stands where in a span or an assessment, it is read, skipped or quarantined, and detection never raises."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clworkbench.settings import Source
from clworkbench.signals.recognise import FORMATS
from tests.signals.dialects.test_openinference import CALL
from tests.signals.dialects.test_vercel import INNER
from tests.signals.formats.test_mlflow import ASSESSMENTS, INFO, SPANS, WHOLE, searched
from tests.signals.formats.test_phoenix import ANNOTATION, NESTED, PRINTED, SPAN
from tests.signals.test_any_shape import ODD, places, replaced
from tests.signals.whole import read_whole

TOOL = {"openinference.span.kind": "TOOL", "tool.name": "f", "input.value": "{}", "output.value": "[1]"}
FOUND = {
    "openinference.span.kind": "RETRIEVER",
    "input.value": '{"messages":[{"role":"user","content":"x"}]}',
    "retrieval.documents": [{"document.content": "one", "document.metadata": {"a": 1}}],
    "annotations": [{"annotation.name": "n", "annotation.score": 1, "annotation.metadata": "{}"}],
    "session.annotations.0.annotation.name": "n",
    "session.annotations.0.annotation.label": "good",
}
RAN = {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "f", "ai.toolCall.args": "{}", "ai.toolCall.result": "{}"}
LANGCHAIN = {
    "mlflow.spanType": '"LLM"',
    "mlflow.spanInputs": [[{"type": "human", "content": "hi"}]],
    "mlflow.spanOutputs": {"generations": [[{"text": "yo", "message": {"type": "ai", "content": "yo"}}]]},
    "mlflow.llm.cost": {"total_cost": 0},
    "mlflow.chat.tokenUsage": {"input_tokens": 1},
}
JAVASCRIPT = {
    "spanContext": {"traceId": "t", "spanId": "s"},
    "startTime": [1, 2],
    "endTime": [1, 3],
    "status": {"code": 2},
}
GOOD: dict[str, list[dict[str, object]]] = {
    "phoenix": [
        SPAN,
        NESTED,
        PRINTED,
        ANNOTATION,
        {"data": [SPAN, ANNOTATION], "next_cursor": None},
        *(SPAN | {"attributes": attributes} for attributes in (CALL, FOUND, TOOL, INNER, RAN)),
        JAVASCRIPT | {"attributes": INNER, "links": [{"context": {"spanId": "x"}}], "events": [{"attributes": {}}]},
    ],
    "mlflow": [
        WHOLE,
        searched(SPANS, ASSESSMENTS),
        {"info": INFO, "data": {"spans": [SPANS[0] | {"attributes": LANGCHAIN}]}},
        {"info": INFO | {"assessments": ASSESSMENTS[:1]}, "data": {"spans": []}},
    ],
}


@pytest.mark.parametrize("format_", GOOD)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_accounted_for(tmp_path: Path, format_: str, data: st.DataObject) -> None:
    lines = []
    for _ in range(data.draw(st.integers(1, 6))):
        record: object = data.draw(st.sampled_from(GOOD[format_]))
        for _ in range(data.draw(st.integers(1, 3))):
            record = replaced(record, data.draw(st.sampled_from(places(record))), data.draw(ODD))
        lines.append(json.dumps(record))
        if isinstance(record, dict):
            for known in FORMATS.values():
                known.why(record)
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join(['{"question": "hi"}', *lines]) + "\n")
    whole = read_whole(path, Source("s", format=format_))
    feedback_only = whole.feedback.filter(~whole.feedback["record"].is_in(whole.interactions["record"].implode()))
    told = len(whole.interactions) + len(feedback_only) + len(whole.quarantine) + whole.skipped.total()
    assert whole.records == told
    assert whole.records > len(lines)
