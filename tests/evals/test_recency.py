"""Recency: gain on the newest traffic against loss on older, and the one sentence about it."""

import polars as pl
import pytest

from clworkbench.errors import EvidenceError
from clworkbench.evals.production import drawn_of, production
from clworkbench.evals.recency import Compared, Recency, compared
from clworkbench.releases.production import DRAWN
from clworkbench.schemas import SUITE, in_suite

NOBODY = pl.DataFrame(schema=DRAWN)


def scored(right: int, of: int, *, slices: list[str] | None = None) -> pl.DataFrame:
    """The first so many examples are right."""
    return pl.DataFrame(
        {
            "example_id": [f"e{n:03}" for n in range(of)],
            "slices": [slices or []] * of,
            "scorer": ["exact"] * of,
            "repetition": [0] * of,
            "score": [1.0] * right + [0.0] * (of - right),
        },
        schema_overrides={"slices": pl.List(pl.String)},
    )


def held(newest: tuple[int, int], older: tuple[int, int], of: int = 200) -> Recency:
    sides = [
        Compared(period, f"{period}@1", scored(before, of, slices=["money"]), scored(after, of), NOBODY)
        for period, (before, after) in (("newest", newest), ("older", older))
    ]
    return Recency("new", "old", compared(sides))


def test_a_gain_that_was_paid_for_with_a_loss_is_told_as_both():
    found = held((100, 140), (150, 100))
    assert found.gained
    assert len(found.lost) == 2  # all of it, and its only slice
    assert found.advice.startswith("It gains on the newest traffic (+0.200")
    assert "replay more" in found.advice
    told = found.frame.filter(pl.col("slice") == "all").select("period", "n", "champion", "challenger", "difference")
    assert told.rows() == [
        ("newest", 200, 0.5, 0.7, pytest.approx(0.2)),
        ("older", 200, 0.75, 0.5, pytest.approx(-0.25)),
    ]


def test_a_gain_without_a_loss_says_how_much_could_have_been_lost():
    found = held((100, 140), (150, 150))
    assert found.gained
    assert found.lost == []
    assert "no loss on older is shown (at worst +0.000 [-0.013, +0.013])" in found.advice


def test_neither_gain_nor_loss_asks_for_more():
    assert "draw more" in held((100, 101), (100, 99)).advice


def test_a_loss_without_a_gain_is_no_recommendation():
    assert "do not ship" in held((100, 100), (150, 100)).advice


def test_a_loss_that_only_one_of_many_slices_shows_by_chance_is_not_told():
    many = [f"slice {n}" for n in range(40)]
    before = scored(100, 200).with_columns(slices=pl.lit(many))
    # 12 lost and 4 won of 200: below 0 at 90 %, and not where 41 rows are told together.
    after = before.with_columns(
        score=pl.when(pl.int_range(pl.len()) < 12).then(0.0).when(pl.int_range(pl.len()) >= 196).then(1.0)
        .otherwise("score")
    )  # fmt: skip
    frame = compared([Compared("older", "old@1", before, after, NOBODY)])
    assert frame["high"].max() < 0
    assert frame["verdict"].unique().to_list() == ["open"]


def test_suites_of_which_no_example_was_graded_on_both_sides_are_refused():
    other = scored(1, 2).with_columns(example_id=pl.lit("x") + pl.col("example_id"))
    with pytest.raises(EvidenceError, match="no example was graded on both sides"):
        compared([Compared("newest", "week@1", scored(1, 2), other, NOBODY)])


def test_texts_of_models_and_slices_are_escaped():
    frame = compared([Compared("newest", "week@1", scored(1, 9, slices=["<b>"]), scored(8, 9), NOBODY)])
    found = Recency("<script>", "old", frame)
    assert "<script>" not in found._repr_html_()
    assert "<b>" not in found._repr_html_()
    assert "<b>" not in str(found.plot().to_plotly_json()["layout"])


def test_a_drawn_suite_gives_the_mean_over_its_traffic_beside_that_over_its_examples():
    rows = [{"example_id": f"e{n:03}", "group": f"g{n}", "inclusion": 0.1 if n < 2 else 1.0} for n in range(4)]
    suite = pl.DataFrame(rows, schema=SUITE)
    drawn = drawn_of(suite)
    assert drawn is not None
    found = production(scored(2, 4), drawn)
    assert found.select("slice", "n").rows() == [("all", 4)]
    assert found["mean"].item() == pytest.approx(20 / 22)
    assert drawn_of(in_suite(suite.drop("inclusion"))) is None
