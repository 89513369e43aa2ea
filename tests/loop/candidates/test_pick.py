"""Candidates by hand: each once, none that the policy keeps out, and none that counts in an estimate."""

import polars as pl
import pytest

from clworkbench.candidates.estimate import estimated
from clworkbench.errors import LabelError
from clworkbench.loop.candidates.pick import Picked, pick
from clworkbench.loop.data import choose
from clworkbench.loop.labels.ask import push
from clworkbench.loop.look import selected
from clworkbench.workspace import Workspace
from tests.loop.made_talks import SETTINGS, make_talks


@pytest.fixture
def place(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    return make_talks(tmp_path / "w", 30)


def ids(place: Workspace, *numbers: int) -> list[str]:
    known = dict(place.signals().select("source_id", "interaction_id").iter_rows())
    return [known[f"chat-{number}"] for number in numbers]


def test_what_somebody_picks_is_a_candidate_once(place):
    wanted = ids(place, 4, 2, 4)
    assert pick(place, wanted) == Picked(new=2, known=0, kept_out=0)
    assert pick(place, wanted) == Picked(new=0, known=2, kept_out=0)
    rows = place.read("candidates")
    assert sorted(rows["interaction_id"]) == sorted(set(wanted))
    assert set(rows["stratum"]) == {"by_hand"}
    assert rows["reasons"].to_list() == [["by_hand"]] * 2
    assert rows["inclusion_probability"].null_count() == 2


def test_a_selection_does_not_draw_what_was_picked_and_a_pick_leaves_what_was_drawn(place):
    pick(place, ids(place, 4))
    drawn = choose(place, 10).frame["interaction_id"].to_list()
    assert ids(place, 4)[0] not in drawn
    assert pick(place, drawn) == Picked(new=0, known=10, kept_out=0)
    assert selected(place).selections.height == 2


def test_what_was_picked_is_pushed_and_counts_in_no_estimate(place):
    pick(place, ids(place, 4, 5))
    assert push(place, dry_run=True).pushed == 2
    rows = place.read("candidates").with_columns(bad=pl.lit(value=True))
    assert "not enough data" in repr(estimated(rows, pl.col("bad")))


def test_what_the_policy_keeps_out_is_counted_and_no_candidate(place):
    text = SETTINGS + '[[policy.exclude]]\nname = "late"\nwhere = "text LIKE \'%charged%\'"\n'
    (place.folder / "clw.toml").write_text(text)
    assert pick(Workspace(place.folder), ids(place, 3, 4)) == Picked(new=1, known=0, kept_out=1)


def test_what_is_no_signal_is_told_and_nothing_is_picked(place):
    with pytest.raises(LabelError, match=r"no signal 'nobody' \(1 of 2 are not there\)"):
        pick(place, [*ids(place, 4), "nobody"])
    assert place.read("candidates").is_empty()
