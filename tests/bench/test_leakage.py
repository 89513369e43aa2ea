"""How long leaks are looked for: a million training rows against ten thousand examples; what is planted is found."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import polars as pl
import pytest

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import MESSAGES, SUITE
from clworkbench.training_sets.holdout import as_examples, taught
from clworkbench.training_sets.leakage import leaks
from clworkbench.training_sets.proof import search

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
EXAMPLES = ROWS // 100
PROVED = min(ROWS, 100_000)
KEY = Pseudonyms(b"k" * 32)
T = TypeVar("T")


def texts(n: int) -> list[str]:
    """Texts of 8 to 16 words, the common ones ever again; about 77 letters each."""
    draw = np.random.default_rng(5)
    letters = draw.choice(list("aabcdeeefghiiklmnooprssttuwy"), (20_000, 9))
    words = np.array(["".join(row[: 2 + number % 8]) for number, row in enumerate(letters)])
    chosen = (len(words) * draw.random((n, 16)) ** 3).astype(int)
    lengths = draw.integers(8, 17, n)
    return [" ".join(words[row[:length]]) for row, length in zip(chosen, lengths, strict=True)]


def edited(text: str, how: int) -> str:
    """What leaks: a letter changed (how 0), other case and punctuation (1), the text within a longer one (2)."""
    if how == 0:
        return text[:-1] + "z"
    return (
        f"{text.upper()} ?!" if how == 1 else f"somebody wrote {text} and went away then she came back to ask it again"
    )


def talk(role: str, said: list[str]) -> pl.Series:
    rest = {"tool_calls": None, "tool_call_id": None, "name": None, "parts": None}
    plain = pl.DataFrame({"content": said}).select(
        role=pl.lit(role), content="content", **{k: pl.lit(v) for k, v in rest.items()}
    )
    return plain.select(pl.concat_list(pl.struct(pl.all()).cast(MESSAGES.inner)))[:, 0]


def made() -> tuple[pl.DataFrame, pl.DataFrame, set[str]]:
    """Rows (a tenth of their groups held out), examples, and the ids of the rows that leak."""
    said = texts(ROWS + EXAMPLES)
    asked, held = said[:ROWS], said[ROWS:]
    planted = np.random.default_rng(7).choice(ROWS, EXAMPLES // 2, replace=False)
    for turn, place in enumerate(planted):
        asked[place] = edited(held[turn], turn % 3)
    number = pl.int_range(ROWS, eager=True)
    rows = pl.DataFrame(
        {
            "row_id": number.cast(pl.String),
            "prompt": talk("user", asked),
            "completion": talk("assistant", [f"answer {n % 100}" for n in range(ROWS)]),
            "group": number.cast(pl.String),
            "signal_ids": number.cast(pl.String).reshape((ROWS, 1)).arr.to_list(),
            "split": pl.Series(["train", "holdout"]).gather((number % 10 == 9).cast(pl.UInt32)),
        }
    )
    named = pl.DataFrame({"example_id": [f"e{n}" for n in range(EXAMPLES)], "input": talk("user", held)})
    examples = pl.concat([pl.DataFrame(schema=SUITE), named.with_columns(expected=pl.lit("x"))], how="diagonal")
    return rows, examples, {str(place) for place in planted}


def timed(what: str, run: Callable[[], T]) -> tuple[float, T]:
    cpu, wall = time.process_time(), time.perf_counter()
    answer = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"\n{what}: {cpu:.1f} CPU s, {wall:.1f} s")
    return cpu, answer


def test_leaks_of_a_million_rows_are_found_within_20_cpu_seconds():
    rows, examples, planted = made()
    cpu, found = timed(f"leaks: {ROWS:,} rows, {EXAMPLES:,} examples", lambda: leaks(rows, examples, KEY))
    leaking = set(rows["row_id"].filter(found.is_not_null()))
    print(found.value_counts(sort=True), f"\nplanted {len(planted):,}, found {len(planted & leaking):,}")
    # A changed letter in a text of fewer than 40 or so is another text.
    assert len(planted & leaking) >= 0.9 * len(planted)
    assert cpu < 20 * max(ROWS, 200_000) / 1_000_000

    clean = rows.filter(found.is_null())
    _, kinds = timed(f"held-out rows that are taught: {clean.height:,} rows", lambda: taught(clean))
    clean = clean.filter(kinds.is_null()).head(PROVED)
    few = examples.head(2_000)
    cpu, left = timed(f"proof: {clean.height:,} rows, {few.height:,} examples", lambda: search(clean, few))
    assert left == []
    assert cpu < 10
    own = as_examples(clean)
    _, left = timed(f"and {own.height:,} rows of their own holdout", lambda: search(clean, few, own=own))
    assert left == []
