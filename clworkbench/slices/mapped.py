"""A map of signals: where each lies by what was said, how many lie in each cell of a grid, and how they fare."""

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.similarity.plane import Plane, plane
from clworkbench.statistics.intervals import wilson_bounds

MOST_COLUMNS, FEWEST_COLUMNS = 40, 10
IN_A_CELL = 6
"""Signals that a cell would hold if they were spread evenly; of many signals, cells hold more."""

DIGITS = 5
"""Of an edge, behind the point."""

Area = tuple[float, float, float, float]
"""From x up to but without x, from y up to but without y."""

Edges = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Grid:
    """Signals counted by the cells of a map.

    Attributes:
        x: the edges of its columns, one more than there are.
        y: the edges of its rows, from below.
        cells: one row for each cell that holds a signal: `row`, `column`, `n` (settled), `pending`, and `rate` (good),
            `low`, `high` (all 0 to 1, null where nothing is settled).
        placed: how many signals lie on the map.
        unplaced: how many of those that were held do not.
    """

    x: Edges
    y: Edges
    cells: pl.DataFrame
    placed: int
    unplaced: int


class Mapped:
    """Signals on a map that is made once, in a thread of its own, since many texts take a while.

    Args:
        texts: what was said in each signal.
        model: as `similarity.embeddings.embed` takes it.
    """

    def __init__(self, texts: pl.Series, model: str) -> None:
        self.progress: tuple[int, int] = 0, len(texts)
        own = ThreadPoolExecutor(1, "map")
        self._made = own.submit(plane, texts, model, advance=self._advance)
        own.shutdown(wait=False)

    def _advance(self, done: int, of: int, _what: str) -> None:
        self.progress = done, of

    def is_made(self, wait_s: float) -> bool:
        """Whether the map is there, or cannot be, after so many seconds at most."""
        return bool(wait([self._made], wait_s).done)

    def plane(self) -> Plane:
        """Where signals lie; waits for it.

        Raises:
            ModelError: the model is not there or cannot be read.
            ClwError: too little was said.
        """
        return self._made.result()

    def inside(self, area: Area) -> pl.Series:
        """Which signals lie in an area, as Booleans without nulls. Raises as `plane`."""
        return inside(self.plane(), area)

    def grid(self, held: pl.Series, outcome: pl.Series) -> Grid:
        """The cells of the signals that are held, whose edges are the same whichever are. Raises as `plane`."""
        made = self.plane()
        n = (made.x.len() - made.x.null_count()) / IN_A_CELL
        columns = round(max(FEWEST_COLUMNS, min(MOST_COLUMNS, (n * 1.5) ** 0.5)))
        x, y = _edges(made.x, columns), _edges(made.y, round(columns / 1.5))
        shown = held & made.x.is_not_null()
        cells = {"row": _cell(y, made.y.filter(shown)), "column": _cell(x, made.x.filter(shown))}
        part = pl.DataFrame(cells | {"outcome": outcome.filter(shown)})
        return Grid(x, y, _counted(part), part.height, int(held.sum()) - part.height)


def inside(made: Plane, area: Area) -> pl.Series:
    """Which texts of a plane lie in an area, as Booleans without nulls."""
    left, right, low, high = area
    found = (made.x >= left) & (made.x < right) & (made.y >= low) & (made.y < high)
    return found.fill_null(value=False)


def _edges(values: pl.Series, n: int) -> Edges:
    """From the least value to past the greatest, as short numbers, so that an area can be written out."""
    step = 10.0**-DIGITS
    known = values.drop_nulls().to_numpy()
    low, high = np.floor(known.min() / step) * step, (np.floor(known.max() / step) + 1) * step
    return np.unique(np.round(np.linspace(low, max(high, low + n * step), n + 1), DIGITS))


def _cell(edges: Edges, values: pl.Series) -> NDArray[np.int64]:
    return np.searchsorted(edges, values.to_numpy(), side="right") - 1


def _counted(part: pl.DataFrame) -> pl.DataFrame:
    outcome = pl.col("outcome")
    counts = {"n": outcome.count().cast(pl.Int64), "pending": outcome.null_count().cast(pl.Int64)}
    made = part.group_by("row", "column").agg(**counts, rate=outcome.mean()).sort("row", "column")
    low, high = wilson_bounds(pl.col("rate"), pl.col("n"))
    return made.with_columns(low=low, high=high)
