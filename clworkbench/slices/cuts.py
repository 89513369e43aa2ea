"""Columns cut into parts: the part that each row is in, and the expression that selects it."""

import itertools
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench import expressions
from clworkbench.slices.bins import bin_of, edges
from clworkbench.slices.keys import FEW

VALUES = 30
"""Values of a column that are told apart, the most frequent; what is rarer is one part."""

OFTEN = 10
"""Rows that a value has in both windows together, else it is rare."""

DATED = r"^\d{4}-\d\d?-\d\d?([T ]|$)"
LONGEST = 200
FIFTHS = (0.2, 0.4, 0.6, 0.8)

Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cut:
    """A column in parts.

    Attributes:
        codes: the number of each row's part.
        parts: the expression of each part; None where none can say it.
        numbers: the values, NaN for null, where they are to be compared as numbers; else None.
    """

    codes: Codes
    parts: tuple[str | None, ...]
    numbers: NDArray[np.float64] | None = None


def cut(values: pl.Series, sql: str, *, measured: bool = False) -> Cut | str:
    """A column's parts, or why it has none.

    Numbers with more than twelve values are cut into fifths, other columns by value; null is a part of its own.

    Args:
        values: of both windows.
        sql: the column's name as an expression writes it.
        measured: whether few different numbers are compared as numbers, too, and not by value.
    """
    dtype = values.dtype
    if dtype.is_float() or dtype.is_decimal():
        values = values.cast(pl.Float64)
        values = values.set(values.is_finite().not_().fill_null(value=False), None)
    if values.null_count() == len(values):
        return "empty in every row"
    if values.n_unique() == 1:
        return "the same in every row"
    if dtype == pl.Boolean:
        flags = values.cast(pl.Int64).fill_null(2).to_numpy()
        return Cut(flags, (f"{sql} = false", f"{sql} = true", f"{sql} is null"))
    if dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum):
        return _by_value(values.cast(pl.String), sql)
    if dtype.is_numeric():
        return _of_numbers(values, sql, measured=measured)
    return f"holds {dtype}, which is not compared"


def _by_value(values: pl.Series, sql: str) -> Cut | str:
    """Code 0 is null, 1 whatever is rarer or too long, 2 and on the frequent values."""
    counts = values.drop_nulls().value_counts(name="n").sort(["n", values.name], descending=[True, False])
    often = counts.filter(pl.col("n") >= OFTEN)[values.name].head(VALUES).to_list()
    kept = [text for text in often if len(text) <= LONGEST]
    if kept and pl.Series(kept).str.contains(DATED).all():
        return "holds dates, which always move on"
    if not kept and not values.null_count():
        return f"no value occurs {OFTEN} times: it is an id, or a text"
    codes = values.replace_strict(kept, range(2, 2 + len(kept)), default=1, return_dtype=pl.Int64)
    codes = codes.set(values.is_null(), 0)
    texts = [expressions.text_in_sql(text) for text in kept]
    rarer = f"{sql} not in ({', '.join(texts)})" if texts else f"{sql} is not null"
    other = rarer if len(rarer) < expressions.MAX_LENGTH // 4 else None
    return Cut(codes.to_numpy(), (f"{sql} is null", other, *(f"{sql} = {text}" for text in texts)))


def _of_numbers(values: pl.Series, sql: str, *, measured: bool) -> Cut:
    """Code 0 is null, then the values, or the fifths of both windows."""
    known = values.drop_nulls().unique().sort().to_list()
    few = len(known) <= FEW
    # Where nearly all are the least value, no fifth begins above it: then all others are one part.
    at = known[1:] if few else edges(values, FIFTHS) or known[1:2]
    if not at:
        return Cut(values.is_null().cast(pl.Int64).to_numpy(), (f"{sql} is not null", f"{sql} is null"))
    binned = values.to_frame("value").select(bin_of(pl.col("value"), at).cast(pl.Int64) + 1)["value"]
    words = [f"{sql} = {value!r}" for value in known] if few else _ranges(sql, at)
    numbers = None if few and not measured else values.cast(pl.Float64).to_numpy()
    return Cut(binned.fill_null(0).to_numpy(), (f"{sql} is null", *words), numbers)


def _ranges(sql: str, at: list[float]) -> list[str]:
    between = [f"{sql} >= {low!r} and {sql} < {high!r}" for low, high in itertools.pairwise(at)]
    return [f"{sql} < {at[0]!r}", *between, f"{sql} >= {at[-1]!r}"]
