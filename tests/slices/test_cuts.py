"""Cuts of columns: every row is in just the part whose expression selects it."""

import math

import numpy as np
import polars as pl
import pytest

from clworkbench import expressions
from clworkbench.slices.cuts import Cut, cut

DRAW = np.random.default_rng(0)
N = 400
COLUMNS = {
    "text": pl.Series(DRAW.choice(["a", "b'c", "d -- e", "f(select 1)", ""], N)),
    "gaps": pl.Series(DRAW.choice(["a", "b", "none"], N)).replace("none", None),
    "flag": pl.Series(DRAW.random(N) < 0.5),
    "flag_gaps": pl.Series(DRAW.random(N) < 0.5).set(pl.Series(DRAW.random(N) < 0.1), None),
    "few": pl.Series(DRAW.integers(-3, 4, N)),
    "many": pl.Series(DRAW.integers(-3000, 4000, N)),
    "real": pl.Series(DRAW.lognormal(0, 3, N)).set(pl.Series(DRAW.random(N) < 0.1), None),
    "nearly_zero": pl.Series(np.where(DRAW.random(N) < 0.95, 0, DRAW.integers(1, 1000, N))),
    "rare": pl.Series(["x"] * (N - 30) + [f"r{i}" for i in range(30)]),
    "price": pl.Series(DRAW.integers(1, 900, N)).cast(pl.Decimal(10, 2)),
    "odd name": pl.Series(DRAW.choice(["a", "b"], N)),
}


@pytest.mark.parametrize("name", list(COLUMNS))
def test_each_part_holds_the_rows_that_its_expression_selects(name: str):
    values = COLUMNS[name].alias(name)
    made = cut(values, expressions.name_in_sql(name))
    assert isinstance(made, Cut)
    assert len(np.unique(made.codes)) > 1
    for part, expression in enumerate(made.parts):
        if expression is not None:
            held = expressions.holds(values.to_frame(), expression, where="test")
            assert held.to_list() == (made.codes == part).tolist(), expression


def test_numbers_are_cut_into_fifths_and_kept_as_numbers():
    made = cut(pl.Series("x", range(1, 101)), "x")
    assert isinstance(made, Cut)
    assert np.bincount(made.codes).tolist() == [0, 20, 20, 19, 20, 21]  # a quantile is a value, and begins its part
    assert made.numbers is not None
    assert made.numbers.tolist() == list(range(1, 101))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (pl.Series("x", [None, None], dtype=pl.Float64), "empty in every row"),
        (pl.Series("x", [math.nan, math.inf]), "empty in every row"),
        (pl.Series("x", [None, None], dtype=pl.Null), "empty in every row"),
        (pl.Series("x", ["a", "a"]), "the same in every row"),
        (pl.Series("x", ["a", "b"]), "no value occurs 10 times"),
        (pl.Series("x", [["a"], ["b"]]), "holds List(String)"),
    ],
)
def test_a_column_that_cannot_be_cut_says_why(values: pl.Series, says: str):
    made = cut(values, "x")
    assert isinstance(made, str)
    assert says in made
