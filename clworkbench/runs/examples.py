"""Training rows as tokens: what the model reads, and which of it carries loss."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.errors import EvidenceError
from clworkbench.models.chat import dialogue_tokens, prompt_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNSCORED = -100
"""The label that torch's losses leave out."""


@dataclass(frozen=True)
class Examples:
    """Tokenised rows.

    Attributes:
        frame: `input_ids` and `labels` (lists of the same length; -100 where no loss is taken) and `weight`.
        truncated: rows cut at the limit.
        dropped: rows left out, since no token of theirs would carry loss, or their weight is 0.
    """

    frame: pl.DataFrame
    truncated: int
    dropped: int


def examples(rows: pl.DataFrame, tokenizer: "PreTrainedTokenizerBase", max_tokens: int) -> Examples:
    """Tokenise prompt and completion with the base's own chat template; only completions carry loss.

    The completion begins where the tokens of the prompt and of the whole part, as in TRL 1.16's SFTTrainer, so that
    the same rows give the same batches there.

    Args:
        rows: columns `prompt` and `completion` (messages) and `weight` (null counts as 1).
        tokenizer: of the base.
        max_tokens: rows are cut at this length, from the end.

    Raises:
        EvidenceError: a column is missing, there are no rows, or none is left to learn from.
        ModelError: the chat template refuses a row's messages.
    """
    _check(rows)
    made = []
    for prompt, completion, weight in rows.select("prompt", "completion", pl.col("weight").fill_null(1.0)).iter_rows():
        before = prompt_tokens(tokenizer, prompt)
        whole = dialogue_tokens(tokenizer, [*prompt, *completion])
        made.append((whole, _common_prefix(before, whole), float(weight)))
    schema = {"tokens": pl.List(pl.Int64), "prompt_tokens": pl.Int64(), "weight": pl.Float64()}
    tokenised = pl.DataFrame(made, schema=schema, orient="row").with_columns(
        scored=pl.min_horizontal(pl.col("tokens").list.len(), max_tokens) > pl.col("prompt_tokens")
    )
    kept = tokenised.filter(pl.col("scored") & (pl.col("weight") > 0))
    if kept.is_empty():
        longest = max(tokenised["prompt_tokens"])
        raise EvidenceError(
            f"training: none of {rows.height} rows has a token to learn within max_tokens = {max_tokens} "
            f"(longest prompt: {longest} tokens) and a weight above 0. Raise max_tokens, or look at the weights."
        )
    cut = pl.col("tokens").list.head(max_tokens)
    unscored = pl.lit(UNSCORED, dtype=pl.Int64).repeat_by("prompt_tokens")
    frame = kept.select("weight", input_ids=cut, labels=unscored.list.concat(cut.list.slice(pl.col("prompt_tokens"))))
    truncated = kept.filter(pl.col("tokens").list.len() > max_tokens).height
    return Examples(frame, truncated, rows.height - kept.height)


def _check(rows: pl.DataFrame) -> None:
    missing = [name for name in ("prompt", "completion", "weight") if name not in rows.columns]
    if missing:
        raise EvidenceError(f"training: no column {missing} among {rows.columns}. Build the set with clw build.")
    if rows.is_empty():
        raise EvidenceError("training: the set has no rows. Look at the waterfall of its build for what took them.")
    empty = rows.filter(pl.col("completion").is_null() | (pl.col("completion").list.len() == 0)).height
    if empty:
        raise EvidenceError(f"training: {empty} of {rows.height} rows have no completion. Build the set again.")
    weight = pl.col("weight")
    wrong = rows.filter(weight.is_not_null() & ~(weight.is_finite() & (weight >= 0))).height
    if wrong:
        raise EvidenceError(f"training: {wrong} of {rows.height} rows have a weight that is no number of at least 0.")


def _common_prefix(tokens: list[int], others: list[int]) -> int:
    pairs = enumerate(zip(tokens, others, strict=False))
    return next((place for place, (token, other) in pairs if token != other), min(len(tokens), len(others)))
