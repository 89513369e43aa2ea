"""Ratios in one run: ingest against DuckDB, re-ingest against ingest, memory at ten times the input, redaction."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.redaction import redact_text

pytestmark = pytest.mark.slow

INGEST = (
    "import resource, sys; from clworkbench.loop.capture import ingest; from clworkbench.workspace import Workspace\n"
    "ingest(Workspace(sys.argv[1]), [sys.argv[2]], 'otlp')\n"
    "used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime, used.ru_maxrss)"
)
DUCKDB = (
    "import duckdb, resource, sys; db = duckdb.connect(); db.execute('set threads = 1')\n"
    "db.execute(f\"copy (select * from read_json('{sys.argv[2]}', format='newline_delimited')) to '{sys.argv[1]}'\")\n"
    "used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime, used.ru_maxrss)"
)


def span(number: int) -> dict[str, object]:
    said = json.dumps([{"role": "user", "parts": [{"type": "text", "content": f"Question {number} " + "why " * 60}]}])
    answer = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "because " * 80}]}])
    texts = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": said, "gen_ai.output.messages": answer}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in texts.items()]
    attributes.append({"key": "gen_ai.usage.output_tokens", "value": {"intValue": str(number % 500)}})
    ids = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "chat", "kind": 3}
    times = {
        "startTimeUnixNano": str(1_776_000_000_000_000_000 + number),
        "endTimeUnixNano": str(1_776_000_001_000_000_000),
    }
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [ids | times | {"attributes": attributes}]}]}]}


def traces(path: Path, n: int) -> Path:
    with path.open("w") as file:
        file.writelines(json.dumps(span(number)) + "\n" for number in range(n))
    return path


def used(code: str, place: Path, file: Path, environment: dict[str, str]) -> tuple[float, int]:
    """CPU seconds and peak memory (KiB) of a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(place), str(file)], env=environment, capture_output=True, text=True, check=True
    )
    seconds, peak = ran.stdout.split()
    return float(seconds), int(peak)


def new_workspace(place: Path, environment: dict[str, str]) -> Path:
    code = "from clworkbench.settings import template; from clworkbench.workspace import Workspace; import sys\n"
    code += "Workspace.create(sys.argv[1], settings=template(redaction='off'))"
    subprocess.run([sys.executable, "-c", code, str(place)], env=environment, check=True)
    return place


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    one = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "CLW_CONFIG": str(tmp_path / "config")}
    return os.environ | one


def test_ingest_against_duckdb_and_a_known_file_against_a_new_one(tmp_path, environment):
    file = traces(tmp_path / "a.jsonl", 60_000)
    mb = file.stat().st_size / 1e6
    ours, peak = used(INGEST, new_workspace(tmp_path / "w", environment), file, environment)
    theirs, _ = used(DUCKDB, tmp_path / "out.parquet", file, environment)
    began = time.monotonic()
    again, _ = used(INGEST, tmp_path / "w", file, environment)
    wall = time.monotonic() - began
    print(f"\n{mb:.0f} MB of OTLP: {ours:.1f} CPU s, DuckDB {theirs:.1f}, ratio {ours / theirs:.2f}")
    print(f"peak {peak / 1024:.0f} MB")
    print(f"the same file again: {again:.2f} CPU s, {wall:.2f} s with the start of Python")
    assert ours / theirs < 8  # where it stands; the target of 1.5 is still ahead
    assert again < ours / 4


def test_memory_is_flat(tmp_path, environment):
    peaks = []
    for number, n in enumerate((20_000, 200_000)):
        file = traces(tmp_path / f"{n}.jsonl", n)
        peaks.append(used(INGEST, new_workspace(tmp_path / f"w{number}", environment), file, environment)[1])
        file.unlink()
    print(f"\npeak {peaks[0] / 1024:.0f} MB; with ten times the input {peaks[1] / 1024:.0f} MB")
    assert peaks[1] < 1024**2


def test_redaction_in_characters_a_cpu_second():
    texts = pl.Series(
        [f"Order {i} came late, my number is {i * 7}, and nobody answers me " + "at all " * 40 for i in range(50_000)]
    )
    began = resource.getrusage(resource.RUSAGE_SELF)
    redact_text(texts, Pseudonyms(b"k" * 32))
    ended = resource.getrusage(resource.RUSAGE_SELF)
    seconds = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    speed = texts.str.len_chars().sum() / seconds / 1e6
    print(f"\n{speed:.0f} million characters a CPU second")
    assert speed > 20
