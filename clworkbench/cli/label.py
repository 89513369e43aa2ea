"""`clw label`: the annotators' server, what is asked there, and what people say."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clworkbench.cli import label_agreement, label_estimate, label_pull, label_push
from clworkbench.cli.verb import Answer, InOrder, No, answers, say, workspace_option
from clworkbench.errors import LabelError
from clworkbench.labels.place import Address, team

if TYPE_CHECKING:
    from clworkbench.labels.server.home import Home


@click.group(cls=InOrder)
def label() -> None:
    """What people say about candidates: in Argilla, or in a file."""


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    show_default="the last one, at first 6900",
    help="0 takes any that is free.",
)
@workspace_option
@answers
def serve(port: int | None, workspace: str) -> Answer:
    """Start the annotators' server of this workspace, Argilla 2.8, and leave it running.

    It listens on this machine only. The first start builds a venv for it in the cache folder (CLW_CACHE moves it) and
    makes the owner's password; later starts take seconds. Where ARGILLA_API_URL and ARGILLA_API_KEY name a team's
    server, that one is used, and nothing is started.
    """
    from clworkbench.labels.server.process import serve as start

    if place := team():
        lines = [f"ARGILLA_API_URL is set: the server at {place.url} is used, and none is started here."]
        return {"url": place.url, "username": None, "password_file": None, "pid": None}, lines
    found = start(_home(workspace), port=port, say=say)
    lines = [
        f"Argilla answers at {found.url}",
        f"  log in as   {found.username}",
        f"  password    in {found.password_file}",
        "Next: `clw label push` shows candidates to annotators; `clw label stop` ends the server.",
    ]
    return found.as_dict(), lines


@click.command()
@workspace_option
@answers
def stop(workspace: str) -> Answer:
    """End the annotators' server; what people answered stays."""
    from clworkbench.labels.server.process import stop as end

    if team():
        raise LabelError("ARGILLA_API_URL is set: that server is a team's own, and not ended from here.")
    ended = end(_home(workspace))
    return {"stopped": ended}, ["Argilla's server ended." if ended else "No annotators' server runs here."]


@click.command()
@workspace_option
@answers
def status(workspace: str) -> Answer | No:
    """Say where the annotators' server answers, who may log in, and how far the data sets are (1: none runs)."""
    from clworkbench.labels.server.look import look
    from clworkbench.labels.server.process import port_of, running

    if place := team():
        standing = look(place)
    else:
        home = _home(workspace)
        if (found := running(home)) is None:
            says = "No annotators' server runs here. `clw label serve` starts one."
            if port_of(home) is not None:
                says = f"The annotators' server does not answer (log: {home.log}). `clw label stop` ends it."
            return No(({"url": None, "why": says}, [says]))
        held = look(Address(found.url, home.api_key, embedded=True))
        standing = replace(held, since=found.since, pid=found.pid, size_bytes=home.size, log=str(home.log))
    return standing.as_dict(), standing.lines()


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--source", default="reviewers", show_default=True, help="Who says so; `gold` measures the others.")
@workspace_option
@answers
def import_file(file: Path, source: str, workspace: str) -> Answer:
    """Read a reviewers' FILE (CSV or JSONL), as `clw select --out` wrote it and people filled it in.

    In `value` an answer is accepted or rejected (accept, good, yes …; reject, bad, no …); a better one goes into
    `improvement`. Rows that nobody answered are passed over.
    """
    from clworkbench.loop.data import import_labels
    from clworkbench.workspace import Workspace

    found = import_labels(Workspace(workspace), file, source=source)
    lines = [f"{found['new']} new labels, {found['known']} known, {found['rejected']} rows left out"]
    why = found["rejected_why"]
    assert isinstance(why, dict)
    return found, [*lines, *(f"  {n} × {reason}" for reason, n in why.items())]


def _home(workspace: str) -> "Home":
    from clworkbench.labels.server.home import Home
    from clworkbench.workspace import Workspace

    return Home.of(Workspace(workspace).folder)


ASK, BRING, COMPARE = label_push.COMMANDS, label_pull.COMMANDS, label_agreement.COMMANDS
for command in (serve, status, *ASK, *BRING, *COMPARE, *label_estimate.COMMANDS, import_file, stop):
    label.add_command(command)
