"""Taking imported scores back: they gate no longer, and nothing of the history is lost."""

from dataclasses import dataclass

from clworkbench.audit.withdrawn import WITHDRAWAL
from clworkbench.display.text import short
from clworkbench.errors import EvidenceError
from clworkbench.loop.evals.scores import SUITE, imported
from clworkbench.workspace import Workspace


@dataclass(frozen=True)
class Withdrawn:
    """Scores that were taken back.

    Attributes:
        manifest: of the withdrawal.
        gates: gates that rest on them; the audit of each says so from now on.
        served: releases that one of those let through.
        counts_again: the earlier import that counts in their place now, or None.
    """

    manifest: dict[str, object]
    gates: tuple[str, ...]
    served: tuple[str, ...]
    counts_again: str | None

    def __repr__(self) -> str:
        said = self.manifest
        return f"Withdrawn({said['model']} on {said['suite']}: {said['why']}; {len(self.gates)} gates rested on them)"

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw scores withdraw --json`."""
        said = {key: self.manifest[key] for key in ("model", "suite", "eval", "why")}
        return said | {"gates": self.gates, "releases": self.served, "counts_again": self.counts_again}


def withdraw_scores(workspace: Workspace, model: str, suite: str | None = None, *, why: str) -> Withdrawn:
    """Takes back the scores that were imported last for a model on a suite; what was imported before counts again.

    The scores, and the gates that rest on them, stay where they are; the audit of those gates, and of releases that
    they let through, fails from now on, and `clw release` takes none of them. The same file is not taken again.

    Args:
        workspace: where they were imported.
        model: the name under which they were.
        suite: what was measured; needed where the model has imported scores on several.
        why: the reason, in a sentence; it stands in audits.

    Raises:
        EvidenceError: there are none, there are several suites, or no reason is given.
    """
    reason = " ".join(why.split())
    if not reason:
        raise EvidenceError("scores withdraw: no reason. Say why they count no longer, with --why; audits repeat it.")
    theirs = imported(workspace, model)
    wanted = {on: held for on, held in theirs.items() if suite is None or on == SUITE + suite.removeprefix(SUITE)}
    if len(wanted) != 1:
        there = ", ".join(on.removeprefix(SUITE) for on in theirs) or "none"
        way = "Name one with --suite." if wanted else "`clw scores import` names both as it brings scores in."
        raise EvidenceError(f"scores withdraw: {short(model)} has imported scores on: {there}. {way}")
    (on, held), batch = next(iter(wanted.items())), "batch_id"
    evaluation = str(held["id"])
    about = {"eval": evaluation, "model": model, "suite": on.removeprefix(SUITE), "why": short(reason, 300)}
    made = f"{WITHDRAWAL}{str(held[batch])[:16]}"
    manifest = workspace.publish(made, parents=[evaluation], about=about)
    gates = tuple(each for each in workspace.catalog.children(evaluation) if each.startswith("gate:"))
    served = tuple(each for gate in gates for each in workspace.catalog.children(gate) if each.startswith("release:"))
    left = imported(workspace, model).get(on)
    return Withdrawn(manifest, gates, served, str(left["id"]) if left else None)
