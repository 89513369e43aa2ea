"""The suites of a workspace at a glance: how many examples each slice has, and which no scorer can grade."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.evals.suites import ungradable
from clworkbench.loop.evals.scoring import scoring
from clworkbench.loop.releases import rules
from clworkbench.settings import JUDGE
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ALL = "all"


@dataclass(frozen=True, eq=False)
class Suites:
    """What models are measured on.

    Attributes:
        frame: one row for each suite and slice (`all` first): `suite` (`name@version`), `slice`, `examples`,
            `ungradable` (whose own expected answer some scorer gives less than full marks), `newest` (whether no later
            version of that name is there).
        ungradable: one row for each such example and scorer of the newest versions: `suite`, `example_id`, `scorer`,
            `gold_score`, `reason`.
        measured: the suites (`name@version`) on which gates hold models: those of `[evals]`, all where it names none.
    """

    frame: pl.DataFrame
    ungradable: pl.DataFrame
    measured: tuple[str, ...] = ()

    def __repr__(self) -> str:
        whole = self.frame.filter(slice=ALL)
        told = ", ".join(f"{name} ({n} examples)" for name, n in whole.select("suite", "examples").iter_rows())
        return f"Suites({told or 'none'})"

    def _repr_html_(self) -> str:
        if self.frame.is_empty():
            return "<p>No suite yet. Freeze one: <code>clw suite NAME FILE</code>.</p>"
        shown = self.frame.select("suite", "slice", "examples", "ungradable")
        return html_table(("suite", "slice", "examples", "cannot be graded"), shown.iter_rows())

    def plot(self) -> "Figure":
        """Examples of each slice of the newest versions, those that cannot be graded apart."""
        from clworkbench.display.figures import parts_figure, words_figure

        newest = self.frame.filter("newest")
        if newest.is_empty():
            return words_figure("No suite yet.", title="Examples by slice")
        shown = newest.select(
            pl.format("{}: {}", pl.col("suite").str.replace("@.*$", ""), "slice").alias("slice"),
            (pl.col("examples") - pl.col("ungradable")).alias("graded"),
            pl.col("ungradable").alias("cannot be graded"),
        )
        return parts_figure(shown, "slice", title="Examples by slice").update_xaxes(title="examples")


def suites(workspace: Workspace) -> Suites:
    """The frozen suites, oldest first, with the examples of each slice and those that `[evals]` cannot grade.

    Gold answers are scored by the scorers as `clw.toml` names them now; judges, which cost something, are not asked.

    Raises:
        ArtefactError: `[evals]` names a suite that is not there.
    """
    manifests = workspace.catalog.artefacts("suite")
    names = [name for name in workspace.settings.evals.scorers if not name.startswith(JUDGE)]
    newest = {str(held["id"]).partition("@")[0]: str(held["id"]) for held in manifests}
    counted, blind = [], []
    with scoring(workspace):
        for held in manifests:
            artefact = str(held["id"])
            rows = workspace.rows(artefact)
            cannot = ungradable(rows, names).with_columns(suite=pl.lit(artefact.removeprefix("suite:")))
            about = {"suite": pl.lit(artefact.removeprefix("suite:")), "newest": pl.lit(artefact in newest.values())}
            counted.append(_counted(rows, cannot["example_id"]).with_columns(**about).select(list(FRAME)))
            blind += [cannot] if artefact in newest.values() else []
    frame = pl.concat([pl.DataFrame(schema=FRAME), *counted])
    none = pl.DataFrame(schema=UNGRADABLE)
    measured = rules.suites(workspace) if manifests else []
    return Suites(
        frame,
        pl.concat([none, *(each.select(list(UNGRADABLE)) for each in blind)]),
        tuple(artefact.removeprefix("suite:") for artefact in measured),
    )


FRAME = {"suite": pl.String, "slice": pl.String, "examples": pl.Int64, "ungradable": pl.Int64, "newest": pl.Boolean}
UNGRADABLE = {
    "suite": pl.String, "example_id": pl.String, "scorer": pl.String, "gold_score": pl.Float64, "reason": pl.String,
}  # fmt: skip


def _counted(rows: pl.DataFrame, cannot: pl.Series) -> pl.DataFrame:
    """`slice`, `examples` and `ungradable`, `all` first."""
    marked = rows.select("slices", blind=pl.col("example_id").is_in(cannot.implode()))
    parts = marked.explode("slices", empty_as_null=True).drop_nulls("slices").rename({"slices": "slice"})
    whole = marked.select("blind", slice=pl.lit(ALL))
    counts = {"examples": pl.len().cast(pl.Int64), "ungradable": pl.col("blind").sum().cast(pl.Int64)}
    by_slice = parts.filter(pl.col("slice") != ALL).group_by("slice").agg(**counts).sort("slice")
    return pl.concat([whole.group_by("slice").agg(**counts), by_slice])
