"""How long an audit takes of a training set of 100,000 rows, in a process of its own."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import polars as pl
import pytest

import clworkbench as clw
from clworkbench.schemas import FEEDBACK, INTERACTIONS, MESSAGES
from clworkbench.workspace import Workspace

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("BENCH_ROWS", "100000"))
START = datetime(2026, 1, 5, tzinfo=UTC)
WORDS = (
    "please could you tell me where order number is it says delivered but nothing arrived at my new address and the",
    "card was charged twice thank you for the quick answer we have sent the parcel again today a refund follows within",
)
POLICY = """\
format = 1
[sources.app]
format = "openai"
[outcomes]
thumbs = { score = "thumbs" }
[policy]
leaving = "patterns" # the second tier takes longer than all else together
[policy.exclude]
tests = "environment = 'test'"
secret = { pattern = "(?i)strictly confidential" }
[policy.sample]
by = "app"
rates = { chat = 0.95 }
[policy.quality]
min_confidence = 0.01
[policy.caps]
per_user = 500
per_text = 50
burst = "1s"
"""


def said(role: str, text: str) -> list[dict[str, object]]:
    return [{"role": role, "content": text}]


def talk(n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`n` answers of 40 words to questions of 30, of 5,000 users, each with a thumb."""
    draw = Random(7)
    words = " ".join(WORDS).split()
    texts = [" ".join(draw.choices(words, k=30)) + f" {number}" for number in range(n)]
    answers = [" ".join(draw.choices(words, k=40)) + f" {number}" for number in range(n)]
    ids = [f"{draw.getrandbits(128):032x}" for _ in range(n)]
    start = round(START.timestamp() * 1e6)
    moments = (pl.int_range(n, eager=True) * 60_000_000 + start).cast(pl.Datetime("us", "UTC"))
    columns = {
        "interaction_id": ids,
        "source": ["app"] * n,
        "source_id": [f"log:{number}" for number in range(n)],
        "conversation_id": [f"talk:{number // 3}" for number in range(n)],
        "user_key": [f"{number % 5000:032x}" for number in range(n)],
        "app": ["chat" if number % 2 else "desk" for number in range(n)],
        "environment": ["production"] * n,
        "operation": ["chat"] * n,
        "started_at": moments,
        "input": pl.Series(
            [said("user", text) for text in texts], dtype=pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
        ),
        "output": pl.Series(
            [said("assistant", text) for text in answers],
            dtype=pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
        ),
        "confidence": [0.5] * n,
        "attributes": ['{"tenant.id": "acme"}'] * n,
        "raw_sha256": ids,
    }
    interactions = filled(pl.DataFrame(columns), INTERACTIONS)
    thumbs = {
        "feedback_id": [own[::-1] for own in ids],
        "target_id": ids,
        "target_kind": ["interaction"] * n,
        "name": ["thumbs"] * n,
        "kind": ["rating"] * n,
        "score": [1.0] * n,
        "origin": ["user"] * n,
        "at": moments,
        "source": ["app"] * n,
        "raw_sha256": ids,
    }
    return interactions, filled(pl.DataFrame(thumbs), FEEDBACK)


def filled(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The frame with every column of the schema but the batch's."""
    message = pl.element().struct
    whole = pl.struct(message.field("role"), message.field("content"), *(pl.lit(None).alias(f) for f in REST))
    lists = [pl.col(name).list.eval(whole).cast(MESSAGES) for name in ("input", "output") if name in frame.columns]
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in frame.columns]
    return frame.with_columns(*lists, *missing).select(name for name in schema if name != "batch_id")


REST = ("tool_calls", "tool_call_id", "name", "parts")
AUDIT = """
import json, resource, sys
from clworkbench.audit.checks import audit
from clworkbench.workspace import Workspace
found = audit(Workspace(sys.argv[1]), "main")
used = resource.getrusage(resource.RUSAGE_SELF)
checks = {check.name: check.n for check in found.checks}
print(json.dumps({"ok": found.ok, "cpu": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss, "checks": checks}))
"""


def test_an_audit_of_a_training_set_of_100_000_rows_ends_within_30_s(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = Workspace.create(tmp_path / "w", settings=POLICY)
    interactions, feedback = talk(round(ROWS / 0.97))
    workspace.write_batch("b1", "ingest", {"interactions": interactions, "feedback": feedback}, source="app")
    suite = tmp_path / "suite.jsonl"
    lines = (json.dumps({"input": f"Which of {n} is it, then?", "expected": "this"}) for n in range(1000))
    suite.write_text("\n".join(lines))
    clw.freeze_suite(workspace, "held", suite)
    began = time.process_time()
    made = clw.build(workspace, "main")
    building = time.process_time() - began
    began = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", AUDIT, str(tmp_path / "w")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    wall = time.monotonic() - began
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    print(
        f"\nbuild {building:.1f} CPU s; audit of {made.built.frame.height:,} rows: {wall:.1f} s, "
        f"{found['cpu']:.1f} CPU s, {found['peak'] / 1024:,.0f} MiB"
    )
    assert found["ok"]
    assert found["checks"]["version"] == made.built.frame.height > 0.95 * ROWS
    assert found["cpu"] < 30
