"""What a slice may be made of: columns as small numbers, and conditions over them as SQL."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench import expressions
from clworkbench.errors import ExpressionError
from clworkbench.slices.bins import bin_of, edges
from clworkbench.slices.keys import FEW, attribute_keys
from clworkbench.slices.words import TEXT, condition

Codes = NDArray[np.uint8]

VALUES = 30
"""Values of a column that have conditions of their own, the most frequent; what is rarer shares one."""

MEMBERS = 10
"""Members of a list, and keys of the attributes, that are looked at."""

KEY_VALUES = 50
LONGEST = 200
"""Characters of a text beyond which it is nobody's category."""

SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
SAMPLE = 10_000


@dataclass(frozen=True, eq=False)
class Attribute:
    """A column in codes, and the conditions that a slice may ask of it.

    Attributes:
        name: of the column, or what was made of it.
        codes: a small number for each row.
        conditions: as SQL.
        selects: a row for each condition, a column for each code: whether it holds.
        wider: two columns: for a range with two ends, the places of the conditions without one of them; else -1.
    """

    name: str
    codes: Codes
    conditions: tuple[str, ...]
    selects: NDArray[np.bool_]
    wider: NDArray[np.intp]

    def rows(self, condition: int) -> NDArray[np.bool_]:
        """In which rows a condition holds."""
        held: NDArray[np.bool_] = self.selects[condition][self.codes]
        return held

    def of(self, rows: NDArray[np.bool_]) -> "Attribute":
        """The same of some rows."""
        return replace(self, codes=self.codes[rows])


def encode(
    frame: pl.DataFrame, by: Sequence[str], *, least: int, words: Sequence[str] | None = None
) -> tuple[list[Attribute], dict[str, str]]:
    """The attributes of a frame, and why columns make none.

    Args:
        frame: the rows.
        by: columns: of texts or Booleans by value (with `IS NULL`, and one condition for all rarer values), of numbers
            by ranges between rounded quantiles, of moments by hour and weekday, of lists of texts by member;
            `attributes.a.b` by value, and `attributes` for its keys with few values, or with a frequent one.
        least: a condition that fewer rows meet, or that all but fewer do, is left out.
        words: what `text` is looked at by, instead of its values.

    Raises:
        ExpressionError: a column is not there.
    """
    found: list[Attribute] = []
    skipped: dict[str, str] = {}
    for name in expanded(frame, by, least=least, skipped=skipped):
        if name not in frame.columns and not name.startswith("attributes."):
            raise ExpressionError(_unknown(name, frame.columns))
        worded = name == TEXT and words is not None
        made = _of_words(frame, words or ()) if worded else _of_column(frame, name, least)
        if isinstance(made, str):
            skipped[name] = made
            continue
        kept = [pruned for attribute in made if (pruned := _pruned(attribute, least)) is not None]
        found += kept
        if not kept:
            skipped[name] = "no condition on it parts the signals"
    return found, skipped


def expanded(
    frame: pl.DataFrame, by: Sequence[str], *, least: int | None = None, skipped: dict[str, str] | None = None
) -> list[str]:
    """The names, each once, `attributes` as those of its keys that have few values.

    Args:
        frame: the rows.
        by: names of columns.
        least: keys of which one value stands in so many rows are taken as well.
        skipped: gets the keys that are left out though they have several values, and why.
    """
    names: dict[str, None] = {}
    for name in by:
        whole = name == "attributes" and frame.schema.get(name) == pl.String
        names |= dict.fromkeys(_keys(frame, least, {} if skipped is None else skipped) if whole else [name])
    return list(names)


def _keys(frame: pl.DataFrame, least: int | None, skipped: dict[str, str]) -> list[str]:
    """Attributes by how often they are there, those of few values first, as a sample spread over the frame has them."""
    step = max(1, frame.height // SAMPLE)
    sample = frame.select("attributes").gather_every(step)
    kept = []
    for name in attribute_keys(sample):
        try:
            values = sample.select(expressions.parse(expressions.name_in_sql(name), ["attributes"])).to_series()
        except ExpressionError:
            continue
        counts = values.drop_nulls().value_counts(name="n")["n"]
        different, most = values.n_unique(), counts.max() or 0
        assert isinstance(most, int)
        if 2 <= different <= KEY_VALUES or (different > 1 and least is not None and most * step >= least):
            kept.append((different > KEY_VALUES, values.null_count(), name))
        elif different > 1:
            skipped[name] = "no value stands in enough signals"
    names = [name for *_, name in sorted(kept)]
    skipped |= dict.fromkeys(names[MEMBERS:], f"only {MEMBERS} attributes are looked at unasked: name it")
    return names[:MEMBERS]


def _unknown(name: str, columns: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, columns, n=1)
    return f"by: no column {name!r} among {list(columns)}.\n{f'Did you mean {close[0]}?' if close else 'Name one.'}"


def _of_column(frame: pl.DataFrame, name: str, least: int) -> list[Attribute] | str:
    """Attributes of a column, or why there are none."""
    try:
        sql = expressions.name_in_sql(name)
        values = frame.select(expressions.parse(sql, frame.columns).alias(name))[name]
    except ExpressionError as error:
        return f"no expression can name it ({str(error).partition(chr(10))[0][:80]})"
    return _read(values, sql, least)


def _of_words(frame: pl.DataFrame, words: Sequence[str]) -> list[Attribute] | str:
    """An attribute for each word: whether the text holds it."""
    if not words:
        return "no word tells bad signals from others"
    sql = {word: condition(word) for word in words}
    held = frame.select(expressions.parse(text, [TEXT]).alias(f"{TEXT}: {word}") for word, text in sql.items())
    codes = [one.fill_null(value=False).cast(pl.UInt8) for one in held]
    return [_made(one.name, one, {text: [1]}, 2) for one, text in zip(codes, sql.values(), strict=True)]


def _read(values: pl.Series, sql: str, least: int) -> list[Attribute] | str:
    dtype = values.dtype
    if values.null_count() == len(values):
        return "empty in every row"
    if dtype == pl.Boolean:
        return [_of_flags(values, sql)]
    if dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum):
        return [_of_values(values.cast(pl.String), sql, least)]
    if dtype.is_integer() or dtype.is_float():
        if dtype.is_float() and values.is_nan().any():
            return "holds NaN: make it null"
        return [_of_numbers(values, sql)]
    if isinstance(dtype, pl.Datetime):
        return _of_moments(values, sql)
    if isinstance(dtype, pl.List) and dtype.inner == pl.String:
        return _of_members(values, sql, least)
    return f"holds {dtype}"


def _of_flags(values: pl.Series, sql: str) -> Attribute:
    codes = values.cast(pl.UInt8).fill_null(2)
    return _made(values.name, codes, {f"{sql} = false": [0], f"{sql} = true": [1], f"{sql} is null": [2]}, 3)


def _of_values(values: pl.Series, sql: str, least: int) -> Attribute:
    """Code 0 is null, 1 whatever is rarer or too long, 2 and on the frequent values."""
    counts = values.drop_nulls().value_counts(name="n").sort(["n", values.name], descending=[True, False])
    often = counts.filter(pl.col("n") >= least)[values.name].head(VALUES).to_list()
    kept = [text for text in often if len(text) <= LONGEST]
    codes = values.replace_strict(kept, range(2, 2 + len(kept)), default=1, return_dtype=pl.UInt8)
    codes = codes.set(values.is_null(), 0)
    texts = [expressions.text_in_sql(text) for text in kept]
    conditions = {f"{sql} = {text}": [code] for code, text in enumerate(texts, start=2)}
    conditions[f"{sql} is null"] = [0]
    rarer = f"{sql} not in ({', '.join(texts)})"
    if texts and len(rarer) < expressions.MAX_LENGTH // 4:
        conditions[rarer] = [1]
    return _made(values.name, codes, conditions, 2 + len(kept))


def _of_numbers(values: pl.Series, sql: str) -> Attribute:
    """Code 0 is null, then the bins; conditions are ranges of neighbouring bins."""
    known = values.drop_nulls().unique().sort()
    at = known.to_list()[1:] if len(known) <= FEW else edges(values, SHARES)
    at = [edge for edge in at if abs(edge) != float("inf")]
    if not at:
        return _made(values.name, values.is_null().cast(pl.UInt8), {f"{sql} is null": [1]}, 2)
    binned = pl.DataFrame([values]).select(bin_of(pl.col(values.name), at) + 1).to_series()
    conditions = {f"{sql} is null": [0]}
    for first in range(len(at) + 1):
        for last in range(first, len(at) + 1):
            if (first, last) != (0, len(at)):
                conditions[_range(sql, at, first, last)] = list(range(first + 1, last + 2))
    made = _made(values.name, binned.cast(pl.UInt8).fill_null(0), conditions, len(at) + 2)
    return replace(made, wider=_wider(made.selects))


def _wider(selects: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each range with two ends, the places of those without one of them."""
    last = selects.shape[1] - 1
    place = {(int(codes[0]), int(codes[-1])): row for row, codes in enumerate(map(np.flatnonzero, selects))}
    wider = np.full((len(selects), 2), -1, dtype=np.intp)
    for (low, high), row in place.items():
        if low > 1 and high < last:
            wider[row] = place[1, high], place[low, last]
    return wider


def _range(sql: str, at: Sequence[float], first: int, last: int) -> str:
    low, high = at[first - 1] if first else None, at[last] if last < len(at) else None
    if low is None:
        return f"{sql} < {high!r}"
    if high is None:
        return f"{sql} >= {low!r}"
    if isinstance(low, int) and high - low == 1:
        return f"{sql} = {low!r}"
    return f"{sql} >= {low!r} and {sql} < {high!r}"


def _of_moments(values: pl.Series, sql: str) -> list[Attribute]:
    """By the hour (alone, in threes, sixes, halves of a day) and the weekday, in the column's own time zone."""
    hour = {f"extract(hour from {sql}) = {h}": [h] for h in range(24)}
    for width in (3, 6, 12):
        for start in range(0, 24, width):
            hour[f"extract(hour from {sql}) between {start} and {start + width - 1}"] = list(
                range(start, start + width)
            )
    day = {f"extract(isodow from {sql}) = {d}": [d] for d in range(1, 8)}
    day |= {f"extract(isodow from {sql}) >= 6": [6, 7], f"extract(isodow from {sql}) < 6": [1, 2, 3, 4, 5]}
    hours, days = values.dt.hour().cast(pl.UInt8).fill_null(24), values.dt.weekday().cast(pl.UInt8).fill_null(0)
    return [_made(f"hour of {values.name}", hours, hour, 25), _made(f"weekday of {values.name}", days, day, 8)]


def _of_members(values: pl.Series, sql: str, least: int) -> list[Attribute]:
    members = values.list.unique().explode().drop_nulls().value_counts(name="n").filter(pl.col("n") >= least)
    often = members.sort(["n", values.name], descending=[True, False])[values.name].head(MEMBERS)
    return [
        _made(
            f"{values.name}: {member}",
            values.list.contains(member).fill_null(value=False).cast(pl.UInt8),
            {f"array_contains({sql}, {expressions.text_in_sql(member)})": [1]},
            2,
        )
        for member in often
        if len(member) <= LONGEST
    ]


def _made(name: str, codes: pl.Series, conditions: dict[str, list[int]], n_codes: int) -> Attribute:
    selects = np.zeros((len(conditions), n_codes), dtype=np.bool_)
    for row, held in enumerate(conditions.values()):
        selects[row, held] = True
    wider = np.full((len(conditions), 2), -1, dtype=np.intp)
    return Attribute(name, codes.to_numpy().astype(np.uint8, copy=False), tuple(conditions), selects, wider)


def _pruned(attribute: Attribute, least: int) -> Attribute | None:
    """Without conditions that too few rows meet, or that too few do not."""
    counts = attribute.selects @ np.bincount(attribute.codes, minlength=attribute.selects.shape[1])
    keep = np.flatnonzero((counts >= least) & (counts <= len(attribute.codes) - least))
    if not len(keep):
        return None
    new = np.full(len(counts) + 1, -1, dtype=np.intp)
    new[keep] = np.arange(len(keep))
    conditions = tuple(attribute.conditions[at] for at in keep)
    return replace(attribute, conditions=conditions, selects=attribute.selects[keep], wider=new[attribute.wider[keep]])
