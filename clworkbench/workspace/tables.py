"""The tables as Delta Lake folders: rows are appended under a batch, and read only when it is committed."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import polars as pl
from deltalake import ColumnProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError

from clworkbench.schemas import KEYS, TABLES
from clworkbench.workspace import compaction
from clworkbench.workspace.delta_log import files

STATISTICS = {"interactions": "started_at", "feedback": "at", "labels": "at", "candidates": "as_of", "asked": "at"}
"""The only columns whose least and greatest value Delta may write into its log: never text, never an id."""

REPEATED = frozenset(
    {
        *("source", "app", "environment", "operation", "provider", "model", "model_version", "release_id", "tools"),
        *("parameters", "finish_reason", "error", "batch_id", "target_kind", "kind", "name", "origin", "reason"),
    }
)
"""Columns whose values repeat, so that a dictionary of them is worth its making; texts and ids do not."""

TRIES = 10

PAGE_BYTES = 1 << 17
"""Pages of a column that stay in a core's cache until they are packed: a tenth off the time that writing takes."""

RETENTION = "interval 3 hours"
"""How long the log speaks of files that no longer count; nothing reads a table as it was."""


class Tables:
    """The Delta tables of one workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self) -> None:
        """Makes every table that is not there yet, empty."""
        for name in TABLES:
            self._create(name)

    def _create(self, name: str) -> None:
        DeltaTable.create(
            str(self.folder / name),
            pl.DataFrame(schema=TABLES[name]).to_arrow().schema,
            mode="ignore",
            configuration={
                "delta.dataSkippingStatsColumns": STATISTICS.get(name, "batch_id"),
                "delta.enableDeletionVectors": "false",
                "delta.deletedFileRetentionDuration": RETENTION,
                "delta.logRetentionDuration": RETENTION,
            },
        )

    def scan(self, name: str, committed: pl.DataFrame) -> pl.LazyFrame:
        """Rows of the given batches, with their `seq` (commit order)."""
        found = files(self.folder / name)
        schema = pl.Schema(TABLES[name])
        rows = pl.LazyFrame(schema=schema)
        if found:  # a file from before a column was added lacks it
            rows = pl.scan_parquet(found, schema=schema, glob=False, missing_columns="insert")
        return rows.join(committed.lazy(), on="batch_id", how="inner", maintain_order="left")

    def keys(
        self,
        name: str,
        batches: pl.DataFrame,
        source: str | None = None,
        shown_as: Sequence[pl.Expr] | None = None,
    ) -> pl.DataFrame:
        """The keys of the rows of these batches (or what `shown_as` makes of them), of one source where there are."""
        rows = self.scan(name, batches)
        if source is not None and "source" in TABLES[name]:
            rows = rows.filter(pl.col("source") == source)
        return rows.select(shown_as or KEYS[name]).collect(engine="streaming")

    def append(self, name: str, frame: pl.DataFrame) -> None:
        """Appends rows in the table's schema. They count once their batch is committed."""
        if frame.is_empty():
            return
        schema = TABLES[name]
        rows = frame.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
        folder = str(self.folder / name)
        if not (self.folder / name).is_dir():
            self._create(name)
        _insist(
            lambda: write_deltalake(folder, rows, mode="append", schema_mode="merge", writer_properties=layout(name))
        )

    def sync(self) -> None:
        """Has what was appended on the disk before it counts; here that is left to the operating system."""

    def sweep(self, batch_ids: Sequence[str]) -> None:
        """Deletes the rows of batches that were never committed."""
        wanted = ", ".join(f"'{batch_id}'" for batch_id in batch_ids)
        for name in TABLES:
            if (self.folder / name).is_dir():
                _insist(partial(self._delete, name, f"batch_id in ({wanted})"))

    def _delete(self, name: str, condition: str) -> None:
        DeltaTable(str(self.folder / name)).delete(condition)

    def has_many_files(self, name: str) -> bool:
        """Whether a table has so many small files that they should be joined."""
        return bool(compaction.sizes_in_excess(self.folder / name))

    def compact(self, name: str) -> None:
        """Joins a table's small files; one process at a time."""
        compaction.compact(self.folder / name, layout(name))


def _insist(write: Callable[[], object]) -> None:
    """Writes again where Delta gave up because another process had removed rows, or joined files, meanwhile."""
    for _ in range(TRIES - 1):
        with suppress(CommitFailedError):
            write()
            return
    write()


def layout(table: str) -> WriterProperties:
    """How the files of a table are written: packed, and without the least and greatest of its texts and ids."""
    columns = {name: ColumnProperties(dictionary_enabled=True, statistics_enabled="NONE") for name in REPEATED}
    if table in STATISTICS:
        columns[STATISTICS[table]] = ColumnProperties(dictionary_enabled=False, statistics_enabled="CHUNK")
    return WriterProperties(
        compression="SNAPPY",
        data_page_size_limit=PAGE_BYTES,
        default_column_properties=ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE"),
        column_properties={name: how for name, how in columns.items() if name in TABLES[table]},
    )
