"""Repeated failures: counts by hand, intervals as statsmodels has them, trend by what is settled only."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from clworkbench.slices.failures import Failures, repeated_failures

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
SCHEMA = {"interaction_id": pl.String, "started_at": pl.Datetime("us", "UTC"), "text": pl.String, "outcome": pl.Boolean}


def signals(*parts: tuple[int, str, int, int, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Signals and their groups: day, text, good, failed, pending; a group for each text."""
    rows = []
    for day, text, good, failed, pending in parts:
        for outcome in [True] * good + [False] * failed + [None] * pending:
            at = MONDAY + timedelta(days=day, minutes=len(rows))
            rows.append((f"id{len(rows)}", at, text, outcome))
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return frame, frame.select("interaction_id", group=pl.col("text").rank("dense"))


def report(*parts: tuple[int, str, int, int, int], **options) -> Failures:
    return repeated_failures(*signals(*parts), **options)


RISING = ((0, "refund my order", 18, 2, 0), (12, "refund my order", 3, 9, 4), (12, "thank you", 30, 0, 0))


def test_counts_rates_and_trend_are_those_of_a_hand_and_of_statsmodels():
    row = report(*RISING).frame.row(0, named=True)
    assert (row["n"], row["pending"], row["failures"]) == (32, 4, 11)
    assert (row["n_before"], row["rate_before"], row["n_last"], row["rate_last"]) == (20, 0.1, 12, 0.75)
    assert (row["low"], row["high"]) == pytest.approx(proportion_confint(11, 32, method="wilson"))
    assert (row["change_low"], row["change_high"]) == pytest.approx(
        confint_proportions_2indep(9, 12, 2, 20, method="newcomb", compare="diff"), abs=1e-6
    )
    assert row["excess"] == pytest.approx(11 - 32 * 11 / 62)
    assert row["trend"] == "rising"
    assert row["last_at"] == MONDAY + timedelta(days=12, minutes=31)
    assert row["example"] == "id31"


def test_only_groups_that_fail_twice_are_repeated_failures():
    found = report((0, "once is not again", 5, 1, 3), (0, "twice is again", 5, 2, 0), (0, "never", 9, 0, 0))
    assert found.frame["text"].to_list() == ["twice is again"]
    assert (found.n, found.failures) == (22, 3)


@pytest.mark.parametrize(
    ("parts", "trend"),
    [
        (((0, "a", 0, 30, 0), (12, "a", 30, 2, 0)), "falling"),
        (((0, "a", 10, 5, 0), (12, "a", 10, 5, 0)), "no clear change"),
        (((12, "a", 10, 5, 9),), "not enough data"),
        (((0, "a", 10, 5, 0), (12, "a", 0, 0, 9), (12, "b", 1, 0, 0)), "not enough data"),
    ],
)
def test_a_trend_is_told_only_where_both_sides_are_settled(parts, trend: str):
    row = report(*parts).frame.row(0, named=True)
    assert row["trend"] == trend
    assert (row["change"] is None) == (trend == "not enough data")


def test_pending_signals_do_not_move_the_window():
    found = report(*RISING, (40, "refund my order", 0, 0, 50))
    assert found.until == MONDAY + timedelta(days=12, minutes=65)
    assert found.frame["rate_last"][0] == 0.75
    assert found.frame["pending"][0] == 54


def test_a_group_that_fails_beyond_its_share_comes_first():
    found = report((0, "common and fine", 970, 30, 0), (0, "rare and bad", 0, 20, 0))
    assert found.frame["text"].to_list() == ["rare and bad", "common and fine"]
    assert found.frame["excess"].sum() == pytest.approx(0, abs=1e-9)


def test_groups_are_named_by_their_telling_terms():
    found = report((0, "refund my order please", 5, 20, 0), (0, "camera app crashes", 20, 5, 0))
    assert found.frame["name"].to_list() == ["order please · refund my", "app crashes · camera"]


@pytest.mark.parametrize("columns", [{}, {"outcome": None}, {"text": None}, {"started_at": None}])
def test_nulls_everywhere_are_said_in_words(columns: dict[str, None]):
    frame, groups = signals(*RISING)
    frame = frame.with_columns(pl.lit(None, SCHEMA[name]).alias(name) for name in columns)
    found = repeated_failures(frame, groups)
    html = found._repr_html_()
    assert "nan" not in html.lower()
    assert "None" not in html
    if "outcome" in columns:
        assert "No group failed more than once; nothing is settled yet." in html
    if "started_at" in columns:
        assert found.frame["trend"].to_list() == ["not enough data"]
    if "text" in columns:
        assert found.frame["name"].to_list() == ["no telling term (1)"]
    found.plot()


def test_no_signals_at_all_are_no_failures():
    frame, groups = signals()
    found = repeated_failures(frame, groups)
    assert repr(found) == "Failures(0 groups that fail again; nothing is settled yet)"
    assert list(found.frame.columns)[:3] == ["group", "name", "n"]
    found.plot()


def test_hostile_texts_are_escaped_and_shown_only_when_asked_for():
    hostile = "<img src=x onerror=alert(1)> $x$ %{y}"
    parts = ((0, hostile, 1, 40, 0), (0, "plain", 40, 2, 0))
    assert "onerror=" not in report(*parts)._repr_html_()
    shown = report(*parts, texts=True)._repr_html_()
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "<img" not in shown


def test_the_figure_shows_both_windows_with_their_numbers():
    figure = report(*RISING).plot()
    before, last = figure.data
    assert (list(before.x), list(last.x)) == ([0.1], [0.75])
    assert (before.name, last.name) == ("before", "last 7 days")
    assert [note.text for note in figure.layout.annotations] == ["n = 20", "n = 12"]


def test_many_groups_are_shown_in_part_and_the_rest_is_counted():
    found = report(*((0, f"{'abcdefghijklmnopqrstuvwxyz'[i]}ord again", 1, 2, 0) for i in range(26)))
    html = found._repr_html_()
    assert html.count("<tr>") == 26
    assert "1 more in .frame" in html


def test_trends_by_chance_are_told_in_few_of_many_reports():
    alarms = 0
    for seed in range(60):
        draw = random.Random(seed)
        rows = [
            (f"id{i}", MONDAY + timedelta(hours=draw.randrange(20 * 24)), "a", draw.random() > 0.2) for i in range(1500)
        ]
        frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        groups = frame.select("interaction_id", group=pl.int_range(pl.len()) % 20)
        alarms += "rising" in repeated_failures(frame, groups).frame["trend"]
    assert alarms <= 6  # at 2.5 % a report: 1.5 expected, more than 6 once in a thousand


def test_where_no_group_failed_again_the_figure_says_so():
    found = report((0, "once", 5, 1, 0))
    assert found.frame.is_empty()
    assert "no group failed more than once" in found.plot().layout.annotations[0].text
