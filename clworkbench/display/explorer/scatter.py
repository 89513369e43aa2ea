"""The explorer's map as points, drawn by jupyter-scatter, whose lasso says which signals are meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from clworkbench.errors import ClwError, NotebookError

if TYPE_CHECKING:
    import anywidget
    import pandas as pd

COLOURS = {"good": "#2f86c9", "bad": "#d9631e", "pending": "#8a8f98"}
"""By outcome, told apart without red and green; the explorer's own."""

HEIGHT = 420
POINT = 5


@dataclass(frozen=True, eq=False)
class Points:
    """Where signals lie on the map.

    Attributes:
        frame: `interaction_id`, `x`, `y`, and `outcome` (good, bad or pending), one row each.
        of: how many there are in all; `frame` may hold every second, third, … of them.
    """

    frame: pl.DataFrame
    of: int

    @property
    def said(self) -> str:
        """How many of how many are drawn."""
        drawn = self.frame.height
        if drawn == self.of:
            return f"{drawn:,} signals"
        return f"{drawn:,} of {self.of:,} signals, one in {-(-self.of // drawn)}"

    def ids(self, places: Sequence[int]) -> list[str]:
        """The signals of these rows, in their order on the map's frame."""
        return self.frame["interaction_id"].gather(sorted({int(at) for at in places})).to_list()

    def places(self, ids: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
        """The rows of these signals; those that are not drawn have none."""
        asked = pl.Series(list(ids), dtype=pl.String).implode()
        return self.frame["interaction_id"].is_in(asked).arg_true().to_numpy().astype(np.uint32)


def drawn(points: Points) -> "anywidget.AnyWidget":
    """The points as jupyter-scatter's widget, coloured by outcome.

    Raises:
        NotebookError: jupyter-scatter is not installed.
        ClwError: there are none.
    """
    if not points.of:
        raise ClwError("scatter: the filters find no signal that has a place on the map. Take one of them away.")
    try:
        import jscatter
    except ModuleNotFoundError as error:
        raise NotebookError(
            f"the map as points needs {error.name}. Install it: pip install 'clworkbench[map]'. "
            "The explorer's own map, a grid, needs nothing more."
        ) from None
    rows = points.frame.select("x", "y", pl.col("outcome").cast(pl.Enum(list(COLOURS)))).to_pandas()
    chart = jscatter.Scatter(
        data=rows, x="x", y="y", x_scale=_with_margin(rows["x"]), y_scale=_with_margin(rows["y"]), height=HEIGHT
    )
    chart.color(by="outcome", map=COLOURS).size(POINT).axes(labels=[points.said, ""]).legend(legend=True)
    # JupyterLab takes Shift and a drag, which would draw a lasso in the mode that moves the picture, for itself.
    chart.mouse("lasso")
    widget: anywidget.AnyWidget = chart.widget
    return widget


def _with_margin(values: "pd.Series[float]") -> tuple[float, float]:
    """From the least to the greatest value and a bit farther, so that a lasso gets around all points."""
    low, high = float(values.min()), float(values.max())
    margin = (high - low) / 20 or 1.0
    return low - margin, high + margin
