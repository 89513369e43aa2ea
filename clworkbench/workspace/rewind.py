"""A workspace as it stood at a moment, in a folder of its own: what is done there never reaches the first."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from clworkbench.files import told_when_full
from clworkbench.workspace.artefacts import MANIFEST, read_manifest
from clworkbench.workspace.catalog import as_moment, micros
from clworkbench.workspace.folder import FOLDERS, Workspace

APART = frozenset({"records", "spool", "argilla", "clw.toml"})
"""What is not carried over: records themselves, what servers are writing, and settings, which come as bytes."""

LATER = {
    "batches": "committed_at",
    "champions": "at",
    "ledger": "at",
    "watermarks": "recorded_at",
    "rollouts": "at",
    "alerts": "opened_at",
    "alerts_told": "at",
}
"""Tables of the catalog whose rows are dated, and the column that says so."""


@contextmanager
def rewound(workspace: Workspace, *, at: datetime, settings: bytes) -> Iterator[Workspace]:
    """A copy as `rewind` makes it, inside the workspace, while the block runs.

    Its name is that of a draft, so that `clw forget` clears away what a killed process has left of it.
    """
    folder = workspace.folder / f".rewound.{os.getpid()}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        copy = rewind(workspace, folder, at=at, settings=settings)
        yield copy
        copy.catalog.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def rewind(workspace: Workspace, folder: Path, *, at: datetime, settings: bytes) -> Workspace:
    """Makes a copy of a workspace as it stood then; data files are hard links where the disk has them.

    What was forgotten since stays forgotten, and what is not dated (grades of judges, files that were read whole
    before) stays. Artefacts made later are left out, so that whoever makes them again really does.

    Args:
        workspace: whose.
        folder: a folder that is not there yet.
        at: batches committed, and artefacts made, by then are carried over.
        settings: the bytes of `clw.toml`.
    """
    kept = {str(m["id"]) for m in workspace.catalog.artefacts() if as_moment(str(m["created"])) <= at}
    with told_when_full("a copy of the workspace", folder.parent):
        folder.mkdir(parents=True)
        for source in sorted(workspace.folder.iterdir()):
            if source.name.startswith((".", "catalog.db")) or source.name in APART:
                continue
            if source.name in FOLDERS.values():
                _carry_artefacts(source, folder / source.name, kept)
            elif source.is_dir():
                shutil.copytree(source, folder / source.name, copy_function=_linked)
            else:
                shutil.copy2(source, folder / source.name)
        (folder / "clw.toml").write_bytes(settings)
        gone = _carry_catalog(workspace.folder / "catalog.db", folder / "catalog.db", kept, micros(at))
        made = Workspace(folder)
        if gone:  # else a batch that is made again under its old name would count with the rows that it had
            made.tables.sweep(gone)
    return made


def _carry_artefacts(source: Path, target: Path, kept: set[str]) -> None:
    for each in source.iterdir():
        manifest = read_manifest(each) if (each / MANIFEST).exists() else None
        if manifest and manifest["id"] in kept:
            shutil.copytree(each, target / each.name, copy_function=_linked)


def _linked(source: str, target: str) -> None:
    """Data files never change; a table's log and all else may, and is copied."""
    if source.endswith((".parquet", ".safetensors")):
        try:
            os.link(source, target)
        except OSError:  # another disk, or one without links
            shutil.copy2(source, target)
    else:
        shutil.copy2(source, target)


def _carry_catalog(source: Path, target: Path, kept: set[str], limit: int) -> list[str]:
    """Copies it without what came later; returns the batches whose rows do not count in it."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        later = "select batch_id from batches where committed_at > ? union select batch_id from pending"
        batches = [str(own) for (own,) in new.execute(later, (limit,))]
        # The `where` of each is a constant of this module: no value of a user's stands in it.
        for table, column in LATER.items():
            new.execute(f"delete from {table} where {column} > ?", (limit,))
        new.execute("delete from leases")
        new.execute("delete from pending")
        gone = [(own,) for (own,) in new.execute("select id from artefacts") if own not in kept]
        new.executemany("delete from artefacts where id = ?", gone)
        new.executemany("delete from edges where child = ?", gone)
        new.commit()
    return batches
