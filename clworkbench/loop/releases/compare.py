"""Comparing two models example by example: what the challenger wins, and what it loses."""

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.loop.evals.scores import SUITE, measured_on, opponents, scored
from clworkbench.loop.releases.rules import gates
from clworkbench.releases.pairs import LOWER_IS_BETTER
from clworkbench.releases.side_by_side import SideBySide, side_by_side
from clworkbench.schemas import SUITE as EXAMPLES
from clworkbench.workspace import Workspace


def compare(
    workspace: Workspace,
    challenger: str,
    *,
    against: str | None = None,
    suite: str | None = None,
    scorer: str | None = None,
    texts: bool = True,
    advance: Advance = silent,
) -> SideBySide:
    """Puts a challenger's answers beside the champion's: wins, losses and ties, by slice, with the texts.

    Args:
        workspace: where the suites and models are.
        challenger: a model's name.
        against: the champion; the model that production serves when None. Either may be a name under which scores
            were imported.
        suite: as `gate` has it.
        scorer: whose scores make wins and losses; the first that a gate asks for when None.
        texts: whether what was asked, expected and answered stands beside the scores.
        advance: progress, in examples.

    Raises:
        EvidenceError: both are the same model, or no example was graded by this scorer on both sides.
    """
    names = opponents(workspace, challenger, against)
    frozen = measured_on(workspace, names, suite)
    after, before = (pl.concat([scored(workspace, name, on, advance).scores for on in frozen]) for name in names)
    asked = [rule.metric for rule in gates(workspace, frozen, [after, before])]
    by = scorer or next((metric for metric in asked if metric not in LOWER_IS_BETTER), "reward")
    found = side_by_side(before, after, by, examples_of(workspace, frozen), target=workspace.settings.gates.target)
    return found if texts else found.without_texts()


def examples_of(workspace: Workspace, frozen: list[str]) -> pl.DataFrame:
    """The examples of those suites whose examples are here: `suite`, and the columns of `schemas.SUITE`."""
    kept = [name for name in frozen if workspace.catalog.artefact(name)]
    none = pl.DataFrame(schema={**EXAMPLES, "suite": pl.String})
    rows = [workspace.rows(name).with_columns(suite=pl.lit(name.removeprefix(SUITE))) for name in kept]
    return pl.concat([none, *rows], how="diagonal")
