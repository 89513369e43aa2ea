"""The desk's people: the wordings that there are, who gets which, and what operators do with answers."""

import json
import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from clworkbench.demo.desk_people import (
    ACTIONS,
    TARGET,
    Message,
    Ticket,
    Week,
    cast,
    expected,
    history,
    is_right,
    reactions,
    wordings,
    written,
)

QUIET = [Week(1, 150, 0.05, "pool"), Week(2, 150, 0.05, "pool")]
WEEKS = [*QUIET, Week(3, 150, 0.35, "pool"), Week(4, 150, 0.35, "fresh")]


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return wordings()


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def ticket(week: int, intent: str, answer: str, number: int = 0) -> Ticket:
    at = datetime(2026, 1, 5, 9, tzinfo=UTC) + timedelta(weeks=week)
    message = Message(f"T{week}{number:04d}", week, at, "anna.fox1@example.com", intent, "please")
    return Ticket(message, "release:a", answer, 0.9, 30, 18)


def named(tickets: list[Ticket], name: str) -> int:
    return sum(event["name"] == name for t in tickets for event in reactions(t, "a:b", seed=0))


def test_each_of_the_twelve_intents_has_eighty_wordings_or_more_and_thirty_of_them_are_held_out(rows):
    assert set(rows["intent"]) == set(ACTIONS)
    assert len(ACTIONS) == len(set(ACTIONS.values())) == 12
    distinct = rows.with_columns(plain=pl.Series([plain(text) for text in rows["text"]]))
    assert distinct["plain"].n_unique() == rows.height
    counted = rows.group_by("intent").agg(n=pl.len(), held=pl.col("held_out").sum())
    assert counted["n"].min() >= 80
    assert set(counted["held"]) == {30}


def test_both_parts_hold_typos_indirect_and_long_wordings(rows):
    shares = rows.group_by("held_out", "style").len().sort("held_out", "style")
    assert set(shares["style"]) == {"plain", "typo", "indirect", "long"}
    assert shares["len"].min() >= 12 * 4


def test_some_customers_write_their_address_or_card_and_all_of_these_are_invented(rows):
    addresses = [found for text in rows["text"] for found in re.findall(r"[\w.]+@([\w.]+\w)", text)]
    assert len(addresses) > 30
    assert set(addresses) == {"example.com", "example.org", "example.net"}


def test_every_wording_plays_one_part(rows):
    dealt = cast(rows, seed=0)
    assert dealt.height == rows.height
    target = dict(dealt.filter(pl.col("intent") == TARGET)["part"].value_counts().iter_rows())
    assert target == {"suite": 30, "history": 28, "pool": 68, "fresh": 52}
    others = dealt.filter(pl.col("intent") != TARGET).group_by("intent", "part").len()
    assert set(others.select("part", "len").iter_rows()) == {
        ("suite", 30),
        ("history", 40),
        ("pool", 12),
        ("fresh", 10),
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_no_held_out_wording_is_ever_written_to_the_desk(rows, seed):
    dealt = cast(rows, seed)
    held = [plain(text) for text in rows.filter("held_out")["text"]]
    messages = [t.message for t in history(dealt, seed)] + [m for week in WEEKS for m in written(dealt, week, seed)]
    sent = "\n".join(f" {plain(message.text)} " for message in messages)
    assert len(messages) == 468 + 4 * 150
    assert [text for text in held if f" {text} " in sent] == []


def test_the_target_rises_from_5_to_35_percent(rows):
    dealt = cast(rows, seed=0)
    about = [sum(m.intent == TARGET for m in written(dealt, week, seed=0)) for week in WEEKS]
    assert about == [8, 8, 52, 52]  # round(7.5) and round(52.5), to even


def test_in_week_4_every_message_about_the_target_has_a_wording_of_its_own_that_no_week_before_had(rows):
    dealt = cast(rows, seed=0)
    fresh = dealt.filter(pl.col("part") == "fresh", pl.col("intent") == TARGET)["text"]
    texts = [m.text for m in written(dealt, WEEKS[3], seed=0) if m.intent == TARGET]
    before = [m.text for week in WEEKS[:3] for m in written(dealt, week, seed=0)]
    before += [t.message.text for t in history(dealt, seed=0)]
    assert [sum(wording in text for text in texts) for wording in fresh] == [1] * 52
    assert not any(wording in text for wording in fresh for text in before)


def test_a_seed_repeats_a_week_and_another_seed_deals_another(rows):
    weeks = [written(cast(rows, seed), WEEKS[2], seed) for seed in (3, 3, 4)]
    assert weeks[0] == weeks[1]
    assert weeks[0] != weeks[2]


def test_messages_come_in_order_and_within_their_week(rows):
    at = [message.at for message in written(cast(rows, seed=0), WEEKS[2], seed=0)]
    assert at == sorted(at)
    assert datetime(2026, 1, 26, tzinfo=UTC) <= at[0] <= at[-1] < datetime(2026, 2, 2, tzinfo=UTC)


def test_the_policy_of_week_3_changes_what_is_right_for_the_target_alone():
    old = '{"intent": "billing_cancellation", "action": "cancel_now"}'
    new = '{"intent": "billing_cancellation", "action": "offer_pause"}'
    assert [expected(TARGET, new_policy=policy) for policy in (False, True)] == [old, new]
    assert is_right(ticket(2, TARGET, old))
    assert not is_right(ticket(3, TARGET, old))
    assert is_right(ticket(3, TARGET, new))
    assert is_right(ticket(3, "app_crash", '{"action": "collect_logs", "intent": "app_crash"}'))
    assert not is_right(ticket(3, "app_crash", "collect the logs"))


def test_a_right_answer_is_accepted_and_hardly_ever_reopened():
    right = [ticket(1, "app_crash", expected("app_crash", new_policy=False), n) for n in range(2000)]
    assert named(right, "accepted") == 2000
    assert named(right, "reopened") == pytest.approx(40, abs=20)  # 2 %; 3 standard deviations are 19


def test_wrong_answers_are_edited_overridden_or_lazily_accepted_and_the_last_mostly_reopen():
    wrong = [ticket(3, TARGET, "?", n) for n in range(2000)]
    assert named(wrong, "accepted") == pytest.approx(300, abs=48)  # 15 %; 3 standard deviations
    assert named(wrong, "overridden") == pytest.approx(340, abs=51)  # 20 % of the 85 % that are seen
    assert named(wrong, "accepted") + named(wrong, "overridden") + named(wrong, "edited") == 2000
    assert named(wrong, "reopened") == pytest.approx(0.15 * 2000 * 0.8 + 0.85 * 2000 * 0.02, abs=52)
    assert named(wrong, "thumbs") == pytest.approx(300, abs=48)


def test_an_edit_holds_the_right_answer_and_a_reopening_comes_within_a_day():
    events = [(t, event) for n in range(300) for t in [ticket(3, TARGET, "?", n)] for event in reactions(t, "a:b", 0)]
    edits = {event["improvement"] for _, event in events if event["name"] == "edited"}
    assert [json.loads(str(edit))["action"] for edit in edits] == ["offer_pause"]
    late = [event["at"] - t.message.at for t, event in events if event["name"] == "reopened"]
    assert late
    assert timedelta(0) < min(late) <= max(late) < timedelta(hours=24)
