"""What a comparison of two windows found: the columns that drifted, what it did to outcomes, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.drift_figure import drift_figure
from clworkbench.display.html import html_table, percent
from clworkbench.display.text import short
from clworkbench.slices.harm import ADVICE, CHANGE, GRAVEST, URGENCY, Change, Harm, harm

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLUMNS = pl.Schema(
    {
        "name": pl.String(),
        "kind": pl.String(),
        "test": pl.String(),
        "n_before": pl.Int64(),
        "n_now": pl.Int64(),
        "score": pl.Float64(),
        "least": pl.Float64(),
        "p": pl.Float64(),
        "p_adjusted": pl.Float64(),
        "drifted": pl.Boolean(),
        "harm": pl.String(),
    }
)

PARTS = pl.Schema(
    {
        "column": pl.String(),
        "part": pl.String(),
        "expression": pl.String(),
        "share_before": pl.Float64(),
        "share_now": pl.Float64(),
        "new": pl.Boolean(),
        **CHANGE,
        "p_adjusted": pl.Float64(),
        "harm": pl.String(),
    }
)

SAID = {
    "worse": "got worse",
    "better": "got better",
    "same": "no worse by more than 5 points",
    "unclear": "cannot be told yet",
    "not enough data": "not enough data",
}
UNITS = {
    "kolmogorov-smirnov": "standard deviations",
    "chi-square": "Jensen-Shannon distance",
    "domain classifier": "area under the ROC curve",
    "mean discrepancy": "maximum mean discrepancy",
}


@dataclass(frozen=True, eq=False)
class DriftReport:
    """What changed from one window to another, and what happened to the outcomes there.

    Attributes:
        frame: one row for each column: `name`, `kind` (column, text, topic, slice), `test`, `n_before` and `n_now`
            (conversations), `score` and `least` (the least score of a drift), `p` and `p_adjusted` (Holm, over all),
            `drifted`, `harm` (worse, better, same, unclear, not enough data; null where nothing drifted).
        parts: one row for each part of a drifted column whose share moved: `column`, `part`, `expression` (null where
            none selects it), `share_before`, `share_now` (of numbers, among those that are there), `new` (it hardly was
            there before: its outcomes before are those of all signals), then as `Change`, `p_adjusted` (Holm, over all
            parts) and `harm`.
        overall: what happened to all outcomes, whatever drifted.
        counts: signals and conversations of both windows.
        skipped: columns that were not compared, and why.
        title: which windows these are.
        why: in words, why nothing was compared; None where something was.
    """

    frame: pl.DataFrame
    parts: pl.DataFrame
    overall: Change
    counts: Mapping[str, int]
    skipped: Mapping[str, str]
    title: str
    why: str | None

    def __repr__(self) -> str:
        return f"DriftReport({self.title}: {self._said()})"

    @property
    def alert(self) -> bool:
        """Whether any column drifted."""
        return bool(self.frame["drifted"].any())

    @property
    def advice(self) -> str:
        """What to do: `retrain`, `label`, `evaluate` or `nothing`."""
        if self.why is not None:
            return "evaluate" if self._fell else "nothing"
        found = {ADVICE[word] for word in self._harms}
        if "label" in found and not self._pending:
            found = found - {"label"} | {"evaluate"}
        if self._fell:
            return "retrain" if "retrain" in found else "evaluate"
        return next((word for word in URGENCY if word in found), "nothing")

    @property
    def because(self) -> str:
        """Why that is to be done, in words."""
        fell = (
            f"outcomes fell overall, {percent(self.overall.before)} → {percent(self.overall.now)}: "
            if self._fell
            else ""
        )
        if self.why is not None:
            return f"{fell}the model itself may have changed; drift: {self.why}" if self._fell else self.why
        if not self._harms:
            return f"{fell}nothing drifted, the model itself may have changed" if self._fell else "nothing drifted"
        word = next(word for word in GRAVEST if word in self._harms)
        names = ", ".join(short(name, 60) for name in self.frame.filter(pl.col("harm") == word)["name"])
        if self._fell and word != "worse":
            return (
                f"{fell}the model itself may have changed, or more may come from where they are bad. What drifted "
                f"({self.frame['drifted'].sum():,}) is not shown to have got worse by more than the others"
            )
        if self._fell:
            return f"{fell}{names} drifted, and outcomes there got worse by more than elsewhere"
        said = TOO_FEW if word == "not enough data" and not self._pending else BECAUSE[word]
        return f"{names} drifted, and outcomes there {said}"

    @property
    def _pending(self) -> bool:
        """Whether labels could tell more where there is not enough data: some outcomes are pending."""
        too_few = self.parts.filter(pl.col("harm") == "not enough data")
        if too_few.is_empty():
            return self.overall.pending_before + self.overall.pending_now > 0
        return not too_few.filter(pl.col("pending_before") + pl.col("pending_now") > 0).is_empty()

    @property
    def _harms(self) -> set[Harm]:
        return set(self.frame["harm"].drop_nulls())

    @property
    def _fell(self) -> bool:
        return harm(self.overall, self.overall.p) == "worse"

    def as_dict(self) -> dict[str, object]:
        """For scripts: `alert`, `columns`, `parts`, `overall`, `advice`, `because`, `counts`, `skipped`, `why`."""
        return {
            "alert": self.alert,
            "columns": self.frame.to_dicts(),
            "parts": self.parts.to_dicts(),
            "overall": self.overall._asdict(),
            "advice": self.advice,
            "because": self.because,
            **self.counts,
            "skipped": dict(self.skipped),
            "title": self.title,
            "why": self.why,
        }

    def _said(self) -> str:
        if self.why is not None:
            return self.why
        n = int(self.frame["drifted"].sum())
        return f"{n} of {self.frame.height} drifted; {self.advice}"

    def lines(self) -> list[str]:
        """For a terminal: what drifted, what happened to outcomes there, and what to do."""
        told = [f"{self.title}: {'not compared' if self.why else self._said()}"]
        for row in self._sorted().iter_rows(named=True):
            mark = "DRIFT" if row["drifted"] else "     "
            told.append(f"{mark} {short(row['name'], 40):<40} {_score(row)}, p {_equal(row['p_adjusted'])}")
            for part in self.parts.filter(pl.col("column") == row["name"]).iter_rows(named=True):
                told.append(f"        {short(_named(part), WHOLE)}: {_part(part)}")
        told.append(f"outcomes overall: {_rates(self.overall._asdict())}")
        told += [f"not compared: {', '.join(short(name, 60) for name in names)} ({why})" for why, names in self._left()]
        return [*told, f"{self.advice}: {self.because}"]

    def _left(self) -> list[tuple[str, list[str]]]:
        """Why columns were not compared, each with its columns."""
        by_why: dict[str, list[str]] = {}
        for name, why in self.skipped.items():
            by_why.setdefault(why, []).append(name)
        return list(by_why.items())

    def _sorted(self) -> pl.DataFrame:
        """What drifted first: where outcomes got worse, then by how far it is beyond the least score of a drift."""
        worse, far = (pl.col("harm") == "worse").fill_null(value=False), pl.col("score") / pl.col("least")
        return self.frame.sort("drifted", worse, far, descending=True, maintain_order=True)

    def _repr_html_(self) -> str:
        said = f"{self.title}: {self._said()}"
        if self.why is not None:
            left = [(f"not compared: {', '.join(names)} ({why})",) for why, names in self._left()]
            return html_table(("drift",), [(said,), *left])
        titles = ("column", "drifted", "test", "score", "least", "adjusted p", "outcomes there")
        rows = [
            (
                row["name"],
                "yes" if row["drifted"] else "no",
                row["test"],
                row["score"],
                row["least"],
                _p(row["p_adjusted"]),
                SAID.get(row["harm"], "–"),
            )
            for row in self._sorted().iter_rows(named=True)
        ]
        moved = [(_named(row), *_cells(row), SAID[row["harm"]]) for row in self.parts.iter_rows(named=True)]
        headings = ("part", "share before", "now", "good before", "good now", "settled", "pending", "outcomes")
        below = html_table(headings, moved, caption="What moved, and its outcomes (95 %)") if moved else ""
        left = [(f"not compared: {', '.join(names)} ({why})",) for why, names in self._left()]
        overall = (f"outcomes overall: {_rates(self.overall._asdict())}",)
        last = html_table((f"{self.advice}: {self.because}",), [overall, *left])
        return html_table(titles, rows, caption=said) + below + last

    def plot(self) -> "Figure":
        """The parts that moved: their share and their rate of good outcomes, before and now."""
        return drift_figure(self.parts, title=f"{self.title}: {self._said()}")


WHOLE = 5_000
"""Characters of an expression that are printed: cut off, it selects nothing."""

TOO_FEW = "are too few to tell: score these slices"
BECAUSE = {
    "worse": "got worse",
    "better": "got better",
    "same": "are no worse by more than 5 points",
    "unclear": "may have got worse or not: score these slices",
    "not enough data": "are not settled in number: have some labelled",
}


def _score(row: Mapping[str, object]) -> str:
    return f"{row['score']:.3f} {UNITS[str(row['test'])]} (least {row['least']:g})"


def _named(row: Mapping[str, object]) -> str:
    return f"{row['part']}{' (new; before: all signals)' if row['new'] else ''}"


def _part(row: Mapping[str, float]) -> str:
    shares = f"{percent(row['share_before'])} → {percent(row['share_now'])} of signals"
    return f"{shares}; good {_rates(row)}; {SAID[str(row['harm'])]}"


def _rates(row: Mapping[str, object]) -> str:
    counts = f"n = {row['n_before']:,} and {row['n_now']:,}, {row['pending_now']:,} pending now"
    return f"{_rate(row, 'before')} → {_rate(row, 'now')} ({counts})"


def _rate(row: Mapping[str, object], side: str) -> str:
    rate, low, high = (row[name] for name in (side, f"{side}_low", f"{side}_high"))
    if not isinstance(rate, float):
        return "no settled outcome"
    reach = f" [{low:.0%}, {high:.0%}]" if low is not None else ""
    return f"{rate:.0%}{reach}"


def _cells(row: Mapping[str, float]) -> tuple[object, ...]:
    settled, pending = (f"{row[f'{n}_before']:,} and {row[f'{n}_now']:,}" for n in ("n", "pending"))
    shares = percent(row["share_before"]), percent(row["share_now"])
    return (*shares, _rate(row, "before"), _rate(row, "now"), settled, pending)


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _equal(p: float) -> str:
    return _p(p) if p < 0.0001 else f"= {_p(p)}"
