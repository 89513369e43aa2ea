"""Gate, release, roll back: a challenger ships on evidence, and the way back is one command."""

import json
from dataclasses import dataclass

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ArtefactError, EvidenceError
from clworkbench.loop.model import Evaluation, champion, evaluate, gates_sha256, resolve, suites
from clworkbench.releases.card import model_card
from clworkbench.releases.gates import Gate, defaults, judge, plan
from clworkbench.releases.report import FINDINGS, GATES, GateReport
from clworkbench.settings import settings_dict
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id


@dataclass(frozen=True)
class Gated:
    """A gate's report and the artefact that keeps it."""

    manifest: dict[str, object]
    report: GateReport

    @property
    def id(self) -> str:
        """`gate:…`."""
        return str(self.manifest["id"])

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw gate --json`."""
        return {"gate": self.id, **self.report.as_dict()}


def gates(workspace: Workspace, suite: pl.DataFrame) -> tuple[Gate, ...]:
    """The gates that `clw.toml` states, else the defaults for its metric, its target and the suite's slices."""
    settings = workspace.settings
    if settings.gates.rules:
        return tuple(Gate(**settings_dict(rule)) for rule in settings.gates.rules)
    scorers = settings.evals.scorers
    metric = settings.gates.metric or (scorers[0] if len(scorers) == 1 else "reward")
    slices = sorted(suite["slices"].explode().drop_nulls().unique().to_list())
    return defaults(metric, slices, settings.gates.target)


def power(
    workspace: Workspace, suite: str | None = None, *, discordant: float = 0.2, truly: float = 0.02
) -> pl.DataFrame:
    """What the gates could show with the suites at hand, before anything is run: one row for each gate."""
    frozen = pl.concat([workspace.rows(name) for name in suites(workspace, suite)])
    target = workspace.settings.gates.target
    return plan(frozen, gates(workspace, frozen), discordant=discordant, truly=truly, target=target)


def gate(
    workspace: Workspace,
    challenger: str,
    *,
    against: str | None = None,
    suite: str | None = None,
    advance: Advance = silent,
) -> Gated:
    """Holds a challenger against the champion on the suites, and keeps the report.

    Args:
        workspace: where the suites and models are.
        challenger: a model's name.
        against: the champion; the model that production serves when None.
        suite: one suite only; those of `[evals]` when None.
        advance: progress, in examples.
    """
    frozen = suites(workspace, suite)
    names = [resolve(workspace, name).name for name in (challenger, against or champion(workspace))]
    evals = [[evaluate(workspace, name, each, advance=advance) for each in frozen] for name in names]
    challenger_scores, champion_scores = (pl.concat([e.scores for e in side]) for side in evals)
    examples = pl.concat([workspace.rows(each) for each in frozen])
    rules = gates(workspace, examples)
    target = workspace.settings.gates.target
    edited = _edited(workspace, evals[0])
    report = judge(champion_scores, challenger_scores, rules, target=target).with_findings(edited)
    ids = [str(e.manifest["id"]) for side in evals for e in side]
    artefact = f"gate:{stable_id('gate', names, ids, gates_sha256(workspace))[:12]}"
    answer = report.as_dict()
    about = {"challenger": names[0], "champion": names[1], "suites": frozen, "target": target, **answer}
    about["gates_sha256"] = gates_sha256(workspace)
    config = settings_dict(workspace.settings.gates)
    manifest = workspace.publish(artefact, parents=ids, config=config, about=about)
    return Gated(manifest, report)


def _edited(workspace: Workspace, evals: list[Evaluation]) -> list[tuple[str, str]]:
    """A finding for each evaluation whose gates were other ones when its scores were first seen."""
    now = gates_sha256(workspace)
    return [
        ("gates_edited", f"the gates were changed after {e.manifest['model']} was scored on {e.manifest['suite']}")
        for e in evals
        if e.manifest["gates_sha256"] != now
    ]


@dataclass(frozen=True)
class Release:
    """A release, and the model that production serves now."""

    manifest: dict[str, object]
    champion: str

    @property
    def id(self) -> str:
        """`release:…`."""
        return str(self.manifest["id"])

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw release --json`."""
        return {"release": self.id, "stage": "full", "weights": {self.champion: 1.0}, "champion": self.champion}


def last_gate(workspace: Workspace, run: str) -> dict[str, object] | None:
    """The latest gate, by the rules that `clw.toml` states now, that held a run against the present champion."""
    serving, rules = resolve(workspace, champion(workspace)).name, gates_sha256(workspace)
    held = [
        manifest
        for manifest in workspace.catalog.artefacts("gate")
        if (manifest["challenger"], manifest["champion"], manifest["gates_sha256"]) == (run, serving, rules)
    ]
    return held[-1] if held else None


def release(workspace: Workspace, run: str, *, initial: bool = False) -> Release:
    """Releases a run whose gate says `promote`; it becomes the champion.

    Args:
        workspace: where the run is.
        run: the run's id.
        initial: the first release of all: nothing serves yet, so there is nothing to be held against.

    Raises:
        EvidenceError: no gate, or one that does not say `promote`.
        ArtefactError: `initial`, and something serves already.
    """
    trained = workspace.find("run", run)
    run = str(trained["id"])
    with workspace.lease("release", "release", wait_s=60):
        held = last_gate(workspace, run)
        if initial and workspace.catalog.champions():
            raise ArtefactError(
                f"--initial is for the first release, and {champion(workspace)} serves already.\n"
                f"Hold the run against it: `clw gate {run}`."
            )
        if not initial and held is None:
            raise EvidenceError(
                f"{run}: never held against {champion(workspace)}, which serves now, by today's gates.\n"
                f"Run `clw gate {run}` first; "
                "for the very first release, when nothing serves yet, `clw release RUN --initial`."
            )
        if not initial and held is not None and held["decision"] != "promote":
            raise EvidenceError(
                f"{run}: its gate {held['id']} says {held['decision']}, not promote. See `clw gate {run}`."
            )
        return _release(workspace, trained, None if initial else held)


def _release(workspace: Workspace, trained: dict[str, object], held: dict[str, object] | None) -> Release:
    run = str(trained["id"])
    name = f"release:{run.removeprefix('run:')}"
    sets = [workspace.find("training_set", p) for p in workspace.catalog.parents(run) if p.startswith("training_set:")]
    before = champion(workspace)
    parents = [run, *([str(held["id"])] if held else [])]
    about = {"run": run, "gate": held["id"] if held else None, "replaces": before, "base": trained["base"]}
    card = model_card(
        {"id": name, "parents": parents, **about},
        run=trained,
        training_set=sets[0],
        report=_report(held) if held else None,
    )
    files = {
        "gates.json": json.dumps(held or {"decision": "initial", "gates": []}, indent=2),
        "card.md": card,
    }
    manifest = workspace.publish(name, parents=parents, about=about, files=files)
    if before != name:
        workspace.catalog.set_champion(name, "released on its gate" if held else "first release, ungated")
    return Release(manifest, name)


def _report(held: dict[str, object]) -> GateReport:
    """A gate's report, from its manifest."""
    return GateReport(
        decision=held["decision"],  # type: ignore[arg-type]
        gates=pl.DataFrame(held["gates"], schema=GATES),  # type: ignore[arg-type]
        findings=pl.DataFrame(held["findings"], schema=FINDINGS),  # type: ignore[arg-type]
        champion=str(held["champion"]),
        challenger=str(held["challenger"]),
    )


def rollback(workspace: Workspace) -> Release:
    """Makes the release before the present one the champion again.

    Raises:
        ArtefactError: there is none to go back to.
    """
    with workspace.lease("release", "rollback", wait_s=60):
        history = [model for model, _, _ in workspace.catalog.champions()]
        replaced = workspace.catalog.artefact(history[-1]) if history else None
        earlier = str(replaced["replaces"]) if replaced else ""
        manifest = workspace.catalog.artefact(earlier)
        if manifest is None:
            raise ArtefactError(
                f"nothing to roll back to: {champion(workspace)} serves, and no release stood before it.\n"
                "See what there is with `clw status`."
            )
        workspace.catalog.set_champion(earlier, f"rolled back from {history[-1]}")
    return Release(manifest, earlier)
