"""Planted values: where they stand, that they are what they claim to be, and that the same seed gives the same."""

import re
from random import Random

import polars as pl
import pytest

from clworkbench.policy import invented
from clworkbench.policy.entities import KINDS
from clworkbench.policy.finding import found
from clworkbench.policy.planted import BY_ITS_WORD, SPELLINGS, plant

TEXTS = pl.Series("text", ["I bought it on Monday. It broke! Can I have my money back?", None, "no", ""] * 60)
EVERY = tuple(SPELLINGS)


def test_spans_say_where_the_values_stand() -> None:
    planted = plant(TEXTS, 7, EVERY)
    assert planted.spans.height == TEXTS.len() - TEXTS.null_count()
    for row, _, _, start, end, value in planted.spans.iter_rows():
        assert planted.texts[row][start:end] == value != ""


def test_a_text_keeps_its_words_in_order_and_a_null_stays_null() -> None:
    planted = plant(TEXTS, 7, EVERY)
    assert planted.texts.is_null().to_list() == TEXTS.is_null().to_list()
    for old, new in zip(TEXTS.drop_nulls(), planted.texts.drop_nulls(), strict=True):
        words = iter(re.findall(r"\w+", new))
        assert all(word in words for word in re.findall(r"\w+", old))
        assert len(new) > len(old)


def test_the_same_seed_gives_the_same_and_another_gives_others() -> None:
    assert plant(TEXTS, 7, EVERY).texts.equals(plant(TEXTS, 7, EVERY).texts)
    assert not plant(TEXTS, 7, EVERY).texts.equals(plant(TEXTS, 8, EVERY).texts)


def test_kinds_and_spellings_take_turns() -> None:
    spans = plant(pl.Series(["Hello."] * 80), 0, ("CARD", "IP")).spans
    assert spans["kind"].value_counts().sort("kind").rows() == [("CARD", 40), ("IP", 40)]
    assert set(spans.group_by("kind", "spelling").len().filter(pl.col("kind") == "CARD")["len"]) == {4}
    assert set(spans.group_by("kind", "spelling").len().filter(pl.col("kind") == "IP")["len"]) == {10}


def test_every_kind_of_the_first_tier_can_be_planted() -> None:
    assert set(KINDS) - {"NAME"} <= set(SPELLINGS)  # a NAME is told by the record, not by its look


@pytest.mark.parametrize("spelling", invented.CARDS)
def test_a_card_has_a_right_check_digit(spelling: str) -> None:
    for seed in range(50):
        digits = [int(d) for d in invented.CARDS[spelling](Random(seed)) if d.isdigit()]
        doubled = [d if n % 2 == 0 else 2 * d - 9 * (d > 4) for n, d in enumerate(reversed(digits))]
        assert sum(doubled) % 10 == 0


@pytest.mark.parametrize("spelling", invented.IBANS)
def test_an_iban_has_right_check_digits(spelling: str) -> None:
    for seed in range(50):
        bare = re.sub(r"\W", "", invented.IBANS[spelling](Random(seed))).upper()
        turned = bare[4:] + bare[:4]
        assert int("".join(str(ord(c) - 55) if c.isalpha() else c for c in turned)) % 97 == 1


@pytest.mark.parametrize("spelling", invented.NATIONAL_IDS)
def test_a_national_id_is_found_by_the_first_tier_which_checks_its_digits_in_its_own_way(spelling: str) -> None:
    ids = [invented.NATIONAL_IDS[spelling](Random(seed)) for seed in range(40)]
    texts = pl.Series([f"{BY_ITS_WORD.get(spelling, 'It is')} {number}" for number in ids])
    finds = {(row, value) for row, kind, _, _, value in found(texts).iter_rows() if kind == "NATIONAL_ID"}
    # A few of them are cards, IBANs or phones to those who look before.
    assert sum((row, number) in finds for row, number in enumerate(ids)) >= 36


def test_a_card_like_number_with_a_wrong_digit_never_fits() -> None:
    make = invented.LOOKALIKES["card with a wrong check digit"]
    for seed in range(100):
        digits = [int(d) for d in make(Random(seed))]
        assert sum(d if n % 2 == 0 else 2 * d - 9 * (d > 4) for n, d in enumerate(reversed(digits))) % 10
