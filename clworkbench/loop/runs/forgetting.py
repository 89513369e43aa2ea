"""Forgetting: what a run lost of what its parent had learned, measured on rows that neither was trained on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.audit.budget import metered
from clworkbench.display.forgetting_figure import forgetting_figure
from clworkbench.display.html import html_table
from clworkbench.display.progress import Advance, silent
from clworkbench.display.text import table
from clworkbench.errors import ArtefactError, EvidenceError, ModelError, SettingsError
from clworkbench.loop.evals.model import evaluate, resolve
from clworkbench.loop.evals.scoring import scoring
from clworkbench.loop.releases.rules import suites
from clworkbench.loop.runs.older import HELD_OUT, LIKELY, held_out_rows, held_out_scores
from clworkbench.models.load import load
from clworkbench.models.names import ModelSpec
from clworkbench.releases.gates import Gate, judge
from clworkbench.schemas import SCORES
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MARGIN = 0.05
MARGIN_NATS = 0.1
"""Of the mean log-probability of a token: a tenth of a nat is a perplexity that is 10.5 % higher."""

MONTH = r"^\d{4}-\d{2}$"
SAID = {"met": "kept", "violated": "forgotten", "open": "open", "unmeasured": "unmeasured"}

SLICES = pl.Schema(
    {
        "where": pl.String,
        "metric": pl.String,
        "n": pl.Int64,
        "before": pl.Float64,
        "after": pl.Float64,
        "difference": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "margin": pl.Float64,
        "verdict": pl.String,
    }
)
"""One row for each slice and metric, of which higher is better: `n` examples (conversations, of held-out rows), the
parent's mean, the run's, their paired difference (run minus parent) with its 90 % interval, how much worse is allowed,
and a verdict: `kept` (shown not worse by more than the margin), `forgotten` (shown worse by more; Holm over all rows),
else `open`."""


@dataclass(frozen=True, eq=False)
class Forgetting:
    """What a run lost of what its parent had learned.

    Attributes:
        run: its id.
        against: the parent's, or that of the run it was held against.
        frame: `SLICES`.
        left_out: what could not be measured, and why.
    """

    run: str
    against: str
    frame: pl.DataFrame
    left_out: tuple[str, ...] = ()

    @property
    def forgotten(self) -> list[str]:
        """Where it is shown that more was lost than the margin allows."""
        lost = self.frame.filter(pl.col("verdict") == "forgotten")
        return [f"{metric} on {where}" for where, metric in lost.select("where", "metric").iter_rows()]

    @property
    def said(self) -> str:
        """The answer in a line."""
        if lost := self.forgotten:
            return f"forgotten: {', '.join(lost)}"
        kept = self.frame.filter(pl.col("verdict") == "kept").height
        return f"nothing shown forgotten; {kept} of {self.frame.height} shown kept within the margin"

    def __repr__(self) -> str:
        return f"Forgetting({self.run} against {self.against}: {self.said})"

    def _repr_html_(self) -> str:
        caption = f"{self.run} against {self.against}: {self.said}"
        told = self.frame.with_columns(
            interval=pl.format("{} to {}", _signed("low"), _signed("high")), difference=_signed("difference")
        ).select("where", "metric", "n", "before", "after", "difference", "interval", "margin", "verdict")
        left = html_table(("not measured",), [(each,) for each in self.left_out]) if self.left_out else ""
        return html_table(tuple(told.columns), told.iter_rows(), caption=caption) + left

    def plot(self) -> "Figure":
        """Each difference with its interval and its margin."""
        return forgetting_figure(self.frame, title=f"What {self.run} forgot of what {self.against} had learned")

    def lines(self) -> list[str]:
        """For a terminal."""
        left = [f"not measured: {each}" for each in self.left_out]
        return [f"{self.run} against {self.against}", *table(self.frame), *left, self.said]

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw forgetting --json`."""
        told = {"run": self.run, "against": self.against, "forgotten": self.forgotten}
        return told | {"slices": self.frame.to_dicts(), "left_out": list(self.left_out)}


def _signed(name: str) -> pl.Expr:
    number = pl.col(name).round(3)
    sign = pl.when(number > 0).then(pl.lit("+")).otherwise(pl.lit(""))
    return pl.concat_str(sign, number.cast(pl.String)).fill_null("–")


def forgetting(
    workspace: Workspace,
    run: str,
    against: str | None = None,
    *,
    margin: float = MARGIN,
    advance: Advance = silent,
) -> Forgetting:
    """What a run lost of what its parent had learned: by month, by slice of `clw.toml`, and on each suite.

    On the held-out rows of all sets that the parent and those before it learned from, of which neither run was trained
    on one, the two runs' scores are paired: the log-probability of the good answer, which of two answers is likelier,
    or the verifier's score. On suites they are the scores of `clw eval`, which are kept.

    Args:
        workspace: where the runs are.
        run: the run's id, or a release's.
        against: the run that had learned before; the run's parent when None.
        margin: how much worse a score or a rate may be (0 to 1); for the log-probability it is 0.1 nats a token.
        advance: progress, in examples.

    Raises:
        EvidenceError: it has no parent, or nothing older is held out and there is no suite.
        ModelError: one of them answers nothing, or cannot be loaded.
        SettingsError: a margin that is none.
        BudgetError: what may be spent on evaluation in this month is spent.
    """
    if not 0 <= margin <= 1:
        raise SettingsError(f"forgetting: margin = {margin}; it must be a number from 0 to 1, such as 0.05.")
    after = resolve(workspace, run)
    before = _before(workspace, after, against)
    rows = held_out_rows(workspace, before.name, after.name)
    left_out = [] if rows else [f"no row of what {before.name} learned is held out: see [training] holdout"]
    pairs = [_held_out(workspace, (before, after), rows, advance)] if rows else []
    try:
        frozen = suites(workspace)
    except ArtefactError:
        frozen = []
        left_out.append("no suite: freeze one with `clw suite NAME FILE`")
    pairs += [_on_suite(workspace, (before, after), suite, advance) for suite in frozen]
    if not pairs:
        raise EvidenceError(f"forgetting of {after.name}: {'; '.join(left_out)}. There is nothing to measure it on.")
    champion, challenger = (pl.concat([pair[side] for pair in pairs], how="vertical_relaxed") for side in (0, 1))
    report = judge(champion, challenger, _asked(champion, margin))
    frame = report.gates.select(
        "metric",
        "n",
        "difference",
        "low",
        "high",
        "margin",
        where="slice",
        before="champion",
        after="challenger",
        verdict=pl.col("verdict").replace_strict(SAID, return_dtype=pl.String),
    )
    frame = frame.select(list(SLICES))
    return Forgetting(after.name, before.name, frame.cast(SLICES), tuple(left_out))


def _before(workspace: Workspace, after: ModelSpec, against: str | None) -> ModelSpec:
    """The run that had learned before."""
    if not after.name.startswith("run:"):
        raise ModelError(f"{after.name}: not a run or a release, so that it forgot nothing here. Name a run.")
    parent = against or (workspace.catalog.artefact(after.name) or {}).get("parent")
    if not parent:
        raise EvidenceError(
            f"{after.name}: trained from a base, not from a run: there is no parent whose lessons it could forget.\n"
            "Name the run that learned before: --against RUN."
        )
    before = resolve(workspace, str(parent))
    if before.name == after.name:
        raise EvidenceError(f"{after.name}: cannot be held against itself. Name another run: --against RUN.")
    return before


def _held_out(
    workspace: Workspace, sides: tuple[ModelSpec, ModelSpec], rows: dict[str, pl.DataFrame], advance: Advance
) -> list[pl.DataFrame]:
    """Both runs' scores on held-out rows, one model in memory at a time."""
    settings, found = workspace.settings, []
    with metered(workspace, "eval", sides[1].name) as meter:
        noted = meter.through(advance)
        for done, spec in enumerate(sides, start=1):
            loaded = load(spec, dtype=settings.model.dtype, threads=settings.model.threads)
            with scoring(workspace):
                found.append(held_out_scores(loaded, rows, settings.evals.max_new_tokens))
            noted(done, len(sides), HELD_OUT)
    return found


def _on_suite(
    workspace: Workspace, sides: tuple[ModelSpec, ModelSpec], suite: str, advance: Advance
) -> list[pl.DataFrame]:
    """Both runs' scores on a suite, whose own slices are told apart from those of other suites."""
    name = suite.removeprefix("suite:")
    slices = pl.concat_list(pl.lit([name]), pl.col("slices").list.eval(pl.lit(f"{name}: ") + pl.element()))
    columns = [each for each in SCORES if each != "batch_id"]
    return [
        evaluate(workspace, spec.name, suite, advance=advance).scores.with_columns(slices=slices).select(columns)
        for spec in sides
    ]


def _asked(scores: pl.DataFrame, margin: float) -> list[Gate]:
    """Not worse by more than the margin, by each metric on each slice; a month that is the only one says nothing."""
    found = scores.select("scorer", "slices").explode("slices", empty_as_null=True).drop_nulls().unique()
    month = pl.col("slices").str.contains(MONTH)
    shown = found.filter(~month | (month.sum().over("scorer") > 1))
    ordered = shown.sort("scorer", pl.col("slices") != HELD_OUT, "slices")
    margins = {LIKELY: MARGIN_NATS}
    return [
        Gate(f"{metric} on {where}", metric, where, "not_worse", margins.get(metric, margin), required=True)
        for metric, where in ordered.iter_rows()
    ]
