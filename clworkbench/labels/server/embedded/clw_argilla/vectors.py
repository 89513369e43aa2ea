"""Exact nearest neighbours by cosine, over float32 vectors of length 1 that lie in the side file."""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

HELD_BYTES = 256 << 20
"""Vectors that stay in memory, over all settings; larger sets are read from the file block by block."""

BLOCK = 8192
Floats = npt.NDArray[np.float32]
Keys = npt.NDArray[np.int64]


class _Block(NamedTuple):
    keys: Keys
    vectors: Floats


_held: OrderedDict[tuple[str, int], list[_Block]] = OrderedDict()
_lock = threading.Lock()


def packed(vector: Sequence[float]) -> bytes:
    """A vector of length 1 as bytes; one without a direction stays 0."""
    return _unit(vector).tobytes()


def nearest(
    conn: sqlite3.Connection,
    birth: str,
    space: str,
    vector: Sequence[float],
    k: int,
    allowed: Keys | None,
    but: int | None,
) -> list[tuple[int, float]]:
    """The `k` records most like a vector.

    Args:
        conn: the side file.
        birth: which side file it is.
        space: id of the vector settings.
        vector: of the settings' dimensions.
        k: how many at most.
        allowed: sorted keys of the records that may be found; None: all.
        but: key of a record that is left out.

    Returns:
        Keys and scores, best first, equal ones by key. A score is (1 + cosine) / 2: 0 to 1, as Elasticsearch's.
    """
    wanted = _unit(vector)
    keys, scores = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.float32)]
    for block in _blocks(conn, birth, space, len(wanted)):
        keep = np.ones(len(block.keys), dtype=bool) if allowed is None else np.isin(block.keys, allowed)
        if but is not None:
            keep &= block.keys != but
        found, score = block.keys[keep], ((1 + (block.vectors @ wanted)[keep]) / 2).astype(np.float32)
        best = np.lexsort((found, -score))[:k] if len(found) <= 4 * k else _best(found, score, k)
        keys.append(found[best])
        scores.append(score[best])
    key, score = np.concatenate(keys), np.concatenate(scores)
    return [(int(key[i]), float(score[i])) for i in np.lexsort((key, -score))[:k]]


def _best(keys: Keys, scores: Floats, k: int) -> npt.NDArray[np.intp]:
    edge = np.partition(scores, len(scores) - k)[len(scores) - k]
    near = np.nonzero(scores >= edge)[0]
    return near[np.lexsort((keys[near], -scores[near]))[:k]]


def _unit(vector: Sequence[float]) -> Floats:
    given = np.asarray(vector, dtype=np.float64)
    return (given / (np.linalg.norm(given) or 1.0)).astype(np.float32)


def _blocks(conn: sqlite3.Connection, birth: str, space: str, dimensions: int) -> Iterator[_Block]:
    """All vectors of a space, from memory where they are held and still those of the file."""
    row = conn.execute("SELECT edition FROM spaces WHERE space = ?", (space,)).fetchone()
    if row is None:
        return
    name, edition = (f"{birth}/{space}", row[0])
    with _lock:
        blocks = _held.get((name, edition))
        if blocks is not None:
            _held.move_to_end((name, edition))
    if blocks is not None:
        yield from blocks
        return
    read: list[_Block] | None = []
    size = 0
    for block in _read(conn, space, dimensions):
        size += block.vectors.nbytes
        if size > HELD_BYTES:
            read = None
        elif read is not None:
            read.append(block)
        yield block
    if read is not None:
        _hold(name, edition, read)


def _read(conn: sqlite3.Connection, space: str, dimensions: int) -> Iterator[_Block]:
    cursor = conn.execute(f"SELECT key, v FROM vec_{space} WHERE length(v) = ? ORDER BY key", (4 * dimensions,))
    while rows := cursor.fetchmany(BLOCK):
        vectors = np.frombuffer(b"".join(v for _, v in rows), dtype=np.float32).reshape(len(rows), dimensions)
        yield _Block(np.array([key for key, _ in rows], dtype=np.int64), vectors)


def _hold(name: str, edition: int, blocks: list[_Block]) -> None:
    with _lock:
        for older in [held for held in _held if held[0] == name]:
            del _held[older]
        _held[name, edition] = blocks
        while sum(block.vectors.nbytes for held in _held.values() for block in held) > HELD_BYTES:
            _held.popitem(last=False)
