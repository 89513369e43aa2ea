"""What was selected, and why, beside what the signals say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import parts_figure, words_figure
from clworkbench.display.html import html_table
from clworkbench.display.text import short

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = 8
TEXTS = ("text", "answer", "improvement_text")


@dataclass(frozen=True, eq=False)
class Chosen:
    """The candidates of all selections so far.

    Attributes:
        selections: one row for each: `known_at`, `candidates`, and how many were chosen for each reason first.
        frame: the candidates of the last one, the most urgent first: `reasons`, `outcome`, `confidence`, and the
            texts where they were asked for.
    """

    selections: pl.DataFrame
    frame: pl.DataFrame

    def __repr__(self) -> str:
        return f"Chosen({self.selections.height} selections, {self.frame.height} candidates in the last)"

    def _repr_html_(self) -> str:
        counts = self.selections.with_columns(pl.col("known_at").dt.strftime("%a %d %b %Y"))
        titles = ["known at", *(name.replace("_", " ") for name in counts.columns[1:])]
        said = f"The {min(SHOWN, self.frame.height)} most urgent of the last selection"
        return html_table(titles, counts.iter_rows(), caption="Candidates, by the reason that chose them") + (
            "" if self.frame.is_empty() else html_table(self._columns(), self._rows(), caption=said)
        )

    def plot(self) -> "Figure":
        """The candidates of the last selection by their first reason: with a good, a bad or no settled outcome."""
        title = "Candidates of the last selection, by the reason that chose them"
        if self.frame.is_empty():
            return words_figure("nothing was selected yet", title=title)
        outcome = pl.col("outcome")
        counts = (
            self.frame.group_by(reason=pl.col("reasons").list.first())
            .agg(
                good=outcome.eq_missing(other=True).sum(),
                pending=outcome.is_null().sum(),
                bad=outcome.eq_missing(other=False).sum(),
            )
            .sort(pl.sum_horizontal("good", "pending", "bad"), "reason", descending=[True, False])
            .with_columns(pl.col("reason").str.replace_all("_", " "))
        )
        return parts_figure(counts, "reason", title=title)

    def _columns(self) -> list[str]:
        names = {"text": "asked", "answer": "answered", "improvement_text": "corrected to"}
        return ["reasons", "outcome", "confidence", *(names[name] for name in self._texts())]

    def _texts(self) -> Sequence[str]:
        return [name for name in TEXTS if name in self.frame.columns]

    def _rows(self) -> list[tuple[object, ...]]:
        words = {True: "good", False: "bad", None: "pending"}
        return [
            (
                ", ".join(reason.replace("_", " ") for reason in row["reasons"]),
                words[row["outcome"]],
                "–" if row["confidence"] is None else f"{row['confidence']:.2f}",
                *("–" if row[name] is None else short(row[name], 120) for name in self._texts()),
            )
            for row in self.frame.head(SHOWN).iter_rows(named=True)
        ]


def chosen(candidates: pl.DataFrame, signals: pl.DataFrame, selections: pl.DataFrame, *, texts: bool) -> Chosen:
    """Puts candidates beside their signals.

    Args:
        candidates: rows of `schemas.CANDIDATES` with `seq`, of all selections.
        signals: one row for each answer.
        selections: as `Chosen` has them.
        texts: whether what was asked, answered and corrected is shown as well.
    """
    last = candidates.filter(pl.col("seq") == pl.col("seq").max()).sort("priority", descending=True)
    columns = ["interaction_id", "outcome", "confidence", *(TEXTS if texts else ())]
    frame = last.select("interaction_id", "reasons", "priority").join(
        signals.select(columns), on="interaction_id", how="left", maintain_order="left"
    )
    return Chosen(selections, frame)
