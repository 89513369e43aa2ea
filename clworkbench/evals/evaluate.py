"""Evaluation: a score for each example and scorer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from clworkbench.errors import EvidenceError
from clworkbench.evals.report import EvalReport, summary
from clworkbench.evals.suites import canonical, ungradable
from clworkbench.models.generate import GENERATIONS, generate
from clworkbench.models.load import Loaded
from clworkbench.schemas import SCORES
from clworkbench.scorers.names import scorer

__all__ = ["ANSWERS", "EvalReport", "Grading", "evaluate", "summary"]

CANNOT_GRADE = "the scorer does not give the expected answer itself full marks"


ANSWERS = pl.Schema({"example_id": pl.String(), "repetition": pl.Int32(), **GENERATIONS, "cost_usd": pl.Float64()})
"""One row for each example and repetition: what a model answered, as `models.generate.GENERATIONS` has it."""


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
        As `Grading.scores`.

    Raises:
        EvidenceError: the suite has no examples, no scorer is named, or no gold answer can be graded.
        ClwError: a scorer is unknown.
    """
    grading = Grading.of(suite, scorers, suite_id)
    answers = generate(
        loaded,
        grading.examples["input"].to_list(),
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        on_progress=on_progress,
    )
    own = grading.examples.select("example_id", repetition=pl.lit(0, pl.Int32), cost_usd=pl.lit(None, pl.Float64))
    return grading.scores(pl.concat([own, answers], how="horizontal").select(list(ANSWERS)), model)


@dataclass(frozen=True)
class Grading:
    """A suite that can be graded: its gold answers were scored before a model answers anything.

    Attributes:
        suite_id: what scores call it.
        examples: in canonical order.
        scorers: by name.
        no_grade: `evals.suites.ungradable`: examples whose own gold does not get full marks say nothing about a model.
    """

    suite_id: str
    examples: pl.DataFrame
    scorers: tuple[str, ...]
    no_grade: pl.DataFrame

    @classmethod
    def of(cls, suite: pl.DataFrame, scorers: Sequence[str], suite_id: str) -> "Grading":
        """Checks a suite and scorers.

        Raises:
            EvidenceError: the suite has no examples, no scorer is named, or no gold answer can be graded.
            ClwError: a scorer is unknown.
        """
        examples = canonical(suite)
        names = list(dict.fromkeys(scorers))
        if examples.is_empty() or not names:
            raise EvidenceError(
                f"suite {suite_id}: {examples.height} examples and {len(names)} scorers; both are needed."
            )
        no_grade = ungradable(examples, names)
        if no_grade.height == examples.height * len(names):
            why = "".join(f" {reason}." for reason in no_grade["reason"].drop_nulls().head(1))
            raise EvidenceError(
                f"suite {suite_id}: {CANNOT_GRADE} on any of {examples.height} examples (scorers: {', '.join(names)})."
                f"{why}\nLook at `expected`, or choose another scorer in [evals]."
            )
        return cls(suite_id, examples, tuple(names), no_grade)

    def scores(self, answers: pl.DataFrame, model: str) -> pl.DataFrame:
        """Scores of a model's answers (`ANSWERS`); an example that it could not answer at all scores 0.

        Returns:
            `schemas.SCORES` without `batch_id`: one row for each example, scorer and repetition, in this order; where
            the example's gold cannot be graded the score is null, and `error` says so.
        """
        answered = self.examples.join(answers, on="example_id", how="inner", maintain_order="left")
        scored = pl.concat([_scored(answered, name) for name in self.scorers])
        blind = self.no_grade.select("example_id", "scorer", cannot=pl.col("reason").fill_null(CANNOT_GRADE))
        return (
            scored.join(blind, on=["example_id", "scorer"], how="left")
            .with_columns(
                model=pl.lit(model),
                suite=pl.lit(self.suite_id),
                score=pl.when(pl.col("cannot").is_null()).then("score"),
                error=pl.coalesce("error", "cannot", "ungraded"),
            )
            .select(name for name in SCORES if name != "batch_id")
            .sort("example_id", "scorer", "repetition")
        )


def _scored(answered: pl.DataFrame, name: str) -> pl.DataFrame:
    score, ungraded = scorer(name).graded(answered["output"], answered["expected"], answered["input"])
    return answered.with_columns(scorer=pl.lit(name), score=score, ungraded=ungraded)
