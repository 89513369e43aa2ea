"""The second tier: what Presidio adds, what it leaves alone, and what happens where it is missing."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version

import polars as pl
import pytest

from clworkbench import schemas
from clworkbench.errors import SettingsError
from clworkbench.policy.presidio import SecondTier, clear, described, said, tier
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.recognizers import load

KEY = Pseudonyms(b"k" * 32)


@pytest.fixture(scope="module")
def second() -> Iterator[SecondTier]:
    """The tier, made and used while no connection can be opened."""
    pytest.importorskip("presidio_analyzer", reason="the extra `privacy` is not installed")

    def refuse(*_: object) -> None:
        raise AssertionError("the second tier opened a connection")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        found = tier("presidio")
        assert found is not None
        yield found


@pytest.fixture
def names(second: SecondTier) -> SecondTier:
    if second.model is None:
        pytest.skip("no spaCy model of names is installed")
    return second


def finds(second: SecondTier, text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in second.spans([text])[text]]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("My passport number is 512345678.", "PASSPORT", "512345678"),
        ("driver's license: D1234567", "LICENCE", "D1234567"),
        ("account: 48210337", "ACCOUNT", "48210337"),
        ("Date of birth 1980-03-12", "BIRTH_DATE", "1980-03-12"),
        # The first Bitcoin address ever paid to.
        ("to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "WALLET", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("sent to 73 Oak Avenue, Leeds", "LOCATION", "73 Oak Avenue"),
        ("wohne in der Lindenstraße 12a", "LOCATION", "Lindenstraße 12a"),
        ("device 00:1A:2B:3C:4D:5E", "MAC", "00:1A:2B:3C:4D:5E"),
    ],
)
def test_what_a_word_or_a_check_digit_tells_is_found(second: SecondTier, text: str, kind: str, value: str) -> None:
    assert (kind, value) in finds(second, text)


@pytest.mark.parametrize(
    "text",
    ["order 48210337 is late", "due on 1999-04-18", "see 15 USC 1692", "it costs 1,299.00", "version 4.2.1.7",
     "passports were delayed",
     "10 minutes on the road", "3 of my 5 St", "[PHONE_12345678] [IBAN] [EMAIL_2]", "account XXXX XXXX", "", "\n \n"],
)  # fmt: skip
def test_numbers_without_a_word_dates_and_marks_are_left_alone(second: SecondTier, text: str) -> None:
    assert [kind for kind, _ in finds(second, text) if kind not in ("PERSON", "LOCATION")] == []


def test_a_number_is_found_where_it_stands_behind_a_mark_and_far_into_a_text(second: SecondTier) -> None:
    text = "x " * 3_000 + "[EMAIL_1a2b3c4d] passport 512345678"
    assert finds(second, text)[-1] == ("PASSPORT", "512345678")
    frame = second.found(pl.Series([None, "", text]))
    assert frame.row(-1) == (2, "PASSPORT", len(text) - 9, len(text), "512345678")


def test_a_text_is_analysed_once(second: SecondTier) -> None:
    totals: list[int] = []

    def advance(_done: int, total: int, _note: str) -> None:
        totals.append(total)

    texts = pl.Series(["seen once 11", "seen once 11", "seen once 22"])
    second.found(texts, advance)
    assert max(totals) == 2
    totals.clear()
    second.found(texts, advance)
    assert max(totals) == 0


def message(content: str | None, **rest: object) -> dict[str, object]:
    return {"role": "user", "content": content, "tool_calls": [], "tool_call_id": "account 48210337",
            "name": None, "parts": None, **rest}  # fmt: skip


def test_a_value_is_the_same_mark_in_messages_tool_arguments_parts_and_texts(second: SecondTier) -> None:
    call = {
        "id": "account 48210337",
        "name": "refund",
        "arguments": '{"to": "account 48210337", "n": 1.10, "big": 1e400}',
    }
    frame = pl.DataFrame(
        {
            "input": [
                [message("account 48210337"), message(None, tool_calls=[call], parts='["acct 48210337"]')],
                [],
                None,
            ],
            "comment": ["account 4821 0337", None, "account 48210337 or account 48210337"],
            "note": ["account 48210337"] * 3,
        },
        schema_overrides={"input": schemas.MESSAGES},
    )
    before = frame.clone()
    after = clear(frame, ["input", "comment", "absent"], second, KEY)
    mark = f"[ACCOUNT_{KEY.surrogate('ACCOUNT', '48210337')}]"
    first, last = after.frame["input"][0]
    assert first["content"] == f"account {mark}"
    assert first["tool_call_id"] == "account 48210337"
    assert last["tool_calls"][0] == {
        "id": "account 48210337", "name": "refund",
        "arguments": f'{{"to": "account {mark}", "n": 1.10, "big": 1e400}}',
    }  # fmt: skip
    assert last["parts"] == f'["acct {mark}"]'
    assert after.frame["input"].to_list()[1:] == [[], None]
    assert after.frame["comment"].to_list()[1:] == [None, f"account {mark} or account {mark}"]
    assert after.frame["note"].to_list() == ["account 48210337"] * 3
    assert after.counts == {"ACCOUNT": 5}
    assert frame.equals(before)
    assert after.frame.schema == frame.schema


def test_what_was_cleared_is_clean(second: SecondTier) -> None:
    frame = pl.DataFrame({"comment": ["passport 512345678", "John Smith lives in Paris, account 48210337"]})
    once = clear(frame, ["comment"], second, KEY)
    again = clear(once.frame, ["comment"], second, KEY)
    assert again.counts == {}
    assert again.frame.equals(once.frame)


def test_json_that_is_broken_is_text_and_stays_as_it_was_elsewhere(second: SecondTier) -> None:
    broken = '{"to": "passport 512345678", '
    after = clear(pl.DataFrame({"comment": [broken]}), ["comment"], second, KEY).frame["comment"][0]
    assert after == broken.replace("512345678", f"[PASSPORT_{KEY.surrogate('PASSPORT', '512345678')}]")


def test_names_and_places_are_found_and_a_name_is_one_mark_in_any_case_and_spacing(names: SecondTier) -> None:
    text = "My name is Emily Thompson and I live in Rotterdam."
    assert finds(names, text) == [("PERSON", "Emily Thompson"), ("LOCATION", "Rotterdam")]
    frame = pl.DataFrame({"comment": [text, "I spoke to Emily  Thompson yesterday."]})
    marked = clear(frame, ["comment"], names, KEY).frame["comment"].to_list()
    mark = f"[PERSON_{KEY.surrogate('PERSON', 'emily thompson')}]"
    assert mark in marked[0]
    assert mark in marked[1]


def test_what_was_taken_out_before_is_no_name(names: SecondTier) -> None:
    assert finds(names, "XXXX Smith and [EMAIL_1a2b3c4d] wrote to XXXX XXXX.") == [("PERSON", "Smith")]


def test_organisations_nationalities_and_times_stay(names: SecondTier) -> None:
    assert finds(names, "The French team at Microsoft met last Tuesday at noon.") == []


def test_the_tier_says_what_it_was(second: SecondTier) -> None:
    told = json.loads(json.dumps(second.as_dict()))
    assert told["engine"] == "presidio"
    assert ("PERSON" in told["entities"]) == (second.model is not None)
    assert described(second) == second.as_dict()
    assert described(None) == {"engine": "patterns"}
    assert "names of people and places are not looked for" in said(None)
    assert said(second).startswith(f"Presidio {version('presidio-analyzer')}")
    assert "SecondTier" not in said(second)
    assert "\n" not in repr(second)


def test_patterns_alone_load_nothing() -> None:
    code = "import sys; from clworkbench.policy.presidio import tier; print(tier('patterns'), *sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded[0] == "None"
    assert {"presidio_analyzer", "spacy", "torch"} & set(loaded) == set()


def test_without_presidio_auto_is_patterns_and_presidio_says_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    assert tier("auto") is None
    with pytest.raises(SettingsError, match=r"presidio_analyzer is not installed.*\n.*clworkbench\[privacy\]"):
        tier("presidio")


def test_without_a_model_names_are_not_found_and_it_says_so(
    second: SecondTier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spacy.util.get_installed_models", list)
    blank = SecondTier(load.__wrapped__())
    assert blank.model is None
    assert finds(blank, "Emily Thompson, passport 512345678, in Rotterdam") == [("PASSPORT", "512345678")]
    expected = "no spaCy model is installed, so names of people and places are not found."
    assert said(blank) == f"Presidio {version('presidio-analyzer')}: {expected}"
    assert "PERSON" not in blank.as_dict()["entities"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", ["1-", "+1 ", "1/1/", "[", "00:1A:", "account 1 ", '{"a":', "A1", "John Smith ", "é\u200b1"]
)
def test_hostile_texts_take_linear_time(second: SecondTier, text: str) -> None:
    def seconds(n: int) -> float:
        hostile = text * (n // len(text)) + "1" * (n % 7)
        start = time.process_time()
        second.spans([hostile])
        return time.process_time() - start

    assert seconds(20_000) < 4 * seconds(9_999) + 0.5
