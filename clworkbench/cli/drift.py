"""`clw drift`: what changed, what happened to outcomes there, and what to do."""

import click

from clworkbench.cli.verb import Answer, No, answers, known_at, workspace_option


@click.command()
@click.option(
    "--against",
    metavar="SET|window",
    help="A training set, NAME or NAME@VERSION, or the window before; the newest set when nothing is said.",
)
@click.option(
    "--days",
    type=click.FloatRange(min=0, min_open=True),
    default=7.0,
    show_default=True,
    help="How long the window is that is looked at.",
)
@click.option("--columns", metavar="A,B", default="", help="What is compared; `text` by wording, vectors and topics.")
@known_at
@workspace_option
@answers
def drift(against: str | None, days: float, columns: str, workspace: str, **known: object) -> Answer | No:
    """Find what changed in the last days, and whether outcomes got worse there; exit status 1 for an alert."""
    from clworkbench.loop.slices.drift import COLUMNS
    from clworkbench.loop.slices.drift import drift as find
    from clworkbench.workspace import Workspace

    names = [name.strip() for name in columns.split(",") if name.strip()] or COLUMNS
    found = find(Workspace(workspace), against, days=days, columns=names, **known)  # type: ignore[arg-type]
    lines = found.lines()
    if found.why is not None:
        lines.append("The window's length: --days; what it is held against: --against SET or --against window.")
    answer = found.as_dict(), lines
    return No(answer) if found.alert else answer


VERBS = [drift]
