"""Signals: which answers, which versions, whose feedback, and what they settle to."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from clworkbench import schemas
from clworkbench.settings import OutcomeRule
from clworkbench.signals.view import attributed, signals

HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def said(role: str, content: str | None) -> dict[str, object]:
    return {"role": role, "content": content, "tool_calls": None, "tool_call_id": None, "name": None, "parts": None}


def frame(schema: pl.Schema, rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={**schema, "seq": pl.Int64})


def interactions(*rows: dict[str, object]) -> pl.DataFrame:
    """Answers of source `app`; what a row leaves out is filled in, `seq` with the row's place."""
    full = [
        {
            "interaction_id": f"i{n}", "source": "app", "raw_sha256": f"{n}", "seq": n, "operation": "chat",
            "started_at": NOON, "input": [said("user", "question")], "output": [said("assistant", "reply")], **row,
        }
        for n, row in enumerate(rows)
    ]  # fmt: skip
    return frame(schemas.INTERACTIONS, full)


def feedback(*rows: dict[str, object]) -> pl.DataFrame:
    full = [
        {
            "feedback_id": f"f{n}", "target_id": "i0", "target_kind": "interaction", "name": "thumbs", "source": "app",
            "raw_sha256": f"{n}", "seq": n, "at": NOON + HOUR, **row,
        }
        for n, row in enumerate(rows)
    ]  # fmt: skip
    return frame(schemas.FEEDBACK, full)


def targets(answers: pl.DataFrame, told: pl.DataFrame) -> list[str | None]:
    return attributed(answers, told)["interaction_id"].to_list()


def test_a_signal_is_an_answer_and_holds_what_was_asked_and_said() -> None:
    dialogue = [said("system", "be kind"), said("user", "first"), said("assistant", "yes"), said("user", "second")]
    rows = interactions(
        {"input": dialogue, "output": [said("assistant", "answer")]},
        {"operation": "execute_tool"},
        {"operation": None, "started_at": NOON - HOUR},
        {"output": []},
        {"output": None},
        {"output": [said("tool", "42")]},
        {"operation": "text_completion", "input": None, "started_at": None},
    )
    found = signals(rows, feedback(), [], {})
    assert found.select("interaction_id", "text", "answer").rows() == [
        ("i2", "question", "reply"),
        ("i0", "second", "answer"),
        ("i6", None, "reply"),
    ]
    assert found["n_feedback"].to_list() == [0, 0, 0]
    assert found["feedback_ids"].to_list() == found["feedback_names"].to_list() == [[], [], []]
    assert found["outcome"].to_list() == [None, None, None]
    assert found["conflict"].to_list() == [False, False, False]
    assert set(schemas.INTERACTIONS) <= set(found.columns)


def test_the_latest_version_is_the_sources_own_where_each_has_a_time_and_else_the_last_committed() -> None:
    rows = interactions(
        {"interaction_id": "a", "model": "new", "updated_at": NOON + 2 * HOUR, "seq": 1},
        {"interaction_id": "a", "model": "old", "updated_at": NOON + HOUR, "seq": 2},
        {"interaction_id": "b", "model": "first", "updated_at": NOON + 2 * HOUR, "seq": 1},
        {"interaction_id": "b", "model": "second", "updated_at": None, "seq": 2},
    )
    assert signals(rows, feedback(), [], {})["model"].to_list() == ["new", "second"]


def test_a_version_made_after_as_of_does_not_count_while_there_is_an_older_one() -> None:
    rows = interactions(
        {"interaction_id": "a", "model": "then", "updated_at": NOON + HOUR},
        {"interaction_id": "a", "model": "later", "updated_at": NOON + 3 * HOUR},
        {"interaction_id": "b", "model": "only", "updated_at": NOON + 3 * HOUR},
        {"interaction_id": "c", "started_at": NOON + 3 * HOUR},
        {"interaction_id": "d", "model": "undated", "started_at": None},
    )
    found = signals(rows, feedback(), [], {}, as_of=NOON + 2 * HOUR)
    assert found["model"].to_list() == ["then", "only", "undated"]


def test_an_answer_that_was_patched_into_something_else_is_no_signal() -> None:
    rows = interactions({"interaction_id": "a", "seq": 1}, {"interaction_id": "a", "output": None, "seq": 2})
    assert signals(rows, feedback(), [], {}).height == 0


def test_feedback_on_a_conversation_counts_for_the_last_answer_before_it() -> None:
    rows = interactions(
        {"conversation_id": "c", "started_at": NOON},
        {"conversation_id": "c", "started_at": NOON + 2 * HOUR},
        {"conversation_id": "c", "started_at": NOON + 3 * HOUR, "operation": "execute_tool"},
        {"conversation_id": "other", "started_at": NOON + HOUR},
    )
    on = {"target_id": "c", "target_kind": "conversation"}
    told = feedback(
        {**on, "at": NOON + HOUR},
        {**on, "at": NOON + 4 * HOUR},
        {**on, "at": NOON + 2 * HOUR},
        {**on, "at": NOON - HOUR},
        {**on, "at": None},
        {**on, "target_id": "none"},
    )
    assert targets(rows, told) == ["i0", "i1", "i1", "i1", "i1", None]


def test_feedback_of_an_unnamed_kind_looks_for_an_id_then_a_conversation_then_a_trace() -> None:
    rows = interactions(
        {"source_id": "x", "conversation_id": "y", "trace_id": "z"},
        {"source_id": "x1", "conversation_id": "x", "trace_id": "y", "started_at": NOON + HOUR / 2},
        {"source_id": "x2", "conversation_id": "x3", "trace_id": "y", "started_at": NOON + HOUR / 2},
    )
    told = feedback(*({"target_kind": "any", "target_id": name} for name in ("x", "y", "z", "x3", "i0")))
    assert targets(rows, told) == ["i0", "i0", "i0", "i2", None]


def test_feedback_on_a_trace_does_not_look_at_conversations() -> None:
    rows = interactions({"conversation_id": "t"}, {"trace_id": "t", "started_at": NOON - HOUR})
    assert targets(rows, feedback({"target_kind": "trace", "target_id": "t"})) == ["i1"]


def test_an_id_means_the_feedbacks_own_source_and_else_the_only_source_that_has_it() -> None:
    rows = interactions(
        {"conversation_id": "1"},
        {"conversation_id": "1", "source": "shop"},
        {"conversation_id": "2", "source": "shop"},
    )
    on = {"target_kind": "conversation", "target_id": "1"}
    told = feedback(
        {**on}, {**on, "source": "shop"}, {**on, "source": "tickets"}, {**on, "source": "tickets", "target_id": "2"}
    )
    assert targets(rows, told) == ["i0", "i1", None, "i2"]


def test_feedback_is_summed_up_in_order_of_time_and_its_latest_version_counts() -> None:
    told = feedback(
        {"feedback_id": "late", "name": "reopened", "at": NOON + 2 * HOUR},
        {"feedback_id": "early", "name": "thumbs", "at": NOON + HOUR},
        {"feedback_id": "late", "name": "closed", "at": NOON + 3 * HOUR},
        {"feedback_id": "lost", "target_id": "nobody"},
        {"feedback_id": "future", "at": NOON + 9 * HOUR},
    )
    found = signals(interactions({}), told, [], {}, as_of=NOON + 5 * HOUR).row(0, named=True)
    assert (found["n_feedback"], found["feedback_ids"]) == (2, ["early", "late"])
    assert found["feedback_names"] == ["closed", "thumbs"]


def test_the_latest_better_answer_is_the_improvement() -> None:
    better = [said("assistant", "better")]
    told = feedback(
        {"improvement": better, "origin": "operator", "at": NOON + 2 * HOUR},
        {"improvement": [said("assistant", "good")], "origin": "user", "at": NOON + HOUR},
        {"improvement": [], "at": NOON + 3 * HOUR},
        {"improvement": None, "at": NOON + 3 * HOUR},
    )
    found = signals(interactions({}, {}), told, [], {})
    names = ["improvement", "improvement_text", "improvement_id", "improvement_at", "improvement_origin"]
    assert found.select(names).rows() == [(better, "better", "f0", NOON + 2 * HOUR, "operator"), (None,) * 5]


def test_signals_with_as_of_do_not_change_when_more_is_known() -> None:
    rules = [OutcomeRule("resolved", negative=("reopened",), within=2 * HOUR), OutcomeRule("thumbs", score="thumbs")]
    rows = interactions({}, {"started_at": NOON + HOUR})
    told = feedback({"name": "reopened"}, {"score": -1.0, "target_id": "i1", "at": NOON + 2 * HOUR})
    then = NOON + 2 * HOUR + HOUR / 2
    before = signals(rows, told, rules, {"app": then}, as_of=then)
    more_rows = pl.concat([rows, interactions({"interaction_id": "i9", "started_at": NOON + 9 * HOUR})])
    more_told = pl.concat(
        [told, feedback({"feedback_id": "f9", "name": "reopened", "target_id": "i1", "at": NOON + 9 * HOUR})]
    )
    after = signals(more_rows, more_told, rules, {"app": NOON + 10 * HOUR}, as_of=then)
    assert_frame_equal(before, after)
    assert before["outcome"].to_list() == [False, None]


@pytest.mark.parametrize("rules", [[], [OutcomeRule("thumbs", score="thumbs")]])
def test_no_rows_give_the_same_columns(rules: list[OutcomeRule]) -> None:
    some = signals(interactions({}), feedback({"score": 1.0}), rules, {})
    none = signals(interactions(), feedback(), rules, {}, as_of=NOON)
    assert none.height == 0
    assert none.schema == some.schema
