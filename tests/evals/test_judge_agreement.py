"""A judge against people: kappa as scikit-learn and hand calculation have it, and when it may gate."""

import re

import numpy as np
import polars as pl
import pytest

from clworkbench.evals.judge_agreement import ALL, GRADES, fewest, measured, why_not
from clworkbench.evals.judge_report import JudgeAgreement

metrics = pytest.importorskip("sklearn.metrics")


def grades(person, judge, slices=None):
    n = len(person)
    return pl.DataFrame(
        {"key": [f"k{i}" for i in range(n)], "person": person, "judge": judge, "slices": slices or [[]] * n},
        schema=GRADES,
    )


def report(rows, *, ratings=None, min_kappa=0.4):
    found = measured(rows, ratings)
    empty = pl.DataFrame(schema={"interaction_id": pl.String, "person": pl.Int64, "judge": pl.Int64})
    return JudgeAgreement(
        "<b>helpful", "judge:helpful@1", "0" * 64, "large-1", ratings, min_kappa, found.frame, found.confusion, {},
        empty,
    )  # fmt: skip


def noisy(seed, n, sensitivity=0.9, specificity=0.8):
    random = np.random.default_rng(seed)
    person = random.random(n) < 0.6
    right = random.random(n) < np.where(person, sensitivity, specificity)
    return person.astype(int).tolist(), np.where(right, person, ~person).astype(int).tolist()


def test_kappa_of_50_grants_by_two_readers_is_0_4():
    """Both grant 20 and refuse 15 of 50; only the one grants 5, only the other 10: 0.7 agree, 0.5 by chance."""
    rows = grades([1] * 25 + [0] * 25, [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15)
    (row,) = measured(rows, None).frame.to_dicts()
    assert row["kappa"] == pytest.approx(0.4)
    assert (row["sensitivity"], row["specificity"]) == (pytest.approx(20 / 25), pytest.approx(15 / 25))
    assert (row["same"], row["higher"]) == (pytest.approx(0.7), pytest.approx(0.1))


@pytest.mark.parametrize("seed", range(3))
def test_pass_and_fail_are_compared_as_scikit_learn_does(seed):
    person, judge = noisy(seed, 120)
    (row,) = measured(grades(person, judge), None).frame.to_dicts()
    assert row["kappa"] == pytest.approx(metrics.cohen_kappa_score(person, judge), abs=1e-12)
    assert row["sensitivity"] == pytest.approx(metrics.recall_score(person, judge), abs=1e-12)
    assert row["specificity"] == pytest.approx(metrics.recall_score(person, judge, pos_label=0), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_ratings_are_compared_by_squared_differences_as_scikit_learn_does(seed):
    random = np.random.default_rng(seed)
    person = random.integers(1, 6, 150)
    judge = np.clip(person + random.integers(-1, 2, 150), 1, 5)
    (row,) = measured(grades(person.tolist(), judge.tolist()), 5).frame.to_dicts()
    assert row["kappa"] == pytest.approx(metrics.cohen_kappa_score(person, judge, weights="quadratic"), abs=1e-12)
    assert row["sensitivity"] is None


def test_each_slice_has_its_own_kappa_and_what_was_not_graded_is_counted():
    person, judge = [1, 1, 0, 0] * 10, [1, 1, 0, 0, 1, 0, 0, 1, 1, None] * 4
    slices = [["a"] if i % 2 else ["a", "b"] for i in range(40)]
    frame = measured(grades(person, judge, slices), None).frame
    assert frame.select("slice", "n", "ungraded").rows() == [(ALL, 36, 4), ("a", 36, 4), ("b", 20, 0)]
    b = [(p, j) for i, (p, j) in enumerate(zip(person, judge, strict=True)) if not i % 2]
    assert frame["kappa"][2] == pytest.approx(metrics.cohen_kappa_score(*zip(*b, strict=True)), abs=1e-12)


def test_a_slice_that_is_named_all_does_not_stand_for_all_answers():
    person, judge = [1, 0] * 60, [1, 0] * 30 + [0, 1] * 30
    slices = [["all"] if i < 60 else [] for i in range(120)]
    found = report(grades(person, judge, slices))
    assert found.frame.select("slice", "n", "kappa").rows() == [(ALL, 120, 0.0)]
    assert not found.may_gate


def test_a_scale_of_ten_wants_200_answers_and_pass_or_fail_50():
    assert (fewest(None), fewest(5), fewest(10)) == (50, 50, 200)


@pytest.mark.parametrize(
    ("person", "judge", "words"),
    [
        ([1, 0] * 24, [1, 0] * 24, "48 answers graded by both, and at least 50"),
        ([1] * 60, [1] * 60, "one and the same grade to all 60"),
        ([1, 0] * 40, [1, 0] * 34 + [None] * 12, "no grade for 12 of 80"),
        ([1, 0] * 40, [1, 1] * 40, r"kappa 0.00 \[.*not shown to reach min_kappa = 0.4"),
    ],
    ids=["few", "one grade", "many without a grade", "always passes"],
)
def test_a_judge_that_shows_nothing_may_not_gate_and_says_why(person, judge, words):
    found = report(grades(person, judge))
    assert not found.may_gate
    assert re.search(words, str(found.why_not))


def test_a_judge_that_agrees_may_gate_and_slices_that_show_nothing_are_named():
    person, judge = noisy(0, 300, 0.95, 0.95)
    slices = [["large"] if i < 280 else ["small"] for i in range(300)]
    found = report(grades(person, judge, slices))
    assert found.may_gate
    assert set(found.doubtful) == {"small"}
    assert "20 answers graded by both" in found.doubtful["small"]


def test_the_lower_end_decides_and_not_kappa_itself():
    row = {"n": 60, "ungraded": 0, "kappa": 0.5, "low": 0.28, "high": 0.72}
    assert why_not(row, 0.4, 50) == "kappa 0.50 [0.28, 0.72] over 60 answers is not shown to reach min_kappa = 0.4"
    assert why_not(row | {"low": 0.4}, 0.4, 50) is None


def test_the_report_tells_in_all_its_faces_and_escapes_names():
    person, judge = noisy(1, 100)
    found = report(grades(person, [*judge[:-1], None], [["<i>a"]] * 100))
    assert repr(found).startswith("JudgeAgreement(<b>helpful: kappa 0.")
    html = found._repr_html_()
    assert "<b>helpful" not in html
    assert "<i>a" not in html
    assert "judge no grade" in html
    assert any(
        "people pass, judge no grade: 1" in line or "people fail, judge no grade: 1" in line for line in found.lines()
    )
    assert {"kappa", "low", "high", "n", "may_gate", "slices", "confusion"} <= set(found.as_dict())
    figure = found.plot()
    assert [len(trace.x) for trace in figure.data] == [2, 0]


def test_a_figure_without_any_kappa_says_so():
    assert "undefined" in str(report(grades([1] * 3, [1] * 3)).plot().layout.annotations[0].text)


@pytest.mark.slow
@pytest.mark.parametrize("prevalence", [0.5, 0.2])
def test_the_interval_covers_the_kappa_of_a_known_confusion_and_seldom_lies_above_it(prevalence):
    sensitivity, specificity, n = 0.85, 0.8, 150
    passes = prevalence * sensitivity + (1 - prevalence) * (1 - specificity)
    same = prevalence * sensitivity + (1 - prevalence) * specificity
    chance = prevalence * passes + (1 - prevalence) * (1 - passes)
    truth, missed, above = (same - chance) / (1 - chance), 0, 0
    random = np.random.default_rng(7)
    for _ in range(2000):
        person = random.random(n) < prevalence
        judge = np.where(person, random.random(n) < sensitivity, random.random(n) < 1 - specificity)
        (row,) = measured(grades(person.astype(int).tolist(), judge.astype(int).tolist()), None).frame.to_dicts()
        missed += not row["low"] <= truth <= row["high"]
        above += row["low"] > truth
    assert missed <= 160  # a nominal 5 %, and what a normal interval of a skewed estimate costs
    assert above <= 131  # the chance to gate with a judge below min_kappa: 5 % at most
