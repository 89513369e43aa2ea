"""A drill: regressions planted into a model's own scores, to see each one blocked before a real one comes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import NamedTuple

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.releases.gates import judge
from clworkbench.releases.pairs import EXAMPLE, compare, in_slice
from clworkbench.releases.protocol import RESERVED, Gate
from clworkbench.releases.report import GateReport

SHARE, TIMES = "share of examples", "times"

SIZES = {
    SHARE: (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0),
    TIMES: (1.25, 1.5, 1.75, 2.0, 3.0, 5.0, 10.0),
}
"""What is tried of a regression, the least first: examples that are spoiled, or how much longer or dearer each is."""

DRILL = pl.Schema(
    {
        "planted": pl.String(),
        "blocked_at": pl.Float64(),
        "unit": pl.String(),
        "blocked_by": pl.List(pl.String()),
        "n": pl.Int64(),
        "says": pl.String(),
    }
)
"""One row for each regression: the least of those tried that was blocked (null: none), by which gates, and the examples
that it was planted among."""


Spoil = Callable[[pl.DataFrame, float], pl.DataFrame]
"""From scores and a size to the scores with a regression of that size."""


class Plant(NamedTuple):
    """A regression: its name, the slice in which it is planted, the unit of its sizes, and how it spoils scores."""

    name: str
    slice: str
    unit: str
    spoil: Spoil


@dataclass(frozen=True, eq=False)
class DrillReport:
    """What the gates block.

    Attributes:
        frame: `DRILL`.
        unproven: gates that blocked none of the largest regressions either: nobody has seen them block.
        model: whose scores were spoiled.
    """

    frame: pl.DataFrame
    unproven: list[str]
    model: str

    @property
    def proven(self) -> bool:
        """Whether every regression was blocked, and each gate blocks some."""
        return not self.unproven and self.frame["blocked_at"].null_count() == 0

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw gate --drill --json`."""
        return {"model": self.model, "drill": self.frame.to_dicts(), "unproven": self.unproven, "proven": self.proven}

    def __repr__(self) -> str:
        blocked = self.frame["blocked_at"].count()
        return f"DrillReport({blocked} of {self.frame.height} planted regressions blocked; unproven: {self.unproven})"

    def table(self) -> pl.DataFrame:
        """As a person reads it: `planted`, `n`, `blocked from`, `by`."""
        by = pl.col("blocked_by").list.join(", ").replace("", "–")
        return self.frame.select("planted", "n", pl.col("says").alias("blocked from"), by.alias("by"))

    def _repr_html_(self) -> str:
        shown = self.table()
        unproven = ", ".join(self.unproven) or "none"
        caption = f"Drill on {self.model}; gates never seen to block: {unproven}"
        return html_table(tuple(shown.columns), shown.rows(), caption=caption)


def drill(
    champion: pl.DataFrame, gates: Sequence[Gate], *, target: str | None = None, drawn: pl.DataFrame | None = None
) -> DrillReport:
    """Spoils a model's scores in several ways, more and more, until the gates block what came out.

    The spoiled scores are held against the model's own. What is spoiled first is drawn by a hash of the example's id,
    so that the same scores give the same drill.

    Args:
        champion: scores of one model (`schemas.SCORES`).
        gates: as they would judge.
        target: the target slice.
        drawn: as `gates.judge` takes it.

    Raises:
        SettingsError: the gates mean nothing.
        EvidenceError: the scores cannot be compared.
    """
    slices = [name for name in compare(champion, champion).slice_names() if name not in RESERVED]
    planted = plants(champion, gates, slices)
    held = partial(judge, champion, gates=gates, target=target, drawn=drawn)
    frame = pl.DataFrame([_found(champion, plant, held) for plant in planted], schema=DRILL, orient="row")
    blocking = {name for plant in planted for name in _violated(champion, plant, SIZES[plant.unit][-1], held)}
    models = champion["model"].drop_nulls().unique()
    unproven = [gate.name for gate in gates if gate.name not in blocking]
    return DrillReport(frame, unproven, str(models[0]) if len(models) else "(no scores)")


def plants(champion: pl.DataFrame, gates: Sequence[Gate], slices: Sequence[str]) -> list[Plant]:
    """Answers that turn wrong, everywhere and in each slice, that are cut off, that grow longer, and dearer."""
    metrics = sorted({gate.metric for gate in gates} & set(champion["scorer"].drop_nulls()))
    wrong = [
        Plant(
            f"{metric} lost {'on ' + name if name != 'all' else 'everywhere'}",
            name,
            SHARE,
            partial(_lost, metric, name),
        )
        for metric in metrics
        for name in ("all", *slices)
    ]
    return [
        *wrong,
        Plant("answers cut off", "all", SHARE, _cut_off),
        Plant("answers longer", "all", TIMES, partial(_grown, "n_output_tokens")),
        Plant("answers dearer", "all", TIMES, partial(_grown, "cost_usd")),
    ]


def _lost(metric: str, name: str, scores: pl.DataFrame, share: float) -> pl.DataFrame:
    """So many of the slice's examples get the worst score there is: 0, or the least one seen."""
    graded = scores.filter(pl.col("scorer") == metric)["score"].min()
    worst = min(0.0, graded) if isinstance(graded, float) else 0.0
    hit = _drawn(scores, name, share) & (pl.col("scorer") == metric) & pl.col("score").is_not_null()
    return scores.with_columns(score=pl.when(hit).then(worst).otherwise("score"))


def _cut_off(scores: pl.DataFrame, share: float) -> pl.DataFrame:
    hit = _drawn(scores, "all", share)
    return scores.with_columns(termination=pl.when(hit).then(pl.lit("length")).otherwise("termination"))


def _grown(column: str, scores: pl.DataFrame, times: float) -> pl.DataFrame:
    return scores.with_columns((pl.col(column) * times).cast(scores.schema[column]))


def _drawn(scores: pl.DataFrame, name: str, share: float) -> pl.Expr:
    """That share of a slice's examples, by a hash of their ids: a larger share holds a smaller one."""
    examples = scores.filter(in_slice(name, None)).select(EXAMPLE).unique()
    wanted = examples.sort(pl.struct(EXAMPLE).hash(seed=0), *EXAMPLE).head(ceil(share * examples.height))
    return pl.struct(EXAMPLE).is_in(wanted.select(at=pl.struct(EXAMPLE))["at"].implode())


def _found(champion: pl.DataFrame, plant: Plant, held: Callable[[pl.DataFrame], GateReport]) -> dict[str, object]:
    n = champion.filter(in_slice(plant.slice, None)).select(EXAMPLE).n_unique()
    row: dict[str, object] = {"planted": plant.name, "unit": plant.unit, "n": n}
    for size in SIZES[plant.unit]:
        if by := _violated(champion, plant, size, held):
            said = f"{size:.0%} of them" if plant.unit == SHARE else f"{size:g} times"
            return row | {"blocked_at": size, "blocked_by": by, "says": said}
    return row | {"blocked_at": None, "blocked_by": [], "says": "never"}


def _violated(
    champion: pl.DataFrame, plant: Plant, size: float, held: Callable[[pl.DataFrame], GateReport]
) -> list[str]:
    """The gates that block a regression of this size."""
    spoiled = plant.spoil(champion, size).with_columns(model=pl.lit("spoiled"))
    report = held(spoiled)
    return report.gates.filter(verdict="violated")["name"].to_list()
