"""Invented personal data planted into one's own texts, so that a miss can be seen."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import NamedTuple

import polars as pl

from clworkbench.policy import invented
from clworkbench.policy.invented import Make


class Planted(NamedTuple):
    """Texts with one value in each, and where it stands.

    `spans` has one row for each text: `row` (in `texts`), `kind`, `spelling`, `start`, `end` (characters), `value`.
    """

    texts: pl.Series
    spans: pl.DataFrame


SPANS = pl.Schema(
    {
        "row": pl.UInt32(), "kind": pl.String(), "spelling": pl.String(),
        "start": pl.Int64(), "end": pl.Int64(), "value": pl.String(),
    }
)  # fmt: skip


def _phones() -> dict[str, Make]:
    return {
        f"{country}: {template}": partial(invented.filled, template)
        for country, templates in invented.PHONES.items()
        for template in templates
    }


SPELLINGS: Mapping[str, Mapping[str, Make]] = {
    "EMAIL": invented.ADDRESSES,
    "PHONE": _phones(),
    "CARD": invented.CARDS,
    "IBAN": invented.IBANS,
    "IP": invented.IPS,
    "SECRET": {**invented.KEYS, **invented.URLS},
    "SSN": invented.SOCIALS,
    "NATIONAL_ID": invented.NATIONAL_IDS,
    "PERSON": invented.PEOPLE,
    "LOCATION": invented.PLACES,
    "LOOKALIKE": invented.LOOKALIKES,
}
"""By kind, the ways in which its values are written."""

_IN_ROWS = ("7,{},9", "Ann;{};x", "{twin}, {}", "{} and {twin}")
"""Rows of a table, and lists of two values, of which one is labelled."""

_BESIDE: Mapping[str, Sequence[str]] = {
    "EMAIL": ("My e-mail is {}.", "Please write to {} instead.", "<{}>", "Contact: {}", *_IN_ROWS),
    "PHONE": (
        *("You can call me on {}.", "Phone: {}", "My number is {}, after six please.", "Tel. {}", "{}"),
        *("7,{},9", "Phone;{};x", "Tel. {} or {twin}", "Phone: {twin}, {}"),
    ),
    "CARD": ("The card is {}.", "I paid with {} yesterday.", "Card number: {}", "{}", *_IN_ROWS),
    "IBAN": ("Please refund it to {}.", "IBAN: {}", "My account is {}, thanks.", "{}", *_IN_ROWS),
    "IP": ("It was blocked from {}.", "Client address {}", "Connection from {} was refused.", "[{}]", *_IN_ROWS),
    "SECRET": ("I use {} for that.", "We connect with {}", "Is {} still right?", "{}"),
    "SSN": ("My social security number is {}.", "SSN: {}", "SSN {} as on the form.", "SSN,{},9"),
    "NATIONAL_ID": ("My id number is {}.", "ID: {}", "It is {}, as on my papers.", "{}", *_IN_ROWS),
    "PERSON": ("My name is {}.", "I spoke to {} last week.", "Regards, {}", "Ask for {} at the desk."),
    "LOCATION": ("I live in {}.", "It was sent to {} by mistake.", "We moved from {} in May."),
    "LOOKALIKE": ("It says {}.", "See {} for that.", "The reference is {}.", "{}", *_IN_ROWS),
}
"""What stands around a planted value, perhaps its `{twin}`, another one in the same spelling.

`{}` alone stands by itself between two sentences.
"""

BY_ITS_WORD: Mapping[str, str] = {
    "Canada": "SIN",
    "Germany, tax": "Steuer-ID",
    "Netherlands": "BSN",
    "Poland": "PESEL",
    "United Kingdom, health": "NHS number",
}
"""National ids that are bare digits: nobody could tell them from other numbers without the word that is given here."""
_WITH_WORD = ("My {word} is {{}}.", "{word}: {{}}", "It is {word} {{}}, as on my papers.", "{word},{{}},x")

_PASSWORD = re.compile(r"(?<=:)[^:/@]+(?=@)")
"""What is personal in an address on the web."""
_BOUNDARY = re.compile(r"(?<=[^\W\d][.!?])\s+(?=\w)|\n+")


def plant(texts: pl.Series, seed: int, kinds: Sequence[str]) -> Planted:
    """Put one invented value into each text, at its end or between two of its sentences.

    Kinds take turns, and within a kind its spellings; the same texts and seed give the same values.

    Args:
        texts: strings; a null stays null and is given nothing.
        seed: for what is drawn.
        kinds: of `SPELLINGS`.
    """
    rng = Random(seed)
    turns = {kind: _turns(list(SPELLINGS[kind]), rng) for kind in kinds}
    done: list[str | None] = []
    spans: list[tuple[int, str, str, int, int, str]] = []
    for row, text in enumerate(texts):
        if text is None:
            done.append(None)
            continue
        kind = kinds[len(spans) % len(kinds)]
        spelling = next(turns[kind])
        value = SPELLINGS[kind][spelling](rng)
        around = _words(kind, spelling, rng)
        if "{twin}" in around:
            around = around.replace("{twin}", SPELLINGS[kind][spelling](rng))
        before, after = around.split("{}")
        at = _place(text, rng)
        head, tail = _joined(text[:at], text[at:], before, after)
        done.append(head + value + tail)
        hidden = _PASSWORD.search(value) if "://" in value else None
        start, end = hidden.span() if hidden else (0, len(value))
        spans.append((row, kind, spelling, len(head) + start, len(head) + end, value[start:end]))
    return Planted(pl.Series(texts.name, done, pl.String), pl.DataFrame(spans, schema=SPANS, orient="row"))


def _turns(names: list[str], rng: Random) -> Iterator[str]:
    while True:
        rng.shuffle(names)
        yield from names


def _words(kind: str, spelling: str, rng: Random) -> str:
    if kind == "NATIONAL_ID" and spelling in BY_ITS_WORD:
        return rng.choice(_WITH_WORD).format(word=BY_ITS_WORD[spelling])
    return rng.choice(_BESIDE[kind])


def _place(text: str, rng: Random) -> int:
    """Where a sentence begins, or the text's end."""
    return rng.choice([*(match.end() for match in _BOUNDARY.finditer(text)), len(text)])


def _joined(head: str, tail: str, before: str, after: str) -> tuple[str, str]:
    gap = "" if not head or head[-1].isspace() else " " if head[-1] in ".!?" else "\n"
    rest = "" if not tail or tail[0].isspace() else "\n" if head.endswith("\n") else " "
    return f"{head}{gap}{before}", f"{after}{rest}{tail}"
