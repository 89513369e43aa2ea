"""Rows taken off the disk: out of a table's files, out of its log, and out of the catalog's free pages."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from clworkbench.errors import WorkspaceError
from clworkbench.files import told_when_full
from clworkbench.schemas import TABLES, in_schema
from clworkbench.workspace.delta_log import files, move_in, put_in_place, told_when_broken
from clworkbench.workspace.tables import STATISTICS, layout

IN_FILE = "in file"
"""A column beside a table's own: the file in which a row stands."""

AT_ONCE = 16_384
"""Rows in memory at a time, where a file is written anew."""

FEW = 50_000
FILES_AT_ONCE = 4
"""Files that are read at a time."""

BUSY_S = 30.0
"""How long the catalog may be read by others before a clean-up of it gives up."""


Ask = Callable[[pl.LazyFrame], pl.LazyFrame]
"""What is asked of a table's rows; each row of the answer comes of one row."""


def on_disk(table: Path, ask: Ask) -> pl.DataFrame:
    """What the rows in a table's files answer, those of batches that were never committed too.

    A few files are read at a time: polars would begin to read them all, and hold them.

    Args:
        table: the folder of a table.
        ask: makes the answer of some of the rows; beside the table's columns they have `IN_FILE`.
    """
    schema = pl.Schema(TABLES[table.name])
    answers = [ask(pl.LazyFrame(schema=schema | {IN_FILE: pl.String()})).collect()]
    found = files(table)
    for at in range(0, len(found), FILES_AT_ONCE):
        rows = pl.scan_parquet(
            found[at : at + FILES_AT_ONCE],
            schema=schema,
            include_file_paths=IN_FILE,
            glob=False,
            missing_columns="insert",
            extra_columns="ignore",
        )
        with told_when_broken(table):
            answers.append(_alone(ask(rows).collect(engine="streaming")))
    return pl.concat(answers)


def _alone(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows without the buffers of those that they were found among, which polars' texts keep alive."""
    return pl.DataFrame(rows.to_arrow(compat_level=pl.CompatLevel.oldest()))


def standing(table: Path, wanted: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """The rows in a table's files that are among those wanted (by the columns that these have), in some columns."""
    some, by = wanted.unique(), wanted.columns[-1]
    shown = [*dict.fromkeys([*wanted.columns, *columns])]
    # A few ids are looked for while a file is read, so that only what is found is read whole.
    few = pl.col(by).is_in(some[by].implode()) if some.height <= FEW else pl.lit(value=True)
    return on_disk(
        table,
        lambda rows: rows.filter(few).select(shown).join(some.lazy(), on=wanted.columns, how="semi", nulls_equal=True),
    )


def erase(table: Path, gone: pl.DataFrame) -> int:
    """Takes rows out of a table: the files that hold some are written anew, and replaced in one commit.

    A reader sees the table as it was or as it is then; what a killed call leaves does not count, and is removed by
    `scrub`.

    Args:
        table: the folder of a table.
        gone: the rows to be taken out, by the columns that it has (say `interaction_id`).

    Returns:
        How many rows were taken out.
    """
    hits = standing(table, gone, IN_FILE).group_by(IN_FILE).len("n")
    if hits.is_empty():
        return 0
    written = table.parent / f".{table.name}.erasing"
    shutil.rmtree(written, ignore_errors=True)
    version, hit = DeltaTable(str(table)).version(), set(hits[IN_FILE])
    old = [file for file in files(table) if str(file) in hit]
    with told_when_full(table.name, table.parent):
        added = _written_anew(table, old, gone.unique(), written)
        put_in_place(table, version, [file.name for file in old], added, operation="DELETE")
    shutil.rmtree(written)
    return int(hits["n"].sum())


def _written_anew(table: Path, old: Sequence[Path], gone: pl.DataFrame, written: Path) -> list[dict[str, object]]:
    """Writes what stays of these files beside the table, and moves it in; returns what its log is to say of it."""
    name = table.name
    schema = pl.DataFrame(schema=TABLES[name]).to_arrow().schema
    columns = STATISTICS.get(name, "batch_id")
    DeltaTable.create(str(written), schema, configuration={"delta.dataSkippingStatsColumns": columns})
    kept = pa.RecordBatchReader.from_batches(schema, _kept(name, old, gone))
    write_deltalake(str(written), kept, mode="append", writer_properties=layout(name))
    return move_in(written, table)


def _kept(table: str, old: Sequence[Path], gone: pl.DataFrame) -> Iterator[pa.RecordBatch]:
    for file in old:
        stays = _stays(file, gone)
        at = 0
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(AT_ONCE):
                rows = in_schema(table, pl.DataFrame(batch).filter(stays.slice(at, batch.num_rows)))
                at += batch.num_rows
                yield from rows.to_arrow().to_batches()


def _stays(file: Path, gone: pl.DataFrame) -> pl.Series:
    """Which rows of a file stay."""
    keys = pl.scan_parquet(file, glob=False).select(gone.columns).with_row_index("row")
    lost = keys.join(gone.lazy(), on=gone.columns, how="semi").select("row").collect(engine="streaming")["row"]
    stays = np.ones(pq.read_metadata(file).num_rows, dtype=bool)
    stays[lost.to_numpy()] = False
    return pl.Series(stays)


def scrub(table: Path) -> None:
    """Removes what a table no longer needs: files of earlier versions, and the log up to now, kept as one checkpoint.

    Until then the old files hold erased rows, and the log their dates.
    """
    if not table.is_dir():
        return
    for left in table.parent.glob(f".{table.name}.*"):  # of a killed call that wrote files anew
        shutil.rmtree(left)
    stands = DeltaTable(str(table))
    stands.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)
    current = {file.name for file in files(table)}
    for path in table.iterdir():
        if path.is_file() and path.name not in current:  # what never got into the log, vacuum need not see
            path.unlink()
    stands = DeltaTable(str(table))
    stands.create_checkpoint()
    version = stands.version()
    for path in (table / "_delta_log").iterdir():
        number = path.name[:20]
        if (number.isdigit() and int(number) < version) or path.name.startswith("."):
            path.unlink()


def vacuum_catalog(path: Path) -> None:
    """Writes the catalog anew without its deleted rows, and empties its write-ahead log.

    Raises:
        WorkspaceError: somebody has been reading it for half a minute.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            if _vacuumed(path):
                return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) and "busy" not in str(error):
                raise
        if time.monotonic() > deadline:
            raise WorkspaceError(
                f"{path}: another process has been reading it for {BUSY_S:.0f} s: deleted rows could not be cleared.\n"
                "Let it end, then run `clw forget` again: it goes on from here."
            )
        time.sleep(0.2)


def _vacuumed(path: Path) -> bool:
    connection = sqlite3.connect(path, timeout=5, isolation_level=None)
    try:
        connection.execute("pragma secure_delete = on")
        connection.execute("vacuum")
        busy, *_ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    finally:
        connection.close()
    return not busy
