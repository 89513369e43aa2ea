"""Checkpoints that count only when whole, and only for the run that wrote them."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from clworkbench.files import write_atomically

MARKER = "complete.json"


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint of this run: its folder, the steps done, and the seconds they took."""

    folder: Path
    step: int
    seconds: float


def identity(**parts: object) -> str:
    """SHA-256 over what decides a run's result; JSON with sorted keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def mark_complete(folder: Path, run: str, step: int, seconds: float) -> None:
    """Make the checkpoint count, and remove the older ones, which it replaces."""
    write_atomically(folder / MARKER, json.dumps({"run": run, "step": step, "seconds": seconds}))
    for other in folder.parent.glob("checkpoint-*"):
        if other != folder:
            shutil.rmtree(other)


def latest(checkpoints: Path, run: str) -> Checkpoint | None:
    """The furthest whole checkpoint of `run`; half written ones, and those of another run, are removed."""
    found = []
    for folder in checkpoints.glob("checkpoint-*"):
        says = _marker(folder)
        if says is None or says.get("run") != run:
            shutil.rmtree(folder)
        else:
            found.append(Checkpoint(folder, int(str(says["step"])), float(str(says["seconds"]))))
    if not found:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return max(found, key=lambda checkpoint: checkpoint.step, default=None)


def _marker(folder: Path) -> dict[str, object] | None:
    try:
        says = json.loads((folder / MARKER).read_text())
    except (OSError, ValueError):
        return None
    return says if isinstance(says, dict) else None
