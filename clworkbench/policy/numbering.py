"""Marks numbered within a row: what leaves for models and annotators shows who is who, and no random digits."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

import polars as pl

from clworkbench.policy.marks import KEYED, mark
from clworkbench.policy.nested import Plan, change_strings

TEXTS = (
    *("input", "prompt", "output", "completion", "improvement", "chosen", "rejected"),
    *("expected", "value", "comment", "error"),
)
"""Columns whose texts are numbered together, in this order."""

_MARK = re.compile(KEYED)
_Frame = TypeVar("_Frame", pl.DataFrame, pl.Series)


def numbered(texts: _Frame, columns: Sequence[str] = TEXTS) -> _Frame:
    """Rename the marks of each row: the only value of its kind becomes `[EMAIL]`, several `[EMAIL_1]`, `[EMAIL_2]`.

    The numbers go by first appearance, over these columns of a row together, in their order. `[EMAIL_1a2b3c4d] wrote to
    [EMAIL_5e6f7a8b], and [EMAIL_1a2b3c4d] waits` becomes `[EMAIL_1] wrote to [EMAIL_2], and [EMAIL_1] waits`.

    Args:
        texts: a frame, or one column, whose elements are rows of their own.
        columns: those that are numbered, be they strings or lists of messages; those that are not there are passed
            over, and others stay as they are.

    Returns:
        As many rows, in order; the same object where there is no mark.
    """
    if isinstance(texts, pl.Series):
        return numbered(texts.to_frame("value"))["value"].alias(texts.name)
    columns = [name for name in columns if name in texts.columns]
    marked = sorted({row for name in columns for row in _rows_with_marks(texts[name])})
    if not marked:
        return texts
    rows = [_numbered(row) for row in texts[marked].select(columns).iter_rows()]
    new = [pl.Series(name, [row[n] for row in rows], dtype=texts[name].dtype) for n, name in enumerate(columns)]
    place = pl.int_range(texts.height, eager=True, dtype=pl.Int64)
    source = place.clone().scatter(marked, pl.int_range(texts.height, texts.height + len(marked), eager=True))
    return texts.with_columns(
        pl.concat([texts[name], column]).gather(source) for name, column in zip(columns, new, strict=True)
    )


def _rows_with_marks(column: pl.Series) -> set[int]:
    rows: set[int] = set()

    def look(strings: pl.Series, owners: pl.Series) -> pl.Series:
        rows.update(owners.filter(strings.str.contains(KEYED).fill_null(value=False)).to_list())
        return strings

    fields: Plan = {"content": look, "name": look, "parts": look, "tool_calls": {"arguments": look}}
    change_strings(column, look if column.dtype == pl.String else fields)
    return rows


def _numbered(row: tuple[object, ...]) -> tuple[object, ...]:
    names: dict[str, dict[str, None]] = defaultdict(dict)
    for text in _texts(row):
        for keyed in _MARK.findall(text):
            names[_kind(keyed)][keyed] = None
    new = {
        keyed: mark(kind, str(n) if len(marks) > 1 else "")
        for kind, marks in names.items()
        for n, keyed in enumerate(marks, 1)
    }
    return tuple(_renamed(value, new) for value in row)


def _kind(keyed: str) -> str:
    return keyed[1:].rpartition("_")[0]


def _texts(value: object) -> Iterator[str]:
    """The strings of a value, in the order of its lists and fields."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from _texts(element)
    elif isinstance(value, dict):
        for element in value.values():
            yield from _texts(element)


def _renamed(value: object, new: dict[str, str]) -> object:
    if isinstance(value, str):
        return _MARK.sub(lambda m: new[m[0]], value)
    if isinstance(value, list):
        return [_renamed(element, new) for element in value]
    if isinstance(value, dict):
        return {key: _renamed(element, new) for key, element in value.items()}
    return value
