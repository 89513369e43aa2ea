"""Drift: few false alarms, planted shifts found, harm told apart from drift, and words where nothing is to be told."""

import json
import math

import polars as pl
import pytest

from clworkbench.errors import ExpressionError
from clworkbench.slices.drift import ALPHA, drift, drifted
from clworkbench.slices.slice import Slice
from tests.slices.made_windows import COLUMNS, halves, made_window

TABLE = tuple(name for name in COLUMNS if name != "text")


def false_alarms(seeds: range, columns: tuple[str, ...]) -> int:
    """Pairs of windows from one source in which any test is significant, whatever its effect."""
    found = 0
    for seed in seeds:
        report = drift(*halves(seed, 400), columns=columns, salt=f"aa{seed}")
        found += bool((report.frame["p_adjusted"] <= ALPHA).any())
    return found


def test_windows_from_one_source_give_few_alarms_though_turns_of_a_conversation_are_alike():
    assert false_alarms(range(60), TABLE) <= 7  # 5 % of 60 are 3; 8 or more have probability 0.01


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_at_most_21_of_200_pairs_of_windows_from_one_source_give_a_false_alarm():
    assert false_alarms(range(200), COLUMNS) <= 21


def test_a_planted_shift_of_a_category_is_found_in_nine_of_ten_pairs_and_it_alone():
    found = []
    for seed in range(10):
        before, now = halves(seed, 400)
        found.append(drift(before, grown(now), columns=TABLE, salt="x").frame.filter("drifted")["name"])
    assert sum("app" in names for names in found) >= 9
    assert sum(len(set(names) - {"app"}) for names in found) <= 1


def test_a_shift_that_is_sure_but_small_is_no_alarm():
    before, now = halves(3, 10_000)
    slightly = now.with_columns(pl.col("latency_ms") * 1.07)
    row = drift(before, slightly, columns=["latency_ms"], salt="x").frame.row(0, named=True)
    assert row["p_adjusted"] < 0.01
    assert row["score"] < row["least"]
    assert not row["drifted"]


def test_another_topic_in_a_fifth_of_the_texts_is_found_by_wording_vectors_and_topics():
    before, now = halves(4, 1_500)
    new = pl.lit("my doctor asks whether the vaccine certificate is valid abroad ") + pl.col("text").str.tail(12)
    fifth = pl.col("conversation_id").str.extract(r"c(\d+)$").cast(pl.Int64) % 5 == 0
    report = drift(
        before, now.with_columns(text=pl.when(fifth).then(new).otherwise("text")), columns=["text"], salt="x"
    )
    drifted_ = report.frame.filter("drifted")
    assert set(drifted_["name"]) >= {"text: wording", "text: vectors", "text: topics"}
    topic = report.parts.filter(pl.col("column") == "text: topics").sort("share_now").row(-1, named=True)
    assert "vaccine" in topic["part"] or "doctor" in topic["part"] or "certificate" in topic["part"]
    assert topic["share_before"] == 0
    assert topic["new"]
    assert topic["n_before"] == pytest.approx(0.9 * 1_500, rel=0.05)  # all that are settled: a tenth is pending
    assert topic["share_now"] == pytest.approx(0.2, abs=0.04)


def grown(now: pl.DataFrame) -> pl.DataFrame:
    """The phone app grows from 30 % of the conversations to more than half."""
    moved = pl.col("conversation_id").str.extract(r"c(\d+)$").cast(pl.Int64) % 3 == 0
    return now.with_columns(app=pl.when(moved).then(pl.lit("phone")).otherwise("app"))


def report_of(outcome: pl.Expr | None = None, *, conversations: int = 1_500):
    before, now = halves(11, conversations)
    now = grown(now)
    return drift(before, now if outcome is None else now.with_columns(outcome=outcome), columns=TABLE, salt="x")


def test_drift_without_harm_asks_for_nothing():
    report = report_of()
    assert report.alert
    phone = report.parts.filter(pl.col("expression") == "app = 'phone'").row(0, named=True)
    assert phone["share_before"] == pytest.approx(0.3, abs=0.03)
    assert phone["share_now"] == pytest.approx(1 / 3 + 2 / 3 * 0.3, abs=0.04)
    assert phone["before"] == pytest.approx(0.8, abs=0.04)
    assert phone["harm"] in ("same", "unclear")
    assert report.advice in ("nothing", "evaluate")


def test_drift_with_worse_outcomes_asks_to_retrain_and_shows_both_rates():
    fails = pl.col("outcome") & ~((pl.col("app") == "phone") & (pl.int_range(pl.len()) % 3 == 0))
    report = report_of(fails)
    phone = report.parts.filter(pl.col("expression") == "app = 'phone'").row(0, named=True)
    assert phone["harm"] == "worse"
    assert phone["now"] == pytest.approx(0.8 * 2 / 3, abs=0.05)
    assert phone["change_low"] < phone["now"] - phone["before"] < phone["change_high"] < 0
    assert report.advice == "retrain"
    assert "app" in report.because


def test_drift_whose_outcomes_are_pending_asks_for_labels_and_counts_them_apart():
    report = report_of(pl.when(pl.col("app") != "phone").then("outcome"))
    phone = report.parts.filter(pl.col("expression") == "app = 'phone'").row(0, named=True)
    assert (phone["n_now"], phone["now"], phone["harm"]) == (0, None, "not enough data")
    assert phone["pending_now"] > 1_000
    assert report.advice == "label"
    assert "no settled outcome" in "\n".join(report.lines())


def test_where_the_outcomes_are_too_few_and_none_is_pending_no_labels_are_asked_for():
    before, now = (made_window(seed, 60, turns=1).with_columns(outcome=pl.lit(value=True)) for seed in (1, 2))
    place = pl.int_range(pl.len())
    moved = [
        part.with_columns(app=pl.when(place < share).then(pl.lit("phone")).otherwise(pl.lit("desk")))
        for part, share in ((before, 15), (now, 45))
    ]
    report = drift(*moved, columns=["app"], salt="x")
    assert set(report.parts["harm"]) == {"not enough data"}
    assert report.advice == "evaluate"
    assert "too few to tell" in report.because


def test_shares_and_n_of_numbers_are_of_those_that_are_there():
    """Nine in ten are null before, none is now: that is a drift of its own, and no number moved."""
    before, now = halves(5, 3_000)
    gaps = pl.int_range(pl.len()) // 3 % 10 != 0
    report = drift(
        before.with_columns(latency_ms=pl.when(~gaps).then("latency_ms")),
        now.with_columns(pl.col("latency_ms") * 2),
        columns=["latency_ms"],
        salt="x",
    )
    rows = {row["name"]: row for row in report.frame.to_dicts()}
    assert (rows["latency_ms"]["n_before"], rows["latency_ms"]["n_now"]) == (300, 3_000)
    assert rows["latency_ms is null"]["n_before"] == 3_000
    numbers = report.parts.filter(pl.col("column") == "latency_ms")
    assert numbers["part"].str.contains("null").sum() == 0
    assert numbers["share_before"].max() > 0.2  # of 300 numbers, not of 3,000 signals


def test_columns_that_hold_dates_always_move_on_and_are_left_out():
    parts = [
        part.with_columns(day=pl.lit(day))
        for part, day in zip(halves(1, 60), ("2026-03-01", "2026-03-02"), strict=True)
    ]
    assert drift(*parts, columns=["day"], salt="x").skipped == {"day": "holds dates, which always move on"}


def test_columns_that_are_left_out_for_one_reason_share_a_line():
    before, now = (part.with_columns(a=pl.lit(None, pl.String), b=pl.lit(None, pl.Int64)) for part in halves(1, 60))
    assert "not compared: a, b (empty in every row)" in drift(before, now, columns=["a", "app", "b"], salt="x").lines()


def test_a_new_value_that_fails_is_worse_than_all_outcomes_before():
    before, now = halves(13, 1_500)
    new = pl.col("conversation_id").str.contains("[27]$")
    failing = now.with_columns(
        app=pl.when(new).then(pl.lit("robot")).otherwise("app"),
        outcome=pl.col("outcome") & ~(new & (pl.col("flagged"))),
    )
    part = drift(before, failing, columns=["app"], salt="x").parts.filter(pl.col("part") == "app = 'robot'")
    row = part.row(0, named=True)
    assert (row["share_before"], row["new"], row["harm"]) == (0, True, "worse")
    assert (row["before"], row["now"]) == pytest.approx((0.8, 0.8 * 0.8), abs=0.04)


def test_worse_outcomes_without_drift_ask_for_an_evaluation():
    before, now = halves(12, 1_500)
    fails = pl.col("outcome") & (pl.int_range(pl.len()) % 4 != 0)
    report = drift(before, now.with_columns(outcome=fails), columns=["app", "model"], salt="x")
    assert not report.alert
    assert report.advice == "evaluate"
    assert "the model itself may have changed" in report.because


def test_more_traffic_where_outcomes_are_bad_anyhow_asks_for_an_evaluation():
    before, now = halves(11, 4_000)
    bad = pl.col("outcome") & ~((pl.col("app") == "phone") & pl.col("conversation_id").str.contains("[02468]$"))
    report = drift(before.with_columns(outcome=bad), grown(now).with_columns(outcome=bad), columns=["app"], salt="x")
    phone = report.parts.filter(pl.col("expression") == "app = 'phone'").row(0, named=True)
    assert (phone["before"], phone["now"]) == pytest.approx((0.4, 0.4), abs=0.04)
    assert report.overall.change_high < 0
    assert report.advice == "evaluate"
    assert "where they are bad" in report.because


def test_a_part_of_which_few_signals_are_there_is_new_only_where_it_was_hardly_there():
    """Of 60 conversations before, 15 are of the phone, which always failed: that is no news, and nobody can tell."""
    before, now = (
        made_window(seed, n, turns=1).with_columns(outcome=pl.lit(value=True)) for seed, n in ((1, 60), (2, 400))
    )
    place = pl.int_range(pl.len())

    def of_phone(share: int) -> list[pl.Expr]:
        phone = place % 20 < share
        return [pl.when(phone).then(pl.lit("phone")).otherwise(pl.lit("desk")).alias("app"), (~phone).alias("outcome")]

    report = drift(before.with_columns(of_phone(5)), now.with_columns(of_phone(14)), columns=["app"], salt="x")
    phone = report.parts.filter(pl.col("part") == "app = 'phone'").row(0, named=True)
    assert (phone["n_before"], phone["new"], phone["harm"]) == (15, False, "not enough data")


def test_topics_of_windows_chosen_by_their_outcomes_are_held_against_those_of_all_signals():
    """What was learned had only good outcomes: that the topics' rates are lower now is no harm."""
    all_, now = halves(4, 1_500)
    fifth = pl.col("conversation_id").str.extract(r"c(\d+)$").cast(pl.Int64) % 5 == 0
    new = pl.lit("my doctor asks whether the vaccine certificate is valid abroad ") + pl.col("text").str.tail(12)
    now = now.with_columns(text=pl.when(fifth).then(new).otherwise("text"))
    report = drift(all_.filter("outcome"), now, columns=["text"], salt="x", history=all_)
    topics = report.parts.filter(pl.col("column") == "text: topics")
    assert topics.height > 1
    assert (topics["before"] < 0.95).all()
    assert "worse" not in topics["harm"]
    assert "vaccine" in "".join(topics.filter("new")["part"]) + "".join(topics["part"])


def test_the_signals_of_parts_that_grew_are_pointed_out():
    before, now = halves(11, 1_500)
    now = grown(now)
    report = drift(before, now, columns=["app"], salt="x")
    assert drifted(report, now).to_list() == (now["app"] == "phone").to_list()
    assert drifted(drift(*halves(2, 100), columns=["app"], salt="x"), now).sum() == 0


def test_a_slice_of_clw_toml_is_compared_and_null_counts_as_outside():
    before, now = halves(11, 1_500)
    sure = Slice("sure", "confidence > 0.9 and provider = 'a'")
    moved = now.with_columns(pl.lit("a").alias("provider"), pl.lit(0.95).alias("confidence"))
    report = drift(before, moved, columns=["app"], slices=[sure, Slice("all", "app is not null")], salt="x")
    row = report.frame.filter(pl.col("kind") == "slice").row(0, named=True)
    assert (row["name"], row["drifted"]) == (f"slice {sure}", True)
    assert drifted(report, moved).all()
    assert any("all@" in name for name in report.skipped)


def test_the_figure_has_a_dot_for_each_share_and_each_rate_and_red_ones_where_it_got_worse():
    report = report_of(pl.col("outcome") & ~((pl.col("app") == "phone") & (pl.int_range(pl.len()) % 3 == 0)))
    dots = report.plot().data
    shares = {trace.name: list(trace.x) for trace in dots if trace.xaxis == "x"}
    assert shares == {"before": report.parts["share_before"].to_list(), "now": report.parts["share_now"].to_list()}
    red = [x for trace in dots if trace.name == "now, got worse" for x in trace.x]
    assert red == report.parts.filter(pl.col("harm") == "worse")["now"].to_list()


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [n for inner in value.values() for n in numbers(inner)]
    if isinstance(value, list):
        return [n for inner in value for n in numbers(inner)]
    return [value] if isinstance(value, float) else []


EMPTY = made_window(1, 100).clear()
BAD = {
    "no signals before": (EMPTY, made_window(2, 100)),
    "no signals now": (made_window(2, 100), EMPTY),
    "none at all": (EMPTY, EMPTY),
    "few": (made_window(1, 3), made_window(2, 3)),
    "nulls": tuple(
        made_window(n, 100).with_columns(pl.lit(None, made_window(n, 2).schema[c]).alias(c) for c in COLUMNS)
        for n in (1, 2)
    ),
    "constants": tuple(made_window(n, 100).with_columns(pl.lit("x").alias("app"), text=pl.lit("hi")) for n in (1, 2)),
    "no feedback": tuple(made_window(n, 100).with_columns(outcome=pl.lit(None, pl.Boolean)) for n in (1, 2)),
    "one class": tuple(made_window(n, 100).with_columns(outcome=pl.lit(value=True)) for n in (1, 2)),
    "no outcome": tuple(made_window(n, 100).drop("outcome") for n in (1, 2)),
    "not finite": tuple(
        made_window(n, 100).with_columns(latency_ms=pl.lit(math.nan), confidence=pl.lit(math.inf)) for n in (1, 2)
    ),
    "no conversations": tuple(
        made_window(n, 100).with_columns(conversation_id=pl.lit(None, pl.String)) for n in (1, 2)
    ),
    "nulls on one side": (
        made_window(1, 100),
        made_window(2, 100).with_columns(
            pl.lit(None, pl.Float64).alias("latency_ms"), pl.lit(None, pl.String).alias("text")
        ),
    ),
    "empty texts": tuple(made_window(n, 100).with_columns(text=pl.lit("  ")) for n in (1, 2)),
    "two texts": tuple(made_window(n, 100).with_columns(text=pl.lit("a" * n)) for n in (1, 2)),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_told_in_words_and_never_as_nan(case: str):
    report = drift(*BAD[case], columns=COLUMNS, salt="x")
    assert all(math.isfinite(n) for n in numbers(report.as_dict()))
    json.dumps(report.as_dict(), allow_nan=False)
    told = "\n".join(report.lines()) + report._repr_html_() + repr(report)
    assert "nan" not in told.replace("finance", "")
    report.plot()
    if case in ("no signals before", "no signals now", "none at all", "few"):
        assert "not enough data" in str(report.why)
        assert report.why in report._repr_html_()
        assert not report.alert
    if case in ("no feedback", "no outcome"):
        assert report.overall.now is None
        assert "no settled outcome" in told
    if case == "nulls":
        assert report.skipped["app"] == "empty in every row"
    if case == "constants":
        assert report.skipped["app"] == "the same in every row"
        assert report.skipped["text"] == "the same in every row"
    if case == "nulls on one side":
        assert report.frame.filter(pl.col("name") == "latency_ms is null")["drifted"].to_list() == [True]


def test_hostile_texts_are_escaped_and_their_expressions_still_select_them():
    evil = "<img src=x onerror=alert(1)>' or 1=1 -- \x1b[31m"
    before, now = halves(11, 500)
    now = now.with_columns(app=pl.lit(evil), text=pl.lit(evil) + pl.col("text"))
    report = drift(before, now, columns=["app", "text"], salt="x")
    page = report._repr_html_()
    assert "<img" not in page
    assert "&lt;img" in page
    assert "<img" not in str(report.plot().to_dict())
    assert "\x1b" not in "\n".join(report.lines())
    assert drifted(report, now).all()


@pytest.mark.parametrize("name", ["ap", "latency"])
def test_an_unknown_column_names_the_one_that_was_meant(name: str):
    with pytest.raises(ExpressionError, match="Did you mean"):
        drift(*halves(1, 60), columns=[name], salt="x")


def test_time_zones_do_not_matter_and_ids_and_moments_are_left_out_with_a_reason():
    before, now = halves(1, 100)
    zoned = [part.with_columns(pl.col("started_at").dt.convert_time_zone("Asia/Tokyo")) for part in (before, now)]
    report = drift(*zoned, columns=["interaction_id", "started_at", "app"], salt="x")
    assert report.skipped["interaction_id"] == "no value occurs 10 times: it is an id, or a text"
    assert "not compared" in report.skipped["started_at"]


def test_the_same_salt_gives_the_same_report():
    first, second = (drift(*halves(1, 300), columns=COLUMNS, salt="x") for _ in range(2))
    assert first.frame.equals(second.frame)
