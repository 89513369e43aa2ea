"""Which rows of a source are there already: 16 bytes for each key, sorted, however many they are."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

Keys = np.ndarray[tuple[int], np.dtype[np.bytes_]]

SHARE = 16
"""New keys are sorted in among all others once they are a sixteenth of them, so that each is moved a few times only."""


def _half(column: str, at: int) -> pl.Expr:
    """Sixteen hex digits of a column, as a number."""
    return pl.col(column).str.slice(at, 16).str.to_integer(base=16, dtype=pl.UInt64)


HALVES: dict[str, Sequence[pl.Expr]] = {
    "interactions": [(_half("interaction_id", at) ^ _half("raw_sha256", at)).alias(str(at)) for at in (0, 16)],
    "feedback": [(_half("feedback_id", at) ^ _half("raw_sha256", at)).alias(str(at)) for at in (0, 16)],
    "quarantine": [_half("sha256", 0).alias("0"), (_half("sha256", 16) ^ pl.col("offset").cast(pl.UInt64)).alias("16")],
}
"""What stands for the key (`schemas.KEYS`) of a row of one source: 128 bits, in two halves.

The parts of a key are cryptographic hashes already, ids with the workspace's key, so that nobody can aim at two rows of
the same bits; by chance that is to be expected once among 10^19 rows.
"""


class KnownRows:
    """The keys of one source's rows that count.

    Attributes:
        source: the source.
        seq: the latest batch whose keys are held; those of all before it are.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.seq = 0
        nothing: Keys = np.empty(0, "S16")
        self._held = dict.fromkeys(HALVES, (nothing, nothing))

    def add(self, table: str, halves: pl.DataFrame) -> None:
        """Takes in keys, as `HALVES` makes them."""
        held, latest = self._held[table]
        latest = _merged(latest, np.sort(_packed(halves)))
        if len(latest) * SHARE > len(held):
            held, latest = _merged(held, latest), latest[:0]
        self._held[table] = (held, latest)

    def add_batch(self, rows: Mapping[str, pl.DataFrame], seq: int) -> None:
        """Takes in the keys of a batch that was committed under the source's lease."""
        for table, frame in rows.items():
            self.add(table, frame.select(HALVES[table]))
        self.seq = seq

    def fresh(self, table: str, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows whose key is not held, in their order; of several with the same key the first."""
        keys, first = np.unique(_packed(rows.select(HALVES[table])), return_index=True)
        for held in self._held[table]:
            new = ~_among(held, keys)
            keys, first = keys[new], first[new]
        return rows if len(first) == rows.height else rows[np.sort(first)]


def _packed(halves: pl.DataFrame) -> Keys:
    packed: Keys = np.ascontiguousarray(halves.to_numpy()).view("S16").ravel()
    return packed


def _merged(keys: Keys, others: Keys) -> Keys:
    return np.insert(keys, np.searchsorted(keys, others), others) if len(keys) else others


def _among(held: Keys, keys: Keys) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of some keys are among those held, which are sorted."""
    if not len(held):
        return np.zeros(len(keys), bool)
    at = np.searchsorted(held, keys).clip(max=len(held) - 1)
    found: np.ndarray[tuple[int], np.dtype[np.bool_]] = held[at] == keys
    return found
