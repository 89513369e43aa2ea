"""Masking: what differs from case to case goes, what is said stays."""

import polars as pl
import pytest

from clworkbench.similarity.masked import masked, masked_groups


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Order INV-2041 of 3 March 2026 for [PERSON_2]", "order 0 of 0 for [person]"),
        ("paid 1,234.56 on 2026-03-15 at 12:30", "paid 0 on 0 at 0"),
        ("March 3, 2026 was late; you may call 3 times", "0 was late; you may call 0 times"),
        ("write to [EMAIL_1a2b3c4d] or [EMAIL] or a.b@c.org", "write to [email] or [email] or [email]"),
        ("see https://x.y/z?a=1 and www.x.de/b", "see [url] and [url]"),
        ("id 7f9c2ba4-e88f-827d-a0b4-fc1c9b0e8d5e failed", "id 0 failed"),
        ("  Много\t ПРОБЛЕМ № 17 \n", "много проблем № 0"),
        ("مرحبا ١٢٣ 👍🏽", "مرحبا 0 👍🏽"),
        ("[1] see [note] and [CREDIT_CARD_12]", "[0] see [note] and [credit_card]"),
        ("", ""),
        (" \n ", ""),
        (None, None),
    ],
)
def test_numbers_dates_ids_and_marks_are_masked(text: str | None, expected: str | None):
    assert pl.DataFrame({"text": [text]}, schema={"text": pl.String}).select(masked(pl.col("text"))).item() == expected


def test_texts_that_differ_in_numbers_only_have_the_first_as_their_group():
    texts = pl.Series(["order 1 is late", None, "Order 22 is  late", "hello", "", "ORDER 3 is late"])
    assert masked_groups(texts).to_list() == [0, None, 0, 3, None, 0]


@pytest.mark.parametrize("texts", [pl.Series([], dtype=pl.String), pl.Series([], dtype=pl.Null)])
def test_no_texts_have_no_groups(texts: pl.Series):
    assert masked_groups(texts).to_list() == []
