"""What an explorer shows of a workspace: signals found by filters, and what is done with them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, cast

import polars as pl

from clworkbench.display.explorer.scatter import Points
from clworkbench.display.explorer.still import Picture
from clworkbench.errors import ClwError, ExpressionError, LabelError
from clworkbench.loop.candidates.pick import Picked, pick
from clworkbench.loop.labels.ask import Pushed, push
from clworkbench.loop.signals.talk import talk
from clworkbench.loop.slices.slices import save
from clworkbench.similarity.embeddings import HASHED
from clworkbench.slices.explored import PAGE, Explored, Look
from clworkbench.slices.filters import Filters
from clworkbench.slices.mapped import Grid
from clworkbench.slices.slice import Slice
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import as_moment

CUT = 200
"""Characters of a text that a row of the table holds."""

IN_STILL = 10
"""Rows of the still picture."""

TEXTS = ("text", "answer")

MOST_MARKED = 1_000
"""Signals that are marked at once: a browser and a line of code hold so many."""

MOST_POINTS = 200_000
"""Points that are drawn: a lasso around them still answers at once, and 6 MB go to the browser."""

WAIT_S = 0.2
"""For how long a browser that asks for the map is kept waiting before it is told how far that is."""


class WorkspaceSource:
    """What an explorer shows of a workspace's signals, read once (`display.explorer.widget.Source`)."""

    def __init__(
        self, workspace: Workspace, *, model: str, as_of: datetime | str | None, event_time: bool, texts: bool
    ) -> None:
        self.workspace = workspace
        self.as_of = None if as_of is None else as_moment(as_of)
        self.event_time, self.texts = event_time, texts
        signals = workspace.signals(as_of=as_of, event_time=event_time)
        self.explored = Explored(signals, workspace.settings.slices, model)
        self.done: list[str] = []

    def offers(self) -> dict[str, object]:
        """The values of columns that have few, the columns of bars and table, question sets, and how many signals."""
        explored = self.explored
        return {
            "n": explored.signals.height,
            "values": explored.offered,
            "groups": explored.groups(),
            "columns": explored.columns,
            "page": PAGE,
            "most_marked": MOST_MARKED,
            "question_sets": [asked.name for asked in self.workspace.settings.labels.ask],
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
        code = "\n".join([self._line(filters, kept), *self.done])
        told = {"filters": filters.state(), "page": made.number, "kept": kept, "code": code}
        return _as_json(made) | told | {"slices": list(self.explored.slices)}

    def first(self, filters: Mapping[str, object], group_by: str) -> dict[str, object]:
        """A look that may stay in a saved notebook: without what was said, unless that is wanted."""
        seen = self.look({"filters": filters, "group_by": group_by})
        rows = cast("list[dict[str, object]]", seen["rows"])
        shown = [{name: value for name, value in row.items() if self.texts or name not in TEXTS} for row in rows]
        return seen | {"rows": shown}

    def grid(self, filters: Mapping[str, object]) -> dict[str, object]:
        """The map of what the filters leave, their area aside, as JSON; how far it is while it is not made yet."""
        mapped = self.explored.mapped
        if not mapped.is_made(WAIT_S):
            return {"progress": list(mapped.progress)}
        grid, made = self.explored.grid(Filters.of(filters)), mapped.plane()
        return _grid_as_json(grid) | {"kept": made.kept, "model": made.model, "left_out": made.left_out}

    def area(self, filters: Mapping[str, object]) -> str:
        """In words, what tells the filters' area apart from all else that they find; waits for the map."""
        said = self.explored.telling(Filters.of(filters))
        return f"More often here than elsewhere: {said}" if said else "No word tells this area apart."

    def points(self, filters: Mapping[str, object]) -> Points:
        """Where what the filters leave lies on the map, at most 200,000 of them, evenly drawn; waits for the map."""
        placed = self.explored.points(Filters.of(filters))
        return Points(placed.gather_every(max(1, -(-placed.height // MOST_POINTS))), placed.height)

    def prepare(self) -> None:
        """Makes ready for a text to be looked for."""
        self.explored.prepare()

    def ids(self, filters: Mapping[str, object]) -> list[str]:
        """All that the filters leave, where they are not too many to be marked."""
        asked = Filters.of(filters)
        if (n := int(self.explored.holds(asked).sum())) > MOST_MARKED:
            raise ExpressionError(f"mark: {n:,} signals are too many to mark, at most {MOST_MARKED:,}. Filter first.")
        return self.explored.found(asked)["interaction_id"].to_list()

    def detail(self, interaction_id: str) -> dict[str, object]:
        """A signal's conversation, what was said about it, and its other turns."""
        found = self.explored.signals.filter(pl.col("interaction_id") == interaction_id)
        if found.is_empty():
            raise ClwError(f"no signal {interaction_id!r} here. Open the explorer again: it may have been forgotten.")
        committed_by = None if self.event_time else self.as_of
        ids = found["feedback_ids"][0]
        said = self._own().scan("feedback", as_of=committed_by).filter(pl.col("feedback_id").is_in(ids)).collect()
        signal = found.row(0, named=True)
        of_the_same = (pl.col("conversation_id") == signal["conversation_id"]) & (pl.col("source") == signal["source"])
        turns = self.explored.signals.filter(of_the_same)["interaction_id"].head(1000).to_list()
        return talk(signal, said, turns=turns or [interaction_id])

    def among(self, ids: Sequence[str], filters: Mapping[str, object]) -> list[str]:
        """Those of the ids that the filters leave."""
        return self.explored.among(list(ids), Filters.of(filters))

    def rows(self, filters: Mapping[str, object], ids: Sequence[str]) -> pl.DataFrame:
        """The marked signals, or all found where none is marked."""
        return self.explored.marked(ids) if ids else self.explored.found(Filters.of(filters))

    def code(self, filters: Mapping[str, object], ids: Sequence[str]) -> str:
        """Python that gives the same rows, while the workspace knows no more than now, or for good with `as_of`.

        What was saved, picked and pushed stands below, in its order.
        """
        chosen = Filters.of(filters)
        head = ["import clworkbench as clw", "", f"workspace = clw.Workspace({str(self.workspace.folder)!r})"]
        if ids and (asked := self._asked(chosen)):
            head.append(f"# marked by hand among clw.find(workspace, {', '.join(asked)})")
        return "\n".join([*head, f"rows = {self._line(chosen, ids)}", *self.done, ""])

    def picture(self, filters: Mapping[str, object], ids: Sequence[str], group_by: str) -> Picture:
        """How many are found, the code, the bars, and the newest signals (of the marked, where some are)."""
        chosen = Filters.of(filters)
        made = self.explored.look(chosen, group_by=group_by)
        found = self.rows(filters, ids).tail(IN_STILL).reverse() if ids else made.page.head(IN_STILL)
        shown = found.select(name for name in self.explored.columns if self.texts or name not in TEXTS)
        marked = f", {len(ids):,} marked" if ids else ""
        said = f"{made.found:,} of {self.explored.signals.height:,} signals{marked}"
        return Picture(said, "\n".join([self._line(chosen, ids), *self.done]), made.bars, shown)

    def kept(
        self, how: Literal["save", "pick", "push"], name: str, filters: Mapping[str, object], ids: Sequence[str]
    ) -> str:
        """Saves, picks or pushes, and says in words what came of it."""
        match how:
            case "save":
                return f"{self.save(name, filters, replace=False)} stands in clw.toml."
            case "pick":
                picked = self.pick(ids)
                out = f", {picked.kept_out:,} kept out by the policy" if picked.kept_out else ""
                return f"Candidates: {picked.new:,} new, {picked.known:,} known before{out}."
            case "push":
                pushed = self.push(name or None, ids, dry_run=False)
                out = "".join(f", {n:,} {why}" for why, n in pushed.left_out.items())
                return f"{pushed.dataset}: {pushed.pushed:,} new, {pushed.known:,} known before{out}. {pushed.url}"

    def save(self, name: str, filters: Mapping[str, object], *, replace: bool) -> Slice:
        """The filters as a slice of clw.toml."""
        asked = Filters.of(filters)
        if asked.area:
            raise ExpressionError(
                "slice: no expression tells an area of the map, so it cannot be a slice.\n"
                "Mark what lies there and pick it as candidates, or filter by a text that is typical of it instead."
            )
        text = asked.sql(self.explored.signals.schema, self.explored.slices)
        if not text:
            raise ExpressionError("slice: nothing is filtered, so it would hold every signal. Filter first.")
        made = save(self._own(), name, text, replace=replace)
        self.explored.slices[made.name] = made.expression
        again = ", replace=True" if replace else ""
        self._note(f"clw.save_slice(workspace, {made.name!r}, {made.expression!r}{again})")
        return made

    def pick(self, ids: Sequence[str]) -> Picked:
        """Makes candidates of signals."""
        made = pick(self._own(), _some(ids, "pick"))
        self._note(f"clw.pick(workspace, {list(ids)!r})")
        return made

    def push(self, name: str | None, ids: Sequence[str], *, dry_run: bool) -> Pushed:
        """Puts signals before annotators."""
        made = push(self._own(), name, ids=_some(ids, "push"), dry_run=dry_run)
        if not dry_run:
            self._note(f"clw.push(workspace, {made.dataset!r}, ids={list(ids)!r})")
        return made

    def _own(self) -> Workspace:
        """The workspace for one answer: JupyterLab asks from a thread of its own, and a catalog stays in one."""
        return Workspace(self.workspace.folder)

    def _note(self, line: str) -> None:
        if line not in self.done:
            self.done.append(line)

    def _line(self, filters: Filters, ids: Sequence[str]) -> str:
        """The call of `find`; of marked signals their ids alone, since what is known about them may change."""
        asked = [f"ids={list(ids)!r}"] if ids else self._asked(filters)
        known = [f"as_of={self.as_of.isoformat()!r}"] if self.as_of is not None else []
        known += ["event_time=True"] if self.event_time else []
        return f"clw.find({', '.join(['workspace', *asked, *known])})"

    def _asked(self, filters: Filters) -> list[str]:
        text = filters.sql(self.explored.signals.schema)
        asked = [repr(text)] if text else []
        asked += [f"slice={filters.slice!r}"] if filters.slice else []
        asked += [f"area={filters.area!r}"] if filters.area else []
        named = filters.area and self.explored.model != HASHED
        return [*asked, f"model={self.explored.model!r}"] if named else asked


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


def _grid_as_json(grid: Grid) -> dict[str, object]:
    """The edges of the grid, and its cells as lists: row, column, n, pending, rate, low, high."""
    cells = grid.cells.with_columns(pl.selectors.float().round(4))
    counts = {"placed": grid.placed, "unplaced": grid.unplaced}
    return {"x": grid.x.tolist(), "y": grid.y.tolist(), "cells": [list(row) for row in cells.iter_rows()], **counts}


def _some(ids: Sequence[str], verb: str) -> Sequence[str]:
    if not ids:
        raise LabelError(f"{verb}: no signal is marked. Mark some in the table, or select candidates with clw.choose.")
    return ids


def _table(message: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = message.get(name) or {}
    if not isinstance(found, Mapping):
        raise ExpressionError(f"{name}: {found!r} is no table.")
    return cast("Mapping[str, object]", found)
