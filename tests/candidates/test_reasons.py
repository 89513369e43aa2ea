"""For which signals which reasons speak, and what they say where they know nothing."""

import polars as pl
import pytest

from clworkbench.candidates.reasons import QUOTAS, REASONS, reasons_of, speaking
from clworkbench.errors import ExpressionError, SettingsError
from tests.candidates.made import some


def of(signals: pl.DataFrame, name: str, **own: str) -> list[bool]:
    return speaking(signals, {**REASONS, **own}).frame[name].to_list()


def test_low_confidence_is_the_lowest_tenth_whatever_the_level() -> None:
    # Middle ranks (k - 0.5) / 20: the two lowest have 0.025 and 0.075, the third 0.125. Unknown ones do not count.
    high = some(*((f"s{k}", True, False, 0.9 + k / 1000) for k in range(20)), ("unknown", True, False, None))
    assert of(high, "low_confidence") == [True, True] + [False] * 19
    constant = some(*((f"s{k}", True, False, 0.5) for k in range(20)))
    assert not any(of(constant, "low_confidence"))
    few = some(("nan", True, False, float("nan")), *((f"s{k}", True, False, k) for k in range(5)))
    assert of(few, "low_confidence") == [False, True, False, False, False, False]


def test_a_pending_outcome_is_no_failure() -> None:
    signals = some(("good", True, False, None), ("bad", False, False, None), ("pending", None, False, None))
    assert of(signals, "failure") == [False, True, False]


def test_a_reason_that_knows_nothing_says_why() -> None:
    found = speaking(some(("a", None, False, None)))
    assert found.silent["failure"] == "no outcome is settled"
    assert found.silent["human_override"] == "nobody has given a better answer"
    assert found.silent["low_confidence"] == "no signal has a confidence"
    assert found.silent["drifted_slice"] == "not looked for: name drifted_slice in [candidates] quotas"
    assert set(found.silent) == set(REASONS)
    settled = speaking(some(("a", True, False, 0.5)))
    assert not {"failure", "low_confidence"} & set(settled.silent)


def test_columns_that_are_handed_in_speak() -> None:
    signals = some(("a", True, False, None), ("b", True, False, None)).with_columns(
        held_for_review=pl.Series([True, False]),
        label_conflict=pl.Series([None, True]),
        drifted_slice=pl.Series([False, True]),
        disagreement=pl.Series([True, None]),
        repeats=pl.Series([1, 2]),
        novelty=pl.Series([0.95, 0.96]),
    )
    found = speaking(signals).frame
    assert [name for name in found.columns if found[name][0]] == ["held_for_review", "disagreement"]
    assert [name for name in found.columns if found[name][1]] == [
        "label_conflict", "repeated_failure", "drifted_slice", "novelty"
    ]  # fmt: skip


def test_a_reason_of_ones_own_is_an_expression_over_signals() -> None:
    signals = some(("a", True, False, 0.1), ("b", False, False, 0.1))
    assert of(signals, "sure_and_wrong", sure_and_wrong="confidence < 0.5 AND NOT outcome") == [False, True]
    assert of(signals, "failure", failure="outcome") == [True, False]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("confidense < 0.5", "(?s)candidates.reasons.mine: .*Did you mean confidence"),
        ("confidence", "candidates.reasons.mine: 'confidence' gives Float64, not true or false"),
        ("outcome = (SELECT * FROM read_csv('/etc/passwd'))", "a subquery is not allowed"),
    ],
)
def test_an_expression_that_cannot_be_used_is_told(text: str, says: str) -> None:
    with pytest.raises(ExpressionError, match=says):
        speaking(some(("a", True, False, 0.1)), {"mine": text})


def test_own_reasons_come_first_with_a_tenth_each_beside_the_usual_shares() -> None:
    reasons, quotas = reasons_of({"mine": "outcome"}, {})
    assert list(reasons) == ["mine", *REASONS]
    assert quotas["mine"] == pytest.approx(0.1 / 1.1)
    assert quotas["failure"] == pytest.approx(QUOTAS["failure"] / 1.1)
    assert sum(quotas.values()) == pytest.approx(1)


def test_quotas_give_the_order_and_reasons_without_one_are_only_told() -> None:
    reasons, quotas = reasons_of({"mine": "outcome"}, {"failure": 0.5, "random": 0.2, "mine": 0.3})
    assert list(reasons)[:2] == ["failure", "mine"]
    assert set(reasons) == {"mine", *REASONS}
    assert list(quotas) == ["failure", "random", "mine"]


@pytest.mark.parametrize("name", ["random", "with blank", "", "<b>", "1st"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be a reason's name"):
        reasons_of({name: "outcome"}, {})
