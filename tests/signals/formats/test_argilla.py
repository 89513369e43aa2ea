"""Records as argilla's own client exports them, nested and flattened."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from clworkbench.settings import Source
from tests.signals.whole import KEY, Whole

Ingest = Callable[..., Whole]
ANN, BOB = str(UUID(int=1)), str(UUID(int=2))


def text_of(messages: list[dict[str, object]]) -> list[tuple[object, object]]:
    return [(message["role"], message["content"]) for message in messages]


NESTED = {
    "id": "rec-1",
    "fields": {"prompt": "Where is my card?", "response": "On its way.", "policy": "Be kind."},
    "metadata": {"conversation_id": "c1", "user_id": "eve@example.com"},
    "suggestions": {"quality": {"value": "good", "score": 0.9, "agent": "m"}},
    "responses": {
        "quality": [{"value": "no", "user_id": ANN}, {"value": "yes", "user_id": BOB}],
        "correction": [{"value": "It left on Monday.", "user_id": ANN}],
    },
    "vectors": {},
    "status": "completed",
    "_server_id": None,
}
FLAT = {
    "id": "rec-1",
    "status": "completed",
    "_server_id": None,
    "prompt": "Where is my card?",
    "response": "On its way.",
    "conversation_id": "c1",
    "quality.responses": ["no", "yes"],
    "quality.responses.users": [ANN, BOB],
    "quality.responses.status": ["submitted", "draft"],
    "rating.responses": [4],
    "rating.responses.users": [BOB],
    "rating.responses.status": ["discarded"],
    "stars.responses": [3],
    "stars.responses.users": [BOB],
    "stars.responses.status": ["submitted"],
    "order.responses": None,
    "order.responses.users": None,
    "order.responses.status": None,
    "quality.suggestion": "good",
}


def test_a_nested_record_is_what_was_shown_and_a_feedback_for_each_response(ingest: Ingest) -> None:
    whole = ingest(NESTED)
    [row] = whole.interactions.to_dicts()
    assert (row["interaction_id"], row["conversation_id"]) == (KEY.id("desk", "rec-1"), "c1")
    assert row["user_key"] == KEY.user("eve@example.com")
    assert text_of(row["input"]) == [("user", "Where is my card?")]
    assert text_of(row["output"]) == [("assistant", "On its way.")]
    left = json.loads(row["attributes"])
    assert left["fields"] == {"policy": "Be kind."}
    assert left["suggestions"] == NESTED["suggestions"]
    assert left["metadata"]["user_id"] == KEY.user("eve@example.com")
    said = {(feedback["name"], feedback["actor_key"]): feedback for feedback in whole.feedback.to_dicts()}
    assert {key: (feedback["kind"], feedback["score"]) for key, feedback in said.items()} == {
        ("quality", KEY.user(ANN)): ("rating", -1.0),
        ("quality", KEY.user(BOB)): ("rating", 1.0),
        ("correction", KEY.user(ANN)): ("correction", None),
    }
    assert text_of(said["correction", KEY.user(ANN)]["improvement"]) == [("assistant", "It left on Monday.")]
    assert {feedback["origin"] for feedback in said.values()} == {"reviewer"}
    assert {feedback["target_id"] for feedback in said.values()} == {row["interaction_id"]}
    assert [(noted.kind, noted.count) for noted in whole.fidelity] == [
        ("responses without a status, taken as submitted", 1)
    ]


def test_of_a_flattened_record_only_submitted_responses_are_read(ingest: Ingest) -> None:
    whole = ingest(FLAT)
    assert [(row["name"], row["actor_key"]) for row in whole.feedback.to_dicts()] == [
        ("quality", KEY.user(ANN)),
        ("stars", KEY.user(BOB)),
    ]
    assert whole.feedback["score"].to_list() == [-1.0, None]
    assert whole.feedback["value"].to_list() == ['"no"', "3"]
    assert [(noted.kind, noted.count) for noted in whole.fidelity] == [
        ("a response that was not submitted, left out", 2)
    ]
    [row] = whole.interactions.to_dicts()
    assert (text_of(row["output"]), row["conversation_id"]) == ([("assistant", "On its way.")], "c1")
    assert json.loads(row["attributes"])["quality.suggestion"] == "good"


def test_a_chat_field_is_split_at_its_last_answer(ingest: Ingest) -> None:
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]
    [row] = ingest(NESTED | {"fields": {"chat": chat, "policy": "Be kind."}}).interactions.to_dicts()
    assert (text_of(row["input"]), text_of(row["output"])) == ([("user", "hi")], [("assistant", "yo")])


def test_a_field_of_an_unknown_name_is_guessed_and_the_guess_noted(ingest: Ingest) -> None:
    whole = ingest(NESTED | {"fields": {"ticket": "Help!"}, "responses": {}})
    assert text_of(whole.interactions["input"].to_list()[0]) == [("user", "Help!")]
    assert [noted.kind for noted in whole.fidelity] == ["no field known for a prompt by its name, the first text taken"]


def test_records_that_show_another_sources_answers_are_feedback_on_those(ingest: Ingest) -> None:
    whole = ingest(NESTED, NESTED | {"responses": {}}, source=Source("review", format="argilla", target_source="desk"))
    assert whole.interactions.is_empty()
    assert set(whole.feedback["target_id"]) == {KEY.id("desk", "rec-1")}
    assert (len(whole.feedback), whole.skipped) == (3, {"a record without a submitted response": 1})


def test_the_servers_own_list_of_responses_is_read(ingest: Ingest) -> None:
    responses = [
        {"id": "x", "values": {"quality": {"value": "yes"}}, "status": "submitted", "user_id": ANN},
        {"id": "y", "values": {"quality": {"value": "no"}}, "status": "draft", "user_id": BOB},
    ]
    whole = ingest(NESTED | {"responses": responses, "suggestions": [], "inserted_at": "2024-01-01T00:00:00Z"})
    assert whole.feedback["score"].to_list() == [1.0]
    assert whole.interactions["interaction_id"].to_list() == [KEY.id("desk", "rec-1")]


@pytest.mark.parametrize(
    ("value", "kind", "score"),
    [(True, "rating", 1.0), ([{"value": "a", "rank": 1}], "preference", None), (["x", "y"], "rating", None)],
)
def test_other_answers_stand_in_value(ingest: Ingest, value: object, kind: str, score: float | None) -> None:
    [row] = ingest(NESTED | {"responses": {"q": [{"value": value, "user_id": ANN}]}}).feedback.to_dicts()
    assert (row["kind"], row["score"], json.loads(row["value"])) == (kind, score, value)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"fields": "x"}, "fields: a text, where an object is wanted"),
        ({"responses": {"q": "x"}}, "responses: a text, where a list is wanted"),
        ({"responses": {"q": [1]}}, "a response is a number, not an object"),
    ],
)
def test_a_record_of_another_shape_is_quarantined_in_words(
    ingest: Ingest, part: dict[str, object], reason: str
) -> None:
    whole = ingest(NESTED | part, source=Source("desk", format="argilla"))
    assert whole.quarantine["reason"].to_list() == [reason]


def test_what_the_real_client_exports_is_read_both_ways(ingest: Ingest) -> None:
    rg = pytest.importorskip("argilla")
    from argilla.records._io._generic import GenericIO

    record = rg.Record(
        id="r",
        fields={"prompt": "Where is my card?", "response": "On its way."},
        metadata={"at": str(datetime(2024, 1, 1, tzinfo=UTC))},
        suggestions=[rg.Suggestion("quality", "good", score=0.9, agent="m")],
        responses=[
            rg.Response("quality", "yes", user_id=UUID(int=1), status="submitted"),
            rg.Response("quality", "no", user_id=UUID(int=2), status="draft"),
        ],
    )
    nested, flat = (
        json.loads(json.dumps(GenericIO.to_list([record], flatten=f)[0], default=str)) for f in (False, True)
    )
    both = [ingest(given) for given in (nested, flat)]
    assert [len(whole.feedback) for whole in both] == [2, 1]
    assert both[0].interactions["output"].to_list() == both[1].interactions["output"].to_list()
    assert both[1].feedback["actor_key"].to_list() == [KEY.user(ANN)]
