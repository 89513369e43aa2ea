"""`clw init`, `status`, `cycle` and `demo`: where a user starts."""

from datetime import datetime
from pathlib import Path

import click

from clworkbench.cli.verb import Answer, No, answers, known_at, say, workspace_option
from clworkbench.settings import template


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--redaction", type=click.Choice(["patterns", "off"]), default="patterns", show_default=True)
@answers
def init(folder: str, redaction: str) -> Answer:
    """Make a workspace in DIR: a commented clw.toml, a .gitignore, and empty tables.

    The key behind ids and user keys is made too, and kept outside DIR, in your config folder: back it up.
    """
    from clworkbench.workspace import Workspace
    from clworkbench.workspace.key import key_path

    workspace = Workspace.create(folder, settings=template(redaction=redaction))
    key = key_path(str(workspace.catalog.meta("workspace_id")))
    lines = [
        f"Made a workspace in {workspace.folder}.",
        f"Its key is {key}: without it nothing that comes later can be joined to what is there; back it up.",
        f"Next: declare your sources in {workspace.folder / 'clw.toml'}, or `clw ingest PATH --source auto`.",
    ]
    return {"workspace": str(workspace.folder), "key": str(key), "redaction": redaction}, lines


@click.command()
@click.option("--rebuild", is_flag=True, help="First rebuild the catalog's list of artefacts from their manifests.")
@workspace_option
@answers
def status(workspace: str, rebuild: bool) -> Answer:
    """Say what is there, which model serves, what was spent, and what to do next."""
    from clworkbench.loop.status import status as look
    from clworkbench.workspace import Workspace

    place = Workspace(workspace)
    if rebuild:
        say(f"Rebuilt the list of {place.reindex()} artefacts from their manifests.")
    found = look(place)
    lines = ["tables     " + ", ".join(f"{name} {n:,}" for name, n in found.tables.items())]
    for kind, ids in found.artefacts.items():
        if ids:
            lines.append(f"{kind:<12} {len(ids)}, the newest {ids[-1]}")
    lines += [f"read until {source}: {at}" for source, at in found.read_until.items()]
    lines.append(
        f"champion   {found.champion}" + (f", {found.history[-1][2]}" if found.history else ", nothing released")
    )
    lines += [f"rollout    {found.rollout}"] if found.rollout else []
    lines.append(f"spent      {found.spent['seconds'] / 60:.1f} minutes of training and evaluation")
    lines += [f"this month {said}" for said in found.left]
    lines += [f"note       {said}" for said in found.notes]
    lines += ["next", *(f"  {number}. {step}" for number, step in enumerate(found.next, 1))]
    return found.as_dict(), lines


@click.command()
@click.option("--full", is_flag=True, help="Train on all rows, from the base: not on new ones from the champion.")
@known_at
@workspace_option
@answers
def cycle(workspace: str, full: bool, as_of: datetime | None, event_time: bool) -> Answer | No:
    """Run the loop as far as it goes without a person, and say what it waits for.

    Ingests the sources of clw.toml, settles outcomes, selects candidates, builds a training set from what the
    champion has not learned (old rows replayed), trains a challenger from it, holds it against the champion, and
    releases it when every required gate is met. Run it again at any time: what is done is not done twice.
    """
    from clworkbench.loop.cycle import cycle as turn
    from clworkbench.workspace import Workspace

    found = turn(
        Workspace(workspace),
        as_of=as_of,
        event_time=event_time,
        full=full,
        say=lambda step, line: say(f"{step:<8} {line}"),
    )
    lines = [f"Waits for {found.waits_for}."] if found.waits_for else [f"Released {found.release}."]
    answer = found.as_dict(), lines
    return No(answer) if found.decision in ("hold", "block") else answer


@click.command()
@click.option("--story", type=click.Choice(["desk", "banking77"]), default="desk", show_default=True)
@click.option("--data", "folder", type=click.Path(path_type=Path), help="banking77: the folder with train.csv.")
@click.option("--workspace", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--small", is_flag=True, help="A few intents and steps: a smoke test, no evidence.")
@click.option("--no-argilla", is_flag=True, help="desk: labels from a file, not through Argilla's server; for a hurry.")
@click.option("--rollout", is_flag=True, help="desk: week 4 runs through clw serve, in stages; a bad one goes back.")
@answers
def demo(
    story: str, folder: Path | None, workspace: Path, seed: int, small: bool, no_argilla: bool, rollout: bool
) -> Answer | No:
    """Show the whole loop: a simulated production, and `clw cycle` on it.

    desk: a support desk with simulated customers and operators, and a real model. A policy changes; the loop learns it
    from what the operators correct, and ships. Then a challenger trained on spoiled labels meets the gate. Labels go
    through a real Argilla, which is installed into your cache folder the first time; who answers there is simulated.

    banking77: real customers' questions (--data names the folder with train.csv: text,category). A champion learns 30
    intents; then questions with nine billing and cancellation intents arrive. The gold labels stand in for the
    operators' corrections.

    Stop it at any time; the same command goes on.
    """
    if story == "desk":
        return _desk(folder, workspace, seed, small, argilla=not no_argilla, rollout=rollout)
    from clworkbench.demo.banking77 import BANKING77, SMALL, play

    if rollout:
        raise click.UsageError("--rollout is for --story desk: banking77 has no traffic to share out.")
    if folder is None:
        raise click.UsageError(f"--story {story} needs --data DIR: the folder that holds train.csv (text,category).")
    told = play(folder, workspace, scale=SMALL if small else BANKING77, seed=seed, say=say)
    answer = told.as_dict(), told.lines()
    return answer if told.good == "promote" else No(answer)


def _desk(folder: Path | None, workspace: Path, seed: int, small: bool, *, argilla: bool, rollout: bool) -> Answer | No:
    from clworkbench.demo.desk import DESK, SMALL, play_desk

    if folder is not None:
        raise click.UsageError("--data is for --story banking77; the desk brings its own wordings.")
    told = play_desk(workspace, scale=SMALL if small else DESK, seed=seed, argilla=argilla, rollout=rollout, say=say)
    answer = told.as_dict(), told.lines()
    return answer if (told.good.decision, told.spoiled.decision) == ("promote", "block") else No(answer)


VERBS = [init, status, cycle, demo]
