"""Scores that were withdrawn: they stay where they are, and count for nothing that comes after."""

from collections.abc import Sequence
from datetime import datetime

from clworkbench.audit.check import Check, failed
from clworkbench.audit.whole import whole
from clworkbench.workspace import Workspace

WITHDRAWAL = "withdrawal:"


def withdrawal(workspace: Workspace, evaluation: str) -> dict[str, object] | None:
    """What says that an evaluation's scores count no longer, and why; None while they do."""
    found = [each for each in workspace.catalog.children(evaluation) if each.startswith(WITHDRAWAL)]
    return workspace.catalog.artefact(found[0]) if found else None


def in_words(said: dict[str, object]) -> str:
    """When and why, for a person."""
    return f"withdrawn on {datetime.fromisoformat(str(said['created'])):%d %b %Y}: {said['why']}"


def rests_on_withdrawn(workspace: Workspace, evaluations: Sequence[str]) -> list[Check]:
    """One failed check where a gate rests on scores that were withdrawn since."""
    said = [found for each in evaluations if (found := withdrawal(workspace, each))]
    if not said:
        return []
    told = "; ".join(f"{each['model']} on {each['suite']}, {in_words(each)}" for each in said)
    return [failed("withdrawn", len(said), f"{told}. Gate again on scores that stand: `clw gate MODEL`.")]


def whole_withdrawal(workspace: Workspace, artefact_id: str) -> list[Check]:
    """The checks of a withdrawal itself: it is as it was written."""
    return whole(workspace, artefact_id)[0]
