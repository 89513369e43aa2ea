"""Is an artefact what was written? Its manifest, each of its files, and the version that its rows make."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import polars as pl
from polars.exceptions import PanicException, PolarsError

from clworkbench.audit.check import Check, failed, passed
from clworkbench.files import sha256_file
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import MANIFEST, VERSION_DIGITS, sha256_rows

RESTORE = "Restore the folder from a backup, or delete it and make it again"
SHOWN = 3

Form = TypeVar("Form", bound=msgspec.Struct)


class Sealed(msgspec.Struct, frozen=True):
    """What every manifest says."""

    kind: str
    id: str
    created: str
    parents: list[str]
    config_sha256: str
    rows_sha256: str
    files: dict[str, str]


class Whole(NamedTuple):
    """What can be trusted of an artefact: the checks made, and its manifest where all of them hold."""

    checks: list[Check]
    manifest: Mapping[str, object] | None


def some(names: list[str]) -> str:
    """The first few of many names."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def whole(workspace: Workspace, artefact_id: str) -> Whole:
    """Compares the folder with the catalog's copy of its manifest, byte for byte.

    The catalog's copy can be made again from the folders, so that whoever changes a file, its hash and the catalog is
    found by the version: it is made of the rows, and everything made from them names it.
    """
    folder = workspace.artefact_folder(artefact_id)
    known = workspace.catalog.artefact(artefact_id)
    checks = [_manifest(folder, known)]
    if known is None:
        return Whole(checks, None)
    shaped = _shaped(known, artefact_id)
    if isinstance(shaped, Check):
        return Whole([*checks, shaped], None)
    if sorted({*shaped.parents}) != workspace.catalog.parents(artefact_id):
        checks.append(failed("edges", 1, f"the catalog gives it other parents than its manifest. {RESTORE}."))
    checks.append(_files(folder, shaped.files))
    return Whole(checks, known if all(check.ok for check in checks) else None)


def whole_as(workspace: Workspace, artefact_id: str, form: type[Form]) -> tuple[list[Check], Form | None]:
    """`whole`, and the manifest in the form that its kind has; None where it is not whole or of another form."""
    checks, manifest = whole(workspace, artefact_id)
    if manifest is None:
        return checks, None
    try:
        return checks, msgspec.convert(manifest, form)
    except msgspec.ValidationError as error:
        return [*checks, failed("manifest's form", 1, f"{error}. {RESTORE}.")], None


def _manifest(folder: Path, known: Mapping[str, object] | None) -> Check:
    path = folder / MANIFEST
    if known is None:
        return failed("manifest", 1, f"the catalog knows no such artefact ({folder}). {RESTORE}.")
    if path.is_symlink() or folder.is_symlink():
        return failed("manifest", 1, f"{path} is a link, not what was written there. {RESTORE}.")
    try:
        text = path.read_bytes()
    except OSError as error:
        return failed("manifest", 1, f"{path} cannot be read ({error.strerror}). {RESTORE}.")
    if text == json.dumps(known, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass"):
        return passed("manifest", 1, "is what the catalog has, byte for byte")
    return failed("manifest", 1, f"{_difference(text, known)}, in {path}. {RESTORE}.")


def _difference(text: bytes, known: Mapping[str, object]) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return "not JSON any more"
    if not isinstance(found, dict):
        return "not a JSON object any more"
    differs = sorted(key for key in {*found, *known} if found.get(key) != known.get(key))
    return f"differs from the catalog's copy in {some(differs)}" if differs else "the same values in other bytes"


def _shaped(manifest: Mapping[str, object], artefact_id: str) -> Sealed | Check:
    """The manifest's common part, or the check that says why it is none."""
    try:
        sealed = msgspec.convert(manifest, Sealed)
    except msgspec.ValidationError as error:
        return failed("manifest's form", 1, f"{error}. {RESTORE}.")
    named = f"{sealed.kind}:{sealed.id.partition(':')[2]}"
    if not sealed.id == named == artefact_id:
        return failed("manifest's form", 1, f"says it is {sealed.kind} {sealed.id}, not {artefact_id}. {RESTORE}.")
    return sealed


def _files(folder: Path, files: Mapping[str, str]) -> Check:
    """Each file that the manifest names, with its hash, and nothing beside them."""
    wrong = [said for name, sha256 in files.items() if (said := _wrong(folder / name, sha256, name))]
    expected = {MANIFEST, *files, *(str(above) for name in files for above in Path(name).parents)}
    inside = sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.is_dir() else []
    wrong += [f"{name} was added" for name in inside if name not in expected]
    if wrong:
        return failed("files", len(wrong), f"{some(wrong)}, in {folder}. {RESTORE}.")
    return passed("files", len(files), "each has the hash that was sealed, and there is no other")


def _wrong(path: Path, sha256: str, name: str) -> str | None:
    if path.is_symlink():
        return f"{name} is a link"
    if not path.is_file():
        return f"{name} is missing"
    try:
        return None if sha256_file(path) == sha256 else f"{name} was changed"
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"


def rows_of(
    workspace: Workspace, manifest: Mapping[str, object], schema: pl.Schema, *, added: tuple[str, ...] = ()
) -> tuple[list[Check], pl.DataFrame]:
    """The rows of a training set or suite whose files are whole; the version in its id is made of them.

    Args:
        workspace: where.
        manifest: the artefact's.
        schema: of its rows as this version makes them.
        added: columns at the end of it that older versions did not make.

    Returns:
        The checks `version` and `schema`, and the rows; empty ones where these cannot be read or have other columns.
    """
    artefact_id = str(manifest["id"])
    path = workspace.artefact_folder(artefact_id) / "rows.parquet"
    try:
        rows = pl.read_parquet(path)
    except (PolarsError, PanicException, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        return [failed("version", 1, f"{path} is no Parquet ({reason}). {RESTORE}.")], pl.DataFrame(schema=schema)
    found = sha256_rows(rows)
    version = artefact_id.partition("@")[2]
    right = found == manifest["rows_sha256"] and version == found[:VERSION_DIGITS]
    said = (
        "is the hash of the rows" if right else f"the rows' hash is {found[:VERSION_DIGITS]}, not {version}. {RESTORE}."
    )
    checks = [Check("version", right, rows.height, said)]
    if not set(added) & set(rows.columns):
        rows = rows.with_columns(pl.lit(None, schema[name]).alias(name) for name in added)
    if rows.schema == schema:
        return [*checks, passed("schema", len(schema), "columns and types as documented")], rows
    differs = sorted(name for name in {*rows.schema, *schema} if rows.schema.get(name) != schema.get(name))
    said = (
        f"other columns or types than this version of clworkbench makes: {some(differs) or 'their order'}. Build again."
    )
    return [*checks, failed("schema", len(differs) or 1, said)], pl.DataFrame(schema=schema)
