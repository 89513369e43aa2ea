"""Texts laid out in a plane: alike ones near each other, as far as two directions can tell."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ClwError
from clworkbench.similarity.embeddings import HASHED, Vectors, embed

MOST = {HASHED: 1_000_000}
MOST_READ = 20_000
"""Different texts that are laid out; a sentence model would take minutes for more."""

AT_ONCE = 50_000
FEWEST = 3


@dataclass(frozen=True, eq=False)
class Plane:
    """Where each text lies.

    Attributes:
        x: along the direction in which the texts differ most; null without a place.
        y: along the next.
        kept: the share of the vectors' variance that the two directions hold (0 to 1).
        model: what made the vectors.
        left_out: texts without a place, since there were more different ones than are laid out.
    """

    x: pl.Series
    y: pl.Series
    kept: float
    model: str
    left_out: int


def plane(texts: pl.Series, model: str = HASHED, *, advance: Advance = silent) -> Plane:
    """Each text's place in the plane of the two main directions of the texts' vectors; equal texts share one.

    The same texts in the same order have the same places. Of more than 1,000,000 different texts (20,000 with a
    sentence model), every second, third, … is laid out.

    Args:
        texts: null and empty ones have no place.
        model: as `embeddings.embed` takes it.
        advance: told how many texts are done.

    Raises:
        ModelError: the model is not there or cannot be read.
        ClwError: there are fewer than three different texts.

    Source: Pearson 1901; Hotelling 1933 (principal components).
    """
    rows = pl.DataFrame({"text": texts.cast(pl.String).str.strip_chars().replace("", None)})
    different = rows["text"].drop_nulls().unique(maintain_order=True)
    if len(different) < FEWEST:
        raise ClwError(f"map: {len(different)} different texts are too few to be laid out. It takes {FEWEST}.")
    read = different.gather_every(-(-len(different) // MOST.get(model, MOST_READ)))
    made = embed(read, model, advance=advance)
    places, kept = _main_directions(made.vectors)
    laid = pl.DataFrame({"text": read, "x": places[:, 0], "y": places[:, 1]})
    found = rows.join(laid, on="text", how="left", maintain_order="left")
    left_out = int(found.select((pl.col("text").is_not_null() & pl.col("x").is_null()).sum()).item())
    return Plane(found["x"], found["y"], kept, made.model, left_out)


def _main_directions(vectors: Vectors) -> tuple[NDArray[np.float64], float]:
    """Each vector's place along the two main directions, and the share of the variance that these hold."""
    parts = [slice(start, start + AT_ONCE) for start in range(0, len(vectors), AT_ONCE)]
    middle = vectors.mean(axis=0, dtype=np.float64)
    spread = np.zeros((len(middle), len(middle)))
    for part in parts:
        off = vectors[part] - middle
        spread += off.T @ off
    lengths, turned = np.linalg.eigh(spread)
    axes = np.zeros((len(middle), 2))
    wanted = turned[:, ::-1][:, :2]
    axes[:, : wanted.shape[1]] = wanted
    # A direction may as well point the other way: its greatest part is positive.
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)
    places = np.empty((len(vectors), 2))
    for part in parts:
        places[part] = (vectors[part] - middle) @ axes
    whole = float(lengths.sum())
    return places, float(lengths[::-1][:2].sum()) / whole if whole > 0 else 0.0
