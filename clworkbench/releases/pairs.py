"""Two models' scores put side by side, example by example, for one metric at a time."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import polars as pl

from clworkbench import schemas
from clworkbench.errors import EvidenceError

Side = Literal["champion", "challenger"]

ROW = ("suite", "example_id", "scorer", "repetition")
EXAMPLE = ("suite", "example_id")
ANSWER = ("example", "repetition")

LOWER_IS_BETTER = frozenset({"cost_usd", "n_output_tokens", "abnormal_termination", "latency_ms"})
"""Metrics read off other columns than `score`; of all of them less is better."""

NORMAL_TERMINATIONS = (
    "stop",
    "stop_sequence",
    "end_turn",
    "eos",
    "eos_token",
    "completed",
    "complete",
    "success",
    "tool_calls",
    "tool_use",
    "function_call",
    "agent_stop",
    "user_stop",
)
"""How an answer or a conversation ends that was not cut off and did not fail, in the words of several sources."""


class Pairs(NamedTuple):
    """One metric's scores side by side, and what had to be left out.

    Attributes:
        frame: one row for each example graded on both sides: `example` (its number), `suite`, `slices`, `unit` and
            `inclusion` as `Comparison` has them, `champion`, `challenger` (means over the repetitions that both sides
            have).
        recorded: by side, how many answers carry the metric at all.
        ungraded: by side, how many answers should carry it and do not (null, NaN or infinite).
    """

    frame: pl.DataFrame
    recorded: dict[Side, int]
    ungraded: dict[Side, int]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Scores of champion and challenger, checked, with `example`, a number for each (suite, example_id).

    Attributes:
        examples: one row for each example: `suite`, `example_id`, `example`, `slices` as either side names them; of
            those drawn from production `unit` (the conversation) and `inclusion` (its chance), else null.
    """

    champion: pl.DataFrame
    challenger: pl.DataFrame
    examples: pl.DataFrame

    def sides(self) -> dict[Side, pl.DataFrame]:
        """Both frames by name."""
        return {"champion": self.champion, "challenger": self.challenger}

    def slice_names(self) -> list[str]:
        """Every slice that some example is in, in order."""
        return self.examples["slices"].explode(empty_as_null=True).drop_nulls().unique().sort().to_list()


def compare(champion: pl.DataFrame, challenger: pl.DataFrame, drawn: pl.DataFrame | None = None) -> Comparison:
    """Checks both frames of scores (`schemas.SCORES`; any order) and gathers the examples' slices.

    Args:
        champion: scores of the model in place.
        challenger: scores of the other.
        drawn: `releases.production.DRAWN`: of examples that were drawn from production, how.

    Raises:
        EvidenceError: a column is missing, a frame holds several models, or an example was scored twice.
    """
    sides = [_checked(champion, "champion"), _checked(challenger, "challenger")]
    examples = (
        pl.concat([side.select(*EXAMPLE, "slices") for side in sides])
        .group_by(EXAMPLE)
        .agg(pl.col("slices").explode(keep_nulls=False, empty_as_null=False).unique())
        .with_columns(slices=with_suite())
        .sort(EXAMPLE)
        .with_row_index("example")
    )
    if drawn is None:
        unknown = {"unit": pl.lit(None, pl.String), "inclusion": pl.lit(None, pl.Float64)}
        examples = examples.with_columns(**unknown)
    else:
        examples = examples.join(drawn, on=EXAMPLE, how="left", maintain_order="left")
    numbers = examples.select(*EXAMPLE, "example")
    before, after = (side.join(numbers, on=EXAMPLE, how="left") for side in sides)
    return Comparison(before, after, examples)


def with_suite() -> pl.Expr:
    """An example's slices; where several suites are compared, its suite is one of them."""
    own = pl.concat_list("slices", pl.col("suite").str.replace("@.*$", "")).list.unique(maintain_order=True)
    return pl.when(pl.col("suite").n_unique() > 1).then(own).otherwise("slices")


def _checked(scores: pl.DataFrame, side: Side) -> pl.DataFrame:
    needed = ["model", *EXAMPLE, "scorer", "score"]
    missing = [name for name in needed if name not in scores.columns]
    if missing:
        raise EvidenceError(
            f"{side}'s scores: no column {missing[0]!r} among {scores.columns}.\n"
            "Scores have one row for each model, suite, example, scorer and repetition."
        )
    models = scores["model"].drop_nulls().unique().sort().to_list()
    if len(models) > 1:
        raise EvidenceError(
            f"{side}'s scores hold {len(models)} models: {', '.join(map(str, models[:5]))}.\n"
            "A gate compares one with one: filter by `model` first."
        )
    typed = _typed(scores, side)
    twice = typed.filter(typed.select(ROW).is_duplicated())
    if len(twice):
        first = ", ".join(f"{name} {value!r}" for name, value in zip(ROW, twice.select(ROW).row(0), strict=True))
        raise EvidenceError(
            f"{side}'s scores: {len(twice)} rows are not alone with their key, e.g. {first}.\n"
            "Keep one row for each, or number them by `repetition`."
        )
    return typed


def _typed(scores: pl.DataFrame, side: Side) -> pl.DataFrame:
    columns = [pl.col(name) if name in scores.columns else pl.lit(None).alias(name) for name in schemas.SCORES]
    try:
        typed = scores.select(columns).cast(pl.Schema(schemas.SCORES))
    except pl.exceptions.InvalidOperationError as error:
        expected = ", ".join(f"{name} {kind}" for name, kind in schemas.SCORES.items())
        raise EvidenceError(f"{side}'s scores are of other types: {error}\nExpected: {expected}.") from error
    nameless = typed["example_id"].null_count()
    if nameless:
        raise EvidenceError(f"{side}'s scores: {nameless} rows have no example_id. Give each example its own.")
    return typed.with_columns(pl.col("repetition").fill_null(0), pl.col("suite").fill_null(""))


def pair(comparison: Comparison, metric: str) -> Pairs:
    """One metric of both sides by (suite, example, repetition); repetitions are averaged within their example."""
    known = {side: values(scores, metric) for side, scores in comparison.sides().items()}
    both = known["champion"].join(known["challenger"], on=ANSWER, how="inner", suffix="_challenger")
    frame = (
        both.drop_nulls(["value", "value_challenger"])
        .group_by("example")
        .agg(champion=pl.col("value").mean(), challenger=pl.col("value_challenger").mean())
        .join(comparison.examples.select("example", "suite", "slices", "unit", "inclusion"), on="example", how="left")
        .sort("example")
    )
    return Pairs(
        frame,
        recorded={side: len(found) - found["value"].null_count() for side, found in known.items()},
        ungraded={side: found["value"].null_count() for side, found in known.items()},
    )


def by_unit(frame: pl.DataFrame) -> pl.DataFrame:
    """One row for each conversation, its examples averaged: what was drawn together are no independent witnesses."""
    if not frame["unit"].count():
        return frame
    own = pl.coalesce("unit", pl.col("example").cast(pl.String))
    return frame.group_by("suite", own, maintain_order=True).agg(pl.col("champion", "challenger").mean())


def values(scores: pl.DataFrame, metric: str) -> pl.DataFrame:
    """One row for each answer: `example`, `repetition`, `value` (null where not known)."""
    if metric not in LOWER_IS_BETTER:
        return scores.filter(pl.col("scorer") == metric).select(*ANSWER, value=_finite(pl.col("score")))
    return scores.group_by(ANSWER).agg(value=_derived(metric).drop_nulls().mean())


def _finite(value: pl.Expr) -> pl.Expr:
    return pl.when(value.is_finite()).then(value)


def _derived(metric: str) -> pl.Expr:
    if metric != "abnormal_termination":
        return _finite(pl.col(metric).cast(pl.Float64))
    # An error decides only where no termination is said: a scorer may fail on an answer that ended well.
    normal = pl.col("termination").str.to_lowercase().is_in(NORMAL_TERMINATIONS)
    failed = pl.when(pl.col("error").is_not_null()).then(pl.lit(value=True))
    return pl.coalesce(~normal, failed).cast(pl.Float64)


def in_slice(name: str, target: str | None) -> pl.Expr:
    """Which examples a gate speaks of: `all`, a slice's name, or `rest`, those outside the target slice."""
    if name == "all":
        return pl.lit(value=True)
    if name == "rest":
        return ~_member(target) if target is not None else pl.lit(value=False)
    return _member(name)


def _member(name: str) -> pl.Expr:
    return pl.col("slices").list.contains(name).fill_null(value=False)
