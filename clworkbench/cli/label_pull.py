"""`clw label pull`: what annotators answered comes back as labels."""

from typing import TYPE_CHECKING

import click

from clworkbench.cli.verb import Answer, answers, say, workspace_option
from clworkbench.display.progress import progress_bar
from clworkbench.errors import ClwError

if TYPE_CHECKING:
    from clworkbench.loop.labels.pulled import Pulled
    from clworkbench.workspace import Workspace


@click.command()
@click.argument("name", required=False, metavar="[SET]")
@click.option("--all", "whole", is_flag=True, help="Read every record again, not only where something happened.")
@click.option("--follow", is_flag=True, help="Go on until Ctrl-C: answers come back within about a second.")
@workspace_option
@answers
def pull(name: str | None, whole: bool, follow: bool, workspace: str) -> Answer:
    """Bring back what annotators answered, of question SET or of all; the same again adds nothing.

    An answer that is changed, discarded or taken back in Argilla is so here: the latest counts. A record or a data set
    that is deleted there takes no label away.
    """
    from clworkbench.loop.labels.answers import pull as bring
    from clworkbench.workspace import Workspace

    place = Workspace(workspace)
    if follow:
        found = _followed(place, name)
    else:
        with progress_bar("pull") as advance:
            found = bring(place, name, whole=whole, advance=advance)
    return found.as_dict(), found.lines()


def _followed(workspace: "Workspace", name: str | None) -> "Pulled":
    try:
        from clworkbench.serving.answers import follow
    except ModuleNotFoundError as error:
        raise ClwError(
            f"`clw label pull --follow` needs {error.name}, which is not installed: pip install 'clworkbench[capture]'."
        ) from error
    return follow(workspace, name, say=say)


COMMANDS: list[click.Command] = [pull]
