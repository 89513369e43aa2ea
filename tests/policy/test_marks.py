"""Marks: what they look like, and that every part that reads them knows both spellings."""

import re

import polars as pl
import pytest

from clworkbench.policy.marks import KEYED, MARK, NUMBERED, mark
from clworkbench.policy.numbering import numbered
from clworkbench.policy.presidio import MARKS
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.redaction import redact_text


@pytest.mark.parametrize(
    ("text", "keyed", "by_number"),
    [
        ("[EMAIL_1a2b3c4d]", 1, 0), ("[NATIONAL_ID_00000000]", 1, 0), ("[EMAIL]", 0, 1),
        ("[PHONE_2]", 0, 1), ("[PHONE_12345]", 0, 1), ("[email_1a2b3c4d]", 0, 0),
        ("[EMAIL_1A2B3C4D]", 0, 0), ("[4111]", 0, 0),
    ],
)  # fmt: skip
def test_a_mark_is_keyed_or_numbered(text: str, keyed: int, by_number: int) -> None:
    assert (re.fullmatch(KEYED, text) is not None, re.fullmatch(NUMBERED, text) is not None) == (keyed, by_number)
    either = bool(keyed or by_number)
    assert (re.fullmatch(MARK, text) is not None) == (MARKS.fullmatch(text) is not None) == either
    assert pl.Series([text]).str.contains(MARK).item() == either


def test_what_is_written_is_what_is_read() -> None:
    once = redact_text(pl.Series(["anna@firma.de and bob@firma.de"]), Pseudonyms(b"k" * 32))
    assert len(re.findall(KEYED, once.item())) == 2
    assert (
        re.findall(MARK, numbered(once).item())
        == [mark("EMAIL", "1"), mark("EMAIL", "2")]
        == ["[EMAIL_1]", "[EMAIL_2]"]
    )
    assert mark("EMAIL", "") == "[EMAIL]"
