"""One base in memory and adapters on it: which model a row is answered by is said row by row."""

from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from clworkbench.errors import ModelError
from clworkbench.models.engine.refusals import UnknownModel
from clworkbench.models.load import Loaded, checked_adapter, checked_model, first_line, load_base
from clworkbench.models.names import ModelSpec
from clworkbench.models.torch_setup import DType, import_torch, quiet_transformers
from clworkbench.models.weights import weights

if TYPE_CHECKING:
    import torch

BARE = "__base__"
"""What PEFT calls a row that no adapter answers."""


class Held:
    """A base and its adapters, by the names of the models that they make.

    An adapter is kept apart, in the base's own number format, so that several share the base: an answer can differ in
    a rounding from that of the same adapter merged into the weights, which is how suites are scored.

    Args:
        specs: the models; all on the same base.
        dtype: of the weights in memory.
        threads: of torch, on the CPU.
        cache: where converted weights are kept.

    Raises:
        ModelError: weights are missing, changed or unreadable, an adapter does not fit, or bases differ.
    """

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        *,
        dtype: DType = "bfloat16",
        threads: int | None = None,
        cache: Path | None = None,
    ) -> None:
        torch = import_torch(threads)
        self._spec = specs[0]
        self._check_bases(specs)
        base = checked_model(weights(self._spec.base, cache), self._spec.base_sha256)
        model, tokenizer = load_base(base, dtype)
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self.loaded = Loaded(self._spec, self._model, tokenizer)
        self._adapters: dict[str, str] = {}
        self._specs: dict[str, ModelSpec] = {}
        self._numbers = count()
        self._active: str | None = None
        self.add(specs)

    @property
    def models(self) -> list[str]:
        """The models that answer."""
        return list(self._specs)

    @property
    def context(self) -> int | None:
        """Tokens that the base reads and writes together; None where its configuration does not say."""
        return getattr(self.loaded.model.config.get_text_config(), "max_position_embeddings", None)

    def checked(self, specs: Sequence[ModelSpec]) -> list[ModelSpec]:
        """Those among `specs` that are not held yet; their files are looked at, and nothing is loaded.

        Raises:
            ModelError: an adapter is missing or changed, or it is on another base.
        """
        self._check_bases(specs)
        new = [spec for spec in specs if self._specs.get(spec.name) != spec]
        for spec in new:
            if spec.adapter is not None:
                checked_adapter(spec.adapter, spec.adapter_sha256)
        return new

    def add(self, specs: Sequence[ModelSpec]) -> None:
        """Loads the models that are not held yet; all of them, or none.

        Raises:
            ModelError: as `checked`, or an adapter does not load on this base.
        """
        made: dict[str, str] = {}
        new = self.checked(specs)
        try:
            for spec in new:
                made[spec.name] = BARE if spec.adapter is None else self._attach(spec.adapter)
        except ModelError:
            self._delete(made.values())
            raise
        replaced = [self._adapters[name] for name in made if name in self._adapters]
        self._adapters |= made
        self._specs |= {spec.name: spec for spec in new}
        self._delete(replaced)

    def drop(self, names: Iterable[str]) -> None:
        """Lets go of models; nothing may be answering by them."""
        gone = [self._adapters.pop(name) for name in names if self._specs.pop(name, None) is not None]
        self._delete(gone)

    def adapter(self, name: str) -> str:
        """What a row is marked with.

        Raises:
            UnknownModel: no such model is held.
        """
        try:
            return self._adapters[name]
        except KeyError:
            raise UnknownModel(f"no model {name!r} here. There: {', '.join(self._specs)}.") from None

    def logits(self, adapters: Sequence[str], **inputs: object) -> "torch.Tensor":
        """The last position's logits, float32, each row by its own adapter."""
        named = {} if self._same(adapters) else {"adapter_names": list(adapters)}
        return self._model(**inputs, **named, use_cache=True).logits[:, -1].float()

    def _same(self, adapters: Sequence[str]) -> bool:
        """Whether all rows are answered alike, by what is then switched on: cheaper than to tell rows apart."""
        if self._model is self.loaded.model:
            return True
        first = adapters[0]
        if first == BARE or any(each != first for each in adapters):
            return False
        if self._active != first:
            self._model.set_adapter(first)
            self._active = first
        return True

    def _attach(self, folder: Path) -> str:
        from peft import PeftModel
        from safetensors import SafetensorError

        name = f"adapter_{next(self._numbers)}"
        bare = self._model is self.loaded.model
        # In the base's number format: float32 would be cast to and fro for each token.
        options = {"adapter_name": name, "is_trainable": False, "autocast_adapter_dtype": False}
        with quiet_transformers():
            try:
                if bare:
                    self._model = PeftModel.from_pretrained(self.loaded.model, str(folder), **options).eval()
                else:
                    self._model.load_adapter(str(folder), **options)
                    self._model.eval()
            except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
                self._recover(name, bare=bare)
                raise ModelError(f"adapter in {folder}: does not load on this base: {first_line(error)}") from error
        self._active = None
        return name

    def _recover(self, name: str, *, bare: bool) -> None:
        """Takes what a failed load left behind off the base."""
        if not bare and name in self._model.peft_config:
            self._delete([name])

    def _delete(self, adapters: Iterable[str]) -> None:
        with quiet_transformers():
            for name in adapters:
                if name != BARE:
                    self._model.delete_adapter(name)
                    self._active = None

    def _check_bases(self, specs: Sequence[ModelSpec]) -> None:
        first = self._spec
        for spec in specs:
            if (spec.base, spec.base_sha256) != (first.base, first.base_sha256):
                raise ModelError(
                    f"{spec.name} is on {spec.base}, and {first.name} on {first.base}: adapters share one base.\n"
                    "Serve each by a server of its own, behind a router: clw rollout export."
                )
