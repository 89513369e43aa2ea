"""Answers as numbers that agreement can be measured on: one array of units × annotators for each question."""

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.schemas import ACCEPT_WORDS, REJECT_WORDS
from clworkbench.statistics.agreement import KENDALL, Floats, Level, masi

KEPT, CHANGED, KEPT_OR_CHANGED = "kept", "changed", "kept or changed"
"""What is compared of a correction: whether the model's answer was left as it was."""

KINDS = {
    "answer": "nominal",
    "rating": "ordinal",
    "preference": "nominal",
    "ranking": "rankings",
    "improvement": KEPT_OR_CHANGED,
    "choice": "nominal",
    "spans": "spans",
}
"""How the answers of each question are compared; any other is nominal."""

MANY = 200
"""A nominal question with more different answers than this is free text."""


class Coded(NamedTuple):
    """The answers to one question.

    Attributes:
        kind: `nominal`, `ordinal`, `interval`, `sets`, `rankings`, `spans` or `kept or changed`.
        level: what `statistics.agreement` takes.
        values: units × annotators, nan where somebody said nothing.
        annotators: whose the columns are.
        records: the number of each row's record in `ids`.
        ids: the interactions.
        times: how many units (characters) a row stands for; None for one each.
    """

    kind: str
    level: Level | Floats
    values: Floats
    annotators: list[str]
    records: NDArray[np.int64]
    ids: list[str]
    times: Floats | None = None

    @property
    def in_parts(self) -> bool:
        """Whether a record has several units: pairs of options, or characters."""
        return self.kind in ("rankings", "spans")


def comparable(labels: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Labels with `said`, the answer as it is compared; those whose question says nothing comparable are left out.

    Args:
        labels: rows of `schemas.LABELS` with `set`, the question set's name.
        asked: rows of `schemas.ASKED`, which say what stood beside each other.

    Returns:
        `labels` with `said` (text; for several choices, spans and rankings JSON in one order) and `options`.
    """
    value, word = pl.col("value").str.strip_chars(), pl.col("value").str.strip_chars().str.to_lowercase()
    accept = (
        pl.when(word.is_in(ACCEPT_WORDS)).then(pl.lit("accept")).when(word.is_in(REJECT_WORDS)).then(pl.lit("reject"))
    )
    question = pl.col("question")
    kept = pl.when(pl.col("equals_suggestion").fill_null(value=False)).then(pl.lit(KEPT)).otherwise(pl.lit(CHANGED))
    said = (
        pl.when(question == "improvement")
        .then(kept)
        .when(question == "answer")
        .then(accept)
        .otherwise(pl.when(value.str.len_chars() > 0).then(value))
    )
    options = asked.select(set="dataset", interaction_id="interaction_id", options="options")
    rows = labels.filter(question != "comment").with_columns(said=said).drop_nulls("said")
    lists = rows["said"].str.starts_with("[")
    in_order = {text: _in_order(text) for text in rows.filter(lists)["said"].unique()}
    return rows.with_columns(said=pl.col("said").replace(in_order)).join(
        options.unique(["set", "interaction_id"], keep="last"),
        on=["set", "interaction_id"],
        how="left",
        maintain_order="left",
    )


def _in_order(text: str) -> str:
    """The same JSON for the same set, spans or ranking; what is no JSON stays as it is."""
    found = _listed(text)
    if found is None:
        return text
    if all(isinstance(tier, list) for tier in found):
        found = [sorted(map(str, tier)) for tier in found if isinstance(tier, list)]
    else:
        found = sorted(found, key=lambda part: json.dumps(part, sort_keys=True))
    return json.dumps(found, sort_keys=True, ensure_ascii=False)


def _listed(text: str) -> list[object] | None:
    """A list that is written as JSON; None for any other text."""
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def coded(rows: pl.DataFrame, level: Level | None = None) -> Coded | None:
    """The answers to one question as numbers; None where they cannot be compared (free text, options not known).

    Args:
        rows: as `comparable` gives them, of one question, one for each annotator and interaction.
        level: how answers are compared, where not as `KINDS` says.
    """
    question = "" if rows.is_empty() else str(rows["question"][0])
    kind = level or KINDS.get(question, "nominal")
    if kind == "rankings":
        return _rankings(rows)
    if kind == "spans":
        return _spans(rows)
    if kind in ("ordinal", "interval"):
        numbers = rows.with_columns(code=pl.col("said").cast(pl.Float64, strict=False))
        level = "ordinal" if kind == "ordinal" else "interval"
        return _one_unit_each(numbers.filter(pl.col("code").is_finite()), kind, level)
    if question == "preference":
        return _one_unit_each(_positions(rows), "nominal", "nominal")
    words = rows["said"].unique().sort()
    if len(words) > MANY:
        return None
    numbers = rows.with_columns(code=pl.col("said").replace_strict(words, pl.int_range(len(words), eager=True)))
    lists = [_listed(word) for word in words]
    if question == "choice" and any(found is not None for found in lists):
        sets = [
            frozenset([word] if found is None else map(str, found)) for word, found in zip(words, lists, strict=True)
        ]
        return _one_unit_each(numbers, "sets", masi(sets))
    return _one_unit_each(numbers, kind, "nominal")


def _one_unit_each(rows: pl.DataFrame, kind: str, level: Level | Floats) -> Coded | None:
    """One unit for each interaction, `code` what was said."""
    if rows.is_empty():
        return None
    ids, annotators = rows["interaction_id"].unique().sort(), rows["annotator_key"].unique().sort()
    values = np.full((len(ids), len(annotators)), np.nan)
    places = (ids.search_sorted(rows["interaction_id"]), annotators.search_sorted(rows["annotator_key"]))
    values[places[0].to_numpy(), places[1].to_numpy()] = rows["code"].to_numpy()
    return Coded(kind, level, values, annotators.to_list(), np.arange(len(ids)), ids.to_list())


def _positions(rows: pl.DataFrame) -> pl.DataFrame:
    """`code`: at which place the preferred option stood, -1 for none; rows whose options nobody knows are left out."""
    known = rows.drop_nulls("options").with_row_index("row")
    places = known.select("row", "options", code=pl.int_ranges(pl.col("options").list.len()))
    each = places.explode("options", "code").rename({"options": "said"}).unique(["row", "said"], keep="first")
    found = known.join(each, on=["row", "said"], how="left", maintain_order="left")
    none = pl.when(pl.col("said") == "none").then(pl.lit(-1, pl.Int64))
    return found.with_columns(code=pl.coalesce("code", none).cast(pl.Float64)).drop_nulls("code")


def _rankings(rows: pl.DataFrame) -> Coded | None:
    """A unit for each pair of options of a record: which one of the two stands higher."""
    per_record: dict[str, dict[str, Mapping[str, int]]] = {}
    options: dict[str, list[str]] = {}
    known = rows.drop_nulls("options").select("interaction_id", "annotator_key", "said", "options")
    for interaction_id, annotator, said, shown in known.sort("interaction_id").iter_rows():
        tiers = [tier for tier in _listed(said) or [] if isinstance(tier, list)]
        ranks = {str(option): place for place, tier in enumerate(tiers) for option in tier}
        per_record.setdefault(interaction_id, {})[annotator] = ranks
        options[interaction_id] = shown
    annotators = sorted({annotator for answers in per_record.values() for annotator in answers})
    units, records = [], []
    for record, (interaction_id, answers) in enumerate(per_record.items()):
        shown = options[interaction_id]
        for pair in [(a, b) for number, a in enumerate(shown) for b in shown[number + 1 :]]:
            units.append([_higher(answers.get(annotator, {}), *pair) for annotator in annotators])
            records.append(record)
    if not units:
        return None
    return Coded("rankings", KENDALL, np.array(units), annotators, np.array(records), list(per_record))


def _higher(ranks: Mapping[str, int], first: str, second: str) -> float:
    if first not in ranks or second not in ranks:
        return np.nan
    return float(np.sign(ranks[first] - ranks[second])) + 1


def _spans(rows: pl.DataFrame) -> Coded | None:
    """A unit for each stretch of characters that everybody marked in one way, as many times as it has characters.

    A character's value is the labels that cover it, or none. Texts are taken to end where `n_chars` says, else with the
    last span.
    """
    annotators = rows["annotator_key"].unique().sort().to_list()
    codes: dict[frozenset[str], int] = {frozenset(): 0}
    values, records, times, ids = [], [], [], []
    for record, ((interaction_id,), part) in enumerate(rows.group_by("interaction_id", maintain_order=True)):
        ids.append(str(interaction_id))
        marked = {key: _marks(said) for key, said in part.select("annotator_key", "said").iter_rows()}
        length = part["n_chars"].fill_null(0)[0] if "n_chars" in part.columns else 0
        edges = sorted({0, length, *(edge for marks in marked.values() for mark in marks for edge in mark[1:])})
        for start, end in pairwise(edges):
            over = {key: frozenset(m.label for m in marks if m.start <= start < m.end) for key, marks in marked.items()}
            numbers = {key: float(codes.setdefault(labels, len(codes))) for key, labels in over.items()}
            values.append([numbers.get(key, np.nan) for key in annotators])
            records.append(record)
            times.append(float(end - start))
    if not values:
        return None
    return Coded("spans", "nominal", np.array(values), annotators, np.array(records), ids, np.array(times))


class _Mark(NamedTuple):
    label: str
    start: int
    end: int


def _marks(said: str) -> list[_Mark]:
    """Spans as they are written in a label; what is none is passed over."""
    found = [part for part in _listed(said) or [] if isinstance(part, dict)]
    return [
        _Mark(str(part["label"]), part["start"], part["end"])
        for part in found
        if {"label", "start", "end"} <= set(part) and isinstance(part["start"], int) and isinstance(part["end"], int)
    ]
