"""TRL's GRPOTrainer as the runs use it: prompts as tokens, weighed answers, and an end where none helps.

This module imports TRL (12 s of CPU) at its top; import it inside the function that trains.
"""

import json
from collections.abc import Mapping, Sequence

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import GRPOTrainer

from clworkbench.errors import ModelError
from clworkbench.runs.trainers import Batch, Discreet

SEEDS_A_STEP = 10_007
"""More than there are processes, so that no two of them sample alike."""


class PromptTrainer(Discreet, GRPOTrainer):  # type: ignore[misc] # TRL ships no types that mypy reads
    """GRPOTrainer on prompts that are rendered already: each is its tokens, as a JSON list."""

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, object]]:
        return [json.loads(prompt) for prompt in prompts], None, {}

    def _generate_and_score_completions(self, inputs: Sequence[Mapping[str, object]]) -> Batch:
        # What is sampled depends on the step alone, so that a run which goes on after a kill samples the same.
        torch.manual_seed(self.args.seed + SEEDS_A_STEP * self.state.global_step + self.accelerator.process_index)
        batch: Batch = super()._generate_and_score_completions(inputs)
        if "weight" in inputs[0]:
            advantages = batch["advantages"]
            batch["advantages"] = advantages * torch.tensor([row["weight"] for row in inputs]).to(advantages)
        return batch


class NothingLearned(TrainerCallback):  # type: ignore[misc] # transformers ships no types that mypy reads
    """Stops a run once, for so many steps in a row, all answers to a prompt were worth the same."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: Mapping[str, float],
        **_more: object,
    ) -> None:
        """Look back over the last steps, those before a resumption too."""
        if "frac_reward_zero_std" not in logs:
            return
        told = [entry for entry in state.log_history if "frac_reward_zero_std" in entry][-self.steps :]
        if len(told) < self.steps or any(entry["frac_reward_zero_std"] < 1 for entry in told):
            return
        reward = sum(entry["reward"] for entry in told) / len(told)
        raise ModelError(
            f"training: nothing was learned in {self.steps} steps up to step {state.global_step}: all answers to a "
            f"prompt were worth the same, {reward:.2f} on average.\n{self._advice(reward)}"
        )

    def _advice(self, reward: float) -> str:
        if reward > 0.5:
            return "The model answers these prompts rightly already: take harder ones."
        return (
            "Start from a supervised run that is right now and then (--parent RUN), raise [training.grpo] generations, "
            "or look whether answers are cut: they have a quarter of max_tokens."
        )
