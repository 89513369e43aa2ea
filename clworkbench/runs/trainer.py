"""TRL's SFT trainer for completions: the LM head sees scored tokens only, and rows may weigh more or less.

This module imports TRL (12 s of CPU) at its top; import it inside the function that trains.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import torch
from datasets import Dataset
from peft import LoraConfig
from torch.nn.functional import pad
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from clworkbench.errors import ModelError
from clworkbench.runs.checkpoints import mark_complete
from clworkbench.runs.examples import UNSCORED
from clworkbench.runs.settings import SftSettings

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from transformers.modeling_outputs import BaseModelOutputWithPast

Batch = dict[str, torch.Tensor]


def completion_trainer(
    model: "PreTrainedModel | PeftModel",
    tokenizer: "PreTrainedTokenizerBase",
    rows: pl.DataFrame,
    checkpoints: Path,
    settings: SftSettings,
) -> "CompletionTrainer":
    """A trainer for tokenised rows (`input_ids`, `labels`, `weight`).

    It trains the adapter that `model` carries, or else a new one.
    """
    weighted = rows["weight"].n_unique() > 1
    lora = LoraConfig(r=settings.rank, lora_alpha=2 * settings.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    scaled = rows.with_columns(weight=pl.col("weight") / pl.col("weight").mean())
    trainer = CompletionTrainer(
        model=model,
        args=_arguments(checkpoints, settings, bf16=model.dtype == torch.bfloat16, weighted=weighted),
        train_dataset=Dataset.from_dict((scaled if weighted else scaled.drop("weight")).to_dict(as_series=False)),
        processing_class=tokenizer,
        data_collator=WeightedCollator(tokenizer.pad_token_id) if weighted else None,
        peft_config=None if hasattr(model, "peft_config") else lora,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(checkpoints: Path, settings: SftSettings, *, bf16: bool, weighted: bool) -> SFTConfig:
    return SFTConfig(
        output_dir=str(checkpoints),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(settings.steps / 10),
        seed=settings.seed,
        data_seed=settings.seed,
        max_length=None,
        train_sampling_strategy="group_by_length",
        save_strategy="steps",
        save_steps=settings.checkpoint_every,
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=[],
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        activation_checkpointing=False,
        remove_unused_columns=not weighted,
    )


class CompletionTrainer(SFTTrainer):  # type: ignore[misc] # TRL ships no types that mypy reads
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
        backbone = self.accelerator.unwrap_model(model).get_base_model().base_model
        with only_positions(backbone, scored):
            if weight is None:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        token_weight = weight[:, None].expand_as(scored)[scored]
        tokens = scored.sum() if num_items_in_batch is None else num_items_in_batch
        return -(outputs.log_probs[0] * token_weight).sum() / tokens


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


class WeightedCollator:
    """TRL's collator, with each row's weight beside its tokens."""

    def __init__(self, pad_token_id: int) -> None:
        self.tokens = DataCollatorForLanguageModeling(pad_token_id=pad_token_id)

    def __call__(self, rows: Sequence[Mapping[str, object]]) -> Batch:
        """Pad the rows to one length."""
        batch: Batch = self.tokens([{name: row[name] for name in ("input_ids", "labels")} for row in rows])
        batch["weight"] = torch.tensor([row["weight"] for row in rows])
        return batch


class Progress(TrainerCallback):  # type: ignore[misc] # transformers ships no types that mypy reads
    """Reports each step, stops at a loss that is no number, and marks checkpoints once they are whole."""

    def __init__(
        self,
        run: str,
        seconds_before: float,
        on_step: Callable[[int, int, float], None] | None,
        on_checkpoint: Callable[[], None] | None,
    ) -> None:
        self.run = run
        self.seconds_before = seconds_before
        self.on_step = on_step
        self.on_checkpoint = on_checkpoint
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a resumption counted."""
        return self.seconds_before + time.monotonic() - self.started

    def on_train_begin(
        self, _args: TrainingArguments, _state: TrainerState, _control: TrainerControl, **_more: object
    ) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: Mapping[str, float],
        **_more: object,
    ) -> None:
        """Report the step, unless its numbers are none."""
        if "loss" not in logs:
            return
        wrong = [name for name in ("loss", "grad_norm") if not math.isfinite(logs.get(name, 0.0))]
        if wrong:
            raise ModelError(
                f"training: {wrong[0]} is {logs[wrong[0]]} at step {state.global_step} of {state.max_steps}.\n"
                "Lower learning_rate, or look at the rows for broken text."
            )
        if self.on_step is not None:
            self.on_step(state.global_step, state.max_steps, logs["loss"])

    def on_save(self, args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_more: object) -> None:
        """Mark the checkpoint that was just written; after the last one there is nothing left to stop."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        mark_complete(folder, self.run, state.global_step, self.seconds)
        if self.on_checkpoint is not None and state.global_step < state.max_steps:
            self.on_checkpoint()
