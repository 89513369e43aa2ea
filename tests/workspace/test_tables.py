"""The tables' files: what they say of the rows beside the rows themselves, and how small ones are joined."""

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from clworkbench.schemas import ASKED, INTERACTIONS, LABELS
from clworkbench.workspace import Workspace, compaction, erasing
from clworkbench.workspace.tables import Tables

ROW = {
    "interaction_id": "i1",
    "source_id": "ann@example.com",
    "started_at": datetime(2024, 1, 1, tzinfo=UTC),
    "input": [{"role": "user", "content": "my secret"}],
    "attributes": '{"who":"ann"}',
    "batch_id": "b",
}


def written(folder: Path) -> Path:
    tables = Tables(folder)
    tables.create()
    tables.append("interactions", pl.DataFrame([ROW], schema=INTERACTIONS))
    return folder / "interactions"


def test_no_text_and_no_id_has_a_least_and_a_greatest_value_in_a_file_or_in_the_log(tmp_path: Path) -> None:
    table = written(tmp_path)
    [file] = table.glob("*.parquet")
    groups = pq.ParquetFile(file).metadata.row_group(0)
    columns = [groups.column(at) for at in range(groups.num_columns)]
    with_statistics = [
        column.path_in_schema for column in columns if column.statistics and column.statistics.has_min_max
    ]
    assert with_statistics == ["started_at"]
    adds = [
        json.loads(line).get("add")
        for log in (table / "_delta_log").glob("*.json")
        for line in log.read_text().splitlines()
    ]
    [stats] = [json.loads(add["stats"]) for add in adds if add]
    assert set(stats["minValues"]) == {"started_at"}


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    [row] = pl.read_delta(str(written(tmp_path))).to_dicts()
    assert {name: value for name, value in row.items() if value is not None} == ROW | {
        "input": [
            {
                "role": "user",
                "content": "my secret",
                "tool_calls": None,
                "tool_call_id": None,
                "name": None,
                "parts": None,
            }
        ]
    }


def batch(number: int, n: int = 3) -> pl.DataFrame:
    rows = [ROW | {"interaction_id": f"{number}.{at}", "batch_id": f"b{number}"} for at in range(n)]
    return pl.DataFrame(rows, schema=INTERACTIONS)


def rows_of(folder: Path) -> dict[str, list[str]]:
    """The ids in a table, in their order, by batch."""
    rows = pl.read_delta(str(folder / "interactions"))
    return {str(name): part["interaction_id"].to_list() for (name,), part in rows.group_by("batch_id")}


def expected(*numbers: int) -> dict[str, list[str]]:
    return {f"b{number}": [f"{number}.{at}" for at in range(3)] for number in numbers}


def files(folder: Path) -> list[str]:
    return DeltaTable(str(folder / "interactions")).file_uris()


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """Tables that are compacted from four small files on."""
    monkeypatch.setattr(compaction, "MOST_FILES", {1 << 20: 3})
    made = Tables(tmp_path)
    made.create()
    return made


def test_more_than_fifty_small_files_are_joined_into_one_with_all_rows_and_batches(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    tables.create()
    for number in range(50):
        tables.append("interactions", batch(number))
    assert not tables.has_many_files("interactions")
    tables.append("interactions", batch(50))
    assert tables.has_many_files("interactions")
    tables.compact("interactions")
    assert len(files(tmp_path)) == 1
    assert rows_of(tmp_path) == expected(*range(51))
    assert not tables.has_many_files("interactions")


def test_rows_are_read_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    tables = Tables(tmp_path / "tables")
    tables.create()
    for number in range(5):
        tables.append("interactions", batch(number))
    committed = pl.DataFrame({"batch_id": [f"b{n}" for n in range(5)], "seq": range(5)})
    read = tables.scan("interactions", committed).collect()["batch_id"]
    assert read.unique(maintain_order=True).to_list() == committed["batch_id"].to_list()


def test_joined_files_have_no_more_statistics_than_others(tables: Tables) -> None:
    for number in range(4):
        tables.append("interactions", batch(number))
    tables.compact("interactions")
    [file] = files(tables.folder)
    groups = pq.ParquetFile(file).metadata.row_group(0)
    columns = [groups.column(at) for at in range(groups.num_columns)]
    assert [c.path_in_schema for c in columns if c.statistics and c.statistics.has_min_max] == ["started_at"]
    logs = sorted((tables.folder / "interactions" / "_delta_log").glob("*.json"))
    entries = [json.loads(line) for line in logs[5].read_text().splitlines()]
    [stats] = [json.loads(entry["add"]["stats"]) for entry in entries if "add" in entry]
    assert set(stats["minValues"]) == set(stats["maxValues"]) == {"started_at"}


def test_files_that_were_joined_stay_for_those_who_began_to_read_them(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        tables.append("interactions", batch(number))
    before = files(tables.folder)
    tables.compact("interactions")
    assert set(pl.read_parquet(before)["batch_id"]) == {"b0", "b1", "b2", "b3"}
    for number in range(4, 8):
        tables.append("interactions", batch(number))
    monkeypatch.setattr(compaction, "RETENTION_HOURS", 0)
    tables.compact("interactions")
    assert not any(Path(file).exists() for file in before)
    assert rows_of(tables.folder) == expected(*range(8))


def test_appending_and_compacting_at_once_loses_nothing(tables: Tables) -> None:
    def append(numbers: range) -> None:
        for number in numbers:
            Tables(tables.folder).append("interactions", batch(number))

    writers = [threading.Thread(target=append, args=(range(first, first + 20),)) for first in (0, 20)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        tables.compact("interactions")
    tables.compact("interactions")
    assert rows_of(tables.folder) == expected(*range(40))


def test_two_that_compact_and_one_that_sweeps_at_once_delete_what_is_swept_and_nothing_else(tables: Tables) -> None:
    for number in range(60):
        tables.append("interactions", batch(number))
    stopped = threading.Event()

    def compact() -> None:
        own = Tables(tables.folder)
        while not stopped.is_set():
            own.append("interactions", batch(100))
            own.append("interactions", batch(100))
            own.compact("interactions")

    others = [threading.Thread(target=compact) for _ in range(2)]
    for other in others:
        other.start()
    for number in range(0, 60, 6):
        tables.sweep([f"b{number}"])
    stopped.set()
    for other in others:
        other.join()
    left = rows_of(tables.folder)
    left.pop("b100")
    assert left == expected(*(number for number in range(60) if number % 6))


COMPACTING = """
import sys
from pathlib import Path
from clworkbench.workspace import Workspace, compaction, erasing
from clworkbench.workspace.tables import Tables
from tests.workspace.test_tables import batch
compaction.MOST_FILES, compaction.RETENTION_HOURS = {1 << 20: 3}, 0
tables = Tables(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(int(sys.argv[2]), 10**9):
    tables.append("interactions", batch(number))
    print(number, flush=True)
    tables.compact("interactions")
"""


@pytest.mark.parametrize("n_kills", [3, pytest.param(40, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_compacting_killed_at_random_moments_loses_no_row_and_doubles_none(tables: Tables, n_kills: int) -> None:
    drawn, first, sure, begun = random.Random(n_kills), 0, set[int](), set[int]()
    for _ in range(n_kills):
        words = [sys.executable, "-c", COMPACTING, str(tables.folder), str(first)]
        running = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert running.stdout
        assert running.stdout.readline() == "ready\n"
        time.sleep(drawn.uniform(0, 0.6))
        running.kill()
        said = [int(line) for line in running.stdout.read().splitlines()]
        running.stdout.close()
        running.wait()
        begun |= {first + len(said)}
        sure |= set(said)
        first += len(said) + 1
    found = rows_of(tables.folder)
    assert {name: found[name] for name in expected(*sure)} == expected(*sure)
    assert set(found) <= set(expected(*sure, *begun))


def older_table(folder: Path, name: str, lacks: list[str], rows: pl.DataFrame) -> None:
    """A table as an earlier version of the program made it: some of today's columns were not there yet."""
    shutil.rmtree(folder / "tables" / name)
    rows.drop(lacks).write_delta(folder / "tables" / name)


def test_a_table_from_before_a_column_was_added_is_read_added_to_joined_and_erased_from(tmp_path):
    place = Workspace.create(tmp_path / "w", key=b"k" * 32)
    row = dict.fromkeys(LABELS) | {"label_id": "old", "interaction_id": "i1", "batch_id": "b1"}
    place.catalog.begin_batch("b1", "labels", None)
    place.catalog.commit_batch("b1", "labels", source=None, detail=None, counts={"labels": 1})
    older_table(place.folder, "labels", ["candidate_id", "equals_suggestion"], pl.DataFrame([row], schema=LABELS))
    assert place.read("labels").select("label_id", "candidate_id").rows() == [("old", None)]
    fresh = pl.DataFrame([row | {"label_id": "new", "candidate_id": "c", "interaction_id": "i2"}], schema=LABELS)
    place.write_batch("b2", "labels", {"labels": fresh.drop("batch_id")})
    told = [("new", "c"), ("old", None)]
    assert sorted(place.read("labels").select("label_id", "candidate_id").rows()) == told
    erasing.erase(place.folder / "tables" / "labels", pl.DataFrame({"interaction_id": ["i2"]}))
    assert place.read("labels").select("label_id", "candidate_id").rows() == [("old", None)]


def test_a_table_that_an_older_workspace_has_not_is_empty_and_made_when_rows_come(tmp_path):
    place = Workspace.create(tmp_path / "w", key=b"k" * 32)
    shutil.rmtree(place.folder / "tables" / "asked")
    assert place.read("asked").is_empty()
    assert erasing.erase(place.folder / "tables" / "asked", pl.DataFrame({"interaction_id": ["i"]})) == 0
    erasing.scrub(place.folder / "tables" / "asked")
    asked = dict.fromkeys(ASKED) | {"ask_id": "a", "interaction_id": "i", "options": ["i"]}
    place.write_batch("b1", "ask", {"asked": pl.DataFrame([asked], schema=ASKED).drop("batch_id")})
    assert place.read("asked").select("ask_id", "options").rows() == [("a", ["i"])]
