"""The curve that grows in a cell: what it draws, how often, and that it stays in a real kernel's saved notebook."""

from xml.etree import ElementTree

import nbformat
import pytest
from nbclient import NotebookClient

from clworkbench.display.live_losses import POINTS, LiveLosses, Picture, in_cell, thinned


class Clock:
    """Seconds that pass when told to, and while a picture is drawn."""

    def __init__(self, drawing_s: float = 0.0) -> None:
        self.now, self.drawing_s = 0.0, drawing_s
        self.shown: list[Picture] = []

    def __call__(self) -> float:
        return self.now

    def show(self, picture: Picture) -> None:
        self.shown.append(picture)
        self.now += self.drawing_s


def points_of(picture: Picture) -> list[tuple[float, float]]:
    line = ElementTree.fromstring(picture.svg()).find("polyline")
    assert line is not None
    return [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]  # type: ignore[misc]


def test_the_line_goes_from_the_left_edge_to_the_right_and_from_the_top_to_the_bottom():
    # The plot's corners are (44, 10) and (632, 196): losses from 4 down to 0, steps from 1 to 3.
    assert points_of(Picture("it", "", 3, [(1, 4.0), (2, 2.0), (3, 0.0)])) == [(44, 10), (338, 103), (632, 196)]


def test_a_loss_below_zero_stays_in_the_picture():
    assert points_of(Picture("it", "", 2, [(1, 1.0), (2, -1.0)])) == [(44, 10), (632, 196)]


@pytest.mark.parametrize("points", [[], [(1, 0.0)], [(1, 2.5)]], ids=["none", "zero", "one"])
def test_a_curve_of_no_step_or_of_one_is_a_picture_all_the_same(points):
    ElementTree.fromstring(Picture("it", "", 1, points).svg())


def test_a_title_is_escaped():
    html = Picture("<script>alert(1)</script>", "'\"<b>", 1, [(1, 1.0)])._repr_html_()
    assert "<script>" not in html
    assert '<b>"' not in html
    ElementTree.fromstring(html)


def test_many_steps_are_drawn_as_means_that_end_at_the_last_step():
    steps = [(float(step), float(step % 2)) for step in range(1, 10 * POINTS + 1)]
    found = thinned(steps)
    assert len(found) <= POINTS + 1
    assert found[0] == (5.5, 0.5)
    assert found[-1] == steps[-1]


def test_drawing_takes_at_most_a_hundredth_of_the_time_and_comes_four_times_a_second_at_most():
    clock = Clock(drawing_s=0.02)
    curve = LiveLosses("it", clock.show, clock)
    for step in range(1, 1001):
        clock.now += 0.01
        curve.step(step, 1000, 1.0, "loss 1.000")
    assert 4 <= len(clock.shown) <= 6  # 10 s, a picture of 0.02 s, then 2 s of none
    quick = Clock()
    curve = LiveLosses("it", quick.show, quick)
    for step in range(1, 1001):
        quick.now += 0.01
        curve.step(step, 1000, 1.0, "loss 1.000")
    assert 38 <= len(quick.shown) <= 40


def test_what_stays_in_the_end_is_all_losses_and_says_nothing_that_changes_by_run():
    clock = Clock()
    curve = LiveLosses("it", clock.show, clock)
    curve.step(3, 4, 0.5, "loss 0.500, 1.23 s a step")
    curve.end([2.0, 1.0, 0.5, 0.25])
    assert repr(clock.shown[-1]) == "it: 4 steps, loss 2.000 to 0.250"
    assert [step for step, _ in clock.shown[-1].points] == [1, 2, 3, 4]
    assert "1.23" not in clock.shown[-1]._repr_html_()


def test_outside_a_notebook_nothing_is_shown():
    assert in_cell() is None
    LiveLosses("it", None).step(1, 2, 1.0, "")
    LiveLosses("it", None).end([1.0])


def test_in_a_real_kernel_one_picture_replaces_the_other_and_the_last_stays_with_its_words():
    code = (
        "from clworkbench.display.live_losses import LiveLosses, in_cell\n"
        "curve = LiveLosses('run:a', in_cell())\n"
        "for step in range(1, 4): curve._not_before = 0; curve.step(step, 3, 3.0 / step, 'loss')\n"
        "curve.end([3.0, 1.5, 1.0])"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=60).execute()
    (shown,) = notebook.cells[0].outputs
    assert shown.data["text/plain"] == "run:a: 3 steps, loss 3.000 to 1.000"
    assert "<svg" in shown.data["text/html"]
