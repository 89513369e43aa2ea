"""Many tests at once: p-values adjusted so that the chance of any false alarm stays at its level."""

from collections.abc import Sequence
from itertools import accumulate


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values (0 to 1) in the order given; rejecting those at or below alpha keeps the family's error.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    order = sorted(range(len(p)), key=p.__getitem__)
    stepped = accumulate(((len(p) - rank) * p[at] for rank, at in enumerate(order)), max)
    adjusted = dict(zip(order, stepped, strict=True))
    return [min(1.0, adjusted[at]) for at in range(len(p))]
