import pytest

from clworkbench.settings import Source
from clworkbench.signals.feedback import feedback_row, target_of, told_with
from clworkbench.signals.rows import Rows
from clworkbench.signals.values import Fields
from tests.signals.whole import KEY

ANSWER: dict[str, object] = {"interaction_id": "i-1", "raw_sha256": "a" * 64}


@pytest.fixture
def rows() -> Rows:
    return Rows(Source("desk", target_source="app"), KEY, "log.jsonl")


@pytest.mark.parametrize(("origin", "explicit"), [("user", True), ("system", False), (None, None)])
def test_whether_feedback_was_meant_is_unknown_where_it_is_unknown_who_speaks(
    rows: Rows, origin: str | None, explicit: object
) -> None:
    said = Fields({"score": 1}, rows.note)
    row = feedback_row(said, rows, target_id="x", target_kind="interaction", origin=origin)
    assert (row["kind"], row["explicit"]) == ("rating", explicit)


def test_only_an_interactions_id_is_ours(rows: Rows) -> None:
    assert target_of("7", "interaction", rows) == KEY.id("app", "7")
    assert target_of("7", "trace", rows) == "7"


def test_feedback_that_is_told_with_an_answer_points_at_it_and_is_known_by_its_own_words(rows: Rows) -> None:
    one, other = (told_with(ANSWER, {"score": True}, rows, "good", place, origin="user") for place in "ab")
    assert (one["target_id"], one["raw_sha256"]) == ("i-1", "a" * 64)
    assert one["feedback_id"] == KEY.id("desk", "feedback", "i-1", "good", "a") != other["feedback_id"]
