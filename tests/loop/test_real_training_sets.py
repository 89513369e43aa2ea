"""Training sets of real data, against figures that plain Python makes of the same files."""

import json
import re
import unicodedata
from collections import defaultdict
from pathlib import Path

import pytest

from clworkbench.audit.checks import audit
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.training_sets.convert import build
from clworkbench.workspace import Workspace

SETTINGS = """\
format = 1
[policy]
redaction = "off"
[policy.quality]
hold_injections = false
[outcomes]
task_success = {{ score = "{score}" }}
[training]
holdout = 0.0
"""


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def spoken(talk: list[dict]) -> list[tuple[str, str]]:
    """Who says what, and which tools are called, as far as two runs are told apart by it here."""
    return [
        (one["role"], one.get("content") or "".join(call["function"]["name"] for call in one.get("tool_calls") or []))
        for one in talk
    ]


@pytest.fixture
def tau(workspace: Workspace, shared_data: Path) -> tuple[Workspace, list[dict]]:
    (workspace.folder / "clw.toml").write_text(SETTINGS.format(score="task_success"))
    file = shared_data / "tau_bench" / "gpt-4o-airline.json"
    ingest(workspace, [file], "tau")
    return workspace, json.loads(file.read_text())


def test_runs_of_the_same_task_that_won_and_lost_make_88_pairs(tau):
    workspace, runs = tau
    tasks: dict[int, tuple[list, list]] = defaultdict(lambda: ([], []))
    for run in runs:
        tasks[run["task_id"]][run["reward"] < 1].append(run["traj"])
    wanted = sorted((spoken(won), spoken(lost)) for wins, losses in tasks.values() for won in wins for lost in losses)
    assert (len(wanted), sum(bool(wins and losses) for wins, losses in tasks.values())) == (88, 26)

    made = build(workspace, kind="preference")
    found = []
    for row in made.frame.iter_rows(named=True):
        sides = ([*row["prompt"], *row[name]] for name in ("chosen", "rejected"))
        found.append(tuple([(one["role"], one["content"] or _called(one)) for one in side] for side in sides))
    assert sorted(found) == wanted
    assert set(made.frame["rule"]) == {"won"}
    assert all(row[0]["role"] == "system" for row in made.frame["prompt"])


def _called(message: dict) -> str:
    return "".join(call["name"] for call in message["tool_calls"] or [])


def test_how_long_the_won_and_the_lost_runs_are_is_told_rightly(tau):
    workspace, runs = tau
    tasks: dict[int, tuple[list, list]] = defaultdict(lambda: ([], []))
    for run in runs:
        letters = sum(len(one.get("content") or "") for one in run["traj"] if one["role"] == "assistant")
        tasks[run["task_id"]][run["reward"] < 1].append(letters)
    differences = [won - lost for wins, losses in tasks.values() for won in wins for lost in losses]
    bias = build(workspace, kind="reward").manifest["length_bias"]
    unlike = [each for each in differences if each]
    assert bias["difference"] == pytest.approx(sum(differences) / 88)
    assert bias["longer"] == pytest.approx(sum(each > 0 for each in unlike) / len(unlike))
    assert bias["longer_low"] < bias["longer"] < bias["longer_high"]


@pytest.mark.parametrize("kind", ["preference", "reward"])
def test_a_set_of_real_runs_holds_its_audit(tau, kind):
    workspace, _ = tau
    made = build(workspace, kind=kind)
    found = audit(workspace, made.id)
    assert [check for check in found.checks if not check.ok] == []


def test_corrections_of_a_real_gateway_make_the_pairs_that_plain_python_makes(workspace, shared_data):
    folder = shared_data / "tensorzero_fixtures"
    (workspace.folder / "clw.toml").write_text(SETTINGS.format(score="exact_match"))
    ingest(workspace, [folder], "tensorzero")
    answers = {
        row["id"]: _said(json.loads(row["output"]))
        for name in ("chat", "json")
        for row in lines(folder / f"{name}_inference_examples.jsonl")
    }
    latest: dict[str, tuple[int, str, str]] = {}
    for row in lines(folder / "demonstration_feedback_examples.jsonl"):
        when = int(row["id"].replace("-", "")[:12], 16)
        if row["inference_id"] in answers:
            told = (when, row["id"], _said(json.loads(row["value"])))
            latest[row["inference_id"]] = max(latest.get(row["inference_id"], told), told)
    pairs = {own: (better, answers[own]) for own, (_, _, better) in latest.items()}
    changed = {own: pair for own, pair in pairs.items() if _words(pair[0]) != _words(pair[1])}

    made = build(workspace, kind="preference")
    ids = dict(workspace.signals().select("interaction_id", "source_id").iter_rows())
    found = {
        ids[row["signal_ids"][0]]: (row["chosen"][0]["content"], row["rejected"][0]["content"])
        for row in made.frame.iter_rows(named=True)
        if row["rule"] == "corrected"
    }
    assert found.keys() <= changed.keys()
    assert all(changed[own] == pair for own, pair in found.items())
    twins = made.built.dropped["duplicate"]
    assert len(found) == len(changed) - twins
    dropped = made.built.dropped
    assert len(pairs) - len(changed) == dropped["whitespace"] + dropped["cosmetic"] + dropped["redaction_only"]


def _said(output: object) -> str:
    """A gateway's answer: the raw text of a JSON function, or the texts of a chat's parts."""
    if isinstance(output, dict):
        return str(output["raw"]) if "raw" in output else json.dumps(output)
    assert isinstance(output, list)
    return "\n".join(str(part.get("text", part.get("value"))) for part in output)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s.,;:!?'\"()-]", unicodedata.normalize("NFKC", text).casefold())
