"""Shapes of shared data sets; the counts of the real ones are made here by plain json."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from clworkbench.settings import Source
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]
NAMED = Source("desk", format="datasets")


def text_of(messages: list[dict[str, object]] | None) -> list[tuple[object, object]]:
    return [(message["role"], message["content"]) for message in messages or []]


ASKED, WON, LOST = ("user", "Where is my card?"), ("assistant", "On its way."), ("assistant", "No idea.")


def chat(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": ASKED[1], "chosen": WON[1], "rejected": LOST[1]},
        {"prompt": chat(ASKED), "chosen": chat(WON), "rejected": chat(LOST)},
        {"chosen": chat(ASKED, WON), "rejected": chat(ASKED, LOST)},
        {"prompt": ASKED[1], "chosen": chat(ASKED, WON), "rejected": chat(ASKED, LOST), "score_chosen": 8},
        {"prompt": json.dumps(chat(ASKED)), "chosen": json.dumps(chat(WON)), "rejected": json.dumps(chat(LOST))},
        {
            "chosen": f"\n\nHuman: {ASKED[1]}\n\nAssistant: {WON[1]}",
            "rejected": f"\n\nHuman: {ASKED[1]}\n\nAssistant: {LOST[1]}",
        },
    ],
)
def test_a_pair_is_the_answer_that_lost_and_the_better_one(ingest: Ingest, row: dict[str, object]) -> None:
    whole = ingest(row)
    [interaction], [feedback] = whole.interactions.to_dicts(), whole.feedback.to_dicts()
    assert (text_of(interaction["input"]), text_of(interaction["output"])) == ([ASKED], [LOST])
    assert text_of(feedback["improvement"]) == [WON]
    assert (feedback["kind"], feedback["score"], feedback["origin"]) == ("preference", -1.0, None)
    assert feedback["target_id"] == interaction["interaction_id"]


def test_two_equal_answers_are_still_a_pair(ingest: Ingest) -> None:
    whole = ingest({"chosen": chat(ASKED, WON), "rejected": chat(ASKED, WON)})
    assert text_of(whole.interactions["input"].to_list()[0]) == [ASKED]
    assert text_of(whole.feedback["improvement"].to_list()[0]) == [WON]


@pytest.mark.parametrize("label", [True, "true", False])
def test_a_label_is_a_rating(ingest: Ingest, label: object) -> None:
    whole = ingest({"prompt": chat(ASKED), "completion": chat(WON), "label": label})
    assert text_of(whole.interactions["output"].to_list()[0]) == [WON]
    assert whole.feedback["score"].to_list() == [1.0 if label else -1.0]
    assert whole.feedback["kind"].to_list() == ["rating"]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": ASKED[1], "completion": WON[1]},
        {"prompt": ASKED[1], "response": WON[1]},
        {"instruction": ASKED[1], "input": "", "output": WON[1]},
        {"conversations": [{"from": "human", "value": ASKED[1]}, {"from": "gpt", "value": WON[1]}]},
        {"conversations": chat(ASKED, WON)},
        {"messages": chat(ASKED, WON)},
        {"original": [["customer", ASKED[1]], ["agent", WON[1]]], "convo_id": 7},
    ],
)
def test_an_answer_without_a_judgement_has_no_feedback(ingest: Ingest, row: dict[str, object]) -> None:
    whole = ingest(row, source=NAMED)
    [interaction] = whole.interactions.to_dicts()
    assert (text_of(interaction["input"]), text_of(interaction["output"])) == ([ASKED], [WON])
    assert whole.feedback.is_empty()


def test_an_instruction_and_its_input_are_one_message(ingest: Ingest) -> None:
    [row] = ingest({"instruction": "Translate.", "input": "Haus", "output": "house"}).interactions.to_dicts()
    assert text_of(row["input"]) == [("user", "Translate.\n\nHaus")]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_rows_of_a_table_are_read_as_lines_are(tmp_path: Path, suffix: str) -> None:
    frame = pl.DataFrame({"prompt": [ASKED[1]], "chosen": [chat(ASKED, WON)], "rejected": [chat(ASKED, LOST)]})
    path = tmp_path / f"data.{suffix}"
    frame.write_parquet(path) if suffix == "parquet" else frame.write_ipc(path)
    whole = read_whole(path, Source("desk"))
    assert text_of(whole.interactions["output"].to_list()[0]) == [LOST]
    assert text_of(whole.feedback["improvement"].to_list()[0]) == [WON]


MORE = {"message_id": "e", "text": "yes", "role": "assistant"}
TREE = {
    "message_tree_id": "t",
    "tree_state": "ready_for_export",
    "prompt": {
        "message_id": "p",
        "text": "hi",
        "role": "prompter",
        "lang": "en",
        "replies": [
            {"message_id": "a", "text": "best", "role": "assistant", "rank": 0, "emojis": {"+1": 2, "-1": 1}}
            | {"replies": [{"message_id": "q", "text": "more", "role": "prompter", "replies": [MORE]}]},
            {"message_id": "b", "text": "middle", "role": "assistant", "rank": 1, "model_name": "m", "replies": []},
            {"message_id": "c", "text": "worst", "role": "assistant", "rank": 2, "replies": []},
            {"message_id": "d", "text": "unranked", "role": "assistant"},
        ],
    },
}


def test_a_trees_replies_are_answers_and_their_ranks_preferences(ingest: Ingest) -> None:
    whole = ingest(TREE)
    rows = {row["source_id"]: row for row in whole.interactions.to_dicts()}
    assert list(rows) == ["a", "e", "b", "c", "d"]
    assert whole.records == 5
    assert [text_of(rows["e"][name]) for name in ("input", "output")] == [
        [("user", "hi"), ("assistant", "best"), ("user", "more")],
        [("assistant", "yes")],
    ]
    assert (rows["e"]["parent_id"], rows["a"]["parent_id"], rows["b"]["model"]) == ("a", None, "m")
    assert {row["conversation_id"] for row in rows.values()} == {"t"}
    said = [
        (row["target_id"], row["improvement"][0]["content"])
        for row in whole.feedback.to_dicts()
        if row["name"] == "preferred"
    ]
    ids = {own: KEY.id("desk", own) for own in "bc"}
    assert sorted(said) == sorted([(ids["b"], "best"), (ids["c"], "best"), (ids["c"], "middle")])
    thumbs = whole.feedback.filter(pl.col("name") == "thumbs")
    assert list(thumbs.select("score", "value").iter_rows()) == [(1.0, "2"), (-1.0, "1")]
    assert whole.feedback["feedback_id"].n_unique() == 5


def test_a_tree_nobody_answered_is_skipped_and_a_damaged_one_quarantined(ingest: Ingest) -> None:
    alone = TREE | {"prompt": {"message_id": "p", "text": "hi", "role": "prompter", "replies": []}}
    damaged = TREE | {"prompt": {"text": "hi", "replies": [{"role": "assistant", "text": None}]}}
    whole = ingest(alone, damaged)
    assert (whole.skipped, len(whole.interactions)) == ({"a tree without an answer": 1}, 0)
    assert whole.quarantine["reason"].to_list() == ["a message's text is nothing"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "hi"}, "a row of none of the known shapes: no messages, no prompt, no instruction"),
        ({"prompt": "hi", "chosen": None, "rejected": "b"}, "chosen: no answer"),
        ({"instruction": None, "output": "x"}, "instruction: no text"),
        ({"conversations": [{"from": "human", "value": "a"}, 1]}, "turn 1 is a number, not an object"),
    ],
)
def test_a_row_of_another_shape_is_quarantined_in_words(ingest: Ingest, row: dict[str, object], reason: str) -> None:
    assert ingest(row, source=NAMED).quarantine["reason"].to_list() == [reason]


def replies(node: dict[str, object]) -> list[list[dict[str, object]]]:
    """The siblings below a message, level by level, as plain json has them."""
    below = node.get("replies") or []
    return [below, *(more for reply in below for more in replies(reply))]  # type: ignore[attr-defined, list-item]


def test_every_ranked_pair_of_the_real_trees_is_a_preference(shared_data: Path) -> None:
    path = shared_data / "oasst_en100" / "en_100_tree.jsonl"
    trees = [json.loads(line) for line in path.read_text().splitlines()]
    siblings = [below for tree in trees for below in replies(tree["prompt"])]
    answers = [node for below in siblings for node in below if node["role"] == "assistant"]
    ranks = [[node["rank"] for node in below if "rank" in node and node["role"] == "assistant"] for below in siblings]
    pairs = sum(one > other for of in ranks for one in of for other in of)
    whole = read_whole(path, Source("oasst"))
    assert (whole.records, len(whole.interactions), len(whole.quarantine)) == (len(answers), len(answers), 0)
    assert Counter(whole.feedback["name"])["preferred"] == pairs == 754
    assert sorted(whole.interactions["output"].list.first().struct.field("content")) == sorted(
        str(node["text"]) for node in answers
    )
    ups = sum(node.get("emojis", {}).get("+1", 0) for node in answers)
    thumbs = whole.feedback.filter((pl.col("name") == "thumbs") & (pl.col("score") == 1))
    assert int(thumbs["value"].cast(pl.Int64).sum()) == ups


def test_every_real_edit_is_feedback_with_its_decision(shared_data: Path) -> None:
    files = sorted((shared_data / "iterater_r3").rglob("*.json"))
    stages = [v for f in files for k, v in json.loads(f.read_text()).items() if k.startswith("rev_depth_")]
    revised = [stage["doc"] for stage in stages if "after_revision" in stage["doc"]]
    edits = [edit for document in revised for edit in document["edit_actions"]]
    wholes = [read_whole(path, Source("r3")) for path in files]
    assert sum(whole.records for whole in wholes) == len(stages)
    assert sum(len(whole.interactions) for whole in wholes) == len(revised)
    assert sum((whole.skipped.total() for whole in wholes), 0) == len(stages) - len(revised) == len(files)
    said = pl.concat([whole.feedback for whole in wholes]).filter(pl.col("name") == "edit")
    assert Counter(said["score"]) == {
        1.0: sum(edit["accept_or_reject"] == "Accept" for edit in edits),
        -1.0: sum(edit["accept_or_reject"] == "Reject" for edit in edits),
    }
    assert len(said) == len(edits) == 366 + 285


@pytest.mark.parametrize(
    ("name", "answered"),
    [
        ("bfcl/BFCL_v4_live_simple.json", False),
        ("bfcl/BFCL_v4_irrelevance.json", False),
        ("ifeval/input_data.jsonl", False),
    ],
)
def test_real_questions_are_interactions_without_an_answer(shared_data: Path, name: str, answered: object) -> None:
    path = shared_data / name
    records = [json.loads(line) for line in path.read_text().splitlines()]
    rows = read_whole(path, Source("q")).interactions
    assert rows["source_id"].to_list() == [str(record.get("id", record.get("key"))) for record in records]
    assert (rows["output"].is_not_null().any(), rows["tools"].is_not_null().all()) == (answered, "bfcl" in name)
    last = [record["prompt"] if "prompt" in record else record["question"][-1][-1]["content"] for record in records]
    assert rows["input"].list.last().struct.field("content").to_list() == last


def test_real_ground_truths_find_their_questions(shared_data: Path) -> None:
    folder = shared_data / "bfcl"
    questions = read_whole(folder / "BFCL_v4_live_simple.json", Source("q")).interactions
    truths = read_whole(folder / "possible_answer" / "BFCL_v4_live_simple.json", Source("q")).feedback
    assert sorted(truths["target_id"]) == sorted(questions["interaction_id"])


def test_real_dialogues_of_abcd_keep_each_turn(shared_data: Path) -> None:
    path = shared_data / "abcd" / "abcd_sample.json"
    dialogues = json.loads(path.read_text())
    rows = read_whole(path, Source("abcd")).interactions
    assert rows["source_id"].to_list() == [str(dialogue["convo_id"]) for dialogue in dialogues]
    left = [len(json.loads(row).get("messages_after", [])) for row in rows["attributes"]]
    counts = (rows["input"].list.len() + rows["output"].list.len() + pl.Series(left)).to_list()
    assert counts == [len(dialogue["original"]) for dialogue in dialogues]
