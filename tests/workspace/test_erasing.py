"""Rows taken off the disk: what stays, what the files and the log say of the rest, and what a stop leaves behind."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from clworkbench.schemas import INTERACTIONS
from clworkbench.workspace import Workspace, erasing
from clworkbench.workspace.delta_log import files
from clworkbench.workspace.tables import Tables


def rows(*numbers: int) -> pl.DataFrame:
    found = [
        {
            "interaction_id": f"id{n}",
            "raw_sha256": "x",
            "started_at": datetime(2024, 1, 1 + n, tzinfo=UTC),
            "input": [{"role": "user", "content": f"secret{n}"}],
            "attributes": json.dumps({"n": n}),
            "batch_id": "b",
        }
        for n in numbers
    ]
    return pl.DataFrame(found, schema=INTERACTIONS)


def three_files(folder: Path) -> Path:
    tables = Tables(folder)
    tables.create()
    for numbers in ((0, 1), (2, 3), (4, 5)):
        tables.append("interactions", rows(*numbers))
    return folder / "interactions"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return three_files(tmp_path)


def gone(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"interaction_id": [f"id{n}" for n in numbers]}, schema={"interaction_id": pl.String})


def held(table: Path) -> pl.DataFrame:
    return pl.read_delta(str(table)).sort("interaction_id")


def test_only_files_with_such_rows_are_written_anew_and_what_stays_is_as_it_was(table):
    untouched = files(table)
    assert erasing.erase(table, gone(1, 4, 4, 99)) == 2
    assert held(table).equals(rows(0, 2, 3, 5))
    assert len(set(untouched) & set(files(table))) == 1


def test_afterwards_no_byte_of_the_folder_and_of_the_log_tells_of_them(table):
    erasing.erase(table, gone(1, 5))
    erasing.scrub(table)
    assert held(table).equals(rows(0, 2, 3, 4))
    raw = {path: path.read_bytes() for path in table.rglob("*") if path.is_file()}
    told = b"".join(raw.values()) + b"".join(
        pl.read_parquet(path).write_ndjson().encode() for path in raw if path.suffix == ".parquet"
    )
    assert not any(word in told for word in (b"secret1", b"secret5", b"id1", b"id5", b"2024-01-02", b"2024-01-06"))
    assert b"2024-01-05" in told  # the last day that is left: a file's statistics are there, and are its own
    assert len([path for path in raw if path.parent == table]) == len(files(table))
    assert {path.suffix for path in raw if "_delta_log" in path.parts and path.name != "_last_checkpoint"} == {
        ".json", ".parquet"
    }  # fmt: skip
    assert len(raw) == len(files(table)) + 3


def test_the_table_goes_on_as_before(table):
    erasing.erase(table, gone(0))
    erasing.scrub(table)
    tables = Tables(table.parent)
    tables.append("interactions", rows(7))
    assert held(table).equals(rows(1, 2, 3, 4, 5, 7))
    tables.sweep(["b"])
    assert held(table).is_empty()
    assert erasing.erase(table, gone(1)) == 0
    erasing.scrub(table)
    assert held(table).is_empty()


def test_a_rewritten_file_keeps_its_layout(table):
    erasing.erase(table, gone(0))
    for file in files(table):
        group = pq.ParquetFile(file).metadata.row_group(0)
        columns = [group.column(at) for at in range(group.num_columns)]
        with_statistics = [c.path_in_schema for c in columns if c.statistics and c.statistics.has_min_max]
        assert with_statistics == ["started_at"]


def test_a_table_of_which_all_goes_is_empty_and_whole(table):
    assert erasing.erase(table, gone(*range(6))) == 6
    erasing.scrub(table)
    assert held(table).is_empty()
    assert files(table) == []
    assert erasing.on_disk(table, lambda rows: rows.select("interaction_id", erasing.IN_FILE)).is_empty()


def test_files_that_a_killed_call_left_do_not_count_and_go(table):
    stray = table / "part-00000-stray.snappy.parquet"
    rows(9).write_parquet(stray)
    (table.parent / ".interactions.erasing").mkdir()
    assert held(table).equals(rows(0, 1, 2, 3, 4, 5))
    erasing.scrub(table)
    assert not stray.exists()
    assert not (table.parent / ".interactions.erasing").exists()


def test_who_began_to_read_before_reads_the_table_as_it_was_until_the_old_files_go(table):
    before = pl.scan_delta(str(table))
    assert before.collect().height == 6  # from here on it knows its files
    erasing.erase(table, gone(0, 2, 4))
    assert before.collect().height == 6
    erasing.scrub(table)
    with pytest.raises(FileNotFoundError):
        before.collect()


def test_reading_a_workspace_begins_again_where_the_files_went_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    workspace = Workspace.create(tmp_path / "w")
    workspace.write_batch("b", "ingest", {"interactions": rows(0, 1)})
    place, scan = workspace.folder / "tables" / "interactions", workspace.scan

    def and_then_they_go(table: str, **options: object) -> pl.LazyFrame:
        found = scan(table, **options)
        found.collect()
        erasing.erase(place, gone(0))
        erasing.scrub(place)
        return found

    monkeypatch.setattr(workspace, "scan", and_then_they_go)
    assert workspace.read("interactions")["interaction_id"].to_list() == ["id1"]


def test_the_log_is_one_that_others_read(table):
    erasing.erase(table, gone(3))
    entry = DeltaTable(str(table)).history(1)[0]
    assert (entry["operation"], entry["engineInfo"]) == ("DELETE", "clworkbench")
    assert DeltaTable(str(table)).to_pyarrow_table().num_rows == 5


def test_the_catalog_keeps_no_deleted_row(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    workspace = Workspace.create(tmp_path / "w")
    workspace.catalog.commit_batch("b", "ingest", detail={"file": "a telling name"})
    with workspace.catalog.transaction() as db:
        db.execute("delete from batches")
    erasing.vacuum_catalog(workspace.catalog.path)
    left = b"".join(path.read_bytes() for path in workspace.folder.glob("catalog.db*"))
    assert b"a telling name" not in left


def test_a_folder_with_blanks_and_letters_of_any_language_is_read_and_written(tmp_path):
    table = three_files(tmp_path / "my tables ü")
    assert erasing.erase(table, gone(2)) == 1
    erasing.scrub(table)
    assert len(files(table)) == 3
    left = erasing.on_disk(table, lambda rows: rows.select("interaction_id"))
    assert sorted(left["interaction_id"]) == ["id0", "id1", "id3", "id4", "id5"]
