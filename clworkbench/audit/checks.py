"""`clw audit`: every rule of an artefact looked at again, and of all that it rests on."""

import re
from collections.abc import Callable
from pathlib import Path

from clworkbench.audit.certificates import FOLDER, check
from clworkbench.audit.check import Check, failed
from clworkbench.audit.judge import judge
from clworkbench.audit.release import evaluation, gate, release
from clworkbench.audit.report import WITHIN, AuditReport
from clworkbench.audit.run import run
from clworkbench.audit.suite import suite
from clworkbench.audit.training_set import training_set
from clworkbench.audit.withdrawn import whole_withdrawal
from clworkbench.errors import ArtefactError
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import FOLDERS

NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,120}"

AUDITS: dict[str, Callable[[Workspace, str], list[Check]]] = {
    "training_set": training_set,
    "suite": suite,
    "run": run,
    "eval": evaluation,
    "judge": judge,
    "gate": gate,
    "release": release,
    "withdrawal": whole_withdrawal,
}

RESTS_ON = ("run", "eval", "gate", "release")
"""The kinds whose parents are audited with them: what a training set was compared with decides nothing in it."""


def audit(workspace: Workspace, name: str | Path) -> AuditReport:
    """Derives every rule of an artefact again, and says what holds.

    Args:
        workspace: where it lies.
        name: an artefact's id, with or without its kind; `name` alone is its newest version. Or a certificate's path
            or number.

    Raises:
        ArtefactError: there is no such artefact, or the name fits several kinds.
    """
    name = str(name)
    path = workspace.folder / FOLDER / f"{name:0>4}.json" if name.isdecimal() else Path(name)
    if path.suffix == ".json" and path.is_file():
        return audit_certificate(path)
    start = _find(workspace, name)
    checks: list[Check] = []
    todo, seen = [start], set[str]()
    while todo:
        artefact = todo.pop(0)
        if artefact in seen:
            continue
        seen.add(artefact)
        kind = artefact.partition(":")[0]
        named = "" if artefact == start else artefact + WITHIN
        found = _replaced(workspace, artefact) or AUDITS[kind](workspace, artefact)
        checks += [each._replace(name=named + each.name) for each in found]
        if kind in RESTS_ON:
            todo += [parent for parent in workspace.catalog.parents(artefact) if parent.partition(":")[0] in AUDITS]
    return AuditReport(start, tuple(checks))


def audit_certificate(path: Path) -> AuditReport:
    """Checks a certificate of `clw forget`, offline: where it lies apart from its workspace, with those beside it.

    Raises:
        ForgetError: it is no certificate.
    """
    return AuditReport(str(path), tuple(check(path)))


def _replaced(workspace: Workspace, artefact_id: str) -> list[Check]:
    """What was made of rows that were forgotten since cannot forget them."""
    heir = _heir(workspace, artefact_id)
    if heir is None or workspace.catalog.artefact(artefact_id):
        return []
    said = f"rows of it were forgotten since, and {heir} stands in its place. Make what rests on it again from that."
    return [failed("forgotten", 1, said)]


def _heir(workspace: Workspace, artefact_id: str) -> str | None:
    """What stands in its place now, where it was made again, be it several times, without what was forgotten."""
    heir = workspace.catalog.heir(artefact_id)
    return heir and (_heir(workspace, heir) or heir)


def _find(workspace: Workspace, name: str) -> str:
    """The artefact of that name, by its id, its name and version, or its name alone."""
    ids = [str(manifest["id"]) for manifest in workspace.catalog.artefacts()]
    if name in ids:
        return name
    kind, _, bare = name.rpartition(":")
    fits = [each for each in ids if not kind or each.startswith(f"{kind}:")]
    found = [each for each in fits if each.partition(":")[2] == bare]
    found = found or [each for each in fits if each.partition(":")[2].partition("@")[0] == bare]
    found = found or [heir for kind in AUDITS if (heir := _heir(workspace, f"{kind}:{bare}"))]
    newest = {each.partition(":")[0]: each for each in found}
    if len(newest) > 1:
        raise ArtefactError(f"{name}: there are several of that name. Say which: {', '.join(newest.values())}.")
    if newest:
        return next(iter(newest.values()))
    for known, folder in FOLDERS.items():
        if kind in ("", known) and re.fullmatch(NAME, bare) and (workspace.folder / folder / bare).is_dir():
            return f"{known}:{bare}"
    there = ", ".join(ids[-8:]) or "none yet"
    raise ArtefactError(f"{name}: no artefact and no certificate of that name in {workspace.folder}. There: {there}.")
