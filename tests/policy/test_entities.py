"""National ids, social security numbers and secrets: published examples, and what only looks like one."""

import random

import polars as pl
import pytest

from clworkbench.policy.redaction import found


def kinds(text: str) -> list[tuple[str, str]]:
    return found(pl.Series([text])).select("kind", "value").rows()


@pytest.mark.parametrize(
    "number",
    [
        "12345678Z", "X1234567L", "12.345.678-Z",  # Spain, Ministerio del Interior
        "2 95 10 99 126 111 93", "295109912611193",  # France, INSEE
        "RSSMRA85T10A562S", "rssmra85t10a562s",  # Italy
        "85.07.30-033.28",  # Belgium
        "811218-9876", "19811218-9876",  # Sweden, Skatteverket
        "131052-308T",  # Finland, DVV
        "070761-4285",  # Denmark, CPR-kontoret
        "756.9217.0769.85", "7569217076985",  # Switzerland, ZAS
        "529.982.247-25", "11.222.333/0001-81",  # Brazil
        "12.345.678-5",  # Chile
        "BOXW310820HNERXN09",  # Mexico, RENAPO
        "2341 2341 2346", "ABCPE1234F",  # India, UIDAI and the Income Tax Department
        "11010519491231002X",  # China, GB 11643
        "900101-1234567",  # South Korea
        "S1234567D",  # Singapore
        "710319/2745",  # Czechia
        "AA 12 34 56 C", "AB123456C",  # United Kingdom, HMRC
    ],
)  # fmt: skip
def test_an_id_that_tells_itself_becomes_a_mark(number: str) -> None:
    assert kinds(f"it is {number}, she wrote") == [("NATIONAL_ID", number)]


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("BSN", "111222333"), ("PESEL:", "44051401359"), ("Steuer-ID", "36 574 261 809"), ("kimlik no", "17291716060"),
        ("OIB", "33392005961"), ("CNP", "1630615123457"), ("NIF", "123456789"), ("my PPS number is", "6433435F"),
        ("NHS number", "943 476 5919"), ("SIN", "123-456-782"), ("TFN", "123 456 782"), ("CPF", "52998224725"),
        ("RUT", "12345678-5"), ("Aadhaar", "234123412346"), ("personnummer", "8112189876"),
        ("my number", "123456789018"),
        ("his tax id is", "44051401359"), ("national id:", "17291716060"),
    ],
)  # fmt: skip
def test_an_id_of_plain_digits_needs_its_word(word: str, number: str) -> None:
    assert kinds(f"{word} {number}, she wrote") == [("NATIONAL_ID", number)]
    assert ("NATIONAL_ID", number) not in kinds(f"order {number}, she wrote")


@pytest.mark.parametrize(
    "text",
    [
        "12345678A", "X1234567M", "2 95 10 99 126 111 94", "RSSMRA85T10A562T", "85.07.30-033.29", "811218-9875",
        "131052-308U", "320761-4285", "756.9217.0769.86", "529.982.247-26", "12.345.678-6", "2341 2341 2347",
        "11010519491231002Y", "ABCDE1234F", "S1234567E", "GB 12 34 56 C", "BSN 111222334", "PESEL 44051401358",
        "SKU-12345678Z", "v12345678Z1", "1234 2341 2341 2346", "5678 2341 2341 2346",
    ],
)  # fmt: skip
def test_a_wrong_check_or_neighbour_marks_no_id(text: str) -> None:
    assert "NATIONAL_ID" not in [kind for kind, _ in kinds(text)]


def test_few_random_numbers_are_taken_for_ids() -> None:
    random.seed(7)
    texts = pl.Series(
        [f"order {random.randrange(10**n)} and {random.randrange(10**5)}" for n in range(6, 16) for _ in range(2000)]
    )
    assert found(texts).filter(pl.col("kind") == "NATIONAL_ID").height < 0.001 * len(texts)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("my ssn is 123-45-6789.", "123-45-6789"),
        ("078-05-1120", "078-05-1120"),
        ("SSN: 123 45 6789", "123 45 6789"),
        ("social security number 123456789", "123456789"),
    ],
)
def test_a_social_security_number_goes_by_its_format(text: str, value: str) -> None:
    assert kinds(text) == [("SSN", value)]


@pytest.mark.parametrize(
    "text", ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "123 45 6789"]
)
def test_numbers_that_the_administration_never_gives_are_none(text: str) -> None:
    assert kinds(text) == []


A36, B40 = "aB3" * 12, "Zx9q" * 10


@pytest.mark.parametrize(
    "secret",
    [
        f"sk-{A36}", f"sk-proj-{A36}_-{A36}", f"sk-ant-api03-{A36}-{A36}AA", "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        f"ghp_{A36}", f"gho_{A36}", f"ghs_{A36}", f"github_pat_{A36[:22]}_{A36}{A36[:23]}", f"glpat-{A36[:20]}",
        "xoxb-123456789012-1234567890123-" + A36[:24], f"AIza{B40[:35]}", f"sk_live_{A36[:24]}", f"rk_live_{A36[:24]}",
        f"hf_{'AbCdEfGhIj' * 3}KLmn", f"npm_{A36}", f"pypi-AgEIcHlwaS5vcmc{B40}", f"SG.{A36[:22]}.{B40}abc",
        "SK" + "0a" * 16, "AC" + "0a" * 16,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEow-IBAAK=\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----",
    ],
)  # fmt: skip
def test_keys_and_tokens_of_the_common_vendors_become_marks(secret: str) -> None:
    assert kinds(f"use {secret} for now") == [("SECRET", secret)]
    assert kinds(f'{{"k":"{secret}"}}') == [("SECRET", secret)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("postgres://bob:hunter2@db.example:5432/x", "bob:hunter2"),
        ("https://anna%40firma.de:p%40ss@example.com/", "anna%40firma.de:p%40ss"),
        ("redis://:s3cret@10.example/0", ":s3cret"),
        ("Authorization: Bearer 0123456789abcdefABCDEF==", "0123456789abcdefABCDEF=="),
        ('curl -H "Authorization: Basic YW5uYTpodW50ZXIyMTIz"', "YW5uYTpodW50ZXIyMTIz"),
        ("password=hunter22; user=x", "hunter22"),
        ('"db_password": "pa$$ word1x"', None),
        ("api_key: 'abcd1234efgh'", "abcd1234efgh"),
        ("export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI/K7MDENG"),
        ("Password: S3cret!pw.", "S3cret!pw"),
        ("clientSecret => \"Zq8vT2-x\"", "Zq8vT2-x"),
    ],
)  # fmt: skip
def test_credentials_in_addresses_headers_and_settings_become_marks(text: str, value: str | None) -> None:
    assert kinds(text) == ([("SECRET", value)] if value else [])


@pytest.mark.parametrize(
    "text",
    [
        "risk-adjusted-returns-of-the-year", "the password: please send it", "my token: hello there",
        "max_tokens=1024000",
        "password=os.environ['X']", "password: <your password>", "api_key=YOUR_API_KEY", "password=$DB_PASSWORD",
        "https://example.com:8080/a@b", "https://example.com/?q=a:b@c", "bearer of good news for everybody",
        "key: value123",
        "password=********", "the secret: nobody knows it", "AKIA is a prefix", "sk-short", "eyJ.eyJ.x", "a:b@c",
    ],
)  # fmt: skip
def test_talk_about_secrets_is_none(text: str) -> None:
    assert [kind for kind, _ in kinds(text) if kind == "SECRET"] == []
