"""A rollout's figure: both arms, their difference with bounds, the stages and what ended them."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from clworkbench.display.rollout_figure import rollout_figure

BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
DAYS = [BEGAN + timedelta(days=n) for n in range(4)]


def drawn(action: str | None = "roll back", stage: str = "5%"):
    course = pl.DataFrame({"at": DAYS, "n_champion": [0, 9, 18, 27], "n_challenger": [0, 1, 2, 3]}).with_columns(
        pl.Series(f"{side}{end}", [None, middle + apart, middle + apart / 2, middle + apart / 4])
        for side, middle in (("champion", 0.8), ("challenger", 0.7), ("difference", -0.1))
        for end, apart in (("", 0.0), ("_low", -0.2), ("_high", 0.2))
    )
    stages = pl.DataFrame(
        {
            "stage": ["shadow", stage],
            "began": [BEGAN - timedelta(days=1), BEGAN],
            "ended": [BEGAN, DAYS[3] if action else None],
            "margin": [None, 0.1],
            "action": ["advance", action],
        }
    )
    return rollout_figure(course, stages, title="new & old")


def test_arms_are_lines_with_bands_and_the_difference_is_in_points():
    figure = drawn()
    lines = {trace.name: list(trace.y) for trace in figure.data if trace.name in ("champion", "challenger")}
    assert lines == {"champion": [0.8] * 3, "challenger": [0.7] * 3}
    (difference,) = [t for t in figure.data if t.line.color == "#1f2933"]
    assert list(difference.y) == pytest.approx([-10.0] * 3)
    bands = [list(t.y) for t in figure.data if t.fill == "tonexty"]
    assert bands[2] == pytest.approx([-30.0, -20.0, -15.0])


def test_what_ended_a_stage_stands_where_the_difference_then_was():
    marks = {trace.name: trace for trace in drawn().data if trace.mode == "markers"}
    assert set(marks) == {"passed", "rolled back"}
    assert (list(marks["rolled back"].x), list(marks["rolled back"].y)) == ([DAYS[3]], [pytest.approx(-10.0)])
    assert list(marks["passed"].y) == [0.0]


def test_the_margin_reaches_from_a_stages_beginning_to_its_end_or_to_the_last_look():
    for action in ("roll back", None):
        (margin,) = [trace for trace in drawn(action).data if trace.name == "margin"]
        assert (list(margin.x), list(margin.y)) == ([BEGAN, DAYS[3]], [-10.0, -10.0])


def test_names_are_texts():
    assert [note.text for note in drawn(stage="<b>").layout.annotations] == ["shadow", "&lt;b&gt;"]


def test_before_any_look_there_are_axes_only():
    course = pl.DataFrame(
        schema={"at": pl.Datetime("us", "UTC"), "n_champion": pl.Int64, "n_challenger": pl.Int64}
        | {
            f"{side}{end}": pl.Float64
            for side in ("champion", "challenger", "difference")
            for end in ("", "_low", "_high")
        }
    )
    stages = pl.DataFrame({"stage": ["5%"], "began": [BEGAN], "ended": [None], "margin": [0.1], "action": [None]})
    figure = rollout_figure(course, stages.cast({"ended": pl.Datetime("us", "UTC"), "action": pl.String}), title="t")
    assert all(len(trace.x) == 0 for trace in figure.data)
