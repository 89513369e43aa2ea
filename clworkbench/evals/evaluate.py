"""Evaluation: a score for each example and scorer."""

from collections.abc import Callable, Sequence

import polars as pl

from clworkbench.errors import EvidenceError
from clworkbench.evals.report import EvalReport, summary
from clworkbench.evals.suites import canonical, ungradable
from clworkbench.models.generate import generate
from clworkbench.models.load import Loaded
from clworkbench.schemas import SCORES
from clworkbench.scorers.names import scorer

__all__ = ["EvalReport", "evaluate", "summary"]

CANNOT_GRADE = "the scorer does not give the expected answer itself full marks"


def evaluate(
    loaded: Loaded,
    suite: pl.DataFrame,
    scorers: Sequence[str],
    *,
    model: str,
    suite_id: str,
    max_new_tokens: int = 32,
    batch_size: int = 32,
    on_progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Let the model answer a suite once, greedily, and score each answer.

    Gold answers are scored first: an example whose gold does not get full marks says nothing about a model, so its
    score is null and `error` says so. An example that the model could not answer at all scores 0.

    Args:
        loaded: the model.
        suite: `schemas.SUITE`.
        scorers: their names, e.g. `exact_match`, `json_field:intent`.
        model: what the scores call the model.
        suite_id: what the scores call the suite.
        max_new_tokens: where an answer is cut.
        batch_size: examples at a time.
        on_progress: called with (answered, of how many).

    Returns:
        `schemas.SCORES` without `batch_id`: one row for each example and scorer, by `example_id`, then scorer.

    Raises:
        EvidenceError: the suite has no examples, no scorer is named, or no gold answer can be graded.
        ClwError: a scorer is unknown.
    """
    examples = canonical(suite)
    names = list(dict.fromkeys(scorers))
    if examples.is_empty() or not names:
        raise EvidenceError(f"suite {suite_id}: {examples.height} examples and {len(names)} scorers; both are needed.")
    no_grade = ungradable(examples, names)
    if no_grade.height == examples.height * len(names):
        raise EvidenceError(
            f"suite {suite_id}: {CANNOT_GRADE} on any of {examples.height} examples (scorers: {', '.join(names)}).\n"
            "Look at `expected`, or choose another scorer in [evals]."
        )
    answers = generate(
        loaded,
        examples["input"].to_list(),
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        on_progress=on_progress,
    )
    answered = pl.concat([examples, answers], how="horizontal")
    scored = pl.concat([_scored(answered, name) for name in names])
    blind = no_grade.select("example_id", "scorer", cannot=pl.lit(value=True))
    cannot = pl.col("cannot").fill_null(value=False)
    return (
        scored.join(blind, on=["example_id", "scorer"], how="left")
        .with_columns(
            model=pl.lit(model),
            suite=pl.lit(suite_id),
            repetition=pl.lit(0, dtype=pl.Int32),
            score=pl.when(~cannot).then("score"),
            error=pl.coalesce("error", pl.when(cannot).then(pl.lit(CANNOT_GRADE))),
            latency_ms=pl.lit(None, dtype=pl.Float64),
            cost_usd=pl.lit(None, dtype=pl.Float64),
        )
        .select(name for name in SCORES if name != "batch_id")
        .sort("example_id", "scorer")
    )


def _scored(answered: pl.DataFrame, name: str) -> pl.DataFrame:
    score = scorer(name)(answered["output"], answered["expected"])
    return answered.with_columns(scorer=pl.lit(name), score=score)
