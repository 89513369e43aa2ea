"""Which arm answers a conversation: drawn once by a keyed hash, and the same at every turn and on every machine."""

from collections.abc import Mapping
from hashlib import blake2b
from itertools import accumulate
from math import isfinite

from clworkbench.errors import EvidenceError

STEPS = 2**53
"""So many places a hash can fall on: as many as a float tells apart."""


def arm_of(conversation: str, weights: Mapping[str, float], salt: bytes) -> str:
    """The model that answers a conversation.

    With two models, a conversation of the one whose weight grows stays with it: who meets the challenger at 5 % still
    does at 25 %. The order in which the models are named does not matter. A conversation that runs while weights
    change keeps the model that it began with only if the caller asks with the weights of its beginning.

    Args:
        conversation: its id.
        weights: by model, 0 or more, of any sum; a share of the conversations in proportion to its weight.
        salt: at most 64 bytes of the rollout's own: another rollout draws others.

    Raises:
        EvidenceError: no model has a weight, one is no number of 0 or more, or their sum is none.
    """
    shares = normal(weights)
    digest = blake2b(conversation.encode("utf-8", "surrogatepass"), key=salt, digest_size=8).digest()
    place = (int.from_bytes(digest) >> 11) / STEPS
    ends = accumulate(shares.values())
    return next((model for model, end in zip(shares, ends, strict=True) if place < end), _last(shares))


def normal(weights: Mapping[str, float]) -> dict[str, float]:
    """The models by name with their shares, which add up to 1: what a row's propensity is.

    Raises:
        EvidenceError: as `arm_of`.
    """
    wrong = [model for model, weight in weights.items() if not (isfinite(weight) and weight >= 0)]
    if wrong:
        raise EvidenceError(f"weights: {wrong[0]} has {weights[wrong[0]]}. Give it 0 or more.")
    total = sum(weights.values())
    if not isfinite(total):
        raise EvidenceError(f"weights: they add up to {total}. Give smaller ones: only their proportions count.")
    if not total > 0:
        raise EvidenceError("weights: no model has a weight, so nothing would answer. Give one at least more than 0.")
    return {model: weights[model] / total for model in sorted(weights)}


def _last(shares: Mapping[str, float]) -> str:
    """Where rounding leaves a gap below 1: the last that has a share."""
    return [model for model, share in shares.items() if share > 0][-1]
