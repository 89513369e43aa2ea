"""`clw train`, `eval` and `gate` leave a record each, which runs again to the same weights, scores and decision."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clworkbench.records.diff import diff
from clworkbench.workspace import Workspace
from tests.tiny_workspace import question


def clw(*words: object) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-c", "from clworkbench.cli import main; main()", *map(str, words), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


@pytest.fixture(scope="module")
def played(tiny_workspace, tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("played") / "workspace"
    shutil.copytree(tiny_workspace, folder)
    return Workspace(folder)


@pytest.fixture(scope="module")
def trained(played) -> dict[str, object]:
    return train(played, seed=5)


def train(workspace: Workspace, *, seed: int) -> dict[str, object]:
    name = str(workspace.catalog.artefacts("training_set")[0]["id"]).removeprefix("training_set:")
    status, answer = clw("train", name, "--steps", "3", "--seed", seed, "--workspace", workspace.folder)
    assert status == 0
    return answer


def comes_out_again(workspace: Workspace, record: object) -> None:
    status, again = clw("reproduce", record, "--workspace", workspace.folder)
    assert (status, again["same"], again["differences"]) == (0, True, []), record


def manifest_of(record: object) -> dict[str, dict[str, str]]:
    return json.loads((Path(str(record)) / "manifest.json").read_text())


def test_a_training_is_recorded_and_comes_out_with_the_same_weights(played, trained):
    folder = Path(str(trained["record"]))
    assert sorted(path.suffix for path in folder.iterdir()) == [".html", ".ipynb", ".json", ".toml"]
    assert manifest_of(folder)["artefacts"][f"run:{trained['run']}"] == trained["adapter_sha256"]
    comes_out_again(played, folder)


def test_an_evaluation_and_a_gate_are_recorded_without_texts_and_come_out_again(played, trained):
    run, place = f"run:{trained['run']}", ("--workspace", played.folder)
    scored = clw("eval", run, "--suite", "main", *place)[1]
    held = clw("gate", run, *place)[1]
    assert held["gate"] in manifest_of(held["record"])["artefacts"]
    for folder in (Path(str(scored["record"])), Path(str(held["record"]))):
        pages = [path.read_text() for path in folder.iterdir()]
        assert [number for number in range(184) for page in pages if question(number)[:16] in page] == []
        comes_out_again(played, folder)


def test_what_was_there_already_is_not_recorded_and_two_trainings_differ_by_their_seed(played, trained):
    assert "record" not in train(played, seed=5)
    changes = diff(played, str(trained["record"]), str(train(played, seed=6)["record"])).changes
    assert ("settings", "settings.seed", "5", "6") in [tuple(each) for each in changes]
