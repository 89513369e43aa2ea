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
    """A whole checkpoint of this run: its folder, the steps done, and the seconds and tokens they took."""

    folder: Path
    step: int
    seconds: float
    n_tokens: int


def identity(**parts: object) -> str:
    """SHA-256 over what decides a run's result; JSON with sorted keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def mark_complete(folder: Path, run: str, step: int, seconds: float, n_tokens: int) -> None:
    """Make the checkpoint count, and remove the older ones, which it replaces."""
    told = {"run": run, "step": step, "seconds": seconds, "n_tokens": n_tokens}
    write_atomically(folder / MARKER, json.dumps(told))
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
            took = float(str(says["seconds"])), int(str(says.get("n_tokens", 0)))
            found.append(Checkpoint(folder, int(str(says["step"])), *took))
    if not found:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return max(found, key=lambda checkpoint: checkpoint.step, default=None)


def steps_done(checkpoints: Path) -> int:
    """The steps behind the furthest whole checkpoint, whoever wrote it; nothing is removed."""
    told = [says for folder in checkpoints.glob("checkpoint-*") if (says := _marker(folder))]
    return max((int(str(says["step"])) for says in told), default=0)


def _marker(folder: Path) -> dict[str, object] | None:
    try:
        says = json.loads((folder / MARKER).read_text())
    except (OSError, ValueError):
        return None
    return says if isinstance(says, dict) else None
