"""What is told and kept while a run goes on: steps, broken losses, and checkpoints once they are whole."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from clworkbench.errors import ModelError
from clworkbench.runs.checkpoints import Checkpoint, mark_complete


class Progress(TrainerCallback):  # type: ignore[misc] # transformers ships no types that mypy reads
    """Reports each step, stops at a loss that is no number, and marks checkpoints once they are whole."""

    def __init__(
        self,
        run: str,
        before: Checkpoint | None,
        on_step: Callable[[int, int, float, int], bool | None] | None,
        on_checkpoint: Callable[[], None] | None,
    ) -> None:
        self.run = run
        self.seconds_before = before.seconds if before else 0.0
        self.tokens_before = before.n_tokens if before else 0
        self.n_tokens = self.tokens_before
        self.on_step = on_step
        self.on_checkpoint = on_checkpoint
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a resumption counted."""
        return self.seconds_before + time.monotonic() - self.started

    def on_train_begin(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_more: object
    ) -> None:
        """Start the clock; where the trainer goes on counting tokens after a resumption, they are not counted twice."""
        self.started = time.monotonic()
        self.tokens_before -= state.num_input_tokens_seen

    def on_step_end(
        self, _args: TrainingArguments, state: TrainerState, control: TrainerControl, **_more: object
    ) -> None:
        """Keep no checkpoint of the last step: transformers would take one step more from there."""
        if state.global_step >= state.max_steps:
            control.should_save = False

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float],
        **_more: object,
    ) -> None:
        """Report the step, unless its numbers are none; a checkpoint is written where the report asks for one."""
        if "loss" not in logs:
            return
        wrong = [name for name in ("loss", "grad_norm") if not math.isfinite(logs.get(name, 0.0))]
        if wrong:
            raise ModelError(
                f"training: {wrong[0]} is {logs[wrong[0]]} at step {state.global_step} of {state.max_steps}.\n"
                "Lower learning_rate, or look at the rows for broken text."
            )
        self.n_tokens = self.tokens_before + int(logs.get("num_tokens", 0))
        wanted = [False]
        if self.on_step is not None:
            wanted = [bool(self.on_step(state.global_step, state.max_steps, logs["loss"], self.n_tokens))]
        if PartialState().num_processes > 1:
            broadcast_object_list(wanted)
        control.should_save = control.should_save or (wanted[0] and state.global_step < state.max_steps)

    def on_save(self, args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_more: object) -> None:
        """Mark the checkpoint that was just written."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        # Each process writes its own random state into it.
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            mark_complete(folder, self.run, state.global_step, self.seconds, self.n_tokens)
        PartialState().wait_for_everyone()
        if self.on_checkpoint is not None:
            self.on_checkpoint()
