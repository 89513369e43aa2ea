"""The audit of a release, of the gate that let it through, and of the evaluations behind that."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import msgspec
import polars as pl

from clworkbench.audit.check import Check, failed, passed
from clworkbench.audit.whole import RESTORE, some, whole, whole_as
from clworkbench.audit.withdrawn import rests_on_withdrawn
from clworkbench.errors import ClwError
from clworkbench.evals.evaluate import summary
from clworkbench.releases.gates import Gate, canonical, judge
from clworkbench.releases.judges import UNCALIBRATED, JudgeStanding, judge_findings, unheard
from clworkbench.releases.production import drawn_of
from clworkbench.releases.report import GateReport
from clworkbench.settings import JUDGE
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id

NEAR = 1e-9
MEANS = ("model", "suite", "n", "metrics", "slices", "terminations", "f1", "classes", "production")
AGAIN = "Hold the run against the champion again: `clw gate RUN`"
AROUND = ("gates_edited", "leak", "imported", "judge_uncalibrated")
"""Findings that do not come from the scores."""

FORGOTTEN = "examples were forgotten since"


class ReleaseManifest(msgspec.Struct, frozen=True):
    """What a release's manifest says beside what every manifest does."""

    id: str
    parents: list[str]
    run: str
    replaces: str
    gate: str | None


class GateManifest(msgspec.Struct, frozen=True):
    """What a gate's manifest says beside what every manifest does."""

    id: str
    parents: list[str]
    decision: str
    champion: str
    challenger: str
    gates: list[dict[str, object]]
    gates_sha256: str
    findings: list[dict[str, str]]
    rules: list[dict[str, object]] | None = None
    target: str | None = None
    judges: list[JudgeStanding] = []
    base: list[str] = []

    @property
    def evals(self) -> list[str]:
        """The evaluations whose scores it judged; its other parents say how far judges agree with people."""
        return [each for each in self.parents if each.startswith("eval:")]


class EvalManifest(msgspec.Struct, frozen=True):
    """What an evaluation's manifest says beside what every manifest does."""

    model: str
    suite: str
    n: int
    id: str
    batch_id: str
    gates_sha256: str
    asked: dict[str, object]


def release(workspace: Workspace, artefact_id: str) -> list[Check]:
    """The checks of a release itself; its run and its gate are audited beside it."""
    checks, said = whole_as(workspace, artefact_id, ReleaseManifest)
    if said is None:
        return checks
    return [*checks, _promoted(workspace, said), _card(workspace, said), _history(workspace, said)]


def _promoted(workspace: Workspace, said: ReleaseManifest) -> Check:
    """gates.json is the gate's own report, on this run, and says promote; only the first release has none."""
    try:
        told = json.loads((workspace.artefact_folder(said.id) / "gates.json").read_bytes())
    except (OSError, ValueError) as error:
        return failed("decision", 1, f"gates.json cannot be read ({error}). {RESTORE}.")
    if said.gate is None:
        first = told == {"decision": "initial", "gates": []}
        return Check(
            "decision", first, 0, "the first release, held against nothing" if first else f"no gate. {RESTORE}."
        )
    held = workspace.catalog.artefact(said.gate)
    if held != told or said.gate not in said.parents:
        return failed("decision", 1, f"gates.json is not the report of {said.gate}. {RESTORE}.")
    before = (workspace.catalog.artefact(said.replaces) or {}).get("run", said.replaces)
    right = tuple(map(told.get, ("decision", "challenger", "champion"))) == ("promote", said.run, before)
    found = f"{said.gate} says {told.get('decision')} of {told.get('challenger')} against {told.get('champion')}"
    return Check("decision", right, 1, found if right else f"{found}. Roll back: `clw rollback`.")


def _card(workspace: Workspace, said: ReleaseManifest) -> Check:
    try:
        text = (workspace.artefact_folder(said.id) / "card.md").read_text()
    except (OSError, ValueError) as error:
        return failed("card", 1, f"card.md cannot be read ({error}). {RESTORE}.")
    sets = [p for p in workspace.catalog.parents(said.run) if p.startswith("training_set:")]
    missing = [name for name in (said.run, *sets) if name not in text]
    if missing:
        return failed("card", len(missing), f"card.md does not name {some(missing)}. {RESTORE}.")
    return passed("card", 1, "names the run and its training set")


def _history(workspace: Workspace, said: ReleaseManifest) -> Check:
    """It became the champion in place of the one it names, and every champion so far is an artefact."""
    history = [model for model, _, _ in workspace.catalog.champions()]
    if said.id not in history:
        return failed("history", 1, "never became the champion: it was released half. Release it again.")
    at = history.index(said.id)
    before = history[at - 1] if at else None
    if before not in (said.replaces, None):
        return failed("history", 1, f"says that it replaces {said.replaces}, and {before} served before it. {RESTORE}.")
    known = [model for model in history if workspace.catalog.artefact(model) is None]
    if known:
        return failed("history", len(known), f"{some(known)} served and is no artefact. {RESTORE}.")
    return passed("history", len(history), f"champion number {at + 1} of {len(history)}, after {said.replaces}")


def gate(workspace: Workspace, artefact_id: str) -> list[Check]:
    """The gates were fixed before the scores were seen, the scores give these numbers, and these the decision."""
    checks, said = whole_as(workspace, artefact_id, GateManifest)
    if said is None:
        return checks
    withdrawn = rests_on_withdrawn(workspace, said.parents)
    return [*checks, *withdrawn, _fixed_before(workspace, said), _named(said), *_judged(workspace, said)]


def _fixed_before(workspace: Workspace, said: GateManifest) -> Check:
    """The hash that was committed together with each evaluation's scores is that of the gates that judged them."""
    name, other = "gates before scores", []
    for each in said.evals:
        batch = str((workspace.catalog.artefact(each) or {}).get("batch_id"))
        found = [one.detail.get("gates_sha256") for one in workspace.catalog.batches(batch_id=batch)]
        if found != [said.gates_sha256]:
            other.append(each)
    if other or not said.evals:
        return failed(name, len(other) or 1, f"changed after the scores were seen: {some(other)}. Freeze a new suite.")
    return passed(name, len(said.evals), "the hash of the gates stood beside every score from the first")


def _named(said: GateManifest) -> Check:
    held: list[object] = [[asdict(each) for each in said.judges]] if said.judges else []
    held += [{"base": said.base}] if said.base else []
    made = stable_id("gate", [said.challenger, said.champion], said.evals, said.gates_sha256, *held)
    right = said.id == f"gate:{made[:12]}"
    found = (
        "is made of both models, their evaluations and the gates" if right else f"does not fit its contents. {RESTORE}."
    )
    return Check("gate's name", right, 1, found)


def _judged(workspace: Workspace, said: GateManifest) -> list[Check]:
    """The gates have the hash that was recorded, and the scores judged by them again give the same report."""
    suites = {p for each in said.evals for p in workspace.catalog.parents(each) if p.startswith("suite:")}
    if gone := sorted(each for each in suites if workspace.catalog.heir(each)):
        return [failed("numbers", len(gone), f"{FORGOTTEN} of {some(gone)}: `clw gate {said.challenger}` again")]
    if said.rules is None:
        return [failed("numbers", 1, f"it does not record its gates: an older version made it. {AGAIN}.")]
    try:
        gates = [msgspec.convert(rule, Gate) for rule in said.rules]
        # Where no suite is frozen here, guards on slices are named by the scores themselves, and not in the hash.
        hashed = [_hash_of(gates, said.target)]
        if not suites:
            hashed.append(_hash_of([each for each in gates if each.required or each.slice == "all"], said.target))
        scores = [_scores(workspace, str((workspace.catalog.artefact(p) or {}).get("batch_id"))) for p in said.evals]
        both = pl.concat(scores)
        heard = unheard(both, said.judges)
        sides = [heard.filter(pl.col("model") == model) for model in (said.champion, said.challenger)]
        drawn = drawn_of({each.removeprefix("suite:"): workspace.rows(each) for each in sorted(suites)})
        again = judge(sides[0], sides[1], gates, target=said.target, drawn=drawn)
    except (msgspec.ValidationError, ClwError, ValueError, pl.exceptions.PolarsError) as error:
        return [failed("numbers", 1, f"the scores cannot be judged again: {error}")]
    return [_hashed(said, hashed), _same_report(said, again), *_brought_in(workspace, said), *_judges(said)]


def _judges(said: GateManifest) -> list[Check]:
    """What is known of the judges that it heard stands in the report, and rests on an agreement that is its parent."""
    if not (asking := {str(rule["metric"]) for rule in said.rules or () if str(rule["metric"]).startswith(JUDGE)}):
        return []
    told = [finding for finding in said.findings if finding.get("kind") == UNCALIBRATED]
    right = told == [finding._asdict() for finding in judge_findings(said.judges)]
    heard = [judge for judge in said.judges if not judge.refused]
    rests = all(judge.agreement in said.parents for judge in heard)
    if right and rests and asking == {judge.metric for judge in said.judges}:
        return [passed("judges", len(heard), "were measured against people before they were heard, as the report says")]
    return [failed("judges", len(asking), f"the report does not tell how they stand with people. {AGAIN}.")]


def _brought_in(workspace: Workspace, said: GateManifest) -> list[Check]:
    """Where scores were imported, the report says so of each evaluation."""
    asked = [dict((workspace.catalog.artefact(each) or {}).get("asked") or {}) for each in said.evals]  # type: ignore[call-overload]
    n = sum("imported" in each for each in asked)
    told = sum(finding.get("kind") == "imported" for finding in said.findings)
    if n != told:
        return [failed("imported", n, f"{n} evaluations were brought in, and the report tells of {told}. {AGAIN}.")]
    return [passed("imported", n, "evaluations were brought in from other harnesses, as the report says")] if n else []


def _hash_of(gates: Sequence[Gate], target: str | None) -> str:
    return hashlib.sha256(f"{target}\n{canonical(gates)}".encode("utf-8", "surrogatepass")).hexdigest()


def _hashed(said: GateManifest, hashed: Sequence[str]) -> Check:
    n = len(said.gates)
    if said.gates_sha256 in hashed:
        return passed("gates", n, "have the hash that stands beside the scores")
    return failed("gates", n, f"are not those whose hash stands beside the scores. {RESTORE}.")


def _same_report(said: GateManifest, again: GateReport) -> Check:
    """Each number, verdict and finding, and the decision; findings on what stood around the scores may be more."""
    differs = [
        f"gate {number + 1}" for number, row in enumerate(said.gates) if not _near(row, _row(again.gates, number))
    ]
    own = [finding for finding in said.findings if finding.get("kind") not in AROUND]
    differs += ["its gates"] if len(said.gates) != again.gates.height else []
    differs += ["findings"] if own != again.findings.to_dicts() else []
    differs += ["decision"] if said.decision != again.decision else []
    if differs:
        return failed("numbers", len(differs), f"differ from what the scores give: {some(differs)}. {RESTORE}.")
    return passed("numbers", len(said.gates), f"are what the scores give, and say {said.decision}")


def _row(gates: pl.DataFrame, number: int) -> dict[str, object]:
    return gates.row(number, named=True) if number < gates.height else {}


def _near(old: object, new: object) -> bool:
    """The same, but for the last digits of numbers."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_near(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_near, old, new))
    if isinstance(old, int | float) and isinstance(new, int | float):
        return abs(old - new) <= NEAR * max(1.0, abs(old))
    return old == new


def _scores(workspace: Workspace, batch_id: str) -> pl.DataFrame:
    return workspace.scan("scores").filter(pl.col("batch_id") == batch_id).collect()


def evaluation(workspace: Workspace, artefact_id: str) -> list[Check]:
    """The scores that were committed give the means in the manifest."""
    checks, manifest = whole(workspace, artefact_id)
    if manifest is None:
        return checks
    try:
        said = msgspec.convert(manifest, EvalManifest)
        if heir := workspace.catalog.heir(f"suite:{said.suite}"):
            return [*checks, failed("scores", 1, f"{FORGOTTEN} of {said.suite}: evaluate again on {heir}")]
        frozen = f"suite:{said.suite}"
        here = "imported" not in said.asked and workspace.catalog.artefact(frozen)
        examples = workspace.rows(frozen) if here else None
        found = summary(_scores(workspace, said.batch_id), examples).as_dict()
    except (msgspec.ValidationError, ClwError) as error:
        return [*checks, failed("scores", 1, f"{error} {RESTORE}.")]
    made = stable_id("eval", said.model, f"suite:{said.suite}", said.asked)
    if said.batch_id != made or not said.id.endswith(made[:10]):
        return [*checks, failed("scores", 1, f"its name is not made of model, suite and settings. {RESTORE}.")]
    differs = [key for key in MEANS if not _near(manifest.get(key), found.get(key))]
    if differs:
        return [*checks, failed("scores", len(differs), f"the scores give other {some(differs)}. {RESTORE}.")]
    return [*checks, passed("scores", said.n, f"give the means in the manifest, for {said.model} on {said.suite}")]
