"""Which examples are shown by rows that were learned, each kind by a case of its own."""

import polars as pl
import pytest

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import MESSAGES, SUITE
from clworkbench.training_sets.leakage import leaks
from clworkbench.training_sets.shown import shown

KEY = Pseudonyms(b"k" * 32)
ASKED = "Why was I charged twice for the ticket that I bought on Friday?"
LONG = "Because the bank held the money once for the seat and once for the bag."


def said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def learned(
    asked: str = "Where is my parcel, it was to be here on Monday?", *, group: str = "g", signal: str = "s"
) -> pl.DataFrame:
    row = {
        "row_id": "r", "prompt": [said("user", asked)], "completion": [said("assistant", "Soon.")], "group": group,
        "signal_ids": [signal], "split": "train",
    }  # fmt: skip
    return pl.DataFrame([row], schema_overrides={"prompt": MESSAGES, "completion": MESSAGES})


def example(
    asked: str = ASKED, expected: str = "A reservation.", *, group: str = "h", signal: str = "t"
) -> pl.DataFrame:
    row = {
        "example_id": "e",
        "input": [said("user", asked)],
        "expected": expected,
        "group": group,
        "signal_ids": [signal],
    }
    return pl.DataFrame([row], schema=SUITE)


CASES = {
    "leak_exact": (learned(ASKED), example()),
    "leak_normalised": (learned(ASKED.upper()), example()),
    "leak_near_duplicate": (learned(ASKED.replace("Friday", "Sunday")), example()),
    "leak_quoted": (learned(f"My neighbour asked me this: {ASKED} I have no idea at all, and she waits."), example()),
    "leak_group": (learned(group="talk"), example(group="talk")),
}


@pytest.mark.parametrize("kind", CASES)
def test_an_example_that_a_learned_row_shows_is_found_by_its_kind(kind: str):
    rows, examples = CASES[kind]
    assert shown([rows], examples).to_list() == [kind]


def test_a_signal_that_was_learned_is_found():
    assert shown([learned(signal="same")], example(signal="same")).to_list() == ["leak_group"]


def test_an_expected_answer_that_stands_in_a_learned_prompt_is_found():
    rows = learned(f"They told me: {LONG} Is that so?")
    assert shown([rows], example(expected=LONG)).to_list() == ["leak_quoted"]


def test_what_says_something_else_is_free_and_so_is_all_where_nothing_was_learned():
    assert shown([learned()], example()).to_list() == [None]
    assert shown([], example()).to_list() == [None]


@pytest.mark.parametrize("kind", CASES)
def test_what_would_be_dropped_from_a_set_for_an_example_shows_that_example(kind: str):
    rows, examples = CASES[kind]
    assert leaks(rows, examples, KEY).to_list() == [kind]


def test_of_several_sets_the_first_kind_counts():
    assert shown([CASES["leak_group"][0], learned(ASKED)], example(group="talk")).to_list() == ["leak_group"]
