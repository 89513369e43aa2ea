"""What every harness's file is turned into: rows of scores, and what could not be read."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import NamedTuple

import polars as pl

from clworkbench.schemas import SCORES

ROWS = pl.Schema({name: kind for name, kind in SCORES.items() if name not in ("model", "suite", "batch_id")})
"""`schemas.SCORES` but for what the importer is told: which model, on what."""

LEFT_OUT = pl.Schema({"place": pl.String, "reason": pl.String})

MOST_VALUES = 20
"""A field of examples with more values than these makes no slices: it is an id, a text or a number."""

LONGEST_VALUE = 60
"""A field with a longer value makes none either: it is a text, and slices name gates, which stand in reports."""


class HarnessScores(NamedTuple):
    """What a file of another harness holds.

    Attributes:
        rows: `ROWS`, a row for each example, scorer and repetition.
        left_out: a row for each record that is no score: `place`, `reason`.
        model: what the harness calls the model, where it says so.
        suite: what it calls what was measured.
    """

    rows: pl.DataFrame
    left_out: pl.DataFrame
    model: str | None = None
    suite: str | None = None


def gathered(
    rows: Iterable[Mapping[str, object]],
    left_out: Iterable[tuple[str, str]],
    *,
    model: str | None = None,
    suite: str | None = None,
) -> HarnessScores:
    """Rows by field (what is missing is null) and what was left out, as frames."""
    full = [{name: row.get(name) for name in ROWS} for row in rows]
    frame = pl.DataFrame(full, schema=ROWS).with_columns(
        pl.col("slices").fill_null([]), pl.col("repetition").fill_null(0), pl.col("scorer").fill_null("score")
    )
    return HarnessScores(frame, pl.DataFrame(list(left_out), schema=LEFT_OUT, orient="row"), model, suite)


def number(value: object) -> float | None:
    """A score as a number: true is 1; None for what is none, or is not finite."""
    if isinstance(value, bool | int | float):
        try:
            found = float(value)
        except OverflowError:
            return None
        return found if isfinite(found) else None
    return None


def whole(value: object) -> int | None:
    """A count, where it is one that every column of counts holds."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def text(value: object) -> str | None:
    """A text, where it is one that can be written as UTF-8."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def slices(examples: Mapping[str, Mapping[str, object]]) -> dict[str, list[str]]:
    """The slices of examples by their ids, from the fields that sort them: `field=value`, or `field` where it is true.

    A field sorts examples where its values are words of at most `LONGEST_VALUE` characters, truth values or whole
    numbers, some examples share one, and there are not more than `MOST_VALUES`.
    """
    known: dict[str, set[str]] = {}
    for fields in examples.values():
        for field, value in fields.items():
            known.setdefault(field, set()).add(repr(value) if _is_short(field) and _is_short(value) else "")
    most = min(MOST_VALUES, max(1, len(examples) - 1))
    sorting = {field for field, values in known.items() if "" not in values and len(values) <= most}
    return {
        example: [_slice(field, value) for field, value in sorted(fields.items()) if field in sorting and _is_in(value)]
        for example, fields in examples.items()
    }


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_VALUE and value.isprintable()
    return isinstance(value, bool | int)


def _is_in(value: object) -> bool:
    return value is not False and value != ""


def _slice(field: str, value: object) -> str:
    said = field if value is True else f"{field}={value}"
    return said.encode("utf-8", "replace").decode()
