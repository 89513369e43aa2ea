"""What a reward model says an answer is worth, to the prompt that it answers."""

from collections.abc import Mapping
from functools import cache

import polars as pl

from clworkbench.errors import ClwError, ModelError
from clworkbench.models.chat import dialogue_tokens
from clworkbench.models.load import Rewarding, load_reward, rewards
from clworkbench.models.names import ModelSpec
from clworkbench.models.weights import fingerprint, weights
from clworkbench.scorers.scorer import Graded, Scorer, here, nobody_can_say

KIND = "reward:"


def reward(name: str) -> Scorer:
    """The score that a reward model gives prompt and answer together; an empty answer has one too.

    It has no scale: only differences between answers mean something, and no answer has full marks.

    Raises:
        ClwError: no model is named.
        ModelError: it leads nowhere, or is no reward model.
    """
    model = name.removeprefix(KIND)
    if not model:
        raise ClwError(f"scorer {name!r}: after reward: stands a run of `clw train --method reward`, or a model.")
    spec = here().model(model)

    @cache
    def loaded() -> Rewarding:
        return load_reward(spec)

    def grade(outputs: pl.Series, _expected: pl.Series, inputs: pl.Series | None) -> Graded:
        assert inputs is not None
        return _graded(loaded(), outputs, inputs)

    return Scorer(name, grade, nobody_can_say, lambda: _content(spec), reads_input=True, scaled=False)


def _content(spec: ModelSpec) -> str:
    return f"{fingerprint(weights(spec.base))} {spec.adapter_sha256 or ''}".strip()


def _graded(rewarding: Rewarding, outputs: pl.Series, inputs: pl.Series) -> Graded:
    """A dialogue that the model cannot read has no score, and says why."""
    context = getattr(rewarding.model.config.get_text_config(), "max_position_embeddings", None)
    dialogues = [
        [*asked, {"role": "assistant", "content": said or ""}] for asked, said in zip(inputs, outputs, strict=True)
    ]
    errors = [_unreadable(rewarding, dialogue, context) for dialogue in dialogues]
    fit = [dialogue for dialogue, error in zip(dialogues, errors, strict=True) if error is None]
    scores = iter(rewards(rewarding, fit))
    found = [None if error else next(scores) for error in errors]
    return Graded(pl.Series("score", found, dtype=pl.Float64), pl.Series("error", errors, dtype=pl.String))


def _unreadable(rewarding: Rewarding, dialogue: list[Mapping[str, object]], context: int | None) -> str | None:
    try:
        n_tokens = len(dialogue_tokens(rewarding.tokenizer, dialogue))
    except ModelError as error:
        return f"the reward model cannot read it: {error}"
    if context is not None and n_tokens > context:
        return f"prompt and answer have {n_tokens} tokens, and the reward model reads {context}"
    return None
