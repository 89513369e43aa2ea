"""Scores of plain text."""

import polars as pl


def exact_match(outputs: pl.Series, expected: pl.Series) -> pl.Series:
    """1 where output and expected answer are the same text but for white space; letters' case counts.

    White space at the ends is left out, and each run of it within counts as one blank. Null where no answer is
    expected; 0 where there is no output.
    """
    said, wanted = _squeezed(outputs), _squeezed(expected)
    return (said == wanted).fill_null(value=False).cast(pl.Float64).set(wanted.is_null(), None).rename("score")


def _squeezed(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.String).str.replace_all(r"\s+", " ").str.strip_chars()
