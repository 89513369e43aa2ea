"""What was said, as conditions that a slice may ask: words that bad signals hold more often than others."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench import expressions
from clworkbench.similarity.terms import telling_terms

TEXT = "text"
"""The column of a signal's question, of which words are looked at instead of values."""

WORDS = 10
"""Words that are looked at."""

READ = 20_000
"""Texts of the bad signals, and of the others, that are read for them."""


def telling_words(texts: pl.Series, bad: NDArray[np.bool_]) -> list[str]:
    """Words that tell bad signals from the others, the most telling first.

    They are chosen by how signals ended, so a test of them needs other signals than these.

    Args:
        texts: what was said; nulls say nothing.
        bad: which of them ended badly.
    """
    rows = pl.DataFrame({"text": texts, "bad": bad})
    sides = [rows.filter(pl.col("bad") == side) for side in (True, False)]
    read = pl.concat([side.gather_every(max(1, -(-side.height // READ))) for side in sides])
    terms = telling_terms(read["text"], read["bad"], n=8 * WORDS).filter("group")["term"]
    whole = terms.filter(~terms.str.contains(r" |--")).str.strip_chars("'\u2019-")
    return whole.unique(maintain_order=True).head(WORDS).to_list()


def condition(word: str) -> str:
    """SQL that holds where a text has this word, in small or capital letters."""
    pattern = expressions.text_in_sql(rf"\b{word}\b")
    return f"regexp_like({TEXT}, {pattern}, 'i')"
