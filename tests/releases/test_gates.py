"""The protocol: what is promoted, held and blocked, and why."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest

from clworkbench.errors import EvidenceError, SettingsError
from clworkbench.releases.gates import Gate, canonical, defaults, judge, plan
from tests.releases.frames import scores, split

BETTER = Gate("better", "exact", "all", "better", 0.0, required=True)
GUARD = Gate("guard", "exact", "all", "not_worse", 0.10, required=False)


def one(report_gates: pl.DataFrame, name: str) -> dict[str, object]:
    return report_gates.row(by_predicate=pl.col("name") == name, named=True)


def kinds(findings: pl.DataFrame) -> set[str]:
    return set(findings["kind"])


def test_a_challenger_that_is_better_is_promoted_with_the_exact_p() -> None:
    champion, challenger = split(wins=16, losses=2, both=18, neither=4)
    report = judge(scores(champion), scores(challenger, model="new"), [BETTER, GUARD])
    assert report.decision == "promote"
    row = one(report.gates, "better")
    assert row["p"] == pytest.approx(binomtest(16, 18, alternative="greater").pvalue)
    assert (row["n"], row["champion"], row["challenger"]) == (40, 0.5, 0.85)
    assert row["difference"] == pytest.approx(0.35)
    assert row["verdict"] == "met"
    assert report.champion == "champion"
    assert report.challenger == "new"


def test_six_wins_and_six_losses_of_forty_are_held_and_no_number_more_would_settle_it() -> None:
    champion, challenger = split(wins=6, losses=6, both=28)
    report = judge(scores(champion), scores(challenger), [BETTER])
    assert report.decision == "hold"
    assert one(report.gates, "better")["verdict"] == "open"
    assert one(report.gates, "better")["needed"] is None


def test_an_open_gate_says_how_many_examples_more_would_settle_it() -> None:
    champion, challenger = split(wins=10, losses=5, both=25)
    row = one(judge(scores(champion), scores(challenger), [BETTER]).gates, "better")
    assert row["verdict"] == "open"
    # By hand, normal approximation: ((1.645 + 0.842) / 0.125)² * (0.38 - 0.0156) = 144 in all, exact tests more.
    assert 80 <= row["needed"] <= 150


def test_a_violated_guard_blocks_even_when_every_required_gate_is_met() -> None:
    champion, challenger = split(wins=40, losses=0, both=20)
    lost, kept = split(wins=0, losses=20, both=20)
    slices = [["target"]] * 60 + [["old"]] * 40
    gates = [
        Gate("better", "exact", "target", "better", 0.0, required=True),
        Gate("old", "exact", "old", "not_worse", 0.10, required=False),
    ]
    report = judge(scores(champion + lost, slices=slices), scores(challenger + kept, slices=slices), gates)
    assert one(report.gates, "better")["verdict"] == "met"
    assert one(report.gates, "old")["verdict"] == "violated"
    assert report.decision == "block"
    assert "old" in report.reason()


def test_a_superiority_gate_is_violated_by_what_is_shown_worse_than_0() -> None:
    champion, challenger = split(wins=1, losses=12, both=20)
    report = judge(scores(champion), scores(challenger), [BETTER])
    assert report.decision == "block"


def test_open_and_unmeasured_guards_do_not_withhold() -> None:
    champion, challenger = split(wins=8, losses=0, both=4)
    guards = [
        Gate("few", "exact", "few", "not_worse", 0.10, required=False),
        Gate("missing", "politeness", "all", "not_worse", 0.10, required=False),
    ]
    slices = [["few"]] * 2 + [[]] * 10
    report = judge(scores(champion, slices=slices), scores(challenger, slices=slices), [BETTER, *guards])
    assert one(report.gates, "few")["verdict"] == "open"
    assert one(report.gates, "missing")["verdict"] == "unmeasured"
    assert report.decision == "promote"
    assert "politeness" in report.findings.filter(kind="unmeasured")["detail"][0]


def test_an_unmeasured_required_gate_withholds() -> None:
    champion, challenger = split(wins=20, losses=0, both=20)
    missing = Gate("missing", "politeness", "all", "not_worse", 0.10, required=True)
    report = judge(scores(champion), scores(challenger), [BETTER, missing])
    assert report.decision == "hold"
    assert "missing" in report.reason()


def test_violations_are_adjusted_over_all_gates() -> None:
    # 5 losses, no win: p = 1/32 = 0.031. Alone it blocks; beside nine quiet guards Holm asks for 0.005.
    champion, challenger = split(wins=0, losses=5, both=30)
    alone = judge(scores(champion), scores(challenger), [BETTER])
    quiet = [Gate(f"g{i}", "exact", "all", "not_worse", 0.9, required=False) for i in range(9)]
    beside = judge(scores(champion), scores(challenger), [BETTER, *quiet])
    assert alone.decision == "block"
    assert one(beside.gates, "better")["verdict"] == "open"
    assert beside.decision == "hold"


def test_rest_is_everything_outside_the_target_slice_pooled() -> None:
    slices = [["t"], ["t", "a"], ["a"], ["b"], []]
    gates = [BETTER, Gate("rest", "exact", "rest", "not_worse", 0.05, required=True)]
    report = judge(scores([0, 0, 1, 1, 1], slices=slices), scores([1, 1, 1, 0, 1], slices=slices), gates, target="t")
    assert one(report.gates, "rest")["n"] == 3
    assert one(report.gates, "rest")["difference"] == pytest.approx(-1 / 3)


def test_slices_that_only_one_side_names_count_for_both() -> None:
    gate = Gate("a", "exact", "a", "not_worse", 0.05, required=True)
    report = judge(scores([1, 1], slices=[["a"], ["a"]]), scores([1, 0]), [gate])
    assert one(report.gates, "a")["n"] == 2


def test_an_unknown_slice_is_unmeasured_and_the_known_ones_are_named() -> None:
    gate = Gate("typo", "exact", "biling", "better", 0.0, required=True)
    report = judge(scores([1], slices=[["billing"]]), scores([1]), [gate])
    assert report.decision == "hold"
    detail = report.findings.filter(kind="unmeasured")["detail"][0]
    assert "'biling'" in detail
    assert "billing" in detail


def test_repetitions_are_averaged_within_their_example() -> None:
    repeated = {"example_id": ["e0", "e0", "e1", "e1"], "repetition": [0, 1, 0, 1]}
    report = judge(scores([0, 1, 1, 1], **repeated), scores([1, 1, 1, 0], **repeated), [BETTER])
    row = one(report.gates, "better")
    assert (row["n"], row["champion"], row["challenger"]) == (2, 0.75, 0.75)


def test_two_suites_may_use_the_same_example_ids() -> None:
    suites = {"suite": ["s1", "s1", "s2", "s2"], "example_id": ["e0", "e1", "e0", "e1"]}
    row = one(judge(scores([0, 0, 1, 1], **suites), scores([1, 1, 1, 1], **suites), [BETTER]).gates, "better")
    assert (row["n"], row["difference"]) == (4, 0.5)


def test_examples_that_one_side_lacks_are_left_out_and_counted() -> None:
    report = judge(scores([1, 0, 1]), scores([1, 0, 1, 1, 1]), [BETTER])
    assert one(report.gates, "better")["n"] == 3
    assert "2 of the challenger's 5 scores" in report.findings.filter(kind="unpaired")["detail"][0]


def test_null_and_nan_scores_are_ungraded_and_counted() -> None:
    report = judge(scores([1, float("nan"), 1, 0]), scores([1, 1, None, 0]), [BETTER])
    assert one(report.gates, "better")["n"] == 2
    detail = report.findings.filter(kind="ungraded")["detail"][0]
    assert "1 of 4 of the champion's and 1 of 4 of the challenger's" in detail


def test_no_scores_at_all_are_held_and_said() -> None:
    nothing = scores([]).cast({"score": pl.Float64})
    report = judge(nothing, nothing, defaults("exact", [], None))
    assert report.decision == "hold"
    assert set(report.gates["verdict"]) == {"unmeasured"}
    assert "hold" in repr(report)


def test_one_example_and_equal_scores_show_nothing() -> None:
    for champion, challenger in (([0.0], [1.0]), ([1.0] * 40, [1.0] * 40), ([0.5] * 3, [0.5] * 3)):
        report = judge(scores(champion), scores(challenger), [BETTER, GUARD])
        assert report.decision == "hold"
        assert report.gates["verdict"][0] == "open"
        json.dumps(report.as_dict(), allow_nan=False)


def test_forty_equal_answers_are_not_worse_by_10_points_and_not_known_within_5() -> None:
    # z²/(n + z²) = 0.063 at n = 40.
    strict = Gate("strict", "exact", "all", "not_worse", 0.05, required=False)
    report = judge(scores([1.0] * 40), scores([1.0] * 40), [BETTER, GUARD, strict])
    assert one(report.gates, "guard")["verdict"] == "met"
    assert one(report.gates, "strict")["verdict"] == "open"
    assert one(report.gates, "strict")["low"] == pytest.approx(-0.0634, abs=0.0001)


@pytest.mark.parametrize(
    ("planted", "gate"),
    [
        ({"termination": ["length"] * 16 + ["stop"] * 24}, "terminations"),
        ({"n_output_tokens": [30] * 40}, "length"),
        ({"cost_usd": [0.05] * 40}, "cost"),
    ],
)
def test_the_default_guards_block_planted_regressions(planted: dict[str, list[object]], gate: str) -> None:
    champion, challenger = split(wins=10, losses=0, both=30)
    gates = defaults("exact", [], None)
    assert judge(scores(champion), scores(challenger), gates).decision == "promote"
    report = judge(scores(champion), scores(challenger, **planted), gates)
    assert report.decision == "block"
    assert report.gates.filter(verdict="violated")["name"].to_list() == [gate]


def test_costs_are_reported_in_their_own_unit_with_the_margin_as_a_share_of_the_champions_mean() -> None:
    champion, challenger = split(wins=10, losses=0, both=10)
    dearer = [0.012] * 20
    report = judge(scores(champion), scores(challenger, cost_usd=dearer), defaults("exact", [], None))
    row = one(report.gates, "cost")
    assert row["difference"] == pytest.approx(0.002)
    assert row["margin"] == pytest.approx(0.005)
    assert (row["low"], row["high"]) == pytest.approx((0.002, 0.002))
    assert row["verdict"] == "met"


def test_a_price_that_only_one_side_has_is_found_and_not_compared() -> None:
    champion, challenger = split(wins=10, losses=0, both=10)
    for unknown in ([0.0] * 20, [None] * 20):
        report = judge(scores(champion), scores(challenger, cost_usd=unknown), defaults("exact", [], None))
        assert "price_missing" in kinds(report.findings)
        assert one(report.gates, "cost")["verdict"] == "unmeasured"
        assert report.decision == "promote"
    free = judge(
        scores(champion, cost_usd=[0.0] * 20), scores(challenger, cost_usd=[0.0] * 20), defaults("exact", [], None)
    )
    assert "price_missing" not in kinds(free.findings)


def test_findings_on_terminations_length_and_small_slices() -> None:
    ended = ["length", "error", *["stop"] * 18]
    report = judge(scores([1.0] * 20), scores([1.0] * 20, termination=ended, n_output_tokens=[16] * 20), [BETTER])
    details = dict(report.findings.iter_rows())
    assert "challenger 2 of 20 (10.0%: error 1, length 1)" in details["terminations"]
    assert "+60%" in details["length"]
    assert "20 examples" in details["tiny_slice"]


def test_quiet_scores_have_no_findings() -> None:
    report = judge(scores([1.0] * 30), scores([1.0] * 30), [BETTER])
    assert report.findings.is_empty()


def test_an_error_counts_as_abnormal_only_where_no_termination_is_said() -> None:
    gate = Gate("ends", "abnormal_termination", "all", "not_worse", 0.1, required=True)
    says = {"termination": ["STOP", None, None, "max_steps"], "error": ["late", "boom", None, None]}
    row = one(judge(scores([1] * 4), scores([1] * 4, **says), [gate]).gates, "ends")
    assert (row["n"], row["challenger"]) == (3, pytest.approx(2 / 3))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (scores([1, 1], example_id=["a", "a"]), "not alone with their key, e.g. suite 's', example_id 'a'"),
        (scores([1, 1], model=None).with_columns(model=pl.Series(["m1", "m2"])), "hold 2 models: m1, m2"),
        (scores([1]).drop("score"), "no column 'score'"),
        (scores([1]).with_columns(score=pl.lit("good")), "of other types"),
        (scores([1], example_id=[None]), "1 rows have no example_id"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused_in_words(frame: pl.DataFrame, words: str) -> None:
    with pytest.raises(EvidenceError, match="challenger's scores") as refusal:
        judge(scores([1]), frame, [BETTER])
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ([], "none of 0 is required"),
        ([GUARD], "none of 1 is required"),
        ([BETTER, BETTER], "'better' stands there twice"),
        ([Gate("g", "exact", "all", "not_worse", -0.1, required=True)], "margin = -0.1"),
        ([Gate("g", "exact", "all", "better", 0.1, required=True)], "better means better than 0"),
        ([Gate("g", "exact", "all", "as_good", 0.1, required=True)], "asks = 'as_good'"),  # type: ignore[arg-type]
    ],
)
def test_gates_that_mean_nothing_are_refused_in_words(gates: list[Gate], words: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        judge(scores([1]), scores([1]), gates)
    assert words in str(refusal.value)


def test_the_order_of_rows_and_gates_changes_nothing_and_frames_stay_as_they_were() -> None:
    random = np.random.default_rng(0)
    slices = [["a"] if i % 2 else ["b"] for i in range(30)]
    old = scores(list(random.uniform(size=30)), slices=slices)
    new = scores(list(random.uniform(size=30)), slices=slices, model="new")
    before = old.clone()
    gates = defaults("exact", ["a", "b"], "a")
    first = judge(old, new, gates, target="a")
    second = judge(old.reverse(), new.sample(fraction=1, shuffle=True, seed=1), gates[::-1], target="a")
    assert first.gates.sort("name").equals(second.gates.sort("name"))
    assert old.equals(before)


def test_defaults_are_those_of_the_design() -> None:
    gates = defaults("exact", ["billing", "cards"], "billing")
    required = [(g.slice, g.asks, g.margin) for g in gates if g.required]
    assert required == [("billing", "better", 0.0), ("rest", "not_worse", 0.05)]
    guards = {(g.metric, g.slice): (g.margin, g.relative) for g in gates if not g.required}
    assert guards == {
        ("exact", "billing"): (0.10, False),
        ("exact", "cards"): (0.10, False),
        ("abnormal_termination", "all"): (0.10, False),
        ("cost_usd", "all"): (0.50, True),
        ("n_output_tokens", "all"): (0.50, True),
    }
    assert [(g.slice, g.asks) for g in defaults("exact", [], None) if g.required] == [("all", "better")]


def test_canonical_gates_are_equal_in_any_order_and_differ_by_a_margin() -> None:
    gates = defaults("exact", ["a"], "a")
    assert canonical(gates) == canonical(gates[::-1])
    other = (*gates[:1], Gate(gates[1].name, "exact", "rest", "not_worse", 0.06, required=True), *gates[2:])
    assert canonical(gates) != canonical(other)
    assert json.loads(canonical([BETTER])) == [
        {
            "asks": "better",
            "margin": 0.0,
            "metric": "exact",
            "name": "better",
            "relative": False,
            "required": True,
            "slice": "all",
        }
    ]


def test_a_plan_says_the_power_of_the_design_before_anything_is_run() -> None:
    suite = pl.DataFrame({"example_id": range(170), "slices": [["new"]] * 30 + [["old"]] * 140})
    planned = plan(suite, defaults("exact", ["new", "old"], "new"), target="new")
    rest = one(planned, "exact not worse on the rest")
    assert rest["n"] == 140
    assert rest["power"] == pytest.approx(0.57, abs=0.006)
    assert 240 < rest["needed"] < 280
    assert one(planned, "cost")["power"] is None


def test_examples_without_slices_belong_to_the_rest() -> None:
    suite = pl.DataFrame({"slices": [["t"], [], None]}, schema={"slices": pl.List(pl.String)})
    planned = plan(suite, defaults("exact", [], "t"), target="t")
    assert planned["n"].to_list()[:3] == [1, 2, 3]


def test_a_real_fine_tune_is_promoted_where_it_helped_and_not_where_it_did_not(shared_data: Path) -> None:
    def tau2(name: str) -> pl.DataFrame:
        told = json.loads((shared_data / "tau2_finetune_runs" / f"{name}_gpt-4.1_1trials.json").read_text())
        runs = told["simulations"]
        return scores(
            [run["reward_info"]["reward"] for run in runs],
            model=name,
            scorer="reward",
            example_id=[run["task_id"] for run in runs],
            termination=[run["termination_reason"] for run in runs],
            cost_usd=[run["agent_cost"] for run in runs],
        )

    gates = defaults("reward", [], None)
    tuned = "ft-gpt-4.1-tau2-full-sft"
    retail = judge(tau2("gpt-4.1_retail_default"), tau2(f"{tuned}_retail_default"), gates)
    telecom = judge(tau2("gpt-4.1_telecom_no-user"), tau2(f"{tuned}_telecom_no-user"), gates)
    assert retail.decision == "hold"
    assert telecom.decision == "promote"
    assert "price_missing" in kinds(telecom.findings)


def decisions(win: float, loss: float, *, draws: int, seed: int) -> list[str]:
    """Whole judgements: the target slice truly much better, the rest with these rates of wins and losses."""
    random = np.random.default_rng(seed)
    gates = defaults("exact", [], "t")[:2]
    slices = [["t"]] * 60 + [["r"]] * 140
    found = []
    for _ in range(draws):
        rest = random.choice([1, -1, 0], size=140, p=[win, loss, 1 - win - loss])
        target = random.choice([1, -1, 0], size=60, p=[0.5, 0.0, 0.5])
        both = np.concatenate([target, rest])
        old, new = (both < 0).astype(float), (both > 0).astype(float)
        report = judge(scores(list(old), slices=slices), scores(list(new), slices=slices), gates, target="t")
        found.append(report.decision)
    return found


def test_a_challenger_truly_at_the_margin_is_promoted_in_at_most_21_of_200() -> None:
    found = decisions(win=0.075, loss=0.125, draws=200, seed=21)
    assert found.count("promote") <= 21


def test_a_harmless_challenger_is_promoted_as_often_as_planned() -> None:
    suite = pl.DataFrame({"slices": [["t"]] * 60 + [["r"]] * 140})
    gates = defaults("exact", [], "t")[:2]
    power = plan(suite, gates, discordant=0.04, truly=0.0, target="t")["power"][1]
    found = decisions(win=0.02, loss=0.02, draws=100, seed=22)
    # Three standard errors of 100 draws; the target slice, truly 50 points better, is always shown.
    assert found.count("promote") / 100 == pytest.approx(power, abs=3 * (power * (1 - power) / 100) ** 0.5)
    assert found.count("block") == 0
