"""TRL's trainers as the runs use them: shared arguments, and rows that weigh more or less.

This module imports TRL (12 s of CPU) at its top; import it inside the function that trains.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import torch
from datasets import Dataset
from peft import LoraConfig
from torch.nn.functional import pad
from trl import SFTTrainer

from clworkbench.runs.examples import SAID
from clworkbench.runs.resumed import Job
from clworkbench.runs.settings import RunSettings
from clworkbench.runs.sft import UNSCORED

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.modeling_outputs import BaseModelOutputWithPast

Batch = dict[str, torch.Tensor]


def arguments(job: Job, checkpoints: Path) -> dict[str, object]:
    """The training arguments that all methods share."""
    settings, laid_out = job.settings, job.start.laid_out
    return {
        "output_dir": str(checkpoints),
        "run_name": job.out.name,
        "max_steps": settings.steps,
        "per_device_train_batch_size": laid_out.rows_at_once,
        "gradient_accumulation_steps": laid_out.parts,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": math.ceil(settings.steps / 10),
        "seed": settings.seed,
        "data_seed": settings.seed,
        "save_strategy": "steps",
        "save_steps": settings.machine.checkpoint_every,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": list(settings.machine.report_to),
        "bf16": laid_out.dtype == "bfloat16",
        "use_cpu": job.start.on_cpu,
        "dataloader_pin_memory": not job.start.on_cpu,
        "activation_checkpointing": laid_out.gradient_checkpointing,
        "ddp_find_unused_parameters": False,
        # Some trainers drop columns that they do not know, and with them a row's weight and its masks.
        "remove_unused_columns": not (job.learned.weighted or job.learned.masks),
    }


def lora(model: "PreTrainedModel", settings: RunSettings, **more: object) -> LoraConfig | None:
    """A new adapter; None where the model carries one, or where all weights are trained."""
    if settings.rank == 0 or hasattr(model, "peft_config"):
        return None
    shape = {"r": settings.rank, "lora_alpha": 2 * settings.rank, "target_modules": "all-linear"}
    return LoraConfig(**{"task_type": "CAUSAL_LM", **shape, **more})


def dataset(rows: pl.DataFrame) -> Dataset:
    """The rows as TRL takes them."""
    return Dataset.from_dict(rows.to_dict(as_series=False))


class Discreet:
    """Before a TRL trainer: training tells nobody outside. TRL sends a notice of each run to its makers."""

    def _send_telemetry(self) -> None:
        """Sends nothing."""


class CompletionTrainer(Discreet, SFTTrainer):  # type: ignore[misc] # TRL ships no types that mypy reads
    """SFTTrainer whose loss costs what the completions cost.

    Off a GPU, TRL 1.16 projects every position onto the vocabulary and then masks the prompt's: half of a step's
    time where prompts are longer than completions. Here the backbone hands on the scored positions alone; all else is
    TRL's own.
    """

    def compute_loss(
        self,
        model: "PreTrainedModel",
        inputs: Batch,
        return_outputs: bool = False,  # noqa: FBT001, FBT002 (the signature is TRL's)
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Mean loss of a scored token; with a `weight` a row, the sum of weight times loss over scored tokens."""
        labels = pad(inputs.pop("labels"), (0, 1), value=UNSCORED)[:, 1:]
        scored = labels != UNSCORED
        weight = inputs.pop("weight", None)
        inputs["shift_labels"] = labels[scored][None]
        whole = self.accelerator.unwrap_model(model)
        backbone = (whole.get_base_model() if hasattr(whole, "get_base_model") else whole).base_model
        with only_positions(backbone, scored):
            if weight is None:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        self._total_train_tokens += self.accelerator.gather_for_metrics(inputs["attention_mask"].sum()).sum().item()
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        token_weight = weight[:, None].expand_as(scored)[scored]
        loss = -(outputs.log_probs[0] * token_weight).sum()
        if num_items_in_batch is None:
            return loss / scored.sum()
        # The tokens are those of all processes, whose gradients are averaged.
        return loss / num_items_in_batch * self.accelerator.num_processes


@contextmanager
def only_positions(backbone: torch.nn.Module, kept: torch.Tensor) -> Iterator[None]:
    """Within it, the backbone's hidden states are those of the kept positions, as one row."""

    def keep(
        _module: torch.nn.Module, _inputs: tuple[object, ...], output: "BaseModelOutputWithPast"
    ) -> "BaseModelOutputWithPast":
        output.last_hidden_state = output.last_hidden_state[kept][None]
        return output

    hook = backbone.register_forward_hook(keep)
    try:
        yield
    finally:
        hook.remove()


class WithWeights:
    """Another collator's batch, with each row's weight beside it."""

    def __init__(self, collator: Callable[[list[Mapping[str, object]]], Batch]) -> None:
        self.collator = collator

    def __call__(self, rows: Sequence[Mapping[str, object]]) -> Batch:
        """Pad the rows to one length."""
        batch = self.collator([{name: row[name] for name in row if name != "weight"} for row in rows])
        batch["weight"] = torch.tensor([row["weight"] for row in rows])
        return batch


class WithMasks:
    """Another collator's batch, with only those tokens of answers that the assistant says itself.

    TRL 1.16 counts all tokens behind the prompt as the answer, also a tool's results and users' words.
    """

    def __init__(
        self,
        collator: Callable[[list[Mapping[str, object]]], Batch],
        answers: Mapping[str, Sequence[str]],
    ) -> None:
        self.collator, self.answers = collator, answers

    def __call__(self, rows: Sequence[Mapping[str, Sequence[int]]]) -> Batch:
        """Pad the rows to one length; all rows' first answers stand before all second ones."""
        batch = self.collator([{name: row[name] for name in row if not name.endswith(SAID)} for row in rows])
        for mask, answers in self.answers.items():
            lines = ((row, name) for name in answers for row in rows)
            for place, (row, name) in enumerate(lines):
                begins, said = len(row["prompt_ids"]), torch.tensor(row[name + SAID])
                batch[mask][place, begins : begins + len(said)] *= said
        return batch


class RowWeights(Discreet):
    """Before a TRL trainer whose rows come tokenised: a row's `weight` multiplies the gradient of its loss.

    In these losses a row's own log-probabilities stand in its own loss only, and all else in it is detached, so that
    this is the gradient of the weighted mean. The loss that is reported is the plain mean.
    """

    def _prepare_dataset(self, rows: Dataset, *_more: object) -> Dataset:
        return rows

    def compute_loss(self, model: "PreTrainedModel", inputs: Batch, *more: object, **options: object) -> torch.Tensor:
        """TRL's own loss."""
        weight = inputs.pop("weight", None)
        if weight is None:
            return super().compute_loss(model, inputs, *more, **options)  # type: ignore[misc]
        whole = self.accelerator.unwrap_model(model)  # type: ignore[attr-defined]
        with weighed(whole.get_base_model() if hasattr(whole, "get_base_model") else whole, weight):
            return super().compute_loss(model, inputs, *more, **options)  # type: ignore[misc]


@contextmanager
def weighed(model: torch.nn.Module, weight: torch.Tensor) -> Iterator[None]:
    """Within it, the gradient of a row's log-probabilities (or of its score) is multiplied by its weight.

    A batch of pairs has all chosen rows first, then all rejected ones.
    """

    def weigh(_module: torch.nn.Module, _inputs: tuple[object, ...], output: object) -> None:
        found = output.log_probs if hasattr(output, "log_probs") else output.logits  # type: ignore[attr-defined]
        if found.requires_grad:
            by_row = weight.repeat(len(found) // len(weight)).to(found)[:, None]
            found.register_hook(lambda gradient: gradient * by_row)

    hook = model.register_forward_hook(weigh)
    try:
        yield
    finally:
        hook.remove()
