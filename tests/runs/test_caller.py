"""What a run sets in its process stays its own: chance, environment variables, and a word to whom interrupted it."""

import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from clworkbench.runs.caller import environment_variables
from clworkbench.runs.settings import Machine, SftSettings
from clworkbench.runs.sft import train_sft
from tests.runs.made_rows import PAIRS, QUICK, completions

ONE_STEP = replace(SftSettings(**QUICK), steps=1)


def test_the_settings_decide_the_dtype_and_the_caller_s_chance_is_its_own(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import torch

    def draw() -> tuple[float, float, float]:
        return torch.rand(1).item(), random.random(), np.random.rand()

    def seed() -> None:
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)

    settings = replace(ONE_STEP, machine=Machine(threads=1, dtype="float32"))
    seed()
    expected = draw()
    seed()
    plain = train_sft(completions(), tiny_base, tmp_path / "plain", settings)
    assert draw() == expected
    # What `accelerate launch --mixed_precision bf16` sets.
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    launched = train_sft(completions(), tiny_base, tmp_path / "launched", settings)
    assert launched.adapter_sha256 == plain.adapter_sha256
    assert os.environ["ACCELERATE_MIXED_PRECISION"] == "bf16"


def test_environment_variables_are_put_back_also_after_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLW_TEST_SET", "before")
    monkeypatch.delenv("CLW_TEST_UNSET", raising=False)

    def fail() -> None:
        with environment_variables({"CLW_TEST_SET": None, "CLW_TEST_UNSET": "within"}):
            assert (os.environ.get("CLW_TEST_SET"), os.environ["CLW_TEST_UNSET"]) == (None, "within")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert os.environ["CLW_TEST_SET"] == "before"
    assert "CLW_TEST_UNSET" not in os.environ


@pytest.mark.slow
def test_tensorboard_gets_each_run_s_losses_and_no_text_of_a_row(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.chdir(tmp_path)
    settings = replace(ONE_STEP, steps=2, machine=Machine(threads=1, report_to=("tensorboard",)))
    run = train_sft(completions(), tiny_base, tmp_path / "runs" / "sft-1", settings)
    curve = tmp_path / "tensorboard" / "sft-1"
    told = accumulator.EventAccumulator(str(curve))
    told.Reload()
    assert [event.value for event in told.Scalars("train/loss")] == pytest.approx(run.losses["loss"].to_list())
    written = b"".join(file.read_bytes() for file in curve.iterdir())
    assert [text for pair in PAIRS for text in pair if text.encode() in written] == []
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ
