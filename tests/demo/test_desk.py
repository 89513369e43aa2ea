"""The desk story: who it belongs to, what the analyst retires, and the whole of it at a small and at its true size."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import polars as pl
import pytest

from clworkbench.demo import desk, desk_settings
from clworkbench.demo.desk import DESK, SMALL
from clworkbench.demo.desk_people import ACTIONS, TARGET
from clworkbench.errors import ClwError
from clworkbench.settings import parse_settings

COMMAND = [sys.executable, "-c", "from clworkbench.cli import main; main()", "demo", "--json"]


def play(place: Path, *words: str, environment: dict[str, str]) -> tuple[dict[str, object], str]:
    ran = subprocess.run(
        [*COMMAND, "--workspace", str(place), *words], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode in (0, 1), ran.stderr
    return json.loads(ran.stdout), ran.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return os.environ | {"CLW_CONFIG": str(tmp_path_factory.mktemp("config"))}


def settings_of(text: str) -> str:
    numbers = {"replay": 0.85, "steps": 4, "batch_size": 4, "rate": 1e-3, "rank": 8}
    return text.format(target=TARGET, **numbers)


def test_its_settings_are_read_and_name_the_slice_as_the_gates_target():
    settings = parse_settings(settings_of(desk_settings.SETTINGS))
    assert settings.gates.target == TARGET
    assert set(settings.slices) == {TARGET}
    assert [rule.name for rule in settings.outcomes] == ["corrected", "resolved", "thumbs"]


def test_the_new_policy_retires_the_old_answer_and_of_the_models_own_keeps_the_corrected_ones():
    before = settings_of(desk_settings.SETTINGS)
    after = before.replace(desk_settings.OPEN_WHERE, desk_settings.WHERE)
    assert parse_settings(before).training.where is None
    where = tomllib.loads(after)["training"]["where"]
    old, new, other = ('{"action": "cancel_now"}', '{"action": "offer_pause"}', '{"action": "reset_codes"}')
    rows = pl.DataFrame(
        [(old, None, None), (other, None, None), (other, None, "release:a"), (old, new, "release:a"), (new, old, None)],
        schema=["answer", "improvement_text", "release_id"],
        orient="row",
    )
    assert rows.select(kept=pl.sql_expr(where))["kept"].to_list() == [False, True, False, True, False]


def test_the_spoiled_sheet_moves_each_action_but_the_targets_to_its_neighbour():
    slipped = {json.loads(right)["intent"]: json.loads(wrong) for right, wrong in desk._slipped().items()}
    assert set(slipped) == set(ACTIONS) - {TARGET}
    assert all(wrong["intent"] == intent and wrong["action"] != ACTIONS[intent] for intent, wrong in slipped.items())
    assert {wrong["action"] for wrong in slipped.values()} == set(ACTIONS.values()) - {ACTIONS[TARGET]}


def test_another_seed_or_size_does_not_go_on_in_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    desk._workspace(tmp_path / "w", SMALL, seed=0)
    assert desk._workspace(tmp_path / "w", SMALL, seed=0).folder == tmp_path / "w"
    for scale, seed in ((SMALL, 1), (DESK, 0)):
        with pytest.raises(ClwError, match="holds another story"):
            desk._workspace(tmp_path / "w", scale, seed)


def test_data_is_for_the_other_story(tmp_path, environment):
    words = [*COMMAND, "--data", str(tmp_path)]
    ran = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "--data is for --story banking77" in ran.stderr


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> tuple[dict[str, object], Path]:
    """The small story, played once through the command line."""
    place = tmp_path_factory.mktemp("small") / "w"
    return play(place, "--small", environment=environment)[0], place


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_small_story_ends_with_two_decisions_and_a_page(small):
    answer, _ = small
    assert {answer["good"], answer["spoiled"]} <= {"promote", "hold", "block"}
    assert [rate["n"] > 0 for rate in answer["rates"]] == [True, True]
    page = Path(str(answer["figure"]))
    assert page.name == "index.html"
    assert "What the customers got" in page.read_text()
    kinds = [step["kind"] for step in answer["way"]]
    assert kinds[:4] == ["file", "record", "signal", "training_set"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_finished_story_played_again_ends_the_same_at_once(small, environment):
    answer, place = small
    before = sorted((path, path.stat().st_mtime_ns) for path in place.glob("runs/*/adapter/*"))
    began = time.monotonic()
    again, said = play(place, "--small", environment=environment)
    assert time.monotonic() - began < 60
    assert {**again, "minutes": 0} == {**answer, "minutes": 0}
    assert said.count("the loop went through on an earlier call") == 2
    assert sorted((path, path.stat().st_mtime_ns) for path in place.glob("runs/*/adapter/*")) == before


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_story_killed_at_any_moment_ends_like_an_undisturbed_one(small, environment, tmp_path):
    answer, place = small
    other = tmp_path / "w"
    moments = ["inbox/traces-week-2.jsonl", "runs/desk-*/checkpoints", "inbox/traces-week-4.jsonl", "inbox/labels.csv"]
    for moment in moments:
        running = subprocess.Popen(
            [*COMMAND, "--workspace", str(other), "--small"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 500
        while not list(other.glob(moment)) and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert list(other.glob(moment)), moment
    again, _ = play(other, "--small", environment=environment)
    for name in ("good", "spoiled", "release", "rates", "weeks", "gates", "spoiled_gates"):
        assert again[name] == answer[name], name
    adapters = [{p.parts[-3]: p.read_bytes() for p in w.glob("runs/*/adapter/*.safetensors")} for w in (place, other)]
    assert len(adapters[0]) == 3
    assert adapters[0] == adapters[1]


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_whole_story_promotes_what_production_taught_and_blocks_what_a_spoiled_sheet_did(tmp_path, environment):
    answer, said = play(tmp_path / "w", environment=environment)
    assert (answer["good"], answer["spoiled"]) == ("promote", "block")
    before, after = answer["rates"]
    assert before["high"] < after["low"]
    assert before["n"] > 30
    assert after["n"] > 30
    assert "simulated" in said
    assert answer["release"] is not None
    assert [step["kind"] for step in answer["way"]][-1] == "release"
