"""F1 of a classification over a whole set: macro and micro, and each class, which no mean of examples' scores is."""

from typing import NamedTuple

import polars as pl

from clworkbench.scorers.classification import is_classification, labels
from clworkbench.statistics.f1 import f1
from clworkbench.statistics.intervals import wilson_bounds

F1S = pl.Schema(
    {
        "slice": pl.String,
        "scorer": pl.String,
        "average": pl.String,
        "n": pl.Int64,
        "f1": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
)
"""One row for each slice (`all` first), scorer and average (`macro`, `micro`): F1 over the `n` graded examples, and its
95 % interval by the bootstrap over examples."""

CLASSES = pl.Schema(
    {
        "scorer": pl.String,
        "label": pl.String,
        "n": pl.Float64,
        "predicted": pl.Float64,
        "precision": pl.Float64,
        "precision_low": pl.Float64,
        "precision_high": pl.Float64,
        "recall": pl.Float64,
        "recall_low": pl.Float64,
        "recall_high": pl.Float64,
        "f1": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
)
"""One row for each scorer and class: how often it is expected (`n`) and `predicted`, precision and recall with Wilson's
95 % intervals (null where nothing is predicted), F1 with the bootstrap's. Repetitions share an example's weight."""


class OfClasses(NamedTuple):
    """F1 over the set and its slices (`F1S`), and each class (`CLASSES`)."""

    f1: pl.DataFrame
    by_class: pl.DataFrame


def of_classes(scores: pl.DataFrame, examples: pl.DataFrame | None, whole: str) -> OfClasses:
    """F1 of each classification among the scorers; both frames are empty where there is none.

    Args:
        scores: rows of `schemas.SCORES` of one model on one suite.
        examples: the suite, whose `expected` names the class; nothing is told without it.
        whole: what the whole set is called among the slices.
    """
    f1s, tables = [pl.DataFrame(schema=F1S)], [pl.DataFrame(schema=CLASSES)]
    graded = scores.filter(pl.col("score").is_not_null())
    for name in [each for each in graded["scorer"].unique().sort() if is_classification(each)]:
        if examples is None:
            continue
        pairs = _pairs(graded.filter(scorer=name), examples, name)
        if pairs.is_empty():
            continue
        f1s += _by_slice(pairs, name, whole)
        tables.append(_table(pairs, name))
    return OfClasses(pl.concat(f1s), pl.concat(tables))


def _pairs(graded: pl.DataFrame, examples: pl.DataFrame, name: str) -> pl.DataFrame:
    """One row for each answer: `example`, `slices`, `expected`, `predicted`."""
    known = graded.join(examples.select("example_id", wanted="expected"), on="example_id", maintain_order="left")
    told = labels(name, known["output"], known["wanted"])
    answers = known.select("slices", example="example_id")
    return pl.concat([answers, told], how="horizontal").drop_nulls("expected")


def _by_slice(pairs: pl.DataFrame, name: str, whole: str) -> list[pl.DataFrame]:
    named = sorted(set(pairs["slices"].explode(empty_as_null=True).drop_nulls()) - {whole})
    parts = [(whole, pairs), *((each, pairs.filter(pl.col("slices").list.contains(each))) for each in named)]
    found = []
    for where, rows in parts:
        over = f1(rows)
        n = rows["example"].n_unique()
        found += [
            {"slice": where, "scorer": name, "average": average, "n": n, "f1": each.value, **each.interval._asdict()}
            for average, each in (("macro", over.macro), ("micro", over.micro))
        ]
    return [pl.DataFrame(found, schema=F1S)]


def _table(pairs: pl.DataFrame, name: str) -> pl.DataFrame:
    said = pl.when(pl.col("predicted") > 0).then(pl.col("right") / pl.col("predicted"))
    found = f1(pairs).by_class.with_columns(scorer=pl.lit(name), precision=said, recall=pl.col("right") / pl.col("n"))
    precision = wilson_bounds(pl.col("precision"), pl.col("predicted"))
    recall = wilson_bounds(pl.col("recall"), pl.col("n"))
    return (
        found.with_columns(
            precision_low=precision.low, precision_high=precision.high, recall_low=recall.low, recall_high=recall.high
        )
        .select(list(CLASSES))
        .cast(CLASSES)
    )
