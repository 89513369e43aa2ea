"""What rates stand by: columns as they are, numbers in bins, attributes out of the JSON, and time by its period."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal

import polars as pl
from polars.exceptions import PolarsError

from clworkbench import expressions
from clworkbench.errors import ExpressionError
from clworkbench.slices.bins import bin_of, bin_words, edges

Every = Literal["hour", "day", "week", "month"]
PERIODS: dict[str, str] = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo"}

MOST = 3
"""Columns that rates may stand by at once, time beside them."""

MOST_VALUES = 1000
"""A column with more different values is no grouping: it is an id, or a text."""

FEW = 12
"""Numbers with so few different values stand for themselves."""

DEEPEST = 4
"""Steps into the attributes that a name takes at most."""

INSIDE = "attributes."
FIFTHS = (0.2, 0.4, 0.6, 0.8)


def keys(signals: pl.DataFrame, by: Sequence[str], *, every: Every | None = None) -> pl.DataFrame:
    """The columns by which rates are told, one row for each signal.

    Args:
        signals: with `started_at`, where time is asked for.
        by: up to three names of columns, or of attributes: `attributes.tenant.id`.
        every: also the hour, day, week (from Monday) or month in which a signal began, in UTC; named for it, first.

    Returns:
        The period and `by`, in order: texts and whole categories as they are; numbers with more than twelve values as
        fifths in words, in order; of a list, its members (one list a row).

    Raises:
        ExpressionError: a column is not there, or makes no groups.
    """
    if len(by) > MOST:
        raise ExpressionError(f"by: {len(by)} columns. Rates stand by at most {MOST}, and time beside them.")
    if twice := [name for name in by if list(by).count(name) > 1]:
        raise ExpressionError(f"by: {twice[0]!r} stands twice. Name each column once.")
    period = [] if every is None else [_period(signals, every)]
    return pl.DataFrame([*period, *(_key(signals, name) for name in by)])


def attribute_keys(signals: pl.DataFrame) -> list[str]:
    """The names `attributes.…` that the first ten thousand rows with attributes hold, nested ones by their path."""
    if signals.schema.get("attributes") != pl.String:
        return []
    rows = signals["attributes"].drop_nulls().unique(maintain_order=True).head(10_000)
    found: dict[str, None] = {}
    for text in rows:
        for path in _paths(text):
            found[INSIDE + path] = None
    return list(found)


def _paths(text: str) -> list[str]:
    import msgspec

    try:
        decoded = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return []

    def walk(value: object, depth: int) -> list[str]:
        if not isinstance(value, dict) or depth == 0:
            return []
        paths = []
        for key, inner in value.items():
            if isinstance(inner, dict) and "." not in key:
                paths += [f"{key}.{rest}" for rest in walk(inner, depth - 1)]
            elif not isinstance(inner, dict) and ("." not in key or value is decoded):
                paths.append(key)
        return paths

    return walk(decoded, DEEPEST)


def _period(signals: pl.DataFrame, every: Every) -> pl.Series:
    if every not in PERIODS:
        raise ExpressionError(f"every: {every!r} is no period. There are {', '.join(PERIODS)}.")
    if "started_at" not in signals.columns:
        raise ExpressionError(f"every: no column 'started_at' among {signals.columns}. Only dated rows have a {every}.")
    moment = pl.col("started_at")
    if getattr(signals.schema["started_at"], "time_zone", None) is not None:
        moment = moment.dt.convert_time_zone("UTC")
    return signals.select(moment.dt.truncate(PERIODS[every]).alias(every))[every]


def _key(signals: pl.DataFrame, name: str) -> pl.Series:
    values = _values(signals, name)
    dtype = values.dtype
    if isinstance(dtype, pl.List):
        if dtype.inner != pl.String:
            raise ExpressionError(f"by: {name!r} holds {dtype}, which makes no groups. Write a slice about it instead.")
        return values.list.unique(maintain_order=True)
    if isinstance(dtype, pl.Struct | pl.Array) or dtype in (pl.Object, pl.Binary):
        raise ExpressionError(f"by: {name!r} holds {dtype}, which makes no groups. Name a column of texts or numbers.")
    if dtype.is_numeric():
        return _in_bins(values.cast(pl.Float64) if dtype.is_decimal() else values)
    if (n := values.n_unique()) > MOST_VALUES:
        way = "Use every= (--every day)" if dtype.is_temporal() else "Write slices about it in [slices]"
        raise ExpressionError(f"by: {name!r} has {n:,} different values in {len(values):,} rows. {way} instead.")
    return values


def _values(signals: pl.DataFrame, name: str) -> pl.Series:
    if name in signals.columns:
        return signals[name]
    if name.startswith(INSIDE) and "attributes" in signals.columns:
        return _attribute(signals, name)
    known = [*signals.columns, *(attribute_keys(signals) if name.startswith("attr") else ())]
    raise ExpressionError(f"by: no column {name!r} among {signals.columns}.{_nearest(name, known)}")


def _attribute(signals: pl.DataFrame, name: str) -> pl.Series:
    try:
        found = signals.select(expressions.parse(expressions.name_in_sql(name), signals.columns).alias(name))[name]
    except PolarsError as error:
        said = str(error).partition("\n")[0].partition(":")[0]
        raise ExpressionError(f"by: {name!r} cannot be read out of `attributes`: {said}. Name another.") from None
    if found.null_count() < len(found) or not len(found):
        return found
    known = attribute_keys(signals)
    raise ExpressionError(f"by: no signal has {name!r} among its attributes.{_nearest(name, known)}")


def _nearest(name: str, known: Sequence[str]) -> str:
    by_path = {key.removeprefix(INSIDE): key for key in known}
    close = get_close_matches(name.removeprefix(INSIDE), by_path, n=1)
    if close:
        return f"\nDid you mean {by_path[close[0]]}?"
    attributes = [key for key in known if key.startswith(INSIDE)]
    return f"\nThere: {', '.join(attributes[:12])}." if attributes else "\nName one of these."


def _in_bins(values: pl.Series) -> pl.Series:
    """Numbers as they are where they are few, else the fifth that each stands in, in words and in order."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
    if values.n_unique() <= FEW + 1:
        return values
    at = edges(values, FIFTHS)
    if not at:
        return values
    words = bin_words(at)
    found = pl.DataFrame([values]).select(bin_of(pl.col(values.name), at).cast(pl.UInt32))
    return found.to_series().replace_strict(dict(enumerate(words)), return_dtype=pl.Enum(words))
