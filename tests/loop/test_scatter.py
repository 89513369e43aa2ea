"""The map as points: what a lasso holds is marked in the explorer, and what is marked there is shown."""

import sys

import numpy as np
import polars as pl
import pytest

from clworkbench.display.explorer.scatter import Points
from clworkbench.errors import ClwError, NotebookError
from clworkbench.loop.signals import explorer_source
from clworkbench.loop.signals.explore import explore
from tests.loop.made_talks import make_talks


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scatter")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(folder / "config"))
        yield make_talks(folder / "w")


@pytest.fixture
def explorer(place):
    return explore(place, "money")


@pytest.fixture
def scatter(explorer):
    pytest.importorskip("jscatter", reason="jupyter-scatter is not installed: pip install 'clworkbench[map]'")
    return explorer.scatter()


def lasso(chart, places) -> None:
    """What the browser sends when a lasso is closed."""
    chart.selection = np.array(places, dtype=np.uint32)


def test_points_are_what_the_filters_leave_coloured_by_outcome(explorer, place):
    points = explorer._source.points({"slice": "money"})
    money = place.signals().filter(pl.col("text").str.contains("charged"))
    assert points.frame["interaction_id"].to_list() == money["interaction_id"].to_list()
    # Of 0, 3, … 57: 0, 21 and 42 are pending; 15, 30 and 45 are bad.
    assert dict(points.frame["outcome"].value_counts().rows()) == {"good": 14, "bad": 3, "pending": 3}
    assert points.frame.select(pl.col("x", "y").is_not_null().all()).row(0) == (True, True)
    assert points.said == "20 signals"


def test_of_many_signals_every_second_third_is_drawn_and_that_is_said(explorer, monkeypatch):
    monkeypatch.setattr(explorer_source, "MOST_POINTS", 7)
    points = explorer._source.points({})
    assert points.said == "7 of 60 signals, one in 9"
    assert points.frame["interaction_id"].to_list() == explorer._source.rows({}, ())["interaction_id"][::9].to_list()


def test_places_and_ids_go_both_ways_and_what_is_not_drawn_has_no_place():
    points = Points(pl.DataFrame({"interaction_id": ["a", "b", "c"]}), 3)
    assert points.ids(np.array([2, 0, 2])) == ["a", "c"]
    assert points.places(["c", "gone", "a"]).tolist() == [0, 2]


def test_without_jupyter_scatter_it_says_what_to_install(explorer, monkeypatch):
    monkeypatch.setitem(sys.modules, "jscatter", None)
    with pytest.raises(NotebookError, match=r"pip install 'clworkbench\[map\]'"):
        explorer.scatter()


def test_too_little_said_for_points_is_told_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    with pytest.raises(ClwError, match="too few to be laid out"):
        explore(make_talks(tmp_path / "w", 2)).scatter()


def test_a_lasso_marks_signals_that_stand_in_the_code(explorer, scatter):
    lasso(scatter, [4, 1])
    rows = explorer._source.rows({"slice": "money"}, ())
    assert explorer.selected == rows["interaction_id"].gather([1, 4]).to_list()
    assert f"ids={explorer.selected!r}" in explorer.code()
    assert scatter.axes_labels[0] == "20 signals; 2 marked"
    lasso(scatter, [])
    assert explorer.selected == []


def test_marks_of_the_explorer_are_shown_as_points(explorer, scatter):
    explorer.selected_ids = explorer.rows["interaction_id"].gather([3]).to_list()
    assert scatter.selection.tolist() == [3]
    explorer.filters = {"text": "charged twice 57"}
    assert scatter.selection.tolist() == []


def test_a_lasso_marks_only_what_the_filters_find_by_now(explorer, scatter):
    explorer.filters = {"text": "charged twice 3"}  # 3, 30, 33, 36 and 39
    lasso(scatter, range(20))
    assert len(explorer.selected) == 5


def test_a_lasso_around_too_many_marks_none_and_says_so(explorer, scatter):
    lasso(scatter, [0])
    explorer.offers = {**explorer.offers, "most_marked": 3}
    before = explorer.selected
    lasso(scatter, range(4))
    assert explorer.selected == before
    assert "4 signals are too many to mark, at most 3" in scatter.axes_labels[0]


def test_points_that_were_drawn_before_mark_nothing_any_more(explorer, scatter):
    again = explorer.scatter()
    lasso(scatter, [0])
    assert explorer.selected == []
    lasso(again, [0])
    assert len(explorer.selected) == 1


def test_filters_that_find_nothing_have_no_points_and_the_points_before_stay_linked(explorer, scatter):
    explorer.filters = {"text": "nobody said this"}
    with pytest.raises(ClwError, match="find no signal that has a place on the map"):
        explorer.scatter()
    explorer.filters = {}
    lasso(scatter, [0])
    assert len(explorer.selected) == 1
