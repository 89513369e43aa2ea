"""Whether conversations came to the arms as their chances say; where they did not, a comparison means nothing."""

from math import log

import numpy as np
import polars as pl

from clworkbench.statistics.sequential import log_evidence

ALPHA = 0.001
"""The chance, at most and over all looks, of a false alarm by one of the two looked at."""


def mismatch(rows: pl.DataFrame) -> str | None:
    """What is wrong with the arms' sizes, in words; None where nothing is shown to be.

    Answered conversations show a router that does not draw as it logs, or an arm whose conversations get lost. Settled
    ones show outcomes that are settled sooner, or more often, in one arm.

    Args:
        rows: `rollout_evidence.CONVERSATIONS`.

    Source: Lindon and Malek 2022, NeurIPS 35 (anytime-valid tests of a sample ratio mismatch); here by the mixture of
    `statistics.sequential`, whose steps are (arm - propensity).
    """
    for what, known in (("were answered", rows), ("settled", rows.drop_nulls("settled_at"))):
        arm = (known["arm"] == "challenger").to_numpy()
        steps = arm - known["propensity"].to_numpy()
        excess, variance = np.array([steps.sum()]), np.array([(steps**2).sum()])
        found = max(log_evidence(excess, variance)[0], log_evidence(-excess, variance)[0])
        if found >= log(4 / ALPHA):
            share, asked = float(arm.mean()), float(known["propensity"].to_numpy().mean())
            return (
                f"of {known.height:,} conversations that {what}, {share:.1%} are the challenger's, "
                f"and {asked:.1%} should be: the arms cannot be compared"
            )
    return None
