"""How long the explorer takes for its first picture and for a filter's answer on a million signals."""

import os
import time
from collections.abc import Callable

import polars as pl
import pytest

from clworkbench.slices.explored import Explored
from clworkbench.slices.filters import Filters
from tests.slices.made_signals import made_signals

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
WORDS = ("refund", "invoice", "Card", "please", "cancel", "my", "order", "is", "late", "Straße", "twice", "charged")
FIRST_S, FILTER_S = 2.0, 0.3
ASKED = {
    "a value": Filters(values={"app": ("mail",)}),
    "an outcome": Filters(outcome=("bad",)),
    "a slice": Filters(slice="mail"),
    "days": Filters(since="2026-01-10", until="2026-01-31"),
    "a condition": Filters(where="latency_ms > 500 and model <> 'm3'"),
}
READY_S, MAP_S = 2.0, 60.0
TEXTS = {
    "a text": Filters(text="REFUND"),
    "a text that is half in each signal and whole in none": Filters(text="REFUND my"),
}
"""A text is looked for in 140 characters of each signal, small letters or capitals."""


@pytest.fixture(scope="module")
def signals() -> pl.DataFrame:
    made, _ = made_signals(0, ROWS, turns=2)
    said = pl.Series([" ".join(WORDS[(n * k + k) % len(WORDS)] for k in range(1, 13)) for n in range(5003)])
    rows = pl.int_range(0, ROWS, eager=True)
    return made.with_columns(
        text=said.gather(rows % 5003), answer=said.gather(rows * 7 % 5003), n_feedback=pl.lit(1)
    ).sort("started_at")


def timed(what: str, call: Callable[[], object]) -> float:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what} of {ROWS:,} signals: {wall:.3f} s, {cpu:.3f} CPU s")
    return cpu


def test_the_first_picture_takes_less_than_two_seconds_and_a_filter_less_than_300_ms(signals: pl.DataFrame):
    print()
    Explored(signals.head(1000), {}).look(Filters(), group_by="app")
    share = max(1.0, ROWS / 1e6)
    held: list[Explored] = []
    opened = timed("opening", lambda: held.append(Explored(signals, {"mail": "app = 'mail'"})))
    (explored,) = held
    first = timed("the first look", lambda: explored.look(Filters(), group_by="app"))
    assert opened + first < FIRST_S * share
    took = {name: timed(name, lambda f=asked: explored.look(f, group_by="app")) for name, asked in ASKED.items()}
    assert max(took.values()) < FILTER_S * share, took
    assert timed("making ready for a text, as the field is entered", explored.prepare) < READY_S * share
    looked = {name: timed(name, lambda f=asked: explored.look(f, group_by="app")) for name, asked in TEXTS.items()}
    assert max(looked.values()) < FILTER_S * share, looked
    by_pattern = Explored(signals, {})
    for asked in TEXTS.values():
        assert explored.holds(asked).equals(by_pattern.holds(asked))
    last = TEXTS["a text that is half in each signal and whole in none"]
    assert timed("another page of these", lambda: explored.look(last, group_by="app", page=1)) < FILTER_S * share


def test_a_map_of_a_million_different_texts_takes_less_than_a_minute_and_a_filter_on_it_less_than_300_ms(signals):
    share = max(1.0, ROWS / 1e6)
    number = pl.int_range(pl.len()).cast(pl.String)
    explored = Explored(signals.with_columns(text=pl.concat_str("text", pl.lit(" "), number)), {})
    print()
    assert timed("the map", lambda: explored.grid(Filters())) < MAP_S * share
    assert timed("its cells for a filter", lambda: explored.grid(Filters(outcome=("bad",)))) < FILTER_S * share
    area = Filters(area=(0.0, 0.1, 0.0, 0.1))
    assert timed("an area of it", lambda: explored.look(area, group_by="app")) < FILTER_S * share
