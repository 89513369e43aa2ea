"""What people were asked and have not answered yet, and how the loop asks them."""

import polars as pl

from clworkbench.display.progress import progress_bar
from clworkbench.errors import LabelError
from clworkbench.labels.place import address
from clworkbench.loop.answers import bring
from clworkbench.loop.ask import push
from clworkbench.workspace import Workspace


def waiting(workspace: Workspace) -> dict[str, int]:
    """By question set, the records that were asked and have no submitted answer here yet."""
    latest = workspace.read("asked").sort("seq").unique("ask_id", keep="last", maintain_order=True)
    asked = latest.filter(pl.col("state") == "asked").with_columns(source=pl.format("argilla/{}", "dataset"))
    said = workspace.labels().filter(pl.col("status") == "submitted")
    left = asked.join(said, on=["interaction_id", "source"], how="anti")
    return dict(left["dataset"].value_counts().sort("dataset").iter_rows())


def bring_answers(workspace: Workspace) -> str | None:
    """Pulls answers where some are waited for; returns what came of it in a line, None where none are.

    A server that cannot be reached now stops nobody: the line says so.
    """
    if not (left := waiting(workspace)):
        return None
    try:
        with progress_bar("pull from Argilla") as advance:
            found = bring(workspace, advance=advance)
    except LabelError as error:
        records = ", ".join(f"{n:,} of {name}" for name, n in left.items())
        return f"records wait for answers in Argilla ({records}). {error}".replace("\n", " ")
    return f"Argilla: {found.new:,} new, {found.withdrawn:,} withdrawn"


def ask_in_argilla(workspace: Workspace) -> str | None:
    """Pushes the candidates of every question set; returns what is waited for, None where no server can be reached."""
    try:
        url = address(workspace.folder).url
    except LabelError:
        return None
    for asked in workspace.settings.labels.ask:
        with progress_bar(f"push {asked.name} to Argilla") as advance:
            push(workspace, asked.name, advance=advance)
    records = ", ".join(f"{n:,} records of {name}" for name, n in waiting(workspace).items())
    return f"labels: {records} wait in Argilla at {url}; answer some there, then run `clw cycle` again"
