"""Scorers by name: `exact_match`, `function_call`, …, and `json_field:` with a path."""

from collections.abc import Callable
from difflib import get_close_matches

import polars as pl

from clworkbench.errors import ClwError
from clworkbench.scorers.calls import calls_match, names_match
from clworkbench.scorers.json_answers import field_gold, field_matches, is_valid
from clworkbench.scorers.text import contains, exact_match, matches, normalised_match, rouge_l

Scorer = Callable[[pl.Series, pl.Series], pl.Series]
"""From outputs and expected answers to scores: 1 right, 0 wrong (a null output too), null where it cannot grade."""

PLAIN: dict[str, Scorer] = {
    "exact_match": exact_match,
    "normalised_match": normalised_match,
    "contains": contains,
    "regex": matches,
    "rouge_l": rouge_l,
    "valid_json": is_valid,
    "function_call": calls_match,
    "function_name": names_match,
}
FIELD = "json_field:"
PATTERN = "regex"


def scorer(name: str) -> Scorer:
    """The scorer of that name.

    Raises:
        ClwError: there is none.
    """
    if name in PLAIN:
        return PLAIN[name]
    if name.startswith(FIELD):
        path = _path(name)
        return lambda outputs, expected: field_matches(outputs, expected, path)
    known = [*PLAIN, FIELD + "<path>"]
    near = get_close_matches(name.partition(":")[0], [*PLAIN, "json_field"], n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ClwError(f"scorer {name!r}: unknown.{hint} Known are {', '.join(known)}, e.g. json_field:intent.")


def gold_outputs(name: str, expected: pl.Series) -> pl.Series:
    """What a model would write that answers as expected.

    That is `expected`, within an object where only a field's value is given. A scorer that does not give it 1 cannot
    grade that example. Null where nobody can say: a pattern does not tell what it matches.
    """
    if name == PATTERN:
        return pl.Series("gold", [None] * len(expected), dtype=pl.String)
    if name.startswith(FIELD):
        return field_gold(expected, _path(name))
    return expected


def _path(name: str) -> tuple[str, ...]:
    path = tuple(name.removeprefix(FIELD).split("."))
    if not all(path):
        raise ClwError(
            f"scorer {name!r}: after json_field: stands a field, such as json_field:intent or json_field:a.b."
        )
    return path
