"""Loading: a base and its adapter in memory, from safetensors only and never with remote code."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clworkbench.errors import ModelError
from clworkbench.files import sha256_file
from clworkbench.models.chat import Message, dialogue_tokens
from clworkbench.models.names import ModelSpec
from clworkbench.models.torch_setup import DType, import_torch, quiet_transformers
from clworkbench.models.weights import fingerprint, weights

if TYPE_CHECKING:
    from torch.nn import Module
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Loaded:
    """A model in memory, ready to generate."""

    spec: ModelSpec
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"

    def __repr__(self) -> str:
        return f"Loaded({self.spec.name!r}, {self.model.dtype}, {self.model.device})"


def load(
    spec: ModelSpec, *, dtype: DType = "bfloat16", threads: int | None = None, cache: Path | None = None
) -> Loaded:
    """The model of `spec` on the GPU, or on the CPU with `threads` threads (a setting of the whole process).

    The adapter is merged into the weights in float32, and the sum rounded once to `dtype`: an adapter that is kept
    apart costs half as much again at each token.

    Raises:
        ModelError: weights are missing or unreadable, or the adapter's hash is not the one in `spec`.
    """
    adapter = None if spec.adapter is None else checked_adapter(spec.adapter, spec.adapter_sha256)
    torch = import_torch(threads)
    base = checked_model(weights(spec.base, cache), spec.base_sha256)
    model, tokenizer = load_base(base, "float32" if adapter else dtype)
    if adapter is not None:
        model = attach_adapter(model, adapter, trainable=False).merge_and_unload()
    model = model.to(getattr(torch, dtype)).to("cuda" if torch.cuda.is_available() else "cpu")
    return Loaded(spec, model.eval(), tokenizer)


@dataclass(frozen=True)
class Rewarding:
    """A reward model in memory, ready to score."""

    spec: ModelSpec
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"

    def __repr__(self) -> str:
        return f"Rewarding({self.spec.name!r}, {self.model.dtype}, {self.model.device})"


def load_reward(
    spec: ModelSpec, *, dtype: DType = "bfloat16", threads: int | None = None, cache: Path | None = None
) -> Rewarding:
    """The reward model of `spec` on the GPU, or on the CPU with `threads` threads.

    That is a run of the method `reward`, or a whole model with a head that gives one score.

    Raises:
        ModelError: weights are missing or unreadable, the adapter's hash is not the one in `spec`, or it has no head
            that gives a score.
    """
    adapter = None if spec.adapter is None else checked_adapter(spec.adapter, spec.adapter_sha256)
    if adapter is not None and "SEQ_CLS" not in (adapter / "adapter_config.json").read_text():
        raise ModelError(f"model {spec.name}: its adapter answers, and gives no score. Name a run of --method reward.")
    base = checked_model(weights(spec.base, cache), spec.base_sha256)
    if adapter is None and not _gives_a_score(base):
        raise ModelError(f"model {spec.name}: no reward model. Train one with clw train --method reward.")
    torch = import_torch(threads)
    model, tokenizer = load_base(base, dtype, reward_seed=0)
    if adapter is not None:
        model = attach_adapter(model, adapter, trainable=False)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return Rewarding(spec, model.to("cuda" if torch.cuda.is_available() else "cpu").eval(), tokenizer)


def _gives_a_score(folder: Path) -> bool:
    """Whether a model's own head gives one number for a whole text."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        return False
    named = config.get("architectures") or []
    labels = config.get("id2label")
    # Without labels a configuration means two.
    return any(str(each).endswith("ForSequenceClassification") for each in named) and len(labels or "no") == 1


def rewards(
    rewarding: Rewarding,
    dialogues: Sequence[Sequence[Message]],
    tools: Sequence[str | None] | None = None,
    *,
    batch_size: int = 16,
) -> list[float]:
    """What each dialogue is worth to the reward model: higher is better, and only differences mean something.

    Args:
        rewarding: loaded by `load_reward`.
        dialogues: messages, prompt and answer together.
        tools: the schemas that could be called in each, as JSON.
        batch_size: dialogues at a time.

    Raises:
        ModelError: the chat template refuses a dialogue.
    """
    torch = import_torch()
    tokens = [
        dialogue_tokens(rewarding.tokenizer, dialogue, schemas)
        for dialogue, schemas in zip(dialogues, tools or [None] * len(dialogues), strict=True)
    ]
    found: list[float] = []
    for at in range(0, len(tokens), batch_size):
        batch = rewarding.tokenizer.pad(
            {"input_ids": tokens[at : at + batch_size]}, padding_side="right", return_tensors="pt"
        ).to(rewarding.model.device)
        with torch.inference_mode():
            found += rewarding.model(**batch).logits[:, 0].float().tolist()
    return found


def load_base(
    folder: Path, dtype: DType, *, reward_seed: int | None = None
) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Model and tokenizer of a folder of weights, on the CPU.

    Args:
        folder: safetensors and a tokenizer.
        dtype: of the weights in memory.
        reward_seed: loads a reward model instead: in the place of the head that names the next token stands one that
            gives a single score, with random weights of this seed.

    Raises:
        ModelError: the files there are not a causal language model with a chat template.
    """
    torch = import_torch()
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

    kind = AutoModelForCausalLM if reward_seed is None else AutoModelForSequenceClassification
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(reward_seed or 0)
        try:
            model = kind.from_pretrained(
                folder,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                **({} if reward_seed is None else {"num_labels": 1}),
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"model in {folder}: cannot be loaded: {first_line(error)}") from error
    if tokenizer.chat_template is None:
        raise ModelError(
            f"model in {folder}: its tokenizer has no chat template, so messages cannot be rendered.\n"
            "Take an instruct model, or save a chat_template.jinja beside the tokenizer."
        )
    if reward_seed is not None:
        _keep_exact(model.score if hasattr(model, "score") else model.classifier)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if unknown := beyond(tokenizer, model.get_input_embeddings().weight.shape[0]):
        raise ModelError(f"model in {folder}: {unknown}.")
    return model, tokenizer


def beyond(tokenizer: "PreTrainedTokenizerBase", n_known: int) -> str | None:
    """In words, which token that ends or fills rows the weights do not know; None where they know both.

    Args:
        tokenizer: of the base.
        n_known: tokens that its weights know (rows of the embedding).
    """
    for token, number in ((tokenizer.eos_token, tokenizer.eos_token_id), (tokenizer.pad_token, tokenizer.pad_token_id)):
        if number is not None and number >= n_known:
            return (
                f"its tokenizer's {token!r} is token {number:,}, and its weights know {n_known:,}. "
                "Resize its embeddings, or put the tokenizer beside it that it was made with"
            )
    return None


def _keep_exact(head: "Module") -> None:
    """Scores in float32: bfloat16 loses small updates of the head, and calls scores equal that are not."""
    head.float().register_forward_pre_hook(lambda _head, states: (states[0].float(),))


def checked_adapter(folder: Path, sha256: str | None) -> Path:
    """`folder`, once it is known to hold an adapter's safetensors with that hash (any hash when None)."""
    file = folder / ADAPTER_WEIGHTS
    if not file.is_file() or not (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"adapter in {folder}: no {ADAPTER_WEIGHTS} with its adapter_config.json. Train the run again."
        )
    found = sha256_file(file)
    if sha256 is not None and found != sha256:
        raise ModelError(
            f"adapter in {folder}: its SHA-256 is {found[:16]}…, the manifest says {sha256[:16]}….\n"
            "The file was changed after the run; train the run again."
        )
    return folder


def checked_model(folder: Path, sha256: str | None) -> Path:
    """`folder`, once it is known to hold the weights with that fingerprint (any when None)."""
    if sha256 is not None and (found := fingerprint(folder)) != sha256:
        raise ModelError(
            f"model in {folder}: its fingerprint is {found[:16]}…, the manifest says {sha256[:16]}….\n"
            "The files were changed after the run; train the run again."
        )
    return folder


def attach_adapter(model: "PreTrainedModel", folder: Path, *, trainable: bool) -> "PreTrainedModel":
    """The base with the adapter on it.

    Raises:
        ModelError: the adapter does not fit this base, or cannot be read.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    with quiet_transformers():
        try:
            return PeftModel.from_pretrained(model, str(folder), is_trainable=trainable, local_files_only=True)
        except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"adapter in {folder}: does not load on this base: {first_line(error)}") from error


def first_line(error: Exception) -> str:
    """An error in a line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
