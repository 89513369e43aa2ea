"""Rows in the making: what one chunk of a source says, gathered record by record and turned into frames."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import FEEDBACK, INTERACTIONS, MESSAGES, QUARANTINE, TimestampUtc
from clworkbench.settings import Source
from clworkbench.signals.messages import Message, ToolCall
from clworkbench.signals.values import encoded

IDENTITIES = frozenset(
    {
        *("user", "user_id", "userid", "user.id", "user.name", "user.full_name", "user.email", "user.hash"),
        *("enduser.id", "enduser.pseudo.id", "end_user", "end_user_id", "safety_identifier", "actor", "actor_id"),
        "traceloop.association.properties.user_id",
    }
)
"""Names under which sources keep who a user is; their values never stay in `attributes`."""

Row = dict[str, object]


class Fidelity(NamedTuple):
    """What could not be carried over in full: its kind, how often, and one example (no personal text)."""

    kind: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks here
    example: str


@dataclass(frozen=True)
class Chunk:
    """What one chunk of a file says.

    Attributes:
        start: first byte of the chunk in a file of lines; first row of a table.
        stop: the byte or row after its last.
        interactions: `schemas.INTERACTIONS` without `batch_id`, then `record` (UInt32), the index of the source
            record in the chunk.
        feedback: `schemas.FEEDBACK` without `batch_id`, then `record`.
        quarantine: `schemas.QUARANTINE` without `batch_id`.
        records: all source records, those skipped and quarantined included.
        skipped: records left out on purpose, by reason.
        fidelity: what could not be carried over in full.
    """

    start: int
    stop: int
    interactions: pl.DataFrame
    feedback: pl.DataFrame
    quarantine: pl.DataFrame
    records: int
    skipped: dict[str, int]
    fidelity: list[Fidelity]


class Occurrences:
    """Numbers equal records of a file (0, 1, …) in 8 bytes a record, so that memory stays flat.

    Records count as equal by 64 bits of their hash; a chance collision only leaves a number out.
    """

    def __init__(self) -> None:
        self._older = np.empty(0, np.uint64)
        self._recent: dict[int, int] = {}
        self._repeated: dict[int, int] = {}

    def number(self, digest: str) -> int:
        """How many equal records came before."""
        key = int(digest[:16], 16)
        count = self._recent.get(key)
        if count is None:
            count = self._repeated.get(key, 1 if self._is_older(key) else 0)
        self._recent[key] = count + 1
        return count

    def _is_older(self, key: int) -> bool:
        at = int(np.searchsorted(self._older, np.uint64(key)))
        return at < len(self._older) and int(self._older[at]) == key

    def fold(self) -> None:
        """Packs what the last chunk brought."""
        if self._recent:
            self._repeated.update({key: count for key, count in self._recent.items() if count > 1})
            self._older = np.union1d(self._older, np.fromiter(self._recent, np.uint64, len(self._recent)))
            self._recent = {}


class Rows:
    """Gathers one chunk after another: each record ends in exactly one `add`, `skip` or `quarantine`.

    Attributes:
        source: the source that is read, its name part of every id.
        pseudonyms: makes ids and user keys.
    """

    def __init__(self, source: Source, pseudonyms: Pseudonyms, file: str) -> None:
        self.source = source
        self.pseudonyms = pseudonyms
        self._file = file
        self._occurrences = Occurrences()
        self._offset, self._length = 0, 0
        self._clear()

    def _clear(self) -> None:
        self.records = 0
        self._interactions: list[Row] = []
        self._feedback: list[Row] = []
        self._quarantine: list[tuple[str, str, int, int, str, str]] = []
        self._skipped: Counter[str] = Counter()
        self._noted: dict[str, tuple[int, str]] = {}

    def at(self, offset: int, length: int) -> None:
        """Says where the records that come next stand in the file."""
        self._offset, self._length = offset, length

    def note(self, kind: str, example: str) -> None:
        """Counts something that could not be carried over in full."""
        count, first = self._noted.get(kind, (0, example))
        self._noted[kind] = (count + 1, first)

    def skip(self, reason: str) -> None:
        """Ends a record that is left out on purpose."""
        self._skipped[reason] += 1
        self.records += 1

    def quarantine(self, reason: str, digest: str) -> None:
        """Ends a record that cannot be read; `digest` is the SHA-256 of its bytes."""
        row = (self.source.name, self._file, self._offset, self._length, digest, reason)
        self._quarantine.append(row)
        self.records += 1

    def add(self, interaction: Row | None, feedback: Sequence[Row] = ()) -> None:
        """Ends a record that gave these rows."""
        for row, rows in [(interaction, self._interactions), *((row, self._feedback) for row in feedback)]:
            if row is not None:
                row["source"], row["record"] = self.source.name, self.records
                rows.append(row)
        self.records += 1

    def keyed(self, value: object) -> object:
        """The value with each user's identity in it, known by the name it stands under, replaced by the user's key."""
        if isinstance(value, dict):
            return {
                name: self._all_keyed(inner)
                if name in IDENTITIES
                else (self.keyed(inner) if isinstance(inner, dict | list) else inner)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self.keyed(inner) if isinstance(inner, dict | list) else inner for inner in value]
        return value

    def _all_keyed(self, value: object) -> object:
        if isinstance(value, dict):
            return {name: self._all_keyed(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._all_keyed(inner) for inner in value]
        return value if value is None or isinstance(value, bool) else self.pseudonyms.user(str(value))

    def attributes(self, left: Row) -> str | None:
        """What no column holds, as JSON, without identities; None where nothing is left."""
        kept = {name: value for name, value in left.items() if value not in (None, "", [], {})}
        return encoded(self.keyed(kept)) if kept else None

    def occurrence(self, digest: str) -> int:
        """How many records of this content the file had before."""
        return self._occurrences.number(digest)

    def identity(self, own_id: str | None, digest: str) -> str:
        """The interaction id of a record with this own id, or, without one, with this content."""
        if own_id:
            return self.pseudonyms.id(self.source.name, own_id)
        return self.pseudonyms.id(self.source.name, "content", digest, str(self.occurrence(digest)))

    def chunk(self, start: int, stop: int) -> Chunk:
        """The chunk that the records since the last one make."""
        chunk = Chunk(
            start,
            stop,
            _frame(self._interactions, INTERACTIONS),
            _frame(self._feedback, FEEDBACK),
            pl.DataFrame(self._quarantine, schema=_without_batch(QUARANTINE), orient="row"),
            self.records,
            dict(self._skipped),
            [Fidelity(kind, count, example) for kind, (count, example) in self._noted.items()],
        )
        self._clear()
        self._occurrences.fold()
        return chunk


def _without_batch(schema: pl.Schema) -> pl.Schema:
    return pl.Schema({name: dtype for name, dtype in schema.items() if name != "batch_id"})


def _frame(rows: list[Row], schema: pl.Schema) -> pl.DataFrame:
    columns = [_column(name, dtype, rows) for name, dtype in _without_batch(schema).items()]
    return pl.DataFrame([*columns, _column("record", pl.UInt32(), rows)])


def _column(name: str, dtype: pl.DataType, rows: list[Row]) -> pl.Series:
    values = [row.get(name) for row in rows]
    if dtype == MESSAGES:
        return _message_column(name, values)  # type: ignore[arg-type]
    if dtype == TimestampUtc:
        return pl.Series(name, values, pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.Series(name, values, dtype)


def _message_column(name: str, lists: list[list[Message] | None]) -> pl.Series:
    """Nested columns by way of flat ones and offsets: ten times as fast as from nested Python objects."""
    flat = [message for messages in lists for message in messages or ()]
    columns = [
        _tool_calls([message.tool_calls for message in flat])
        if field == "tool_calls"
        else pl.Series(field, [message[at] for message in flat], pl.String)
        for at, field in enumerate(Message._fields)
    ]
    return _listed(name, lists, pl.DataFrame(columns))


def _tool_calls(calls: list[tuple[ToolCall, ...] | None]) -> pl.Series:
    flat = [call for several in calls if several for call in several]
    columns = [pl.Series(field, [call[at] for call in flat], pl.String) for at, field in enumerate(ToolCall._fields)]
    return _listed("tool_calls", calls, pl.DataFrame(columns))


def _listed(name: str, lists: Sequence[Sequence[object] | None], flat: pl.DataFrame) -> pl.Series:
    """A column of lists of structs, out of all their elements one under the other; null where there is no list."""
    import pyarrow as pa

    lengths = np.fromiter((len(items) if items else 0 for items in lists), np.int64, len(lists))
    missing = np.fromiter((items is None for items in lists), bool, len(lists))
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    offsets = pa.array(ends, pa.int64(), mask=np.append(missing, False))
    structs = flat.to_struct().to_arrow(compat_level=pl.CompatLevel.newest())
    return pl.Series(name, pa.LargeListArray.from_arrays(offsets, structs))
