"""Classification: an output is one label of several; each example is right or wrong, and F1 speaks of the whole set."""

import json
from functools import partial

import polars as pl

from clworkbench.scorers.json_answers import MISSING, Missing, field_gold, field_matches, field_path, parsed, value_at
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
    """Labels as they are compared.

    Returns:
        One row for each pair: `expected`, and `predicted`, null where the output has no label.
    """
    if name == KIND:
        said, wanted = normalised(outputs), normalised(expected)
        return pl.DataFrame({"expected": wanted, "predicted": said})
    path = field_path(name)
    wanted_labels = [_label(text, path, bare=True) for text in expected.cast(pl.String)]
    said_labels = [_label(text, path, bare=False) for text in outputs.cast(pl.String)]
    schema = {"expected": pl.String, "predicted": pl.String}
    return pl.DataFrame({"expected": wanted_labels, "predicted": said_labels}, schema=schema)


def _label(text: str | None, path: tuple[str, ...], *, bare: bool) -> str | None:
    value = parsed(text)
    if bare and text is not None and not isinstance(value, dict):
        return text
    inner = value_at(value, path) if not isinstance(value, Missing) else MISSING
    if isinstance(inner, Missing):
        return None
    return inner if isinstance(inner, str) else json.dumps(inner, sort_keys=True)
