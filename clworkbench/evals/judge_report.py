"""A judge's agreement with people as a result: a table, a confusion, a figure, and whether its scores may gate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.html import html_table, percent
from clworkbench.display.judge_figure import judge_figure
from clworkbench.evals.judge_agreement import ALL, LEAST_IN_SLICE, fewest, why_not
from clworkbench.scorers.judge import FAIL, PASS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

NONE = "no grade"


@dataclass(frozen=True, eq=False)
class JudgeAgreement:
    """How far a judge agrees with people, and so whether its scores may gate a release.

    Attributes:
        judge: its name in `[judges]`.
        id: of the artefact that keeps this.
        judge_sha256: which judge it was: its model, rubric, scale, and our words to it.
        model: what its endpoint calls the model.
        ratings: the highest grade; None for pass and fail.
        min_kappa: what the lower end of kappa's interval must reach.
        frame: `evals.judge_agreement.AGREEMENT`: a row for each slice, `all` first.
        confusion: `person`, `judge` (null: no grade), `n`.
        left_out: labelled answers that were not graded, by the reason.
        disagreements: `interaction_id`, `person`, `judge`, the farthest apart first; ids only, and not kept.
    """

    judge: str
    id: str
    judge_sha256: str
    model: str
    ratings: int | None
    min_kappa: float
    frame: pl.DataFrame
    confusion: pl.DataFrame
    left_out: Mapping[str, int]
    disagreements: pl.DataFrame

    @property
    def why_not(self) -> str | None:
        """Why its scores may not gate; None where they may."""
        return why_not(self._all, self.min_kappa, fewest(self.ratings))

    @property
    def may_gate(self) -> bool:
        """Whether its scores may gate."""
        return self.why_not is None

    @property
    def doubtful(self) -> dict[str, str]:
        """Slices in which its agreement is not shown, and why."""
        rows = self.frame.filter(pl.col("slice") != ALL).iter_rows(named=True)
        found = {row["slice"]: why_not(row, self.min_kappa, LEAST_IN_SLICE) for row in rows}
        return {name: why for name, why in found.items() if why}

    @property
    def _all(self) -> dict[str, object]:
        return self.frame.row(by_predicate=pl.col("slice") == ALL, named=True)

    def __repr__(self) -> str:
        return f"JudgeAgreement({self.judge}: {_kappa(self._all)}, n = {self._all['n']:,}; {self._may()})"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """For a terminal."""
        found = [f"{row['slice']:<20} {_said(row)}" for row in self.frame.iter_rows(named=True)]
        met = [f"people {self._word(p)}, judge {self._word(j)}: {n:,}" for p, j, n in self.confusion.iter_rows()]
        doubts = [f"slice {name}: {why}" for name, why in self.doubtful.items()]
        lost = [f"{n:,} labelled answers left out: {why}" for why, n in self.left_out.items()]
        return [*found, *met, *doubts, *lost, f"judge:{self.judge} {self._may()}"]

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw judge agree --json`."""
        whole = self._all
        return {
            "judge": self.judge,
            "id": self.id,
            "judge_sha256": self.judge_sha256,
            "model": self.model,
            **{key: whole[key] for key in ("n", "kappa", "low", "high")},
            "min_kappa": self.min_kappa,
            "may_gate": self.may_gate,
            "why": self.why_not,
            "slices": self.frame.to_dicts(),
            "doubtful": self.doubtful,
            "confusion": self.confusion.to_dicts(),
            "left_out": dict(self.left_out),
        }

    def plot(self) -> "Figure":
        """Kappa with its interval, overall and by slice, beside what it must reach to gate."""
        title = f"Agreement of judge:{self.judge} with people"
        return judge_figure(self.frame, self.min_kappa, weighted=self.ratings is not None, title=title)

    def _repr_html_(self) -> str:
        kind = "Cohen's kappa" if self.ratings is None else "Cohen's kappa (differences by their squares)"
        rates = ("sensitivity", "specificity") if self.ratings is None else ()
        rows = [
            (
                row["slice"],
                row["n"],
                row["ungraded"],
                percent(row["same"]),
                *_cells(row),
                *(percent(row[name]) for name in rates),
                row["higher"],
            )
            for row in self.frame.iter_rows(named=True)
        ]
        titles = ("slice", "n", "no grade", "same", "kappa", "95 %", *rates, "judge higher by")
        caption = f"{kind} of judge:{self.judge} ({self.model}) and people; it {self._may()}"
        return html_table(titles, rows, caption=caption) + self._met() + self._doubts()

    def _doubts(self) -> str:
        """Slices in which nothing is shown, and what was left out."""
        rows = [(f"slice {name}", why) for name, why in self.doubtful.items()]
        rows += [(f"{n:,} labelled answers left out", why) for why, n in self.left_out.items()]
        return html_table(("beside", "why"), rows) if rows else ""

    def _met(self) -> str:
        """The confusion, people's grades down and the judge's across."""
        grades = self.confusion["judge"].unique().sort(descending=True, nulls_last=True)
        counts = {(p, j): n for p, j, n in self.confusion.iter_rows()}
        people = self.confusion["person"].unique().sort(descending=True)
        rows = [(self._word(p), *(counts.get((p, j), 0) for j in grades)) for p in people]
        return html_table(("people say", *(f"judge {self._word(j)}" for j in grades)), rows)

    def _may(self) -> str:
        return "may gate" if self.may_gate else f"may not gate: {self.why_not}"

    def _word(self, grade: int | None) -> str:
        if grade is None:
            return NONE
        return str(grade) if self.ratings is not None else (FAIL, PASS)[grade]


def _kappa(row: Mapping[str, object]) -> str:
    number, bounds = _cells(row)
    return f"kappa {number} [{bounds}]" if number != "–" else "kappa undefined"


def _cells(row: Mapping[str, object]) -> tuple[str, str]:
    found, low, high = row["kappa"], row["low"], row["high"]
    if not isinstance(found, float) or not isinstance(low, float) or not isinstance(high, float):
        return "–", "–"
    return f"{found:.2f}", f"{low:.2f} to {high:.2f}"


def _said(row: Mapping[str, object]) -> str:
    rates = ", ".join(
        f"{name} {value:.0%}" for name in ("sensitivity", "specificity") if isinstance(value := row[name], float)
    )
    ungraded = f", {row['ungraded']:,} without a grade" if row["ungraded"] else ""
    return f"{_kappa(row)}, n = {row['n']:,}{ungraded}" + (f"; {rates}" if rates else "")
