"""Rates over all signals from candidates: without bias, and with intervals that hold what they say."""

import json
import random
from math import sqrt

import polars as pl
import pytest

from clworkbench.candidates.estimate import estimated
from clworkbench.candidates.select import select
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.statistics.intervals import wilson
from tests.candidates.made import NOW, some


def drawn(*rows: tuple[str, float, bool | None]) -> pl.DataFrame:
    schema = {"stratum": pl.String, "inclusion_probability": pl.Float64, "bad": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_a_candidate_counts_by_the_inverse_of_its_chance() -> None:
    # By hand: 4 of 8 failures are drawn, 3 are bad; 5 of 50 others, 1 is bad: (8 x 3/4 + 50 x 1/5) / 58 = 16/58.
    rows = [("failure", 0.5, k < 3) for k in range(4)] + [("random", 0.1, k < 1) for k in range(5)]
    found = estimated(drawn(*rows), pl.col("bad"))
    assert found.rate == pytest.approx(16 / 58)
    assert (found.n, found.n_frame) == (9, 58)
    # The variance with one case more each way: (8/58)^2 x 1/2 x (4/6)(2/6)/4 + (50/58)^2 x 9/10 x (2/7)(5/7)/5, and
    # Wilson's interval for as many cases as have it at (8/58)(4/6) + (50/58)(2/7).
    variance = (8 / 58) ** 2 / 2 * (8 / 36) / 4 + (50 / 58) ** 2 * 0.9 * (10 / 49) / 5
    around = 8 / 58 * 4 / 6 + 50 / 58 * 2 / 7
    n, p, z = around * (1 - around) / variance, 16 / 58, 1.959964
    centre, half = (p + z * z / 2 / n) / (1 + z * z / n), z * sqrt(p * (1 - p) / n + z * z / 4 / n**2) / (1 + z * z / n)
    assert (found.low, found.high) == (pytest.approx(centre - half), pytest.approx(centre + half))


def test_within_a_stratum_too_each_counts_by_the_inverse_of_its_own_chance() -> None:
    """A policy that keeps 1 in 10 of one app and all of another: 10 x 1 bad of 10 x 1 + 10 x 1 good and 4 good."""
    rows = [("random", 0.1, True), ("random", 0.1, False), *[("random", 1.0, False)] * 4]
    found = estimated(drawn(*rows), pl.col("bad"))
    assert found.rate == pytest.approx(10 / 24)
    # Kish: as good as (10 + 10 + 4)^2 / (100 + 100 + 4) of one weight.
    low, high = found.frame.select("low", "high").row(0)
    cases = 24**2 / 204
    assert (low, high) == pytest.approx(tuple(wilson(10 / 24 * cases, cases)))
    assert found.n_effective is not None
    assert found.n_effective < 6


def test_what_somebody_chose_by_hand_has_no_chance_and_counts_for_nothing() -> None:
    rows = drawn(("random", 0.5, True), ("random", 0.5, False)).vstack(drawn(("by_hand", 1.0, True)))
    chosen = rows.with_columns(pl.col("inclusion_probability").replace(1.0, None))
    assert estimated(chosen, pl.col("bad")).rate == pytest.approx(0.5)
    assert estimated(chosen, pl.col("bad")).unheard == ()


def test_an_estimate_says_how_many_drawn_at_random_would_tell_as_much() -> None:
    """50 of 5,000 in one stratum: a simple sample, worth its 50 but for the one case more each way."""
    rows = [("random", 0.01, k < 10) for k in range(50)]
    found = estimated(drawn(*rows), pl.col("bad"), says="answer = reject", about="Selection of today.")
    assert found.n_effective == pytest.approx(50 / 0.99)
    assert found.lines()[0].startswith("answer = reject: 20%, ")
    assert "as good as 51 drawn at random" in found.lines()[1]
    assert "Selection of today." in found._repr_html_()
    assert found.plot().data[0].y == (found.rate, 0.2)
    json.dumps(found.as_dict(), allow_nan=False)


def test_where_everything_was_drawn_the_rate_is_known() -> None:
    found = estimated(drawn(("failure", 1.0, True), ("random", 1.0, False)), pl.col("bad"))
    assert (found.rate, found.low, found.high) == (0.5, 0.5, 0.5)


def test_answers_that_are_missing_are_taken_to_be_like_the_others_of_their_stratum() -> None:
    rows = [("failure", 0.5, True), ("failure", 0.5, None), ("random", 0.1, False), ("random", 0.1, None)]
    assert estimated(drawn(*rows), pl.col("bad")).rate == pytest.approx(4 / 24)


def test_a_stratum_without_an_answer_is_not_enough_data() -> None:
    found = estimated(drawn(("failure", 0.5, True), ("random", 0.1, None)), pl.col("bad"))
    assert (found.rate, found.low, found.unheard) == (None, None, ("random",))
    assert repr(found) == "Estimate(not enough data: nothing is known of random; n = 1)"
    assert "not enough data" in found._repr_html_()
    assert "at least one candidate must have an answer" in found.lines()[-1]
    assert found.plot().layout.title.text == "rate: not enough data, nothing is known of random"
    json.dumps(found.as_dict(), allow_nan=False)
    assert repr(estimated(drawn(), pl.col("bad"))) == "Estimate(not enough data: there are no candidates; n = 0)"


def test_rare_events_that_were_not_met_leave_room_above_zero() -> None:
    found = estimated(drawn(*(("random", 0.01, False) for _ in range(20))), pl.col("bad"))
    assert (found.rate, found.low) == (0.0, pytest.approx(0.0))
    assert 0.1 < found.high < 0.2  # Wilson for 0 of 20 reaches 16 %


def test_the_estimate_is_without_bias_and_its_interval_covers() -> None:
    """2,000 signals, 300 failures of which 90 % are harmful, 5 % of the others: 355 of 2,000, 17.75 %.

    200 keys draw 150 each. The mean of the estimates is within four standard errors of the truth, while the plain rate
    among the candidates is far from it; the 95 % intervals cover in at least 183 of 200 (three standard deviations).
    """
    chance = random.Random(7)
    harmful = [chance.random() < (0.9 if k < 300 else 0.05) for k in range(2000)]
    truth = sum(harmful) / 2000
    signals = some(*((f"s{k}", k >= 300, False, None) for k in range(2000)))
    event = pl.DataFrame({"interaction_id": signals["interaction_id"], "harmful": harmful})
    rates, plain, covered = [], [], 0
    for seed in range(200):
        key = Pseudonyms(seed.to_bytes(32, "big"))
        found = select(signals, n=150, pseudonyms=key, as_of=NOW, quotas={"failure": 0.5}).frame
        known = found.join(event, on="interaction_id")
        one = estimated(known, pl.col("harmful"))
        assert one.rate is not None
        rates.append(one.rate)
        plain.append(float(known["harmful"].mean()))  # type: ignore[arg-type]
        covered += one.low <= truth <= one.high  # type: ignore[operator]
    mean = sum(rates) / 200
    error = sqrt(sum((rate - mean) ** 2 for rate in rates) / 199 / 200)
    assert abs(mean - truth) < 4 * error
    assert abs(sum(plain) / 200 - truth) > 0.2
    assert covered >= 183
