"""How a rollout went: each arm's rate of good outcomes and their difference, with bounds that hold at every look."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clworkbench.releases.rollout_evidence import WATCHED, alpha_of, checked, outcomes
from clworkbench.settings.rollout import RolloutSettings
from clworkbench.statistics.sequential import ConfidenceSequence, difference_sequence, mean_sequence

COURSE = pl.Schema(
    {
        "at": pl.Datetime("us", "UTC"),
        **{
            name: pl.Float64()
            for side in ("champion", "challenger", "difference")
            for name in (side, f"{side}_low", f"{side}_high")
        },
        "n_champion": pl.Int64(),
        "n_challenger": pl.Int64(),
    }
)
"""One row for each look: each arm's rate of good outcomes so far, and the difference, with bounds that hold at all."""


def course(conversations: pl.DataFrame, looks: pl.Series, settings: RolloutSettings) -> pl.DataFrame:
    """What each look showed or would have shown (`COURSE`); the difference's bounds are those that decisions rest on.

    Args:
        conversations: as for `decide`.
        looks: moments, in order.
        settings: `[rollout]`.
    """
    rows = checked(conversations).drop_nulls("outcome").sort("settled_at", "conversation_id")
    counts = _known_by(rows, looks)
    low, high = settings.alpha, alpha_of(WATCHED[0], settings)
    arms, at = outcomes(rows), _at(counts)
    both = difference_sequence(*arms, alpha_low=low, alpha_high=high, after=at) if rows.height else None
    columns = [pl.Series("at", looks), *_columns("difference", both, counts)]
    for arm in ("champion", "challenger"):
        ours = rows.filter(arm=arm)
        counts = _known_by(ours, looks)
        alone = mean_sequence(ours["outcome"].to_numpy(), after=_at(counts)) if ours.height else None
        columns += [*_columns(arm, alone, counts), pl.Series(f"n_{arm}", counts)]
    return pl.DataFrame(columns).select(list(COURSE)).cast(COURSE)


def _known_by(rows: pl.DataFrame, looks: pl.Series) -> NDArray[np.intp]:
    """How many rows had settled at each look."""
    settled = rows["settled_at"].to_physical().to_numpy()
    return np.searchsorted(settled, looks.cast(COURSE["at"]).to_physical().to_numpy(), side="right")


def _at(counts: NDArray[np.intp]) -> NDArray[np.intp]:
    """The last row of each look; the first where there is none yet, and `_columns` shows nothing there."""
    return np.maximum(counts - 1, 0)


def _columns(side: str, found: ConfidenceSequence | None, counts: NDArray[np.intp]) -> list[pl.Series]:
    """The estimate and its bounds; null before there is anything."""
    names = (side, f"{side}_low", f"{side}_high")
    nothing = [np.full(len(counts), np.nan)] * 3
    parts = zip(names, nothing if found is None else found, strict=True)
    return [pl.Series(name, np.where(counts > 0, part, np.nan)).fill_nan(None) for name, part in parts]
