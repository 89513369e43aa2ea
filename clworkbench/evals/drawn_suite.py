"""A drawn suite as a result: what it was drawn from, what was left out, and how that differs from all traffic."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.coverage_figure import coverage_figure
from clworkbench.display.html import html_table
from clworkbench.evals.coverage import in_words

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SHOWN = 10


@dataclass(frozen=True, eq=False)
class DrawnSuite:
    """A suite that stands for traffic.

    Attributes:
        manifest: its manifest.
        frame: its examples (`schemas.SUITE`).
        window: from when to when its signals are, in words.
        signals: how many there were.
        dropped: how many of them could not be drawn, by why, in order.
        strata: `evals.drawing.STRATA`.
        refused: how many conversations were looked at and left out, since rows that were learned show them, by how.
        coverage: `evals.coverage.COVERAGE`: all traffic beside what was drawn from.
        ungradable: by scorer of `[evals]`, how many examples it cannot grade.
    """

    manifest: Mapping[str, object]
    frame: pl.DataFrame
    window: str
    signals: int
    dropped: Mapping[str, int]
    strata: pl.DataFrame
    refused: Mapping[str, int]
    coverage: pl.DataFrame
    ungradable: Mapping[str, int]

    @property
    def id(self) -> str:
        """`suite:name@version`."""
        return str(self.manifest["id"])

    @property
    def n_frame(self) -> int:
        """How many signals could be drawn."""
        return self.signals - sum(self.dropped.values())

    @property
    def said(self) -> str:
        """What it stands for, and how that differs from all traffic, in a sentence or two."""
        share = self.n_frame / self.signals if self.signals else 0.0
        of = f"It stands for the {self.n_frame:,} of {self.signals:,} signals ({share:.0%}) whose right answer is known"
        return f"{of} and that no model learned; {in_words(self.coverage)}."

    def __repr__(self) -> str:
        conversations = int(self.strata["drawn"].sum())
        drawn = f"{self.frame.height:,} examples of {conversations:,} conversations"
        return f"DrawnSuite({self.id}: {drawn}, for {self.n_frame:,} of {self.signals:,} signals)"

    def lines(self) -> list[str]:
        """For a terminal: what was left out, each stratum, and what the suite stands for."""
        left, lines = self.signals, [f"{self.signals:>9,} signals, {self.window}"]
        for why, n in self.dropped.items():
            left -= n
            if n:
                lines.append(f"{left:>9,} after leaving out {n:,} {why.replace('_', ' ')}")
        for name, _, conversations, looked, drawn, examples, chance in self.strata.iter_rows():
            found = f"{drawn:,} of {conversations:,} conversations ({looked:,} looked at): {examples:,} examples"
            lines.append(f"  {name:<16} {found}, chance {chance:.3g}")
        lines += [f"  left out: {n:,} conversations that learned rows show ({why})" for why, n in self.refused.items()]
        lines.append(f"{self.id.removeprefix('suite:')}: {self.frame.height:,} examples. {self.said}")
        return [*lines, *graded_lines(self.manifest, self.frame.height)]

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw suite draw --json`."""
        return {
            "suite": self.id.removeprefix("suite:"),
            "examples": self.frame.height,
            "conversations": int(self.strata["drawn"].sum()),
            "signals": self.signals,
            "drawn_from": self.n_frame,
            "dropped": dict(self.dropped),
            "refused": dict(self.refused),
            "strata": self.strata.to_dicts(),
            "coverage": self.coverage.to_dicts(),
            "ungradable": dict(self.ungradable),
            "slices": self.manifest["slices"],
            "said": self.said,
        }

    def _repr_html_(self) -> str:
        strata = html_table([name.replace("_", " ") for name in self.strata.columns], self.strata.iter_rows())
        left = [(why.replace("_", " "), n) for why, n in self.dropped.items() if n]
        left += [(f"{why.replace('_', ' ')} (conversations)", n) for why, n in self.refused.items()]
        caption = f"{self.id.removeprefix('suite:')}: {self.frame.height:,} examples, {self.window}. {self.said}"
        shares = [
            (what, f"{whole:.0%}", f"{part:.0%}") for what, whole, part, _ in self.coverage.head(SHOWN).iter_rows()
        ]
        graded = [(name, n) for name, n in self.ungradable.items() if n]
        return (
            html_table(("signals", "all traffic", "drawn from"), shares, caption=caption)
            + strata
            + (html_table(("left out", "n"), left) if left else "")
            + (html_table(("scorer", "examples that it cannot grade"), graded) if graded else "")
        )

    def plot(self) -> "Figure":
        """Shares of all traffic beside those of what was drawn from, where they differ most."""
        title = f"{self.id.removeprefix('suite:')}: what it stands for, beside all traffic"
        return coverage_figure(self.coverage.head(SHOWN), title=title)


def graded_lines(manifest: Mapping[str, object], examples: int) -> list[str]:
    """That a scorer cannot grade some examples, in words, with the reason where it gives one."""
    counts, because = manifest["ungradable"], manifest.get("ungradable_because", {})
    assert isinstance(counts, dict)
    assert isinstance(because, dict)
    lines = []
    for scorer, n in counts.items():
        what = "does not give the expected answer itself full marks on"
        why = ""
        if scorer in because:
            what, why = "cannot grade", f" (such as: {because[scorer]})"
        lines.append(f"  {scorer} {what} {n:,} of {examples:,} examples{why}: no model's answer to them will count")
    return lines
