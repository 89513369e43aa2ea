"""Reward models: a score for a whole dialogue, learned from pairs of which one was better, with TRL's RewardTrainer.

Source: Ouyang et al. 2022, eq. (1); the margin as in Touvron et al. 2023 (Llama 2), eq. (2).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.errors import SettingsError
from clworkbench.models.chat import dialogue_tokens
from clworkbench.models.load import Rewarding, rewards
from clworkbench.runs.examples import Examples, checked, nothing_left
from clworkbench.runs.resumed import Job, OnCheckpoint, OnStep, to_the_end
from clworkbench.runs.settings import RewardSettings, RunResult
from clworkbench.runs.start import start
from clworkbench.statistics.intervals import wilson

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

COLUMNS = {"reward_accuracy": "accuracy", "margin": "margin"}
"""Share of a step's pairs whose chosen dialogue has the higher score, and by how much."""


def train_reward(
    rows: pl.DataFrame,
    base: Path,
    out: Path,
    settings: RewardSettings,
    *,
    parent_adapter: Path | None = None,
    on_step: OnStep | None = None,
    on_checkpoint: OnCheckpoint | None = None,
) -> RunResult:
    """Learns to score dialogues; what it leaves gives scores (`models.load.load_reward`) and no answers.

    A killed run goes on, as in `train_sft`. A row's weight, scaled to a mean of 1, multiplies the gradient of its loss.
    Pairs with a dialogue longer than `max_tokens` are left out, since what is judged stands at its end.

    Args:
        rows: one row for each pair: `chosen` and `rejected` (whole dialogues), `margin` (null is 0), `weight`, `tools`.
        base: folder with safetensors and a tokenizer.
        out: the run's folder.
        settings: what may be decided.
        parent_adapter: an adapter to go on from, of the same base and rank; a reward model itself.
        on_step: called after each step with (step, steps, loss, tokens read so far); True asks for a checkpoint.
        on_checkpoint: called after each whole checkpoint; what it raises ends this call, and the next one
            goes on from there.

    Raises:
        EvidenceError: nothing can be learned from these rows.
        ModelError: base or parent cannot be loaded, the loss is no longer a finite number, or memory is full.
        ArtefactError: `out` holds another run, or the disk is full.
    """
    if settings.rank == 0:
        raise SettingsError("training: a reward model is an adapter with a head of its own: set rank to 1 or more.")
    begun = start(base, settings, parent_adapter, reward=True)
    learned = dialogues(rows, begun.tokenizer, settings.max_tokens)
    job = Job("reward", begun, learned, settings, out, COLUMNS)

    def trainer(model: "PreTrainedModel", checkpoints: Path) -> "Trainer":
        from trl import RewardConfig, RewardTrainer

        from clworkbench.runs.trainers import RowWeights, WithWeights, arguments, dataset, lora

        class DialogueTrainer(RowWeights, RewardTrainer):  # type: ignore[misc] # TRL ships no types that mypy reads
            """RewardTrainer on tokenised dialogues that weigh more or less."""

        trl = DialogueTrainer(
            model=model,
            args=RewardConfig(**arguments(job, checkpoints), max_length=None),
            train_dataset=dataset(learned.scaled()),
            processing_class=begun.tokenizer,
            peft_config=lora(model, settings, task_type="SEQ_CLS", modules_to_save=["score"]),
        )
        if learned.weighted:
            trl.data_collator = WithWeights(trl.data_collator)
        return trl

    return to_the_end(job, trainer, on_step, on_checkpoint)


def dialogues(rows: pl.DataFrame, tokenizer: "PreTrainedTokenizerBase", max_tokens: int) -> Examples:
    """Rows as `chosen_ids`, `rejected_ids`, `weight` and, where somebody said it, `margin`."""
    told = checked(rows, "reward", tokenizer).select("chosen", "rejected", "tools", "margin", "weight")
    made = [
        (dialogue_tokens(tokenizer, chosen, tools), dialogue_tokens(tokenizer, rejected, tools), margin, weight)
        for chosen, rejected, tools, margin, weight in told.iter_rows()
    ]
    tokens = pl.List(pl.Int64)
    schema = {"chosen_ids": tokens, "rejected_ids": tokens, "margin": pl.Float64(), "weight": pl.Float64()}
    tokenised = pl.DataFrame(made, schema=schema, orient="row")
    longer = pl.max_horizontal(pl.col("chosen_ids").list.len(), pl.col("rejected_ids").list.len())
    weighs = (pl.col("weight") > 0) & (pl.col("chosen_ids") != pl.col("rejected_ids"))
    frame = tokenised.filter(weighs & (longer <= max_tokens))
    if frame.is_empty():
        raise nothing_left(tokenised, max_tokens, longest=tokenised.select(longer.max()).item())
    said = frame["margin"].null_count() < frame.height
    frame = frame.with_columns(pl.col("margin").fill_null(0.0)) if said else frame.drop("margin")
    return Examples(frame, int(frame.select(longer.max()).item()), 0, rows.height - frame.height)


def held_out_accuracy(model: Rewarding, rows: pl.DataFrame) -> dict[str, float | None] | None:
    """How often a reward model gives the chosen dialogue of a pair that it never saw the higher score.

    Args:
        model: loaded by `load_reward`.
        rows: `chosen` and `rejected`, one row for each pair; ties count as wrong, and pairs longer than the model's
            context are left out.

    Returns:
        `n`, `accuracy`, and its Wilson interval (`low`, `high`, 95 %); None without a pair that fits.
    """
    rows = _within_context(model, rows)
    if rows.is_empty():
        return None
    tools = rows["tools"].to_list() if "tools" in rows.columns else None
    chosen, rejected = (rewards(model, rows[name].to_list(), tools) for name in ("chosen", "rejected"))
    right = sum(better > worse for better, worse in zip(chosen, rejected, strict=True))
    low, high = wilson(right, rows.height)
    return {"n": rows.height, "accuracy": right / rows.height, "low": low, "high": high}


def _within_context(model: Rewarding, rows: pl.DataFrame) -> pl.DataFrame:
    context = getattr(model.model.config.get_text_config(), "max_position_embeddings", None)
    tools = rows["tools"].to_list() if "tools" in rows.columns else [None] * rows.height
    pairs = zip(rows["chosen"].to_list(), rows["rejected"].to_list(), tools, strict=True)
    longest = [max(len(dialogue_tokens(model.tokenizer, each, schemas)) for each in two) for *two, schemas in pairs]
    return rows.filter(pl.Series(longest, dtype=pl.Int64) <= (context or max(longest, default=0)))
