"""Certificates of what was forgotten: chained by their hashes, with no personal data, and checked without a key.

A certificate is JSON, written with two blanks of indent. Its `sha256` is the SHA-256 of the same text without that key;
`previous_sha256` is the one of the certificate before it. `before` and `after` hold, by table, how many rows counted
and the root over their keys (`audit.roots.root`). `tombstones` says how many keep what was forgotten out, and the
SHA-256 over them.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from clworkbench.audit.check import Check, failed
from clworkbench.errors import ForgetError
from clworkbench.files import write_atomically
from clworkbench.workspace import Workspace, erasing, tombstones
from clworkbench.workspace.catalog import Catalog

FOLDER = "certificates"
SET = r"\A(training_set|suite):[A-Za-z0-9][A-Za-z0-9._@-]{0,120}\Z"


class Counted(msgspec.Struct):
    """How many rows of a table counted, and the root over their keys."""

    rows: int
    sha256: str


class Replaced(msgspec.Struct):
    """A set that was made again."""

    old: Annotated[str, msgspec.Meta(pattern=SET)] = msgspec.field(name="from")
    new: Annotated[str, msgspec.Meta(pattern=SET)] = msgspec.field(name="to")


class Told(msgspec.Struct):
    """What of a certificate can be checked."""

    number: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    sha256: str
    rows: dict[str, int]
    before: dict[str, Counted]
    after: dict[str, Counted]
    rebuilt: list[Replaced]
    tombstones: dict[str, object]


def write(workspace: Workspace, number: int, content: Mapping[str, object]) -> tuple[Path, str]:
    """Writes a certificate, as the last word of a forget; the same again is a no-op. Returns its path and its hash."""
    folder = workspace.folder / FOLDER
    folder.mkdir(exist_ok=True)
    before = workspace.catalog.query("select sha256 from forgets where number = ?", number - 1)
    whole = {"kind": "certificate", **content, "previous_sha256": before[0][0] if before else None}
    sha256 = _sha256(whole)
    path = folder / f"{number:04d}.json"
    write_atomically(path, _text(whole | {"sha256": sha256}))
    return path, sha256


def read(path: Path) -> dict[str, object]:
    """A certificate as it stands.

    Raises:
        ForgetError: it is missing, or no certificate.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ForgetError(f"{path}: not there. Certificates lie in the workspace, in {FOLDER}/.") from None
    except (ValueError, RecursionError, OSError) as error:
        raise ForgetError(f"{path}: cannot be read as JSON ({error}). Restore it from a copy.") from error
    if not isinstance(found, dict) or found.get("kind") != "certificate":
        raise ForgetError(f"{path}: JSON, but no certificate of `clw forget`. Name a file in {FOLDER}/.")
    return found


def seal_of_tombstones(catalog: Catalog, number: int) -> dict[str, object]:
    """How many tombstones a forget left, and the SHA-256 over them, sorted, a line each: kind, id, until."""
    rows = catalog.query("select kind, id, until from tombstones where forget = ?", number)
    lines = sorted(f"{kind} {own.hex() if isinstance(own, bytes) else own} {until}" for kind, own, until in rows)
    return {"n": len(lines), "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest()}


def check(path: Path) -> list[Check]:
    """Checks a certificate, those before and after it, and, where it lies in its workspace, what it says.

    Needs neither the key nor a network.

    Raises:
        ForgetError: it is missing, or no certificate.
    """
    told = read(path)
    checks = [_hash(path, told), *_chain(path.parent)]
    try:
        formed = msgspec.convert(told, Told)
    except (msgspec.ValidationError, RecursionError) as error:
        return [*checks, failed("form", 1, f"{path.name} is not as `clw forget` writes it: {error}")]
    checks += _counts(formed)
    home = path.resolve().parent.parent
    if path.resolve().parent.name == FOLDER and (home / "catalog.db").exists():
        checks += _against(Workspace(home), path, formed)
    return checks


def _text(whole: Mapping[str, object]) -> str:
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _sha256(whole: Mapping[str, object]) -> str:
    return hashlib.sha256(_text({key: value for key, value in whole.items() if key != "sha256"}).encode()).hexdigest()


def _hash(path: Path, told: Mapping[str, object]) -> Check:
    try:
        same = path.read_bytes() == _text(told).encode() and _sha256(told) == told.get("sha256")
    except (UnicodeEncodeError, RecursionError):  # half a character, or lists in lists: JSON, but none of ours
        same = False
    return Check("hash", same, 1, "it is as it was written" if same else f"{path.name} was changed since")


def _chain(folder: Path) -> list[Check]:
    """All certificates beside it, in order: each is as it was written, and names the one before."""
    wrong, before = [], None
    found = sorted(folder.glob("[0-9]*.json"))
    for number, path in enumerate(found, 1):
        try:
            told = read(path)
        except ForgetError as error:
            wrong.append(str(error).partition("\n")[0])
            continue
        if not _hash(path, told).ok:
            wrong.append(f"{path.name} was changed since it was written")
        elif path.stem != f"{number:04d}" or told.get("number") != number:
            wrong.append(f"number {number} is missing, or {path.name} stands out of order")
        elif told.get("previous_sha256") != before:
            wrong.append(f"{path.name} names another one before it")
        before = told.get("sha256")
    detail = "; ".join(wrong) or f"{len(found)} certificates, each names the one before it"
    return [Check("chain", not wrong, len(wrong) or len(found), detail)]


def _counts(told: Told) -> list[Check]:
    """Rows before, less those that went, are the rows after; a table of which none went has the same root."""
    wrong = [table for table, n in told.rows.items() if not _adds_up(n, told.before.get(table), told.after.get(table))]
    gone = ", ".join(f"{n:,} {table}" for table, n in told.rows.items() if n)
    detail = f"do not add up: {wrong}" if wrong else f"gone: {gone}"
    return [Check("counts", not wrong, len(wrong) or len(told.rows), detail)]


def _adds_up(n: int, before: Counted | None, after: Counted | None) -> bool:
    if before is None or after is None:
        return False
    return before.rows - n == after.rows and (before.sha256 == after.sha256) == (n == 0)


def _against(workspace: Workspace, path: Path, told: Told) -> list[Check]:
    """What the workspace itself says to it."""
    number = told.number
    known = workspace.catalog.query("select sha256 from forgets where number = ?", number)
    issued = bool(known) and known[0][0] == told.sha256
    [(last,)] = workspace.catalog.query("select max(number) from forgets where sha256 is not null")
    here = len(list(path.parent.glob("[0-9]*.json")))
    sealed = seal_of_tombstones(workspace.catalog, number)
    whole = sealed == told.tombstones
    said = {True: "the catalog knows it", False: "the catalog knows another one of this number, or none"}
    return [
        Check("issued", issued, 1, said[issued]),
        Check("all there", here == last, here, f"{here} certificates lie here, {last} were issued"),
        Check(
            "tombstones",
            whole,
            int(str(sealed["n"])),
            "they keep out what was forgotten" if whole else "some were added or taken away since",
        ),
        *_standing(workspace, number),
        *_rebuilt(workspace, told),
    ]


def _standing(workspace: Workspace, number: int) -> list[Check]:
    """Whether rows stand in the tables again that were forgotten."""
    ids = tombstones.load(workspace.catalog, number).ids
    keys = {
        "interactions": ("interaction", "interaction_id"),
        "feedback": ("feedback", "feedback_id"),
        "labels": ("label", "label_id"),
    }
    back = {}
    for table, (kind, column) in keys.items():
        back[table] = erasing.standing(workspace.folder / "tables" / table, ids[kind].to_frame(column)).height
    n = sum(back.values())
    told = ", ".join(f"{rows} in {table}" for table, rows in back.items() if rows)
    return [Check("gone", n == 0, n or sum(map(len, ids.values())), told or "none of the ids stands in a table")]


def _rebuilt(workspace: Workspace, told: Told) -> list[Check]:
    """Whether what was made again took the old ones' place."""
    wrong = [
        each.old
        for each in told.rebuilt
        if workspace.artefact_folder(each.old).exists() or workspace.catalog.heir(each.old) != each.new
    ]
    detail = f"still there: {wrong}" if wrong else "the old versions are gone"
    return [Check("rebuilt", not wrong, len(wrong) or len(told.rebuilt), detail)]
