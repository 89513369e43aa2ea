"""The explorer: an anywidget that asks for one page, one picture or one conversation at a time."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Literal, Protocol, TypeVar

import anywidget
import polars as pl
import traitlets

from clworkbench.display.explorer.scatter import Points, drawn
from clworkbench.display.explorer.still import Code, Picture, still
from clworkbench.errors import ClwError

HERE = Path(__file__).parent

PARTS = ("elements", "charts", "conversation", "map", "explorer")
"""The scripts that are one module when they are joined in this order, so that nothing has to be built."""

State = Mapping[str, object]
"""Filters, as `slices.filters.Filters.state` has them."""


class Source(Protocol):
    """What stands behind an explorer. All of it raises `ClwError` where a filter cannot be used."""

    def offers(self) -> dict[str, object]:
        """What may be chosen, as JSON."""

    def checked(self, filters: State) -> dict[str, object]:
        """The filters, if they can be used, without the empty ones."""

    def look(self, message: Mapping[str, object]) -> dict[str, object]:
        """One page, bars and time, for the filters and the page that a message names, as JSON."""

    def first(self, filters: State, group_by: str) -> dict[str, object]:
        """A look that may stay in a saved notebook, as JSON."""

    def grid(self, filters: State) -> dict[str, object]:
        """The map of what the filters leave, or how far it is, as JSON."""

    def area(self, filters: State) -> str:
        """In words, what tells the filters' area of the map apart; waits for the map."""

    def points(self, filters: State) -> Points:
        """Where what the filters leave lies on the map; waits for the map."""

    def prepare(self) -> None:
        """Makes ready for a text to be looked for."""

    def ids(self, filters: State) -> list[str]:
        """All that the filters leave, where they are not too many."""

    def detail(self, interaction_id: str) -> dict[str, object]:
        """A conversation and its feedback, as JSON."""

    def among(self, ids: Sequence[str], filters: State) -> list[str]:
        """Those of the ids that the filters leave."""

    def rows(self, filters: State, ids: Sequence[str]) -> pl.DataFrame:
        """The marked signals, or all found where none is marked."""

    def code(self, filters: State, ids: Sequence[str]) -> str:
        """Python that gives the same rows."""

    def picture(self, filters: State, ids: Sequence[str], group_by: str) -> Picture:
        """What is seen just now."""

    def kept(self, how: Literal["save", "pick", "push"], name: str, filters: State, ids: Sequence[str]) -> str:
        """Saves, picks or pushes, and says in words what came of it."""

    def save(self, name: str, filters: State, *, replace: bool) -> object:
        """The filters as a slice of clw.toml."""

    def pick(self, ids: Sequence[str]) -> object:
        """Makes candidates of signals."""

    def push(self, name: str | None, ids: Sequence[str], *, dry_run: bool) -> object:
        """Puts signals before annotators."""


class Explorer(anywidget.AnyWidget):
    """A table of signals with filters, rates and conversations, whose state comes back as data and as code.

    Attributes:
        filters: as `slices.filters.Filters.state` has them; may be set.
        group_by: the column that the bars stand by; may be set.
        selected_ids: the signals that are marked. Those that a new filter no longer finds are let go, which is said.
        offers: what may be chosen, and what is seen first; it never changes.
    """

    # Texts, not paths: anywidget would watch the files, and keep every explorer for as long as the kernel lives.
    _esm = "\n".join((HERE / f"{part}.js").read_text("utf-8") for part in PARTS)
    _css = (HERE / "explorer.css").read_text("utf-8")
    filters = traitlets.Dict().tag(sync=True)
    group_by = traitlets.Unicode("").tag(sync=True)
    selected_ids = traitlets.List(traitlets.Unicode()).tag(sync=True)
    offers = traitlets.Dict().tag(sync=True)

    def __init__(self, source: Source, *, filters: State | None = None, group_by: str = "") -> None:
        self._source = source
        self._still_class = f"clw-still-{token_hex(8)}"
        first = source.first(filters or {}, group_by)
        offers = {**source.offers(), "still": self._still_class, "first": first}
        super().__init__(offers=offers, filters=dict(filters or {}), group_by=group_by)
        self._shown: _Handle | None = None
        self._scatter: Lasso | None = None
        self.on_msg(self._asked)
        self.observe(self._moved, ["filters", "group_by", "selected_ids"])

    @property
    def selected(self) -> list[str]:
        """The interaction ids of the signals that are marked; none where none is."""
        return list(self.selected_ids)

    @property
    def rows(self) -> pl.DataFrame:
        """The marked signals, or all that are found where none is marked, in their order."""
        return self._source.rows(self.filters, self.selected)

    def code(self) -> Code:
        """Python that gives the same rows, under the name `rows`, and does what was done with them."""
        return Code(self._source.code(self.filters, self.selected))

    def save(self, name: str, *, replace: bool = False) -> object:
        """Writes the filters as a slice into clw.toml; marks are no part of it.

        Raises:
            ClwError: nothing is filtered, or clw.toml cannot take it.
        """
        return self._source.save(name, self.filters, replace=replace)

    def pick(self) -> object:
        """Makes candidates of the marked signals, as `clw.pick` does.

        Raises:
            ClwError: none is marked.
        """
        return self._source.pick(self.selected)

    def push(self, name: str | None = None, *, dry_run: bool = False) -> object:
        """Puts the marked signals before annotators, as `clw.push` does.

        Raises:
            ClwError: none is marked, or the annotators' server cannot be used.
        """
        return self._source.push(name, self.selected, dry_run=dry_run)

    def scatter(self) -> anywidget.AnyWidget:
        """The map as points, one for each signal that the filters find just now; what its lasso holds is marked here.

        jupyter-scatter draws it. Of more than 200,000 signals it draws one in two, three, …, as its axis says. A
        lasso around more signals than can be marked marks none, as its axis says, too. It is linked to this explorer
        until the next one is drawn.

        Raises:
            NotebookError: jupyter-scatter is not installed.
            ClwError: too little was said for a map, or the filters find nothing that lies on it.
        """
        made = Lasso(self, self._source.points(self.filters))
        if self._scatter is not None:
            self._scatter.end()
        self._scatter = made
        return in_front_end(self._scatter.chart)

    def lassoed(self, ids: Sequence[str]) -> str:
        """Marks those of the signals that the filters find, or says in words why it marks none."""
        found, most = self._source.among(ids, self.filters), self.offers["most_marked"]
        if len(found) > most:
            return f"{len(found):,} signals are too many to mark, at most {most:,}: draw a smaller area"
        self.selected_ids = found
        return f"{len(found):,} marked"

    def __repr__(self) -> str:
        return f"Explorer({self._source.picture(self.filters, self.selected, '').said})"

    def _repr_html_(self) -> str:
        return still(self._source.picture(self.filters, self.selected, self.group_by), css_class=self._still_class)

    def _ipython_display_(self) -> None:
        """Draws the widget, and beside it a still picture that stays when the kernel is gone.

        The script hides it as long as the widget is alive.
        """
        from IPython.display import HTML, display

        drawn = self._repr_mimebundle_()
        display(drawn[0] if drawn else {}, raw=True)
        self._shown = display(HTML(self._repr_html_()), display_id=True)

    @traitlets.validate("filters")
    def _usable(self, proposal: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
        return self._source.checked(proposal["value"])

    def _moved(self, change: Mapping[str, object]) -> None:
        if change["name"] == "filters":
            kept = self._source.among(self.selected_ids, self.filters)
            if kept != self.selected_ids:
                self.selected_ids = kept
        if self._shown is not None:
            from IPython.display import HTML

            self._shown.update(HTML(self._repr_html_()))

    def _asked(self, _widget: object, message: object, _buffers: object) -> None:
        """Answers a request of the browser, by its number."""
        if isinstance(message, dict) and "request" in message:
            self.send({"request": message["request"], **self.answer(message)})

    def answer(self, message: Mapping[str, object]) -> dict[str, object]:
        """What a request is answered with, under its kind, or in words why there is nothing."""
        kind = message.get("kind")
        asked = ANSWERS.get(str(kind))
        if asked is None:
            return {"error": f"no request {kind!r}: there are {', '.join(ANSWERS)}."}
        try:
            return {str(kind): asked(self._source, message)}
        except ClwError as error:
            return {"error": str(error)}


ANSWERS: dict[str, Callable[[Source, Mapping[str, object]], object]] = {
    "look": lambda source, asked: source.look(asked),
    "map": lambda source, asked: source.grid(_filters(asked)),
    "area": lambda source, asked: source.area(_filters(asked)),
    "ready": lambda source, _: source.prepare(),
    "ids": lambda source, asked: source.ids(_filters(asked)),
    "detail": lambda source, asked: source.detail(str(asked.get("id"))),
    "save": lambda source, asked: source.kept("save", str(asked.get("name")), _filters(asked), ()),
    "pick": lambda source, asked: source.kept("pick", "", {}, _ids(asked)),
    "push": lambda source, asked: source.kept("push", str(asked.get("name")), {}, _ids(asked)),
}
"""What a browser may ask for, by its kind."""


def _filters(message: Mapping[str, object]) -> Mapping[str, object]:
    found = message.get("filters")
    return found if isinstance(found, Mapping) else {}


def _ids(message: Mapping[str, object]) -> list[str]:
    found = message.get("ids")
    return [str(each) for each in found] if isinstance(found, list) else []


class _Handle(Protocol):
    def update(self, shown: object) -> None: ...


class Lasso:
    """Points whose lasso marks signals in an explorer, and which show what is marked there."""

    def __init__(self, explorer: Explorer, points: Points) -> None:
        self.explorer, self.points, self.chart = explorer, points, drawn(points)
        self._show()
        self.chart.observe(self._drawn, ["selection"])
        explorer.observe(self._show, ["selected_ids"])

    def end(self) -> None:
        """Neither listens to the other any more."""
        self.chart.unobserve(self._drawn, ["selection"])
        self.explorer.unobserve(self._show, ["selected_ids"])

    def _drawn(self, change: Mapping[str, Sequence[int] | None]) -> None:
        lassoed = change["new"]
        ids = self.points.ids([] if lassoed is None else lassoed)
        if ids != self._marked():
            self.chart.axes_labels = [f"{self.points.said}; {self.explorer.lassoed(ids)}", ""]

    def _show(self, _change: object = None) -> None:
        self.chart.selection = self.points.places(self.explorer.selected)

    def _marked(self) -> list[str]:
        return self.points.ids(self.points.places(self.explorer.selected).tolist())


Widget = TypeVar("Widget", bound=anywidget.AnyWidget)


def in_front_end(widget: Widget) -> Widget:
    """The widget as the front end at hand takes it: in marimo it is wrapped, and looks the same from outside."""
    import sys

    if "marimo" not in sys.modules:
        return widget
    import marimo

    if not marimo.running_in_notebook():
        return widget
    wrapped: Widget = marimo.ui.anywidget(widget)  # type: ignore[assignment]
    return wrapped
