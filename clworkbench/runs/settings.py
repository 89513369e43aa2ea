"""Settings and results of a training run."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from clworkbench.errors import SettingsError

LOSSES = pl.Schema({"step": pl.Int64, "loss": pl.Float64, "learning_rate": pl.Float64})
"""One row for each optimiser step: the mean loss of a completion's token, and the step's learning rate."""


@dataclass(frozen=True)
class SftSettings:
    """What an analyst may decide about a supervised run; the rest is fixed where it is used.

    Attributes:
        steps: optimiser steps.
        batch_size: rows a step.
        learning_rate: the highest; it warms up over the first tenth and falls as a cosine.
        rank: of the LoRA adapter, on all linear layers, with alpha twice as large.
        max_tokens: a row's prompt and completion are cut here.
        seed: of the adapter's first weights and of the order of rows.
        threads: CPU threads; torch's own choice when None.
        checkpoint_every: steps between checkpoints.
    """

    steps: int = 60
    batch_size: int = 16
    learning_rate: float = 1e-3
    rank: int = 8
    max_tokens: int = 256
    seed: int = 0
    threads: int | None = None
    checkpoint_every: int = 20

    def __post_init__(self) -> None:
        """Raise SettingsError for a number that means nothing."""
        counts = ("steps", "batch_size", "rank", "max_tokens", "checkpoint_every", "threads")
        for name in counts:
            value = getattr(self, name)
            if value is None and name == "threads":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SettingsError(f"training: {name} = {value!r}; it must be a whole number of at least 1.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise SettingsError(f"training: seed = {self.seed!r}; it must be a whole number from 0 to 4294967295.")
        rate = self.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not math.isfinite(rate) or rate <= 0:
            raise SettingsError(f"training: learning_rate = {rate!r}; it must be a number above 0, such as 1e-3.")

    def as_dict(self) -> dict[str, int | float | None]:
        """The settings by name, for a manifest."""
        return asdict(self)


@dataclass(frozen=True)
class SftResult:
    """What a supervised run left.

    Attributes:
        adapter: folder with `adapter_model.safetensors` and `adapter_config.json`.
        adapter_sha256: SHA-256 of `adapter_model.safetensors`.
        steps: optimiser steps.
        seconds: of training, over all resumptions, without imports and loading.
        losses: `LOSSES`.
        loss_first: the first step's.
        loss_last: the last step's.
        rows: rows that were learned from.
        truncated: rows among them that were cut at `max_tokens`.
        dropped: rows left out: of weight 0, or with nothing of the completion left before `max_tokens`.
        environment: versions, CPU, threads and dtype; the hash can be expected again where all of these are the same.
    """

    adapter: Path
    adapter_sha256: str
    steps: int
    seconds: float
    losses: pl.DataFrame
    loss_first: float
    loss_last: float
    rows: int
    truncated: int
    dropped: int
    environment: dict[str, str | int]

    def __repr__(self) -> str:
        return (
            f"SftResult({self.steps} steps on {self.rows} rows in {self.seconds:.0f} s, "
            f"loss {self.loss_first:.3f} → {self.loss_last:.3f}, adapter {self.adapter_sha256[:12]})"
        )
