"""Recency: what a challenger gains on the newest traffic, against what it loses on older traffic."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import EvidenceError
from clworkbench.evals.recency import NEWEST, OLDER, Compared, Recency, compared
from clworkbench.loop.evals.draw import drawn_suites
from clworkbench.loop.evals.scores import opponents, scored
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import as_moment

PREFIX = "suite:"


Ends = tuple[datetime | None, datetime | None]
"""When a suite's traffic begins and ends; None is open."""


class Suites(NamedTuple):
    """Ids of the suites: of the newest traffic, and of older."""

    newest: str
    older: list[str]


def recency(
    workspace: Workspace,
    challenger: str,
    *,
    against: str | None = None,
    newest: str | None = None,
    older: Sequence[str] = (),
    advance: Advance = silent,
) -> Recency:
    """Holds a challenger's gain on the newest traffic against its loss on older traffic.

    Args:
        workspace: where models and suites are.
        challenger: a model's name.
        against: the champion; the model that production serves when None.
        newest: the suite of the newest traffic; the drawn one that begins last when None.
        older: suites of older traffic; those that were drawn from before the newest begins when empty.
        advance: progress, in answers.

    Raises:
        EvidenceError: there is no such pair of suites, or a model would be held against itself.
        ArtefactError: a suite that is named is not there.
    """
    names = opponents(workspace, challenger, against)
    suites = _suites(workspace, newest, older)
    parts = []
    for period, suite in ((NEWEST, suites.newest), *((OLDER, each) for each in suites.older)):
        after, before = (scored(workspace, name, suite, advance).scores for name in names)
        drawn = drawn_suites(workspace, [suite])
        parts.append(Compared(period, suite.removeprefix(PREFIX), before, after, drawn))
    return Recency(names[0], names[1], compared(parts))


def _suites(workspace: Workspace, newest: str | None, older: Sequence[str]) -> Suites:
    drawn = _newest_versions(workspace)
    if newest is None:
        dated = [(since, name) for name, (since, _) in drawn.items() if since]
        if not dated:
            raise EvidenceError(f"recency: no suite was drawn from newest traffic. {WAY}")
        found = max(dated)[1]
    else:
        found = str(workspace.find("suite", newest)["id"])
    begins = drawn.get(found, (None, None))[0]
    if older:
        return Suites(found, [str(workspace.find("suite", name)["id"]) for name in older])
    earlier = sorted(name for name, (_, until) in drawn.items() if until and begins and until <= begins)
    if not earlier:
        when = "it" if begins is None else str(begins)[:10]
        raise EvidenceError(f"recency: no suite was drawn from traffic before {when} ({found}). {WAY}")
    return Suites(found, earlier)


WAY = "Draw both: `clw suite draw week --newest 7d` and `clw suite draw older --before DATE`; or name them."


def _newest_versions(workspace: Workspace) -> dict[str, Ends]:
    """Of each drawn suite the newest version, with when its traffic begins and ends."""
    found: dict[str, tuple[str, Ends]] = {}
    for manifest in workspace.catalog.artefacts("suite"):
        told = manifest.get("drawn")
        window = told.get("window") if isinstance(told, dict) else None
        if isinstance(window, dict):
            since, until = (as_moment(str(window[end])) if window.get(end) else None for end in ("since", "until"))
            name = str(manifest["id"])
            found[name.partition("@")[0]] = name, (since, until)
    return dict(found.values())
