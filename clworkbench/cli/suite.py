"""`clw suite`: what models are measured on: examples frozen from a file, or drawn from traffic."""

from datetime import datetime
from pathlib import Path

import click

from clworkbench.cli.verb import Answer, InOrder, Moment, No, answers, known_at, workspace_option


class SuiteGroup(InOrder):
    """`clw suite NAME FILE` freezes, as `clw suite freeze NAME FILE` does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts `freeze` before what is no command of the group."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["freeze", *args]
        return super().parse_args(ctx, args)


@click.group(cls=SuiteGroup, subcommand_metavar="NAME FILE | COMMAND [ARGS]...")
def suite() -> None:
    """What models are measured on, and never trained on: NAME FILE freezes the examples in a file.

    `clw suite NAME FILE` is short for `clw suite freeze NAME FILE`.
    """


@suite.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@workspace_option
@answers
def freeze(name: str, file: Path, workspace: str) -> Answer:
    """Freeze the examples in FILE (JSONL or Parquet) as suite NAME: what models are measured on, never trained on.

    One example a line: {"input": "text or messages", "expected": "…", "slices": ["…"], "id": "…", "group": "…"}.
    """
    from clworkbench.evals.drawn_suite import graded_lines
    from clworkbench.loop.data import freeze_suite
    from clworkbench.workspace import Workspace

    made = freeze_suite(Workspace(workspace), name, file)
    slices, ungradable, examples = made["slices"], made["ungradable"], made["examples"]
    assert isinstance(slices, dict)
    assert isinstance(ungradable, dict)
    assert isinstance(examples, int)
    lines = [f"{made['id']}: {examples} examples", *(f"  {n:>6} in slice {s}" for s, n in slices.items())]
    answer = {"suite": str(made["id"]).removeprefix("suite:"), "examples": examples, "slices": slices}
    return answer | {"ungradable": ungradable}, [*lines, *graded_lines(made, examples)]


@suite.command()
@click.argument("name")
@click.option("--n", default=300, show_default=True, type=click.IntRange(min=2), help="About how many examples.")
@click.option("--since", type=Moment(), help="Only signals from then on.")
@click.option("--until", "--before", type=Moment(), help="Only signals before then.")
@click.option("--last", "--newest", metavar="7d", help="Only so long back from the latest signal (or from --until).")
@click.option("--where", metavar="EXPR", help="Only where this SQL expression is true; a slice's name is one.")
@click.option("--stratify", metavar="COLUMN", help="As many examples from each value of a column, or of a slice.")
@known_at
@workspace_option
@answers
def draw(
    name: str, n: int, since: datetime | None, until: datetime | None, last: str | None, where: str | None,
    stratify: str | None, as_of: datetime | None, event_time: bool, workspace: str,
) -> Answer:  # fmt: skip
    """Draw suite NAME from traffic: whole conversations, each example with the chance at which it was drawn.

    What an example expects is a reviewer's better answer, else a correction, else the answer that was accepted. Signals
    of which nobody knows, and what was learned already, are left out and counted. Draw before you build: what stands in
    a suite is never learned. --newest 7d gives a suite of the last week, --before DATE one of older traffic; `clw
    recency` holds a model's gain on the one against its loss on the other.
    """
    from clworkbench.loop.evals.draw import draw_suite
    from clworkbench.workspace import Workspace

    made = draw_suite(
        Workspace(workspace), name, n, since=since, until=until, last=last, where=where, stratify=stratify,
        as_of=as_of, event_time=event_time,
    )  # fmt: skip
    return made.as_dict(), made.lines()


@click.command()
@click.argument("challenger")
@click.option("--against", metavar="CHAMPION", help="The model that serves now, when left out.")
@click.option("--newest", metavar="SUITE", help="Of the newest traffic; the drawn one that begins last when left out.")
@click.option("--older", metavar="SUITE", multiple=True, help="Of older traffic; all drawn from before when left out.")
@workspace_option
@answers
def recency(
    challenger: str, against: str | None, newest: str | None, older: tuple[str, ...], workspace: str
) -> Answer | No:
    """Hold CHALLENGER's gain on the newest traffic against its loss on older (1: a loss on older traffic is shown).

    On suites that `clw suite draw` drew, weighed by how they were drawn.
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.evals.recency import recency as held
    from clworkbench.workspace import Workspace

    with progress_bar("recency") as advance:
        found = held(Workspace(workspace), challenger, against=against, newest=newest, older=older, advance=advance)
    answer = found.as_dict(), found.lines()
    return No(answer) if found.lost else answer
