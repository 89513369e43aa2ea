"""What an entity is: its kind, the cheap pattern without which a text holds none, and how it is found exactly."""

import re
from collections.abc import Callable
from typing import NamedTuple

Find = Callable[[str], list[tuple[int, int]]]

BEFORE = r"(?:^|[^0-9A-Za-z_]|\\[bfnrt]|\\u[0-9A-Fa-f]{4})"
"""Where a word may start; in raw JSON an escape's last letter stands before it."""

DIGITS = BEFORE + r"[0-9](?:[ ()./+\u00a0\u202f\u2010\u2011-]{0,3}[0-9]){6}"
"""Seven digits or more, as phones and most ids have."""

HIDDEN = "[\u00ad\u200b-\u200f\u2060\ufeff\uff10-\uff19\u0660-\u0669\u06f0-\u06f9\u0966-\u096f]"
"""Invisible characters, and digits of other scripts."""
_ZEROS = "\uff10\u0660\u06f0\u0966"
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
SEEN = {chr(ord(zero) + n): str(n) for zero in _ZEROS for n in range(10)} | dict.fromkeys(_INVISIBLE, "-")
"""How they are read, one character for one: a digit as the digit, an invisible one as a separator."""
_NO_DIGIT = re.compile(r"[^0-9]+")
_NOT_ALPHANUMERIC = re.compile(r"[^0-9A-Za-z]+")
_BEGINS = re.compile(r"(?<![0-9A-Za-z])[+(0-9]")
_READ = str.maketrans(SEEN)


def alphanumeric(value: str) -> str:
    """A number's or code's letters and digits, without its separators, in capitals."""
    return _NOT_ALPHANUMERIC.sub("", value if value.isascii() else value.translate(_READ)).upper()


def digits_of(value: str) -> str:
    """A number's digits."""
    return _NO_DIGIT.sub("", value if value.isascii() else value.translate(_READ))


class Entity(NamedTuple):
    """One kind of personal value, and one way to find it.

    Attributes:
        kind: what the mark says, e.g. `EMAIL`; several entities may share one.
        prefilter: cheap and wider than what `find` looks for, in the syntax of Rust's engine (no looking around).
        find: where they stand in a text, as (start, end); linear in the text's length.
        normal: the spelling by which two values are the same.
        in_ids: whether it names somebody in an id as well; what is made of digits alone never does.
        beside: a cheap pattern that must be met near the prefilter's match as well, such as a word.
        reach: characters around a prefilter's match that may belong to the find: its neighbours, a word such as
            `phone`, a long key's rest.
    """

    kind: str
    prefilter: str
    find: Find
    normal: Callable[[str], str] = alphanumeric
    in_ids: bool = False
    beside: str = ""
    reach: int = 64


def matches(pattern: re.Pattern[str], real: Callable[[re.Match[str]], bool] | None = None) -> Find:
    """Finds a pattern's matches that are `real`; where it has a group `value`, only that group."""
    group = "value" if "value" in pattern.groupindex else 0

    def find(text: str) -> list[tuple[int, int]]:
        return [m.span(group) for m in pattern.finditer(text) if real is None or real(m)]

    return find


def matches_in_runs(
    runs: re.Pattern[str],
    pattern: re.Pattern[str],
    real: Callable[[re.Match[str]], bool],
    skip: re.Pattern[str] | None = None,
    too_long: Callable[[re.Match[str]], bool] | None = None,
) -> Find:
    """Finds `pattern` only where a number begins in a run: a run is cheap to find, trying a number everywhere is dear.

    Args:
        runs: starts with a plain set of characters, and holds every match's beginning.
        pattern: what is found; it begins with a digit, a plus or a bracket, and after no digit or letter.
        real: whether a match is one.
        skip: runs that are this and nothing else are passed over.
        too_long: whether a match may hold the next number too; it is then tried up to its last blank or slash.
    """

    def find(text: str) -> list[tuple[int, int]]:
        spans: list[tuple[int, int]] = []
        at = 0
        for run in runs.finditer(text):
            start, end = run.span()
            if skip and skip.fullmatch(text, start, end):
                continue
            for begins in _BEGINS.finditer(text, start, end):
                place = begins.start()
                match = pattern.match(text, place) if place >= at else None
                while match and too_long and too_long(match):
                    gap = max(text.rfind(" ", place, match.end()), text.rfind("/", place, match.end()))
                    match = pattern.match(text, place, gap) if gap > place else None
                if match and real(match):
                    spans.append(match.span())
                    at = match.end()
        return spans

    return find
