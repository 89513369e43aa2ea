"""Supervised fine-tuning on completions, with TRL's SFTTrainer."""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.runs.examples import Examples, checked, kept, nothing_left, said_by_assistant, split_at_answer
from clworkbench.runs.resumed import Job, OnCheckpoint, OnStep, to_the_end
from clworkbench.runs.settings import RunResult, SftSettings
from clworkbench.runs.start import start

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

UNSCORED = -100
"""The label that torch's losses leave out."""


def train_sft(
    rows: pl.DataFrame,
    base: Path,
    out: Path,
    settings: SftSettings,
    *,
    parent_adapter: Path | None = None,
    on_step: OnStep | None = None,
    on_checkpoint: OnCheckpoint | None = None,
) -> RunResult:
    """Learns to say what the completions say.

    The same call goes on after a kill, from the last whole checkpoint, and ends with the same bytes as an undisturbed
    run; once it has ended, it returns what it returned then. Weights are scaled to a mean of 1, then multiply a row's
    loss. Threads are set for the whole process; random states are put back at the end.

    Args:
        rows: one row for each example: `prompt` and `completion` (messages), `weight` (at least 0; null is 1), `tools`.
        base: folder with safetensors and a tokenizer.
        out: the run's folder: `adapter/` (or `model/`), `training.json` (written last) and, meanwhile, `checkpoints/`.
        settings: what may be decided.
        parent_adapter: an adapter to go on from (warm start), of the same base and rank.
        on_step: called after each step with (step, steps, loss, tokens read so far); True asks for a checkpoint.
        on_checkpoint: called after each whole checkpoint; what it raises ends this call, and the next one
            goes on from there.

    Raises:
        EvidenceError: nothing can be learned from these rows.
        ModelError: base or parent cannot be loaded, the loss is no longer a finite number, or memory is full.
        ArtefactError: `out` holds another run, or the disk is full.
    """
    begun = start(base, settings, parent_adapter)
    learned = examples(rows, begun.tokenizer, settings.max_tokens)
    job = Job("sft", begun, learned, settings, out)

    def trainer(model: "PreTrainedModel", checkpoints: Path) -> "Trainer":
        from trl import SFTConfig

        from clworkbench.runs.trainers import CompletionTrainer, WithWeights, arguments, dataset, lora

        trl = CompletionTrainer(
            model=model,
            args=SFTConfig(**arguments(job, checkpoints), max_length=None, train_sampling_strategy="group_by_length"),
            train_dataset=dataset(learned.scaled()),
            processing_class=begun.tokenizer,
            peft_config=lora(model, settings),
        )
        if learned.weighted:
            trl.data_collator = WithWeights(trl.data_collator)
        return trl

    return to_the_end(job, trainer, on_step, on_checkpoint)


def examples(rows: pl.DataFrame, tokenizer: "PreTrainedTokenizerBase", max_tokens: int) -> Examples:
    """Rows as `input_ids`, `labels` and `weight`.

    A label is -100 where no loss is taken: in the prompt, and in all that the assistant does not say itself (a tool's
    result, a user's word) where a completion holds several messages.
    """
    made = []
    told = checked(rows, "sft", tokenizer).select("prompt", "completion", "tools", "weight")
    for prompt, completion, tools, weight in told.iter_rows():
        before, (answer,) = split_at_answer(tokenizer, prompt, [completion], tools)
        said = said_by_assistant(tokenizer, prompt, completion, tools, answer)
        labels = [token if own else UNSCORED for token, own in zip(answer, said, strict=True)]
        made.append((before, answer, labels, weight))
    tokens = pl.List(pl.Int64)
    schema = {"prompt_ids": tokens, "answer": tokens, "labels": tokens, "weight": pl.Float64()}
    tokenised = pl.DataFrame(made, schema=schema, orient="row")
    room = (max_tokens - pl.col("prompt_ids").list.len().cast(pl.Int64)).clip(0)
    teaches = tokenised.filter((pl.col("labels").list.head(room).list.max() > UNSCORED).fill_null(value=False))
    if teaches.is_empty():
        longest = tokenised.select(pl.col("prompt_ids").list.len().max()).item()
        raise nothing_left(tokenised, max_tokens, longest=longest)
    found = kept(teaches, ["answer", "labels"], max_tokens)
    unscored = pl.lit(UNSCORED, dtype=pl.Int64).repeat_by(pl.col("prompt_ids").list.len())
    whole = pl.col("prompt_ids").list.concat("answer")
    frame = found.frame.select("weight", input_ids=whole, labels=unscored.list.concat("labels"))
    return Examples(frame, found.longest, found.truncated, rows.height - frame.height)
