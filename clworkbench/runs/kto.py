"""Kahneman-Tversky optimisation: answers that were wanted, and others that were not, with TRL's KTOTrainer.

Source: Ethayarajh, Xu, Muennighoff, Jurafsky and Kiela 2024, eq. (7) and (8).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from clworkbench.errors import EvidenceError, SettingsError
from clworkbench.runs.examples import Examples, checked, kept, said_by_assistant, split_at_answer
from clworkbench.runs.resumed import Job, OnCheckpoint, OnStep, to_the_end
from clworkbench.runs.settings import KtoSettings, RunResult
from clworkbench.runs.start import start

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

COLUMNS = {"margin": "rewards/margins", "kl": "kl"}
"""By how much a step's wanted answers gained more over the start than the unwanted ones (in nats, times beta; null
where the step has one sort only), and how far the model is from where it started."""


def train_kto(
    rows: pl.DataFrame,
    base: Path,
    out: Path,
    settings: KtoSettings,
    *,
    parent_adapter: Path | None = None,
    on_step: OnStep | None = None,
    on_checkpoint: OnCheckpoint | None = None,
) -> RunResult:
    """Learns from answers that were wanted or not, one by one; held by `beta` to where it starts.

    A killed run goes on, as in `train_sft`. A row's weight, scaled to a mean of 1, multiplies the gradient of its loss.
    Rows whose prompt leaves no room for an answer are left out.

    Args:
        rows: one row for each answer: `prompt` and `completion` (messages), `label` (it was wanted), `weight`, `tools`.
        base: folder with safetensors and a tokenizer.
        out: the run's folder.
        settings: what may be decided.
        parent_adapter: an adapter to go on from, of the same base and rank; it is the reference as well.
        on_step: called after each step with (step, steps, loss, tokens read so far); True asks for a checkpoint.
        on_checkpoint: called after each whole checkpoint; what it raises ends this call, and the next one
            goes on from there.

    Raises:
        EvidenceError: nothing can be learned from these rows, or all of them are of one sort.
        ModelError: base or parent cannot be loaded, the loss is no longer a finite number, or memory is full.
        ArtefactError: `out` holds another run, or the disk is full.
    """
    begun = start(base, settings, parent_adapter)
    if begun.laid_out.rows_at_once < 2:
        raise SettingsError(
            "training: kto compares the answers that are on a device at once, and there would be one.\n"
            "Raise batch_size, or rows_at_once, to 2 or more for each process."
        )
    learned = answers(rows, begun.tokenizer, settings, begun.laid_out.rows_at_once)
    wanted, unwanted = balance(learned.frame)
    details = {"desirable_weight": wanted, "undesirable_weight": unwanted}
    job = Job("kto", begun, learned, settings, out, COLUMNS, details)

    def trainer(model: "PreTrainedModel", checkpoints: Path) -> "Trainer":
        from trl import KTOConfig, KTOTrainer

        from clworkbench.runs.trainers import RowWeights, WithMasks, WithWeights, arguments, dataset, lora

        class AnswerTrainer(RowWeights, KTOTrainer):  # type: ignore[misc] # TRL ships no types that mypy reads
            """KTOTrainer on tokenised answers that weigh more or less."""

        trl = AnswerTrainer(
            model=model,
            args=KTOConfig(**arguments(job, checkpoints), max_length=None, beta=settings.beta, **details),
            train_dataset=dataset(learned.scaled()),
            processing_class=begun.tokenizer,
            peft_config=lora(model, settings),
        )
        if learned.masks:
            masks = {"completion_mask": ("completion",), "KL_completion_mask": ("KL_completion",)}
            trl.data_collator = WithMasks(trl.data_collator, masks)
        if learned.weighted:
            trl.data_collator = WithWeights(trl.data_collator)
        return trl

    return to_the_end(job, trainer, on_step, on_checkpoint)


def balance(rows: pl.DataFrame) -> tuple[float, float]:
    """The weights of wanted and unwanted answers with which both sorts weigh the same in all.

    Source: Ethayarajh et al. 2024, eq. (8): the ratio of weight times count should lie between 1 and 4/3.

    Raises:
        EvidenceError: there is one sort only.
    """
    weight, label = pl.col("weight"), pl.col("label")
    wanted, unwanted = rows.select(weight.filter(label).sum(), b=weight.filter(~label).sum()).row(0)
    if not wanted or not unwanted:
        sort = "wanted" if wanted else "unwanted"
        raise EvidenceError(
            f"training: all {rows.height} rows are {sort} answers; kto learns from the difference between both sorts.\n"
            "Build the set from outcomes that have both, or take the wanted ones with --method sft."
        )
    return max(1.0, unwanted / wanted), max(1.0, wanted / unwanted)


def answers(rows: pl.DataFrame, tokenizer: "PreTrainedTokenizerBase", settings: KtoSettings, at_once: int) -> Examples:
    """Rows as `prompt_ids`, `completion_ids`, `label` and `weight`, with another row's answer as `KL_completion_ids`.

    TRL 1.16 takes the rows in the order in which they stand, so they are shuffled here, or a step would often have one
    sort only. The answers of each `at_once` rows move on by one: how likely a prompt's model finds another's answer
    tells how far it has moved in all.
    """
    made = []
    told = checked(rows, "kto", tokenizer).select("prompt", "completion", "label", "tools", "weight")
    for prompt, completion, label, tools, weight in told.iter_rows():
        begins, (answer,) = split_at_answer(tokenizer, prompt, [completion], tools)
        said = said_by_assistant(tokenizer, prompt, completion, tools, answer)
        made.append((begins, answer, said, label, weight))
    tokens, own = pl.List(pl.Int64), pl.List(pl.Boolean)
    answer_columns = {"prompt_ids": tokens, "completion_ids": tokens, "completion_said": own}
    schema = {**answer_columns, "label": pl.Boolean(), "weight": pl.Float64()}
    tokenised = pl.DataFrame(made, schema=schema, orient="row")
    found = kept(tokenised, ["completion_ids", "completion_said"], settings.max_tokens)
    shuffled = found.frame[np.random.default_rng(settings.seed).permutation(found.frame.height)]
    together = pl.int_range(pl.len()) // at_once
    room = settings.max_tokens - pl.col("prompt_ids").list.len().cast(pl.Int64)

    def moved_on(name: str) -> pl.Expr:
        return pl.coalesce(pl.col(name).shift(1).over(together), pl.col(name).last().over(together)).list.head(room)

    frame = shuffled.with_columns(
        KL_completion_ids=moved_on("completion_ids"), KL_completion_said=moved_on("completion_said")
    )
    return Examples(frame, settings.max_tokens, found.truncated, found.dropped).told()
