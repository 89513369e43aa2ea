"""Search texts against real FTS5 tables; what must be found is worked out from the records in plain Python."""

import re
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clworkbench.labels.server.embedded.clw_argilla.fuzzy import distance_within
from clworkbench.labels.server.embedded.clw_argilla.query import QueryTooLarge, parse
from clworkbench.labels.server.embedded.clw_argilla.words import BOUNDARY, field_words, units, words

RECORDS = {
    1: ("Where is my parcel?", "It left the depot on Monday."),
    2: ("The parcel is late, really late", "We are sorry: it is at the depot."),
    3: ("wi-fi drops in the kitchen", "Restart the router."),
    4: ("no wi signal", "fi"),
    5: ("中文搜索引擎很快", "检索"),
    6: ("中国的网络搜", "索引"),
    7: ("called get_weather twice", "weather: 3.14 degrees"),
    8: ("Café ÜBER straße", "CAFE"),
    9: ("데이터베이스 데이터", "データベース"),
}


def table(records: dict[int, tuple[str, ...]]) -> sqlite3.Connection:
    """An FTS5 table with one row for each record, made as the engine makes its own."""
    conn = sqlite3.connect(":memory:", check_same_thread=False)
    conn.execute("CREATE VIRTUAL TABLE t USING fts5(c0, c1, tokenize = \"ascii tokenchars '_'\")")
    rows = [(key, *map(field_words, fields)) for key, fields in records.items()]
    conn.executemany("INSERT INTO t (rowid, c0, c1) VALUES (?, ?, ?)", rows)
    return conn


def found(conn: sqlite3.Connection, text: str, spellings: Callable[[str, int], list[str]] = lambda *_: []) -> set[int]:
    match = parse(text, ["c0", "c1"], spellings)
    if match is None:
        return set()
    matching = {key for (key,) in conn.execute("SELECT rowid FROM t WHERE t MATCH ?", (match.expression,))}
    return {key for (key,) in conn.execute("SELECT rowid FROM t")} - matching if match.absent else matching


@pytest.fixture(scope="module")
def held() -> Iterator[sqlite3.Connection]:
    conn = table(RECORDS)
    yield conn
    conn.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parcel", {1, 2}),
        ("PARCEL", {1, 2}),
        ("parcel depot", {1, 2}),  # AND, over the fields together
        ("parcel monday", {1}),
        ("parcel+monday", {1}),
        ("monday | late", {1, 2}),
        ("parcel monday | router", {1, 3}),  # from left to right: (parcel AND monday) OR router
        ("router | parcel monday", {1}),  # (router OR parcel) AND monday
        ("router | (parcel monday)", {1, 3}),
        ("parcel -late", {1}),
        ("-late parcel", {1}),
        ("-parcel", {3, 4, 5, 6, 7, 8, 9}),
        ("-parcel -wi", {5, 6, 7, 8, 9}),
        ("-parcel | late", {2, 3, 4, 5, 6, 7, 8, 9}),
        ("--parcel", {1, 2}),  # two dashes take each other away
        ("- parcel", {1, 2}),  # a dash with a space after it is none
        ("-(parcel | wi)", {5, 6, 7, 8, 9}),
        ('"is my parcel"', {1}),
        ('"my is parcel"', set()),
        ('-"my parcel" parcel', {2}),
        ('"is parcel"~1', {1, 2}),  # one word between, in any order
        ('"parcel late"', set()),
        ('"parcel late"~1', {2}),
        ("par*", {1, 2}),
        ("p* -late", {1}),
        ("par\\*", set()),
        ("wi-fi", {3}),  # both halves in one field
        ("wi fi", {3, 4}),
        ("get_weather", {7}),
        ("get_*", {7}),
        ("weather", {7}),
        ("3.14", {7}),
        ("搜索", {5}),
        ("索引", {5, 6}),
        ("搜 索", {5, 6}),
        ("中国 | 检索", {5, 6}),
        ("데이터", {9}),
        ("ベース", {9}),
        ("café", {8}),
        ("cafe\u0301", {8}),
        ("strasse", set()),
        ("über", {8}),
        ("*", set(RECORDS)),
        ("  * ", set(RECORDS)),
        ("", set()),
        ("   ", set()),
        ("?!", set()),
        ("parcel ?!", {1, 2}),
        ("parcel |", {1, 2}),
        ("| parcel", {1, 2}),
        ("+ parcel", {1, 2}),
        ('parcel "', {1, 2}),
        ('parcel "monday', {1}),
        ("(parcel", {1, 2}),
        ("parcel)", {1, 2}),
        ("() parcel", {1, 2}),
        ("parcel | () monday", {1}),  # an empty group takes the operator before it away
        ('parcel | "" monday', {1}),
        ("\\(parcel\\)", {1, 2}),
        ("parcel\\", {1, 2}),
        ("c0:parcel", set()),
        ("NEAR(parcel late)", set()),
        ("parcel AND late", set()),
        ("'; DROP TABLE t; --", set()),
    ],
)
def test_a_text_finds_the_records_that_lucenes_grammar_asks_for(held, text, expected):
    assert found(held, text) == expected


def test_a_word_with_a_tilde_is_sought_in_the_spellings_that_are_given(held):
    asked = []

    def spellings(word: str, edits: int) -> list[str]:
        asked.append((word, edits))
        return ["router", "monday"]

    assert found(held, "ruter~1", spellings) == {1, 3}
    assert found(held, "ruter~ -monday", spellings) == {3}
    assert found(held, "ruter~9 | late", spellings) == {1, 2, 3}
    assert asked == [("ruter", 1), ("ruter", 2), ("ruter", 2)]
    assert found(held, "ruter~0 | late", spellings) == {2}
    assert found(held, "ruter~x", spellings) == set()
    assert found(held, "ruter~1", lambda *_: []) == set()
    assert found(held, "-ruter~1", lambda *_: []) == set(RECORDS)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("kitten", "sitting", 3), ("flaw", "lawn", 2), ("parcel", "parcel", 0), ("", "ab", 2), ("ab", "ba", 2)],
)
def test_spelling_distance_is_levenshteins(a, b, edits):
    """Kitten and sitting: the usual example of Levenshtein 1966; the others by hand."""
    assert distance_within(a, b, edits) == edits
    assert edits == 0 or distance_within(a, b, edits - 1) is None


@pytest.mark.parametrize(
    "text", ["a " * 1100, '"' + "a " * 1100 + '"', "x" * 6000, "(a | (b c " * 45 + "d" + "))" * 45, "a b | " * 100]
)
def test_a_text_too_large_to_search_is_refused_in_words(text):
    with pytest.raises(QueryTooLarge, match=r"shorten it|take some"):
        parse(text, ["c0", "c1"], lambda *_: [])


@pytest.mark.parametrize("text", ["-a b " * 450, "-a " * 1000, "a|" * 1000, "a " * 1000, "(" * 5000, '"' * 5000])
def test_a_long_flat_text_is_searched(held, text):
    found(held, text)


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab搜索ü-+|()\"\\~*_:^{}'2 \t\x00\ud800😀"), max_size=60))
def test_no_text_whatever_makes_an_error(text):
    conn = table({1: ("a b", "ü 搜索"), 2: ("ab", "_")})
    assert found(conn, text) <= {1, 2}
    conn.close()


LETTERS = "abc"
documents = st.lists(st.text(LETTERS, min_size=1, max_size=2), max_size=6).map(" ".join)
Asked = tuple[str, Callable[[list[list[str]]], bool]]


def of_word(word: str) -> Asked:
    return word, lambda fields: any(word in field for field in fields)


def of_prefix(start: str) -> Asked:
    return start + "*", lambda fields: any(word.startswith(start) for field in fields for word in field)


def of_phrase(phrase: list[str]) -> Asked:
    n = len(phrase)
    holds = lambda field: any(field[i : i + n] == phrase for i in range(len(field)))  # noqa: E731
    return f'"{" ".join(phrase)}"', lambda fields: any(holds(field) for field in fields)


def of_hyphened(parts: list[str]) -> Asked:
    return "-".join(parts), lambda fields: any(set(parts) <= set(field) for field in fields)


def negated(asked: Asked) -> Asked:
    return f"-{asked[0]}", lambda fields: not asked[1](fields)


def chained(parts: list[tuple[str, Asked]]) -> Asked:
    def holds(fields: list[list[str]]) -> bool:
        value = parts[0][1][1](fields)
        for operator, (_, other) in parts[1:]:
            value = (value or other(fields)) if "|" in operator else (value and other(fields))
        return value

    text = parts[0][1][0] + "".join(operator + asked[0] for operator, asked in parts[1:])
    return f"({text})", holds


word = st.text(LETTERS, min_size=1, max_size=2)
leaf = st.one_of(
    word.map(of_word),
    word.map(of_prefix),
    st.lists(word, min_size=1, max_size=3).map(of_phrase),
    st.lists(word, min_size=2, max_size=3).map(of_hyphened),
)
operator = st.sampled_from([" ", " + ", " | ", "  "])
asked = st.recursive(
    leaf,
    lambda inner: st.one_of(
        inner.map(lambda one: negated(one) if not one[0].startswith("-") else one),
        st.lists(st.tuples(operator, inner), min_size=1, max_size=5).map(chained),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(documents, documents), min_size=1, max_size=12), asked)
def test_a_text_finds_what_its_meaning_says_record_by_record(records, query):
    """The meaning is a function over a record's words, made beside the text and never read out of it."""
    text, holds = query
    numbered = dict(enumerate(records, 1))
    expected = {key for key, fields in numbered.items() if holds([field.split() for field in fields])}
    conn = table(numbered)
    assert found(conn, text) == expected
    conn.close()


def test_words_are_runs_of_letters_digits_and_underscores_with_their_marks():
    assert words("Don't call get_weather(3.5)!") == ["don", "t", "call", "get_weather", "3", "5"]
    assert words("हिन्दी में") == ["हिन्दी", "में"]
    assert words("می‌خواهم") == ["می‌خواهم"]
    assert words("I ❤️ 中文 2x") == ["i", "中", "文", "2x"]
    assert units("v2搜索abc") == ["v2", "搜 索", "abc"]


@given(st.text(st.characters(max_codepoint=127)))
def test_plain_letters_are_cut_as_a_regular_expression_cuts_them(text):
    assert words(text) == re.findall("[a-z0-9_]+", text.lower())
    assert words(text + " é")[:-1] == words(text)


def test_a_chat_is_searched_in_its_contents_and_no_phrase_runs_from_one_message_into_the_next():
    chat = [{"role": "user", "content": "late again"}, {"role": "assistant", "content": "Sorry!"}]
    assert field_words(chat) == f"late again {BOUNDARY} sorry"
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE VIRTUAL TABLE t USING fts5(c0, c1, tokenize = \"ascii tokenchars '_'\")")
    conn.execute("INSERT INTO t VALUES (?, '')", (field_words(chat),))
    assert found(conn, '"late again"') == {1}
    assert found(conn, '"again sorry"') == set()
    assert found(conn, "user") == set()
    conn.close()


def test_other_fields_are_searched_as_their_text():
    assert field_words({"city": "Bonn", "n": 3}) == "city bonn n 3"
    assert field_words(None) == ""
    assert field_words("lone \ud800 half") == "lone half"
