"""A rollout's decisions: it goes on with evidence only, comes back by itself, and says what is missing."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from clworkbench.errors import EvidenceError
from clworkbench.releases.arm_shares import mismatch
from clworkbench.releases.rollout import RolloutDecision, decide, stages, weights
from clworkbench.releases.rollout_course import course
from clworkbench.releases.rollout_evidence import WATCHED, alpha_of
from clworkbench.settings import RolloutSettings, ShadowSettings, StageSettings
from clworkbench.statistics.sequential import difference_sequence, rows_needed, totals
from tests.releases.rollouts import BEGAN, conversations

SETTINGS = RolloutSettings()
LATER = BEGAN + timedelta(days=30)


def asked(rows: pl.DataFrame, now: datetime = LATER, stage: str = "25%", **settings: object) -> RolloutDecision:
    return decide(rows, stage=stage, began=BEGAN, now=now, settings=RolloutSettings(**settings))


def test_stages_and_their_weights():
    assert stages(SETTINGS) == ["shadow", "5%", "25%", "95%", "full"]
    assert stages(RolloutSettings(shadow=ShadowSettings(skip=True)))[0] == "5%"
    names = {"champion": "old", "challenger": "new"}
    assert weights("shadow", SETTINGS, **names) == {"old": 1.0, "new": 0.0}
    assert weights("25%", SETTINGS, **names) == {"old": 0.75, "new": 0.25}
    assert weights("full", SETTINGS, **names) == {"old": 0.0, "new": 1.0}
    assert weights("rolled back", SETTINGS, **names) == {"old": 1.0, "new": 0.0}
    with pytest.raises(EvidenceError, match=r"no stage '7%' that answers\. There: 5%, 25%, 95%"):
        weights("7%", SETTINGS, **names)


def test_the_parts_of_alpha_add_up_to_it():
    stages_seen = {watched.name: len(SETTINGS.stages) if watched.restarts else 1 for watched in WATCHED}
    assert sum(alpha_of(w, SETTINGS) * stages_seen[w.name] for w in WATCHED) == pytest.approx(0.05)


def test_arms_alike_pass_a_stage_once_enough_is_settled_and_not_before():
    rows = conversations(6000)
    early = asked(rows, BEGAN + timedelta(hours=30))
    assert (early.action, early.then) == ("stay", "25%")
    assert early.missing is not None
    assert early.missing > 1000
    assert early.because.startswith(
        f"{early.missing:,} settled conversations more would show outcomes not worse by more"
    )
    assert early.due is not None
    assert f"by {early.due:%Y-%m-%d %H:%M} UTC" in early.because
    late = asked(rows)
    assert (late.action, late.then, late.missing, late.pending) == ("advance", "95%", 0, 0)


def test_it_passes_at_the_very_look_at_which_the_lower_bound_leaves_the_margin():
    rows = conversations(6000)
    arm = rows["arm"].to_numpy() == "challenger"
    low = difference_sequence(rows["outcome"].to_numpy(), arm, np.full(6000, 0.25), alpha_low=0.05).low
    row = int((low > -0.05).argmax())
    settled = rows["settled_at"][row]
    assert asked(rows, settled - timedelta(seconds=1)).action == "stay"
    assert asked(rows, settled).action == "advance"


def test_the_last_stage_closes_the_release():
    rows = conversations(6000).with_columns(stage=pl.lit("95%"))
    found = asked(rows, stage="95%")
    assert (found.action, found.then) == ("close", "full")


def test_a_stage_lasts_as_long_as_it_should_however_sure_one_is():
    rows = conversations(6000)
    stage = StageSettings(0.25, at_least=timedelta(days=60))
    found = asked(rows, stages=(stage,))
    assert found.action == "stay"
    assert found.because == (
        "outcomes are shown not worse by more than 5 points; the stage lasts until 2026-03-06 00:00 UTC"
    )
    assert (found.missing, found.due) == (0, BEGAN + timedelta(days=60))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"good": (0.8, 0.6)}, "outcome: -"),
        ({"failed": (0.01, 0.3)}, "errors: "),
        ({"slow_ms": (800.0, 2400.0)}, "latency: +"),
        ({"length": (80.0, 240.0)}, "length: +"),
    ],
    ids=["outcome", "errors", "latency", "length"],
)
def test_each_guardrail_rolls_back_by_itself(how: dict[str, tuple[float, float]], says: str):
    found = asked(conversations(4000, **how))
    assert (found.action, found.then) == ("roll back", "rolled back")
    assert f"shown worse than allowed ({says}" in found.because
    assert found.frame.filter(verdict="violated")["name"].to_list() == [says.partition(":")[0]]


def test_an_arm_that_loses_conversations_withholds():
    rows = conversations(6000)
    lost = rows.filter((pl.col("arm") == "champion") | (pl.int_range(pl.len()) % 3 > 0))
    found = asked(lost)
    assert found.action == "stay"
    assert "18." in found.because
    assert "are the challenger's, and 25.0% should be: the arms cannot be compared" in found.because


def test_outcomes_that_settle_more_often_in_one_arm_withhold():
    rows = conversations(6000)
    silent = (pl.col("arm") == "champion") & (pl.int_range(pl.len()) % 2 == 0)
    found = asked(rows.with_columns(pl.when(~silent).then(pl.col("settled_at", "outcome"))))
    assert found.action == "stay"
    assert "conversations that settled, 40." in found.because


def test_arms_drawn_as_logged_are_hardly_ever_called_uneven():
    random = np.random.default_rng(9)
    arms = random.random((1000, 2000)) < 0.05
    columns = {"propensity": np.full(2000, 0.05), "settled_at": [None] * 2000}
    rows = [pl.DataFrame({"arm": np.where(arm, "challenger", "champion"), **columns}) for arm in arms]
    assert sum(mismatch(each) is not None for each in rows) <= 3


def test_a_challenger_within_all_guardrails_stays_though_slower_longer_and_failing_a_little_more():
    rows = conversations(8000, failed=(0.01, 0.02), slow_ms=(800.0, 1000.0), length=(80.0, 100.0))
    assert asked(rows).action == "advance"


def test_errors_are_told_before_any_outcome_is_settled():
    rows = conversations(600, share=0.05, stage="5%", failed=(0.0, 1.0))
    found = asked(rows, BEGAN + timedelta(hours=10), stage="5%")
    assert (found.action, found.pending) == ("roll back", 600)
    assert found.frame.row(0, named=True)["verdict"] == "unmeasured"


def test_a_cost_that_grows_is_seen_and_an_unknown_one_is_said():
    rows = conversations(3000)
    assert (
        asked(rows).frame.row(4, named=True)["says"]
        == "no conversation of the champion or challenger has a known cost_usd yet"
    )
    dear = rows.with_columns(cost_usd=pl.when(pl.col("arm") == "challenger").then(0.05).otherwise(0.01))
    row = asked(dear).frame.row(4, named=True)
    assert row["verdict"] == "violated"
    # 0.01 each and 0.05, cut off at twice 1.5 times the champion's: as if it were 0.03, so twice as much again.
    assert row["difference"] == pytest.approx(2.0, abs=0.2)
    assert (
        asked(rows.with_columns(cost_usd=pl.lit(0.0))).frame["says"][4]
        == "the champion's is 0: no share can be taken of it"
    )


def test_means_of_long_values_are_shares_of_the_champions():
    # Two constants: 100 and 120 ms, cut off at 300: 20 % more, give or take the arms' uneven numbers.
    rows = conversations(4000).with_columns(
        latency_ms=pl.when(pl.col("arm") == "challenger").then(120.0).otherwise(100.0)
    )
    row = asked(rows).frame.filter(name="latency").row(0, named=True)
    assert row["difference"] == pytest.approx(0.2, abs=0.02)
    assert row["low"] < 0.2 < row["high"]
    assert (row["champion"], row["challenger"], row["allowed"]) == (100.0, 120.0, 0.5)


def test_one_endless_answer_moves_nothing():
    rows = conversations(1000)
    row = rows.with_row_index().filter(arm="challenger")["index"][-1]
    endless = rows.with_columns(latency_ms=pl.when(pl.int_range(pl.len()) == row).then(1e12).otherwise("latency_ms"))
    assert asked(endless).action != "roll back"


def test_load_is_looked_at_by_stage_and_outcomes_over_all():
    before = conversations(6000, share=0.05, stage="5%")
    now = conversations(2000, slow_ms=(800.0, 4000.0), began=BEGAN + timedelta(hours=100), seed=1)
    rows = pl.concat([before, now])
    found = decide(rows, stage="25%", began=BEGAN + timedelta(hours=100), now=LATER, settings=SETTINGS)
    assert found.frame.filter(name="latency")["verdict"].item() == "violated"
    counted = dict(found.frame.select(pl.col("name"), pl.col("n_champion") + pl.col("n_challenger")).iter_rows())
    assert (counted["outcome"], counted["errors"]) == (8000, 2000)


def test_what_is_answered_or_settled_later_is_not_known_yet():
    rows = conversations(3000)
    now = BEGAN + timedelta(hours=36)
    cut = rows.filter(pl.col("answered_at") <= now).with_columns(
        pl.when(pl.col("settled_at") <= now).then(pl.col("settled_at", "outcome"))
    )
    assert asked(rows, now).as_dict() == asked(cut, now).as_dict()
    # One a minute: those of 12 hours have settled, and of 24 hours wait.
    assert asked(rows, now).pending == 36 * 60 + 1 - (12 * 60 + 1)


def test_the_order_of_rows_does_not_matter():
    rows = conversations(2000)
    assert asked(rows.sample(fraction=1.0, shuffle=True, seed=3)).as_dict() == asked(rows).as_dict()


def test_what_is_missing_supposes_arms_alike_and_settles_what_waits_first():
    rows, now = conversations(3000), BEGAN + timedelta(hours=40)
    found = asked(rows, now)
    known = rows.filter(pl.col("settled_at") <= now)
    sums = totals(known["outcome"].to_numpy(), known["arm"].to_numpy() == "challenger", np.full(known.height, 0.25))
    assert found.missing == rows_needed(
        type(sums)(*(each[-1] for each in sums)), margin=0.05, alpha=0.05, share=0.25, difference=0.0
    )
    # 60 an hour: the rest of what is missing after those that wait, then a day until the last has settled.
    rate = rows.filter(pl.col("answered_at") <= now).height / 40
    hours = (found.missing - found.pending) / rate + 24
    assert found.due is not None
    assert (found.due - now) / timedelta(hours=1) == pytest.approx(hours, abs=0.01)


def test_before_the_first_conversation_it_waits_and_gives_no_time():
    found = asked(conversations(0), BEGAN + timedelta(hours=1))
    assert (found.action, found.due, found.pending) == ("stay", None, 0)
    assert found.missing == 5569
    assert found.because == "5,569 settled conversations more would show outcomes not worse by more than 5 points"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (pl.lit("both").alias("arm"), "3 of 3 conversations: arm is neither"),
        (pl.lit(None, pl.String).alias("arm"), "arm is neither"),
        (pl.lit(1.0).alias("propensity"), "propensity does not lie between 0 and 1"),
        (pl.lit(float("nan")).alias("propensity"), "propensity does not lie between 0 and 1"),
        (pl.lit(2.0).alias("outcome"), "outcome or error does not lie within 0 and 1"),
        (pl.lit(float("inf")).alias("latency_ms"), "is no number of 0 or more"),
        (pl.lit(-1.0).alias("cost_usd"), "is no number of 0 or more"),
        (pl.lit(None, pl.Float64).alias("outcome"), "settled_at without outcome"),
        (pl.lit("same").alias("conversation_id"), "2 conversations stand twice"),
    ],
    ids=["arm", "no arm", "no chance", "nan", "outcome", "infinite", "negative", "unsettled", "twice"],
)  # fmt: skip
def test_rows_that_mean_nothing_are_refused_in_words(change: pl.Expr, says: str):
    with pytest.raises(EvidenceError, match=says):
        asked(conversations(3).with_columns(change))


def test_a_missing_column_is_named():
    with pytest.raises(EvidenceError, match="no column 'propensity' among"):
        asked(conversations(3).drop("propensity"))


def test_a_decision_shows_itself_with_its_texts_escaped():
    found = asked(conversations(3000, good=(0.8, 0.5)))
    assert repr(found).startswith("RolloutDecision(roll back at 25%: shown worse than allowed (outcome: -")
    assert "not shown worse" in found._repr_html_()
    evil = RolloutDecision("stay", "<script>", "x", "<b>", found.frame)
    assert "<script>" not in evil._repr_html_()
    told = found.as_dict()
    assert (told["action"], len(told["checks"])) == ("roll back", 5)  # type: ignore[arg-type]


def test_the_course_shows_at_each_look_what_the_decision_rests_on():
    rows = conversations(3000)
    looks = pl.Series([BEGAN, BEGAN + timedelta(hours=30), BEGAN + timedelta(hours=60)])
    found = course(rows, looks, SETTINGS)
    assert found.row(0)[1:] == (None,) * 9 + (0, 0)
    for at, shown in zip(looks[1:], found[1:].iter_rows(named=True), strict=True):
        row = asked(rows, at).frame.row(0, named=True)
        assert (shown["difference_low"], shown["difference_high"]) == pytest.approx((row["low"], row["high"]))
        assert (shown["n_champion"], shown["n_challenger"]) == (row["n_champion"], row["n_challenger"])
        assert (shown["champion"], shown["challenger"]) == pytest.approx((row["champion"], row["challenger"]))
        assert shown["challenger_low"] < shown["challenger"] < shown["challenger_high"]


def test_a_course_of_nothing_is_empty_at_every_look():
    found = course(conversations(0), pl.Series([BEGAN, LATER]), SETTINGS)
    assert found["n_champion"].to_list() == [0, 0]
    assert found["difference"].null_count() == 2


def test_what_would_take_longer_than_a_life_has_no_date():
    rows = conversations(3).with_columns(stage=pl.lit("25%"))
    stages = (StageSettings(0.05, margin=0.002), StageSettings(0.25, margin=0.002))
    found = asked(rows, BEGAN + timedelta(days=60), stages=stages)
    assert found.action == "stay"
    assert found.missing is not None
    assert found.missing > 1_000_000
    assert found.due is None
