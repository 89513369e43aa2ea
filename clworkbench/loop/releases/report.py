"""A gate's report as one file to mail: what was decided, on what evidence, and what the challenger learned from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import polars as pl

from clworkbench.audit.withdrawn import in_words, withdrawal
from clworkbench.errors import EvidenceError
from clworkbench.files import write_atomically
from clworkbench.loop.evals.model import champion
from clworkbench.loop.evals.scores import SUITE, known_as
from clworkbench.loop.releases.compare import examples_of
from clworkbench.loop.releases.ship import kept_report
from clworkbench.releases.mailed import Facts, page
from clworkbench.releases.pairs import LOWER_IS_BETTER
from clworkbench.releases.side_by_side import SideBySide, side_by_side
from clworkbench.workspace import Workspace


@dataclass(frozen=True)
class Report:
    """A gate's report as HTML.

    Attributes:
        gate: the gate's id.
        decision: what it says.
        html: the whole file; it fetches nothing and runs no script.
        texts: whether production's texts and the suites' stand in it.
    """

    gate: str
    decision: str
    html: str
    texts: bool

    def __repr__(self) -> str:
        return f"Report({self.gate}: {self.decision}, {len(self.html.encode()) / 1000:,.0f} kB)"

    def write(self, path: str | Path) -> Path:
        """Writes the file whole, or not at all."""
        path = Path(path)
        write_atomically(path, self.html)
        return path


def report(workspace: Workspace, name: str, *, texts: bool = False) -> Report:
    """The report of a gate, ready to be mailed; without texts of production or of suites unless they are asked for.

    Args:
        workspace: where the gate is.
        name: a gate's id, a release's, or a model's: of a model, its latest gate as a challenger.
        texts: whether to show what was asked, expected and answered, wins and losses side by side.

    Raises:
        EvidenceError: the model was never held against another.
        ArtefactError: no such gate, run or release.
    """
    held = _held(workspace, name)
    kept = kept_report(held)
    parents = [workspace.catalog.artefact(each) for each in workspace.catalog.parents(str(held["id"]))]
    evals = [found for found in parents if found and found["kind"] == "eval"]
    run = workspace.catalog.artefact(kept.challenger)
    sets = [each for each in workspace.catalog.parents(kept.challenger) if each.startswith("training_set:")]
    facts = Facts(
        gate=held,
        report=kept,
        pairs=_pairs(workspace, held, evals),
        texts=texts,
        evals=evals,
        run=run,
        training_set=workspace.catalog.artefact(sets[0]) if sets else None,
        stands=_stands(workspace, held, evals),
    )
    return Report(str(held["id"]), kept.decision, page(facts), texts)


def _held(workspace: Workspace, name: str) -> dict[str, object]:
    if name.startswith("gate:"):
        return workspace.find("gate", name)
    if name.startswith("release:"):
        gate = workspace.find("release", name)["gate"]
        if gate is None:
            raise EvidenceError(f"{name}: the first release, held against nothing. There is no gate to report on.")
        return workspace.find("gate", str(gate))
    model = known_as(workspace, name)
    found = [held for held in workspace.catalog.artefacts("gate") if held["challenger"] == model]
    if not found:
        raise EvidenceError(f"{model}: never held against another model. Run `clw gate {model}` first.")
    return found[-1]


def _pairs(workspace: Workspace, held: Mapping[str, object], evals: list[dict[str, object]]) -> SideBySide | None:
    """Wins and losses on the very scores that the gate judged, and so by no judge that may not gate."""
    rules = cast("list[dict[str, object]]", held.get("rules") or [])
    judges = cast("list[dict[str, object]]", held.get("judges") or [])
    left_out = {*LOWER_IS_BETTER, *(each["metric"] for each in judges if each["refused"])}
    metrics = [str(rule["metric"]) for rule in rules if rule["metric"] not in left_out]
    batches = [str(each["batch_id"]) for each in evals]
    scores = workspace.scan("scores").filter(pl.col("batch_id").is_in(batches)).collect()
    before, after = (scores.filter(model=str(held[side])) for side in ("champion", "challenger"))
    common = [m for m in metrics if all((side["scorer"] == m).any() for side in (before, after))]
    if not common:
        return None
    suites = sorted({SUITE + str(each["suite"]) for each in evals})
    target = cast("str | None", held.get("target"))
    return side_by_side(before, after, common[0], examples_of(workspace, suites), target=target)


def _stands(workspace: Workspace, held: Mapping[str, object], evals: list[dict[str, object]]) -> list[str]:
    """What happened since that a reader must know first."""
    said = [
        f"The scores of {each['model']} on {each['suite']} were {in_words(taken)}. This report rests on them."
        for each in evals
        if (taken := withdrawal(workspace, str(each["id"])))
    ]
    released = [each for each in workspace.catalog.children(str(held["id"])) if each.startswith("release:")]
    serves = champion(workspace)
    for each in released:
        now = "serves now" if each == serves else f"serves no longer: {serves} does"
        rolled_back = " It was rolled back." if each in workspace.catalog.withdrawn() and each != serves else ""
        said.append(f"Released as {each}, which {now}.{rolled_back}")
    return said
