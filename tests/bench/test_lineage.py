"""Lineage over a million signals: from weights down to the source's records, and from a signal up to the release."""

import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from clworkbench.lineage import trace
from clworkbench.schemas import INTERACTIONS, TRAINING_ROWS
from clworkbench.workspace import Workspace

pytestmark = pytest.mark.slow

SIGNALS, LEARNED, FILES = 1_000_000, 100_000, 4
START = datetime(2026, 1, 1, tzinfo=UTC)


def hexed(number: pl.Expr, seed: int) -> pl.Expr:
    """32 hex digits that stand for a number."""
    halves = [pl.format("{}", number.hash(seed + half)).str.zfill(20).str.slice(4) for half in (0, 1)]
    return pl.concat_str(halves)


def filled(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return rows.select(
        pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in schema.items()
    )


def write(place: Path) -> tuple[Workspace, str]:
    """A million signals out of four files, a hundred thousand of them learned by each of two runs, one released."""
    workspace = Workspace.create(place)
    at = pl.col("n")
    for part in range(FILES):
        size = SIGNALS // FILES
        rows = pl.DataFrame({"n": range(part * size, (part + 1) * size)}).select(
            interaction_id=hexed(at, 1), source=pl.lit("app"), source_id=pl.format("log-{}", at),
            started_at=pl.lit(START) + pl.duration(seconds=at), operation=pl.lit("chat"), model=pl.lit("m"),
            attributes=pl.format('{{"n":{},"text":"' + "some words of it " * 12 + '"}}', at),
            raw_sha256=pl.concat_str(hexed(at, 3), hexed(at, 5)), batch_id=pl.lit(f"part {part}"),
        )  # fmt: skip
        workspace.tables.append("interactions", filled(rows, INTERACTIONS))
        detail = {"file": f"log-{part}.jsonl", "sha256": f"{part}" * 64}
        workspace.catalog.commit_batch(
            f"part {part}", "ingest", source="app", detail=detail, counts={"interactions": size}
        )
    run = ""
    for turn in range(2):
        learned = pl.DataFrame({"n": range(turn * LEARNED, (turn + 1) * LEARNED)}).select(
            row_id=hexed(at, 7), signal_ids=pl.concat_list(hexed(at * 3, 1)), split=pl.lit("train"), weight=pl.lit(1.0)
        )
        made = workspace.publish_rows("training_set", f"set{turn}", filled(learned, TRAINING_ROWS["sft"]))
        run = f"run:set{turn}-0000"
        workspace.publish(run, parents=[str(made["id"])], about={"base": "b", "adapter_sha256": "0" * 64})
    workspace.publish("release:1", parents=[run])
    return workspace, run


def timed(workspace: Workspace, wanted: str, times: int = 3) -> float:
    """CPU seconds of the fastest of some traces; it waits for little but the disk."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time(), time.perf_counter()
        trace(workspace, wanted)
        best = min(best, time.process_time() - began[0])
        print(f"  {wanted}: {time.process_time() - began[0]:.2f} CPU s, {time.perf_counter() - began[1]:.2f} s")
    return best


def test_lineage_both_ways_over_a_million_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    workspace, run = write(tmp_path / "w")
    print()
    down = trace(workspace, run)
    assert down.down.filter(kind="signal").height == down.down.filter(kind="record").height == LEARNED
    signal = str(down.down.filter(kind="signal")["id"][-1])
    assert {"training_set:", "run:", "release:"} <= {f"{kind}:" for kind in trace(workspace, signal).up["kind"]}
    assert timed(workspace, run) < 1
    assert timed(workspace, "release:1") < 1
    assert timed(workspace, signal) < 1
