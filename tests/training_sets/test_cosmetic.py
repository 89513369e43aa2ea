"""Which edits teach nothing: white space, redaction's marks, case and punctuation, and never more."""

import polars as pl
import pytest

from clworkbench.schemas import MESSAGES
from clworkbench.training_sets.cosmetic import small_change
from tests.training_sets.made import said


def small(one: object, other: object) -> str | None:
    sides = [[said("assistant", side)] if isinstance(side, str) else side for side in (one, other)]
    frame = pl.DataFrame({"one": [sides[0]], "other": [sides[1]]}, schema={"one": MESSAGES, "other": MESSAGES})
    return frame.select(why=small_change(pl.col("one"), pl.col("other")))["why"].item()


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("Yes.", "Yes.", "whitespace"),
        ("Yes,  it\nis.", "Yes, it is.", "whitespace"),
        ("Write to [EMAIL_1].", "Write to [EMAIL_2].", "redaction_only"),
        ("Write to [EMAIL].", "Write to  [PERSON].", "redaction_only"),
        ("Yes, it is!", "yes it is", "cosmetic"),
        ("**Yes**: it is.", "Yes, it is", "cosmetic"),
        ("Caf\u0065\u0301 au lait", "CAFÉ AU LAIT.", "cosmetic"),
        ("It costs 1.5 now.", "It costs 15 now.", None),
        ("It costs 1.2.3 now.", "It costs 12.3 now", None),
        ("It is -5 there.", "It is 5 there.", None),
        ("It costs $5.", "It costs €5.", None),
        ("Yes", "No", None),
        ("Nice 🙂", "Nice", None),
        ('{"intent": "Card"}', '{"intent":"Card"}', "whitespace"),
        ('{"intent": "Card"}', '{"intent": "card"}', None),
        ("```\na = b\n```", "```\na == b\n```", None),
        ("", "", "whitespace"),
    ],
)
def test_an_edit_is_small_only_by_the_declared_rules(one, other, why):
    assert small(one, other) == why
    assert small(other, one) == why


def test_another_tool_call_or_another_speaker_is_never_small():
    call = {"id": "1", "name": "find", "arguments": '{"a": 1}'}
    calls = [{"role": "assistant", "content": "", "tool_calls": [call]}]
    assert small(calls, [{"role": "assistant", "content": ""}]) is None
    assert small(calls, [calls[0] | {"tool_calls": [call | {"arguments": '{"a": 2}'}]}]) is None
    assert small(calls, [calls[0] | {"tool_calls": [call | {"arguments": '{"a":1}', "id": "9"}]}]) == "whitespace"
    assert small([said("assistant", "a"), said("assistant", "b")], [said("assistant", "a b")]) is None
