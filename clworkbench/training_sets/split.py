"""Which rows are held out, and which learned rows are replayed: by keyed hash, so that a row never moves."""

from hashlib import blake2b

import polars as pl

RESOLUTION = 2**32


def uniform(ids: pl.Series, salt: str) -> pl.Series:
    """A number in [0, 1) for each id, the same for the same id and salt. Source: BLAKE2b (RFC 7693)."""
    key = salt.encode()[:64]
    found = {text: _fraction(text, key) for text in ids.unique().to_list()}
    return ids.replace_strict(found, return_dtype=pl.Float64)


def _fraction(text: str, key: bytes) -> float:
    return int.from_bytes(blake2b(text.encode(), digest_size=4, key=key).digest()) / RESOLUTION


def with_split(rows: pl.DataFrame, *, holdout: float, salt: str) -> pl.DataFrame:
    """Adds `split`: `holdout` for that share of the groups, else `train`. A group stands on one side only."""
    if rows.is_empty():
        return rows.with_columns(split=pl.lit(None, dtype=pl.String))
    held = uniform(rows["group"], salt) < holdout
    return rows.with_columns(split=pl.when(held).then(pl.lit("holdout")).otherwise(pl.lit("train")))


def replayed(rows: pl.DataFrame, learned: pl.Series, *, share: float, salt: str) -> pl.DataFrame:
    """Keeps all new rows, and so many learned ones that they are `share` of the set (all, where there are too few).

    Args:
        rows: training rows with `row_id`.
        learned: ids of rows that the champion was trained on.
        share: 0 drops every learned row, 1 keeps them all.
        salt: draws the sample; another salt, another sample.

    Returns:
        The rows kept, in their order, with `replay` (Boolean: learned before).
    """
    marked = rows.with_columns(replay=pl.col("row_id").is_in(learned.implode()))
    old = marked.filter("replay")
    wanted = old.height if share >= 1 else round((marked.height - old.height) * share / (1 - share))
    if wanted >= old.height:
        return marked
    drawn = old.select("row_id", draw=uniform(old["row_id"], salt)).sort("draw", "row_id").head(wanted)["row_id"]
    return marked.filter(~pl.col("replay") | pl.col("row_id").is_in(drawn.implode()))
