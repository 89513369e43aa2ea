"""Texts without what differs from case to case: numbers, dates, ids, addresses and the marks of redacted values."""

import polars as pl

MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?"
)

RULES = (
    # `[EMAIL_1]`, `[EMAIL_1a2b3c4d]` and `[EMAIL]` alike; the text is in small letters by then.
    (r"\[([a-z][a-z_]*?)(?:_[0-9][0-9a-f]{0,7}|_[0-9a-f]{8})?\]", "[${1}]"),
    (r"\b(?:https?://|www\.)[^\s<>\"']+", "[url]"),
    (r"[^\s@<>\"'\[\]]+@[^\s@<>\"'\[\]]+\.\p{L}{2,}", "[email]"),
    # What has a digit in it: a number, a price, a date, a time, an order's number, a hash, a UUID.
    (
        r"(?:\p{L}+-)*[\p{L}\p{M}_]*\p{Nd}[\p{L}\p{M}\p{Nd}_]*(?:[.,:/+-]+[\p{L}\p{M}_]*\p{Nd}[\p{L}\p{M}\p{Nd}_]*)*",
        "0",
    ),
    (rf"\b(?:0\s+(?:{MONTHS})\b(?:,?\s+0\b)?|(?:{MONTHS})\s+0\b(?:,?\s+0\b)?)", "0"),
    (r"\s+", " "),
)
"""What is looked for, in this order, and what stands in its place."""


def masked(text: pl.Expr) -> pl.Expr:
    """The text in small letters, blanks made one, with `0` for each number, date or id and `[email]` for an address.

    `Order INV-2041 of 3 March 2026 for [PERSON_2]` becomes `order 0 of 0 for [person]`. Null stays null; a text of
    blanks is empty.
    """
    text = text.str.to_lowercase()
    for pattern, instead in RULES:
        text = text.str.replace_all(pattern, instead)
    return text.str.strip_chars()


def masked_groups(texts: pl.Series) -> pl.Series:
    """For each text the row of the first that is the same once both are masked; null for null and for empty ones."""
    rows = pl.DataFrame({"text": texts.cast(pl.String)}).select(masked(pl.col("text")).alias("text")).with_row_index()
    first = pl.when(pl.col("text").str.len_bytes() > 0).then(pl.col("index").first().over("text"))
    return rows.select(first.cast(pl.Int64).alias("group"))["group"]
