"""Settings and results of training runs."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from clworkbench.errors import SettingsError
from clworkbench.models.torch_setup import DType
from clworkbench.schemas import TrainingKind

Method = Literal["sft", "dpo", "kto", "reward", "grpo"]

KINDS: dict[Method, TrainingKind] = {
    "sft": "sft",
    "dpo": "preference",
    "kto": "unpaired",
    "reward": "reward",
    "grpo": "prompts",
}
"""The kind of training set that each method learns from."""

Preset = Literal["cpu", "gpu", "gpus"]
"""How a run uses the machine; see `runs.presets`."""

Tracker = Literal["mlflow", "tensorboard", "trackio", "wandb"]
TRACKERS: tuple[str, ...] = get_args(Tracker)

DECIDES_NOTHING = ("report_to", "checkpoint_every")
"""Of a machine's settings, those that change no byte of the result: a run keeps its id when they change."""

LOSSES = pl.Schema({"step": pl.Int64, "loss": pl.Float64, "learning_rate": pl.Float64})
"""One row for each optimiser step: its loss, and its learning rate. A method's own numbers stand beside them."""


def _whole(name: str, value: object, *, least: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingsError(f"training: {name} = {value!r}; it must be a whole number of at least {least}.")


def _above_0(name: str, value: object, *, example: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise SettingsError(f"training: {name} = {value!r}; it must be a number above 0, such as {example}.")


@dataclass(frozen=True)
class Machine:
    """How a run uses the machine. It is not meant to change what is learned; rounding may.

    Attributes:
        preset: what the fields left at None are; None takes the one that fits the machine.
        threads: CPU threads; torch's own choice when None.
        dtype: of the multiplications, and of a base that is not itself trained.
        rows_at_once: rows on a device at a time; a step's rows are worked off in so many parts.
        gradient_checkpointing: activations are computed twice and not kept: less memory, a fifth slower.
        checkpoint_every: steps between checkpoints.
        report_to: trackers that follow the losses.
    """

    preset: Preset | None = None
    threads: int | None = None
    dtype: DType | None = None
    rows_at_once: int | None = None
    gradient_checkpointing: bool | None = None
    checkpoint_every: int = 20
    report_to: tuple[Tracker, ...] = ()

    def __post_init__(self) -> None:
        """Raise SettingsError for what means nothing."""
        _whole("checkpoint_every", self.checkpoint_every)
        for name in ("threads", "rows_at_once"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name))
        for name in self.report_to:
            if name not in TRACKERS:
                raise SettingsError(f"training: report_to = {name!r} is no tracker. There: {', '.join(TRACKERS)}.")


@dataclass(frozen=True)
class RunSettings:
    """What an analyst may decide about any run; the rest is fixed where it is used.

    Attributes:
        steps: optimiser steps.
        batch_size: rows a step, over all devices.
        learning_rate: the highest; it warms up over the first tenth and falls as a cosine.
        rank: of the LoRA adapter, on all linear layers, with alpha twice as large; 0 trains all weights instead.
        max_tokens: a row's prompt and answer are at most so long.
        seed: of the adapter's first weights, of the order of rows, and of what is sampled.
        machine: how the run uses the machine.
    """

    steps: int = 60
    batch_size: int = 16
    learning_rate: float = 1e-3
    rank: int = 8
    max_tokens: int = 256
    seed: int = 0
    machine: Machine = Machine()

    def __post_init__(self) -> None:
        """Raise SettingsError for a number that means nothing."""
        for name in ("steps", "batch_size", "max_tokens"):
            _whole(name, getattr(self, name))
        _whole("rank", self.rank, least=0)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise SettingsError(f"training: seed = {self.seed!r}; it must be a whole number from 0 to 4294967295.")
        _above_0("learning_rate", self.learning_rate, example="1e-3")

    def as_dict(self) -> dict[str, object]:
        """The settings by name, flat, for a manifest; without trackers and checkpoints, which decide nothing."""
        flat = asdict(self) | asdict(self.machine)
        return {name: value for name, value in flat.items() if name not in ("machine", *DECIDES_NOTHING)}


@dataclass(frozen=True)
class SftSettings(RunSettings):
    """A supervised run decides no more than any other."""


@dataclass(frozen=True)
class RewardSettings(RunSettings):
    """A reward model decides no more than any other run."""


@dataclass(frozen=True)
class DpoSettings(RunSettings):
    """Direct preference optimisation.

    Attributes:
        beta: how strongly the model is held to where it started.
    """

    beta: float = 0.1

    def __post_init__(self) -> None:
        """Raise SettingsError for a number that means nothing."""
        super().__post_init__()
        _above_0("beta", self.beta, example="0.1")


@dataclass(frozen=True)
class KtoSettings(RunSettings):
    """Kahneman-Tversky optimisation; wanted and unwanted rows weigh by their counts.

    Attributes:
        beta: how strongly the model is held to where it started.
    """

    beta: float = 0.1

    def __post_init__(self) -> None:
        """Raise SettingsError for a number that means nothing."""
        super().__post_init__()
        _above_0("beta", self.beta, example="0.1")


@dataclass(frozen=True)
class GrpoSettings(RunSettings):
    """Group relative policy optimisation with verifiers; `batch_size` counts answers, not prompts.

    Attributes:
        generations: answers sampled for each prompt of a step.
    """

    generations: int = 4

    def __post_init__(self) -> None:
        """Raise SettingsError for a number that means nothing."""
        super().__post_init__()
        _whole("generations", self.generations, least=2)
        if self.batch_size % self.generations:
            enough = self.generations * (self.batch_size // self.generations + 1)
            raise SettingsError(
                f"training: batch_size = {self.batch_size} is not a multiple of generations = {self.generations}, the "
                f"answers to each prompt of a step.\nTake batch_size = {enough}."
            )

    @property
    def max_new_tokens(self) -> int:
        """An answer is cut here: a quarter of `max_tokens` is kept for it."""
        return max(1, self.max_tokens // 4)


@dataclass(frozen=True)
class RunResult:
    """What a run left.

    Attributes:
        method: how it was trained.
        adapter: folder with `adapter_model.safetensors` and `adapter_config.json`; of a run of all weights, the folder
            with the model.
        adapter_sha256: SHA-256 of `adapter_model.safetensors`; of a run of all weights, the folder's fingerprint.
        steps: optimiser steps.
        seconds: of training, over all resumptions, without imports and loading.
        n_tokens: that were read, padding left out: a prompt with each of its answers; None where nobody counted.
        losses: `LOSSES` and the method's own columns.
        loss_first: the first step's.
        loss_last: the last step's.
        rows: rows that were learned from.
        truncated: rows among them that were cut at `max_tokens`.
        dropped: rows left out: of weight 0, or with nothing of the answer left before `max_tokens`.
        environment: versions, CPU, threads and dtype; the hash can be expected again where all of these are the same.
        details: what else the method found or decided by itself.
    """

    method: Method
    adapter: Path
    adapter_sha256: str
    steps: int
    seconds: float
    n_tokens: int | None
    losses: pl.DataFrame
    loss_first: float
    loss_last: float
    rows: int
    truncated: int
    dropped: int
    environment: Mapping[str, str | int]
    details: Mapping[str, object]

    def __repr__(self) -> str:
        return (
            f"RunResult({self.method}: {self.steps} steps on {self.rows} rows in {self.seconds:.0f} s, "
            f"loss {self.loss_first:.3f} → {self.loss_last:.3f}, adapter {self.adapter_sha256[:12]})"
        )
