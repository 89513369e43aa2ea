"""Which signals are chosen, why, and with what chance."""

from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from clworkbench import schemas
from clworkbench.candidates.reasons import RANDOM
from clworkbench.candidates.select import Selection, allotted, select
from clworkbench.errors import SettingsError
from clworkbench.policy.pseudonyms import Pseudonyms
from tests.candidates.made import KEY, NOW, some


def choose(signals: pl.DataFrame, n: int, **options: object) -> Selection:
    return select(signals, n=n, **{"pseudonyms": KEY, "as_of": NOW, **options})  # type: ignore[arg-type]


def reasons(frame: pl.DataFrame) -> dict[str, list[str]]:
    return dict(frame.select("interaction_id", "reasons").iter_rows())


def test_each_signal_is_in_the_stratum_of_its_first_reason_and_keeps_all() -> None:
    signals = some(
        ("bad", False, False, None),
        ("bad and edited", False, True, 0.9),
        ("edited", True, True, 0.8),
        ("good", True, False, 0.7),
    )
    found = choose(signals, 4, quotas={"failure": 0.4, "human_override": 0.4})
    assert reasons(found.frame) == {
        "bad and edited": ["human_override", "failure"],
        "bad": ["failure"],
        "edited": ["human_override"],
        "good": ["random"],
    }
    strata = dict(found.frame.select("interaction_id", "stratum").iter_rows())
    assert strata == {"bad": "failure", "bad and edited": "failure", "edited": "human_override", "good": "random"}
    assert found.by_reason == {"failure": 2, "human_override": 1, "random": 1}


def test_the_frame_is_the_candidates_table_without_its_batch() -> None:
    found = choose(some(("a", None, False, None)), 1)
    expected = {name: dtype for name, dtype in schemas.CANDIDATES.items() if name != "batch_id"}
    assert dict(found.frame.schema) == expected
    assert found.frame.row(0)[1:] == ("a", ["random"], 1.0, 1.0, NOW, "random")


def test_the_chance_is_the_number_drawn_of_the_number_in_the_stratum() -> None:
    """10 failures of 100: 5 of 15 are drawn from them, so 5/10; 10 of the other 90."""
    signals = some(*((f"s{k}", k >= 10, False, None) for k in range(100)))
    found = choose(signals, 15, quotas={"failure": 5 / 15})
    chances = set(found.frame.select("stratum", "inclusion_probability").iter_rows())
    assert chances == {("failure", 5 / 10), ("random", 10 / 90)}
    assert found.strata.rows() == [("failure", 10, 5, 0.5), ("random", 90, 10, 10 / 90)]


def test_unused_quota_goes_to_the_random_share() -> None:
    signals = some(*((f"s{k}", k > 0, False, None) for k in range(50)))
    found = choose(signals, 20)
    assert {name: n for name, n in found.by_reason.items() if n} == {"failure": 1, "random": 19}


def test_what_random_cannot_fill_goes_to_the_reasons_in_their_order() -> None:
    # By hand: 10 asked; 8 fail, 4 are edited, 1 is neither. Shares of 0.3: 3 and 3; 1 at random; 3 more failures.
    rows = [(f"f{k}", False, False, None) for k in range(8)] + [(f"e{k}", True, True, None) for k in range(4)]
    found = choose(some(*rows, ("r", True, False, None)), 10, quotas={"failure": 0.3, "human_override": 0.3})
    assert found.by_reason == {"failure": 6, "human_override": 3, "random": 1}


def test_random_has_its_share_where_the_quotas_leave_it_none() -> None:
    signals = some(*((f"s{k}", k >= 500, False, None) for k in range(1000)))
    assert choose(signals, 100, quotas={"failure": 1.0}).by_reason == {"failure": 95, "random": 5}


def test_more_asked_than_there_is_chooses_everything_once() -> None:
    found = choose(some(("a", False, True, 0.1), ("b", True, False, 0.5), ("c", None, False, None)), 100)
    assert sorted(found.frame["interaction_id"]) == ["a", "b", "c"]
    assert found.frame["inclusion_probability"].to_list() == [1.0, 1.0, 1.0]


def test_with_fewer_candidates_than_strata_the_last_join_the_random_one() -> None:
    signals = some(("bad", False, False, None), ("edited", True, True, None), ("x", True, False, None))
    found = choose(signals, 2, quotas={"failure": 0.5, "human_override": 0.4})
    assert found.strata.rows() == [("failure", 1, 1, 1.0), ("human_override", 0, 0, None), ("random", 2, 1, 0.5)]
    assert "fewer candidates are asked for" in found.silent["human_override"]
    one = choose(signals, 1)
    assert one.frame.select("stratum", "inclusion_probability").rows() == [("random", 1 / 3)]


def test_the_same_selection_again_has_the_same_ids_and_a_new_reason_a_new_one() -> None:
    signals = some(("a", None, False, None), ("b", None, False, None))
    first = choose(signals, 2).frame
    shuffled = choose(signals.reverse(), 2, as_of=NOW.replace(year=2027)).frame
    assert_frame_equal(first.drop("as_of"), shuffled.drop("as_of"))
    failed = choose(some(("a", False, False, None), ("b", None, False, None)), 2).frame
    assert len({*first["candidate_id"], *failed["candidate_id"]}) == 3
    other = choose(signals, 2, pseudonyms=Pseudonyms(b"x" * 32)).frame
    assert not set(first["candidate_id"]) & set(other["candidate_id"])


def test_more_signals_change_few_candidates() -> None:
    """100 of 1,000 are drawn; of 1,050, one in twenty of those drawn is new on average: 20 would be far too many."""
    signals = some(*((f"s{k}", k % 3 > 0, False, None) for k in range(1050)))
    before, after = (set(choose(part, 100).frame["interaction_id"]) for part in (signals.head(1000), signals))
    assert 0 < len(after - before) < 20


def test_a_later_turn_draws_anew() -> None:
    signals = some(*((f"s{k}", None, False, None) for k in range(1000)))
    first, second = (set(choose(signals, 100, turn=turn).frame["interaction_id"]) for turn in (0, 1))
    assert len(first & second) < 30  # 10 on average, with a standard deviation of 3


def test_no_signals_give_no_candidates() -> None:
    found = choose(some(), 5)
    assert found.frame.height == sum(found.by_reason.values()) == 0
    assert found.frame.schema["reasons"] == pl.List(pl.String)
    assert found.lines()[1] == "0 candidates"


def test_a_selection_says_what_it_holds_in_a_line_in_a_table_and_in_a_terminal() -> None:
    signals = some(("a", False, False, None), ("b", True, False, None)).with_columns(labelled=pl.Series([False, True]))
    found = choose(signals, 1, quotas={"failure": 0.9, "novelty": 0.1})
    assert repr(found) == "Selection(1 of 2 signals: failure 1)"
    assert "1 candidates of 1 of 2 signals; 1 labelled" in found._repr_html_()
    assert found.lines() == [
        "        2 signals",
        "        1 after taking out 1 labelled",
        "1 candidates",
        "  failure          1 of 1",
        "  novelty          0 of 0   (no training set is large enough to compare with)",
        "  random           0 of 0",
    ]


@pytest.mark.parametrize(
    ("n", "quotas", "says"),
    [
        (0, {}, "at least 1 must be asked for"),
        (5, {"failures": 0.5}, "Did you mean 'failure'?"),
        (5, {"<b>": 0.5}, "There are held_for_review, label_conflict, human_override,"),
        (5, {"failure": 1.5}, "Give a share between 0 and 1"),
        (5, {"failure": -0.1}, "Give a share between 0 and 1"),
        (5, {"failure": 0.8, "random": 0.4}, "add up to 1.2"),
    ],
)
def test_quotas_that_make_no_sense_are_refused(n: int, quotas: dict[str, float], says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        choose(some(), n, quotas=quotas)
    assert says in str(caught.value)


SIGNALS = st.lists(st.tuples(st.none() | st.booleans(), st.booleans(), st.none() | st.floats(0, 1)), max_size=60).map(
    lambda rows: some(*((f"s{k}", *row) for k, row in enumerate(rows)))
)


@settings(max_examples=60, deadline=None)
@given(SIGNALS, st.integers(1, 80))
def test_strata_part_the_frame_sums_add_up_and_every_chance_is_above_0(signals: pl.DataFrame, n: int) -> None:
    found = choose(signals, n)
    assert found.frame.height == min(n, signals.height) == sum(found.by_reason.values())
    assert found.strata["signals"].sum() == signals.height == found.n_frame
    assert found.frame["interaction_id"].n_unique() == found.frame.height
    assert Counter(found.frame["stratum"]) == Counter({k: v for k, v in found.by_reason.items() if v})
    for _, size, drawn, chance in found.strata.iter_rows():
        assert (chance is None) if not size else (1 <= drawn <= size and chance == drawn / size)
    if found.frame.height:
        # Horvitz and Thompson's estimate of how many there are is exact, whatever was drawn.
        assert (1 / found.frame["inclusion_probability"]).sum() == pytest.approx(signals.height)
    assert_frame_equal(found.frame, choose(signals.sample(fraction=1, shuffle=True), n).frame)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.floats(0, 0.25)), min_size=1, max_size=4),
    st.integers(0, 40),
    st.integers(5, 200),
)
def test_what_is_allotted_adds_up_and_leaves_no_stratum_out(
    strata: list[tuple[int, float]], at_random: int, n: int
) -> None:
    sizes = {f"r{k}": size for k, (size, _) in enumerate(strata)} | {RANDOM: at_random}
    found = allotted(sizes, {f"r{k}": quota for k, (_, quota) in enumerate(strata)}, n)
    assert sum(found.values()) == min(n, sum(sizes.values()))
    assert all(min(1, size) <= found[name] <= size for name, size in sizes.items())


def test_where_small_strata_take_more_than_their_shares_random_keeps_its_own() -> None:
    """By hand: shares of 10 are 9, and 1 each for what has members: 13; one is kept for random, so 9 for the five."""
    sizes = {"a": 1000, "b": 5, "c": 5, "d": 5, "e": 5, RANDOM: 1000}
    found = allotted(sizes, {"a": 0.9, "b": 0.01, "c": 0.01, "d": 0.01, "e": 0.01}, 10)
    assert found == {"a": 5, "b": 1, "c": 1, "d": 1, "e": 1, RANDOM: 1}


def test_a_share_for_nothing_but_random_is_a_simple_sample() -> None:
    signals = some(*((f"s{k}", False, False, None) for k in range(20)))
    found = choose(signals, 5, quotas={"random": 1.0})
    assert found.strata.rows() == [("random", 20, 5, 0.25)]
    assert found.frame["reasons"].to_list() == [["failure", "random"]] * 5


def test_over_many_keys_each_signal_of_a_stratum_is_drawn_as_often_as_its_chance_says() -> None:
    """20 failures of which 8 are drawn, 40 others of which 4: in 300 selections each within 4.5 standard deviations."""
    signals = some(*((f"s{k}", k >= 20, False, None) for k in range(60)))
    drawn: Counter[str] = Counter()
    for seed in range(300):
        key = Pseudonyms(seed.to_bytes(32, "big"))
        found = choose(signals, 12, quotas={"failure": 8 / 12}, pseudonyms=key).frame
        drawn.update(found["interaction_id"])
    for k in range(60):
        chance = 8 / 20 if k < 20 else 4 / 40
        assert abs(drawn[f"s{k}"] - 300 * chance) < 4.5 * (300 * chance * (1 - chance)) ** 0.5
