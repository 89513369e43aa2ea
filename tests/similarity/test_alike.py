"""Near-duplicates across two lists, held against plain sets of strings."""

import random
import re
from collections import Counter

import polars as pl
import pytest

from clworkbench.similarity.alike import alike

ALL = "card transfer balance charged twice rate today wrong cancel please arrived order where when my the is not"
WORDS = ALL.split(" ")


def said(n: int, seed: int) -> list[str]:
    """Texts of which many differ in a word or two."""
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(3, 14))) for _ in range(n // 2)]
    for text in texts[: n // 2]:
        words = text.split()
        words[draw.randrange(len(words))] = draw.choice([*WORDS, "7", "12", "gone"])
        texts.append(" ".join(words))
    return texts


def runs(text: str) -> set[str]:
    framed = f" {text} ".ljust(5)
    return {framed[i : i + 5] for i in range(len(framed) - 4)}


def like(one: set[str], other: set[str], threshold: float) -> bool:
    return bool(one | other) and len(one & other) / len(one | other) >= threshold


def by_hand(texts: list[str], others: list[str], threshold: float, common: float) -> set[tuple[str, str]]:
    """All pairs that are alike, each against each."""
    held = {text: runs(text) for text in others}
    often = [run for own in held.values() for run in own]
    template = {run for run, n in Counter(often).items() if n >= max(3, int(common * len(held)) + 1)}
    numbers = {text: sorted(re.findall(r"\d+", text)) for text in (*texts, *others)}
    return {
        (text, other)
        for text in set(texts)
        for other, own in held.items()
        if numbers[text] == numbers[other]
        and like(runs(text), own, threshold)
        and like(runs(text) - template, own - template, threshold)
    }


@pytest.mark.parametrize("threshold", [0.5, 0.75, 1.0])
@pytest.mark.parametrize("common", [0.05, 1.0])
def test_every_pair_that_is_alike_is_found_and_no_other(threshold, common):
    texts, others = said(160, 1), said(60, 2)
    others += texts[:5]
    pairs = by_hand(texts, others, threshold, common)
    assert len(pairs) > 4
    marked = alike(pl.Series(texts), pl.Series(others), threshold=threshold, common=common)
    assert marked.to_list() == [text in {one for one, _ in pairs} for text in texts]
    marked = alike(pl.Series(texts), pl.Series(others), threshold=threshold, common=common, mark="others")
    assert marked.to_list() == [text in {other for _, other in pairs} for text in others]


def test_texts_of_one_template_are_told_apart_by_what_is_put_into_it():
    template = (
        "you sort the mail of a large bank into one of twelve queues "
        "and answer with its name only and nothing else at all the mail is {}"
    )
    mails = ["my card was stolen", "please raise my limit", "who changed my address", "the app does not start"]
    others = pl.Series([template.format(mail) for mail in mails])
    texts = pl.Series([template.format(mail) for mail in ["my card was stolen today", "close my cards"]])
    assert alike(texts, others, threshold=0.75, common=1.0).to_list() == [True, True]
    assert alike(texts, others, threshold=0.75, common=0.05).to_list() == [True, False]


def test_other_numbers_make_another_text_in_any_order_of_them():
    others = pl.Series(["please move 20 from account 7 to my savings account"])
    texts = [
        "please move 20 from account 8 to my savings account",
        "please move 7 from account 20 to my savings account",
    ]
    assert alike(pl.Series(texts), others, threshold=0.5, common=1.0).to_list() == [False, True]


def test_null_and_empty_texts_are_like_no_other():
    texts = pl.Series(["", None, "some words of it"], dtype=pl.String)
    assert alike(texts, texts, threshold=0.75, common=0.05).to_list() == [False, False, True]
    assert alike(texts, texts.clear(), threshold=0.75, common=0.05).to_list() == [False, False, False]
    assert alike(texts.clear(), texts, threshold=0.75, common=0.05).to_list() == []
