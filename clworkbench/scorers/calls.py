"""Scores of tool calls: are the right functions called, with the right arguments?"""

import re

import polars as pl

from clworkbench.scorers.json_answers import Json, Missing, parsed, same_json

Call = tuple[str, "Json | Missing"]
"""A function's name, and its arguments; these are missing where they are text that is no JSON."""

TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
"""How Hermes, Qwen and SmolLM2 write a call into their text."""

FENCED = re.compile(r"```(?:json)?\s*+(.*?)```", re.DOTALL)


def calls_match(outputs: pl.Series, expected: pl.Series) -> pl.Series:
    """1 where the output calls the expected functions with the expected arguments, in any order, and no others.

    A call is `{"name": …, "arguments": {…}}`, or OpenAI's form of it, in which arguments may be JSON as text. Several
    stand in a list. They are read from an output that is JSON, from its `<tool_call>` tags, or from a fenced block.
    Values are compared with their types: 1 equals 1.0, but neither "1" nor true.

    Args:
        outputs: what the model wrote.
        expected: a call or a list of calls in JSON; `[]` where none must be made.

    Returns:
        Scores; null where nothing, or no calls, are expected.
    """
    pairs = zip(outputs.cast(pl.String), expected.cast(pl.String), strict=True)
    return pl.Series("score", [_score(said, wanted) for said, wanted in pairs], dtype=pl.Float64)


def names_match(outputs: pl.Series, expected: pl.Series) -> pl.Series:
    """1 where the right functions are called, whatever their arguments; else as `calls_match`."""
    pairs = zip(outputs.cast(pl.String), expected.cast(pl.String), strict=True)
    scores = [_score(said, wanted, arguments=False) for said, wanted in pairs]
    return pl.Series("score", scores, dtype=pl.Float64)


def _score(said: str | None, wanted: str | None, *, arguments: bool = True) -> float | None:
    expected = None if wanted is None else calls(parsed(wanted))
    if expected is None:
        return None
    made = calls_in(said or "")
    if not arguments:
        made, expected = [(name, {}) for name, _ in made], [(name, {}) for name, _ in expected]
    left = list(made)
    for name, given in expected:
        found = next((at for at, call in enumerate(left) if call[0] == name and same_json(call[1], given)), None)
        if found is None:
            return 0.0
        del left[found]
    return float(not left)


def calls_in(text: str) -> list[Call]:
    """The calls that a model's text makes, by name and arguments; none where it makes none."""
    whole = calls(parsed(text))
    if whole is not None:
        return whole
    parts = TAGGED.findall(text) or FENCED.findall(text)
    return [call for part in parts for call in calls(parsed(part)) or []]


def calls(value: object) -> list[Call] | None:
    """The calls that a JSON value stands for; None where it stands for something else."""
    if isinstance(value, list):
        inner = [calls(item) for item in value]
        return None if None in inner else [call for each in inner for call in each or []]
    if not isinstance(value, dict):
        return None
    call = value.get("function", value)
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return None
    arguments = call.get("arguments", call.get("parameters"))
    if isinstance(arguments, str):
        arguments = parsed(arguments or "{}")
    return [(call["name"], {} if arguments is None else arguments)]
