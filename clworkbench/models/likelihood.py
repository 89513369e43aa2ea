"""How likely a model finds given answers: no answer is generated, so that it costs one pass over each row."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from clworkbench.models.load import Loaded
from clworkbench.models.torch_setup import import_torch

if TYPE_CHECKING:
    import torch

BATCH_TOKENS = 2_048
"""Padded tokens in a batch: their logits are kept for a moment, and there is one for each word of the vocabulary."""


class Answered(NamedTuple):
    """A prompt's tokens, and those of an answer to it."""

    prompt: Sequence[int]
    answer: Sequence[int]


def answer_log_probs(loaded: Loaded, answered: Sequence[Answered]) -> pl.DataFrame:
    """The log-probability of each answer after its prompt.

    Args:
        loaded: the model.
        answered: tokens of the model's own tokenizer, as its chat template renders the messages.

    Returns:
        One row for each, in order: `log_prob` (nats, the sum over the answer's tokens; null where it has none, or where
        prompt and answer exceed the model's context) and `n_tokens` (of the answer).
    """
    context = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    found: list[float | None] = [None] * len(answered)
    lengths = [len(each.prompt) + len(each.answer) for each in answered]
    fits = [
        place
        for place, each in enumerate(answered)
        if each.prompt and each.answer and (context is None or lengths[place] <= context)
    ]
    for places in _batches(sorted(fits, key=lambda place: lengths[place]), lengths):
        for place, value in zip(places, _log_probs(loaded, [answered[place] for place in places]), strict=True):
            found[place] = value
    schema = {"log_prob": pl.Float64, "n_tokens": pl.Int64}
    return pl.DataFrame({"log_prob": found, "n_tokens": [len(each.answer) for each in answered]}, schema=schema)


def _batches(shortest_first: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    for place in shortest_first:
        if batch and (len(batch) + 1) * lengths[place] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _log_probs(loaded: Loaded, batch: Sequence[Answered]) -> list[float]:
    torch = import_torch()
    width = max(len(each.prompt) + len(each.answer) for each in batch)
    tokens = torch.zeros(len(batch), width, dtype=torch.long)
    mask = torch.zeros(len(batch), width, dtype=torch.long)
    for row, each in enumerate(batch):
        whole = torch.tensor([*each.prompt, *each.answer])
        tokens[row, : len(whole)] = whole
        mask[row, : len(whole)] = 1
    device = loaded.model.device
    with torch.inference_mode():
        logits = loaded.model(input_ids=tokens.to(device), attention_mask=mask.to(device), use_cache=False).logits
        return [_of_answer(logits[row], tokens[row].to(device), each) for row, each in enumerate(batch)]


def _of_answer(logits: "torch.Tensor", tokens: "torch.Tensor", each: Answered) -> float:
    """What stands at a position was foretold at the one before it."""
    begins, ends = len(each.prompt), len(each.prompt) + len(each.answer)
    told = logits[begins - 1 : ends - 1].float().log_softmax(-1)
    return float(told.gather(-1, tokens[begins:ends, None]).sum())
