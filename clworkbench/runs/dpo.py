"""Direct preference optimisation: the chosen answer over the rejected one, with TRL's DPOTrainer.

Source: Rafailov, Sharma, Mitchell, Ermon, Manning and Finn 2023, eq. (7).
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.errors import EvidenceError
from clworkbench.runs.examples import Examples, checked, kept, said_by_assistant, split_at_answer
from clworkbench.runs.resumed import Job, OnCheckpoint, OnStep, to_the_end
from clworkbench.runs.settings import DpoSettings, RunResult
from clworkbench.runs.start import start

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

COLUMNS = {"reward_accuracy": "rewards/accuracies", "margin": "rewards/margins"}
"""Share of a step's pairs whose chosen answer gained more over the start than the rejected one, and by how much (in
nats, times beta)."""


def train_dpo(
    rows: pl.DataFrame,
    base: Path,
    out: Path,
    settings: DpoSettings,
    *,
    parent_adapter: Path | None = None,
    on_step: OnStep | None = None,
    on_checkpoint: OnCheckpoint | None = None,
) -> RunResult:
    """Learns to prefer the chosen answers, held by `beta` to where it starts: the base, or the parent's adapter.

    A killed run goes on, as in `train_sft`. A row's weight, scaled to a mean of 1, multiplies the gradient of its loss.
    Pairs whose prompt leaves no room for an answer, or whose answers are the same up to `max_tokens`, are left out.

    Args:
        rows: one row for each pair: `prompt`, `chosen` and `rejected` (messages), `weight`, `tools`.
        base: folder with safetensors and a tokenizer.
        out: the run's folder.
        settings: what may be decided.
        parent_adapter: an adapter to go on from, of the same base and rank; it is the reference as well.
        on_step: called after each step with (step, steps, loss, tokens read so far); True asks for a checkpoint.
        on_checkpoint: called after each whole checkpoint; what it raises ends this call, and the next one
            goes on from there.

    Raises:
        EvidenceError: nothing can be learned from these rows.
        ModelError: base or parent cannot be loaded, the loss is no longer a finite number, or memory is full.
        ArtefactError: `out` holds another run, or the disk is full.
    """
    begun = start(base, settings, parent_adapter)
    learned = pairs(rows, begun.tokenizer, settings.max_tokens)
    job = Job("dpo", begun, learned, settings, out, COLUMNS)

    def trainer(model: "PreTrainedModel", checkpoints: Path) -> "Trainer":
        from trl import DPOConfig, DPOTrainer

        from clworkbench.runs.trainers import RowWeights, WithMasks, WithWeights, arguments, dataset, lora

        class PairTrainer(RowWeights, DPOTrainer):  # type: ignore[misc] # TRL ships no types that mypy reads
            """DPOTrainer on tokenised pairs that weigh more or less."""

        trl = PairTrainer(
            model=model,
            args=DPOConfig(**arguments(job, checkpoints), max_length=None, beta=settings.beta),
            train_dataset=dataset(learned.scaled()),
            processing_class=begun.tokenizer,
            peft_config=lora(model, settings),
        )
        if learned.masks:
            trl.data_collator = WithMasks(trl.data_collator, {"completion_mask": ("chosen", "rejected")})
        if learned.weighted:
            trl.data_collator = WithWeights(trl.data_collator)
        return trl

    return to_the_end(job, trainer, on_step, on_checkpoint)


def pairs(rows: pl.DataFrame, tokenizer: "PreTrainedTokenizerBase", max_tokens: int) -> Examples:
    """Rows as `prompt_ids`, `chosen_ids`, `rejected_ids` and `weight`; masks where others than the assistant speak."""
    made = []
    told = checked(rows, "dpo", tokenizer).select("prompt", "chosen", "rejected", "tools", "weight")
    for prompt, chosen, rejected, tools, weight in told.iter_rows():
        before, answers = split_at_answer(tokenizer, prompt, [chosen, rejected], tools)
        both = zip((chosen, rejected), answers, strict=True)
        said = (said_by_assistant(tokenizer, prompt, messages, tools, answer) for messages, answer in both)
        made.append((before, *answers, *said, weight))
    tokens, own = pl.List(pl.Int64), pl.List(pl.Boolean)
    ids = {"prompt_ids": tokens, "chosen_ids": tokens, "rejected_ids": tokens}
    schema = {**ids, "chosen_said": own, "rejected_said": own, "weight": pl.Float64()}
    tokenised = pl.DataFrame(made, schema=schema, orient="row")
    names = ["chosen_ids", "rejected_ids", "chosen_said", "rejected_said"]
    fitting = kept(tokenised, names, max_tokens)
    room = (max_tokens - pl.col("prompt_ids").list.len().cast(pl.Int64)).clip(0)
    differ = tokenised.filter(pl.col("chosen_ids").list.head(room) != pl.col("rejected_ids").list.head(room))
    if differ.filter(pl.col("weight") > 0).is_empty():
        raise EvidenceError(
            f"training: in all {fitting.frame.height} pairs, chosen and rejected are the same up to max_tokens = "
            f"{max_tokens}. Raise max_tokens, or look at the pairs."
        )
    found = kept(differ, names, max_tokens)
    return replace(found, dropped=rows.height - found.frame.height).told()
