"""Sign flips of paired differences, drawn or enumerated: the differences over random subsets of the examples.

Flipping the signs of `difference - shift` gives a mean at least as great as the seen one just where the flipped
examples' own mean difference is at most the shift. So one set of draws serves every margin, and the interval.
"""

import numpy as np
from numpy.typing import NDArray

ENUMERATED = 13
DRAWS = 9_999
DRAWN = 2_000
"""Up to this many examples flips are drawn; beyond it Student's t says the same to three digits, and sooner."""

Floats = NDArray[np.float64]


def subset_differences(champion: Floats, challenger: Floats, *, relative: bool, seed: int) -> Floats | None:
    """Mean difference, or share of the champion's mean, over subsets of the examples.

    Args:
        champion: one score for each example, higher is better.
        challenger: the same examples in the same order.
        relative: divide by the subset's champion mean.
        seed: of the draws.

    Returns:
        One value for each subset: all 2**n for at most 13 examples, else 9,999 drawn ones and the empty one, which
        is nan, as are subsets without a defined share. None for more than 2,000 examples.

    Source: Hartigan 1969, JASA 64:1303-1317.
    """
    n = len(champion)
    if n > DRAWN:
        return None
    columns = np.column_stack([challenger - champion, champion if relative else np.ones(n)])
    sums = _enumerated(columns) if n <= ENUMERATED else _drawn(columns, seed)
    below = np.abs(sums[:, 1])
    shares: Floats = np.divide(sums[:, 0], below, out=np.full(len(sums), np.nan), where=below > 0)
    return shares


def _enumerated(columns: Floats) -> Floats:
    n = len(columns)
    members = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return members.astype(np.float64) @ columns


def _drawn(columns: Floats, seed: int) -> Floats:
    n, random = len(columns), np.random.default_rng(seed)
    sums = [np.zeros((1, columns.shape[1]))]
    for start in range(0, DRAWS, 1_000):
        rows = min(1_000, DRAWS - start)
        bits = np.frombuffer(random.bytes(rows * ((n + 7) // 8)), dtype=np.uint8).reshape(rows, -1)
        sums.append(np.unpackbits(bits, axis=1, count=n).astype(np.float64) @ columns)
    return np.concatenate(sums)
