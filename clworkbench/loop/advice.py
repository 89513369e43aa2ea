"""Weighing: pieces of evidence, the rule that makes an answer of them, and how both are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.advice_figure import advice_figure
from clworkbench.display.html import html_table
from clworkbench.display.text import short, visible
from clworkbench.statistics.learning_curve import LearningCurve

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

STOPS, AGAINST, LEANS_AGAINST, NEITHER, LEANS_FOR, DECIDES, SHOWN = -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0
"""The weights there are. No where anything stops; else yes where anything decides (0.5) or is shown (1); else no."""

LINE = 100
"""Characters of the answer in one line; the evidence has it in full."""

FRAME = pl.Schema(
    {
        "name": pl.String,
        "says": pl.String,
        "for": pl.Boolean,
        "weight": pl.Float64,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "change": pl.String,
    }
)


@dataclass(frozen=True)
class Evidence:
    """One thing that speaks for training now, or against it.

    Attributes:
        name: what was looked at.
        says: what was found, in words.
        weight: one of the weights above, -1 to 1.
        value: its number, where there is one; a rate's (0 to 1) `low` and `high` are its 95 % interval.
        change: what would change it, in words.
    """

    name: str
    says: str
    weight: float
    value: float | None = None
    low: float | None = None
    high: float | None = None
    change: str | None = None

    @property
    def speaks_for(self) -> bool | None:
        """True for training, false against it, None for neither."""
        return None if self.weight == NEITHER else self.weight > NEITHER


@dataclass(frozen=True, eq=False, repr=False)
class Advice:
    """Whether it is worth training now, and why.

    Attributes:
        evidence: what was looked at, in order.
        curve: the learning curve of past runs; None where there are too few.
        learned: rows that the champion has learned; `then` with the new ones. None where there is no curve.
    """

    evidence: tuple[Evidence, ...]
    curve: LearningCurve | None = None
    learned: int | None = None
    then: int | None = None

    @cached_property
    def decided_by(self) -> Evidence | None:
        """The evidence that decides: the first that stops, else the heaviest for it; None where nothing does."""
        if stop := next((one for one in self.evidence if one.weight == STOPS), None):
            return stop
        heaviest = max(self.evidence, key=lambda one: one.weight, default=None)
        return heaviest if heaviest is not None and heaviest.weight >= DECIDES else None

    @property
    def answer(self) -> bool:
        """Whether to train now."""
        return self.decided_by is not None and self.decided_by.weight > NEITHER

    @property
    def because(self) -> str:
        """Why, in words."""
        if self.decided_by is not None:
            return self.decided_by.says
        against = [one.says for one in self.evidence if one.weight == AGAINST]
        return "; ".join(against) or "nothing speaks for it strongly enough"

    @property
    def waits_for(self) -> str:
        """What a cycle waits for, where the answer is no."""
        kind = "budget" if self.decided_by is not None and self.decided_by.name == "budget" else "evidence"
        return f"{kind}: {self.because}".rstrip(".")

    @property
    def changes(self) -> list[str]:
        """What would turn a no into a yes."""
        return [] if self.answer else [one.change for one in self.evidence if one.change]

    @cached_property
    def frame(self) -> pl.DataFrame:
        """One row for each piece of evidence: `name`, `says`, `for`, `weight`, `value`, `low`, `high`, `change`."""
        rows = [(e.name, e.says, e.speaks_for, e.weight, e.value, e.low, e.high, e.change) for e in self.evidence]
        return pl.DataFrame(rows, schema=FRAME, orient="row")

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw should-train --json`."""
        return {
            "answer": self.answer,
            "because": self.because,
            "evidence": self.frame.drop("change").to_dicts(),
            "changes": self.changes,
        }

    def lines(self) -> list[str]:
        """For a terminal: the answer, the evidence with its weights, and what would change it."""
        told = [f"{'yes' if self.answer else 'no'}: {short(self.because, LINE)}", ""]
        told += [f"{e.weight:+5.2f}  {e.says}" if e.weight else f"    0  {e.says}" for e in self._sorted()]
        if self.changes:
            told += ["", *(f"to change it: {change}" for change in self.changes)]
        return [visible(line) for line in told]

    def _sorted(self) -> Sequence[Evidence]:
        return sorted(self.evidence, key=lambda one: -abs(one.weight))

    def __repr__(self) -> str:
        return f"Advice({'yes' if self.answer else 'no'}: {short(self.because, LINE)})"

    def _repr_html_(self) -> str:
        rows = [(f"{e.weight:+.2f}" if e.weight else "0", SIDES[e.speaks_for], e.says) for e in self._sorted()]
        said = f"Train now? {'Yes' if self.answer else 'No'}: {short(self.because, LINE)}"
        below = html_table(("what would change it",), [(c,) for c in self.changes]) if self.changes else ""
        return html_table(("weight", "speaks", "evidence"), rows, caption=said) + below

    def plot(self) -> "Figure":
        """The evidence as bars for and against; beneath, the learning curve with its interval where there is one."""
        title = f"Train now? {'Yes' if self.answer else 'No'}"
        shown = self.frame.sort(pl.col("weight").abs(), descending=True, maintain_order=True)
        return advice_figure(shown, self.curve, now=self.learned, then=self.then, title=title)


SIDES = {True: "for", False: "against", None: "neither way"}
