"""What was said in many signals, kept in small letters, so that a text is found in it at once."""

import re
from typing import Final

import polars as pl

BETWEEN: Final = "\x00"
"""Stands between the columns of a signal, so that nothing is found across them."""

MOST_BYTES = 1 << 30
"""Of texts beyond which no copy is kept."""

ODD: Final = (
    "[\u00b5\u0130\u017f\u0345\u0390\u03a3\u03b0\u03c2\u03c3\u03d0\u03d1\u03d5\u03d6\u03f0\u03f1\u03f5\u13a0-\u13fd\u1c80-\u1c88\u1e9b"
    "\u1fbe\u1fd3\u1fe3\uab70-\uabbf\ufb05\ufb06]"
)
"""The letters whose small form is not what a pattern without case takes them for.

A long s is an s to a pattern and stays a long s in small letters; a Greek sigma's small form hangs on its place.
"""


class Wording:
    """Texts of signals in small letters; it finds what `regexp_like(text, …, 'i')` finds, ten times as fast.

    Args:
        signals: the rows.
        columns: of text; nulls say nothing.
    """

    def __init__(self, signals: pl.DataFrame, columns: tuple[str, ...]) -> None:
        self._whole = signals.select(said=pl.concat_str(columns, separator=BETWEEN, ignore_nulls=True))["said"]
        self._odd = self._whole.str.contains(ODD).arg_true()
        self._small = self._whole.str.to_lowercase()
        self._whole = self._whole.gather(self._odd)

    def contains(self, text: str) -> pl.Series | None:
        """In which rows a text stands, in small or capital letters; None where only a pattern can tell."""
        if not text or BETWEEN in text or re.search(ODD, text):
            return None
        found = self._small.str.contains(text.lower(), literal=True)
        if not len(self._odd):
            return found
        return found.scatter(self._odd, self._whole.str.contains(f"(?i){re.escape(text)}"))


def fits(signals: pl.DataFrame, columns: tuple[str, ...]) -> bool:
    """Whether there is memory enough for a copy of the texts."""
    return bool(columns) and sum(int(signals[name].str.len_bytes().sum()) for name in columns) <= MOST_BYTES
