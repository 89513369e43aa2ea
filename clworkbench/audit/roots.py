"""What a table holds, in one hash: over the keys of its rows that count, in order."""

import hashlib
from datetime import datetime
from functools import partial
from typing import NamedTuple

import polars as pl

from clworkbench.schemas import KEYS
from clworkbench.workspace import Workspace, erasing

SEPARATOR = "\x1f"
AT_ONCE = 2_000_000
"""Keys that are sorted in memory at a time."""

BOUNDS = "0123456789abcdef"
"""Keys begin with these, mostly; those that do not stand before or after them."""


class Root(NamedTuple):
    """How many rows of a table count, and the hash over their keys."""

    rows: int
    sha256: str


def root(workspace: Workspace, table: str, as_of: datetime | None = None) -> Root:
    """The rows of a table that count (counted by `as_of`), as one hash.

    SHA-256 over their keys (`schemas.KEYS`), sorted, a line each, parts of a key joined by U+001F and null as nothing.
    """
    place = workspace.folder / "tables" / table
    committed = workspace.catalog.committed(as_of).select("batch_id")
    n = erasing.standing(place, committed).height
    text = [pl.col(name).cast(pl.String).fill_null("") for name in KEYS[table]]
    key = pl.concat_str(text, separator=SEPARATOR).alias("key")
    digest = hashlib.sha256()
    for part in _parts(n, text[0]):
        counting = partial(_keys, committed=committed.lazy(), key=key, part=part)
        for some in erasing.on_disk(place, counting).sort("key").iter_slices(100_000):
            digest.update(("\n".join(some["key"]) + "\n").encode())
    return Root(n, digest.hexdigest())


def _keys(rows: pl.LazyFrame, committed: pl.LazyFrame, key: pl.Expr, part: pl.Expr) -> pl.LazyFrame:
    return rows.filter(part).join(committed, on="batch_id", how="semi").select(key)


def _parts(n: int, first: pl.Expr) -> list[pl.Expr]:
    """Ranges of keys (by their first part), in order, that together are all of them."""
    wanted = min(-(-n // AT_ONCE), len(BOUNDS)) or 1
    bounds = [BOUNDS[part * len(BOUNDS) // wanted] for part in range(1, wanted)]
    ranges = zip([None, *bounds], [*bounds, None], strict=True)
    return [
        (pl.lit(value=True) if low is None else first >= low) & (pl.lit(value=True) if high is None else first < high)
        for low, high in ranges
    ]
