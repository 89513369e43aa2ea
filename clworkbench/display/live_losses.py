"""A loss curve that grows in a notebook's cell while a run trains, and stays there as a picture.

It is drawn as HTML that replaces itself, not as a widget: a saved notebook keeps the last picture, no script is
needed, and it looks the same in JupyterLab and in marimo.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

from clworkbench.display.figures import GOOD

PAUSE_S = 0.25
"""No picture follows another sooner."""

SHARE = 0.01
"""Drawing takes no more of the time than this: a slow picture is followed by a long pause."""

POINTS = 240
"""Most points of the line; of more steps, each stands for the mean of some."""

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 220, 44, 10, 24

Show = Callable[["Picture"], None]


@dataclass(frozen=True)
class Picture:
    """The curve as it stands.

    Attributes:
        title: whose losses.
        said: how far it is, in words.
        steps: how many there will be.
        points: (step, loss), in order.
    """

    title: str
    said: str
    steps: int
    points: Sequence[tuple[float, float]]

    def __repr__(self) -> str:
        return f"{self.title}: {self.said}"

    def _repr_html_(self) -> str:
        told = f"<div><b>{escape(self.title)}</b> {escape(self.said)}</div>"
        return f"<div style='max-width:{WIDTH}px;font-size:13px'>{told}{self.svg()}</div>"

    def svg(self) -> str:
        """The line over its axes, in the colour of the text around it, so that it suits light and dark."""
        shown = thinned(self.points)
        losses = [loss for _, loss in shown]
        least, most = min(0.0, *losses, 0.0), max(0.0, *losses, 0.0)
        span = most - least or 1.0
        width, height = WIDTH - LEFT - 8, HEIGHT - TOP - BOTTOM
        last = max(self.steps, 2)

        def x(step: float) -> str:
            return f"{LEFT + (step - 1) / (last - 1) * width:.1f}"

        def y(loss: float) -> str:
            return f"{TOP + (1 - (loss - least) / span) * height:.1f}"

        rules = "".join(
            f"<line x1='{LEFT}' x2='{WIDTH - 8}' y1='{y(value)}' y2='{y(value)}' stroke='currentColor' opacity='.15'/>"
            f"<text x='{LEFT - 6}' y='{y(value)}' dy='.32em' text-anchor='end'>{value:.3g}</text>"
            for value in (least, least + span / 2, least + span)
        )
        ticks = "".join(
            f"<text x='{x(step)}' y='{HEIGHT - 6}' text-anchor='{side}'>{text}</text>"
            for step, side, text in ((1, "start", "step 1"), (last, "end", f"{last:,}"))
        )
        line = " ".join(f"{x(step)},{y(loss)}" for step, loss in shown)
        dot = f"<circle cx='{x(shown[-1][0])}' cy='{y(shown[-1][1])}' r='3.5' fill='{GOOD}'/>" if shown else ""
        return (
            f"<svg role='img' aria-label='{escape(repr(self), quote=True)}' viewBox='0 0 {WIDTH} {HEIGHT}' "
            f"style='width:100%;height:auto' font-size='11' fill='currentColor'>{rules}{ticks}"
            f"<polyline points='{line}' fill='none' stroke='{GOOD}' stroke-width='2' stroke-linejoin='round'/>"
            f"{dot}</svg>"
        )


def thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most so many points that a line can show: means of as many steps each, and the last step as it is."""
    each = -(-len(points) // POINTS)
    if each <= 1:
        return list(points)
    parts = [points[at : at + each] for at in range(0, len(points) - 1, each)]
    return [*((_mean([s for s, _ in part]), _mean([v for _, v in part])) for part in parts), points[-1]]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@dataclass
class LiveLosses:
    """Takes losses step by step and shows the curve now and then; without a notebook it shows nothing."""

    title: str
    show: Show | None
    clock: Callable[[], float] = time.monotonic
    _points: list[tuple[float, float]] = field(default_factory=list)
    _not_before: float = float("-inf")

    def step(self, step: int, steps: int, loss: float, note: str) -> None:
        """One more step, and a word about it."""
        if self.show is None:
            return
        self._points.append((step, loss))
        began = self.clock()
        if began >= self._not_before:
            self.show(Picture(self.title, f"step {step:,} of {steps:,}, {note}", steps, tuple(self._points)))
            took = max(0.0, self.clock() - began)
            self._not_before = began + took + max(PAUSE_S, took / SHARE)

    def end(self, losses: Sequence[float]) -> None:
        """The whole curve, as it stays: all losses, those before a resumption too, and no word that changes by run."""
        if self.show is not None and losses:
            said = f"{len(losses):,} steps, loss {losses[0]:.3f} to {losses[-1]:.3f}"
            self.show(Picture(self.title, said, len(losses), list(enumerate(losses, 1))))


def in_cell() -> Show | None:
    """What shows a picture in the cell that is running, in place of the one before; None outside notebooks."""
    if "marimo" in sys.modules:
        import marimo

        if marimo.running_in_notebook():
            return marimo.output.replace
    if "IPython" in sys.modules:
        from IPython import get_ipython

        if getattr(get_ipython(), "kernel", None) is not None:
            return _Displayed().show
    return None


class _Displayed:
    """A place in the output of an IPython cell."""

    def __init__(self) -> None:
        self._handle: object = None

    def show(self, picture: Picture) -> None:
        from IPython.display import DisplayHandle

        if isinstance(self._handle, DisplayHandle):
            self._handle.update(picture)
        else:
            handle = DisplayHandle()
            handle.display(picture)
            self._handle = handle
