"""Gates on drawn suites: conversations count once, nothing is weighed, and production is told beside the verdicts."""

import numpy as np
import polars as pl
import pytest

from clworkbench.releases.drill import drill
from clworkbench.releases.gates import Gate, judge
from clworkbench.releases.production import DRAWN, conversations
from clworkbench.schemas import SUITE
from tests.releases.frames import scores, split

BETTER = Gate("better", "exact", "all", "better", 0.0, required=True)
NOT_WORSE = Gate("not worse", "exact", "all", "not_worse", 0.05, required=True)


def drawn(units: list[str], inclusion: list[float]) -> pl.DataFrame:
    rows = [("s", f"e{n}", unit, chance) for n, (unit, chance) in enumerate(zip(units, inclusion, strict=True))]
    return pl.DataFrame(rows, schema=DRAWN, orient="row")


def test_turns_of_one_conversation_are_one_witness():
    # 10 conversations of 10 turns each; in one the challenger is better in all turns, in no other does anything differ.
    champion = [0.0] * 10 + [1.0] * 90
    challenger = [1.0] * 100
    sides = scores(champion), scores(challenger, model="challenger")
    alone = judge(*sides, [BETTER])
    assert (alone.gates["n"].item(), alone.decision) == (100, "promote")
    held = judge(*sides, [BETTER], drawn=drawn([f"talk {n // 10}" for n in range(100)], [0.1] * 100))
    assert (held.gates["n"].item(), held.decision) == (10, "hold")


def test_examples_that_were_drawn_each_by_itself_are_judged_as_any():
    before, after = split(30, 10, 60)
    sides = scores(before), scores(after, model="challenger")
    alone, held = (
        judge(*sides, [BETTER]),
        judge(*sides, [BETTER], drawn=drawn([f"t{n}" for n in range(100)], [0.2] * 100)),
    )
    assert held.gates.equals(alone.gates)
    assert held.decision == "promote"
    # Of equal chances the weighted difference is the plain one.
    assert held.production["difference"].item() == pytest.approx(0.2)
    assert held.production["n_effective"].item() == pytest.approx(99, abs=1.5)
    assert alone.production.is_empty()


def test_the_report_says_that_its_verdicts_are_unweighted_and_gives_the_weighted_differences_beside_them():
    before, after = split(30, 10, 60)
    report = judge(
        scores(before),
        scores(after, model="challenger"),
        [BETTER],
        drawn=drawn([f"t{n}" for n in range(100)], [0.2] * 100),
    )
    told = report.as_dict()
    assert told["weighted"] is False
    assert told["production"][0]["suite"] == "s"
    assert "Verdicts are unweighted" in report.over_traffic()[0]
    assert "Verdicts are unweighted" in report._repr_html_()


def test_a_gain_on_what_is_rare_that_production_would_not_see_is_a_finding():
    # 50 rare examples drawn at 1, all won; 50 frequent ones drawn at 0.01, 5 of them lost.
    before = [0.0] * 50 + [1.0] * 50
    after = [1.0] * 50 + [0.0] * 5 + [1.0] * 45
    chances = drawn([f"t{n}" for n in range(100)], [1.0] * 50 + [0.01] * 50)
    report = judge(scores(before), scores(after, model="challenger"), [BETTER], drawn=chances)
    assert report.decision == "promote"
    # By hand: (50 * 1 - 5 * 100) / (50 + 50 * 100).
    assert report.production["difference"].item() == pytest.approx(-450 / 5050)
    [(_, detail)] = [row for row in report.findings.rows() if row[0] == "production"]
    assert "-0.089" in detail


def test_a_metric_of_which_less_is_better_keeps_its_own_sign():
    before = scores([1.0] * 40, n_output_tokens=[100] * 40)
    after = scores([1.0] * 40, model="challenger", n_output_tokens=[110 + n % 3 for n in range(40)])
    gate = Gate("length", "n_output_tokens", "all", "not_worse", 0.5, required=True, relative=True)
    report = judge(before, after, [gate], drawn=drawn([f"t{n}" for n in range(40)], [0.5] * 40))
    assert report.production["difference"].item() == pytest.approx(10.975)
    assert not [kind for kind in report.findings["kind"] if kind == "production"]


def test_several_drawn_suites_each_stand_for_their_own_traffic():
    rows = (
        scores([1.0, 0.0, 1.0, 0.0], suite=["a", "a", "b", "b"]),
        scores([1.0, 1.0, 1.0, 0.0], model="challenger", suite=["a", "a", "b", "b"]),
    )
    how = pl.DataFrame(
        [("a", "e0", "x", 0.5), ("a", "e1", "y", 0.5), ("b", "e2", "x", 1.0), ("b", "e3", "z", 1.0)],
        schema=DRAWN, orient="row",
    )  # fmt: skip
    report = judge(*rows, [BETTER], drawn=how)
    assert report.production.select("suite", "difference").rows() == [("a", 0.5), ("b", 0.0)]


def test_the_columns_of_a_suite_name_what_production_reads():
    assert {"group", "inclusion", "example_id"} <= set(SUITE)


@pytest.mark.slow
def test_gates_on_whole_conversations_keep_their_error_rate_where_single_turns_would_not():
    """400 simulated comparisons of one model with itself; turns of a conversation go well or badly together."""
    random = np.random.default_rng(2026)
    wrong = {"whole": 0, "single": 0}
    for _ in range(400):
        n, turns = 60, 5
        shift = random.choice([-1.0, 0.0, 1.0], size=n, p=[0.15, 0.7, 0.15])
        before, after = [], []
        for talk in range(n):
            good = random.random(turns) < 0.5
            before += [*np.where(shift[talk] != 0, shift[talk] < 0, good).astype(float)]
            after += [*np.where(shift[talk] != 0, shift[talk] > 0, good).astype(float)]
        sides = scores(before), scores(after, model="challenger")
        how = drawn([f"t{talk}" for talk in range(n) for _ in range(turns)], [0.2] * (n * turns))
        wrong["whole"] += judge(*sides, [BETTER], drawn=how).decision == "promote"
        wrong["single"] += judge(*sides, [BETTER]).decision == "promote"
    # At a nominal 5 %, a correct test promotes at most 34 of 400 with a chance of 0.999.
    assert wrong["whole"] <= 34
    assert wrong["single"] > 60


def test_a_plan_counts_the_conversations_of_a_drawn_suite():
    rows = [
        {"example_id": "a", "group": "x", "slices": ["money"], "inclusion": 0.5},
        {"example_id": "b", "group": "x", "slices": [], "inclusion": 0.5},
        {"example_id": "c", "group": None, "slices": [], "inclusion": 0.5},
        {"example_id": "d", "group": "x", "slices": ["money"], "inclusion": None},
    ]
    found = conversations(pl.DataFrame(rows, schema=SUITE))
    assert sorted(found["slices"].to_list()) == [[], ["money"], ["money"]]
    chosen = pl.DataFrame(rows[3:], schema=SUITE)
    assert conversations(chosen).equals(chosen)


def test_a_drill_judges_conversations_as_the_gates_do():
    champion = scores([1.0] * 100)
    how = drawn([f"talk {n // 10}" for n in range(100)], [0.1] * 100)
    guard = Gate("guard", "exact", "all", "not_worse", 0.1, required=True)
    [plain, *_], [whole, *_] = (drill(champion, [guard], drawn=each).frame.rows(named=True) for each in (None, how))
    assert plain["blocked_at"] < whole["blocked_at"]
