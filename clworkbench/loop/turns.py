"""The loop's turns so far: what each learned from, what its gate said, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.errors import EvidenceError
from clworkbench.loop.releases.ship import kept_report
from clworkbench.releases.card import Card
from clworkbench.releases.report import GateReport
from clworkbench.training_sets.descent import Turned
from clworkbench.training_sets.waterfall import Waterfall
from clworkbench.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Turn:
    """One turn of the loop, from signals to a decision.

    Attributes:
        waterfall: how its training set came about.
        report: what the gates said.
        release: what came of it, or None.
        card: the release's card, or None.
    """

    waterfall: Waterfall
    report: GateReport
    release: str | None
    card: Card | None

    def __repr__(self) -> str:
        return f"Turn({self.waterfall.id} to {self.report.challenger}: {self.report.decision})"


@dataclass(frozen=True, eq=False)
class Turns:
    """All turns that came as far as a gate, the first at the start."""

    all: tuple[Turn, ...]

    @property
    def focus(self) -> Turn:
        """The turn to look at: the last that led to a release, else the last.

        Raises:
            EvidenceError: none has come to a gate.
        """
        return next((turn for turn in reversed(self.all) if turn.release), self.last)

    @property
    def last(self) -> Turn:
        """The latest turn.

        Raises:
            EvidenceError: none has come to a gate.
        """
        if not self.all:
            raise EvidenceError("no turn of the loop has come to a gate yet. See what is next: `clw status`.")
        return self.all[-1]

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each turn: `training_set`, `signals`, `rows`, `new`, `challenger`, `decision`, `release`."""
        rows = [
            {
                "training_set": turn.waterfall.id.removeprefix("training_set:"),
                "signals": turn.waterfall.signals,
                "rows": turn.waterfall.rows,
                "new": turn.waterfall.n_new,
                "challenger": turn.report.challenger,
                "decision": turn.report.decision,
                "release": turn.release,
            }
            for turn in self.all
        ]
        return pl.DataFrame(rows)

    def __repr__(self) -> str:
        return f"Turns({', '.join(turn.report.decision for turn in self.all) or 'none'})"

    def _repr_html_(self) -> str:
        titles = ("training set", "signals", "rows", "new", "challenger", "decision", "release")
        return html_table(titles, self.frame.iter_rows(), caption="Turns of the loop")


def turns(workspace: Workspace) -> Turns:
    """The turns of the loop that came as far as a gate."""
    found = sorted(workspace.catalog.artefacts("gate"), key=lambda manifest: str(manifest["created"]))
    return Turns(tuple(turn for held in found if (turn := _turn(workspace, held))))


def _turn(workspace: Workspace, held: dict[str, object]) -> Turn | None:
    """A gate's turn; None where its challenger is no run of this workspace."""
    parents = workspace.catalog.parents(str(held["challenger"]))
    learned = next((parent for parent in parents if parent.startswith("training_set:")), None)
    if learned is None:
        return None
    released = [m for m in workspace.catalog.artefacts("release") if m["gate"] == held["id"]]
    release = str(released[0]["id"]) if released else None
    return Turn(
        waterfall=waterfall(workspace, learned),
        report=kept_report(held),
        release=release,
        card=_card(workspace, release) if release else None,
    )


def waterfall(workspace: Workspace, training_set: str) -> Waterfall:
    """How a training set came about, from its manifest.

    Raises:
        ArtefactError: no such training set.
    """
    manifest = workspace.find("training_set", training_set)
    dropped, splits = manifest["dropped"], manifest["splits"]
    assert isinstance(dropped, Mapping)
    assert isinstance(splits, Mapping)
    counts = (int(str(manifest[name])) for name in ("signals", "n_new"))
    signals, n_new = counts
    pairs = manifest.get("turned")
    turned = Turned(**pairs) if isinstance(pairs, dict) else None
    return Waterfall(str(manifest["id"]), signals, dropped, splits, n_new, turned)


def _card(workspace: Workspace, release: str) -> Card:
    return Card(release, (workspace.artefact_folder(release) / "card.md").read_text())
