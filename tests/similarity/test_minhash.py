"""Near-duplicates against true Jaccard by brute force in plain Python, and whatever a text may hold."""

import random
import subprocess
import sys
import tracemalloc
from itertools import combinations
from string import ascii_lowercase

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench.errors import ClwError
from clworkbench.similarity.minhash import bands, near_duplicates
from clworkbench.similarity.shingles import jaccard

WORDS = [
    "late",
    "order",
    "refund",
    "camera",
    "opens",
    "account",
    "password",
    "reset",
    "invoice",
    "cancel",
    "phone",
    "lost",
]


def plain_shingles(text: str) -> set[str]:
    framed = f" {text} ".ljust(5)
    return {framed[i : i + 5] for i in range(len(framed) - 4)}


def plain_jaccard(one: str, other: str) -> float:
    a, b = plain_shingles(one), plain_shingles(other)
    return len(a & b) / len(a | b)


def sentences(n: int, seed: int) -> list[str]:
    """Sentences of a small vocabulary, many of them a word away from one before."""
    draw = random.Random(seed)
    texts: list[str] = []
    while len(texts) < n:
        words = [draw.choice(WORDS) for _ in range(12)]
        if texts and draw.random() < 0.6:
            words = draw.choice(texts).split()
            words[draw.randrange(len(words))] = draw.choice(WORDS)
        texts.append(" ".join(words))
    return texts


@given(st.lists(st.text(max_size=30), min_size=2, max_size=8))
@settings(max_examples=60, deadline=None)
def test_jaccard_is_that_of_the_sets_of_five_characters(texts: list[str]):
    pairs = list(combinations(range(len(texts)), 2))
    left, right = (np.array(side) for side in zip(*pairs, strict=True))
    expected = [plain_jaccard(texts[a], texts[b]) for a, b in pairs]
    assert jaccard(pl.Series(texts), left, right) == pytest.approx(expected)


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.95])
def test_every_member_is_as_like_its_example_as_asked_and_no_two_examples_are(threshold: float):
    texts = sentences(250, seed=5)
    found = near_duplicates(pl.Series(texts), threshold=threshold)
    for text, (group, similarity) in zip(texts, found.iter_rows(), strict=True):
        assert similarity == pytest.approx(plain_jaccard(text, texts[group]))
        assert similarity >= threshold
    examples = sorted(set(found["group"]))
    assert 20 < len(examples) < 250
    missed = sum(plain_jaccard(texts[a], texts[b]) >= threshold for a, b in combinations(examples, 2))
    # A pair exactly at the threshold is missed by the bands once in a hundred times.
    assert missed <= 3


def test_groups_are_those_that_a_greedy_walk_over_all_pairs_makes():
    texts = sentences(250, seed=8)
    found = near_duplicates(pl.Series(texts))
    examples: list[str] = []
    for text in dict.fromkeys(texts):
        if not any(plain_jaccard(text, example) >= 0.8 for example in examples):
            examples.append(text)
    # Another order of precedence makes other groups, but about as many.
    assert found["group"].n_unique() == pytest.approx(len(examples), rel=0.1)


def test_the_example_is_what_is_said_most_often():
    often, seldom = "please send me the invoice for my last order", "please send me the invoices for my last order"
    found = near_duplicates(pl.Series([seldom, often, "quite another thing", often, often]))
    assert found["group"].to_list() == [1, 1, 2, 1, 1]


def test_numbers_and_marks_make_no_difference():
    found = near_duplicates(pl.Series(["order 12 of [EMAIL_1] is late", "Order 345 of [EMAIL_9] is late"]))
    assert found.rows() == [(0, 1.0), (0, 1.0)]


def test_what_belongs_together_does_not_hang_on_the_order_of_the_texts():
    texts = sentences(300, seed=2)
    order = random.Random(1).sample(range(300), 300)
    one = near_duplicates(pl.Series(texts))["group"].to_list()
    other = near_duplicates(pl.Series([texts[i] for i in order]))["group"].to_list()
    said = {texts[i]: texts[one[i]] for i in range(300)}
    assert {texts[order[i]]: texts[order[group]] for i, group in enumerate(other)} == said


def test_another_process_finds_the_same_groups():
    code = (
        "import polars as pl; from tests.similarity.test_minhash import sentences\n"
        "from clworkbench.similarity.minhash import near_duplicates\n"
        "print(near_duplicates(pl.Series(sentences(300, 4))).rows())"
    )
    environment = {"PYTHONHASHSEED": "1", "POLARS_MAX_THREADS": "1"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert said.stdout == f"{near_duplicates(pl.Series(sentences(300, 4))).rows()}\n"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], []),
        ([None], [None]),
        (["", None, " "], [None, None, None]),
        (["one"], [0]),
        (["a", "a", "b"], [0, 0, 2]),
        (["👍", "👎🏽", "👍"], [0, 1, 0]),
        (["אבא הלך לחנות לקנות לחם וחלב", "אבא הלך לחנות לקנות לחם וחלב!"], [1, 1]),
    ],
)
def test_few_empty_and_foreign_texts_have_groups(texts: list[str | None], expected: list[int | None]):
    found = near_duplicates(pl.Series(texts, dtype=pl.String))
    assert [None if group is None else min(group, 9) for group in found["group"]] in (expected, [0] * len(expected))


def test_texts_of_a_megabyte_are_compared_in_bounded_memory():
    draw = random.Random(3)
    long = " ".join("".join(draw.choices(ascii_lowercase, k=7)) for _ in range(131_072))
    texts = pl.Series([long, long + " and so on", "short", long[:500_000]])
    tracemalloc.start()
    found = near_duplicates(texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["group"].n_unique() == 3
    assert peak < 400e6


def test_many_that_are_nearly_the_same_cost_no_pair_each():
    draw = random.Random(7)
    stem = "my order has not come and nobody tells me where it is or when it will be here"
    texts = pl.Series([f"{stem} {''.join(draw.choices('abcdefghijklmnop', k=5))}" for _ in range(10_000)])
    found = near_duplicates(texts)
    assert found["group"].n_unique() < 20
    assert found["similarity"].min() >= 0.8


def test_a_threshold_that_means_nothing_is_refused():
    with pytest.raises(ClwError, match=r"not within 0\.5 to 1"):
        near_duplicates(pl.Series(["a"]), threshold=0.3)


def test_pairs_at_the_threshold_meet_in_99_of_100_cases_and_unlike_ones_seldom():
    for n in (10, 1_000, 1_000_000):
        for threshold in (0.5, 0.8, 0.9, 1.0):
            count, rows = bands(n, threshold)
            assert 1 - (1 - threshold**rows) ** count >= 0.99
            assert count * rows <= 300
    count, rows = bands(1_000_000, 0.8)
    assert 5e11 * (1 - (1 - 0.1**rows) ** count) < 2e6
