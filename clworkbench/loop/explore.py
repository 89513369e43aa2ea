"""The explorer on a workspace: signals found by filters, looked at one by one, and given back as data and as code."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

import polars as pl

from clworkbench import expressions
from clworkbench.display.explorer.still import Picture
from clworkbench.errors import ClwError, ExpressionError, LabelError, NotebookError
from clworkbench.loop.ask import Pushed, push
from clworkbench.loop.slices import declared_as, save
from clworkbench.loop.talk import talk
from clworkbench.slices.explored import PAGE, Explored, Look
from clworkbench.slices.filters import Filters
from clworkbench.slices.slice import Slice
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from clworkbench.display.explorer.widget import Explorer

CUT = 200
"""Characters of a text that a row of the table holds."""

IN_STILL = 10
"""Rows of the still picture."""

TEXTS = ("text", "answer")


def find(
    workspace: Workspace,
    where: str | None = None,
    *,
    slice: str | None = None,
    ids: Sequence[str] | None = None,
    as_of: datetime | str | None = None,
    event_time: bool = False,
) -> pl.DataFrame:
    """The signals in which an expression holds, by time; the line that `explorer.code()` writes.

    Args:
        workspace: where the signals are.
        where: SQL over a signal's columns; where it is null, the signal is left out.
        slice: only those of one of `[slices]`.
        ids: only these interactions.
        as_of: only what was known by then (also as ISO 8601); all when None.
        event_time: goes by the events' dates, not by when they were committed.

    Raises:
        SettingsError: clw.toml has no such slice.
        ExpressionError: the expression cannot be read, or names a column that is not there.
    """
    found = workspace.signals(as_of=as_of, event_time=event_time)
    inside = [pl.lit(expressions.holds(found, where, where="where"))] if where else []
    inside += [pl.lit(declared_as(workspace, slice).holds(found))] if slice else []
    if ids is not None:
        inside.append(pl.col("interaction_id").is_in(pl.Series(list(ids), dtype=pl.String).implode()))
    return found.filter(inside) if inside else found


def explore(
    workspace: Workspace,
    slice: str | None = None,
    *,
    where: str | None = None,
    group_by: str | None = None,
    as_of: datetime | None = None,
    event_time: bool = False,
    texts: bool = False,
) -> "Explorer":
    """A table of signals to filter, read and mark, in JupyterLab and marimo alike.

    What is clicked together comes back: `.selected` (the marked ids), `.rows` (the marked signals, or all that are
    found), `.code()` (Python that gives the same rows), `.save(name)` (the filters as a slice of clw.toml) and
    `.push(name)` (the marked signals before annotators).

    Args:
        workspace: where the signals are; they are read once, when the explorer is made.
        slice: begins with one of `[slices]`.
        where: begins with an expression over a signal's columns.
        group_by: the column or attribute that bars stand by at first; the first that is offered when None.
        as_of: only what was known by then; all when None.
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
    source = WorkspaceSource(workspace, as_of=as_of, event_time=event_time, texts=texts)
    begin = source.checked({"slice": slice or "", "where": where or ""})
    groups = source.explored.groups()
    by = group_by or (groups[0] if groups else "")
    source.explored.look(Filters.of(begin), group_by=by)
    return in_front_end(Explorer(source, filters=begin, group_by=by))


class WorkspaceSource:
    """What an explorer shows of a workspace's signals, read once (`display.explorer.widget.Source`)."""

    def __init__(self, workspace: Workspace, *, as_of: datetime | None, event_time: bool, texts: bool) -> None:
        self.workspace = workspace
        self.as_of, self.event_time, self.texts = as_of, event_time, texts
        signals = workspace.signals(as_of=as_of, event_time=event_time)
        self.explored = Explored(signals, workspace.settings.slices)

    def offers(self) -> dict[str, object]:
        """The slices, the values of columns that have few, the columns of bars and table, and how many signals."""
        explored = self.explored
        return {
            "n": explored.signals.height,
            "slices": list(explored.slices),
            "values": explored.offered,
            "groups": explored.groups(),
            "columns": explored.columns,
            "page": PAGE,
        }

    def checked(self, filters: Mapping[str, object]) -> dict[str, object]:
        """The filters without the empty ones, once they have found something or nothing."""
        usable = Filters.of(filters)
        self.explored.holds(usable)
        return usable.state()

    def look(self, message: Mapping[str, object]) -> dict[str, object]:
        """One page, bars and time as JSON, the code that gives all found, and which marked signals are among them."""
        filters = Filters.of(_table(message, "filters"))
        page = message.get("page")
        made = self.explored.look(
            filters,
            group_by=str(message.get("group_by") or ""),
            page=page if isinstance(page, int) else 0,
            sort=str(message.get("sort") or "started_at"),
            descending=message.get("descending") is not False,
        )
        marked = message.get("selected")
        kept = self.explored.among([str(each) for each in marked], filters) if isinstance(marked, list) else []
        told = {"filters": filters.state(), "page": made.number, "kept": kept, "code": self._line(filters, kept)}
        return _as_json(made) | told

    def detail(self, interaction_id: str) -> dict[str, object]:
        """A signal's conversation, what was said about it, and its other turns."""
        found = self.explored.signals.filter(pl.col("interaction_id") == interaction_id)
        if found.is_empty():
            raise ClwError(f"no signal {interaction_id!r} here. Open the explorer again: it may have been forgotten.")
        committed_by = None if self.event_time else self.as_of
        ids = found["feedback_ids"][0]
        own = Workspace(self.workspace.folder)  # JupyterLab asks from a thread of its own, the catalog stays in one
        said = own.scan("feedback", as_of=committed_by).filter(pl.col("feedback_id").is_in(ids)).collect()
        signal = found.row(0, named=True)
        of_the_same = (pl.col("conversation_id") == signal["conversation_id"]) & (pl.col("source") == signal["source"])
        turns = self.explored.signals.filter(of_the_same)["interaction_id"].head(1000).to_list()
        return talk(signal, said, turns=turns or [interaction_id])

    def among(self, ids: Sequence[str], filters: Mapping[str, object]) -> list[str]:
        """Those of the ids that the filters leave."""
        return self.explored.among(list(ids), Filters.of(filters))

    def rows(self, filters: Mapping[str, object], ids: Sequence[str]) -> pl.DataFrame:
        """The marked signals, or all found where none is marked."""
        found = self.explored.found(Filters.of({} if ids else filters))
        return found.filter(pl.col("interaction_id").is_in(list(ids))) if ids else found

    def code(self, filters: Mapping[str, object], ids: Sequence[str]) -> str:
        """Python that gives the same rows, while the workspace knows no more than now, or for good with `as_of`."""
        chosen = Filters.of(filters)
        head = ["import clworkbench as clw", "", f"workspace = clw.Workspace({str(self.workspace.folder)!r})"]
        if ids and (asked := self._asked(chosen)):
            head.append(f"# marked by hand among clw.find(workspace, {', '.join(asked)})")
        return "\n".join([*head, f"rows = {self._line(chosen, ids)}", ""])

    def picture(self, filters: Mapping[str, object], ids: Sequence[str], group_by: str) -> Picture:
        """How many are found, the code, the bars, and the newest signals (of the marked, where some are)."""
        chosen = Filters.of(filters)
        made = self.explored.look(chosen, group_by=group_by)
        found = self.rows(filters, ids).tail(IN_STILL).reverse() if ids else made.page.head(IN_STILL)
        shown = found.select(name for name in self.explored.columns if self.texts or name not in TEXTS)
        marked = f", {len(ids):,} marked" if ids else ""
        said = f"{made.found:,} of {self.explored.signals.height:,} signals{marked}"
        return Picture(said, self._line(chosen, ids), made.bars, shown)

    def save(self, name: str, filters: Mapping[str, object], *, replace: bool) -> Slice:
        """The filters as a slice of clw.toml."""
        text = Filters.of(filters).sql(self.explored.signals.schema, self.explored.slices)
        if not text:
            raise ExpressionError("slice: nothing is filtered, so it would hold every signal. Filter first.")
        return save(self.workspace, name, text, replace=replace)

    def push(self, name: str | None, ids: Sequence[str], *, dry_run: bool) -> Pushed:
        """Puts signals before annotators."""
        if not ids:
            raise LabelError("push: no signal is marked. Mark some in the table, or push candidates with clw.push.")
        return push(self.workspace, name, ids=ids, dry_run=dry_run)

    def _line(self, filters: Filters, ids: Sequence[str]) -> str:
        """The call of `find`; of marked signals their ids alone, since what is known about them may change."""
        asked = [f"ids={list(ids)!r}"] if ids else self._asked(filters)
        known = [f"as_of={self.as_of.isoformat()!r}"] if self.as_of is not None else []
        known += ["event_time=True"] if self.event_time else []
        return f"clw.find({', '.join(['workspace', *asked, *known])})"

    def _asked(self, filters: Filters) -> list[str]:
        text = filters.sql(self.explored.signals.schema)
        return [*([repr(text)] if text else []), *([f"slice={filters.slice!r}"] if filters.slice else [])]


def _as_json(look: Look) -> dict[str, object]:
    """Moments as ISO 8601, long texts cut."""
    short = [pl.col(name).str.head(CUT) for name in TEXTS if name in look.page.columns]
    numbers = pl.selectors.float()
    page = look.page.with_columns(
        *short, pl.selectors.datetime().dt.to_string("%Y-%m-%d %H:%M:%S"), pl.when(numbers.is_finite()).then(numbers)
    )
    bars = look.bars.rename({look.bars.columns[0]: "group"}) if look.bars.width else look.bars
    named = bars.with_columns(pl.selectors.enum().cast(pl.String), pl.selectors.temporal().cast(pl.String))
    time = look.time.rename({look.every: "at"}).with_columns(pl.col("at").dt.to_string("%Y-%m-%d %H:%M"))
    return {
        "found": look.found,
        "rows": page.to_dicts(),
        "bars": named.to_dicts(),
        "more": look.more,
        "time": time.to_dicts(),
        "every": look.every,
    }


def _table(message: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = message.get(name) or {}
    if not isinstance(found, Mapping):
        raise ExpressionError(f"{name}: {found!r} is no table.")
    return cast("Mapping[str, object]", found)
