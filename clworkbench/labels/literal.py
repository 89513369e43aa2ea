"""Texts as annotators see them: literally, whatever stands in them, and not longer than Argilla takes."""

import re

MESSAGE = 20_000
"""Characters of a message that Argilla takes, escaped."""

TEXT = 100_000
"""Characters of an answer that are shown."""

_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]")
"""Control characters, those that turn the direction of what follows, and half characters: a page would obey some, and
a database refuse others."""

_WIDE = re.compile("[\U00010000-\U0010ffff]")

_TORN = re.compile(r"&[a-z]{0,3}\Z")


def visible(text: str) -> str:
    """The text with what a page would obey written out: U+202E as ⟨U+202E⟩.

    What annotators mark in it are offsets in this text, in UTF-16 units.
    """
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text.replace("\r\n", "\n").replace("\r", "\n"))


def without_hidden(text: str) -> str:
    """The text without what a page would obey, as a suggestion that is learned from if somebody betters it."""
    return _HIDDEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def escaped(text: str) -> str:
    """The text so that Argilla's pages show it as it is: they put fields into the page as HTML, scripts and all."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def wide_as_entities(shown: str) -> str:
    """An escaped text in which characters beyond U+FFFF are entities: the page shows the same.

    Its spans count such a character twice (UTF-16), and Argilla refuses one that ends beyond the field's length.
    """
    return _WIDE.sub(lambda found: f"&#{ord(found[0])};", shown)


def beginning(text: str, limit: int, whole: str) -> str:
    """The text as fields take it, escaped; of a longer one the beginning, and where the whole stands."""
    shown = escaped(visible(text))
    if len(shown) <= limit:
        return shown
    mark = _mark(len(text), "shown up to here", whole)
    return _TORN.sub("", shown[: limit - len(mark)]) + mark


def both_ends(text: str, limit: int, whole: str) -> str:
    """The same; of a longer one its beginning and, as the question often stands last, its end."""
    shown = escaped(visible(text))
    if len(shown) <= limit:
        return shown
    mark = _mark(len(text), "the middle is left out here", whole)
    tail = limit // 4
    head = _TORN.sub("", shown[: limit - tail - len(mark)])
    return head + mark + re.sub(r"\A[a-z]{0,3};", "", shown[-tail:])


def _mark(n: int, what: str, whole: str) -> str:
    return f"\n[{n:,} characters, {what}; the whole text: interaction {whole}]\n"
