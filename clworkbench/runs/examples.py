"""Training rows as tokens: what the model reads, which of it is learned, and what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.errors import EvidenceError, ModelError
from clworkbench.models.chat import Message, dialogue_tokens, prompt_tokens, unrendered
from clworkbench.runs.settings import KINDS, Method
from clworkbench.schemas import TRAINING_ROWS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


SAID = "_said"
"""How a column is called that says, token by token, whether the assistant says it: `chosen_said` of `chosen_ids`."""


@dataclass(frozen=True)
class Examples:
    """Tokenised rows.

    Attributes:
        frame: one row for each example: the columns that the method's trainer reads, and `weight` (above 0).
        longest: tokens of the longest sequence.
        truncated: rows cut at the limit.
        dropped: rows left out, since no token of theirs would carry loss, or their weight is 0.
    """

    frame: pl.DataFrame
    longest: int
    truncated: int
    dropped: int

    @property
    def weighted(self) -> bool:
        """Whether some rows weigh more than others."""
        return self.frame["weight"].n_unique() > 1

    @property
    def masks(self) -> tuple[str, ...]:
        """The columns that say which tokens of an answer the assistant says; none where it says all of them."""
        return tuple(name for name in self.frame.columns if name.endswith(SAID))

    def scaled(self) -> pl.DataFrame:
        """The rows with weights that have a mean of 1; without weights where all are the same."""
        if not self.weighted:
            return self.frame.drop("weight")
        return self.frame.with_columns(weight=pl.col("weight") / pl.col("weight").mean())

    def told(self) -> "Examples":
        """Without masks where no token is masked."""
        said = [pl.col(name).list.all().all() for name in self.masks]
        whole = not said or self.frame.select(pl.all_horizontal(said)).item()
        return replace(self, frame=self.frame.drop(self.masks)) if whole else self


def checked(rows: pl.DataFrame, method: Method, tokenizer: "PreTrainedTokenizerBase") -> pl.DataFrame:
    """The rows that weigh something, with `tools` and a `weight` everywhere.

    Args:
        rows: training rows of the kind that the method learns from; of the columns that say whence they come, none is
            needed, and `weight` is 1 where it is null or missing.
        method: how they are to be learned.
        tokenizer: of the base.

    Raises:
        EvidenceError: the rows are of another kind, or nothing can be learned from them.
        ModelError: they hold tool calls or schemas that the base's chat template leaves out.
    """
    schema = TRAINING_ROWS[KINDS[method]]
    told = [name for name in schema if name in _TEACHES]
    if missing := [name for name in told if name not in rows.columns and name not in _MAY_MISS]:
        raise EvidenceError(
            f"training: {method} learns from sets of the kind {KINDS[method]!r}, with the columns {told}; no column "
            f"{missing} among {rows.columns}.\nBuild one: clw build NAME --kind {KINDS[method]}."
        )
    if rows.is_empty():
        raise EvidenceError("training: the set has no rows. Look at the waterfall of its build for what took them.")
    for name in told:
        if name in _ANSWERS and (empty := rows.filter(pl.col(name).list.len().fill_null(0) == 0).height):
            raise EvidenceError(f"training: {empty} of {rows.height} rows have no {name}. Build the set again.")
    if "label" in told and (unsaid := rows["label"].null_count()):
        raise EvidenceError(f"training: {unsaid} of {rows.height} rows have no label. Build the set again.")
    absent = [pl.lit(None, schema[name]).alias(name) for name in ("weight", "tools", *_MAY_MISS) if name in schema]
    rows = rows.with_columns(each for each in absent if each.meta.output_name() not in rows.columns)
    weight = pl.col("weight")
    if wrong := rows.filter(weight.is_not_null() & ~(weight.is_finite() & (weight >= 0))).height:
        raise EvidenceError(f"training: {wrong} of {rows.height} rows have a weight that is no number of at least 0.")
    _refuse_unrendered(rows, tokenizer)
    return rows.with_columns(weight.fill_null(1.0))


_TEACHES = ("prompt", "completion", "chosen", "rejected", "label", "margin", "verifier", "expected")
_ANSWERS = ("prompt", "completion", "chosen", "rejected")
_MAY_MISS = ("margin",)


def _refuse_unrendered(rows: pl.DataFrame, tokenizer: "PreTrainedTokenizerBase") -> None:
    texts = [pl.col(name) for name in _ANSWERS if name in rows.columns]
    element = pl.element().struct
    held = {
        "tools": (pl.col("tools").str.strip_chars().fill_null("").is_in(["", "[]", "null"])).not_(),
        "tool_calls": pl.any_horizontal(
            text.list.eval(element.field("tool_calls").list.len().fill_null(0) > 0).list.any() for text in texts
        ),
        "tool": pl.any_horizontal(text.list.eval(element.field("role") == "tool").list.any() for text in texts),
    }
    lost = unrendered(tokenizer)
    if found := {name: n for name in lost if (n := rows.filter(held[name]).height)}:
        what = ", ".join(f"{name} in {n}" for name, n in found.items())
        raise ModelError(
            f"training: of {rows.height} rows, {what} would be left out without a word by the base's chat template.\n"
            "Take a base whose template renders tools, or leave those rows out of the set: where = … in [training]."
        )


def split_at_answer(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: Sequence[Message],
    answers: Sequence[Sequence[Message]],
    tools: str | None,
) -> tuple[list[int], list[list[int]]]:
    """The tokens of a prompt, and those of each answer to it, rendered with the base's own chat template.

    An answer begins where the tokens of the prompt and of the whole part, and the earliest of several decides, as in
    TRL 1.16's trainers, so that the same rows give the same batches there.

    Raises:
        ModelError: the chat template refuses the messages.
    """
    before = prompt_tokens(tokenizer, prompt, tools)
    wholes = [dialogue_tokens(tokenizer, [*prompt, *answer], tools) for answer in answers]
    begins = min(_common_prefix(before, whole) for whole in wholes)
    return before[:begins], [whole[begins:] for whole in wholes]


def said_by_assistant(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: Sequence[Message],
    answer: Sequence[Message],
    tools: str | None,
    tokens: Sequence[int],
) -> list[bool]:
    """Which of an answer's tokens the assistant says; the others are headers, users' words or tools' results.

    A message's tokens lie between the dialogue before it, up to where the assistant begins, and the dialogue up to its
    end. Where the template writes what came before differently once more follows, nobody can tell, and the message
    does not count.

    Args:
        tokenizer: of the base.
        prompt: the messages before.
        answer: messages of any role.
        tools: the schemas that the model may call, as JSON.
        tokens: the answer's own, from `split_at_answer`.
    """
    if [message["role"] for message in answer] == ["assistant"]:
        return [True] * len(tokens)
    whole = dialogue_tokens(tokenizer, [*prompt, *answer], tools)
    begins, said = len(whole) - len(tokens), [False] * len(whole)
    for place, message in enumerate(answer):
        before = [*prompt, *answer[:place]]
        if message["role"] != "assistant" or not (place == 0 or _is_prefix(tokenizer, before, tools, whole)):
            continue
        first = _common_prefix(prompt_tokens(tokenizer, before, tools), whole) if place else begins
        last = _common_prefix(dialogue_tokens(tokenizer, [*before, message], tools), whole)
        said[first:last] = [True] * len(said[first:last])
    return said[begins:]


def _is_prefix(
    tokenizer: "PreTrainedTokenizerBase", before: Sequence[Message], tools: str | None, whole: list[int]
) -> bool:
    tokens = dialogue_tokens(tokenizer, before, tools)
    return _common_prefix(tokens, whole) == len(tokens)


def kept(tokenised: pl.DataFrame, answers: Sequence[str], max_tokens: int) -> Examples:
    """Rows whose prompt leaves room for an answer; answers cut at `max_tokens`, and counted.

    Args:
        tokenised: `prompt_ids`, the `answers`' columns (token lists) and `weight`, one row for each row of the set.
        answers: the columns that stand behind the prompt.
        max_tokens: of prompt and answer together.

    Raises:
        EvidenceError: nothing is left.
    """
    begins = pl.col("prompt_ids").list.len()
    room = max_tokens - begins.cast(pl.Int64)
    has_room = pl.all_horizontal(room > 0, *(pl.col(name).list.len() > 0 for name in answers))
    rows = tokenised.filter(has_room & (pl.col("weight") > 0))
    if rows.is_empty():
        raise nothing_left(tokenised, max_tokens, longest=tokenised.select(begins.max()).item())
    ends = pl.max_horizontal(begins + pl.col(name).list.len() for name in answers)
    truncated = rows.filter(ends > max_tokens).height
    longest = min(max_tokens, int(rows.select(ends.max()).item()))
    cut = rows.with_columns(pl.col(name).list.head(room) for name in answers)
    return Examples(cut, longest, truncated, tokenised.height - rows.height)


def nothing_left(tokenised: pl.DataFrame, max_tokens: int, *, longest: int) -> EvidenceError:
    """What to say where no row is left."""
    return EvidenceError(
        f"training: none of {tokenised.height} rows has a token to learn within max_tokens = {max_tokens} "
        f"(longest prompt: {longest} tokens) and a weight above 0. Raise max_tokens, or look at the weights."
    )


def _common_prefix(tokens: list[int], others: list[int]) -> int:
    pairs = enumerate(zip(tokens, others, strict=False))
    return next((place for place, (token, other) in pairs if token != other), min(len(tokens), len(others)))
