"""Generation in batches: sorted by length, finished rows leave the batch, every token's probability kept."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.errors import ModelError
from clworkbench.models.chat import Message, prompt_tokens
from clworkbench.models.load import Loaded
from clworkbench.models.sampling import Sampling
from clworkbench.models.sampling import chosen as next_tokens
from clworkbench.models.torch_setup import import_torch

if TYPE_CHECKING:
    import torch

GENERATIONS = pl.Schema(
    {
        "output": pl.String,
        "n_input_tokens": pl.Int64,
        "n_output_tokens": pl.Int64,
        "termination": pl.String,
        "confidence": pl.Float64,
        "error": pl.String,
        "latency_ms": pl.Float64,
    }
)
"""One row for each input, in the order of the inputs.

`termination` is `stop` (the model ended its answer), `length` (cut at the limit) or `error` (nothing was generated;
`output` is null and `error` says why). `n_output_tokens` counts the stop token. `confidence` is the mean probability
of the generated tokens, the stop token among them: above 0, at most 1. `latency_ms` is null where several inputs were
answered at a time.
"""

MAX_BATCH_TOKENS = 16_384
"""Padded prompt tokens in one batch, whatever its size in rows: it bounds memory when prompts are long."""


def generate(
    loaded: Loaded,
    inputs: Sequence[Sequence[Message]],
    *,
    max_new_tokens: int = 32,
    batch_size: int = 32,
    temperature: float = 0.0,
    seeds: Sequence[int] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """The model's answer to each input.

    Args:
        loaded: the model.
        inputs: for each answer wanted, the messages before it.
        max_new_tokens: where an answer is cut, its stop token counted.
        batch_size: rows at a time.
        temperature: of the sampling; 0 takes the likeliest token.
        seeds: of the sampling, for each input; with the same seed an answer is the same whatever it is batched with.
        on_progress: called with (answers done, answers wanted) after each batch.

    Returns:
        `GENERATIONS`, in the order of `inputs`.
    """
    places: list[int] = []
    found = [pl.DataFrame(schema=GENERATIONS)]
    for some, rows in generate_each(
        loaded, inputs, max_new_tokens=max_new_tokens, batch_size=batch_size, temperature=temperature, seeds=seeds
    ):
        places += some
        found.append(rows)
        if on_progress is not None:
            on_progress(len(places), len(inputs))
    return pl.concat(found).with_columns(place=pl.Series(places, dtype=pl.Int64)).sort("place").drop("place")


def generate_each(
    loaded: Loaded,
    inputs: Sequence[Sequence[Message]],
    *,
    max_new_tokens: int = 32,
    batch_size: int = 32,
    temperature: float = 0.0,
    seeds: Sequence[int] | None = None,
) -> Iterator[tuple[list[int], pl.DataFrame]]:
    """As `generate`, batch by batch: places among the inputs, and `GENERATIONS` in the order of these places.

    Inputs that cannot be answered come with the first batch, the longest prompts first: what takes most memory shows
    at once, and the time that is left is rather over- than underestimated.
    """
    answers = [
        _Answer(place, *_prompt(loaded, messages, max_new_tokens), random.Random(0 if seeds is None else seeds[place]))
        for place, messages in enumerate(inputs)
    ]
    refused = [answer for answer in answers if answer.error is not None]
    waiting = sorted((a for a in answers if a.error is None), key=lambda a: len(a.prompt), reverse=True)
    for batch in _batches(waiting, batch_size):
        began = time.perf_counter()
        _answer(loaded, batch, max_new_tokens, temperature)
        latency_ms = (time.perf_counter() - began) * 1000 if batch_size == 1 else None
        done = [*refused, *batch]
        refused = []
        yield [answer.place for answer in done], _frame(loaded, done, latency_ms)
    if refused:
        yield [answer.place for answer in refused], _frame(loaded, refused, None)


@dataclass
class _Answer:
    place: int
    prompt: list[int]
    error: str | None
    draws: random.Random
    tokens: list[int] = field(default_factory=list)
    probabilities: list[float] = field(default_factory=list)
    stopped: bool = False


def _prompt(loaded: Loaded, messages: Sequence[Message], max_new_tokens: int) -> tuple[list[int], str | None]:
    try:
        tokens = prompt_tokens(loaded.tokenizer, messages)
    except ModelError as error:
        return [], str(error)
    room = getattr(loaded.model.config, "max_position_embeddings", None)
    if room is not None and len(tokens) + max_new_tokens > room:
        return tokens, f"a prompt of {len(tokens)} tokens and an answer of {max_new_tokens} exceed the model's {room}"
    return tokens, None


def _batches(longest_first: Sequence[_Answer], batch_size: int) -> Iterator[Sequence[_Answer]]:
    start = 0
    while start < len(longest_first):
        rows = max(1, min(batch_size, MAX_BATCH_TOKENS // len(longest_first[start].prompt)))
        yield longest_first[start : start + rows]
        start += rows


def _answer(loaded: Loaded, batch: Sequence[_Answer], max_new_tokens: int, temperature: float) -> None:
    """Fill in the batch's tokens and probabilities, one token for all unfinished rows at a time."""
    torch = import_torch()
    from transformers import DynamicCache

    stops = stop_tokens(loaded)
    active, cache = list(batch), DynamicCache(config=loaded.model.config)
    tokens, mask = _left_padded(loaded, [answer.prompt for answer in batch])
    with torch.inference_mode():
        for _ in range(max_new_tokens):
            # The last position is named by a tensor: a slice would not be contiguous, and torch then copies the
            # whole vocabulary's weights once for each row.
            positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
            logits = loaded.model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=torch.tensor([tokens.shape[1] - 1], device=tokens.device),
            ).logits[:, -1]
            chosen, probabilities = next_tokens(logits.float(), [Sampling(a.draws, temperature) for a in active])
            for answer, token, probability in zip(active, chosen.tolist(), probabilities.tolist(), strict=True):
                answer.tokens.append(token)
                answer.probabilities.append(probability)
                answer.stopped = token in stops
            going = [place for place, answer in enumerate(active) if not answer.stopped]
            if not going:
                return
            if len(going) < len(active):
                rows = torch.tensor(going, device=chosen.device)
                cache.batch_select_indices(rows)
                chosen, mask, active = chosen[rows], mask[rows], [active[place] for place in going]
            tokens = chosen[:, None]
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)


def stop_tokens(loaded: Loaded) -> frozenset[int]:
    """The tokens that end an answer."""
    named = loaded.model.generation_config.eos_token_id
    several = named if isinstance(named, list) else [named]
    return frozenset(token for token in (*several, loaded.tokenizer.eos_token_id) if token is not None)


def _left_padded(loaded: Loaded, prompts: Sequence[list[int]]) -> "tuple[torch.Tensor, torch.Tensor]":
    torch = import_torch()
    width = max(map(len, prompts))
    pad = loaded.tokenizer.pad_token_id or 0
    tokens = [[pad] * (width - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    device = loaded.model.device
    return torch.tensor(tokens, device=device), torch.tensor(mask, device=device)


def _frame(loaded: Loaded, answers: Sequence[_Answer], latency_ms: float | None) -> pl.DataFrame:
    rows = [
        (
            None if a.error else loaded.tokenizer.decode(a.tokens, skip_special_tokens=True),
            len(a.prompt),
            len(a.tokens),
            "error" if a.error else "stop" if a.stopped else "length",
            sum(a.probabilities) / len(a.probabilities) if a.probabilities else None,
            a.error,
            None if a.error else latency_ms,
        )
        for a in answers
    ]
    return pl.DataFrame(rows, schema=GENERATIONS, orient="row")
