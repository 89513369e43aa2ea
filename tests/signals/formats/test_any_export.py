"""Whatever stands where in an export, it is read, skipped or quarantined, and detection never raises either."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clworkbench.settings import Source
from clworkbench.signals.recognise import FORMATS
from tests.signals.test_any_shape import ODD, places, replaced
from tests.signals.whole import read_whole

ASKED = [{"role": "user", "content": "hi"}]
SAID = [{"role": "assistant", "content": "yo", "tool_calls": [{"id": "c", "name": "f", "arguments": {"x": 1}}]}]
RESULT = {"role": "tool", "content": "2", "id": "c", "requestor": "assistant", "turn_idx": 2}
ITEMS = [
    {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yo", "annotations": []}]},
]
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_704_067_200,
    "status": "incomplete",
    "incomplete_details": {"reason": "max_output_tokens"},
    "model": "m",
    "output": ITEMS,
    "previous_response_id": "resp_0",
    "conversation": {"id": "conv"},
    "usage": {"input_tokens": 1, "output_tokens": 2},
}
SIMULATION = {
    "id": "s",
    "task_id": "1",
    "start_time": "2024-01-01T00:00:00Z",
    "duration": 1.5,
    "termination_reason": "user_stop",
    "agent_cost": 0,
    "reward_info": {"reward": 1.0},
    "messages": [*ASKED, SAID[0] | {"usage": {"prompt_tokens": 3}, "raw_data": {"message": {}}}, RESULT],
    "trial": 0,
}
GOOD: dict[str, list[dict[str, object]]] = {
    "openai": [
        RESPONSE,
        {"request": {"model": "m", "input": [*ASKED, *ITEMS], "instructions": "be brief"}, "response": RESPONSE},
        {"custom_id": "q", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": ASKED}},
        {"id": "b", "custom_id": "q", "response": {"status_code": 200, "body": {"choices": []}}, "error": None},
        {"input": {"messages": ASKED, "tools": []}, "preferred_output": SAID, "non_preferred_output": SAID},
        {"messages": [*ASKED, *SAID], "rejected_message": SAID[0], "split": "TRAIN"},
        {"input": ASKED, "ideal": ["yo", "hello"]},
        {"object": "list", "data": [{"object": "chat.completion", "choices": [{"message": SAID[0]}]}, RESPONSE]},
    ],
    "litellm": [
        {
            "id": "1",
            "call_type": "acompletion",
            "response_cost": 0.0,
            "status": "failure",
            "startTime": 1.7e9,
            "endTime": "2024-01-01 00:00:00.5",
            "metadata": {"user_api_key_user_id": "ann", "usage_object": {"x": None}},
            "model_parameters": {"temperature": 1, "user": "ann"},
            "messages": ASKED,
            "response": {"choices": [{"message": SAID[0]}]},
            "error_str": "no",
            "prompt_tokens": 1,
            "total_tokens": 1,
        }
    ],
    "argilla": [
        {
            "id": "1",
            "fields": {"chat": [*ASKED, *SAID], "response": "yo"},
            "metadata": {"conversation_id": "c"},
            "suggestions": {},
            "responses": {"good": [{"value": "yes", "user_id": "u", "status": "draft"}]},
        },
        {"prompt": "hi", "q.responses": ["a", 4], "q.responses.users": ["u", "v"], "q.responses.status": ["submitted"]},
    ],
    "datawizz": [
        {"signal_name": "thumbs", "score": 1, "weight": 0.5, "inference_id": "i", "improvement": SAID[0]},
        {"url": "https://x/feedback/i", "body": {"score": -1, "qualitative_feedback": "no", "signal_source": "cat"}},
        {"id": "1", "input": ASKED, "output": SAID[0], "metadata": {"app": "a"}, "meta_tags": ["t"]},
    ],
    "tau": [
        {"task_id": 0, "reward": 0.0, "info": {"task": {"user_id": "u"}}, "traj": [*ASKED, *SAID], "trial": 0},
        {"info": {"agent_info": {"llm": "m", "llm_args": {}}}, "tasks": [{"id": "1", "ticket": "t"}]}
        | {"simulations": [SIMULATION, SIMULATION]},
        {"messages_display": "user: hi\nassistant: yo"},
    ],
    "trajectories": [
        {
            "trajectory": [{"action": "ls", "observation": "a", "response": "list", "thought": "x", "state": "{}"}],
            "history": [*ASKED, *SAID],
            "info": {"exit_status": "submitted", "model_stats": {"tokens_sent": 1, "instance_cost": 0.5}},
        },
        {"steps": [{"thought": "t", "action": "a", "observation": {"o": 1}}], "reward": 0.5, "success": True},
    ],
    "datasets": [
        {"prompt": "hi", "chosen": [*ASKED, *SAID], "rejected": [*ASKED, {"role": "assistant", "content": "no"}]},
        {"prompt": ASKED, "completion": SAID, "label": False},
        {"instruction": "say", "input": "hi", "output": "yo"},
        {"id": 1, "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]},
        {"original": [["agent", "hi"], ["customer", "yo"]], "convo_id": 3},
        {"id": "x", "question": [ASKED], "function": [{"name": "f"}]},
        {"id": "x", "ground_truth": [{"f": {}}]},
        {
            "message_tree_id": "t",
            "prompt": {
                "message_id": "p",
                "text": "hi",
                "role": "prompter",
                "replies": [
                    {"message_id": "a", "text": "yo", "role": "assistant", "rank": 0, "emojis": {"+1": 2}},
                    {"message_id": "b", "text": "no", "role": "assistant", "rank": 1, "replies": []},
                ],
            },
        },
        {
            "rev_depth_0": {"doc": {"doc_id": "d", "before_revision": "a"}},
            "rev_depth_1": {
                "doc": {
                    "doc_id": "d",
                    "before_revision": "a",
                    "after_revision": "b",
                    "after_human_evaluation": "c",
                    "edit_actions": [{"type": "R", "accept_or_reject": "Accept"}],
                }
            },
        },
    ],
}


@pytest.mark.parametrize("format_", GOOD)
def test_each_good_record_is_known_by_its_content_and_read_whole(tmp_path: Path, format_: str) -> None:
    for record in GOOD[format_]:
        path = tmp_path / "one.jsonl"
        path.write_text(json.dumps(record) + "\n")
        assert next(name for name, known in FORMATS.items() if known.why(record)) == format_, record
        assert read_whole(path, Source("s", format=format_)).quarantine.is_empty(), record


@pytest.mark.parametrize("format_", GOOD)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_accounted_for(tmp_path: Path, format_: str, data: st.DataObject) -> None:
    lines = []
    for _ in range(data.draw(st.integers(1, 8))):
        record: object = data.draw(st.sampled_from(GOOD[format_]))
        for _ in range(data.draw(st.integers(1, 2))):
            record = replaced(record, data.draw(st.sampled_from(places(record))), data.draw(ODD))
        if isinstance(record, dict):
            for known in FORMATS.values():
                known.why(record)
        lines.append(json.dumps(record))
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join(['{"question": "hi"}', *lines]) + "\n")
    whole = read_whole(path, Source("s", format=format_))
    feedback_only = whole.feedback.filter(~whole.feedback["record"].is_in(whole.interactions["record"].implode()))
    told = len(whole.interactions) + feedback_only["record"].n_unique() + len(whole.quarantine) + whole.skipped.total()
    assert whole.records == told
