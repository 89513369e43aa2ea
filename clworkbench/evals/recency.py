"""Recency as a result: gain on the newest traffic beside loss on older slices, and what it means, in one sentence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from clworkbench.display.html import html_table
from clworkbench.display.recency_figure import recency_figure
from clworkbench.display.text import table
from clworkbench.errors import EvidenceError
from clworkbench.statistics.weighted import Drawn, weighted_difference, weighted_mean

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

NEWEST, OLDER, ALL = "newest", "older", "all"
BETTER, WORSE, OPEN = "better", "worse", "open"
LEVEL = 0.9

RECENCY = pl.Schema(
    {
        "period": pl.String,
        "suite": pl.String,
        "slice": pl.String,
        "scorer": pl.String,
        "n": pl.Int64,
        "n_effective": pl.Float64,
        "champion": pl.Float64,
        "challenger": pl.Float64,
        "difference": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "verdict": pl.String,
    }
)
"""One row for each suite, slice (`all` first) and scorer: means of both models over the traffic that the suite was
drawn from (over its examples where somebody chose it), their paired difference (challenger minus champion) and its 90 %
interval, null where a single conversation tells nothing; `period` is `newest` or `older`. `verdict` is `better` or
`worse` where that is shown at 5 % for all rows that it is told among (Bonferroni), else `open`."""


@dataclass(frozen=True, eq=False)
class Recency:
    """Gain on the newest traffic against loss on older.

    Attributes:
        challenger: its name.
        champion: likewise.
        frame: `RECENCY`.
    """

    challenger: str
    champion: str
    frame: pl.DataFrame

    @property
    def gained(self) -> bool:
        """Whether a gain on all of the newest traffic is shown, by some scorer."""
        return bool((_whole(self.frame, NEWEST)["verdict"] == BETTER).any())

    @property
    def lost(self) -> list[str]:
        """Where on older traffic a loss is shown, on all of it or on a slice."""
        shown = self.frame.filter(pl.col("period") == OLDER, pl.col("verdict") == WORSE)
        return [_place(row) for row in shown.to_dicts()]

    @property
    def advice(self) -> str:
        """What it means, in one sentence."""
        gain = self._told(NEWEST, best=True)
        if self.lost:
            where = "; ".join(self.lost[:3])
            tail = f"loses on older traffic ({where})"
            if self.gained:
                return f"It gains on the newest traffic ({gain}) and {tail}: replay more of what was learned before."
            return f"It {tail} and shows no gain on the newest ({gain}): do not ship it for its recency."
        worst = self._told(OLDER, best=False)
        if bool((_whole(self.frame, NEWEST)["verdict"] == WORSE).any()):
            fallen = self._told(NEWEST, best=False)
            return f"It loses on the newest traffic ({fallen}), and no loss on older is shown (at worst {worst})."
        if self.gained:
            return f"It gains on the newest traffic ({gain}), and no loss on older is shown (at worst {worst})."
        return f"Neither gain on the newest traffic ({gain}) nor loss on older (at worst {worst}) is shown: draw more."

    def _told(self, period: str, *, best: bool) -> str:
        rows = _whole(self.frame, period).drop_nulls("difference").sort("difference", descending=best)
        return _said(rows.row(0, named=True)) if rows.height else "not measured"

    def __repr__(self) -> str:
        return f"Recency({self.challenger} against {self.champion}: {self.advice})"

    def _repr_html_(self) -> str:
        caption = f"{self.challenger} against {self.champion}. {self.advice}"
        told = [
            (row["period"], row["suite"], row["slice"], row["scorer"], row["n"], row["champion"], row["challenger"],
             _said(row))
            for row in self.frame.to_dicts()
        ]  # fmt: skip
        headings = ("traffic", "suite", "slice", "scorer", "n", "champion", "challenger", "difference [90 %]")
        return html_table(headings, told, caption=caption)

    def plot(self) -> "Figure":
        """Differences on the newest traffic above those on older, each with its interval."""
        title = f"{self.challenger} against {self.champion}: newest traffic and older"
        return recency_figure(self.frame, title=title, advice=self.advice)

    def lines(self) -> list[str]:
        """For a terminal."""
        return [f"{self.challenger} against {self.champion}", *table(self.frame), self.advice]

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw recency --json`."""
        return {
            "challenger": self.challenger,
            "champion": self.champion,
            "gained": self.gained,
            "lost": self.lost,
            "advice": self.advice,
            "rows": self.frame.to_dicts(),
        }


def _whole(frame: pl.DataFrame, period: str) -> pl.DataFrame:
    return frame.filter(pl.col("period") == period, pl.col("slice") == ALL)


def _place(row: dict[str, object]) -> str:
    where = "" if row["slice"] == ALL else f", {row['slice']}"
    return f"{str(row['suite']).partition('@')[0]}{where}: {row['scorer']} {_said(row)}"


def _said(row: dict[str, object]) -> str:
    if row["difference"] is None:
        return "–"
    if row["low"] is None:
        return f"{row['difference']:+.3f} [no interval]"
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


class Compared(NamedTuple):
    """Two models on one suite.

    Attributes:
        period: `newest` or `older`.
        suite: its name.
        champion: its scores (`schemas.SCORES`); repetitions are averaged.
        challenger: likewise.
        drawn: `example_id`, `unit` and `inclusion` of examples that were drawn; others count alike, each by itself.
    """

    period: str
    suite: str
    champion: pl.DataFrame
    challenger: pl.DataFrame
    drawn: pl.DataFrame


def compared(sides: Sequence[Compared]) -> pl.DataFrame:
    """Paired differences on each suite and its slices: `RECENCY`.

    Raises:
        EvidenceError: on a suite, no example was graded on both sides.
    """
    parts = [(each, name, scorer, part) for each in sides for (name, scorer), part in _parts(each)]
    told_among = Counter(_family(each, name) for each, name, _, _ in parts)
    rows = [
        {"period": each.period, "suite": each.suite, "slice": name, "scorer": scorer,
         **_difference(part, told_among[_family(each, name)])}
        for each, name, scorer, part in parts
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=RECENCY)


def _family(side: Compared, name: str) -> str:
    """The claims that are made together: a gain on all of the newest traffic, a change in a slice of it, a loss."""
    return f"{side.period} {name == ALL}" if side.period == NEWEST else side.period


def _parts(side: Compared) -> list[tuple[tuple[str, str], pl.DataFrame]]:
    """The examples that both were graded on, by slice and scorer."""
    before, after = _means(side.champion), _means(side.challenger)
    both = before.join(after, on=["example_id", "scorer"], suffix="_after").drop_nulls(["score", "score_after"])
    if both.is_empty():
        raise EvidenceError(f"recency on {side.suite}: no example was graded on both sides.")
    how = side.drawn.select("example_id", "unit", "inclusion")
    told = both.join(how, on="example_id", how="left", maintain_order="left").with_columns(
        pl.col("unit").fill_null(pl.col("example_id")), pl.col("inclusion").fill_null(1.0)
    )
    whole = told.with_columns(slice=pl.lit(ALL))
    named = told.with_columns(slice="slices").explode("slice", empty_as_null=True).drop_nulls("slice")
    rows = pl.concat([whole, named.filter(pl.col("slice") != ALL).sort("slice", maintain_order=True)])
    return [((str(a), str(b)), part) for (a, b), part in rows.group_by("slice", "scorer", maintain_order=True)]


def _means(scores: pl.DataFrame) -> pl.DataFrame:
    finite = pl.when(pl.col("score").is_finite()).then("score")
    return scores.group_by("example_id", "scorer", maintain_order=True).agg(
        pl.col("slices").first(), score=finite.mean()
    )


def _difference(part: pl.DataFrame, told_among: int) -> dict[str, object]:
    clusters = (part["unit"].rank("dense").to_numpy() - 1).astype(np.intp)
    how = Drawn(part["inclusion"].to_numpy(), clusters)
    before, after = part["score"].to_numpy(), part["score_after"].to_numpy()
    found = weighted_difference(after - before, how, level=LEVEL)
    wide = weighted_difference(after - before, how, level=1 - (1 - LEVEL) / told_among).interval
    worse = wide.high is not None and wide.high < 0
    verdict = BETTER if wide.low is not None and wide.low > 0 else WORSE if worse else OPEN
    return {
        "n": found.n,
        "n_effective": found.n_effective,
        "champion": weighted_mean(before, how).mean,
        "challenger": weighted_mean(after, how).mean,
        "difference": found.mean,
        "low": found.interval.low,
        "high": found.interval.high,
        "verdict": verdict,
    }
