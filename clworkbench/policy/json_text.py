"""JSON as text: its keys and values with their places, and others put in their stead without touching the rest."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r'"(?P<string>(?:[^"\\]++|\\.)*+)"(?P<colon>\s*:)?|(?P<number>-?[0-9][0-9.eE+-]*)|(?P<open>[{\[])|(?P<close>[}\]])'
)


class Value(NamedTuple):
    """A string or number in JSON text.

    Attributes:
        text: what it says; a number as it is written.
        key: the key it stands under, also through lists; of a key the one that it stands under itself.
        within: the key that the object around it stands under.
        role: whether it is a key, a string or a number.
        start: its first character, the quote of a string.
        end: after its last character.
    """

    text: str
    key: str
    within: str
    role: str
    start: int
    end: int


def is_json(text: str) -> bool:
    """Whether it can be read as JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def values(text: str) -> Iterator[Value]:
    """The keys, strings and numbers of valid JSON, in order."""
    key = ""
    outer: list[str] = []
    for token in _TOKEN.finditer(text):
        if token["open"]:
            outer.append(key)
        elif token["close"]:
            key = outer.pop()
        elif token["number"] is not None:
            yield Value(token["number"], key, outer[-1] if outer else "", "number", *token.span())
        else:
            raw = token["string"]
            said = json.loads(f'"{raw}"') if "\\" in raw else raw
            role = "key" if token["colon"] else "string"
            yield Value(said, key, outer[-1] if outer else "", role, token.start(), token.end("string") + 1)
            if role == "key":
                key = said


def with_values(text: str, new: Iterable[tuple[Value, str]]) -> str:
    """JSON text in which some values, in order, are other strings; every other byte is as it was."""
    done, at = [], 0
    for value, said in new:
        done += [text[at : value.start], json.dumps(said)]
        at = value.end
    return "".join([*done, text[at:]])
