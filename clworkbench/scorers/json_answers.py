"""Scores of answers in JSON (RFC 8259): is it valid, and does a field hold what was expected?"""

import json
from typing import TypeAlias

import polars as pl

from clworkbench.errors import ClwError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class Missing:
    """Stands for a text that is no JSON, or a field that is not there; JSON's own null is None."""


MISSING = Missing()


def is_valid(outputs: pl.Series, _expected: pl.Series) -> pl.Series:
    """1 where the whole output is one JSON value, of any kind; 0 elsewhere. Nothing is expected."""
    return pl.Series("score", [float(parsed(text) is not MISSING) for text in outputs], dtype=pl.Float64)


def field_matches(outputs: pl.Series, expected: pl.Series, path: tuple[str, ...]) -> pl.Series:
    """1 where the output is JSON whose field at `path` equals the expected answer's, or the expected answer itself.

    Values are compared with their types: 1 equals 1.0, but neither "1" nor true; the order of keys does not count.

    Args:
        outputs: what the model wrote.
        expected: a JSON object that has the field, or the field's value, as text or as JSON.
        path: keys, and places in lists, from the outside in.

    Returns:
        Scores; null where nothing is expected, or an object without the field.
    """
    pairs = zip(outputs, expected, strict=True)
    return pl.Series("score", [_score(said, wanted, path) for said, wanted in pairs], dtype=pl.Float64)


def field_gold(expected: pl.Series, path: tuple[str, ...]) -> pl.Series:
    """An output with the expected value at `path`: objects stay as they are, other values are put into one."""
    return pl.Series("gold", [_wrapped(text, path) for text in expected], dtype=pl.String)


def field_path(name: str) -> tuple[str, ...]:
    """The path in a scorer's name: `json_field:a.b` reads field `b` of `a`.

    Raises:
        ClwError: there is none.
    """
    kind, _, after = name.partition(":")
    path = tuple(after.split("."))
    if not all(path):
        raise ClwError(f"scorer {name!r}: after {kind}: stands a field, such as {kind}:intent or {kind}:a.b.")
    return path


def _score(said: str | None, wanted: str | None, path: tuple[str, ...]) -> float | None:
    if wanted is None:
        return None
    answers = acceptable(wanted, path)
    if not answers:
        return None
    value = value_at(parsed(said), path)
    return float(any(same_json(value, answer) for answer in answers))


def acceptable(wanted: str, path: tuple[str, ...]) -> list[Json]:
    """The values at `path` that are right: of an object its own, else the text, and what it is as JSON."""
    value = parsed(wanted)
    if isinstance(value, dict):
        inner = value_at(value, path)
        return [] if isinstance(inner, Missing) else [inner]
    return [wanted] if isinstance(value, Missing) else [wanted, value]


def same_json(value: "Json | Missing", other: "Json | Missing") -> bool:
    """Whether two JSON values are equal with their types (1 and 1.0 are one number); what is missing equals nothing."""
    try:
        if isinstance(value, Missing) or isinstance(other, Missing):
            return False
        return canonical_json(value) == canonical_json(other)
    except RecursionError:
        return False


def canonical_json(value: Json) -> str:
    """The same text for values that are equal with their types."""
    return json.dumps(_whole_numbers(value), sort_keys=True)


def _whole_numbers(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _whole_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _wrapped(text: str | None, path: tuple[str, ...]) -> str | None:
    if text is None or isinstance(parsed(text), dict):
        return text
    value: Json = text
    for key in reversed(path):
        value = {key: value}
    return json.dumps(value)


def value_at(value: "Json | Missing", path: tuple[str, ...]) -> "Json | Missing":
    """What stands at `path` in a JSON value; `MISSING` where nothing does."""
    for key in path:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return value


def parsed(text: str | None) -> "Json | Missing":
    """The JSON value that the whole text is; `MISSING` where it is none (NaN and Infinity are not JSON)."""
    try:
        value: Json = json.loads(text or "", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return MISSING
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
