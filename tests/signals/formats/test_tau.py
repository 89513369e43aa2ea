"""tau-bench and tau2-bench: the counts of the real files are made here by plain json."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import polars as pl
import pytest

from clworkbench.settings import OutcomeRule, Source
from clworkbench.signals.view import signals
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]
SYSTEM = {"role": "system", "content": "Policy."}
ASKED = {"role": "user", "content": "Cancel my flight."}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "cancel", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "name": "cancel", "content": "done"}
SAID = {"role": "assistant", "content": "Cancelled."}
RUN = {
    "task_id": 3,
    "reward": 1.0,
    "info": {"task": {"user_id": "mia_1", "actions": []}, "reward_info": {"r_actions": 1.0}, "user_cost": 0.01},
    "traj": [SYSTEM, ASKED, CALL, RESULT, SAID, {"role": "user", "content": "###STOP###"}],
    "trial": 2,
}
USED = {"prompt_tokens": 100, "completion_tokens": 10}
SIMULATION = {
    "id": "sim-1",
    "task_id": "7",
    "start_time": "2024-01-01T00:00:00Z",
    "end_time": "2024-01-01T00:00:02Z",
    "duration": 2.0,
    "termination_reason": "user_stop",
    "agent_cost": 0.5,
    "user_cost": 0.1,
    "reward_info": {"reward": 0.0, "db_check": {"db_match": False}},
    "messages": [
        {"role": "assistant", "content": "Hi!", "usage": None, "cost": 0.0, "turn_idx": 0},
        {"role": "user", "content": "Cancel it.", "usage": USED, "cost": 0.1, "turn_idx": 1},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "name": "cancel", "arguments": {"id": 7}, "requestor": "assistant"}],
            "usage": USED,
            "cost": 0.25,
            "turn_idx": 2,
            "raw_data": {"finish_reason": "tool_calls", "message": {"content": None}},
        },
        {"id": "c1", "role": "tool", "content": "no", "requestor": "assistant", "error": True, "turn_idx": 3},
        {"role": "assistant", "content": "I cannot.", "usage": USED, "cost": 0.25, "turn_idx": 4},
    ],
    "trial": 0,
    "seed": 5,
}
FILE = {
    "timestamp": "2024-01-01T00:00:00Z",
    "info": {
        "agent_info": {"implementation": "llm_agent", "llm": "gpt-4.1", "llm_args": {"temperature": 0.0}},
        "user_info": {"llm": "gpt-4.1"},
        "environment_info": {"domain_name": "retail", "policy": "Be kind."},
    },
    "tasks": [{"id": "7", "ticket": "The ticket."}, {"id": "8"}],
    "simulations": [SIMULATION],
}


def roles(messages: list[dict[str, object]]) -> list[object]:
    return [message["role"] for message in messages]


def test_a_run_of_tau_bench_is_one_row_with_its_reward(ingest: Ingest) -> None:
    whole = ingest(RUN)
    [row], [feedback] = whole.interactions.to_dicts(), whole.feedback.to_dicts()
    assert roles(row["input"]) == ["system", "user"]
    assert roles(row["output"]) == ["assistant", "tool", "assistant", "user"]
    assert row["output"][0]["tool_calls"] == [{"id": "c1", "name": "cancel", "arguments": "{}"}]
    assert (row["operation"], row["user_key"], row["model"]) == ("chat", KEY.user("mia_1"), None)
    left = json.loads(row["attributes"])
    assert (left["task_id"], left["trial"], left["info"]["reward_info"]) == (3, 2, {"r_actions": 1.0})
    assert "mia_1" not in row["attributes"]
    wanted = {
        "target_id": row["interaction_id"],
        "target_kind": "interaction",
        "name": "task_success",
        "kind": "outcome",
        "score": 1.0,
        "value": "1.0",
        "origin": "system",
    }
    assert {name: feedback[name] for name in wanted} == wanted


@pytest.mark.parametrize(("reward", "score"), [(0.0, -1.0), (0.5, -1.0), (0.9999999, 1.0), (1, 1.0)])
def test_success_is_a_reward_of_one_and_the_reward_stays_in_value(ingest: Ingest, reward: float, score: float) -> None:
    [row] = ingest(RUN | {"reward": reward}).feedback.to_dicts()
    assert (row["score"], json.loads(row["value"])) == (score, reward)


def test_a_simulation_of_tau2_tells_times_tokens_cost_and_models(ingest: Ingest) -> None:
    whole = ingest(FILE)
    [row], [feedback] = whole.interactions.to_dicts(), whole.feedback.to_dicts()
    wanted = {
        "interaction_id": KEY.id("desk", "sim-1"),
        "source_id": "sim-1",
        "conversation_id": "sim-1",
        "app": "retail",
        "started_at": datetime(2024, 1, 1, tzinfo=UTC),
        "latency_ms": 2000.0,
        "model": "gpt-4.1",
        "parameters": '{"temperature":0.0}',
        # The greeting was not generated; the user's tokens are not the agent's.
        "n_input_tokens": 200,
        "n_output_tokens": 20,
        "cost_usd": 0.5,
        "finish_reason": "stop",
        "error": None,
    }
    assert {name: row[name] for name in wanted} == wanted
    assert [(said["role"], said["content"]) for said in row["input"]] == [
        ("system", "Be kind."),
        ("assistant", "Hi!"),
        ("user", "Cancel it."),
    ]
    assert roles(row["output"]) == ["assistant", "tool", "assistant"]
    assert row["output"][0]["tool_calls"] == [{"id": "c1", "name": "cancel", "arguments": '{"id":7}'}]
    assert (row["output"][1]["tool_call_id"], row["output"][1]["parts"]) == ("c1", None)
    left = json.loads(row["attributes"])
    assert left["turns"]["3"] == {
        "cost": 0.25,
        "usage": USED,
        "turn_idx": 2,
        "raw_data": {"finish_reason": "tool_calls"},
    }
    assert left["turns"]["4"] == {"error": True, "turn_idx": 3, "requestor": "assistant"}
    assert (left["task"]["id"], left["seed"], left["info"]["user_info"]["llm"]) == ("7", 5, "gpt-4.1")
    assert (feedback["score"], feedback["at"]) == (-1.0, datetime(2024, 1, 1, 0, 0, 2, tzinfo=UTC))


def test_where_nobody_asks_the_ticket_stands_in_for_the_request(ingest: Ingest) -> None:
    alone = [SIMULATION["messages"][2], SIMULATION["messages"][3], SIMULATION["messages"][4]]  # type: ignore[index]
    [row] = ingest(FILE | {"simulations": [SIMULATION | {"messages": alone}]}).interactions.to_dicts()
    assert [(said["role"], said["content"]) for said in row["input"]] == [
        ("system", "Be kind."),
        ("user", "The ticket."),
    ]
    assert roles(row["output"]) == ["assistant", "tool", "assistant"]


@pytest.mark.parametrize(
    ("reason", "finish_reason", "error"),
    [("agent_stop", "stop", None), ("max_steps", "length", None), ("too_many_errors", None, "too_many_errors")],
)
def test_how_a_simulation_ended_is_told(
    ingest: Ingest, reason: str, finish_reason: str | None, error: str | None
) -> None:
    given = FILE | {"simulations": [SIMULATION | {"termination_reason": reason}]}
    [row] = ingest(given).interactions.to_dicts()
    assert (row["finish_reason"], row["error"]) == (finish_reason, error)


def test_a_damaged_simulation_is_quarantined_alone(ingest: Ingest) -> None:
    damaged = [SIMULATION, 7, SIMULATION | {"messages": "x"}, SIMULATION | {"reward_info": {"reward": "much"}}]
    whole = ingest(FILE | {"simulations": damaged}, FILE | {"simulations": []}, FILE | {"simulations": "x"})
    assert (whole.records, len(whole.interactions)) == (6, 1)
    assert whole.quarantine["reason"].to_list() == [
        "simulations[1]: a number, not an object",
        "simulations[2]: messages: a text, where a list is wanted",
        "simulations[3]: a text written like 'aaaa', where a number is wanted",
        "simulations: a text, where a list is wanted",
    ]
    assert whole.skipped == {"a file without simulations": 1}


def test_a_transcript_in_one_text_is_told_apart_by_its_speakers(ingest: Ingest) -> None:
    shown = "user: hi\nthere\nassistant: None\ntool: {}\nassistant: done: yes"
    [row] = ingest({"messages_display": shown}).interactions.to_dicts()
    assert [(said["role"], said["content"]) for said in [*row["input"], *row["output"]]] == [
        ("user", "hi\nthere"),
        ("assistant", None),
        ("tool", "{}"),
        ("assistant", "done: yes"),
    ]


def test_every_real_run_of_tau_bench_is_a_signal_with_its_outcome(shared_data: Path) -> None:
    path = shared_data / "tau_bench" / "gpt-4o-airline.json"
    runs = json.loads(path.read_text())
    won = [run["reward"] == 1 for run in runs]
    whole = read_whole(path, Source("tau"))
    assert (whole.records, len(whole.interactions), len(whole.quarantine)) == (len(runs), len(runs), 0)
    talks = whole.interactions.select(talk=pl.concat_list("input", "output"))["talk"].to_list()
    assert [len(talk) for talk in talks] == [len(run["traj"]) for run in runs]
    assert [[m["content"] for m in talk] for talk in talks] == [[m["content"] for m in run["traj"]] for run in runs]
    calls = sum(len(message.get("tool_calls") or []) for run in runs for message in run["traj"])
    assert sum(len(message["tool_calls"] or []) for talk in talks for message in talk) == calls == 1164

    seen = signals(
        whole.interactions.with_columns(seq=pl.lit(0)),
        whole.feedback.with_columns(seq=pl.lit(0)),
        [OutcomeRule(name="solved", score="task_success")],
        {},
    )
    assert (seen.height, int(seen["outcome"].sum())) == (len(runs), sum(won)) == (200, 84)

    tasks = [json.loads(left)["task_id"] for left in whole.interactions["attributes"]]
    scores = dict(whole.feedback.select("target_id", "score").iter_rows())
    rows = list(zip(tasks, (scores[own] for own in whole.interactions["interaction_id"]), strict=True))
    pairs = sum(one == other and a > b for (one, a), (other, b) in product(rows, rows))
    by_task = [[run["reward"] for run in runs if run["task_id"] == task] for task in {run["task_id"] for run in runs}]
    assert pairs == sum(rewards.count(1.0) * rewards.count(0.0) for rewards in by_task)


def test_every_real_transcript_keeps_its_lines(shared_data: Path) -> None:
    path = shared_data / "tau_bench" / "MockRetailDomainEnv-few_shot.jsonl"
    shown = [json.loads(line)["messages_display"] for line in path.read_text().splitlines()]
    whole = read_whole(path, Source("tau"))
    talks = whole.interactions.select(talk=pl.concat_list("input", "output"))["talk"].to_list()
    again = ["\n".join(f"{message['role']}: {message['content']}" for message in talk) for talk in talks]
    assert again == shown


def test_every_real_simulation_of_tau2_keeps_reward_tokens_cost_and_messages(shared_data: Path) -> None:
    for path in sorted((shared_data / "tau2_finetune_runs").glob("*.json")):
        runs = json.loads(path.read_text())["simulations"]
        whole = read_whole(path, Source("tau"))
        rows = whole.interactions
        assert (len(rows), len(whole.feedback), len(whole.quarantine)) == (len(runs), len(runs), 0)
        assert rows["source_id"].to_list() == [run["id"] for run in runs]
        assert int((whole.feedback["score"] == 1).sum()) == sum(run["reward_info"]["reward"] == 1 for run in runs)
        assert rows["cost_usd"].to_list() == [run["agent_cost"] for run in runs]
        used = [m["usage"] for run in runs for m in run["messages"] if m["role"] == "assistant" and m["usage"]]
        assert int(rows["n_input_tokens"].sum()) == sum(one["prompt_tokens"] for one in used)
        assert int(rows["n_output_tokens"].sum()) == sum(one["completion_tokens"] for one in used)
        added = 2 if "no-user" in path.name else 1
        talks = rows.select(talk=pl.concat_list("input", "output"))["talk"].to_list()
        assert [len(talk) - added for talk in talks] == [len(run["messages"]) for run in runs]
        free = sum(run["agent_cost"] == 0 for run in runs)
        assert sum(n.count for n in whole.fidelity if n.kind.startswith("a price of 0")) == free
