"""Export: a run as a model of its own, which any program loads that reads Hugging Face's folders."""

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from clworkbench.errors import ArtefactError
from clworkbench.files import told_when_full
from clworkbench.loop.evals.model import resolve
from clworkbench.workspace import Workspace


@dataclass(frozen=True)
class Export:
    """A model that was written: the `run` it is, its `folder`, and the size there."""

    run: str
    folder: Path
    mb: float

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw export --json`."""
        return {"run": self.run.removeprefix("run:"), "folder": str(self.folder), "mb": self.mb}


def export(workspace: Workspace, run: str, folder: Path | str) -> Export:
    """Writes a run as a model: its adapter merged into its base, with tokenizer and chat template.

    The adapter is added in float32, and the sum rounded once to `[model] dtype`. The folder is there whole, or not at
    all.

    Args:
        workspace: where the run is.
        run: a run or a release.
        folder: where the model goes; it must not be there, or be empty.

    Raises:
        ModelError: a name that is no run, or a reward model.
        ArtefactError: something stands in the folder, or the disk is full.
    """
    from clworkbench.models.load import load
    from clworkbench.models.torch_setup import quiet_transformers

    folder = Path(folder).resolve()
    _refuse_taken(folder)
    spec = resolve(workspace, run)
    if not spec.name.startswith("run:"):
        raise ArtefactError(f"{run}: no run or release, so there is nothing to merge. `clw status` lists runs.")
    settings = workspace.settings.model
    loaded = load(spec, dtype=settings.dtype, threads=settings.threads)
    building = folder.with_name(f".{folder.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}")
    try:
        with told_when_full("export", folder), quiet_transformers():
            folder.parent.mkdir(parents=True, exist_ok=True)
            loaded.model.save_pretrained(building)
            loaded.tokenizer.save_pretrained(building)
            _refuse_taken(folder)
            building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return Export(spec.name, folder, round(size / 1e6, 1))


def _refuse_taken(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtefactError(f"export: something stands in {folder} already. Name a folder that is not there, or empty.")
