"""The last look before a certificate: tables, artefacts and files are read again, and nothing may be found."""

from collections.abc import Mapping

import polars as pl

from clworkbench.audit.derived import OURS, ROW_KINDS, UNREADABLE, Gone, holding, ids_in, own_files
from clworkbench.audit.roots import Root
from clworkbench.errors import ForgetError
from clworkbench.workspace import Workspace, erasing
from clworkbench.workspace.folder import FOLDERS

AGAIN = "There is no certificate. Run `clw forget` again; if it says the same, report it."
SEALED = tuple(FOLDERS[kind] for kind in FOLDERS if kind not in ROW_KINDS)
"""Folders of artefacts that hold no rows and cannot be made again."""


def tables(workspace: Workspace, erased: Mapping[str, pl.DataFrame | None]) -> None:
    """Raises ForgetError where a row that was to go stands in a table's files."""
    for table, gone in erased.items():
        if gone is None:
            continue
        if n := erasing.standing(workspace.folder / "tables" / table, gone).height:
            raise ForgetError(f"forget: {n} rows of {table} still stand. {AGAIN}")


def counts(before: Mapping[str, Root], rows: Mapping[str, int], after: Mapping[str, Root]) -> None:
    """Raises ForgetError where other rows went than were to."""
    for table, was in before.items():
        wanted, found = was.rows - rows[table], after[table].rows
        if wanted != found or (not rows[table] and was != after[table]):
            raise ForgetError(f"forget: {table} has {found:,} rows that count, not {wanted:,}. {AGAIN}")


def files(workspace: Workspace, gone: Gone, left: object) -> list[dict[str, object]]:
    """Looks for the ids in all artefacts and files; returns what is left to its owner.

    Raises:
        ForgetError: one stands where only we write.
    """
    assert isinstance(left, list)
    known = {str(each["path"]) for each in left} | {
        str(path) for (path,) in workspace.catalog.query("select path from files")
    }
    tokens, found = gone.tokens(), list(left)
    for path in own_files(workspace.folder):
        name = str(path.relative_to(workspace.folder))
        if name in known or str(path) in known:
            continue
        if path.name == "rows.parquet" and name.split("/")[0] in (FOLDERS[kind] for kind in ROW_KINDS):
            hit = not holding(path, gone).is_empty()
        else:
            hit = path.suffix.lower() not in UNREADABLE and any(token in tokens for token in ids_in(path))
        if not hit:
            continue
        place = name.split("/")[0]
        if place in SEALED:
            found.append({"path": name, "why": "it names examples by their ids; it is sealed, and holds no texts."})
        elif place in OURS:
            raise ForgetError(f"forget: {name} still names what was to go. {AGAIN}")
        else:
            found.append({"path": name, "why": "a file of yours that names such rows. Delete it, or the rows in it."})
    return found
