"""From answers to conversations: the first answer's arm and numbers, an outcome that is known once and stays."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from clworkbench.releases.conversations import conversations
from clworkbench.releases.rollout_evidence import CONVERSATIONS, checked

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TYPES = {
    "conversation_id": pl.String, "arm": pl.String, "started_at": pl.Int64, "settled_at": pl.Int64,
    "outcome": pl.Boolean, "pending": pl.Boolean, "error": pl.String,
}  # fmt: skip


def hour(name: str) -> pl.Expr:
    return pl.lit(NOON) + pl.duration(hours=pl.col(name))


def answers(*rows: tuple[object, ...]) -> pl.DataFrame:
    """Rows of (conversation, arm, hour started, hour settled, outcome, pending, error), with numbers of their place."""
    frame = pl.DataFrame(rows, schema=TYPES, orient="row")
    return frame.with_columns(
        hour("started_at").dt.cast_time_unit("us").alias("started_at"), hour("settled_at").alias("settled_at"),
        propensity=pl.lit(0.05), stage=pl.lit("5%"), latency_ms=100.0 * (pl.int_range(pl.len()) + 1),
        n_output_tokens=10 * (pl.int_range(pl.len()) + 1), cost_usd=pl.lit(None, pl.Float64),
    )  # fmt: skip


def test_numbers_are_those_of_the_first_answer_whatever_the_order_of_rows():
    rows = answers(
        ("a", "champion", 1, None, None, True, None),
        ("a", "challenger", 0, None, None, True, "timeout"),
    )
    (row,) = conversations(rows).rows(named=True)
    assert (row["arm"], row["error"], row["latency_ms"], row["n_output_tokens"]) == ("challenger", 1.0, 200.0, 20.0)
    assert (row["answered_at"], row["settled_at"], row["outcome"]) == (NOON, None, None)


def test_the_outcome_is_the_mean_of_what_had_begun_when_all_was_settled_first():
    rows = answers(
        ("a", "champion", 0, 24, True, False, None),
        ("a", "champion", 20, 44, False, False, None),  # begun before the first was settled
        ("a", "champion", 60, 84, False, False, None),  # after both were: counts no more
    )
    (row,) = conversations(rows).rows(named=True)
    assert (row["outcome"], row["settled_at"]) == (0.5, NOON + timedelta(hours=44))


def test_what_a_later_look_knows_changes_no_conversation_that_was_known():
    early = answers(("a", "champion", 0, 24, True, False, None), ("a", "champion", 30, None, None, True, None))
    late = answers(("a", "champion", 0, 24, True, False, None), ("a", "champion", 30, 54, False, False, None))
    assert conversations(early).equals(conversations(late))
    assert conversations(early)["outcome"].to_list() == [1.0]


def test_a_conversation_waits_for_each_pending_answer_and_not_for_a_silent_one():
    rows = answers(
        ("a", "champion", 0, 24, True, False, None),
        ("a", "champion", 1, None, None, True, None),
        ("b", "challenger", 0, None, None, False, None),
        ("b", "challenger", 1, 3, True, False, None),
        (None, "challenger", 1, 3, True, False, None),
    )
    found = conversations(rows)
    assert found.select("conversation_id", "outcome").rows() == [("a", None), ("b", 1.0)]
    assert dict(found.schema) == dict(CONVERSATIONS)
    assert checked(found).equals(found)


def test_of_nothing_there_is_nothing():
    assert conversations(answers()).schema == CONVERSATIONS


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_answer_settled_sooner_than_an_earlier_one_waits_for_it(order: tuple[int, int]):
    rows = answers(("a", "champion", 0, 24, True, False, None), ("a", "champion", 1, 2, False, False, None))
    (row,) = conversations(rows[list(order)]).rows(named=True)
    assert (row["outcome"], row["settled_at"]) == (0.5, NOON + timedelta(hours=24))
