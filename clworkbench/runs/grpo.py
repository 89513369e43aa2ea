"""Group relative policy optimisation: sampled answers that a verifier scores, with TRL's GRPOTrainer.

Source: Shao et al. 2024 (DeepSeekMath), section 4; the loss over tokens as in Yu et al. 2025 (DAPO), TRL's default.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from clworkbench.errors import EvidenceError
from clworkbench.models.chat import prompt_tokens
from clworkbench.runs.examples import Examples, checked
from clworkbench.runs.resumed import Job, OnCheckpoint, OnStep, to_the_end
from clworkbench.runs.settings import GrpoSettings, RunResult
from clworkbench.runs.start import start
from clworkbench.scorers.names import scorer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

COLUMNS = {"reward": "reward", "frac_reward_zero_std": "frac_reward_zero_std"}
"""Mean score of a step's answers (0 to 1), and the share of its prompts whose answers all have the same score: from
those nothing is learned."""

BETA = 0.04
"""Holds the model to where it started (Shao et al. 2024, section 4.2)."""

STEPS_WITHOUT_LEARNING = 8
"""After so many steps in a row from which nothing was learned, a run is stopped."""


def train_grpo(
    rows: pl.DataFrame,
    base: Path,
    out: Path,
    settings: GrpoSettings,
    *,
    parent_adapter: Path | None = None,
    on_step: OnStep | None = None,
    on_checkpoint: OnCheckpoint | None = None,
) -> RunResult:
    """Learns to answer so that the verifiers are content.

    A killed run goes on, as in `train_sft`. A row's weight, scaled to a mean of 1, multiplies the advantages of its
    answers. Answers are sampled at temperature 1 and cut at a quarter of `max_tokens`. Prompts that leave no room for
    that, and rows whose verifier does not give their own expected answer a 1, are left out. From a raw base most
    rewards are 0, and there is nothing to learn: start from a supervised run.

    Args:
        rows: one row for each prompt: `prompt` (messages), `verifier` (a scorer's name), `expected`, `weight`, `tools`.
        base: folder with safetensors and a tokenizer.
        out: the run's folder.
        settings: what may be decided.
        parent_adapter: an adapter to go on from, of the same base and rank.
        on_step: called after each step with (step, steps, loss, tokens read so far); True asks for a checkpoint.
        on_checkpoint: called after each whole checkpoint; what it raises ends this call, and the next one
            goes on from there.

    Raises:
        ClwError: a verifier's name is unknown.
        EvidenceError: nothing can be learned from these rows.
        ModelError: base or parent cannot be loaded, the loss is no longer a finite number, memory is
            full, or for many steps in a row all answers to a prompt were worth the same.
        ArtefactError: `out` holds another run, or the disk is full.
    """
    begun = start(base, settings, parent_adapter)
    learned = prompts(rows, begun.tokenizer, settings)
    job = Job("grpo", begun, learned, settings, out, COLUMNS, casts=True)

    def trainer(model: "PreTrainedModel", checkpoints: Path) -> "Trainer":
        from trl import GRPOConfig

        from clworkbench.runs.rollouts import NothingLearned, PromptTrainer
        from clworkbench.runs.trainers import arguments, dataset, lora

        trl = PromptTrainer(
            model=model,
            reward_funcs=verified,
            args=GRPOConfig(
                **arguments(job, checkpoints) | {"remove_unused_columns": False},
                num_generations=settings.generations,
                max_completion_length=settings.max_new_tokens,
                temperature=1.0,
                beta=BETA,
                shuffle_dataset=False,
            ),
            train_dataset=dataset(in_turn(learned.scaled(), settings)),
            processing_class=begun.tokenizer,
            peft_config=lora(model, settings),
        )
        trl.add_callback(NothingLearned(min(STEPS_WITHOUT_LEARNING, settings.steps)))
        return trl

    return to_the_end(job, trainer, on_step, on_checkpoint)


def in_turn(rows: pl.DataFrame, settings: GrpoSettings) -> pl.DataFrame:
    """As many prompts as all steps take, in an order of its own for each pass.

    TRL 1.16 shuffles anew for each pass from a state that no checkpoint keeps: a killed run would go on with others.
    """
    wanted = settings.steps * settings.batch_size // settings.generations
    shuffle = np.random.default_rng(settings.seed).permutation
    passes = [shuffle(rows.height) for _ in range(-(-wanted // rows.height))]
    return rows[np.concatenate(passes)[:wanted]]


def verified(
    completions: Sequence[str], verifier: Sequence[str], expected: Sequence[str | None], **_columns: object
) -> list[float]:
    """The score of each answer by its prompt's verifier; what cannot be graded is worth 0."""
    answers = pl.DataFrame({"said": completions, "verifier": verifier, "expected": expected}, strict=False)
    answers = answers.cast({"said": pl.String, "expected": pl.String}).with_row_index("place")
    scored = [
        rows.select("place", score=scorer(str(name))(rows["said"], rows["expected"]))
        for (name,), rows in answers.group_by("verifier", maintain_order=True)
    ]
    return pl.concat(scored).sort("place")["score"].fill_null(0.0).to_list()


def prompts(rows: pl.DataFrame, tokenizer: "PreTrainedTokenizerBase", settings: GrpoSettings) -> Examples:
    """Rows as `prompt` (its tokens, as a JSON list), `verifier`, `expected` and `weight`."""
    told = _gradable(checked(rows, "grpo", tokenizer))
    if told.is_empty():
        raise EvidenceError(
            f"training: none of {rows.height} prompts has a verifier that gives its own expected answer a 1. Look at "
            "the columns verifier and expected."
        )
    tokens = [prompt_tokens(tokenizer, prompt, tools) for prompt, tools in told.select("prompt", "tools").iter_rows()]
    told = told.select("verifier", "expected", "weight").with_columns(
        prompt=pl.Series([json.dumps(each) for each in tokens], dtype=pl.String),
        n_tokens=pl.Series([len(each) for each in tokens], dtype=pl.Int64),
    )
    room = settings.max_tokens - settings.max_new_tokens
    frame = told.filter((pl.col("weight") > 0) & (pl.col("n_tokens") <= room))
    longest = told.select(pl.col("n_tokens").max()).item()
    if frame.is_empty():
        raise EvidenceError(
            f"training: none of {told.height} prompts (the longest: {longest} tokens) leaves room for an answer of "
            f"{settings.max_new_tokens} tokens, a quarter of max_tokens = {settings.max_tokens}, with a weight above "
            "0.\nRaise max_tokens, or look at the weights."
        )
    return Examples(frame.drop("n_tokens"), settings.max_tokens, 0, rows.height - frame.height)


def _gradable(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose verifier gives the right answer a 1, or grades where nobody can say which that is."""
    kept = []
    for (name,), group in rows.drop_nulls("verifier").group_by("verifier", maintain_order=True):
        kept.append(group.filter(scorer(str(name)).on_gold(group["expected"].cast(pl.String)).gradable))
    return pl.concat(kept) if kept else rows.clear()
