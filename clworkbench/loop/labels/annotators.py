"""Where annotators answer, and how far they are: the workspace's own server, or a team's."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import parts_figure
from clworkbench.display.html import html_table
from clworkbench.errors import LabelError
from clworkbench.labels.place import address, team
from clworkbench.labels.server.home import Home
from clworkbench.labels.server.look import Standing, look
from clworkbench.labels.server.process import running, serve
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Annotators:
    """The annotators' server as it stands.

    Attributes:
        standing: where it answers, who may log in, and its data sets.
        password_file: where the owner's password is; None where the server is a team's.
    """

    standing: Standing
    password_file: Path | None

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each data set: `set` (team and name), `done` (records with all their answers), `open`."""
        rows = [
            (f"{each.team}/{each.name}", each.completed, each.records - each.completed)
            for each in self.standing.data_sets
        ]
        return pl.DataFrame(rows, schema={"set": pl.String, "done": pl.Int64, "open": pl.Int64}, orient="row")

    def __repr__(self) -> str:
        done = ", ".join(f"{name} {done:,} of {done + left:,}" for name, done, left in self.frame.iter_rows())
        return f"Annotators({self.standing.url}: {done or 'no data set yet'})"

    def _repr_html_(self) -> str:
        users = ", ".join(f"{name} ({role})" for name, role in self.standing.users.items())
        rows = [
            ("address", self.standing.url),
            ("Argilla", self.standing.version),
            ("who may log in", users or "ask its owner"),
            *([("the owner's password is in", str(self.password_file))] if self.password_file else []),
            *(("done", f"{name}: {done:,} of {done + left:,} records") for name, done, left in self.frame.iter_rows()),
        ]
        return html_table(("annotators' server", ""), rows)

    def plot(self) -> "Figure":
        """How many records of each data set have all the answers that they need."""
        return parts_figure(self.frame, "set", title="Records answered by as many as were asked")


def annotators(workspace: Workspace, *, start: bool = False) -> Annotators:
    """The annotators' server of a workspace, and how far they are; `ARGILLA_API_URL` makes it a team's.

    Args:
        workspace: whose server.
        start: starts one where none runs (the first time it is installed, which takes a minute) on any free port; it
            stays until `clw label stop`.

    Raises:
        LabelError: none runs and none is to be started, or it cannot be reached.
    """
    home = Home.of(workspace.folder)
    own = team() is None
    if own and start:
        serve(home, port=0)
    elif own and running(home) is None:
        raise LabelError(
            "no annotators' server runs for this workspace.\n"
            "`clw.annotators(workspace, start=True)` starts one, or `clw label serve` in a terminal."
        )
    place = address(workspace.folder)
    return Annotators(look(place), home.password_file if place.embedded else None)
