"""Which signals are chosen, why, and with what chance."""

from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clworkbench import schemas
from clworkbench.candidates.select import select
from clworkbench.errors import SettingsError
from clworkbench.policy.pseudonyms import Pseudonyms

KEY = Pseudonyms(b"k" * 32)
NOW = datetime(2026, 11, 1, tzinfo=UTC)
BETTER = [{"role": "assistant", "content": "better"}]


def some(*rows: tuple[str, bool | None, bool, float | None]) -> pl.DataFrame:
    """Signals as (id, outcome, whether somebody gave a better answer, confidence)."""
    schema = {"interaction_id": pl.String, "outcome": pl.Boolean, "override": pl.Boolean, "confidence": pl.Float64}
    better = pl.lit([BETTER[0]], dtype=pl.List(pl.Struct({"role": pl.String, "content": pl.String})))
    return pl.DataFrame(rows, schema=schema, orient="row").select(
        pl.exclude("override"), improvement=pl.when("override").then(better)
    )


def reasons(frame: pl.DataFrame) -> dict[str, list[str]]:
    return dict(frame.select("interaction_id", "reasons").iter_rows())


def test_each_reason_chooses_its_own_and_all_that_apply_are_kept() -> None:
    signals = some(
        ("bad", False, False, None),
        ("bad and edited", False, True, 0.9),
        ("unsure", True, False, 0.2),
        ("sure", True, False, 0.8),
    )
    found = select(signals, n=3, pseudonyms=KEY, as_of=NOW, quotas={"failure": 2 / 3, "low_confidence": 1 / 3})
    assert reasons(found.frame) == {
        "bad and edited": ["failure", "human_override"],
        "bad": ["failure"],
        "unsure": ["low_confidence"],
    }
    assert found.by_reason == {"failure": 2, "low_confidence": 1, "random": 0}


def test_the_frame_is_the_candidates_table_without_its_batch() -> None:
    found = select(some(("a", None, False, None)), n=1, pseudonyms=KEY, as_of=NOW)
    expected = {name: dtype for name, dtype in schemas.CANDIDATES.items() if name != "batch_id"}
    assert dict(found.frame.schema) == expected
    assert found.frame.row(0)[1:] == ("a", ["random"], 1.0, 1.0, NOW)


def test_low_confidence_is_the_lowest_by_rank_whatever_the_level() -> None:
    high = some(*((f"s{n}", True, False, 0.9 + n / 1000) for n in range(10)), ("unknown", True, False, None))
    found = select(high, n=3, pseudonyms=KEY, as_of=NOW, quotas={"low_confidence": 1.0})
    assert sorted(reasons(found.frame)) == ["s0", "s1", "s2"]
    assert found.frame["inclusion_probability"].to_list() == [1.0, 1.0, 1.0]


def test_a_failure_that_is_among_the_lowest_by_confidence_says_so() -> None:
    signals = some(("worst", False, False, 0.1), ("low", True, False, 0.2), ("high", True, False, 0.9))
    found = select(signals, n=2, pseudonyms=KEY, as_of=NOW, quotas={"failure": 0.5, "low_confidence": 0.5})
    assert reasons(found.frame) == {"worst": ["failure", "low_confidence"], "low": ["low_confidence"]}
    assert found.frame["interaction_id"].to_list() == ["worst", "low"]
    assert found.frame["priority"].to_list() == [1.0, 0.5]


def test_unused_quota_goes_to_the_random_share_and_reasons_add_up() -> None:
    signals = some(*((f"s{n}", n > 0, False, None) for n in range(50)))
    found = select(signals, n=20, pseudonyms=KEY, as_of=NOW)
    assert found.by_reason == {
        "failure": 1,
        "human_override": 0,
        "low_confidence": 0,
        "held_for_review": 0,
        "random": 19,
    }
    assert found.frame.height == found.frame["interaction_id"].n_unique() == 20


def test_more_asked_than_there_is_chooses_everything_once() -> None:
    signals = some(("a", False, True, 0.1), ("b", True, False, 0.5), ("c", None, False, None))
    found = select(signals, n=100, pseudonyms=KEY, as_of=NOW)
    assert sorted(found.frame["interaction_id"]) == ["a", "b", "c"]
    assert found.frame["inclusion_probability"].to_list() == [1.0, 1.0, 1.0]


def test_inclusion_probability_is_one_minus_the_chance_of_being_missed_by_each_share() -> None:
    """10 failures of 100; 5 drawn from the failures, then 10 from the 95 left: 10/95, and 1 - 1/2 * 85/95."""
    signals = some(*((f"s{n}", n >= 10, False, None) for n in range(100)))
    found = select(signals, n=15, pseudonyms=KEY, as_of=NOW, quotas={"failure": 5 / 15})
    by_id = dict(found.frame.select("interaction_id", "inclusion_probability").iter_rows())
    failures = {f"s{n}" for n in range(10)}
    assert all(p == pytest.approx(1 - 0.5 * 85 / 95) for name, p in by_id.items() if name in failures)
    assert all(p == pytest.approx(10 / 95) for name, p in by_id.items() if name not in failures)


def test_inverse_inclusion_probabilities_estimate_the_share_of_failures() -> None:
    """20 % of 2,000 fail. The estimate from 300 candidates has a standard error under 0.03: 4 of them are allowed."""
    signals = some(*((f"s{n}", n % 5 > 0, False, None) for n in range(2000)))
    found = select(signals, n=300, pseudonyms=KEY, as_of=NOW, quotas={"failure": 0.5}).frame
    weighed = found.join(signals, on="interaction_id").select(
        w=1 / pl.col("inclusion_probability"), bad=~pl.col("outcome")
    )
    assert weighed.select((pl.col("w") * pl.col("bad")).sum() / pl.col("w").sum()).item() == pytest.approx(
        0.2, abs=0.12
    )
    assert weighed["w"].sum() == pytest.approx(2000, rel=0.1)


def test_the_same_selection_again_has_the_same_ids_and_a_new_reason_a_new_one() -> None:
    signals = some(("a", None, False, None), ("b", None, False, None))
    first = select(signals, n=2, pseudonyms=KEY, as_of=NOW).frame
    shuffled = select(signals.reverse(), n=2, pseudonyms=KEY, as_of=NOW.replace(year=2027)).frame
    assert_frame_equal(first.drop("as_of"), shuffled.drop("as_of"))
    failed = select(some(("a", False, False, None), ("b", None, False, None)), n=2, pseudonyms=KEY, as_of=NOW).frame
    assert len({*first["candidate_id"], *failed["candidate_id"]}) == 3
    assert not set(first["candidate_id"]) & set(
        select(signals, n=2, pseudonyms=Pseudonyms(b"x" * 32), as_of=NOW).frame["candidate_id"]
    )


def test_no_signals_give_no_candidates() -> None:
    found = select(some(), n=5, pseudonyms=KEY, as_of=NOW)
    assert found.frame.height == 0
    assert found.frame.schema["reasons"] == pl.List(pl.String)


def test_a_selection_says_what_it_holds_in_a_line_and_in_a_table() -> None:
    found = select(some(("a", False, False, None)), n=1, pseudonyms=KEY, as_of=NOW, quotas={"failure": 1.0})
    assert repr(found) == "Selection(1 of 1 signals: failure 1, random 0)"
    assert "<td>failure</td><td>1</td>" in found._repr_html_()


@pytest.mark.parametrize(
    ("n", "quotas", "says"),
    [
        (0, {}, "at least 1 must be asked for"),
        (5, {"failures": 0.5}, "Did you mean 'failure'?"),
        (5, {"<b>": 0.5}, "There are failure, human_override, low_confidence, random, held_for_review."),
        (5, {"failure": 1.5}, "Give a share between 0 and 1"),
        (5, {"failure": -0.1}, "Give a share between 0 and 1"),
        (5, {"failure": 0.8, "random": 0.4}, "add up to 1.2"),
    ],
)
def test_quotas_that_make_no_sense_are_refused(n: int, quotas: dict[str, float], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        select(some(), n=n, pseudonyms=KEY, as_of=NOW, quotas=quotas)
    assert says in str(caught.value)


def test_what_the_policy_holds_back_is_shown_to_a_person() -> None:
    signals = some(*((f"s{n}", True, False, None) for n in range(40)))
    marked = signals.with_columns(held_for_review=pl.col("interaction_id").is_in(["s3", "s7", "s9"]))
    found = select(marked, n=40, pseudonyms=KEY, as_of=NOW)
    assert found.by_reason["held_for_review"] == 2  # 5 % of 40
    held = {name for name, why in reasons(found.frame).items() if "held_for_review" in why}
    assert held == {"s3", "s7", "s9"}
