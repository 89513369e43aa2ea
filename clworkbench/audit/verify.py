"""The last look before a certificate: tables, artefacts and files are read again, and nothing may be found."""

from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import polars as pl

from clworkbench.audit.derived import OURS, ROW_KINDS, artefact_in, holding, holds_token, own_files
from clworkbench.audit.gone import Gone
from clworkbench.audit.roots import Root
from clworkbench.errors import ForgetError
from clworkbench.workspace import Workspace, erasing
from clworkbench.workspace.folder import FOLDERS

AGAIN = "There is no certificate. Run `clw forget` again; if it says the same, report it."
WITH_ROWS = {FOLDERS[kind]: kind for kind in ROW_KINDS}
"""Folders of artefacts that hold rows, and are made again without those that go."""


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


def naming(workspace: Workspace, gone: Gone, but: Set[str], *, ours: bool) -> Iterator[Path]:
    """The files beside the tables that name the ids, in order; exports that were read are not looked into.

    Args:
        workspace: where.
        gone: the ids.
        but: paths in the workspace that are known already.
        ours: also in folders where only we write.
    """
    tokens = gone.tokens()
    read = {str(path) for (path,) in workspace.catalog.query("select path from files")}
    for path in own_files(workspace.folder):
        inside = path.relative_to(workspace.folder)
        place = inside.parts[0]
        if str(inside) in but or str(path) in read or (place in OURS and not ours):
            continue
        rows = path.name == "rows.parquet" and place in WITH_ROWS
        if not holding(path, gone).is_empty() if rows else holds_token(path, tokens):
            yield path


def left(workspace: Workspace, path: Path) -> dict[str, object]:
    """What a file that names the ids, and that no step of ours may change, is left for.

    Raises:
        ForgetError: it holds rows, or texts, that we should have taken away.
    """
    inside = path.relative_to(workspace.folder)
    place = inside.parts[0]
    rows = inside.name == "rows.parquet" and place in WITH_ROWS
    if rows and artefact_in(path.parent, WITH_ROWS[place]) is None:
        why = "such rows, in a folder without a manifest of its own. Delete the folder."
    elif place in WITH_ROWS and not rows:
        why = "its settings name such rows; it is sealed, and holds none of them."
    elif place in FOLDERS.values() and place not in WITH_ROWS:
        why = "it names examples by their ids; it is sealed, and holds no texts."
    elif place in OURS:
        raise ForgetError(f"forget: {inside} still names what was to go. {AGAIN}")
    elif str(inside) == "clw.toml":
        why = "your settings name such rows. Take the ids out where the rule is no longer needed."
    else:
        why = "a file of yours that names such rows. Delete it, or the rows in it."
    return {"path": str(inside), "why": why}


def files(workspace: Workspace, gone: Gone, known: object) -> list[dict[str, object]]:
    """Looks for the ids in all artefacts and files; returns what is left to its owner, with what is `known` of it.

    Raises:
        ForgetError: one stands where only we write.
    """
    assert isinstance(known, list)
    paths = {str(each["path"]) for each in known}
    return [*known, *(left(workspace, path) for path in naming(workspace, gone, paths, ours=True))]
