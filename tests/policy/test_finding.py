"""Where personal values stand: offsets, neighbours, texts redacted before, disguises, hostile texts."""

import time

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.redaction import found, redact_text

KEY = Pseudonyms(b"k" * 32)


def kinds(text: str) -> list[tuple[str, str]]:
    return found(pl.Series([text])).select("kind", "value").rows()


def test_found_tells_row_kind_and_the_characters_from_which_to_which() -> None:
    texts = pl.Series(["nichts", None, "\u00e4\U0001f600 anna@firma.de, +49 89 1234567", "4111111111111111"])
    frame = found(texts)
    assert frame.rows() == [
        (2, "EMAIL", 3, 16, "anna@firma.de"),
        (2, "PHONE", 18, 32, "+49 89 1234567"),
        (3, "CARD", 0, 16, "4111111111111111"),
    ]
    assert found(pl.Series([], dtype=pl.String)).schema == frame.schema


def test_two_finds_side_by_side_do_not_hide_each_other() -> None:
    assert [kind for kind, _ in kinds("10.0.0.7-4111111111111111")] == ["IP", "CARD"]
    assert [kind for kind, _ in kinds("202-555-0143+4915112345678")] == ["PHONE", "PHONE"]
    assert [kind for kind, _ in kinds("4111111111111111 202-555-0143")] == ["CARD", "PHONE"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("card \uff14\uff11\uff11\uff11 1111 1111 1111", "\uff14\uff11\uff11\uff11 1111 1111 1111"),
        ("4111\u200b1111\u200b1111\u200b1111", "4111\u200b1111\u200b1111\u200b1111"),
        ("\u200fan\u00adna@firma.de\u200e", "\u200fan\u00adna@firma.de"),
        ("\u0647\u0627\u062a\u0641 +\u0669\u0666\u0666 \u0665\u0660 \u0661\u0662\u0663 \u0664\u0665\u0666\u0667",
         "+\u0669\u0666\u0666 \u0665\u0660 \u0661\u0662\u0663 \u0664\u0665\u0666\u0667"),
    ],
)  # fmt: skip
def test_digits_of_other_scripts_and_invisible_characters_hide_nothing(text: str, value: str) -> None:
    assert [found_one for _, found_one in kinds(text)] == [value]


@pytest.mark.parametrize("mark", ["[EMAIL_1a2b3c4d]", "[CARD]", "[PHONE_2]", "[IBAN_00000000]", "email_1a2b3c4d"])
def test_a_mark_is_never_marked_and_one_that_somebody_wrote_hides_nothing(mark: str) -> None:
    assert kinds(f"x {mark} y") == []
    assert kinds(f"call {mark}: 4111111111111111") == [("CARD", "4111111111111111")]


PIECES = st.sampled_from(
    [
        *(
            "anna@firma.de",
            "+4915112345678",
            "202-555-0143",
            "4111 1111 1111 1111",
            "GB82WEST12345698765432",
            "10.0.0.7",
        ),
        *("phone", "SSN", "123-45-6789", "password=hunter22", "12345678Z", "nhs", "943 476 5919", "2001:db8::1234:1"),
        *(
            "https://a:b@c.de",
            "sk-abcdefghijklmnopqrstuvwx",
            "[EMAIL_1a2b3c4d]",
            "[PHONE]",
            "[",
            "]",
            "7",
            "x",
            "\u200b",
        ),
    ]
)
JOINS = st.sampled_from(["", " ", "-", "+", ".", "/", ":", ",", "(", "@", "\n", "='", "1"])


@settings(max_examples=150)
@given(st.lists(st.tuples(PIECES, JOINS), max_size=6))
def test_a_redacted_text_holds_nothing_more_to_redact(parts: list[tuple[str, str]]) -> None:
    once = redact_text(pl.Series(["".join(piece + join for piece, join in parts)]), KEY)
    assert redact_text(once, KEY).to_list() == once.to_list()


@settings(max_examples=100)
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=80), max_size=5))
def test_any_text_is_cut_at_its_characters(texts: list[str]) -> None:
    for row, _, start, end, value in found(pl.Series(texts, dtype=pl.String)).iter_rows():
        assert texts[row][start:end] == value


HOSTILE = [
    *(
        "a",
        "1",
        "1 ",
        "1-",
        "1.",
        "(1",
        "+1",
        "@",
        "a@",
        "a@b.",
        "a.",
        "a'",
        "GB12 ",
        "::",
        "1:",
        "f::",
        "1.1.1.",
        "00 ",
    ),
    *("4111 1111 ", "4111111111111111", "123-45-6789 ", "123456-1234 ", "nif 123456789 ", "phone 1234567 ", "phone "),
    *(
        "1234567 office ",
        "sk-",
        "sk-aaaaaaaaaaaaaaaaaaaaaaaa",
        "eyJ",
        "eyJaaaaaaaa.",
        "-",
        "://a:",
        "http://a:b",
        "a:b@",
    ),
    *("-----BEGIN PRIVATE KEY-----", "password=", "secret secret", "bearer ", "bearer aaaaaaaaaaaaaaaa", "RSSMRA85T10"),
    *(
        "\u200b",
        "\ufdd0",
        "[EMAIL_1a2b3c4d]",
        "[",
        "[]",
        "\\u00",
        "a_1=",
        "social security 1",
        "0171/",
        "0171/3920039 ",
        "a%40b.",
        "basic YTpi ",
        "1 ext ",
        "202-555-0143+",
    ),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_texts_take_linear_time(piece: str) -> None:
    text = (piece * 200_000)[:200_000]
    start = time.process_time()
    found(pl.Series([text, text + "@x.de", text + "="]))
    assert time.process_time() - start < 5


@pytest.mark.slow
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_megabyte_takes_seconds_at_most(piece: str) -> None:
    text = (piece * 1_000_000)[:1_000_000]
    start = time.process_time()
    found(pl.Series([text]))
    assert time.process_time() - start < 5
