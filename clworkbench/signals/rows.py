"""Rows in the making: what one chunk of a source says, gathered record by record and turned into frames."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import FEEDBACK, INTERACTIONS, MESSAGES, QUARANTINE, TimestampUtc
from clworkbench.settings import Source
from clworkbench.signals.message_columns import MessageColumn
from clworkbench.signals.values import Unreadable, encoded

IDENTITIES = frozenset(
    {
        *("user", "user_id", "userid", "user.id", "user.name", "user.full_name", "user.email", "user.hash"),
        *("enduser.id", "enduser.pseudo.id", "end_user", "end_user_id", "safety_identifier", "actor", "actor_id"),
        *("userId", "gen_ai.user", "llm.user", "traceloop.association.properties.user_id"),
        *("langfuse_user_id", "langfuse.user.id"),
    }
)
"""Names under which sources keep who a user is; their values never stay in `attributes`."""

Row = dict[str, object]


def _without_batch(schema: pl.Schema, **more: pl.DataType) -> pl.Schema:
    return pl.Schema({name: dtype for name, dtype in schema.items() if name != "batch_id"} | more)


OF_INTERACTION = _without_batch(INTERACTIONS, record=pl.UInt32())
OF_FEEDBACK = _without_batch(FEEDBACK, record=pl.UInt32())

BY_CONTENT = "a record without an id of its own, known by its content"
"""Noted for each: such records are numbered over the whole file, so that it cannot be read from the middle on."""


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


class Columns:
    """The columns of a table in the making, filled row by row or many rows at once; what is not named is null."""

    def __init__(self, schema: pl.Schema) -> None:
        self._plain: dict[str, list[object]] = {name: [] for name, dtype in schema.items() if dtype != MESSAGES}
        self._messages = {name: MessageColumn() for name, dtype in schema.items() if dtype == MESSAGES}
        self._schema = schema

    def append(self, row: Row) -> None:
        """Adds a row."""
        for name, values in self._plain.items():
            values.append(row.get(name))
        for name, column in self._messages.items():
            column.append(row.get(name))  # type: ignore[arg-type]  # readers put lists of messages there, or nothing

    def extend(self, columns: Mapping[str, Sequence[object]], n: int) -> None:
        """Adds `n` rows, given as columns."""
        nothing = (None,) * n
        for name, values in self._plain.items():
            values.extend(columns.get(name, nothing))
        for name, column in self._messages.items():
            column.extend(columns.get(name, nothing))  # type: ignore[arg-type]

    def frame(self) -> pl.DataFrame:
        """The rows as a frame in the schema's order."""
        return pl.DataFrame(
            [
                self._messages[name].series(name) if dtype == MESSAGES else _series(name, dtype, self._plain[name])
                for name, dtype in self._schema.items()
            ]
        )


def _series(name: str, dtype: pl.DataType, values: Sequence[object]) -> pl.Series:
    if dtype == TimestampUtc:
        return pl.Series(name, values, pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.Series(name, values, dtype)


class Rows:
    """Gathers one chunk after another: each record ends in exactly one `add`, `skip` or `quarantine`.

    Attributes:
        source: the source that is read, its name part of every id.
        pseudonyms: makes ids and user keys.
        memory: what a format remembers from one record of the file to the next, under a name of its own.
        growing: the same, forgotten when a chunk ends: what rows that are added later are made of.
    """

    def __init__(self, source: Source, pseudonyms: Pseudonyms, file: str) -> None:
        self.source = source
        self.pseudonyms = pseudonyms
        self.memory: dict[str, object] = {}
        self._file = file
        self._occurrences = Occurrences()
        self._offset, self._length = 0, 0
        self._clear()

    def _clear(self) -> None:
        self.records = 0
        self.growing: dict[str, object] = {}
        self._later: list[tuple[int, Callable[[], Row], tuple[str, str, int, int, str]]] = []
        self._interactions = Columns(OF_INTERACTION)
        self._feedback = Columns(OF_FEEDBACK)
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
        if interaction is not None:
            interaction["source"], interaction["record"] = self.source.name, self.records
            self._interactions.append(interaction)
        for row in feedback:
            row["source"], row["record"] = self.source.name, self.records
            self._feedback.append(row)
        self.records += 1

    def add_many(self, columns: Mapping[str, Sequence[object]], at: Sequence[int], n: int, reason: str) -> None:
        """Ends `n` records at once: those numbered `at` (from 0 on) gave the rows of these columns, in this order.

        The others are left out on purpose, for this reason.
        """
        if at:
            sources, numbers = [self.source.name] * len(at), [self.records + number for number in at]
            self._interactions.extend({**columns, "source": sources, "record": numbers}, len(at))
        if len(at) < n:
            self._skipped[reason] += n - len(at)
        self.records += n

    def add_later(self, make: Callable[[], Row], digest: str) -> None:
        """Ends a record whose row is made when the chunk ends: records that come after it may still add to the row.

        A row that cannot be made then (Unreadable, or nested too deeply) is quarantined under `digest`.
        """
        place = (self.source.name, self._file, self._offset, self._length, digest)
        self._later.append((self.records, make, place))
        self.records += 1

    def _make_later(self) -> None:
        for record, make, place in self._later:
            try:
                row = make()
            except Unreadable as error:
                self._quarantine.append((*place, str(error)))
            except RecursionError:
                self._quarantine.append((*place, "nested too deeply to be read"))
            else:
                row["source"], row["record"] = self.source.name, record
                self._interactions.append(row)

    def keyed(self, value: object) -> object:
        """The value with each user's identity in it, known by the name it stands under, replaced by the user's key."""
        if isinstance(value, dict):
            keyed = value
            for name, inner in value.items():
                if type(inner) is dict or type(inner) is list:
                    keyed = dict(value) if keyed is value else keyed
                    keyed[name] = self.keyed(inner)
            if not IDENTITIES.isdisjoint(value):
                keyed = keyed | {name: self._all_keyed(value[name]) for name in IDENTITIES & value.keys()}
            return keyed
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
        kept = self.keyed({name: value for name, value in left.items() if value or value == 0})
        return encoded(kept) if kept else None

    def occurrence(self, digest: str) -> int:
        """How many records of this content the file had before."""
        self.note(BY_CONTENT, "one")
        return self._occurrences.number(digest)

    def identity(self, own_id: str | None, digest: str) -> str:
        """The interaction id of a record with this own id, or, without one, with this content."""
        if own_id:
            return self.pseudonyms.id(self.source.name, own_id)
        return self.pseudonyms.id(self.source.name, "content", digest, str(self.occurrence(digest)))

    def chunk(self, start: int, stop: int) -> Chunk:
        """The chunk that the records since the last one make."""
        self._make_later()
        chunk = Chunk(
            start,
            stop,
            self._interactions.frame(),
            self._feedback.frame(),
            pl.DataFrame(self._quarantine, schema=_without_batch(QUARANTINE), orient="row"),
            self.records,
            dict(self._skipped),
            [Fidelity(kind, count, example) for kind, (count, example) in self._noted.items()],
        )
        self._clear()
        self._occurrences.fold()
        return chunk
