"""The map: every signal counts in one cell, and an area of cells holds what these count."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench.errors import ClwError, ExpressionError
from clworkbench.slices.explored import Explored
from clworkbench.slices.filters import Filters
from clworkbench.slices.mapped import Mapped
from clworkbench.statistics.intervals import wilson

WORDS = ("refund", "invoice", "card", "cancel", "order", "late")
TEXTS = [" ".join(WORDS[n * k % 6] for k in (1, 2, 3)) + f" {'abcdefgh'[n % 8]}" for n in range(120)]


def signals() -> pl.DataFrame:
    """Every tenth says nothing, every fifth is pending, every third of the others bad."""
    return pl.DataFrame(
        {
            "interaction_id": [f"i{n}" for n in range(120)],
            "outcome": [None if n % 5 == 0 else n % 3 != 0 for n in range(120)],
            "app": ["ab"[n % 2] for n in range(120)],
            "text": [None if n % 10 == 9 else text for n, text in enumerate(TEXTS)],
        }
    )


@pytest.fixture(scope="module")
def explored() -> Explored:
    return Explored(signals(), {})


def test_every_signal_that_said_something_counts_in_one_cell(explored):
    grid = explored.grid(Filters())
    assert (grid.placed, grid.unplaced) == (108, 12)
    assert (grid.cells["n"] + grid.cells["pending"]).sum() == 108
    assert not grid.cells.select(pl.struct("row", "column").is_duplicated().any()).item()
    assert grid.cells["pending"].sum() == signals().filter(pl.col("outcome").is_null(), pl.col("text") != "").height


def test_a_cell_has_its_rate_with_wilsons_interval(explored):
    cell = explored.grid(Filters()).cells.sort("n").row(-1, named=True)
    low, high = wilson(round(cell["rate"] * cell["n"]), cell["n"])
    assert (cell["low"], cell["high"]) == pytest.approx((low, high))


def test_filters_move_no_edge(explored):
    whole, part = explored.grid(Filters()), explored.grid(Filters(values={"app": ("a",)}))
    assert whole.x.tolist() == part.x.tolist()
    assert whole.y.tolist() == part.y.tolist()
    assert part.placed == 60


@settings(max_examples=60)
@given(drawn=st.data())
def test_an_area_of_cells_holds_what_its_cells_count(explored, drawn):
    grid = explored.grid(Filters())
    column, row = (st.integers(0, len(edges) - 2) for edges in (grid.x, grid.y))
    left, right = sorted(drawn.draw(st.tuples(column, column)))
    low, high = sorted(drawn.draw(st.tuples(row, row)))
    area = (grid.x[left], grid.x[right + 1], grid.y[low], grid.y[high + 1])
    inside = grid.cells.filter(pl.col("column").is_between(left, right), pl.col("row").is_between(low, high))
    found = explored.holds(Filters.of({"area": [float(each) for each in area]}))
    assert found.sum() == (inside["n"] + inside["pending"]).sum()


def test_an_area_is_a_filter_beside_the_others(explored):
    grid = explored.grid(Filters())
    everywhere = (float(grid.x[0]), float(grid.x[-1]), float(grid.y[0]), float(grid.y[-1]))
    assert explored.look(Filters(area=everywhere)).found == 108
    assert explored.look(Filters(area=everywhere, values={"app": ("a",)})).found == 60
    assert explored.look(Filters(area=(5.0, 6.0, 5.0, 6.0))).found == 0


@pytest.mark.parametrize("area", [[1, 2, 3], [1, 0, 0, 1], ["a", 1, 0, 1], [0, float("inf"), 0, 1], "abcd"])
def test_what_no_area_is_is_told_in_words(area):
    with pytest.raises(ExpressionError, match="filters: area"):
        Filters.of({"area": area})


def test_texts_that_are_all_in_a_line_or_in_one_place_have_a_map():
    for texts in (["aa bb", "aa bb cc", "aa bb dd"], ["1", "2", "3"], ["!", "?", "."]):
        grid = Mapped(pl.Series(texts), "hashed").grid(pl.Series([True] * 3), pl.Series([True, False, None]))
        assert (grid.cells["n"].sum(), grid.cells["pending"].sum()) == (2, 1)


def test_too_few_texts_for_a_map_are_told_in_words():
    for rows in (signals().head(2), signals().head(0), signals().drop("text")):
        explored = Explored(rows, {})
        assert explored.mapped.is_made(10)
        with pytest.raises(ClwError, match="too few to be laid out"):
            explored.grid(Filters())


def test_the_words_that_tell_an_area_apart_are_those_that_stand_in_it_alone():
    said = [f"{what} {n}" for n in range(60) for what in ("refund the invoice", "late order")]
    rows = pl.DataFrame({"interaction_id": [f"i{n}" for n in range(120)], "text": [*said[:118], "hello", None]})
    explored = Explored(rows, {})
    at = explored.points(Filters()).filter(pl.col("interaction_id") == "i0").row(0, named=True)
    area = (at["x"] - 1e-6, at["x"] + 1e-6, at["y"] - 1e-6, at["y"] + 1e-6)
    told = explored.telling(Filters(area=area))
    assert set(told.replace(" · ", " ").split()) <= {"refund", "the", "invoice"}
    assert told
    assert explored.telling(Filters(area=(8.0, 9.0, 8.0, 9.0))) == ""
    assert explored.telling(Filters(area=area, text="refund")) == ""


def test_points_are_the_signals_that_have_a_place(explored):
    points = explored.points(Filters(values={"app": ("a",)}))
    held = signals().filter(pl.col("app") == "a", pl.col("text").is_not_null())
    assert points["interaction_id"].to_list() == held["interaction_id"].to_list()
    states = {True: "good", False: "bad", None: "pending"}
    assert points["outcome"].to_list() == [states[each] for each in held["outcome"]]
