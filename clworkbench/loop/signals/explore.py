"""The explorer on a workspace: signals found by filters, looked at one by one, and given back as data and as code."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from clworkbench import expressions
from clworkbench.errors import NotebookError
from clworkbench.loop.signals.explorer_source import WorkspaceSource
from clworkbench.loop.slices.slices import declared_as
from clworkbench.similarity.embeddings import HASHED
from clworkbench.similarity.plane import plane
from clworkbench.slices.mapped import Area
from clworkbench.slices.mapped import inside as laid_inside
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from clworkbench.display.explorer.widget import Explorer


def find(
    workspace: Workspace,
    where: str | None = None,
    *,
    slice: str | None = None,
    ids: Sequence[str] | None = None,
    area: Area | None = None,
    model: str = HASHED,
    as_of: datetime | str | None = None,
    event_time: bool = False,
) -> pl.DataFrame:
    """The signals in which an expression holds, by time; the line that `explorer.code()` writes.

    Args:
        workspace: where the signals are.
        where: SQL over a signal's columns; where it is null, the signal is left out.
        slice: only those of one of `[slices]`.
        ids: only these interactions.
        area: only what lies there on the map of what was said, from x up to x, from y up to y. All signals that are
            known are laid out for it; where others are, the map is another.
        model: lays out the map, as `similarity.embeddings.embed` takes it.
        as_of: only what was known by then (also as ISO 8601); all when None.
        event_time: goes by the events' dates, not by when they were committed.

    Raises:
        SettingsError: clw.toml has no such slice.
        ExpressionError: the expression cannot be read, or names a column that is not there.
        ModelError: there is no such model of embeddings.
        ClwError: too little was said for a map.
    """
    found = workspace.signals(as_of=as_of, event_time=event_time)
    inside = [pl.lit(expressions.holds(found, where, where="where"))] if where else []
    inside += [pl.lit(declared_as(workspace, slice).holds(found))] if slice else []
    if area is not None:
        inside.append(pl.lit(laid_inside(plane(found["text"], model), area)))
    if ids is not None:
        inside.append(pl.col("interaction_id").is_in(pl.Series(list(ids), dtype=pl.String).implode()))
    return found.filter(inside) if inside else found


def explore(
    workspace: Workspace,
    slice: str | None = None,
    *,
    where: str | None = None,
    group_by: str | None = None,
    model: str = HASHED,
    as_of: datetime | str | None = None,
    event_time: bool = False,
    texts: bool = False,
) -> "Explorer":
    """A table of signals to filter, read and mark, in JupyterLab and marimo alike.

    What is clicked together comes back: `.selected` (the marked ids), `.rows` (the marked signals, or all that are
    found), `.code()` (Python that gives the same rows and does what was done with them), `.save(name)` (the filters as
    a slice of clw.toml), `.pick()` (the marked signals as candidates) and `.push(name)` (before annotators).

    Args:
        workspace: where the signals are; they are read once, when the explorer is made.
        slice: begins with one of `[slices]`.
        where: begins with an expression over a signal's columns.
        group_by: the column or attribute that bars stand by at first; the first that is offered when None.
        model: lays out the map of what was said, as `similarity.embeddings.embed` takes it.
        as_of: only what was known by then (also as ISO 8601); all when None.
        event_time: goes by the events' dates, not by when they were committed.
        texts: whether the still picture that stays in a saved notebook shows what was said. The widget does, and
            leaves nothing of it in the notebook.

    Raises:
        SettingsError: clw.toml has no such slice.
        ExpressionError: the expression cannot be read, or names a column that is not there.
        NotebookError: the notebooks' packages are not installed.
    """
    try:
        from clworkbench.display.explorer.widget import Explorer, in_front_end
    except ModuleNotFoundError as error:
        raise NotebookError(
            f"the explorer needs {error.name}. Install it: pip install 'clworkbench[notebooks]'."
        ) from None
    source = WorkspaceSource(workspace, model=model, as_of=as_of, event_time=event_time, texts=texts)
    begin = source.checked({"slice": slice or "", "where": where or ""})
    groups = source.explored.groups()
    by = group_by or (groups[0] if groups else "")
    return in_front_end(Explorer(source, filters=begin, group_by=by))
