"""Where training starts: a base or a parent's weights in memory, and all that the result's bytes depend on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clworkbench.errors import ModelError
from clworkbench.files import sha256_file
from clworkbench.models.load import ADAPTER_WEIGHTS, attach_adapter, checked_adapter, load_base
from clworkbench.models.torch_setup import import_torch
from clworkbench.models.weights import fingerprint
from clworkbench.runs.presets import Layout, environment, layout
from clworkbench.runs.settings import RunSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EAGER_UP_TO_TOKENS = 256
"""On a CPU, plain attention beats torch's fused one on short rows (3.4 against 4.4 CPU s a step of 16 x 44 tokens);
on long ones its memory grows with the square."""


@dataclass(frozen=True)
class Start:
    """A model about to be trained.

    Attributes:
        model: of the base; a parent's adapter is put on it by `trainable`.
        tokenizer: of the base.
        base: folder of the base.
        parent: folder of the parent's adapter, or of its model where all weights are trained.
        parent_sha256: what stands there.
        laid_out: how the rows of a step are worked off.
        environment: what the adapter's bytes depend on beside its inputs.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    base: Path
    parent: Path | None
    parent_sha256: str | None
    laid_out: Layout
    environment: dict[str, str | int]

    @property
    def on_cpu(self) -> bool:
        """Whether no GPU takes part."""
        return self.laid_out.preset == "cpu"

    def trainable(self, settings: RunSettings, longest: int) -> "PreTrainedModel":
        """The model with the parent's adapter on it, where there is one."""
        if self.on_cpu and longest <= EAGER_UP_TO_TOKENS:
            self.model.set_attn_implementation("eager")
        if self.parent is None or settings.rank == 0:
            return self.model
        return attach_adapter(self.model, self.parent, trainable=True)


def start(base: Path, settings: RunSettings, parent: Path | None, *, reward: bool = False) -> Start:
    """Loads what training starts from, and sets the process's threads.

    Args:
        base: folder with safetensors and a tokenizer.
        settings: of the run.
        parent: folder of the parent's adapter, or of its model where all weights are trained.
        reward: as a reward model, with a head of one score.

    Raises:
        ModelError: base or parent cannot be loaded, or do not fit these settings.
    """
    import_torch(settings.machine.threads)
    laid_out = layout(settings.machine, settings.batch_size)
    parent_sha256 = None if parent is None else _parent_sha256(parent, settings.rank)
    full = settings.rank == 0
    # Updates are smaller than what bfloat16 can hold beside a weight; an adapter's own weights are float32 always.
    dtype = "float32" if full else laid_out.dtype
    folder = parent if full and parent else base
    model, tokenizer = load_base(folder, dtype, reward_seed=settings.seed if reward else None)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if isinstance(context, int) and settings.max_tokens > context:
        raise ModelError(
            f"training: max_tokens = {settings.max_tokens}, and the base's context holds {context}. Lower max_tokens."
        )
    return Start(model, tokenizer, base, parent, parent_sha256, laid_out, environment(laid_out))


def _parent_sha256(parent: Path, rank: int) -> str:
    if rank == 0:
        if not (parent / "config.json").is_file():
            raise ModelError(
                f"training: rank = 0 trains all weights, and the parent in {parent} is an adapter.\n"
                "Set rank to the adapter's, or train without a parent from what clw export makes of it."
            )
        return fingerprint(parent)
    if (parent / "config.json").is_file():
        raise ModelError(
            "training: the parent was trained in all its weights. Set rank = 0, or train without a parent."
        )
    checked_adapter(parent, None)
    try:
        found = json.loads((parent / "adapter_config.json").read_text()).get("r")
    except ValueError as error:
        raise ModelError(f"adapter in {parent}: adapter_config.json is no JSON. Train the run again.") from error
    if found != rank:
        raise ModelError(
            f"training: the parent's adapter has rank {found}, the settings say {rank}. Set rank = {found}."
        )
    return sha256_file(parent / ADAPTER_WEIGHTS)
