"""Loading: a base and its adapter in memory, from safetensors only and never with remote code."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clworkbench.errors import ModelError
from clworkbench.files import sha256_file
from clworkbench.models.names import ModelSpec
from clworkbench.models.torch_setup import DType, import_torch, quiet_transformers
from clworkbench.models.weights import weights

if TYPE_CHECKING:
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
    model, tokenizer = load_base(weights(spec.base, cache), "float32" if adapter else dtype)
    if adapter is not None:
        model = attach_adapter(model, adapter, trainable=False).merge_and_unload()
    model = model.to(getattr(torch, dtype)).to("cuda" if torch.cuda.is_available() else "cpu")
    return Loaded(spec, model.eval(), tokenizer)


def load_base(folder: Path, dtype: DType) -> "tuple[PreTrainedModel, PreTrainedTokenizerBase]":
    """Model and tokenizer of a folder of weights, on the CPU.

    Raises:
        ModelError: the files there are not a causal language model with a chat template.
    """
    torch = import_torch()
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_transformers():
        try:
            model = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"model in {folder}: cannot be loaded: {_first_line(error)}") from error
    if tokenizer.chat_template is None:
        raise ModelError(
            f"model in {folder}: its tokenizer has no chat template, so messages cannot be rendered.\n"
            "Take an instruct model, or save a chat_template.jinja beside the tokenizer."
        )
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


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
            raise ModelError(f"adapter in {folder}: does not load on this base: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
