"""What the tables' files say of the rows beside the rows themselves."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from clworkbench.schemas import INTERACTIONS
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
