import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clworkbench.settings import Source
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]
SYSTEM = {"role": "system", "content": "You fix bugs.", "agent": "primary"}
DEMO = {"role": "user", "content": "A demonstration.", "agent": "primary", "is_demo": True}
ISSUE = {"role": "user", "content": "Fix it.", "agent": "primary"}
ACTED = {"role": "assistant", "content": "I look.\nls", "agent": "primary", "action": "ls", "thought": "I look."}
SEEN = {"role": "user", "content": "a.py", "agent": "primary"}
STEP = {"action": "ls", "observation": "a.py", "response": "I look.\nls", "thought": "I look.", "state": "{}"}
TRAJ = {
    "environment": "swe_main",
    "trajectory": [STEP],
    "history": [SYSTEM, DEMO, ISSUE, ACTED, SEEN],
    "info": {
        "exit_status": "submitted",
        "submission": "diff",
        "model_stats": {"instance_cost": 1.25, "tokens_sent": 100, "tokens_received": 10, "api_calls": 1},
    },
}


def test_an_agents_run_is_one_row_that_begins_where_it_first_acts(ingest: Ingest) -> None:
    whole = ingest(TRAJ)
    [row] = whole.interactions.to_dicts()
    assert [(said["role"], said["content"]) for said in row["input"]] == [
        ("system", "You fix bugs."),
        ("user", "A demonstration."),
        ("user", "Fix it."),
    ]
    assert [(said["role"], said["content"]) for said in row["output"]] == [
        ("assistant", "I look.\nls"),
        ("user", "a.py"),
    ]
    assert [said["parts"] for said in row["input"]] == [None, '[{"type":"is_demo","is_demo":true}]', None]
    wanted = {
        "app": "swe_main",
        "n_input_tokens": 100,
        "n_output_tokens": 10,
        "cost_usd": 1.25,
        "finish_reason": "stop",
        "error": None,
    }
    assert {name: row[name] for name in wanted} == wanted
    left = json.loads(row["attributes"])
    # What the talk holds already is not kept twice.
    assert left["steps"] == [{"action": "ls", "state": "{}", "thought": "I look."}]
    assert left["info"] == TRAJ["info"]
    assert whole.feedback.is_empty()


@pytest.mark.parametrize(
    ("status", "finish_reason", "error"),
    [
        ("submitted", "stop", None),
        ("submitted (exit_cost)", "length", None),
        ("exit_context", "length", None),
        ("exit_format", "error", "exit_format"),
    ],
)
def test_an_exit_status_says_how_a_run_ended(
    ingest: Ingest, status: str, finish_reason: str, error: str | None
) -> None:
    [row] = ingest(TRAJ | {"info": {"exit_status": status}}).interactions.to_dicts()
    assert (row["finish_reason"], row["error"]) == (finish_reason, error)


def test_steps_without_roles_are_acts_and_observations(ingest: Ingest) -> None:
    steps = [{"thought": "Look.", "action": "ls", "observation": "a.py"}, {"response": "Done."}]
    whole = ingest({"instance_id": "i-1", "steps": steps, "resolved": True, "score": 7})
    [row] = whole.interactions.to_dicts()
    assert row["interaction_id"] == KEY.id("desk", "i-1")
    assert [(said["role"], said["content"]) for said in row["output"]] == [
        ("assistant", "Look.\nls"),
        ("user", "a.py"),
        ("assistant", "Done."),
    ]
    said = [(one["name"], one["kind"], one["score"], one["value"]) for one in whole.feedback.to_dicts()]
    assert said == [("resolved", "outcome", 1.0, None), ("score", "outcome", None, "7")]
    assert set(whole.feedback["target_id"]) == {row["interaction_id"]}


@pytest.mark.parametrize(
    ("name", "given", "score"), [("success", False, -1.0), ("success", "yes", 1.0), ("reward", 0.25, 0.25)]
)
def test_an_outcome_is_feedback_of_the_system(ingest: Ingest, name: str, given: object, score: float) -> None:
    talk = [{"role": "user", "content": "go"}, {"role": "assistant", "content": "gone"}]
    [row] = ingest({"messages": talk, name: given}).feedback.to_dicts()
    assert (row["name"], row["score"], row["origin"]) == (name, score, "system")


def test_a_run_without_turns_is_quarantined(ingest: Ingest) -> None:
    whole = ingest({"reward": 1}, {"steps": [1], "reward": 1}, source=Source("desk", format="trajectories"))
    assert whole.quarantine["reason"].to_list() == [
        "an object without messages, history, trajectory or steps",
        "steps[0] is a number, not an object",
    ]


def test_the_real_run_of_swe_agent_keeps_each_message_and_each_step(shared_data: Path) -> None:
    [path] = (shared_data / "swe_agent_traj").glob("*.traj")
    given = json.loads(path.read_text())
    [row] = read_whole(path, Source("swe")).interactions.to_dicts()
    talk = [*row["input"], *row["output"]]
    assert [(said["role"], said["content"]) for said in talk] == [(m["role"], m["content"]) for m in given["history"]]
    assert len(row["input"]) == next(at for at, m in enumerate(given["history"]) if m["role"] == "assistant")
    assert row["n_input_tokens"] == given["info"]["model_stats"]["tokens_sent"]
    steps = json.loads(row["attributes"])["steps"]
    assert [step["action"] for step in steps] == [step["action"] for step in given["trajectory"]]
