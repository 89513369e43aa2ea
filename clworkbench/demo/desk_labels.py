"""The desk's labels on their way through the annotators' real server; who answers there is simulated."""

from collections.abc import Mapping
from datetime import datetime

from clworkbench.demo.reviewers import Reviewer, review
from clworkbench.demo.story import Say
from clworkbench.display.progress import progress_bar
from clworkbench.errors import LabelError
from clworkbench.labels.place import team
from clworkbench.labels.server.home import Home
from clworkbench.labels.server.install import installed
from clworkbench.labels.server.process import serve, stop
from clworkbench.loop.labels.answers import pull
from clworkbench.loop.labels.ask import push
from clworkbench.workspace import Workspace

SLIPPED = Reviewer("reviewer", reliability=1.0)
"""Who copies from the sheet, faithfully."""


def make_ready(say: Say) -> None:
    """Installs the annotators' server where it is missing, before anything else takes time.

    Raises:
        LabelError: a team's server is set, where made-up answers have no business; or it cannot be installed.
    """
    if team():
        raise LabelError(
            "ARGILLA_API_URL is set, and the demo's made-up answers have no business in a team's Argilla.\n"
            "Unset it for the demo, which then starts a server of its own; or play with --no-argilla."
        )
    installed(say)


def review_in_argilla(workspace: Workspace, right: Mapping[str, str], at: datetime, say: Say) -> None:
    """Asks about signals in Argilla, has a simulated reviewer answer over its API, and pulls what was said.

    Args:
        workspace: the story's.
        right: by interaction, what the reviewer takes for the right answer.
        at: when, on the desk's clock; Argilla's own is today's.
        say: told what happens.
    """
    home = Home.of(workspace.folder)
    serving = serve(home, port=0, say=say)
    try:
        with progress_bar("push to Argilla") as advance:
            pushed = push(workspace, ids=sorted(right), advance=advance)
        answered = review(workspace, right, people=[SLIPPED])
        with progress_bar("pull from Argilla") as advance:
            found = pull(workspace, at=at, advance=advance)
    finally:
        stop(home)
    say(
        f"  label    {pushed.pushed + pushed.known:,} records in Argilla at {serving.url}, "
        f"{sum(answered.answered.values()):,} answered now over its API, {found.new:,} new labels pulled"
    )
    say(
        f"           to look at them: clw label serve --workspace {workspace.folder} "
        f"(user {serving.username}, password in {serving.password_file})"
    )
