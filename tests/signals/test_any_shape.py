"""Whatever stands where, a record is read, skipped or quarantined: no reader ever raises."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clworkbench.settings import Source
from tests.signals.whole import read_whole

SAID = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
CALLED = [{"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": {"x": 1}}]}]
ATTRIBUTES = {
    "gen_ai.operation.name": {"stringValue": "chat"},
    "gen_ai.request.model": {"stringValue": "m"},
    "gen_ai.usage.input_tokens": {"intValue": "3"},
    "gen_ai.response.finish_reasons": {"arrayValue": {"values": [{"stringValue": "stop"}]}},
    "gen_ai.system_instructions": {"stringValue": "be brief"},
    "gen_ai.tool.call.result": {"kvlistValue": {"values": [{"key": "k", "value": {"doubleValue": 0.5}}]}},
    "enduser.id": {"stringValue": "ann"},
}
EVENT = {
    "name": "gen_ai.choice",
    "timeUnixNano": "5",
    "attributes": [{"key": "content", "value": {"stringValue": "x"}}],
}
SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "parentSpanId": "",
    "startTimeUnixNano": "1704067200000000000",
    "endTimeUnixNano": 1704067200000000005,
    "status": {"code": 2, "message": "no"},
    "attributes": [{"key": key, "value": value} for key, value in ATTRIBUTES.items()],
    "events": [EVENT],
    "links": [],
}
LOGGED = [
    {
        "timeUnixNano": "1704067200000000000",
        "eventName": name,
        "body": {"kvlistValue": {"values": [{"key": "content", "value": {"stringValue": "hi"}}]}},
        "attributes": [{"key": key, "value": value} for key, value in ATTRIBUTES.items()],
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
    }
    for name in ("gen_ai.user.message", "gen_ai.client.inference.operation.details", "gen_ai.evaluation.result")
]
FEEDBACK = {
    "name": "n",
    "score": 1,
    "weight": 1,
    "improvement": "b",
    "comment": "c",
    "at": 5,
    "actor": "a",
    "value": {},
}
CHAT = {
    "id": "1",
    "created": 1704067200,
    "user": "ann",
    "model": "m",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "u"}}]},
        {
            "role": "assistant",
            "content": "yo",
            "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
        },
    ],
    "usage": {"prompt_tokens": 1},
    "logprobs": {"content": [{"logprob": -1}]},
    "metadata": {"conversation_id": "c", "user_id": "ann", "confidence": 0.5},
    "feedback": [FEEDBACK],
}
PAIR = {
    "request": {"model": "m", "messages": SAID, "user": "ann", "tools": [], "metadata": {"app": "a"}},
    "response": {
        "status_code": 200,
        "body": {"id": "r", "choices": [{"message": {"role": "assistant", "content": "y"}}]},
    },
}
GOOD = {
    "otlp": [
        {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"scope": {}, "spans": [SPAN]}]}]},
        {"resourceLogs": [{"resource": {"attributes": []}, "scopeLogs": [{"scope": {}, "logRecords": [*LOGGED]}]}]},
    ],
    "openai": [CHAT, PAIR],
    "tensorzero": [
        {
            "id": "018cc251-f400-7000-8000-000000000001",
            "function_name": "f",
            "variant_name": "v",
            "episode_id": "e",
            "input": {"system": {"a": 1}, "messages": [{"role": "user", "content": [{"type": "text", "value": "hi"}]}]},
            "output": [{"type": "text", "text": "yo"}],
            "tool_params": {"tools_available": []},
            "inference_params": {},
            "tags": {"user_id": "ann"},
            "timestamp": "2024-01-01T00:00:00Z",
        },
        {"id": "f", "metric_name": "m", "target_id": "t", "value": 0.5, "tags": {}},
        {"id": "f", "inference_id": "i", "value": [{"type": "text", "text": "yo"}]},
        {"id": "f", "target_type": "episode", "target_id": "t", "value": "slow"},
    ],
    "mapping": [
        {"id": 1, "question": "hi", "reply": SAID, "when": 5, "who": "ann", "cost": 0.5, "meta": {"ticket": 7}},
    ],
}
COLUMNS = {
    "id": "id",
    "question": "input",
    "reply": "output",
    "when": "started_at",
    "who": "user",
    "cost": "cost_usd",
    "meta.ticket": "conversation_id",
}
ODD = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        2**63,
        10**40,
        1.5,
        "",
        "x",
        "[",
        "{}",
        "[1]",
        [],
        [None],
        [[]],
        {},
        {"": None},
        {"role": 1},
        "\x00",
    ]
)


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def replaced(record: object, path: tuple[object, ...], value: object) -> object:
    if not path:
        return value
    whole = copy.deepcopy(record)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]  # type: ignore[index]
    inner[path[-1]] = value  # type: ignore[index]
    return whole


@pytest.mark.parametrize("format_", GOOD)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_accounted_for(tmp_path: Path, format_: str, data: st.DataObject) -> None:
    lines = []
    for _ in range(data.draw(st.integers(1, 8))):
        record: object = data.draw(st.sampled_from(GOOD[format_]))
        for _ in range(data.draw(st.integers(1, 2))):
            record = replaced(record, data.draw(st.sampled_from(places(record))), data.draw(ODD))
        lines.append(json.dumps(record))
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join(['{"question": "hi"}', *lines]) + "\n")
    columns = COLUMNS if format_ == "mapping" else {}
    whole = read_whole(path, Source("s", format=format_, columns=columns))
    feedback_only = whole.feedback.filter(~whole.feedback["record"].is_in(whole.interactions["record"].implode()))
    told = len(whole.interactions) + len(feedback_only) + len(whole.quarantine) + whole.skipped.total()
    assert whole.records == told
