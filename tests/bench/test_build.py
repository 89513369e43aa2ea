"""A supervised set of a million signals, on two cores: every step from the tables to the published rows."""

import json
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from clworkbench.loop.training_sets.convert import build
from clworkbench.schemas import FEEDBACK, INTERACTIONS, MESSAGES
from clworkbench.workspace import Workspace

pytestmark = pytest.mark.slow

SIGNALS, FILES = 1_000_000, 4
START = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = """\
format = 1
[policy]
leaving = "patterns"
[outcomes]
accepted = { negative = "edited", positive = "accepted" }
"""
NOUNS = ("parcel", "invoice", "card", "lamp", "chair", "refund", "password", "train", "garden", "piano", "ticket")
VERBS = ("find", "cancel", "change", "return", "repair", "pay", "send", "open", "lock", "sell", "book", "paint", "ship")


def hexed(number: pl.Expr, seed: int) -> pl.Expr:
    """32 hex digits that stand for a number."""
    halves = [pl.format("{}", number.hash(seed + half)).str.zfill(20).str.slice(4) for half in (0, 1)]
    return pl.concat_str(halves)


def filled(rows: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return rows.select(
        pl.col(name).cast(dtype) if name in rows.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in schema.items()
    )


def message(role: str, text: pl.Expr) -> pl.Expr:
    fields = MESSAGES.inner.to_schema()  # type: ignore[union-attr]
    said = {"role": pl.lit(role), "content": text}
    return pl.struct((said.get(name, pl.lit(None)).cast(dtype).alias(name)) for name, dtype in fields.items())


def word(words: tuple[str, ...], number: pl.Expr) -> pl.Expr:
    return pl.lit(pl.Series(words).implode()).list.get(number % len(words))


def write(place: Path, signals: int) -> Workspace:
    """So many signals of short talks, a tenth of them edited and a fifth accepted, in conversations of two."""
    workspace = Workspace.create(place, settings=SETTINGS)
    n = pl.col("n")
    asked = pl.format(
        "How do I {} the {} of order {} that I wanted to {}, and what does the {} cost with number {}?",
        word(VERBS, n), word(NOUNS, n // 13), hexed(n, 11).str.slice(0, 10), word(VERBS, n // 7), word(NOUNS, n // 3),
        n,
    )  # fmt: skip
    for part in range(FILES):
        size = signals // FILES
        numbers = pl.DataFrame({"n": range(part * size, (part + 1) * size)})
        rows = numbers.select(
            interaction_id=hexed(n, 1), source=pl.lit("app"), source_id=pl.format("log-{}", n),
            conversation_id=pl.format("talk-{}", n // 2), user_key=hexed(n // 20, 9),
            started_at=pl.lit(START) + pl.duration(seconds=n), operation=pl.lit("chat"), model=pl.lit("m"),
            input=pl.concat_list(message("system", pl.lit("You are a helpful clerk.")), message("user", asked)),
            output=pl.concat_list(message("assistant", pl.format("You go to the desk and ask for {}.", n))),
            raw_sha256=pl.concat_str(hexed(n, 3), hexed(n, 5)), batch_id=pl.lit(f"part {part}"),
        )  # fmt: skip
        edited = n % 10 == 0
        better = pl.concat_list(message("assistant", pl.format("Please call us about {}.", n)))
        said = numbers.filter(edited | (n % 10 > 7)).select(
            feedback_id=hexed(n, 7), target_id=hexed(n, 1), target_kind=pl.lit("interaction"),
            name=pl.when(edited).then(pl.lit("edited")).otherwise(pl.lit("accepted")), origin=pl.lit("operator"),
            kind=pl.lit("correction"), improvement=pl.when(edited).then(better), source=pl.lit("app"),
            at=pl.lit(START) + pl.duration(seconds=n + 60), raw_sha256=hexed(n, 13), batch_id=pl.lit(f"part {part}"),
        )  # fmt: skip
        workspace.tables.append("interactions", filled(rows, INTERACTIONS))
        workspace.tables.append("feedback", filled(said, FEEDBACK))
        counts = {"interactions": size, "feedback": said.height}
        detail = {"file": f"log-{part}.jsonl", "sha256": f"{part}" * 64}
        workspace.catalog.commit_batch(f"part {part}", "ingest", source="app", detail=detail, counts=counts)
    return workspace


def measured(place: Path) -> dict[str, float]:
    """Builds in a process of its own: CPU seconds, seconds, peak RSS (MiB) and rows."""
    environment = {**os.environ, "POLARS_MAX_THREADS": "2"}
    ran = subprocess.run(
        [sys.executable, __file__, str(place)], capture_output=True, text=True, check=True, env=environment
    )
    told: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return told


def test_a_set_of_a_million_signals_is_built_within_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    write(tmp_path / "w", SIGNALS)
    told = measured(tmp_path / "w")
    print(f"\n  {SIGNALS:,} signals: {told}")
    assert told["rows"] > 0.25 * SIGNALS
    assert told["cpu_s"] < 120  # 60 s on two cores
    assert told["peak_mib"] < 3.5 * 1024  # the signals once, and what is made of a third of them


if __name__ == "__main__":
    began, cpu = time.perf_counter(), time.process_time()
    made = build(Workspace(sys.argv[1]))
    used = {"cpu_s": time.process_time() - cpu, "seconds": time.perf_counter() - began}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**used, "peak_mib": peak, "rows": made.frame.height}))
