"""The banking77 story: its cast by hand, its errors in words, and the whole of it once at a small size."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from clworkbench.demo import banking77
from clworkbench.demo.banking77 import LATE, Scale, play
from clworkbench.errors import ClwError, SourceError

CAST = Scale(3, 2, 25, 14, 5, 4, 1e-3, 4, 1e-3)


def table(path: Path, intents: dict[str, int]) -> Path:
    """A CSV of the story's shape with so many made-up questions an intent."""
    path.mkdir(exist_ok=True)
    with (path / "train.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "category"])
        writer.writerows((f"{intent} question {i}?", intent) for intent, n in intents.items() for i in range(n))
    return path


def cast_of(folder: Path, scale: Scale = CAST) -> pl.DataFrame:
    return banking77._cast(banking77._questions(folder / "train.csv"), scale, seed=0)


def parts(cast: pl.DataFrame) -> dict[tuple[bool, str], set[int]]:
    counted = cast.group_by("category", "late", "part").len()
    found: dict[tuple[bool, str], set[int]] = {}
    for late, part, n in counted.select("late", "part", "len").iter_rows():
        found.setdefault((late, part), set()).add(n)
    return found


def test_each_intent_gets_its_rows_and_the_late_ones_have_no_history(tmp_path):
    intents = {"a": 60, "b": 60, "c": 60, LATE[0]: 60, LATE[1]: 60}
    assert parts(cast_of(table(tmp_path, intents))) == {
        (False, "suite"): {14},
        (False, "traffic"): {5},
        (False, "history"): {20},
        (True, "suite"): {14},
        (True, "traffic"): {25},
    }


def test_a_file_with_fewer_rows_keeps_the_proportion(tmp_path):
    intents = {"a": 20, "b": 60, LATE[0]: 39}
    cast = cast_of(table(tmp_path, intents))
    small = cast.filter(pl.col("category") == "a")
    assert dict(small["part"].value_counts().iter_rows()) == {"suite": 7, "traffic": 5, "history": 8}  # 20 * 14 / 39


def test_no_wording_plays_two_parts(tmp_path):
    folder = table(tmp_path, {"a": 45, "b": 45, LATE[0]: 45})
    with (folder / "train.csv").open("a") as file:
        file.write("A question 1,a\n")
    cast = cast_of(folder)
    assert cast["row"].n_unique() == cast.height == 3 * 39


def test_another_seed_deals_other_rows_and_the_same_seed_the_same(tmp_path):
    questions = banking77._questions(table(tmp_path, {"a": 60, "b": 60, LATE[0]: 60}) / "train.csv")
    first, again, other = (banking77._cast(questions, CAST, seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("question,label\nwhy,a\n", "no column category, text among"),
        ("text,category\nwhy,a\n", "0 of the nine late intents"),
        ("", "not a CSV"),
    ],
)
def test_a_file_that_is_no_banking77_says_what_was_found(tmp_path, text, says):
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(SourceError, match=says):
        play(tmp_path, tmp_path / "w")


def test_a_workspace_of_another_story_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    folder = table(tmp_path / "data", {"a": 60, "b": 60, LATE[0]: 60})
    place = tmp_path / "w"
    place.mkdir()
    (place / "story.json").write_text(json.dumps({"story": "another"}))
    with pytest.raises(ClwError, match="holds another story"):
        play(folder, place, scale=CAST)


@pytest.fixture(scope="module")
def told(shared_data, tmp_path_factory):
    """The small story, played once through the command line."""
    place = tmp_path_factory.mktemp("story")
    environment = os.environ | {"CLW_CONFIG": str(place / "config")}
    code = "from clworkbench.cli import main; main()"
    words = [
        "demo",
        "--story",
        "banking77",
        "--small",
        "--data",
        str(shared_data / "banking77"),
        "--workspace",
        str(place / "w"),
        "--json",
    ]
    ran = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode in (0, 1), ran.stderr
    return json.loads(ran.stdout), place / "w", environment, ran.stderr


@pytest.mark.timeout(900)
def test_the_small_story_ends_with_a_decision_rates_and_a_picture(told):
    answer, _, _, said = told
    assert answer["good"] in ("promote", "hold", "block")
    assert answer["spoiled"] is None
    assert 0 <= answer["before"] <= answer["after"] <= 1
    assert "simulated" in said
    assert Path(answer["figure"]).stat().st_size > 100_000
    rates = {(row["model"], row["slice"]): row for row in answer["rates"]}
    assert set(rates) == {(who, part) for who in ("champion", "challenger", "control") for part in ("late", "old")}
    assert rates["champion", "late"]["rate"] == rates["control", "late"]["rate"] == 0.0
    assert all(row["low"] <= row["rate"] <= row["high"] for row in answer["rates"])


def test_no_suite_row_was_learned_and_lineage_leads_to_the_rows_of_the_csv(told, shared_data, monkeypatch):
    _, place, environment, _ = told
    monkeypatch.setenv("CLW_CONFIG", environment["CLW_CONFIG"])
    from clworkbench.lineage import trace
    from clworkbench.workspace import Workspace

    workspace = Workspace(place)
    with (shared_data / "banking77" / "train.csv").open(newline="") as file:
        questions = [row["text"] for row in csv.DictReader(file)]
    suite = {row[-1]["content"] for row in workspace.rows(workspace.find("suite", "questions")["id"])["input"]}
    run = workspace.catalog.artefacts("gate")[0]["challenger"]
    learned = workspace.read("interactions")
    texts = dict(zip(learned["source_id"], (row[-1]["content"] for row in learned["input"]), strict=True))
    down = trace(workspace, run).down
    records = down.filter(pl.col("kind") == "record")["id"].str.strip_prefix("record:desk/").to_list()
    assert len(records) > 50
    for record in records:
        text = texts[record]
        assert text not in suite
        assert "[" in text or questions[int(record.removeprefix("train.csv:")) - 1] == text


@pytest.mark.slow
def test_a_story_killed_in_the_middle_of_training_ends_like_an_undisturbed_one(told, shared_data, tmp_path):
    answer, place, environment, _ = told
    code = "from clworkbench.cli import main; main()"
    data = str(shared_data / "banking77")
    command = [
        sys.executable,
        "-c",
        code,
        "demo",
        "--story",
        "banking77",
        "--small",
        "--data",
        data,
        "--workspace",
        str(tmp_path / "w"),
        "--json",
    ]
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "w").glob("runs/*/checkpoints/*")) and time.monotonic() < deadline:
        time.sleep(0.2)
    running.send_signal(signal.SIGKILL)
    running.wait()
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    again = json.loads(ran.stdout)
    assert again["rates"] == answer["rates"]
    assert again["gates"] == answer["gates"]
    adapters = [
        sorted(p.read_bytes() for p in where.glob("runs/*/adapter/*.safetensors")) for where in (place, tmp_path / "w")
    ]
    assert adapters[0] == adapters[1]
