"""Ratios in one run: ingest against DuckDB, re-ingest against ingest, memory at ten times the input, redaction."""

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
from tests.bench.otlp_traffic import write_traffic

pytestmark = pytest.mark.slow

USED = (
    "used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]\n"
    "print(sum(one.ru_utime + one.ru_stime for one in used), max(one.ru_maxrss for one in used))"
)
INGEST = (
    "import os, resource, sys; os.sched_getaffinity = lambda _: set(range(int(os.environ['CORES'])))\n"
    "from clworkbench.loop.signals.capture import ingest; from clworkbench.workspace import Workspace\n"
    "ingest(Workspace(sys.argv[1]), [sys.argv[2]], 'otlp')\n" + USED
)
STAGES = """
import time; began = time.process_time()
import sys; from pathlib import Path
from clworkbench.files import sha256_file; from clworkbench.loop.signals import capture
from clworkbench.settings import Source
from clworkbench.signals.containers import lines; from clworkbench.signals.otlp import requests
from clworkbench.signals.reading import read; from clworkbench.workspace import Workspace
from clworkbench.workspace.known import KnownRows
stages, file = {"start Python and import": time.process_time() - began}, Path(sys.argv[2])
workspace = Workspace(sys.argv[1])
def timed(what, work):
    began = time.process_time(); found = work(); stages[what] = time.process_time() - began
    return found
timed("hash the file", lambda: sha256_file(file))
origins = requests.Origins(lambda value: value)
timed("decode the JSON", lambda: [None for item in lines(file) if requests.spans(item.raw, origins) is None])
source = Source("otlp", format="otlp")
chunks = timed("read it into frames", lambda: list(read(file, source, workspace.pseudonyms)))
stages["read it into frames"] -= stages["decode the JSON"]
known = KnownRows("otlp")
def write(at, chunk):
    workspace.write_batch(str(at), "ingest", {"interactions": chunk.interactions}, known=known)
timed("write the tables", lambda: [write(at, chunk) for at, chunk in enumerate(chunks)])
for what, seconds in stages.items(): print(f"{what}: {seconds:.2f}", file=sys.stderr)
print(sum(stages.values()), 0)
"""
DUCKDB = (
    "import duckdb, resource, sys; db = duckdb.connect(); db.execute('set threads = 1')\n"
    "db.execute(f\"copy (select * from read_json('{sys.argv[2]}', format='newline_delimited')) to '{sys.argv[1]}'\")\n"
    + USED
)
MB = int(os.environ.get("BENCH_MB", "200"))
REPEATS = 3
"""The least of several runs counts: on a shared machine all else is somebody else's work."""


def used(code: str, place: Path, file: Path, environment: dict[str, str]) -> tuple[float, int]:
    """CPU seconds and peak memory (KiB) of a process of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(place), str(file)], env=environment, capture_output=True, text=True, check=True
    )
    print(ran.stderr, end="")
    seconds, peak = ran.stdout.split()[-2:]
    return float(seconds), int(peak)


def new_workspace(place: Path, environment: dict[str, str]) -> Path:
    code = "from clworkbench.settings import template; from clworkbench.workspace import Workspace; import sys\n"
    code += "Workspace.create(sys.argv[1], settings=template(redaction='off'))"
    subprocess.run([sys.executable, "-c", code, str(place)], env=environment, check=True)
    return place


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    threads = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CORES"), "1")
    return os.environ | threads | {"CLW_CONFIG": str(tmp_path / "config")}


def test_ingest_against_duckdb_and_a_known_file_against_a_new_one(tmp_path, environment):
    file = write_traffic(tmp_path / "traces.jsonl", MB * 10**6)
    ours, theirs = [], []
    for number in range(REPEATS):
        place = new_workspace(tmp_path / f"w{number}", environment)
        ours.append(used(INGEST, place, file, environment))
        theirs.append(used(DUCKDB, tmp_path / "out.parquet", file, environment))
    (best, peak), (their_best, their_peak) = min(ours), min(theirs)
    began = time.monotonic()
    again, _ = used(INGEST, place, file, environment)
    wall = time.monotonic() - began
    both, _ = used(INGEST, new_workspace(tmp_path / "w", environment), file, environment | {"CORES": "2"})
    print(f"\n{MB} MB of OTLP: {best:.1f} CPU s, DuckDB {their_best:.1f}, ratio {best / their_best:.2f}")
    print(f"on two cores {both:.1f} CPU s; peak {peak / 1024:.0f} MB, DuckDB {their_peak / 1024:.0f}")
    print(f"the same file again: {again:.2f} CPU s, {wall:.2f} s with the start of Python")
    used(STAGES, new_workspace(tmp_path / "stages", environment), file, environment)
    assert best / their_best < 2.0  # 1.5 where it stands, which differs by a fifth from run to run
    assert again < best / 4


def test_memory_is_flat(tmp_path, environment):
    peaks = []
    for n_bytes in (10**8, 10**9):
        file = write_traffic(tmp_path / "traces.jsonl", n_bytes)
        places = {cores: new_workspace(tmp_path / f"w{n_bytes}-{cores}", environment) for cores in "12"}
        peaks.append(max(used(INGEST, places[cores], file, environment | {"CORES": cores})[1] for cores in places))
        file.unlink()
    print(f"\npeak {peaks[0] / 1024:.0f} MB; with ten times the input {peaks[1] / 1024:.0f} MB")
    assert peaks[1] < 1024**2
    assert peaks[1] < 1.2 * peaks[0]


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
