"""Classification: an output is one label of several; each example is right or wrong, and F1 speaks of the whole set."""

from functools import partial

import polars as pl

from clworkbench.scorers.json_answers import (
    Json,
    Missing,
    acceptable,
    canonical_json,
    field_gold,
    field_matches,
    field_path,
    parsed,
    same_json,
    value_at,
)
from clworkbench.scorers.scorer import Scorer, plain
from clworkbench.scorers.text import normalised, normalised_match

KIND = "classification"


def classification(name: str) -> Scorer:
    """1 where the label is the expected one: the whole output, or the field at a path, as in `classification:intent`.

    A whole output is compared as by `normalised_match`, a field as by `json_field`. `evals.report` adds F1 over all.

    Raises:
        ClwError: no field stands after the colon.
    """
    if name == KIND:
        return plain(name, normalised_match)
    path = field_path(name)
    return plain(name, partial(field_matches, path=path), partial(field_gold, path=path))


def is_classification(name: str) -> bool:
    """Whether a scorer's name is one of a classification, so that F1 can be told."""
    return name.partition(":")[0] == KIND


def labels(name: str, outputs: pl.Series, expected: pl.Series) -> pl.DataFrame:
    """Labels as they are compared: what scores 1 has the expected label, and nothing else has it.

    Returns:
        One row for each pair: `expected`, and `predicted`, null where the output has no label, or one that only looks
        like the expected one ("1" where 1 is expected).
    """
    if name == KIND:
        said, wanted = normalised(outputs), normalised(expected)
        return pl.DataFrame({"expected": wanted, "predicted": said})
    path = field_path(name)
    pairs = [
        _field_labels(said, wanted, path)
        for said, wanted in zip(outputs.cast(pl.String), expected.cast(pl.String), strict=True)
    ]
    return pl.DataFrame(pairs, schema={"expected": pl.String, "predicted": pl.String}, orient="row")


def _field_labels(output: str | None, expected: str | None, path: tuple[str, ...]) -> tuple[str | None, str | None]:
    answers = [] if expected is None else acceptable(expected, path)
    if not answers:
        return None, None
    value, wanted = value_at(parsed(output), path), _label(answers[-1])
    if any(same_json(value, answer) for answer in answers):
        return wanted, wanted
    said = _label(value)
    return wanted, None if said == wanted else said


def _label(value: "Json | Missing") -> str | None:
    """As text that can be stored: a text may hold half a surrogate pair, which no table takes."""
    try:
        text = None if isinstance(value, Missing) else value if isinstance(value, str) else canonical_json(value)
    except RecursionError:
        return None
    return None if text is None else text.encode("utf-8", "replace").decode()
