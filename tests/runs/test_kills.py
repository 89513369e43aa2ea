"""Twenty kills with signal 9, also inside a checkpoint's write and before the last word: the bytes stay the same."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clworkbench.runs.dpo import train_dpo
from clworkbench.runs.kto import train_kto
from clworkbench.runs.resumed import OnStep
from clworkbench.runs.reward import train_reward
from clworkbench.runs.settings import DpoSettings, KtoSettings, RewardSettings, RunResult, RunSettings, SftSettings
from clworkbench.runs.sft import train_sft
from tests.runs.made_rows import QUICK, completions, dialogues, preferences, unpaired

pytestmark = pytest.mark.slow

PLACES = ["step 1", "optimizer of 2", "step 3", "adapter of 4", "last word"]

KILLER = """
import os, signal, sys
from pathlib import Path
from tests.runs.test_kills import trained
method, base, out, place = sys.argv[1:]
what, _, at = place.rpartition(" ")

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def on_step(step, *told):
    if place == f"step {step}":
        die()

def half(save, name):
    def half_saved(thing, file, *rest, **more):
        if f"checkpoint-{at}" in str(file):
            Path(file).write_bytes(b"half")
            die()
        return save(thing, file, *rest, **more)
    return half_saved

if what == "optimizer of":
    import torch
    torch.save = half(torch.save, "optimizer")
if what == "adapter of":
    import peft.peft_model
    peft.peft_model.safe_save_file = half(peft.peft_model.safe_save_file, "adapter")
if place == "last word":
    import clworkbench.runs.resumed
    clworkbench.runs.resumed.last_word = die
trained(method, Path(base), Path(out), on_step)
"""


def trained(method: str, base: Path, out: Path, on_step: OnStep | None = None) -> RunResult:
    """A run of six steps, with a checkpoint after every second."""
    learn, rows, settings = {
        "sft": (train_sft, completions(), SftSettings),
        "dpo": (train_dpo, preferences(), DpoSettings),
        "kto": (train_kto, unpaired(), KtoSettings),
        "reward": (train_reward, dialogues(), RewardSettings),
    }[method]
    decided: RunSettings = settings(**QUICK)  # type: ignore[arg-type]
    found: RunResult = learn(rows, base, out, decided, on_step=on_step)  # type: ignore[operator]
    return found


@pytest.mark.parametrize("method", ["sft", "dpo", "kto", "reward"])
def test_a_run_killed_five_times_ends_with_the_bytes_of_an_undisturbed_one(
    method: str, tiny_base: Path, tmp_path: Path
):
    undisturbed = trained(method, tiny_base, tmp_path / "undisturbed")
    for place in PLACES:
        command = [sys.executable, "-c", KILLER, method, str(tiny_base), str(tmp_path / "killed"), place]
        root = Path(__file__).parents[2]
        killed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=300)
        assert killed.returncode == -signal.SIGKILL, f"{place}: {killed.stdout}{killed.stderr}"
        assert not (tmp_path / "killed" / "training.json").exists()
    again = trained(method, tiny_base, tmp_path / "killed")
    assert again.adapter_sha256 == undisturbed.adapter_sha256
    assert again.losses.equals(undisturbed.losses)
    assert sorted(path.name for path in (tmp_path / "killed").iterdir()) == ["adapter", "training.json"]
