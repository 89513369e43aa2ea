"""What a run leaves: its weights, moved to their place whole, and its last word, written after them."""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.errors import ArtefactError
from clworkbench.files import sha256_file, write_atomically
from clworkbench.models.load import ADAPTER_WEIGHTS, checked_adapter, checked_model
from clworkbench.models.torch_setup import import_torch
from clworkbench.models.weights import fingerprint
from clworkbench.runs.settings import LOSSES, RunResult
from clworkbench.runs.start import Start

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FINISHED = "training.json"
ADAPTER = "adapter"
MODEL = "model"


def publish(model: "PreTrainedModel", start: Start, out: Path, *, full: bool) -> str:
    """Writes the weights beside their place and moves them there whole.

    Returns:
        What identifies them: an adapter's SHA-256, or the fingerprint of a folder with all weights.
    """
    name = MODEL if full else ADAPTER
    building = out / f".{name}.{os.getpid()}"
    for left in out.glob(f".{name}.*"):
        shutil.rmtree(left)
    try:
        if full:
            model.to(getattr(import_torch(), start.laid_out.dtype)).save_pretrained(building)
            start.tokenizer.save_pretrained(building)
        else:
            # TRL may have put a copy of the parent's adapter beside it, as the reference.
            model.save_pretrained(building, safe_serialization=True, selected_adapters=["default"])
            _settle_config(building / "adapter_config.json", start.base)
        (building / "README.md").unlink(missing_ok=True)
        # Without training.json the weights do not count: they are the same run's, killed before its last word.
        shutil.rmtree(out / name, ignore_errors=True)
        building.rename(out / name)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return fingerprint(out / MODEL) if full else sha256_file(out / ADAPTER / ADAPTER_WEIGHTS)


def _settle_config(file: Path, base: Path) -> None:
    """PEFT writes the base's absolute path, and the target modules in an order that changes by process."""
    config = json.loads(file.read_text())
    config |= {"base_model_name_or_path": base.name, "target_modules": sorted(config["target_modules"])}
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def last_word(out: Path, report: dict[str, object]) -> None:
    """Writes what makes the run count; `report` is what `finished` reads."""
    write_atomically(out / FINISHED, json.dumps(report, indent=1, sort_keys=True))


def finished(out: Path, run: str) -> RunResult:
    """What the run left.

    Raises:
        ArtefactError: the folder holds another run.
        ModelError: its weights were changed since.
    """
    told = json.loads((out / FINISHED).read_text())
    if told["run"] != run:
        raise ArtefactError(
            f"training: {out} holds a finished run of other rows, settings, base, parent or environment.\n"
            "Runs are never overwritten: train into another folder."
        )
    sha256 = told["adapter_sha256"]
    extra = {name: pl.Float64() for name in told["columns"]}
    losses = pl.DataFrame(told["losses"], schema={**LOSSES, **extra}, orient="row")
    weights = checked_model(out / MODEL, sha256) if (out / MODEL).is_dir() else checked_adapter(out / ADAPTER, sha256)
    return RunResult(
        method=told["method"],
        adapter=weights,
        adapter_sha256=sha256,
        steps=losses.height,
        seconds=told["seconds"],
        n_tokens=told.get("n_tokens"),
        losses=losses,
        loss_first=losses["loss"][0],
        loss_last=losses["loss"][-1],
        rows=told["rows"],
        truncated=told["truncated"],
        dropped=told["dropped"],
        environment=told["environment"],
        details=told["details"],
    )
