"""Values in rows of tables, in lists and one after the other: none hides another, and ordinary numbers stay."""

import re
from itertools import product
from random import Random

import polars as pl
import pytest

from clworkbench.policy import invented
from clworkbench.policy.finding import found
from clworkbench.policy.planted import SPELLINGS, plant
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.redaction import redact, redact_text

KEY = Pseudonyms(b"k" * 32)
SEPARATORS = (" ", ",", ", ", ";", "\t", "\n", "/", " and ")
MADE = [make for kind, spelled in SPELLINGS.items() if kind not in ("PERSON", "LOCATION") for make in spelled.values()]


def redacted(text: str) -> str:
    return re.sub(r"\[([A-Z_]+)_[0-9a-f]{8}\]", r"[\1]", redact_text(pl.Series([text]), KEY).item())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7,4111111111111111,9", "7,[CARD],9"),
        ("7,+4915123456789,9", "7,[PHONE],9"),
        ("7,555-123-4567,9", "7,[PHONE],9"),
        ("7,+351 912 345 678,9 then", "7,[PHONE],9 then"),
        ("Phone,2025550143,x", "Phone,[PHONE],x"),
        ("Ann,078-05-1120", "Ann,[SSN]"),
        ("Ana,111.444.777-35,x", "Ana,[NATIONAL_ID],x"),
        ("1,131052-308T,x;12345678Z/X1234567L", "1,[NATIONAL_ID],x;[NATIONAL_ID]/[NATIONAL_ID]"),
        ("SSN/078-05-1120", "SSN/[SSN]"),
        ("born 1990 078-05-1120", "born 1990 [SSN]"),
        ("1,078-05-1120,4111111111111111\n2,219-09-9998,5555555555554444", "1,[SSN],[CARD]\n2,[SSN],[CARD]"),
        ("078-05-1120 219-09-9998 323-12-4567", "[SSN] [SSN] [SSN]"),
        ("4111 1111 1111 1111 5555 5555 5555 4444 3782 822463 10005", "[CARD] [CARD] [CARD]"),
        ("0171/3920039 0171/3920045 0171/3920025", "[PHONE] [PHONE] [PHONE]"),
        ("202-555-0143/202-555-0144", "[PHONE]/[PHONE]"),
    ],
)
def test_neighbours_in_rows_and_lists_hide_nothing(text: str, expected: str) -> None:
    assert redacted(text) == expected


def test_a_redacted_pair_or_list_holds_nothing_more_to_redact() -> None:
    rng = Random(1)
    pairs = [
        first(rng) + SEPARATORS[n % len(SEPARATORS)] + second(rng)
        for n, (first, second) in enumerate(product(MADE, MADE))
    ]
    lists = [sep.join(make(rng) for _ in range(8)) for make, sep in product(MADE, SEPARATORS)]
    once = redact_text(pl.Series(pairs + lists), KEY)
    twice = redact_text(once, KEY)
    assert [(a, b) for a, b in zip(once, twice, strict=True) if a != b] == []


@pytest.mark.parametrize(
    "text",
    [
        "+12 345 678,90 and 12 345 678,90 EUR, on call 1 234 567,89 or 1234567,89",
        "on 12/01/2024 10 30 or 12/10/2024 1030, 616.85 22/07/2015",
        "1,234,567.89,1,234,567 and lat 52.520008,13.404954,8",
        "20240101,20240102,1700000000,1700000001,12.5,13.25,1000000",
        "1702350992308 02/05/2015",
        "609.453/3140 and 7.4111111111111111",
    ],
)
def test_ordinary_numbers_in_rows_survive(text: str) -> None:
    assert redacted(text) == text


def test_rows_of_ordinary_numbers_are_left_alone() -> None:
    rng = Random(3)
    makes = (
        lambda: f"{rng.randrange(10**6)}", lambda: f"{rng.uniform(-1000, 1000):.{rng.randrange(1, 6)}f}",
        lambda: f"20{rng.randrange(10, 26)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
        lambda: f"{rng.randrange(1, 29):02}/{rng.randrange(1, 13):02}/20{rng.randrange(10, 26)}",
        lambda: f"{rng.randrange(24):02}:{rng.randrange(60):02}", lambda: f"17{rng.randrange(10**8):08}",
    )  # fmt: skip
    rows = [sep.join(rng.choice(makes)() for _ in range(8)) for sep in (",", ";", "\t", ", ") for _ in range(2000)]
    assert found(pl.Series(rows)).height <= 2


def test_every_french_id_is_one_find_though_it_may_hold_a_card() -> None:
    assert redacted("[2 57 11 86 626 057 83]") == "[[NATIONAL_ID]]"
    ids = [invented.NATIONAL_IDS["France"](Random(seed)) for seed in range(400)]
    finds = found(pl.Series(ids))
    assert finds.select("kind", "value").rows() == [("NATIONAL_ID", number) for number in ids]
    assert redacted("3782 822463 10005") == "[CARD]"


@pytest.mark.parametrize(
    "spelled", ["ann+b%40mail.example", "ann%2Bb%40mail.example", "ann%252Bb%2540Mail.example", "ANN+B@mail.example"]
)
def test_an_address_encoded_for_the_web_is_the_address(spelled: str) -> None:
    mark = f"[EMAIL_{KEY.surrogate('EMAIL', 'ann+b@mail.example')}]"
    text = f"GET https://shop.example/a?email={spelled}&x=1 or email%3D{spelled}%26"
    expected = [f"GET https://shop.example/a?email={mark}&x=1"]
    assert redact_text(pl.Series([text]), KEY).item().split(" or ")[:1] == expected
    rows = pl.DataFrame({"attributes": [f'{{"url.full": "https://shop.example/?email={spelled}"}}']})
    assert redact(rows, KEY).frame["attributes"].item() == f'{{"url.full": "https://shop.example/?email={mark}"}}'


def test_a_percent_sign_alone_is_no_address() -> None:
    assert redacted("100% sure%40x, ?at=%40home and email%3Dann%40mail.example") == (
        "100% sure%40x, ?at=%40home and email%3D[EMAIL]"
    )


@pytest.mark.parametrize("basic", ["Authorization: Basic dXNlcjpwYXNz", "-H 'authorization: basic YTpi'"])
def test_short_basic_credentials_go_because_they_hold_a_name_and_a_password(basic: str) -> None:
    assert re.sub(r"\[SECRET\]", "", redacted(basic)) == re.sub("dXNlcjpwYXNz|YTpi", "", basic)
    rows = pl.DataFrame({"attributes": ['{"headers": {"Authorization": "Basic dXNlcjpwYXNz"}}']})
    assert redact(rows, KEY).counts == {"SECRET": 1}


@pytest.mark.parametrize("text", ["Basic username, basic knowledge", "Authorization: Basic realm", "Basic auth"])
def test_talk_about_basics_stays(text: str) -> None:
    assert redacted(text) == text


def test_rows_and_lists_are_planted() -> None:
    texts = plant(pl.Series(["Hello."] * 300), 2, ("CARD", "SSN", "NATIONAL_ID")).texts
    assert texts.str.contains(r"(?:7|SSN),[0-9]").sum() >= 20
    assert texts.str.contains(" and ").sum() >= 10
