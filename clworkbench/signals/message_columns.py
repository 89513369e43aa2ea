"""Columns of messages in the making: flat lists of texts and of lengths, with no nested objects."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import polars as pl

from clworkbench.signals.messages import Message, ToolCall


class MessageColumn:
    """A column of `schemas.MESSAGES`, filled row by row.

    Flat lists are ten times as fast to turn into a column as nested objects, and cost the garbage collector nothing.
    """

    def __init__(self) -> None:
        self._lengths: list[int | None] = []
        self._fields: list[object] = []

    def append(self, messages: Sequence[Message] | None) -> None:
        """Adds the next row's messages."""
        if messages is None:
            self._lengths.append(None)
            return
        self._lengths.append(len(messages))
        for message in messages:
            self._fields.extend(message)

    def extend(self, rows: Sequence[Sequence[Message] | None]) -> None:
        """Adds the messages of several rows."""
        self._lengths.extend([None if messages is None else len(messages) for messages in rows])
        self._fields.extend(chain.from_iterable(chain.from_iterable(filter(None, rows))))

    def series(self, name: str) -> pl.Series:
        """The column that these rows make."""
        n = len(Message._fields)
        columns = [
            _calls(field, self._fields[at::n])
            if field == "tool_calls"
            else pl.Series(field, self._fields[at::n], pl.String)
            for at, field in enumerate(Message._fields)
        ]
        return _listed(name, self._lengths, pl.DataFrame(columns))


def _calls(name: str, several: Sequence[object]) -> pl.Series:
    """A column of lists of tool calls."""
    lengths = [len(calls) if isinstance(calls, tuple) and calls else None for calls in several]
    flat = [field for calls in several if isinstance(calls, tuple) for call in calls for field in call]
    n = len(ToolCall._fields)
    columns = [pl.Series(field, flat[at::n], pl.String) for at, field in enumerate(ToolCall._fields)]
    return _listed(name, lengths, pl.DataFrame(columns))


def _listed(name: str, lengths: list[int | None], flat: pl.DataFrame) -> pl.Series:
    """A column of lists of structs, out of all their elements one under the other; null where there is no list."""
    import pyarrow as pa

    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(np.fromiter((n or 0 for n in lengths), np.int64, len(lengths)), out=ends[1:])
    is_list = pl.Series([n is not None for n in lengths] + [True])
    offsets = pl.select(pl.when(is_list).then(pl.Series(ends))).to_series().to_arrow()  # pa.array would import pandas
    structs = flat.to_struct().to_arrow(compat_level=pl.CompatLevel.newest())
    return pl.Series(name, pa.LargeListArray.from_arrays(offsets, structs))
