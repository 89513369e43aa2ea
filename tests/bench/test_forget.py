"""Forgetting 100 users in millions of signals: within two minutes on two cores, in flat memory."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from clworkbench.schemas import FEEDBACK, INTERACTIONS
from clworkbench.workspace import Workspace

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("BENCH_ROWS", "5000000"))
USERS = ROWS // 50
AT_ONCE = 250_000
START = datetime(2026, 1, 1, tzinfo=UTC)

FORGET = """
import resource, sys, time
from datetime import UTC, datetime
from clworkbench.audit.asked import asked
from clworkbench.audit.forget import forget
from clworkbench.workspace import Workspace
began, last = time.monotonic(), ["start", time.monotonic()]
def peak_kib():  # ru_maxrss would begin with that of the process that started this one
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1])
def say(step):
    print(f"  {last[0]}: {time.monotonic() - last[1]:.1f} s, peak so far {peak_kib() / 1024:.0f} MB", file=sys.stderr)
    last[:] = [step, time.monotonic()]
users = tuple(f"user {number}" for number in range(100))
done = forget(Workspace(sys.argv[1]), asked(datetime.now(UTC), users=users), say=say)
say("end")
used = resource.getrusage(resource.RUSAGE_SELF)
print(done.told["rows"]["interactions"], done.told["rows"]["feedback"], time.monotonic() - began,
      used.ru_utime + used.ru_stime, peak_kib())
"""


def hashed(*parts: object) -> pl.Expr:
    """32 hex digits that stand for a number: one half, its other half, no two alike."""
    whole = pl.concat_str(pl.format("{}", part) for part in parts)
    halves = [pl.format("{}", whole.hash(seed)).str.zfill(20).str.slice(4) for seed in (1, 2)]
    return pl.concat_str(halves)


def text(number: pl.Expr, seed: int) -> pl.Expr:
    """About 200 characters that no other row has."""
    words = [pl.format("word{}", number.hash(seed + at).mod(9999)) for at in range(24)]
    return pl.concat_str(words, separator=" ")


def said(role: str, content: pl.Expr) -> pl.Expr:
    fields = INTERACTIONS["input"].inner.to_schema()  # type: ignore[attr-defined]
    values = {"role": pl.lit(role), "content": content}
    return pl.concat_list(
        pl.struct(values.get(name, pl.lit(None, dtype=dtype)).alias(name) for name, dtype in fields.items())
    )


def chunk(workspace: Workspace, first: int, keys: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Rows first … first + AT_ONCE, their users by turns, and a thumb on every fifth."""
    at = pl.col("n")
    rows = pl.DataFrame({"n": range(first, min(first + AT_ONCE, ROWS))}).with_columns(
        interaction_id=hashed(at, pl.lit("i")), user=at.mod(USERS), batch_id=pl.lit(f"chunk {first}")
    )
    rows = rows.join(keys, on="user", maintain_order="left").with_columns(
        source=pl.lit("app"),
        source_id=pl.format("log-{}", at),
        trace_id=hashed(at, pl.lit("t")),
        conversation_id=pl.format("talk-{}-{}", "user", at // USERS // 4),
        operation=pl.lit("chat"),
        started_at=pl.lit(START) + pl.duration(seconds=at),
        model=pl.lit("m"),
        input=said("user", text(at, 1)),
        output=said("assistant", text(at, 100)),
        attributes=pl.concat_str(pl.lit('{"skin":"dark","n":'), pl.format("{}}}", at)),
        raw_sha256=pl.concat_str(hashed(at, pl.lit("r")), hashed(at, pl.lit("s"))),
    )
    thumbs = rows.filter(at % 5 == 0).select(
        feedback_id=hashed(at, pl.lit("f")), target_id="interaction_id", target_kind=pl.lit("interaction"),
        name=pl.lit("thumbs"), score=pl.lit(1.0), at="started_at", source=pl.lit("app"), raw_sha256="raw_sha256",
        batch_id="batch_id",
    )  # fmt: skip
    return {"interactions": _filled(rows, INTERACTIONS), "feedback": _filled(thumbs, FEEDBACK)}


def _filled(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return rows.select(
        pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in schema.items()
    )


def write(place: Path) -> None:
    workspace = Workspace.create(place)
    keys = pl.DataFrame(
        {"user": range(USERS), "user_key": [workspace.pseudonyms.user(f"user {n}") for n in range(USERS)]}
    )
    for first in range(0, ROWS, AT_ONCE):
        frames = chunk(workspace, first, keys)
        for table, rows in frames.items():
            workspace.tables.append(table, rows)
        counts = {table: rows.height for table, rows in frames.items()}
        detail = {"file": "log.jsonl", "sha256": "0" * 64}
        workspace.catalog.commit_batch(f"chunk {first}", "ingest", source="app", detail=detail, counts=counts)


def test_forgetting_100_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    place = tmp_path / "w"
    write(place)
    size = sum(path.stat().st_size for path in place.rglob("*.parquet"))
    ran = subprocess.run([sys.executable, "-c", FORGET, str(place)], capture_output=True, text=True, check=True)
    interactions, feedback, wall, cpu, peak = map(float, ran.stdout.split())
    print(f"\n{ROWS:,} signals, {size / 1e9:.2f} GB; gone: {interactions:,.0f} and {feedback:,.0f} feedback")
    print(f"{ran.stderr}{wall:.1f} s, {cpu:.1f} CPU s, peak {peak / 1024:.0f} MB")
    assert interactions >= 100 * 50
    assert cpu < 240  # two minutes of two cores
    assert peak < 2 * 1024**2
