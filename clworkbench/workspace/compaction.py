"""A table's small files joined into larger ones: the same rows in fewer files, so that reading stays fast."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from clworkbench.schemas import TABLES, in_schema
from clworkbench.workspace.delta_log import move_in, put_in_place

MOST_FILES = {1 << 20: 50, 32 << 20: 500}
"""Of files below half of a size (bytes) so many may stand in a table before they are joined into files of that size."""

RETENTION_HOURS = 1
"""How long a file that was joined with others is left for those who began to read it before."""

AT_ONCE = 4096
"""Rows in memory at a time."""


def sizes_in_excess(table: Path) -> list[int]:
    """The sizes below which a table (its folder) has more files than it should."""
    bytes_of = _files(DeltaTable(str(table)))["size_bytes"]
    return [size for size, most in MOST_FILES.items() if (bytes_of < size // 2).sum() > most]


def compact(table: Path, layout: WriterProperties) -> None:
    """Joins small files, rows and their order as they were.

    What was joined is on the disk before it replaces the files that it came from, in one commit; a kill leaves the
    table as it was before or as it is after. Rows may be appended meanwhile. Files that another process has removed
    meanwhile are let be. deltalake's own `optimize` is not used: of two at once both succeed, and double the rows.

    Args:
        table: the folder of a table.
        layout: how its files are written.
    """
    for left in table.parent.glob(f".{table.name}.joining.*"):
        if time.time() - left.stat().st_mtime > RETENTION_HOURS * 3600:  # its process was killed
            shutil.rmtree(left)
    for size in sizes_in_excess(table):
        stands = DeltaTable(str(table))
        for files in _groups(_files(stands), size):
            with tempfile.TemporaryDirectory(prefix=f".{table.name}.joining.", dir=table.parent) as beside:
                added = _written(table, files, Path(beside), layout)
                put_in_place(table, stands.version(), files, added, operation="OPTIMIZE")
    stands = DeltaTable(str(table))
    stands.create_checkpoint()
    with suppress(CommitFailedError):  # others have come in between; the next time will do
        stands.vacuum(RETENTION_HOURS, dry_run=False, enforce_retention_duration=False)


def _files(stands: DeltaTable) -> pl.DataFrame:
    """The files of a table, the oldest first: `path`, `size_bytes`."""
    actions = pl.DataFrame(stands.get_add_actions())
    return actions.sort("modification_time", "path").select("path", "size_bytes")


def _groups(files: pl.DataFrame, size: int) -> Iterator[list[str]]:
    """The small files, together as long as they do not exceed a size; a file that is left alone stays."""
    group: list[str] = []
    held = 0
    for path, n_bytes in files.filter(pl.col("size_bytes") < size // 2).iter_rows():
        if group and held + n_bytes > size:
            yield group
            group, held = [], 0
        group.append(path)
        held += n_bytes
    if len(group) > 1:
        yield group


def _written(table: Path, files: Sequence[str], beside: Path, layout: WriterProperties) -> list[dict[str, object]]:
    """Writes the rows of these files anew, into a table beside; returns what the log is to say of the new files."""
    schema = pl.DataFrame(schema=TABLES[table.name]).to_arrow().schema
    stands = DeltaTable(str(table))
    column = stands.metadata().configuration["delta.dataSkippingStatsColumns"]
    DeltaTable.create(str(beside), schema, configuration={"delta.dataSkippingStatsColumns": column})
    rows = pa.RecordBatchReader.from_batches(schema, _rows(table.name, [table / file for file in files]))
    write_deltalake(str(beside), rows, mode="append", writer_properties=layout)
    return move_in(beside, table)


def _rows(table: str, files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    for file in files:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(AT_ONCE):
                yield from in_schema(table, pl.DataFrame(batch)).to_arrow().to_batches()
