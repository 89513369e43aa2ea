"""Rates by slice, their intervals against a published table, and the report's three faces."""

from datetime import UTC, datetime

import polars as pl
import pytest
from statsmodels.stats.proportion import proportion_confint

from clworkbench.slices.rates import SliceReport, rates

SIGNALS = pl.DataFrame(
    {
        "app": ["a", "a", "a", "b", "b", "c"],
        "outcome": [True, False, None, True, True, None],
    }
)
EVENT = pl.col("outcome")


def test_a_rate_counts_the_settled_and_says_how_many_are_pending():
    found = rates(SIGNALS, "app", event=EVENT)
    assert found.select("app", "n", "pending", "rate").rows() == [("a", 2, 1, 0.5), ("b", 2, 0, 1.0), ("c", 0, 1, None)]


@pytest.mark.parametrize(("good", "n"), [(1, 2), (0, 10), (7, 10), (120, 150)])
def test_the_interval_is_wilsons(good, n):
    signals = pl.DataFrame({"app": ["a"] * n, "outcome": [True] * good + [False] * (n - good)})
    row = rates(signals, "app", event=EVENT).row(0, named=True)
    assert (row["low"], row["high"]) == pytest.approx(proportion_confint(good, n, method="wilson"))


def test_where_nothing_is_settled_nothing_is_said():
    row = rates(SIGNALS, "app", event=EVENT).row(-1, named=True)
    assert (row["n"], row["low"], row["high"]) == (0, None, None)


def test_two_columns_make_slices_together():
    signals = SIGNALS.with_columns(release=pl.Series(["x", "y", "x", "x", "x", "x"]))
    assert rates(signals, "app", "release", event=EVENT).select("app", "release", "n").rows() == [
        ("a", "x", 1),
        ("a", "y", 1),
        ("b", "x", 2),
        ("c", "x", 0),
    ]


def test_a_report_shows_n_and_interval_and_escapes_names():
    signals = SIGNALS.with_columns(pl.col("app").replace({"a": "<script>a</script>"}))
    report = SliceReport(rates(signals, "app", event=EVENT), ("app",), "Good <b>answers</b>")
    html = report._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    assert "9% to 91%" in html  # 1 of 2 by Wilson: 0.0945 to 0.9055
    assert repr(report) == "SliceReport(Good <b>answers</b>: 3 by app, 4 settled, 2 pending)"


def test_the_figure_draws_what_is_settled_with_its_reach_and_marks_moments():
    day = pl.Series([datetime(2026, 3, d, tzinfo=UTC) for d in (2, 2, 2, 3, 3, 4)])
    frame = rates(SIGNALS.with_columns(day=day), "day", event=EVENT).with_columns(share=pl.lit(0.5))
    figure = SliceReport(frame, ("day",), "t", {"new %{x} <i>": datetime(2026, 3, 3, tzinfo=UTC)}).plot()
    dots, counts, bars = figure.data
    assert list(dots.y) == [0.5, 1.0]
    assert [at.hour for at in dots.x] == [12, 12]
    assert dots.error_y.array[0] == pytest.approx(0.9055 - 0.5, abs=1e-4)
    assert list(counts.text) == ["2", "2"]
    assert list(bars.y) == [0.5, 0.5, 0.5]
    assert "new % {x} &lt;i&gt;" in [note.text for note in figure.layout.annotations]


def test_where_all_is_pending_the_report_says_so_in_words():
    waiting = SIGNALS.with_columns(outcome=pl.lit(None, pl.Boolean))
    report = SliceReport(rates(waiting, "app", event=EVENT), ("app",), "Good answers")
    assert report.why == "not enough data: none of 6 outcomes is settled yet"
    assert report.why in report._repr_html_()
    assert report.lines() == [
        "Good answers: not enough data: none of 6 outcomes is settled yet",
        "app  signals  settled  good             95 %",
        "a    3        0        not enough data  –",
        "b    2        0        not enough data  –",
        "c    1        0        not enough data  –",
    ]
    assert "nan" not in report._repr_html_().lower()
    report.plot()


def test_a_long_report_shows_fifty_rows_and_a_figure_forty():
    many = pl.DataFrame({"app": [f"a{i:02}" for i in range(60)], "outcome": [True] * 60})
    report = SliceReport(rates(many, "app", event=EVENT), ("app",), "t")
    assert "a49" in report._repr_html_()
    assert "a50" not in report._repr_html_()
    assert "and 10 more rows" in report._repr_html_()
    assert len(report.plot().data[0].x) == 40
    assert "(20 more slices not drawn)" in report.plot().layout.title.text


def test_over_time_the_six_largest_slices_are_drawn_in_shapes_of_their_own():
    start = datetime(2026, 3, 2, tzinfo=UTC)
    rows = [(f"app {i}", start, True) for i in range(8) for _ in range(i + 1)]
    signals = pl.DataFrame(rows, schema=["app", "started_at", "outcome"], orient="row")
    report = SliceReport(rates(signals, "app", event=EVENT, every="day"), ("day", "app"), "t")
    lines = report.plot().data
    assert [line.name for line in lines] == [f"app {i}" for i in (7, 6, 5, 4, 3, 2)]
    assert len({line.marker.symbol for line in lines}) == 6
    assert "(2 smaller slices not drawn)" in report.plot().layout.title.text


@pytest.mark.parametrize(("rate", "says"), [(0.0, "all 24 settled outcomes are bad"), (1.0, "all 24 settled outcomes")])
def test_outcomes_of_one_class_are_told_as_such(rate, says):
    frame = pl.DataFrame({"app": ["a", "b"], "outcome": [rate == 1.0] * 2}).select(pl.all().repeat_by(12).explode())
    report = SliceReport(rates(frame, "app", event=pl.col("outcome")), ("app",), "Signals by app")
    assert says in report.lines()[0]
    assert "[outcomes]" in report._repr_html_()
    few = SliceReport(rates(frame.head(12), event=pl.col("outcome")), (), "Signals")
    assert few.one_class is None
