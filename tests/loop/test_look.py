"""What a notebook looks at: rates of a workspace, its selections, turns, losses, and one lesson's way."""

from datetime import UTC, datetime

import polars as pl
import pytest

import clworkbench as clw
from clworkbench.candidates.chosen import Chosen
from clworkbench.errors import EvidenceError, SettingsError
from tests.tiny_workspace import HOSTILE, START, record


@pytest.fixture(scope="module")
def place(tiny_workspace):
    return clw.Workspace(tiny_workspace)


def outcome(number: int) -> bool | None:
    feedback = record(number)["feedback"]
    return feedback[0]["name"] == "accepted" if feedback else None


def test_rates_by_week_are_those_of_the_log(place):
    weeks = clw.look(place).frame
    assert weeks["week"].to_list()[0] == datetime(2026, 3, 2, tzinfo=UTC)
    in_week = [[i for i in range(64) if (9 + 8 * i) // 168 == week] for week in range(4)]
    assert weeks["n"].to_list() == [sum(outcome(i) is not None for i in ids) for ids in in_week]
    assert weeks["pending"].to_list() == [sum(outcome(i) is None for i in ids) for ids in in_week]
    good = [sum(bool(outcome(i)) for i in ids) for ids in in_week]
    assert (weeks["rate"] * weeks["n"]).fill_null(0).round().to_list() == good


def test_a_slice_states_its_share_of_each_day(place):
    days = clw.look(place, "money", by="day")
    first = [record(i)["messages"][0]["content"] for i in range(2)]  # the first day: 9:00 and 17:00
    about = sum("charged" in text for text in first)
    row = days.frame.row(0, named=True)
    assert (row["n"], row["share"]) == (about, about / 2)
    assert list(days.marks) == ["newer serves"]
    assert days.marks["newer serves"] == START.replace(day=16)  # answer 42, eight hours each from 2 March, 9:00


def test_rates_as_known_earlier_leave_out_what_came_later(place):
    early = clw.look(place, as_of=START.replace(day=4), event_time=True).frame
    assert early.height == 1
    assert early["n"].item() + early["pending"].item() == 7  # two days from 9:00: 0, 8, ..., 48 hours


def test_an_unknown_slice_names_those_there_are(place):
    with pytest.raises(SettingsError, match=r"no slice 'mony' in .*has money"):
        clw.look(place, "mony")


def test_selections_show_reasons_and_texts_only_where_asked_for(place):
    quiet, open_ = clw.selected(place), clw.selected(place, texts=True)
    assert quiet.selections["candidates"].to_list() == [64]
    assert set(quiet.frame.columns) == {"interaction_id", "reasons", "priority", "outcome", "confidence"}
    assert "no idea" not in quiet._repr_html_()
    assert "no idea" in open_._repr_html_()
    shown = open_.frame.filter(pl.col("text").str.starts_with(HOSTILE))
    assert shown.height == 1
    assert "<script>" not in Chosen(open_.selections, shown)._repr_html_()


def test_turns_tell_what_shipped_and_what_was_blocked(place):
    turns = clw.turns(place)
    assert [turn.report.decision for turn in turns.all] == ["promote", "block"]
    assert turns.focus is turns.all[0]
    assert turns.focus.release == clw.status(place).champion
    assert turns.focus.card.release in turns.focus.card.markdown
    assert turns.all[1].card is None
    assert turns.frame["decision"].to_list() == ["promote", "block"]
    assert "promote" in turns._repr_html_()


def test_a_waterfall_adds_up_from_signals_to_rows(place):
    waterfall = clw.turns(place).focus.waterfall
    assert waterfall.signals == 64
    assert waterfall.signals - sum(waterfall.dropped.values()) == waterfall.rows
    assert waterfall.frame["left"].to_list()[-2:] == [waterfall.rows] * 2
    assert waterfall.frame["step"].to_list() == ["signals", "pending", "rows"]


def test_losses_are_those_of_the_runs_in_order_with_the_gates_word(place):
    losses = clw.losses(place)
    assert [name.rpartition(" ")[2] for name in losses.by_run] == ["(promote)", "(block)"]
    assert losses.frame.group_by("run", maintain_order=True).len()["len"].to_list() == [25, 1]


def test_a_lesson_leads_from_its_file_to_the_release(place):
    lesson = clw.lesson(place, clw.turns(place).focus, texts=True)
    kinds = lesson.way["kind"].to_list()
    assert kinds == ["file", "record", "signal", "training_set", "run", "eval", "gate", "release"]
    assert lesson.said == {"customer": record(61)["messages"][0]["content"], "model": "no idea", "correction": "refund"}
    assert lesson.way["id"][1] == "record:app/log:61"
    assert clw.lesson(place, clw.turns(place).focus).said == {}


def test_a_workspace_without_a_turn_says_so(workspace):
    with pytest.raises(EvidenceError, match="no turn of the loop has come to a gate"):
        _ = clw.turns(workspace).focus
    assert clw.look(workspace).frame.is_empty()
    assert clw.selected(workspace).frame.is_empty()
    assert clw.losses(workspace).frame.is_empty()
