"""What people were asked and have not answered yet, and how the loop asks them."""

import polars as pl

from clworkbench.display.progress import progress_bar
from clworkbench.errors import LabelError
from clworkbench.labels.latest import SETS, latest
from clworkbench.labels.place import address
from clworkbench.loop.labels.answers import bring
from clworkbench.loop.labels.ask import push
from clworkbench.workspace import Workspace


def waiting(workspace: Workspace) -> dict[str, int]:
    """By question set, the records that were asked and have fewer submitted answers here than their set wants."""
    return dict(unanswered(workspace)["dataset"].value_counts().sort("dataset").iter_rows())


def unanswered(workspace: Workspace) -> pl.DataFrame:
    """Those records themselves: a row of `schemas.ASKED` for each, with `given`, how many answers it has."""
    asked = _asked(workspace)
    said = latest(workspace.read("labels")).filter(
        pl.col("status") == "submitted", pl.col("source").str.starts_with(SETS)
    )
    given = said.group_by("interaction_id", dataset=pl.col("source").str.strip_prefix(SETS)).agg(
        given=pl.col("annotator_key").n_unique()
    )
    overlaps = {each.name: each.overlap for each in workspace.settings.labels.ask}
    wanted = pl.col("dataset").replace_strict(overlaps, default=1, return_dtype=pl.Int64)
    found = asked.join(given, on=["interaction_id", "dataset"], how="left").with_columns(pl.col("given").fill_null(0))
    return found.filter(pl.col("given") < wanted)


def _asked(workspace: Workspace) -> pl.DataFrame:
    """What stands before annotators."""
    return workspace.asked().filter(pl.col("state") == "asked")


def bring_answers(workspace: Workspace) -> str | None:
    """Pulls answers where anything was asked; returns what came of it in a line, None where nothing did.

    Answers are changed and taken back after all are given, so that nothing more is waited for. A server that cannot be
    reached now stops nobody: where answers are waited for, the line says so.
    """
    if _asked(workspace).is_empty():
        return None
    left = waiting(workspace)
    try:
        with progress_bar("pull from Argilla") as advance:
            found = bring(workspace, advance=advance)
    except LabelError as error:
        records = ", ".join(f"{n:,} of {name}" for name, n in left.items())
        return f"records wait for answers in Argilla ({records}). {error}".replace("\n", " ") if left else None
    if not (left or found.is_news):
        return None
    changed = f", {found.changed:,} changed" if found.changed else ""
    return f"Argilla: {found.new:,} new{changed}, {found.withdrawn:,} withdrawn"


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
