"""`clw train`, `eval` and `gate` leave a record each, which runs again to the same weights, scores and decision."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clworkbench.records.diff import diff
from clworkbench.workspace import Workspace
from tests.tiny_workspace import question

Answers = Callable[..., tuple[int, dict[str, object]]]


@pytest.fixture(scope="module")
def answer(clw) -> Answers:
    def run(*words: object) -> tuple[int, dict[str, object]]:
        ran = clw(*words, "--json")
        assert ran.stdout, ran.stderr
        return ran.returncode, json.loads(ran.stdout)

    return run


@pytest.fixture(scope="module")
def trained(played, answer) -> dict[str, object]:
    return train(played, answer, seed=5)


def train(workspace: Workspace, answer: Answers, *, seed: int) -> dict[str, object]:
    name = str(workspace.catalog.artefacts("training_set")[0]["id"]).removeprefix("training_set:")
    status, told = answer("train", name, "--steps", "3", "--seed", seed)
    assert status == 0
    return told


def comes_out_again(answer: Answers, record: object) -> None:
    status, again = answer("reproduce", record)
    assert (status, again["same"], again["differences"]) == (0, True, []), record


def manifest_of(record: object) -> dict[str, dict[str, str]]:
    return json.loads((Path(str(record)) / "manifest.json").read_text())


def test_a_training_is_recorded_and_comes_out_with_the_same_weights(trained, answer):
    folder = Path(str(trained["record"]))
    assert sorted(path.suffix for path in folder.iterdir()) == [".html", ".ipynb", ".json", ".toml"]
    assert manifest_of(folder)["artefacts"][f"run:{trained['run']}"] == trained["adapter_sha256"]
    comes_out_again(answer, folder)


def test_an_evaluation_and_a_gate_are_recorded_without_texts_and_come_out_again(trained, answer):
    run = f"run:{trained['run']}"
    scored = answer("eval", run, "--suite", "main")[1]
    held = answer("gate", run)[1]
    assert held["gate"] in manifest_of(held["record"])["artefacts"]
    for folder in (Path(str(scored["record"])), Path(str(held["record"]))):
        pages = [path.read_text() for path in folder.iterdir()]
        assert [number for number in range(184) for page in pages if question(number)[:16] in page] == []
        comes_out_again(answer, folder)


def test_what_was_there_already_is_not_recorded_and_two_trainings_differ_by_their_seed(played, trained, answer):
    assert "record" not in train(played, answer, seed=5)
    changes = diff(played, str(trained["record"]), str(train(played, answer, seed=6)["record"])).changes
    assert ("settings", "settings.seed", "5", "6") in [tuple(each) for each in changes]
