"""`clw report`: a gate's report as one file to mail."""

from pathlib import Path

import click

from clworkbench.cli.verb import Answer, answers, workspace_option


@click.command()
@click.argument("name", metavar="RUN|GATE")
@click.option("--texts", is_flag=True, help="Show what was asked, expected and answered; left out otherwise.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it; report-….html in the folder at hand when left out.",
)
@workspace_option
@answers
def report(name: str, texts: bool, out: Path | None, workspace: str) -> Answer:
    """Write the report of a gate as one HTML file that can be mailed: the latest of RUN (or any model), or GATE.

    The decision, the gates with their intervals, wins and losses by slice, what the challenger learned from, limits,
    and how it was measured. It fetches nothing, runs no script, and holds no texts unless --texts is given.
    """
    from clworkbench.loop.releases.report import report as make
    from clworkbench.workspace import Workspace

    made = make(Workspace(workspace), name, texts=texts)
    place = made.write(out or Path(f"report-{made.gate.removeprefix('gate:')}.html"))
    found = {"gate": made.gate, "decision": made.decision, "file": str(place), "texts": texts}
    size = place.stat().st_size / 1000
    return found, [
        f"{made.gate} says {made.decision}: {place} ({size:,.0f} kB, {'with' if texts else 'without'} texts)"
    ]


VERBS = [report]
