"""Marks numbered by their first appearance in a row."""

import polars as pl
from polars.testing import assert_series_equal

from clworkbench import schemas
from clworkbench.policy.numbering import numbered

ANNA, BERT, CARD = "[EMAIL_1a2b3c4d]", "[EMAIL_5e6f7a8b]", "[CARD_00000000]"


def said(content: str | None, **more: object) -> dict[str, object]:
    empty = {"role": "user", "content": None, "tool_calls": None, "tool_call_id": None, "name": None, "parts": None}
    return {**empty, "content": content, **more}


def test_the_only_value_of_its_kind_has_no_number_and_several_count_by_appearance() -> None:
    texts = pl.Series("note", [f"{BERT} to {ANNA}, {BERT} by {CARD}", f"{ANNA} {ANNA}", None, "[EMAIL] [EMAIL_1]", ""])
    wanted = ["[EMAIL_1] to [EMAIL_2], [EMAIL_1] by [CARD]", "[EMAIL] [EMAIL]", None, "[EMAIL] [EMAIL_1]", ""]
    assert_series_equal(numbered(texts), pl.Series("note", wanted))


def test_all_texts_of_a_row_are_numbered_together_in_the_order_of_the_conversation() -> None:
    call = {"id": "c", "name": "send", "arguments": f'{{"to": "{BERT}"}}'}
    frame = pl.DataFrame(
        {
            "completion": [[said(f"{ANNA} and {BERT}")], [said(ANNA)], None],
            "prompt": [
                [said("hi", tool_calls=[call]), None, said(ANNA, parts=f'[{{"text": "{BERT}"}}]')],
                [],
                [said("no")],
            ],
            "row_id": [ANNA, BERT, "c"],
        },
        schema={"completion": schemas.MESSAGES, "prompt": schemas.MESSAGES, "row_id": pl.String},
    )
    after = numbered(frame)
    assert after.schema == frame.schema
    first, second, third = after.rows(named=True)
    assert first["prompt"][0] == said("hi", tool_calls=[{**call, "arguments": '{"to": "[EMAIL_1]"}'}])
    assert first["prompt"][1:] == [None, said("[EMAIL_2]", parts='[{"text": "[EMAIL_1]"}]')]
    assert first["completion"] == [said("[EMAIL_2] and [EMAIL_1]")]
    assert second == {"completion": [said("[EMAIL]")], "prompt": [], "row_id": BERT}
    assert third == frame.row(2, named=True)


def test_a_frame_without_marks_is_the_same_object_and_numbering_twice_changes_nothing() -> None:
    frame = pl.DataFrame({"comment": ["[EMAIL] and 10", None], "value": ["x", "y"]})
    assert numbered(frame) is frame
    once = numbered(pl.DataFrame({"input": [f"{ANNA} {BERT}"], "expected": [BERT]}))
    assert once.row(0) == ("[EMAIL_1] [EMAIL_2]", "[EMAIL_2]")
    assert numbered(once) is once


def test_what_only_looks_like_a_mark_stays() -> None:
    frame = pl.DataFrame({"comment": ["[EMAIL_1A2B3C4D] [foo_1a2b3c4d] [EMAIL_1a2b3c4] email_1a2b3c4d"]})
    assert numbered(frame) is frame
