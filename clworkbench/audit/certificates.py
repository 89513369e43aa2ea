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

from clworkbench.audit.check import Check
from clworkbench.errors import ForgetError
from clworkbench.files import write_atomically
from clworkbench.workspace import Workspace, erasing, tombstones
from clworkbench.workspace.catalog import Catalog

FOLDER = "certificates"
COUNTED = ("rows", "before", "after")


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
    checks = [_hash(path, told), *_chain(path.parent), *_counts(told)]
    home = path.resolve().parent.parent
    if path.resolve().parent.name == FOLDER and (home / "catalog.db").exists():
        checks += _against(Workspace(home), path, told)
    return checks


def _text(whole: Mapping[str, object]) -> str:
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _sha256(whole: Mapping[str, object]) -> str:
    return hashlib.sha256(_text({key: value for key, value in whole.items() if key != "sha256"}).encode()).hexdigest()


def _hash(path: Path, told: Mapping[str, object]) -> Check:
    same = path.read_bytes() == _text(told).encode() and _sha256(told) == told.get("sha256")
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
        elif path.stem != f"{number:04d}" or told["number"] != number:
            wrong.append(f"number {number} is missing, or {path.name} stands out of order")
        elif told["previous_sha256"] != before:
            wrong.append(f"{path.name} names another one before it")
        before = told.get("sha256")
    detail = "; ".join(wrong) or f"{len(found)} certificates, each names the one before it"
    return [Check("chain", not wrong, len(wrong) or len(found), detail)]


def _counts(told: Mapping[str, object]) -> list[Check]:
    """Rows before, less those that went, are the rows after; a table of which none went has the same root."""
    rows, before, after = (told.get(name) for name in COUNTED)
    if not (isinstance(rows, dict) and isinstance(before, dict) and isinstance(after, dict)):
        return [Check("counts", ok=False, n=0, detail=f"it does not say {', '.join(COUNTED)}")]
    wrong = [table for table, n in rows.items() if not _adds_up(n, before.get(table), after.get(table))]
    gone = ", ".join(f"{n:,} {table}" for table, n in rows.items() if n)
    return [
        Check("counts", not wrong, len(wrong) or len(rows), f"do not add up: {wrong}" if wrong else f"gone: {gone}")
    ]


def _adds_up(n: object, before: object, after: object) -> bool:
    if not (isinstance(n, int) and isinstance(before, dict) and isinstance(after, dict)):
        return False
    was, found = before.get("rows"), after.get("rows")
    same = before.get("sha256") == after.get("sha256")
    return isinstance(was, int) and was - n == found and same == (n == 0)


def _against(workspace: Workspace, path: Path, told: Mapping[str, object]) -> list[Check]:
    """What the workspace itself says to it."""
    number = int(str(told["number"]))
    known = workspace.catalog.query("select sha256 from forgets where number = ?", number)
    issued = bool(known) and known[0][0] == told.get("sha256")
    [(last,)] = workspace.catalog.query("select max(number) from forgets where sha256 is not null")
    here = len(list(path.parent.glob("[0-9]*.json")))
    sealed = seal_of_tombstones(workspace.catalog, number)
    whole = sealed == told.get("tombstones")
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


def _rebuilt(workspace: Workspace, told: Mapping[str, object]) -> list[Check]:
    """Whether what was made again took the old ones' place."""
    rebuilt = told.get("rebuilt")
    assert isinstance(rebuilt, list)
    wrong = [
        each["from"]
        for each in rebuilt
        if workspace.artefact_folder(each["from"]).exists() or workspace.catalog.heir(each["from"]) != each["to"]
    ]
    detail = f"still there: {wrong}" if wrong else "the old versions are gone"
    return [Check("rebuilt", not wrong, len(wrong) or len(rebuilt), detail)]
