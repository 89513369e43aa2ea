"""`clw serve` over HTTP beside the same model called directly, and fifty conversations at once; ratios in one run."""

import asyncio
import os
import shutil
import statistics
import time
from pathlib import Path

import httpx
import pytest

from clworkbench.loop.evals.model import champion, resolve
from clworkbench.models.generate import generate
from clworkbench.models.load import load
from clworkbench.workspace import Workspace
from tests.serving.test_serve import Serving

pytestmark = pytest.mark.slow

OVERHEAD_MS = 5.0
FASTER = 3.0
N, TOKENS = 50, 8


def asked(number: int) -> list[dict[str, object]]:
    return [{"role": "user", "content": f"where is order {number}"}]


@pytest.fixture
def running(tiny_workspace: Path, tmp_path: Path):
    folder = tmp_path / "w"
    shutil.copytree(tiny_workspace, folder)
    server = Serving(folder, ("--look-every", "0", "--batch", str(N)))
    yield server
    server.end()


@pytest.fixture
def served_base(tmp_path: Path):
    """SmolLM2 as it comes: nothing was released yet."""
    Workspace.create(tmp_path / "w")
    server = Serving(tmp_path / "w", ("--look-every", "0", "--batch", str(N)))
    yield server
    server.end()


def seconds(running: Serving, number: int) -> float:
    began = time.perf_counter()
    assert running.ask(asked(number), max_tokens=TOKENS).status_code == 200
    return time.perf_counter() - began


def test_routing_costs_at_most_five_milliseconds_at_the_median(running, tmp_path):
    place = Workspace(tmp_path / "w")
    loaded = load(resolve(place, champion(place)), dtype="float32", threads=1)
    served, direct = [], []
    for number in range(80):
        served.append(1000 * seconds(running, number))
        began = time.perf_counter()
        generate(loaded, [asked(number)], max_new_tokens=TOKENS, batch_size=1)
        direct.append(1000 * (time.perf_counter() - began))
    ours, theirs = (statistics.median(each[10:]) for each in (served, direct))
    load_ = os.getloadavg()[0]
    print(f"\nover HTTP {ours:.1f} ms, called directly {theirs:.1f} ms: {ours - theirs:+.1f} ms (load {load_:.1f})")
    assert ours - theirs <= OVERHEAD_MS


async def all_at_once(url: str) -> list[int]:
    limits = httpx.Limits(max_connections=N)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        bodies = ({"model": "clw", "messages": asked(number), "max_tokens": TOKENS} for number in range(N))
        asking = (client.post("/v1/chat/completions", json=body) for body in bodies)
        return [answer.status_code for answer in await asyncio.gather(*asking)]


def test_fifty_at_once_are_all_answered_and_kept_and_three_times_as_fast(served_base, tmp_path):
    running = served_base
    seconds(running, 0)
    one_by_one = statistics.median(seconds(running, number) for number in range(10))
    began = time.perf_counter()
    codes = asyncio.run(all_at_once(running.url))
    together = (time.perf_counter() - began) / N
    print(f"\none by one {1000 * one_by_one:.1f} ms, {N} at once {1000 * together:.1f} ms each: ", end="")
    print(f"{one_by_one / together:.1f} times")
    assert codes == [200] * N
    end = running.stop()
    assert (end["counts"]["answers"], end["ingested"]["new"], end["waiting"]) == (N + 11, N + 11, 0)
    assert Workspace(tmp_path / "w").signals().height >= N + 11
    assert one_by_one >= FASTER * together
