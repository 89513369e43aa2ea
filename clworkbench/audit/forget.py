"""Forget: rows out of every table and all that was made of them, with a certificate as its last word.

A forget is a list of steps, written down in the catalog before the first of them. A killed one is finished by the next
`clw forget`, whatever that asks; until then there is no certificate of it.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import filterfalse
from pathlib import Path

import psutil

from clworkbench.audit import annotators, certificates, verify
from clworkbench.audit.asked import Asked
from clworkbench.audit.derived import Derived, cut_sheet, derived, rebuild
from clworkbench.audit.gone import Gone
from clworkbench.audit.plan import PURGED, Plan, counting, erased, plan, tombstones
from clworkbench.audit.roots import Root, root
from clworkbench.audit.tainted import tainted
from clworkbench.display.html import html_table
from clworkbench.errors import ForgetError
from clworkbench.schemas import TABLES
from clworkbench.workspace import Workspace, erasing
from clworkbench.workspace import tombstones as stones
from clworkbench.workspace.answers import Answers
from clworkbench.workspace.artefacts import code_version
from clworkbench.workspace.catalog import micros, moment, now
from clworkbench.workspace.folder import FOLDERS
from clworkbench.workspace.leases import WHOLE

Say = Callable[[str], None]
"""Called with the name of each step, when it begins."""

WAIT_S = 60.0
"""How long a forget waits for others to end."""


def quiet(_step: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Forgotten:
    """What a forget did.

    Attributes:
        certificate: where its certificate lies.
        told: what the certificate says.
        left: files that are not ours and may hold such rows: `path` and `why`.
        files: what was removed beside tables and sets, or had rows taken out of it.
    """

    certificate: Path
    told: dict[str, object]
    left: list[dict[str, object]]
    files: list[str]

    def __repr__(self) -> str:
        return f"Forgotten({self.told['rows']}; {self.certificate})"

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw forget --json`."""
        keys = ("rows", "rebuilt", "removed", "tainted", "champion", "before", "after")
        told = {key: self.told[key] for key in keys}
        return {"certificate": str(self.certificate), **told, "left": self.left, "files": self.files}

    def _repr_html_(self) -> str:
        rows, rebuilt, tainted = (self.told[key] for key in ("rows", "rebuilt", "tainted"))
        lines = [(f"{table} (rows)", n) for table, n in rows.items() if n]  # type: ignore[attr-defined]
        lines += [("made again", f"{each['from']} as {each['to']}") for each in rebuilt]  # type: ignore[attr-defined]
        lines += [("not unlearned", each["id"]) for each in tainted]  # type: ignore[attr-defined]
        lines += [("left to you", f"{each['path']}: {each['why']}") for each in self.left]
        return html_table(("forgotten", ""), [*lines, ("certificate", self.certificate.name)])


def forget(
    workspace: Workspace, asked: Asked | None, *, everything: bool = False, wait_s: float = WAIT_S, say: Say = quiet
) -> Forgotten | None:
    """Forgets what is asked, and first what an interrupted forget left.

    Args:
        workspace: where; nobody else may work in it meanwhile.
        asked: what goes; None only finishes an interrupted forget.
        everything: agrees that no interaction is left.
        wait_s: how long to wait for others to end.
        say: told of each step.

    Returns:
        What was done, or None where there is nothing to be forgotten (or, without `asked`, to be finished).

    Raises:
        ForgetError: all would go and nobody agreed, or something of it still stands at the end.
        LeaseError: somebody works in the workspace.
    """
    with workspace.lease(WHOLE, "forget", wait_s=wait_s):
        finished = _finish(workspace, number, say) if (number := workspace.forgetting) else None
        if asked is None or (finished and finished.told["asked"] == asked.told(workspace.pseudonyms)):
            return finished
        say("plan")
        planned = plan(workspace, asked)
        if planned.is_empty:
            return None
        if planned.is_all and not everything:
            raise ForgetError(
                f"forget: all {planned.total['interactions']:,} interactions match, and none would be left.\n"
                "Look again with --dry-run. If that is what you want, say --all."
            )
        return _finish(workspace, _begin(workspace, planned), say)


def _begin(workspace: Workspace, planned: Plan) -> int:
    """Writes down what goes: from here on it is refused, and a killed forget is finished."""
    counted = now()
    before = {table: root(workspace, table, counted) for table in TABLES}
    stamp = micros(planned.asked.at)
    told = {
        "asked": planned.asked.told(workspace.pseudonyms),
        "rows": planned.rows,
        "before": {table: found._asdict() for table, found in before.items()},
        "derived": asdict(planned.derived),
        "removed": planned.removed,
        "tainted": planned.tainted,
        "champion": planned.champion,
        "left": planned.left,
        "exports": planned.exports,
        "aliases": planned.gone.aliases,
        "counted": counted.isoformat(),
    }
    with workspace.catalog.transaction() as db:
        (number,) = db.execute("select coalesce(max(number), 0) + 1 from forgets").fetchone()
        stones.bury(db, number, tombstones(workspace, planned.scope, planned.asked))
        db.execute("insert into forgets values (?, ?, ?, '[]', null)", (number, stamp, json.dumps(told)))
    return int(number)


def _finish(workspace: Workspace, number: int, say: Say) -> Forgotten:
    """Does the steps that are not done yet."""
    _look_again(workspace, number)
    for name, step in STEPS.items():
        done, told = _state(workspace, number)
        if name not in done:
            say(name)
            step(workspace, number, told)
            _keep(workspace, number, [*done, name], told)
    say("certificate")
    return _certify(workspace, number)


def _look_again(workspace: Workspace, number: int) -> None:
    """Takes in what others made of the rows since the plan was written down: all steps are done again for it."""
    done, told = _state(workspace, number)
    if "compose" in done:
        return
    known = _derived(told)
    gone = gone_by(workspace, number, told)
    whole = known.and_later(derived(workspace, gone, known.since))
    if whole == known:
        return
    rows, champion = told["rows"], told["champion"]
    assert isinstance(rows, dict)
    assert isinstance(champion, dict)
    later = {suite: [*{*ids} - {*known.examples.get(suite, [])}] for suite, ids in whole.examples.items()}
    scores = erased(gone, later)["scores"]
    assert scores is not None
    rows["scores"] += counting(workspace, "scores", scores, _counted(told))
    learned = tainted(workspace, whole.sets)
    champion["tainted"] = champion["model"] in {each["id"] for each in learned}
    told["derived"], told["tainted"] = asdict(whole), learned
    told["removed"] |= whole.cleared()  # type: ignore[operator]
    _keep(workspace, number, [], told)


def _counted(told: Mapping[str, object]) -> datetime | None:
    """When rows were counted: those that came in later count neither before nor after."""
    return datetime.fromisoformat(str(told["counted"])) if "counted" in told else None


def _state(workspace: Workspace, number: int) -> tuple[list[str], dict[str, object]]:
    [(done, told)] = workspace.catalog.query("select done, plan from forgets where number = ?", number)
    return json.loads(str(done)), json.loads(str(told))


def _keep(workspace: Workspace, number: int, done: list[str], told: Mapping[str, object]) -> None:
    with workspace.catalog.transaction() as db:
        values = (json.dumps(done), json.dumps(told), number)
        db.execute("update forgets set done = ?, plan = ? where number = ?", values)


def _derived(told: Mapping[str, object]) -> Derived:
    return Derived(**told["derived"])  # type: ignore[arg-type]


def gone_by(workspace: Workspace, number: int, told: Mapping[str, object]) -> Gone:
    """The ids of what a forget takes away, from its tombstones."""
    found = stones.load(workspace.catalog, number)
    aliases = told.get("aliases", [])
    assert isinstance(aliases, list)
    ids, users = found.ids, found.until["user"]["id"]
    return Gone(ids["interaction"], ids["feedback"], ids["label"], users, workspace.pseudonyms, tuple(aliases))


def _erase_tables(workspace: Workspace, number: int, told: dict[str, object]) -> None:
    """Rows out of the tables' files, and their logs."""
    for table, gone in erased(gone_by(workspace, number, told), _derived(told).examples).items():
        place = workspace.folder / "tables" / table
        if gone is not None:
            erasing.erase(place, gone)
        erasing.scrub(place)


def _rebuild_artefacts(workspace: Workspace, number: int, told: dict[str, object]) -> None:
    """Training sets and suites made again without the rows, and the old ones removed."""
    gone = gone_by(workspace, number, told)
    for artefact in _derived(told).sets:
        if workspace.catalog.heir(artefact) is None:
            rebuild(workspace, artefact, gone, number)
        shutil.rmtree(workspace.artefact_folder(artefact), ignore_errors=True)


def _clear_files(workspace: Workspace, number: int, told: dict[str, object]) -> None:
    """Models' answers, unfinished runs, reviewers' sheets, records and pages, and what killed commands left behind."""
    made = _derived(told)
    Answers(workspace.folder).forget(example for ids in made.examples.values() for example in ids)
    for name in (*made.runs, *made.pages):
        place = workspace.folder / name
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    for name in made.sheets:
        cut_sheet(workspace.folder / name, gone_by(workspace, number, told))
    for folder in (".", *FOLDERS.values(), "records"):
        for left in filterfalse(_is_being_made, (workspace.folder / folder).glob(".*.partial")):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    for lines in (workspace.folder / "spool").glob("*.jsonl"):
        lines.unlink()  # a killed drain's; its log, which is still there, makes them again


def _is_being_made(partial: Path) -> bool:
    """Whether the process that began it still lives, as when a notebook forgets that `clw record` runs."""
    pid = partial.name.split(".")[-2]
    try:
        return pid.isdecimal() and psutil.Process(int(pid)).create_time() <= partial.stat().st_mtime + 1
    except (psutil.Error, OverflowError, FileNotFoundError):
        return False


def _clear_annotators(workspace: Workspace, number: int, told: dict[str, object]) -> None:
    """Records with such texts, and annotators who go, out of the annotators' server."""
    annotators.clear(workspace, _derived(told).cards, gone_by(workspace, number, told))


def _clear_catalog(workspace: Workspace, number: int, told: dict[str, object]) -> None:
    """What the catalog tells of the exports' records by example, and of annotators' accounts."""
    exports, users = told["exports"], {*gone_by(workspace, number, told).users}
    assert isinstance(exports, list)
    with workspace.catalog.transaction() as db:
        for row, text in db.execute("select rowid, detail from batches where kind = 'labels'").fetchall():
            detail = json.loads(text)
            accounts = detail.get("annotators", {})
            if users & {*accounts.values()}:
                detail["annotators"] = {own: key for own, key in accounts.items() if key not in users}
                db.execute("update batches set detail = ? where rowid = ?", (json.dumps(detail), row))
        for source, sha256 in exports:
            rows = db.execute("select rowid, detail from files where source = ? and sha256 = ?", (source, sha256))
            for row, text in rows.fetchall():
                detail = json.loads(text)
                detail["fidelity"] = [item | {"example": ""} for item in detail.get("fidelity", [])]
                db.execute("update files set detail = ? where rowid = ?", (json.dumps(detail), row))


def _verify(workspace: Workspace, number: int, told: dict[str, object]) -> None:
    """Reads everything again: nothing of it may be found."""
    rows, before = told["rows"], told["before"]
    assert isinstance(rows, dict)
    assert isinstance(before, dict)
    gone = gone_by(workspace, number, told)
    verify.tables(workspace, erased(gone, _derived(told).examples))
    after = {table: root(workspace, table, _counted(told)) for table in TABLES}
    verify.counts({table: Root(**found) for table, found in before.items()}, rows, after)
    told["left"] = verify.files(workspace, gone, told["left"])
    told["after"] = {table: found._asdict() for table, found in after.items()}


def _compose(workspace: Workspace, number: int, told: dict[str, object]) -> None:
    """What the certificate will say, in place of the plan, which names examples; tombstones that a date replaces go."""
    made, left = _derived(told), told["left"]
    assert isinstance(left, list)
    [(stamp,)] = workspace.catalog.query("select begun_at from forgets where number = ?", number)
    heirs = workspace.catalog.query("select id, heir from replaced where forget = ? order by id", number)
    lost = {name: counts[0] for name, counts in made.sets.items()}
    with workspace.catalog.transaction() as db:
        db.execute(
            "delete from tombstones where forget = ? and until = ? and kind in (?, ?, ?)",
            (number, PURGED, *stones.IDS),
        )
    certificate = {
        "number": number,
        "workspace": workspace.catalog.meta("workspace_id"),
        "asked": told["asked"],
        "begun_at": moment(int(str(stamp))).isoformat(),
        "verified_at": now().isoformat(),
        "code_version": code_version(),
        "policy_sha256": workspace.policy_sha256,
        "rows": told["rows"],
        "before": told["before"],
        "after": told["after"],
        "rebuilt": [{"from": old, "to": new, "rows": lost[str(old)]} for old, new in heirs],
        "removed": told["removed"],
        "tainted": told["tainted"],
        "champion": told["champion"],
        "left": [
            {key: each[key] for key in ("source", "sha256") if key in each} | {"why": each["why"]} for each in left
        ],
        "tombstones": certificates.seal_of_tombstones(workspace.catalog, number),
    }
    told.clear()
    told |= {"certificate": certificate, "left": left, "files": made.files()}


def _vacuum(workspace: Workspace, number: int, told: dict[str, object]) -> None:
    """The catalog without what was deleted in it."""
    del number, told
    erasing.vacuum_catalog(workspace.catalog.path)


STEPS: dict[str, Callable[[Workspace, int, dict[str, object]], None]] = {
    "tables": _erase_tables,
    "artefacts": _rebuild_artefacts,
    "files": _clear_files,
    "annotators": _clear_annotators,
    "catalog": _clear_catalog,
    "verify": _verify,
    "compose": _compose,
    "vacuum": _vacuum,
}


def _certify(workspace: Workspace, number: int) -> Forgotten:
    """Writes the certificate, then closes the forget."""
    _, told = _state(workspace, number)
    content, left, files = told["certificate"], told["left"], told["files"]
    assert isinstance(content, dict)
    assert isinstance(left, list)
    assert isinstance(files, list)
    path, sha256 = certificates.write(workspace, number, content)
    with workspace.catalog.transaction() as db:
        db.execute("update forgets set sha256 = ?, plan = null where number = ?", (sha256, number))
    return Forgotten(path, certificates.read(path), left, files)
