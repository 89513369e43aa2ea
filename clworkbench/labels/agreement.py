"""How far annotators agree: with each other, with known answers, by question, pair, annotator and slice."""

from collections.abc import Collection, Mapping
from itertools import combinations
from math import isnan, nan

import numpy as np
import polars as pl

from clworkbench.labels.agreement_report import AgreementReport
from clworkbench.labels.coded import KEPT_OR_CHANGED, MANY, Coded, coded, comparable
from clworkbench.labels.latest import GOLD, SETS
from clworkbench.statistics.agreement import Alpha, Level, apart, measured
from clworkbench.statistics.intervals import wilson_bounds
from clworkbench.statistics.kappa import Weights, kappa

_ALPHA = {"alpha": pl.Float64, "low": pl.Float64, "high": pl.Float64, "n": pl.Int64, "spread": pl.Float64}
QUESTIONS = pl.Schema(
    {"question": pl.String, "kind": pl.String, **_ALPHA, "why": pl.String, "labels": pl.Int64, "annotators": pl.Int64}
    | {f"{name}_unaided": dtype for name, dtype in _ALPHA.items()}
)
PAIRS = pl.Schema(
    {"question": pl.String, "a": pl.String, "b": pl.String, "kappa": pl.Float64}
    | {"low": pl.Float64, "high": pl.Float64, "n": pl.Int64}
)
SLICES = pl.Schema({"question": pl.String, "slice": pl.String, **_ALPHA})
DISAGREEMENTS = pl.Schema(
    {"question": pl.String, "interaction_id": pl.String, "apart": pl.Float64, "n": pl.Int64, "said": pl.String}
)


def agreement(
    labels: pl.DataFrame,
    asked: pl.DataFrame,
    *,
    experts: Collection[str] = (),
    levels: Mapping[str, Level] | None = None,
) -> AgreementReport:
    """Measures agreement on each question, with and without answers that were left as they were suggested.

    Args:
        labels: schema `LABELS`, the latest answer of each annotator; perhaps with `slices` (the names of those that the
            signal is in) and `n_chars` (the length of the text that spans are marked in). Those of the source `gold`
            say what is right.
        asked: schema `ASKED`, the latest state of each; only its options are looked at.
        experts: keys of annotators whose answer is right where there is no gold label and they do not contradict each
            other.
        levels: by question, how its answers are compared, where not as `coded.KINDS` says.

    Returns:
        A report. Answers without an annotator are counted and not compared. A question is named by itself where one
        set asks it, else `<set>/<question>`. Free text is not compared, and of a correction only whether the model's
        answer was kept.
    """
    named = _named(labels.filter(pl.col("status") == "submitted"))
    rows = comparable(named, asked)
    given = rows.filter((pl.col("source") != GOLD) & pl.col("annotator_key").is_not_null())
    unattributed = rows.filter((pl.col("source") != GOLD) & pl.col("annotator_key").is_null()).height
    questions, pairs, slices, disagreements = [], [], [], []
    for (name,), part in given.group_by("name", maintain_order=True):
        level = (levels or {}).get(str(part["question"][0]))
        table = coded(part, level)
        questions.append({"question": name, **_question(part, table, level)})
        if table is None:
            continue
        slices += [{"question": name, **row} for row in _by_slice(part, level)]
        pairs += [{"question": name, **row} for row in _pairs(table)]
        disagreements += [{"question": name, **row} for row in _disagreements(part, table)]
    return AgreementReport(
        pl.DataFrame(questions, schema=QUESTIONS).sort("question"),
        pl.DataFrame(pairs, schema=PAIRS).sort("question", "a", "b"),
        against_gold(rows, experts),
        pl.DataFrame(slices, schema=SLICES).sort("question", "slice"),
        pl.DataFrame(disagreements, schema=DISAGREEMENTS).sort(
            "apart", "n", "question", "interaction_id", descending=[True, True, False, False]
        ),
        unattributed,
    )


def _named(labels: pl.DataFrame) -> pl.DataFrame:
    """Adds `set`, the question set, and `name`, what the question is called in a report."""
    asked = labels.with_columns(set=pl.col("source").str.strip_prefix(SETS)).sort("question", "set")
    sets = pl.col("set").filter(pl.col("source") != GOLD).n_unique().over("question")
    both = pl.format("{}/{}", "set", "question")
    return asked.with_columns(name=pl.when(sets > 1).then(both).otherwise("question"))


def _question(rows: pl.DataFrame, table: Coded | None, level: Level | None) -> dict[str, object]:
    """One question's alpha, with and without the answers that are what was suggested."""
    found = _measured(table)
    kind = "text" if table is None else table.kind
    touched = rows.filter(~pl.col("equals_suggestion").fill_null(value=False))
    same = touched.height == rows.height or kind == KEPT_OR_CHANGED  # which is about nothing else
    unaided = found if same else _measured(coded(touched, level))
    about = {"labels": rows.height, "annotators": rows["annotator_key"].n_unique()}
    left = {f"{name}_unaided": value for name, value in _numbers(unaided).items()}
    return {"kind": kind, **_numbers(found), "why": found.why, **about, **left}


def _measured(table: Coded | None) -> Alpha:
    if table is None:
        why = f"free text (more than {MANY} different answers), or the options shown are not known"
        return Alpha(nan, None, None, 0, nan, why)
    if not table.in_parts:
        return measured(table.values, table.level)
    return measured(table.values, table.level, records=table.records, times=table.times)


def _numbers(found: Alpha) -> dict[str, float | int | None]:
    """As a row of a frame: null where alpha is undefined."""
    known = None if isnan(found.alpha) else found.alpha
    spread = None if isnan(found.spread) else found.spread
    return {"alpha": known, "low": found.low, "high": found.high, "n": found.n, "spread": spread}


def _by_slice(rows: pl.DataFrame, level: Level | None) -> list[dict[str, object]]:
    """Alpha in each slice that some of the signals are in."""
    if "slices" not in rows.columns:
        return []
    names = rows["slices"].explode().drop_nulls().unique().sort()
    return [
        {"slice": name, **_numbers(_measured(coded(rows.filter(pl.col("slices").list.contains(name)), level)))}
        for name in names
    ]


def _pairs(table: Coded) -> list[dict[str, object]]:
    """Kappa of each two annotators with common units; weighed by squares where answers are ordered.

    Rankings and spans have none: their units are parts of records, and the standard error takes units as independent.
    """
    if table.in_parts:
        return []
    weights: Weights = "quadratic" if table.kind in ("ordinal", "interval") else "none"
    rows: list[dict[str, object]] = []
    for (i, a), (j, b) in combinations(enumerate(table.annotators), 2):
        found = kappa(table.values[:, i], table.values[:, j], weights=weights)
        if found.n:
            value = None if isnan(found.kappa) else found.kappa
            rows.append({"a": a, "b": b, "kappa": value, "low": found.low, "high": found.high, "n": found.n})
    return rows


def _disagreements(rows: pl.DataFrame, table: Coded) -> list[dict[str, object]]:
    """The records on which annotators differ: how far, and who said what."""
    distances = apart(table.values, table.level)
    known = ~np.isnan(distances)
    answers = (~np.isnan(table.values)).sum(axis=1)
    weight = np.where(known, answers * (1.0 if table.times is None else table.times), 0.0)
    totals = np.bincount(table.records, np.where(known, distances, 0.0) * weight, minlength=len(table.ids))
    weights = np.bincount(table.records, weight, minlength=len(table.ids))
    found = {table.ids[i]: totals[i] / weights[i] for i in np.nonzero(totals > 0)[0]}
    voices = rows.filter(pl.col("interaction_id").is_in(list(found))).sort("said", "annotator_key")
    keys = pl.col("annotator_key").str.slice(0, 8).str.join(", ")
    by_answer = voices.group_by("interaction_id", "said", maintain_order=True).agg(n=pl.len(), keys=keys)
    said = by_answer.group_by("interaction_id", maintain_order=True).agg(
        n=pl.col("n").sum(), said=pl.format("{}: {}", "said", "keys").str.join("; ")
    )
    return [
        {"interaction_id": interaction_id, "apart": found[interaction_id], "n": n, "said": text}
        for interaction_id, n, text in said.iter_rows()
    ]


def against_gold(rows: pl.DataFrame, experts: Collection[str] = ()) -> pl.DataFrame:
    """How often each annotator gave the answer that is known to be right.

    Args:
        rows: as `comparable` gives them, with `name`; gold labels among them.
        experts: keys of those whose answer is right where there is no gold label.

    Returns:
        One row for each question and annotator: `question`, `annotator`, `labels` (all of theirs), `n` (on records
        whose answer is known; an expert is not held against what experts said), `right`, and `rate`, `low`, `high`
        (Wilson, 95 %; null where `n` is 0). Corrections are not compared: there is more than one right text.
    """
    of = ["interaction_id", "question"]
    is_gold, is_expert = pl.col("source") == GOLD, pl.col("annotator_key").is_in(list(experts))
    rows = rows.with_columns(expert=is_expert.fill_null(value=False))
    sure = rows.filter(is_gold | pl.col("expert")).filter(pl.col("question") != "improvement")
    first = sure.filter(is_gold.any().over(of) == is_gold)
    known = first.group_by(of).agg(
        truth=pl.col("said").first(), one=pl.col("said").n_unique() == 1, by_gold=is_gold.any()
    )
    given = rows.filter(~is_gold).drop_nulls("annotator_key")
    beside = given.join(known.filter("one").drop("one"), on=of, how="left")
    right = pl.when(pl.col("by_gold") | ~pl.col("expert")).then(pl.col("said") == pl.col("truth"))
    low, high = wilson_bounds(pl.col("rate"), pl.col("n"))
    counted = (
        beside.group_by(question="name", annotator="annotator_key")
        .agg(
            labels=pl.len().cast(pl.Int64),
            n=right.count().cast(pl.Int64),
            right=right.sum().cast(pl.Int64),
            rate=right.mean(),
        )
        .with_columns(low=low, high=high)
    )
    return counted.sort("question", "annotator")
