"""What the stories share: a workspace of their own, a first champion, a model's answers, and turns of the loop."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import polars as pl

from clworkbench.display.progress import progress_bar
from clworkbench.errors import ClwError
from clworkbench.files import write_atomically
from clworkbench.loop import data
from clworkbench.loop.cycle import Cycle, cycle
from clworkbench.loop.evals import model
from clworkbench.loop.releases import ship
from clworkbench.loop.runs.train import train
from clworkbench.loop.training_sets import convert
from clworkbench.workspace import Workspace
from clworkbench.workspace.rollouts import rollouts

STORY = "story.json"
"""The file by which a demo's workspace is known."""

Say = Callable[[str], None]
"""Told what happens, line by line."""


def open_story(place: Path, story: Mapping[str, object], settings: str) -> Workspace:
    """The story's workspace: made with these settings, or found as this very story's.

    Raises:
        ClwError: the folder holds another story, or a workspace that is no story's.
    """
    known = place / STORY
    if known.exists() and json.loads(known.read_text()) != story:
        raise ClwError(
            f"{place}: holds another story (other data, seed or size).\n"
            "Play this one elsewhere with --workspace DIR, or remove that folder."
        )
    if (place / "catalog.db").exists():
        if not known.exists():
            raise ClwError(f"{place}: a workspace, but not a demo's. Play the story elsewhere with --workspace DIR.")
        return Workspace(place)
    place.mkdir(parents=True, exist_ok=True)
    write_atomically(known, json.dumps(story, indent=2))
    (place / "inbox").mkdir(exist_ok=True)
    return Workspace.create(place, settings=settings, key=sha256(f"demo {story['seed']}".encode()).digest())


def write_lines(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes rows as JSON lines, whole, unless the file is there; none make no file."""
    if rows and not path.exists():
        write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def freeze(workspace: Workspace, name: str, examples: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Freezes the story's suite; returns its manifest."""
    file = workspace.folder / f"{name}.jsonl"
    write_lines(file, examples)
    return data.freeze_suite(workspace, name, file)


def first_champion(workspace: Workspace, *, steps: int, rate: float, say: Say) -> str:
    """Trains the first champion on what is there and releases it, or finds it released. Returns its run."""
    if served := workspace.catalog.champions():
        return next(parent for parent in workspace.catalog.parents(served[0][0]) if parent.startswith("run:"))
    made = convert.build(workspace, "champion")
    say(f"  build    {made.id}: {made.built.frame.height} rows from the operators' answers")
    with progress_bar("train the champion") as advance:
        run = train(workspace, made.id, steps=steps, learning_rate=rate, advance=advance)
    say(f"  train    {run.id}: {len(run.losses)} steps, loss {run.losses[0]:.2f} to {run.losses[-1]:.2f}")
    released = ship.release(workspace, run.id, initial=True)
    say(f"  release  {released.id} serves")
    return run.id


def answers(
    workspace: Workspace, name: str, asked: Sequence[Sequence[Mapping[str, str]]], *, title: str, max_new_tokens: int
) -> pl.DataFrame:
    """A model's answers, as `models.generate.GENERATIONS`, behind a bar titled `title`."""
    from clworkbench.models.generate import generate
    from clworkbench.models.load import load

    settings = workspace.settings.model
    loaded = load(model.resolve(workspace, name), dtype=settings.dtype, threads=settings.threads)
    with progress_bar(title) as advance:
        return generate(
            loaded,
            asked,
            max_new_tokens=max_new_tokens,
            batch_size=workspace.settings.evals.batch_size,
            on_progress=lambda done, total: advance(done, total, ""),
        )


def turn(
    workspace: Workspace, number: int, say: Say, *, as_of: datetime | None = None, event_time: bool = False
) -> Cycle:
    """The story's turn `number` (from 0) of `clw cycle`: played, or found finished.

    Raises:
        ClwError: the turn stopped before its gate.
    """
    if (done := _finished(workspace, number)) is not None:
        say("  (the loop went through on an earlier call)")
        return done
    played = cycle(workspace, as_of=as_of, event_time=event_time, say=lambda step, line: say(f"  {step:<8} {line}"))
    if played.gate is None:
        raise ClwError(f"the loop stopped before its gate; it waits for {played.waits_for}")
    return played


def _finished(workspace: Workspace, number: int) -> Cycle | None:
    """What an earlier call's turn came to, once nothing of it is left to do."""
    gates = workspace.catalog.artefacts("gate")
    if len(gates) <= number:
        return None
    gate = gates[number]
    released = [str(m["id"]) for m in workspace.catalog.artefacts("release") if m["gate"] == gate["id"]]
    serves = {name for name, _, _ in workspace.catalog.champions()}
    serves |= {each.release for each in rollouts(workspace.catalog)}
    if gate["decision"] == "promote" and not serves & set(released):
        return None
    return Cycle(
        run=str(gate["challenger"]),
        gate=str(gate["id"]),
        decision=str(gate["decision"]),
        release=released[0] if released else None,
    )
