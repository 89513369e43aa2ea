"""What a discovery found: the slices with their evidence, or in words why there are none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import words_figure
from clworkbench.display.html import html_table, percent
from clworkbench.display.slices_figure import found_figure
from clworkbench.display.text import short

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

FRAME = pl.Schema(
    {
        "slice": pl.String(),
        "conditions": pl.Int64(),
        "support": pl.Float64(),
        "n": pl.Int64(),
        "mean": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "rest": pl.Float64(),
        "effect": pl.Float64(),
        "effect_low": pl.Float64(),
        "effect_high": pl.Float64(),
        "p": pl.Float64(),
        "p_adjusted": pl.Float64(),
    }
)


@dataclass(frozen=True)
class FoundSlice:
    """One slice that a discovery found.

    Attributes:
        conditions: SQL; all hold.
        support: its share of all settled signals (0 to 1).
        n: its settled signals in the half on which it was tested.
        mean: of the target there (a Boolean's is a rate).
        rest: the mean of the others.
        effect: the difference, slice minus rest.
        p_adjusted: one-sided, over all slices that were tested.
    """

    conditions: tuple[str, ...]
    support: float
    n: int
    mean: float
    rest: float
    effect: float
    p_adjusted: float

    def code(self) -> str:
        """The expression that selects its signals, as `[slices]` of clw.toml takes it."""
        return " and ".join(self.conditions)


@dataclass(frozen=True, eq=False)
class Discovery:
    """Where the model does worst, found on one half of the conversations and tested on the other.

    Attributes:
        frame: one row for each slice found, the surest damage first: `slice` (an expression), `conditions` (how many),
            `support` (share of all settled signals); on the half that tested it `n`, `mean` with `low` and `high`
            (95 %), `rest` (mean of the others), `effect` (slice minus rest) with `effect_low` and `effect_high` (95 %,
            of this slice alone), `p` (one-sided) and `p_adjusted` (Holm, over all tested).
        slices: the same, as `FoundSlice`s.
        target: what was looked at.
        binary: whether it is a Boolean, and its means are rates.
        counts: `settled`, `pending`, `searched` (conjunctions counted), `tested` (those carried over).
        skipped: columns that were not looked at, and why.
        why: in words, why nothing was found; None where something was.
        notes: in words, what to know of the outcomes.
    """

    frame: pl.DataFrame
    slices: tuple[FoundSlice, ...]
    target: str
    binary: bool
    counts: Mapping[str, int]
    skipped: Mapping[str, str]
    why: str | None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Discovery({self._title()}: {self.why or f'{len(self.slices)} slices'})"

    def _title(self) -> str:
        return f"where {self.target} is worst"

    def lines(self) -> list[str]:
        """For a terminal: each slice with its evidence, or why there is none."""
        told = [f"{self._title()}: {self._how()}"]
        if self.why is not None:
            return [*told, self.why, *self._left_out(), *self.notes]
        for row in self.frame.iter_rows(named=True):
            told += [short(row["slice"], 400), f"    {self._evidence(row)}"]
        return [
            *told,
            "Each was found on half of the conversations and tested on the other.",
            *self._left_out(),
            *self.notes,
        ]

    def _evidence(self, row: Mapping[str, float]) -> str:
        apart = f"{self._number(row['mean'])} against {self._number(row['rest'])}"
        reach = f"{self._points(row['effect'])} [{self._points(row['effect_low'])}, {self._points(row['effect_high'])}]"
        unit = " points" if self.binary else ""
        p = _equal(row["p_adjusted"])
        return f"{apart}: {reach}{unit}, n = {row['n']:,}, {row['support']:.1%} of signals, p {p}"

    def _how(self) -> str:
        counts = self.counts
        return (
            f"{counts['settled']:,} settled signals ({counts['pending']:,} pending), {counts['searched']:,} slices "
            f"searched, {counts['tested']:,} tested, {len(self.slices):,} found"
        )

    def _left_out(self) -> list[str]:
        by_why: dict[str, list[str]] = {}
        for name, why in self.skipped.items():
            by_why.setdefault(why, []).append(short(name, 60))
        return [f"not looked at ({why}): {', '.join(names)}" for why, names in by_why.items()]

    def _number(self, value: float | None) -> str:
        if value is None:
            return "–"
        return percent(value) if self.binary else _digits(value)

    def _points(self, value: float | None) -> str:
        if value is None:
            return "–"
        return f"{100 * value:+.0f}" if self.binary else _digits(value, sign="+")

    def _repr_html_(self) -> str:
        if self.why is not None:
            return html_table((self._title(),), [(self.why,), (self._how(),), *((one,) for one in self._left_out())])
        unit = " (points)" if self.binary else ""
        titles = ("slice", "of signals", "n", self.target, "others", f"difference{unit}", "95 %", "adjusted p")
        rows = [
            (
                row["slice"],
                f"{row['support']:.1%}",
                row["n"],
                self._number(row["mean"]),
                self._number(row["rest"]),
                self._points(row["effect"]),
                f"{self._points(row['effect_low'])} to {self._points(row['effect_high'])}",
                _p(row["p_adjusted"]),
            )
            for row in self.frame.iter_rows(named=True)
        ]
        return html_table(titles, rows, caption=f"{self._title()}: {self._how()}")

    def plot(self) -> "Figure":
        """Each slice's mean with its interval beside that of all others; words where nothing was found."""
        if self.why is not None:
            return words_figure(self.why, title=self._title())
        shown = self.frame.rename({"slice": "name"})
        return found_figure(shown, title=f"{self._title()}, 95 %", axis=self.target, share=self.binary)


def _digits(value: float, *, sign: str = "") -> str:
    """A score with four digits, or as a whole number where it has more."""
    return f"{value:{sign},.0f}" if abs(value) >= 1000 else f"{value:{sign}.4g}"


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _equal(p: float) -> str:
    return _p(p) if p < 0.0001 else f"= {_p(p)}"
