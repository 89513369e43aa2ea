"""`clw label agreement`: how far annotators agree, and whether more answers would tell more."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from clworkbench.cli.verb import Answer, Moment, answers, workspace_option

if TYPE_CHECKING:
    from clworkbench.statistics.agreement import Level


@click.command()
@click.argument("set", required=False)
@click.option(
    "--level", "levels", metavar="QUESTION=LEVEL", multiple=True, help="Compare answers as LEVEL; repeatable."
)
@click.option(
    "--width", type=click.FloatRange(0, 2, min_open=True), default=0.2, show_default=True, help="Wide enough."
)
@click.option("--as-of", type=Moment(), metavar="TIME", help="Only what was known by then (ISO 8601, UTC).")
@workspace_option
@answers
def agreement(set: str | None, levels: tuple[str, ...], width: float, as_of: datetime | None, workspace: str) -> Answer:
    """Show how far annotators agree on each question of SET: Krippendorff's alpha, with its 95 % interval.

    LEVEL is nominal (the same or not), ordinal (by ranks) or interval (by differences). A question's interval that is
    at most --width wide is narrow enough; of others it is said about how many records more would make it so.
    """
    from clworkbench.labels.adjudication import enough
    from clworkbench.loop.labels.agreement import agreement as measure
    from clworkbench.workspace import Workspace

    report = measure(Workspace(workspace), set, levels=dict(map(_level, levels)), as_of=as_of)
    wanted = enough(report, width=width)
    said = report.as_dict()
    found = {
        question: {**numbers, "enough": stop.enough, "more": stop.more}
        for (question, numbers), stop in zip(said.items(), wanted, strict=True)
    }
    gold = report.annotators.to_dicts()
    lines = [*report.lines(), *(line for stop in wanted if (line := stop.line()))]
    return {"agreement": found, "annotators": gold, "disagreements": report.disagreements.height}, lines


def _level(text: str) -> tuple[str, "Level"]:
    from clworkbench.statistics.agreement import LEVELS

    question, _, name = text.partition("=")
    level = next((known for known in LEVELS if known == name), None)
    if level is None or not question:
        raise click.BadParameter(f"{text!r} is not QUESTION=LEVEL with a level of {', '.join(LEVELS)}.")
    return question, level


COMMANDS = [agreement]
