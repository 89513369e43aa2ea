"""Sticky routing: the same conversation meets the same model, and a growing arm keeps whom it has."""

from hashlib import blake2b

import pytest

from clworkbench.errors import EvidenceError
from clworkbench.releases.routing import arm_of, normal

SALT = b"a rollout's own salt"
TALKS = [f"conversation {n}" for n in range(20_000)]


def arms(share: float, salt: bytes = SALT) -> list[str]:
    weights = {"release:new": share, "release:old": 1 - share}
    return [arm_of(talk, weights, salt) for talk in TALKS]


def test_the_share_of_conversations_is_the_weight():
    # 20,000 draws at 5 %: a standard deviation of 31; five of them.
    assert arms(0.05).count("release:new") == pytest.approx(1000, abs=155)
    assert arms(0.95).count("release:old") == pytest.approx(1000, abs=155)


@pytest.mark.parametrize("names", [("new", "old"), ("b", "a")])
def test_who_meets_the_challenger_at_5_percent_still_does_at_25_and_95(names: tuple[str, str]):
    challenger, champion = names

    def met(share: float) -> set[str]:
        weights = {champion: 1 - share, challenger: share}
        return {talk for talk in TALKS if arm_of(talk, weights, SALT) == challenger}

    assert met(0.05) < met(0.25) < met(0.95)


def test_the_order_and_the_sum_of_weights_do_not_matter():
    for talk in TALKS[:200]:
        assert arm_of(talk, {"a": 1, "b": 3}, SALT) == arm_of(talk, {"b": 0.75, "a": 0.25}, SALT)


def test_the_arm_is_where_the_keyed_hash_falls():
    place = int.from_bytes(blake2b(b"one", key=SALT, digest_size=8).digest()) / 2**64
    assert arm_of("one", {"a": place + 0.001, "b": 1 - place - 0.001}, SALT) == "a"
    assert arm_of("one", {"a": place - 0.001, "b": 1 - place + 0.001}, SALT) == "b"


def test_another_salt_draws_others():
    both = sum(a == b == "release:new" for a, b in zip(arms(0.25), arms(0.25, b"another"), strict=True))
    assert both == pytest.approx(20_000 / 16, abs=175)


def test_a_model_without_weight_answers_nothing_and_hostile_ids_are_ids():
    assert {
        arm_of(talk, {"a": 0, "b": 1, "c": 0}, SALT) for talk in [*TALKS[:500], "", "\ud800", "\0", "ü" * 10_000]
    } == {"b"}


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({}, "no model has a weight"),
        ({"a": 0.0, "b": 0.0}, "no model has a weight"),
        ({"a": -1.0, "b": 2.0}, "a has -1.0. Give it 0 or more"),
        ({"a": float("nan")}, "a has nan"),
        ({"a": float("inf")}, "a has inf"),
    ],
)
def test_weights_that_mean_nothing_are_refused_in_words(weights: dict[str, float], says: str):
    with pytest.raises(EvidenceError, match=says):
        arm_of("one", weights, SALT)


def test_shares_add_up_to_1():
    assert normal({"b": 1, "a": 3}) == {"a": 0.75, "b": 0.25}


def test_weights_whose_sum_is_no_number_are_refused():
    with pytest.raises(EvidenceError, match="they add up to inf"):
        arm_of("a", {"old": 1e308, "new": 1e308}, b"salt")
