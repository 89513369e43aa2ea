"""Suites: what is read, in which order, and what is refused."""

import json
from pathlib import Path

import polars as pl
import pytest

from clworkbench.errors import SourceError
from clworkbench.evals.suites import read_suite, ungradable
from clworkbench.schemas import SUITE

LINES = [
    '{"example_id": "b", "input": "where is my card?", "expected": "card_arrival", "slices": ["cards"]}',
    '{"id": "a", "expected": {"x": 1}, "input": [{"role": "system", "content": ""}, {"role": "user", "content": ""}]}',
]


def written(folder: Path, *lines: str) -> Path:
    path = folder / "suite.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_suite_is_read_in_the_order_of_its_ids(tmp_path: Path):
    suite = read_suite(written(tmp_path, *LINES))
    assert suite.schema == SUITE
    assert suite["example_id"].to_list() == ["a", "b"]
    assert suite["expected"].to_list() == ['{"x": 1}', "card_arrival"]
    assert suite["slices"].to_list() == [[], ["cards"]]
    roles = [[message["role"] for message in messages] for messages in suite["input"].to_list()]
    assert roles == [["system", "user"], ["user"]]


def test_the_order_of_lines_and_blank_lines_do_not_matter(tmp_path: Path):
    first = read_suite(written(tmp_path, *LINES))
    assert first.equals(read_suite(written(tmp_path, LINES[1], "", LINES[0], "")))


def test_an_example_without_an_id_gets_one_from_its_content(tmp_path: Path):
    one = '{"input": "hi", "expected": "a"}'
    ids = read_suite(written(tmp_path, one))["example_id"].to_list()
    again = read_suite(written(tmp_path, '{"expected": "a", "input": [{"role": "user", "content": "hi"}]}'))
    assert again["example_id"].to_list() == ids
    assert len(ids[0]) == 32


def test_a_suite_in_parquet_is_the_one_that_was_written(tmp_path: Path):
    suite = read_suite(written(tmp_path, *LINES))
    suite.sample(fraction=1.0, shuffle=True, seed=1).write_parquet(tmp_path / "suite.parquet")
    assert read_suite(tmp_path / "suite.parquet").equals(suite)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"input": "hi", "exp', "line 2: not JSON"),
        ("[1, 2]", "line 2: no 'input' and 'expected' in list"),
        ('{"input": "hi"}', r"line 2: no 'input' and 'expected' in \['input'\]"),
        ('{"input": [], "expected": "a"}', "line 2: 'input' is neither text nor a list"),
        ('{"input": {"role": "user"}, "expected": "a"}', "line 2: 'input' is neither text nor a list"),
        ('{"input": [{"content": "hi"}], "expected": "a"}', "line 2: a message of 'input' has no 'role'"),
        ('{"input": [{"role": "user", "content": ["hi"]}], "expected": "a"}', "line 2: a message of 'input'"),
        ('{"input": "hi", "expected": "a", "slices": "cards"}', "line 2: 'slices' is no list of texts"),
        ('{"input": "hi", "expected": "a", "example_id": 7}', "line 2: 'example_id' is no text"),
        ('{"input": "\\ud800", "expected": "a"}', "line 2: not JSON in UTF-8"),
        ("[" * 100_000, "line 2: not JSON"),
        (LINES[0], "1 ids stand twice, 'b' first"),
    ],
)
def test_one_bad_example_refuses_the_file_and_says_where(tmp_path: Path, line: str, says: str):
    with pytest.raises(SourceError, match=says):
        read_suite(written(tmp_path, LINES[0], line))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    path = tmp_path / "suite.jsonl"
    path.write_bytes(b'{"input": "\xff\xfe", "expected": "a"}\n')
    with pytest.raises(SourceError, match="line 1: not JSON"):
        read_suite(path)


def test_a_missing_an_empty_and_a_strange_file_say_what_was_found(tmp_path: Path):
    with pytest.raises(SourceError, match="no such file"):
        read_suite(tmp_path / "none.jsonl")
    with pytest.raises(SourceError, match="no examples in it"):
        read_suite(written(tmp_path, ""))
    (tmp_path / "suite.xlsx").touch()
    with pytest.raises(SourceError, match=r"a file of kind '\.xlsx'; a suite is \.jsonl or \.parquet"):
        read_suite(tmp_path / "suite.xlsx")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SourceError, match="not a suite in Parquet"):
        read_suite(tmp_path / "bad.parquet")
    pl.DataFrame({"example_id": ["a"]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(SourceError, match="not a suite in Parquet"):
        read_suite(tmp_path / "other.parquet")


def test_gold_answers_that_the_scorer_cannot_grade_are_found(tmp_path: Path):
    lines = [
        {"example_id": "good", "input": "q", "expected": {"intent": "a"}},
        {"example_id": "bare", "input": "q", "expected": "a"},
        {"example_id": "other", "input": "q", "expected": {"queue": "a"}},
        {"example_id": "none", "input": "q", "expected": None},
    ]
    suite = read_suite(written(tmp_path, *map(json.dumps, lines)))
    found = ungradable(suite, ["json_field:intent", "exact_match", "valid_json"])
    assert set(found.select("example_id", "scorer").iter_rows()) == {
        ("other", "json_field:intent"),
        ("none", "json_field:intent"),
        ("none", "exact_match"),
        ("bare", "valid_json"),
    }
