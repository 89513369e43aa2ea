"""F1 of a classification: against scikit-learn, and by hand."""

from random import Random

import polars as pl
import pytest

from clworkbench.statistics.f1 import f1


def pairs(expected: str, predicted: str, examples: list[str] | None = None) -> pl.DataFrame:
    said = [None if label == "-" else label for label in predicted]
    names = examples or [str(at) for at in range(len(expected))]
    return pl.DataFrame({"example": names, "expected": list(expected), "predicted": said})


@pytest.mark.parametrize("seed", range(5))
def test_macro_micro_and_each_class_are_those_of_scikit_learn(seed: int):
    metrics = pytest.importorskip("sklearn.metrics")
    draw = Random(seed)
    expected = "".join(draw.choice("aabbbcd") for _ in range(200))
    predicted = "".join(label if draw.random() < 0.6 else draw.choice("abce") for label in expected)
    found = f1(pairs(expected, predicted), seed=seed)
    known = sorted(set(expected))
    asked = {"labels": known, "zero_division": 0}
    assert found.macro.value == pytest.approx(
        metrics.f1_score(list(expected), list(predicted), average="macro", **asked)
    )
    assert found.micro.value == pytest.approx(
        metrics.f1_score(list(expected), list(predicted), average="micro", **asked)
    )
    each = metrics.f1_score(list(expected), list(predicted), average=None, **asked)
    assert found.by_class["f1"].to_list() == pytest.approx(list(each))
    assert found.by_class["label"].to_list() == known


def test_by_hand_an_answer_of_no_class_is_a_miss_and_no_false_alarm():
    # a: expected 3, said 2, right 2: 4/5. b: expected 1, said 1, right 0: 0. Together: 2 * 2 / (4 + 3).
    found = f1(pairs("aaab", "aa-a".replace("-a", "bx")))
    assert found.by_class.rows()[0][:5] == ("a", 3, 2, 2, pytest.approx(0.8))
    assert found.by_class.rows()[1][:5] == ("b", 1, 1, 0, 0)
    assert (found.macro.value, found.micro.value) == (pytest.approx(0.4), pytest.approx(4 / 7))


def test_repetitions_share_the_weight_of_their_example_and_are_drawn_together():
    once = f1(pairs("ab", "aa"))
    thrice = f1(pairs("aaabbb", "aaaaaa", ["x"] * 3 + ["y"] * 3))
    assert (once.macro, once.micro) == (thrice.macro, thrice.micro)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    draw, hits = Random(7), 0
    # Two even classes, each right with 0.8: F1 of both, and of all, is 0.8.
    for seed in range(60):
        expected = "".join(draw.choice("ab") for _ in range(120))
        predicted = "".join(label if draw.random() < 0.8 else "ab".replace(label, "") for label in expected)
        low, high = f1(pairs(expected, predicted), seed=seed).macro.interval
        hits += low <= 0.8 <= high
    # Of 60 at 95 %, 51 or fewer happen about once in 2,000 times.
    assert hits >= 52


def test_all_right_and_all_wrong_are_no_proof_so_their_intervals_are_wilsons():
    # All of n right: from 1 / (1 + z²/n) to 1, with z² = 3.841459; none right: the mirror image.
    right, wrong = f1(pairs("ab", "ab")), f1(pairs("ab", "--"))
    assert (right.micro.value, *right.micro.interval) == pytest.approx((1, 2 / 5.841459, 1))
    assert (right.macro.value, *right.macro.interval) == pytest.approx((1, 1 / 4.841459, 1))
    assert (wrong.micro.value, *wrong.micro.interval) == pytest.approx((0, 0, 1 - 2 / 5.841459))
    assert (wrong.macro.value, *wrong.macro.interval) == pytest.approx((0, 0, 1 - 1 / 4.841459))
