"""The next token of each row: the likeliest, or drawn from the row's own source of numbers."""

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from clworkbench.models.torch_setup import import_torch

if TYPE_CHECKING:
    import torch


class Sampling(NamedTuple):
    """How a row's tokens are chosen.

    Attributes:
        draws: one number is drawn from it for each token, so an answer does not depend on what it is batched with.
        temperature: 0 takes the likeliest token.
        top_p: only the likeliest tokens that together have this probability.
    """

    draws: Random
    temperature: float = 0.0
    top_p: float = 1.0


def chosen(logits: "torch.Tensor", rows: Sequence[Sampling]) -> "tuple[torch.Tensor, torch.Tensor]":
    """Each row's next token, and the probability that it had: of all tokens, at the row's temperature.

    Args:
        logits: float32, one row for each of `rows`.
        rows: how each is chosen.
    """
    torch = import_torch()
    best, tokens = logits.max(-1)
    probabilities = (best - logits.logsumexp(-1)).exp().clamp(max=1.0)
    drawn = [place for place, row in enumerate(rows) if row.temperature > 0]
    if drawn:
        places = torch.tensor(drawn, device=logits.device)
        some, theirs = _drawn(logits[places], [rows[place] for place in drawn])
        tokens, probabilities = tokens.index_copy(0, places, some), probabilities.index_copy(0, places, theirs.float())
    return tokens, probabilities


def _drawn(logits: "torch.Tensor", rows: Sequence[Sampling]) -> "tuple[torch.Tensor, torch.Tensor]":
    torch = import_torch()
    temperatures = torch.tensor([[row.temperature] for row in rows], device=logits.device)
    probabilities = (logits / temperatures).double().softmax(-1)
    shares = probabilities
    if any(row.top_p < 1 for row in rows):
        shares = probabilities * _nucleus(probabilities, [row.top_p for row in rows])
    sums = shares.cumsum(-1)
    numbers = torch.tensor([[row.draws.random()] for row in rows], dtype=sums.dtype, device=sums.device)
    tokens = torch.searchsorted(sums, numbers * sums[:, -1:], right=True).clamp(max=sums.shape[-1] - 1)
    return tokens[:, 0], probabilities.gather(-1, tokens)[:, 0]


def _nucleus(probabilities: "torch.Tensor", top_p: Sequence[float]) -> "torch.Tensor":
    """Which tokens stay: the likeliest, until they have `top_p` together; at least one.

    Source: Holtzman, Buys, Du, Forbes, Choi (2020), The Curious Case of Neural Text Degeneration, section 3.1.
    """
    torch = import_torch()
    sorted_, order = probabilities.sort(-1, descending=True)
    limits = torch.tensor(top_p, dtype=sorted_.dtype, device=sorted_.device)[:, None]
    stays = sorted_.cumsum(-1) - sorted_ < limits
    stays[:, 0] = True
    return torch.zeros_like(stays).scatter(-1, order, stays)
