"""Planted regressions are blocked from the size on that the tests' own arithmetic gives, or the gate is unproven."""

import polars as pl
import pytest

from clworkbench.errors import SettingsError
from clworkbench.releases.drill import drill
from clworkbench.releases.gates import Gate, defaults
from tests.releases.frames import scores


def by_name(frame: pl.DataFrame) -> dict[str, float | None]:
    return dict(frame.select("planted", "blocked_at").iter_rows())


def test_a_loss_is_blocked_from_the_size_on_that_mcnemar_and_holm_give() -> None:
    # 40 right answers and four tests: Holm's first level is 0.05 / 4 = 0.0125, and 7 losses have p = 1/128. Of the
    # sizes that are tried, 15 % of 40 are 6 and 20 % are 8.
    found = drill(scores([1.0] * 40), defaults("exact", [], None))
    assert by_name(found.frame)["exact lost everywhere"] == 0.2
    assert found.frame["blocked_by"][0].to_list() == ["exact better on all"]
    assert found.proven


def test_each_slice_ends_lengths_and_prices_are_drilled_and_each_gate_is_seen_to_block() -> None:
    slices = [["a"]] * 60 + [["b"]] * 60
    found = drill(scores([1.0] * 90 + [0.0] * 30, slices=slices), defaults("exact", ["a", "b"], "a"), target="a")
    sizes = by_name(found.frame)
    assert list(sizes) == [
        "exact lost everywhere", "exact lost on a", "exact lost on b", "answers cut off", "answers longer",
        "answers dearer",
    ]  # fmt: skip
    assert None not in sizes.values()
    assert sizes["answers longer"] == sizes["answers dearer"] == 1.75  # the first beyond the margin of a half
    assert found.unproven == []
    assert dict(found.frame.select("planted", "n").iter_rows())["exact lost on a"] == 60


def test_a_gate_that_cannot_block_is_named() -> None:
    few = drill(scores([1.0] * 3), defaults("exact", [], None))
    assert not few.proven
    assert "exact better on all" in few.unproven
    unpriced = drill(scores([1.0] * 40, cost_usd=[None] * 40), defaults("exact", [], None))
    assert by_name(unpriced.frame)["answers dearer"] is None
    assert unpriced.unproven == ["cost"]
    wrong = drill(scores([0.0] * 40), defaults("exact", [], None))
    assert by_name(wrong.frame)["exact lost everywhere"] is None


def test_the_same_scores_give_the_same_drill_in_any_order_and_stay_as_they_were() -> None:
    before = scores([1.0, 0.0] * 30, slices=[["a"], ["b"]] * 30)
    gates = defaults("exact", ["a", "b"], None)
    first = drill(before, gates)
    assert first.frame.equals(drill(before.sample(fraction=1, shuffle=True, seed=3), gates).frame)
    assert before.equals(scores([1.0, 0.0] * 30, slices=[["a"], ["b"]] * 30))


def test_gates_that_mean_nothing_are_refused_and_names_are_escaped() -> None:
    with pytest.raises(SettingsError, match="none of 1 is required"):
        drill(scores([1.0]), [Gate("a", "exact", "all", "not_worse", 0.1, required=False)])
    hostile = drill(scores([1.0] * 40, slices=[["<script>"]] * 40), defaults("exact", ["<script>"], None))
    assert "<script>" not in hostile._repr_html_()
