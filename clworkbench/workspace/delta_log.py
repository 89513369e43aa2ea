"""A Delta table's log by hand: which files make up the table, and one entry that puts files in the place of others.

Source: the Delta transaction log protocol, "Add File and Remove File". deltalake offers no commit that names the files
to be removed, and polars' `scan_delta` loses its way in folders whose names have blanks.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import polars as pl
from deltalake import DeltaTable

from clworkbench.errors import WorkspaceError
from clworkbench.files import sync


def files(table: Path) -> list[Path]:
    """The files that make up a table as it stands, the oldest first; none where a workspace is older than it."""
    if not table.is_dir():
        return []
    actions = pl.DataFrame(DeltaTable(str(table)).get_add_actions())
    # The log tells the newest first; rows that are read as they came stand mostly in the order of time.
    return [table / path for path in reversed(actions["path"].to_list())] if actions.height else []


@contextmanager
def told_when_broken(table: Path) -> Iterator[None]:
    """Within it, a file of a table that is no Parquet any more becomes a `WorkspaceError`."""
    try:
        yield
    except pl.exceptions.ComputeError as error:
        raise WorkspaceError(
            f"{table}: a file of this table cannot be read: {str(error).splitlines()[0]}.\n"
            "Its bytes were changed or lost after it was written. Restore the folder from a backup, or make a new "
            "workspace and ingest again."
        ) from error


def move_in(written: Path, table: Path) -> list[dict[str, object]]:
    """Moves the files of a table that was written beside another into that one's folder, synced.

    Returns:
        What that one's log is to say of them; until it does, they do not count.
    """
    logged = [line for log in sorted((written / "_delta_log").glob("*.json")) for line in log.read_text().splitlines()]
    added: list[dict[str, object]] = [entry["add"] for entry in map(json.loads, logged) if "add" in entry]
    for add in added:
        sync(written / str(add["path"]))
        (written / str(add["path"])).replace(table / str(add["path"]))
    sync(table)
    return added


def put_in_place(
    table: Path,
    version: int,
    old: Sequence[str],
    added: Sequence[Mapping[str, object]],
    *,
    operation: Literal["OPTIMIZE", "DELETE"],
) -> bool:
    """Puts files in the place of others in one commit, unless one of those was removed since `version`.

    Others may append meanwhile. A kill leaves the table as it was before or as it is after.

    Args:
        table: the folder of a table.
        version: the version in which the old files stand.
        old: their names.
        added: what `move_in` returned.
        operation: what is told in the table's history; a DELETE changes its rows, an OPTIMIZE does not.

    Returns:
        Whether it was done; if not, the new files are gone again.
    """
    stamp, changes = round(time.time() * 1000), operation == "DELETE"
    told = {"timestamp": stamp, "operation": operation, "engineInfo": "clworkbench"}
    entries: list[object] = [{"commitInfo": {**told, "operationParameters": {}}}]
    entries += [{"remove": {"path": path, "deletionTimestamp": stamp, "dataChange": changes}} for path in old]
    entries += [{"add": {**add, "dataChange": changes}} for add in added]
    log = table / "_delta_log"
    with tempfile.NamedTemporaryFile("w", dir=log, prefix=".", suffix=".partial") as partial:
        partial.write("\n".join(json.dumps(entry) for entry in entries) + "\n")
        partial.flush()
        os.fsync(partial.fileno())
        while True:
            version += 1
            try:
                os.link(partial.name, log / f"{version:020d}.json")
            except FileExistsError:
                if _removed(log / f"{version:020d}.json").isdisjoint(old):
                    continue
                for add in added:
                    (table / str(add["path"])).unlink()
                return False
            sync(log)
            return True


def _removed(entry: Path) -> set[str]:
    """The files that an entry of the log removes."""
    logged = map(json.loads, entry.read_text().splitlines())
    return {line["remove"]["path"] for line in logged if "remove" in line}
