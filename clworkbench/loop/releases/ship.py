"""Gate, release, roll back: a challenger ships on evidence, and the way back is one command."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from clworkbench.audit.withdrawn import withdrawal
from clworkbench.display.progress import Advance, silent
from clworkbench.display.text import short
from clworkbench.errors import ArtefactError, EvidenceError
from clworkbench.loop.evals.calibration import standings
from clworkbench.loop.evals.draw import drawn_suites
from clworkbench.loop.evals.model import Evaluation, champion, resolve
from clworkbench.loop.evals.scores import known_as, measurable, measured_on, opponents, scored
from clworkbench.loop.releases import rollout
from clworkbench.loop.releases.base_gates import JudgedByBase, base_findings
from clworkbench.loop.releases.rules import check, gates, gates_sha256, hashed_with, suites
from clworkbench.loop.training_sets.convert import training_sets_of
from clworkbench.releases.card import model_card
from clworkbench.releases.drill import DrillReport
from clworkbench.releases.drill import drill as plant_and_judge
from clworkbench.releases.gates import Gate, judge, plan
from clworkbench.releases.judges import judge_findings, unheard
from clworkbench.releases.production import conversations
from clworkbench.releases.report import FINDINGS, GATES, PRODUCTION, GateReport
from clworkbench.releases.rollout import FULL
from clworkbench.schemas import SUITE
from clworkbench.settings import settings_dict
from clworkbench.training_sets.descent import asking, kind_of
from clworkbench.training_sets.leakage import leaks
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id
from clworkbench.workspace.rollouts import current_rollout


@dataclass(frozen=True, repr=False)
class Gated:
    """A gate's report and the artefact that keeps it."""

    manifest: dict[str, object]
    report: GateReport

    @property
    def id(self) -> str:
        """`gate:…`."""
        return str(self.manifest["id"])

    def __repr__(self) -> str:
        return repr(self.report)

    def _repr_html_(self) -> str:
        return self.report._repr_html_()

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw gate --json`."""
        return {"gate": self.id, **self.report.as_dict()}


def power(
    workspace: Workspace, suite: str | None = None, *, discordant: float = 0.2, truly: float = 0.02
) -> pl.DataFrame:
    """What the gates could show with the suites at hand, before anything is run: one row for each gate.

    Without a frozen suite, those on which scores were imported.
    """
    on = measurable(workspace, suite)
    if on.imported is None:
        check(workspace)
    target = workspace.settings.gates.target
    asked = gates(workspace, on.suites, [] if on.imported is None else [on.imported])
    return plan(conversations(on.examples), asked, discordant=discordant, truly=truly, target=target)


def drill(
    workspace: Workspace, model: str | None = None, *, suite: str | None = None, advance: Advance = silent
) -> DrillReport:
    """Plants regressions into a model's own scores and says from which size on the gates block each.

    Args:
        workspace: where the suites and models are.
        model: whose scores; those of the model that production serves when None.
        suite: as `gate` has it.
        advance: progress, in examples.
    """
    name = known_as(workspace, model or champion(workspace))
    frozen = measured_on(workspace, [name], suite)
    if any(workspace.catalog.artefact(each) for each in frozen):
        check(workspace)
    evals = [scored(workspace, name, each, advance) for each in frozen]
    scores = pl.concat([each.scores for each in evals])
    rules = gates(workspace, frozen, [scores])
    heard = unheard(scores, standings(workspace, rules, [each.manifest for each in evals]))
    drawn = drawn_suites(workspace, frozen)
    return plant_and_judge(heard, rules, target=workspace.settings.gates.target, drawn=drawn)


def gate(
    workspace: Workspace,
    challenger: str,
    *,
    against: str | None = None,
    suite: str | None = None,
    gates_from: Path | None = None,
    advance: Advance = silent,
) -> Gated:
    """Holds a challenger against the champion on the suites, and keeps the report.

    Args:
        workspace: where the suites and models are.
        challenger: a model's name.
        against: the champion; the model that production serves when None. Either may be a name under which scores
            were imported.
        suite: one suite only; those of `[evals]` when None, or all on which both have imported scores.
        gates_from: another `clw.toml` whose gates judge, as the base branch's do in CI (`loop.base_gates`).
        advance: progress, in examples.
    """
    workspace = workspace if gates_from is None else JudgedByBase(workspace.folder, gates_from)
    names = opponents(workspace, challenger, against)
    frozen = measured_on(workspace, names, suite)
    if any(workspace.catalog.artefact(each) for each in frozen):
        check(workspace)
    if learned := _learned(workspace, names[0], frozen):
        raise EvidenceError(
            f"{names[0]}: was trained on {learned} rows that stand in {', '.join(frozen)}; its scores say nothing.\n"
            "Build the training set again (they are held out now), and train on that."
        )
    evals = [[scored(workspace, name, each, advance) for each in frozen] for name in names]
    sides = challenger_scores, champion_scores = [pl.concat([e.scores for e in side]) for side in evals]
    rules, sha256 = gates(workspace, frozen, sides), gates_sha256(workspace, hashed_with(workspace, frozen), sides)
    target = workspace.settings.gates.target
    brought = [found for side in evals for each in side for found in _imported(workspace, each.manifest)]
    findings = [*_edited(evals[0], sha256), *_champion_learned(workspace, names[1], frozen), *brought]
    edited = base_findings(workspace)
    findings += edited
    manifests = [each.manifest for side in evals for each in side]
    judges = standings(workspace, rules, manifests)
    findings += judge_findings(judges)
    heard = [unheard(scores, judges) for scores in (champion_scores, challenger_scores)]
    drawn = drawn_suites(workspace, frozen)
    report = judge(heard[0], heard[1], rules, target=target, drawn=drawn).with_findings(findings)
    ids = [str(manifest["id"]) for manifest in manifests]
    stand = [asdict(each) for each in judges]
    base = [detail for _, detail in edited]
    held = [*([stand] if stand else []), *([{"base": base}] if base else [])]
    artefact = f"gate:{stable_id('gate', names, ids, sha256, *held)[:12]}"
    about: dict[str, object] = {
        "suites": frozen,
        "target": target,
        "gates_sha256": sha256,
        "rules": [asdict(rule) for rule in rules],
        **report.as_dict(),
        **({"judges": stand} if stand else {}),
        **({"base": base} if base else {}),
    }
    config = settings_dict(workspace.settings.gates)
    agreements = [each.agreement for each in judges if each.agreement]
    manifest = workspace.publish(artefact, parents=[*ids, *agreements], config=config, about=about)
    return Gated(manifest, report)


def _learned(workspace: Workspace, model: str, frozen: list[str]) -> int:
    """How many rows that the model was trained on, or its parents were, stand in these suites."""
    sets = training_sets_of(workspace, model) if model.startswith("run:") else []
    rows = [asking(workspace.rows(each), kind_of(workspace.catalog.artefact(each) or {})) for each in sets]
    taught = [each.filter(pl.col("split") == "train") for each in rows]
    kept = [workspace.rows(each) for each in frozen if workspace.catalog.artefact(each)]
    examples = pl.concat([pl.DataFrame(schema=SUITE), *kept])
    return sum(leaks(each, examples, workspace.pseudonyms).count() for each in taught)


def _champion_learned(workspace: Workspace, model: str, frozen: list[str]) -> list[tuple[str, str]]:
    n = _learned(workspace, model, frozen)
    return [("leak", f"the champion was trained on {n} rows of these suites: it looks better than it is")] if n else []


def _edited(evals: list[Evaluation], sha256: str) -> list[tuple[str, str]]:
    """A finding for each evaluation whose gates were other ones before its scores were first seen."""
    return [
        ("gates_edited", f"the gates were changed after {e.manifest['model']} was scored on {e.manifest['suite']}")
        for e in evals
        if e.manifest["gates_sha256"] != sha256
    ]


def _imported(workspace: Workspace, manifest: Mapping[str, object]) -> list[tuple[str, str]]:
    """A finding where these scores were brought in: nobody here has seen the answers graded."""
    asked = manifest.get("asked")
    brought = asked.get("imported") if isinstance(asked, Mapping) else None
    if brought is None:
        return []
    file = workspace.catalog.batches(batch_id=str(manifest["batch_id"]))[0].detail["file"]
    what = f"{manifest['model']} on {manifest['suite']}: scores were not measured here"
    return [("imported", f"{what}, but brought in from {short(str(file), 80)} (SHA-256 {brought['sha256'][:12]})")]


@dataclass(frozen=True, repr=False)
class Release:
    """A release, and the model that production serves now."""

    manifest: dict[str, object]
    champion: str
    stage: str = FULL
    weights: Mapping[str, float] | None = None

    @property
    def id(self) -> str:
        """`release:…`."""
        return str(self.manifest["id"])

    def __repr__(self) -> str:
        stage = "" if self.stage == FULL else f"at {self.stage}; "
        return f"Release({self.id}; {stage}{self.champion} serves)"

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw release --json`."""
        shares = dict(self.weights or {self.champion: 1.0})
        return {"release": self.id, "stage": self.stage, "weights": shares, "champion": self.champion}


def last_gate(workspace: Workspace, run: str) -> dict[str, object] | None:
    """The latest gate that held a run against the present champion, on all suites, by the rules as they are now."""
    frozen = suites(workspace)
    wanted = {
        "challenger": run,
        "champion": resolve(workspace, champion(workspace)).name,
        "suites": frozen,
        "gates_sha256": gates_sha256(workspace, frozen),
    }
    held = [m for m in workspace.catalog.artefacts("gate") if all(m.get(key) == value for key, value in wanted.items())]
    stands = [m for m in held if not any(withdrawal(workspace, e) for e in workspace.catalog.parents(str(m["id"])))]
    return stands[-1] if stands and _judges_stand(workspace, stands[-1]) else None


def _judges_stand(workspace: Workspace, held: Mapping[str, object]) -> bool:
    """Whether the judges that a gate heard stand as they did: labels may have been withdrawn since."""
    if "judges" not in held:
        return True
    rules = [Gate(**rule) for rule in held["rules"]]  # type: ignore[attr-defined]
    evals = [workspace.catalog.artefact(each) or {} for each in workspace.catalog.parents(str(held["id"]))]
    now = standings(workspace, rules, [each for each in evals if each.get("kind") == "eval"])
    return [asdict(each) for each in now] == held["judges"]


def was_rolled_back(workspace: Workspace, run: str) -> bool:
    """Whether a release of this run served, and was withdrawn since: only a person ships it again."""
    withdrawn = {model for model in workspace.catalog.withdrawn() if run in workspace.catalog.parents(model)}
    return bool(withdrawn) and champion(workspace) not in withdrawn


def release(
    workspace: Workspace, run: str, *, initial: bool = False, staged: bool = False, at: datetime | None = None
) -> Release:
    """Releases a run whose gate says `promote`; it becomes the champion, at once or in stages.

    Args:
        workspace: where the run is.
        run: the run's id.
        initial: the first release of all: nothing serves yet, so there is nothing to be held against.
        staged: it goes out by the stages of `[rollout]`, and is the champion when the last one is passed.
        at: when its rollout begins, on the events' clock, for simulations; now when None.

    Raises:
        EvidenceError: no gate, or one that does not say `promote`.
        ArtefactError: `initial`, and something serves already; or a rollout goes on.
    """
    trained = workspace.find("run", run)
    run = str(trained["id"])
    if initial and staged:
        raise ArtefactError("the first release has no champion to be held against: leave --staged out.")
    with workspace.lease("release", "release", wait_s=60):
        if (other := current_rollout(workspace.catalog)) is not None:
            raise ArtefactError(rollout.goes_on(other))
        if initial and workspace.catalog.champions():
            raise ArtefactError(
                f"--initial is for the first release, and {champion(workspace)} serves already.\n"
                f"Hold the run against it: `clw gate {run}`."
            )
        held = None if initial else last_gate(workspace, run)
        if not initial and held is None:
            raise EvidenceError(
                f"{run}: never held against {champion(workspace)}, which serves now, on all suites, by today's gates.\n"
                f"Run `clw gate {run}` first; "
                "for the very first release, when nothing serves yet, `clw release RUN --initial`."
            )
        if not initial and held is not None and held["decision"] != "promote":
            raise EvidenceError(
                f"{run}: its gate {held['id']} says {held['decision']}, not promote. See `clw gate {run}`."
            )
        return _staged(workspace, trained, held, at) if staged else _release(workspace, trained, held)


def _release(workspace: Workspace, trained: dict[str, object], held: dict[str, object] | None) -> Release:
    before, manifest = champion(workspace), published(workspace, trained, held)
    name = str(manifest["id"])
    if before != name:
        workspace.catalog.set_champion(name, "released on its gate" if held else "first release, ungated")
    return Release(manifest, name)


def _staged(
    workspace: Workspace, trained: dict[str, object], held: dict[str, object] | None, at: datetime | None
) -> Release:
    before, manifest = champion(workspace), published(workspace, trained, held)
    begun = rollout.begin(workspace, str(manifest["id"]), before, at)
    return Release(manifest, before, begun.stage, rollout.shares(begun))


def published(workspace: Workspace, trained: dict[str, object], held: dict[str, object] | None) -> dict[str, object]:
    """Writes a run's release down, with its card and its gates; who serves does not change."""
    run = str(trained["id"])
    name = f"release:{run.removeprefix('run:')}" + (f".{str(held['id']).removeprefix('gate:')[:6]}" if held else "")
    sets = [workspace.find("training_set", p) for p in workspace.catalog.parents(run) if p.startswith("training_set:")]
    before = champion(workspace)
    parents = [run, *([str(held["id"])] if held else [])]
    about = {"run": run, "gate": held["id"] if held else None, "replaces": before, "base": trained["base"]}
    card = model_card(
        {"id": name, "parents": parents, **about},
        run=trained,
        training_set=sets[0],
        report=kept_report(held) if held else None,
    )
    files = {
        "gates.json": json.dumps(held or {"decision": "initial", "gates": []}, indent=2),
        "card.md": card,
    }
    return workspace.publish(name, parents=parents, about=about, files=files)


def kept_report(held: dict[str, object]) -> GateReport:
    """A gate's report, from its manifest."""
    return GateReport(
        decision=held["decision"],  # type: ignore[arg-type]
        gates=pl.DataFrame(held["gates"], schema=GATES),  # type: ignore[arg-type]
        findings=pl.DataFrame(held["findings"], schema=FINDINGS),  # type: ignore[arg-type]
        champion=str(held["champion"]),
        challenger=str(held["challenger"]),
        production=pl.DataFrame(held.get("production", []), schema=PRODUCTION),  # type: ignore[arg-type]
    )


def rollback(workspace: Workspace, why: str = "", *, at: datetime | None = None) -> Release:
    """Takes the challenger of the present rollout back; without one, the release before the present one serves again.

    Args:
        workspace: whose.
        why: the reason, kept with the record.
        at: when, on the events' clock, for simulations; now when None.

    Raises:
        ArtefactError: there is none to go back to.
    """
    with workspace.lease("release", "rollback", wait_s=60):
        if current_rollout(workspace.catalog) is not None:
            ended = rollout.send_back(workspace, f"a person: {why.strip() or 'rolled back'}", at=at)
            shares = {model: share for model, share in rollout.shares(ended).items() if share}
            return Release(workspace.find("release", ended.release), ended.champion, ended.stage, shares)
        earlier = workspace.catalog.roll_back()
        if earlier is None:
            raise ArtefactError(
                f"nothing to roll back to: {champion(workspace)} serves, and no release stood before it.\n"
                "See what there is with `clw status`."
            )
    return Release(workspace.find("release", earlier), earlier)
