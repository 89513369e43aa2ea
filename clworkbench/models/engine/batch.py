"""The rows that are answered together: they join between two tokens, and leave when they are done."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clworkbench.models.engine.held import Held
from clworkbench.models.engine.row import Row
from clworkbench.models.sampling import chosen
from clworkbench.models.torch_setup import import_torch

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache

TRIM = 32
"""Columns that are padding in every row, from which on they are cut off."""


@dataclass
class Batch:
    """Rows with their cache. A row that came later, or is shorter, is padded on its left.

    Attributes:
        rows: one for each row of the tensors.
        cache: keys and values of all tokens but the newest.
        mask: (rows, width), 0 where a row is padded; its width is one more than the cache's.
        tokens: (rows, 1), the newest.
    """

    rows: list[Row]
    cache: "DynamicCache"
    mask: "torch.Tensor"
    tokens: "torch.Tensor"

    @property
    def joins(self) -> bool:
        """Whether other rows can join: not where layers keep a window of the last tokens only, or a state."""
        from transformers.cache_utils import DynamicLayer

        return all(type(layer) is DynamicLayer for layer in self.cache.layers)

    def join(self, other: "Batch") -> None:
        """Takes the other's rows in."""
        torch = import_torch()
        pad = torch.nn.functional.pad
        width = max(self.mask.shape[1], other.mask.shape[1])
        gaps = [width - batch.mask.shape[1] for batch in (self, other)]
        for ours, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
            for name in ("keys", "values"):
                sides = zip((getattr(ours, name), getattr(theirs, name)), gaps, strict=True)
                setattr(ours, name, torch.cat([pad(side, (0, 0, gap, 0)) for side, gap in sides]))
        self.mask = torch.cat([pad(batch.mask, (gap, 0)) for batch, gap in zip((self, other), gaps, strict=True)])
        self.tokens = torch.cat([self.tokens, other.tokens])
        self.rows = [*self.rows, *other.rows]

    def leave(self) -> None:
        """Lets go of the rows that are done, and of columns that only they needed."""
        torch = import_torch()
        going = [place for place, row in enumerate(self.rows) if not row.done]
        if len(going) == len(self.rows):
            return
        self.rows = [self.rows[place] for place in going]
        if not going:
            return
        places = torch.tensor(going, device=self.mask.device)
        self.cache.batch_select_indices(places)
        self.mask, self.tokens = self.mask[places], self.tokens[places]
        lead = int(self.mask.argmax(-1).min())
        if lead >= TRIM and self.joins:
            self.mask = self.mask[:, lead:].contiguous()
            for layer in self.cache.layers:
                layer.keys, layer.values = (each[:, :, lead:].contiguous() for each in (layer.keys, layer.values))


def begin(held: Held, rows: Sequence[Row]) -> Batch:
    """Reads the rows' prompts, and chooses the first token of each."""
    torch = import_torch()
    from transformers import DynamicCache

    width = max(len(row.prompt) for row in rows)
    pad, device = held.loaded.tokenizer.pad_token_id or 0, held.loaded.model.device
    tokens = torch.tensor([[pad] * (width - len(row.prompt)) + row.prompt for row in rows], device=device)
    mask = torch.tensor([[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in rows], device=device)
    batch = Batch(list(rows), DynamicCache(config=held.loaded.model.config), mask, tokens)
    _read(held, batch)
    return batch


def go_on(held: Held, batch: Batch) -> None:
    """One token more for each row."""
    _read(held, batch)


def _read(held: Held, batch: Batch) -> None:
    torch = import_torch()
    with torch.inference_mode():
        # The last position is named by a tensor: a slice would not be contiguous, and torch then copies the whole
        # vocabulary's weights once for each row.
        width = batch.tokens.shape[1]
        logits = held.logits(
            [row.adapter for row in batch.rows],
            input_ids=batch.tokens,
            attention_mask=batch.mask,
            position_ids=(batch.mask.cumsum(-1) - 1).clamp(min=0)[:, -width:],
            past_key_values=batch.cache,
            logits_to_keep=torch.tensor([width - 1], device=batch.tokens.device),
        )
        tokens, probabilities = chosen(logits, [row.sampling for row in batch.rows])
        batch.tokens = tokens[:, None]
        batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(batch.rows), 1)], dim=1)
    for row, token, probability in zip(batch.rows, tokens.tolist(), probabilities.tolist(), strict=True):
        row.grow(token, probability)
