"""One command in two processes, as `accelerate launch` starts them: one run, written by the first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clworkbench.audit.run import run as audit_run
from clworkbench.workspace import Workspace
from tests.loop.runs.test_train import KINDS, SETTINGS, add_set

pytestmark = pytest.mark.slow

TWO = [
    "--multi_gpu",
    "--num_processes",
    "2",
    "--num_machines",
    "1",
    "--mixed_precision",
    "no",
    "--dynamo_backend",
    "no",
]
"""Two processes, on CPUs where there is no GPU; `accelerate launch --cpu` starts one."""


@pytest.fixture
def workspace(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    made = Workspace.create(tmp_path / "w", settings=SETTINGS.format(base=tiny_base))
    for kind in KINDS:
        add_set(made, kind)
    return made


def launched(workspace: Workspace, *words: str) -> dict[str, object]:
    bin_folder = Path(sys.executable).parent
    command = [str(bin_folder / "accelerate"), "launch", *TWO, str(bin_folder / "clw"), "train", *words, "--json"]
    environment = os.environ | {"CLW_WORKSPACE": str(workspace.folder), "OMP_NUM_THREADS": "1"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=400)
    assert found.returncode == 0, found.stdout + found.stderr
    answer: dict[str, object] = json.loads(found.stdout)
    return answer


def test_two_processes_make_one_run_and_the_same_command_finds_it_again(workspace: Workspace):
    made = launched(workspace, "sft")
    run = f"run:{made['run']}"
    manifest = workspace.find("run", run)
    assert manifest["environment"]["processes"] == 2  # type: ignore[index]
    assert manifest["environment"]["rows_at_once"] == 2  # type: ignore[index]
    assert [check for check in audit_run(workspace, run) if not check.ok] == []
    assert launched(workspace, "sft")["adapter_sha256"] == made["adapter_sha256"]
    assert len(workspace.catalog.artefacts("run")) == 1


@pytest.mark.parametrize("kind", ["preference", "unpaired", "reward"])
def test_every_method_learns_in_two_processes(workspace: Workspace, kind: str):
    made = launched(workspace, kind)
    assert made["loss_last"] < made["loss_first"]  # type: ignore[operator]
    assert len(workspace.catalog.artefacts("run")) == 1


def test_a_chain_learns_in_two_processes(workspace: Workspace):
    first = launched(workspace, "sft")
    child = launched(workspace, "preference", "--parent", str(first["run"]))
    assert child["loss_last"] < child["loss_first"] == pytest.approx(0.6931, abs=1e-3)  # type: ignore[operator]
