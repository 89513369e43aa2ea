"""Agreement as a result: a table for each question, pair, annotator and slice, what to talk about, and a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.agreement_figure import agreement_figure
from clworkbench.display.html import html_table, percent
from clworkbench.display.text import short

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = 10
"""Disagreements that a cell shows."""

PAIRS_SHOWN = 15
"""Pairs of annotators that a cell shows, the least agreed first."""

KEY = 8
"""Digits of an annotator's key that are shown."""


@dataclass(frozen=True, eq=False)
class AgreementReport:
    """How far annotators agree. People are named by their keys, never by name.

    Attributes:
        frame: one row for each question: `question`, `kind` (how answers are compared), `alpha`, `low`, `high` (95 %),
            `n` (records that two or more answered), `spread` (of the resampled alphas), `why` (it is undefined),
            `labels`, `annotators`; with `_unaided` the same without answers that are what was suggested.
        pairs: Cohen's kappa of each two annotators: `question`, `a`, `b`, `kappa`, `low`, `high`, `n`.
        annotators: each against known answers, as `labels.agreement.against_gold` gives it.
        slices: alpha by slice: `question`, `slice`, `alpha`, `low`, `high`, `n`, `spread`.
        disagreements: the records on which annotators differ, farthest apart first: `question`, `interaction_id`,
            `apart` (1: as far as two answers drawn at random), `n` (answers), `said` (who said what); with texts also
            `text` and `answer`.
        unattributed: answers without an annotator, which are not compared.
    """

    frame: pl.DataFrame
    pairs: pl.DataFrame
    annotators: pl.DataFrame
    slices: pl.DataFrame
    disagreements: pl.DataFrame
    unattributed: int

    def __repr__(self) -> str:
        said = ", ".join(
            f"{row['question']} {_bounded(row)} (n = {row['n']:,})" for row in self.frame.iter_rows(named=True)
        )
        return f"AgreementReport({said or 'nobody has answered yet'})"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """For a terminal: each question's alpha, each annotator against known answers, how many disagreements."""
        if self.frame.is_empty():
            return ["no answers of annotators yet: `clw label push`, then `clw label pull`"]
        lines = []
        for row in self.frame.iter_rows(named=True):
            lines.append(f"{row['question']:<14} alpha {_bounded(row)}, n = {row['n']:,}{_and_why(row)}")
            if _touched(row):
                lines.append(f"{'':<14} without untouched suggestions {_bounded(row, '_unaided')}")
        for row in self.annotators.filter(pl.col("n") > 0).iter_rows(named=True):
            rate = f"{percent(row['rate'])} [{_share_bounds(row)}]"
            lines.append(f"{row['question']:<14} {row['annotator'][:KEY]} is right on {rate} of {row['n']:,} known")
        differ = self.disagreements.height
        return [*lines, f"{differ:,} disagreements", *self._unattributed()]

    def _unattributed(self) -> list[str]:
        if not self.unattributed:
            return []
        return [f"{self.unattributed:,} answers name no annotator and were not compared"]

    def with_texts(self, texts: pl.DataFrame) -> "AgreementReport":
        """The same with what was asked and answered (`interaction_id`, `text`, `answer`) beside each disagreement."""
        beside = self.disagreements.join(texts, on="interaction_id", how="left", maintain_order="left")
        return replace(self, disagreements=beside)

    def as_dict(self) -> dict[str, dict[str, object]]:
        """By question `alpha`, `low`, `high`, `n` and more."""
        named = self.frame.rename({"annotators": "n_annotators", "labels": "n_labels"}).drop("question")
        return {
            question: row | {"slices": self._rows(self.slices, question), "pairs": self._rows(self.pairs, question)}
            for question, row in zip(self.frame["question"], named.to_dicts(), strict=True)
        }

    def _rows(self, frame: pl.DataFrame, question: str) -> list[dict[str, object]]:
        return frame.filter(pl.col("question") == question).drop("question").to_dicts()

    def plot(self) -> "Figure":
        """Each question's alpha with its interval and n; beside it, that without untouched suggestions."""
        rows = []
        touched = any(_touched(row) for row in self.frame.iter_rows(named=True))
        for row in self.frame.iter_rows(named=True):
            rows.append({"which": "all", **_dot(row["question"], row)})
            if touched:
                rows.append({"which": "without untouched suggestions", **_dot(row["question"], row, "_unaided")})
        return agreement_figure(_dots(rows), title="Agreement of annotators, by question")

    def plot_slices(self, question: str) -> "Figure":
        """One question's alpha in each slice."""
        rows = self.slices.filter(pl.col("question") == question).iter_rows(named=True)
        dots = [{"which": "all", **_dot(row["slice"], row)} for row in rows]
        return agreement_figure(_dots(dots), title=f"Agreement on {question}, by slice")

    def _repr_html_(self) -> str:
        if self.frame.is_empty():
            return html_table(("agreement",), [("nobody has answered yet",)])
        parts = [self._questions(), self._annotators(), self._pairs(), self._slices(), self.talk()._repr_html_()]
        return "".join(part for part in parts if part)

    def talk(self) -> "Talk":
        """The disagreements that are farthest apart, for a cell of their own."""
        return Talk(self.disagreements.head(SHOWN), self.disagreements.height)

    def _questions(self) -> str:
        beside = ("", "_unaided") if any(_touched(row) for row in self.frame.iter_rows(named=True)) else ("",)
        headings = [("alpha", "95 %", "n"), ("untouched left out", "95 %", "n")]
        titles = ["question", "compared as", *(title for part in headings[: len(beside)] for title in part)]
        rows = [
            (row["question"], row["kind"], *(c for which in beside for c in _cells(row, which)), row["labels"])
            for row in self.frame.iter_rows(named=True)
        ]
        why = [f"{row['question']}: {row['why']}" for row in self.frame.iter_rows(named=True) if row["why"]]
        return html_table(
            [*titles, "labels"], rows, caption="; ".join(["Krippendorff's alpha", *why, *self._unattributed()])
        )

    def _annotators(self) -> str:
        rows = [
            (row["question"], row["annotator"][:KEY], row["labels"], row["n"], percent(row["rate"]), _share_bounds(row))
            for row in self.annotators.iter_rows(named=True)
            if row["n"]
        ]
        titles = ("question", "annotator", "labels", "known", "right", "95 %")
        return html_table(titles, rows, caption="Against known answers") if rows else ""

    def _pairs(self) -> str:
        least = self.pairs.sort("kappa", nulls_last=True).head(PAIRS_SHOWN)
        rows = [
            (row["question"], row["a"][:KEY], row["b"][:KEY], *_cells(row, value="kappa"))
            for row in least.iter_rows(named=True)
        ]
        said = f"Cohen's kappa of each two, the least agreed first ({least.height} of {self.pairs.height})"
        return html_table(("question", "annotator", "and", "kappa", "95 %", "n"), rows, caption=said) if rows else ""

    def _slices(self) -> str:
        rows = [(row["question"], row["slice"], *_cells(row)) for row in self.slices.iter_rows(named=True)]
        return html_table(("question", "slice", "alpha", "95 %", "n"), rows, caption="By slice") if rows else ""


@dataclass(frozen=True, eq=False)
class Talk:
    """Disagreements worth a talk.

    Attributes:
        frame: as `AgreementReport.disagreements`, those farthest apart.
        total: how many there are in all.
    """

    frame: pl.DataFrame
    total: int

    def __repr__(self) -> str:
        return f"Talk({self.frame.height} of {self.total:,} disagreements)"

    def _repr_html_(self) -> str:
        texts = [name for name in ("text", "answer") if name in self.frame.columns]
        rows = [
            (
                row["question"],
                row["interaction_id"][:KEY],
                row["apart"],
                short(row["said"], 120),
                *("–" if row[name] is None else short(row[name], 120) for name in texts),
            )
            for row in self.frame.iter_rows(named=True)
        ]
        said = f"Disagreements worth a talk ({len(rows)} of {self.total:,}); apart: 1 is chance"
        return html_table(("question", "signal", "apart", "said", *texts), rows, caption=said) if rows else ""


def _touched(row: Mapping[str, object]) -> bool:
    """Whether leaving out untouched suggestions changes anything."""
    return any(row[name] != row[f"{name}_unaided"] for name in ("alpha", "n"))


def _and_why(row: Mapping[str, object]) -> str:
    return f" ({row['why']})" if row["why"] else ""


def _bounded(row: Mapping[str, object], which: str = "") -> str:
    number, bounds, _ = _cells(row, which)
    return f"{number} [{bounds}]" if number != "–" else "undefined"


def _cells(row: Mapping[str, object], which: str = "", *, value: str = "alpha") -> tuple[str, str, object]:
    """A coefficient, its interval and its n, as cells."""
    found, low, high = (row[f"{name}{which}"] for name in (value, "low", "high"))
    number = "–" if not isinstance(found, float) else f"{found:.2f}"
    bounds = "–" if not isinstance(low, float) or not isinstance(high, float) else f"{low:.2f} to {high:.2f}"
    return number, bounds, row[f"n{which}"]


def _share_bounds(row: Mapping[str, float | None]) -> str:
    return "–" if row["low"] is None else f"{percent(row['low'])} to {percent(row['high'])}"


def _dot(name: str, row: Mapping[str, object], which: str = "") -> dict[str, object]:
    return {"name": name} | {part: row[f"{part}{which}"] for part in ("alpha", "low", "high", "n")}


def _dots(rows: Sequence[Mapping[str, object]]) -> pl.DataFrame:
    numbers = {"alpha": pl.Float64, "low": pl.Float64, "high": pl.Float64, "n": pl.Int64}
    return pl.DataFrame(rows, schema={"which": pl.String, "name": pl.String, **numbers})
