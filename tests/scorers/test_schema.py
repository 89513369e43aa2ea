"""Scores by JSON Schema: what conforms, what does not, and schemas that nothing can be checked with."""

import json
import socket
import time
from pathlib import Path

import fastjsonschema
import polars as pl
import pytest

from clworkbench.errors import ClwError
from clworkbench.scorers.names import scorer
from clworkbench.scorers.schema_check import Unfit, conforms, read
from clworkbench.scorers.scorer import Graded, Place, within

ORDER = {
    "type": "object",
    "required": ["action"],
    "additionalProperties": False,
    "properties": {
        "action": {"enum": ["refund", "close"]},
        "amount": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5},
        "lines": {"type": "array", "maxItems": 2, "items": {"$ref": "#/definitions/line"}},
    },
    "definitions": {"line": {"type": "string", "pattern": "^[A-Z]{2}$"}},
    "$schema": "http://json-schema.org/draft-07/schema#",
}


def graded(*pairs: tuple[str | None, object], name: str = "json_schema") -> Graded:
    outputs = pl.Series([output for output, _ in pairs], dtype=pl.String)
    schemas = [schema if isinstance(schema, str | None) else json.dumps(schema) for _, schema in pairs]
    return scorer(name).graded(outputs, pl.Series(schemas, dtype=pl.String))


@pytest.mark.parametrize(
    "output",
    [
        '{"action": "refund"}',
        '{"action": "refund", "amount": 2.5, "lines": ["AB", "CD"]}',
        '{"action": "open"}',
        '{"action": "close", "amount": 0}',
        '{"action": "close", "amount": 0.7}',
        '{"action": "close", "lines": ["AB", "c"]}',
        '{"action": "close", "lines": ["AB", "CD", "EF"]}',
        '{"action": "close", "why": "late"}',
        "{}",
        "[]",
        "null",
    ],
)
def test_the_same_conforms_as_by_another_library(output: str):
    try:
        fastjsonschema.validate(ORDER, json.loads(output))
        right = True
    except fastjsonschema.JsonSchemaValueException:
        right = False
    assert conforms(output, json.dumps(ORDER)) is right


def test_what_cannot_be_read_or_is_missing_conforms_to_nothing():
    found = graded(("{'a': 1}", True), ("NaN", True), ("[" * 100_000, True), (None, True), ("1", True), ("1", False))
    assert found.score.to_list() == [0, 0, 0, 0, 1, 0]
    assert found.error.null_count() == 6


def test_a_schema_that_nothing_can_be_checked_with_grades_nothing_and_says_why():
    found = graded(
        ("1", "nope"),
        ("1", [1]),
        ("1", {"type": "objekt"}),
        ("1", {"$ref": "#"}),
        ("1", {"$ref": "#/$defs/absent"}),
        (None, {"properties": {"a": {"$ref": "file:///etc/hosts"}}}),
        ("1", "[" * 50_000),
        ("1", None),
    )
    assert found.score.null_count() == 8
    said = ("is no JSON", "found list", "no valid schema", "refers to itself", "not within it", "etc/hosts", "no JSON")
    assert [part in error for part, error in zip(said, found.error, strict=False)] == [True] * 7


def test_a_schema_elsewhere_is_never_fetched():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        there = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        for schema in ({"$ref": there}, {"$id": "http://a.b/c", "properties": {"a": {"$id": "d", "$ref": there}}}):
            with pytest.raises(Unfit, match="nothing is fetched"):
                conforms('{"a": 1}', json.dumps(schema))
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_reference_within_the_schema_is_followed_by_its_name_too():
    named = {"$id": "https://a.b/c", "$ref": "https://a.b/c#/$defs/n", "$defs": {"n": {"type": "integer"}}}
    assert conforms("1", json.dumps(named))
    assert not conforms('"1"', json.dumps(named))
    assert read('{"$ref": "https://json-schema.org/draft/2020-12/schema"}').is_valid({"type": "string"})


def test_a_pattern_that_takes_for_ever_is_stopped_and_the_next_example_is_graded():
    slow = {"type": "string", "pattern": "^(a+)+$"}
    began = time.monotonic()
    found = graded((json.dumps("a" * 50 + "!"), slow), ('"aa"', slow))
    assert found.score.to_list() == [None, 1.0]
    assert found.error[0] == "took longer than 5 s"
    assert time.monotonic() - began < 60


def test_one_file_of_the_workspace_is_the_schema_for_all_and_gold_answers_are_answers(tmp_path: Path):
    (tmp_path / "reply.json").write_text('{"type": "object"}')
    with within(Place(tmp_path)):
        found = graded(("{}", None), ("[]", "{}"), name="json_schema:reply.json")
        assert found.score.to_list() == [1.0, 0.0]
        assert scorer("json_schema:reply.json").gold(pl.Series(["{}"])).to_list() == ["{}"]
        before = scorer("json_schema:reply.json").content
        assert before is not None
        old = before()
        (tmp_path / "reply.json").write_text('{"type": "array"}')
        assert before() != old
    assert scorer("json_schema").gold(pl.Series(["{}"])).to_list() == [None]


def test_a_file_that_is_no_schema_or_not_there_is_refused_in_words(tmp_path: Path):
    (tmp_path / "bad.json").write_text('{"type": 7}')
    with within(Place(tmp_path / "deep")), pytest.raises(ClwError, match="not within the workspace's folder"):
        scorer("json_schema:../bad.json")
    with within(Place(tmp_path)):
        with pytest.raises(ClwError, match=r"'json_schema:bad\.json': no valid schema"):
            scorer("json_schema:bad.json")
        with pytest.raises(ClwError, match=r"no file 'absent\.json' in .*beside clw.toml"):
            scorer("json_schema:absent.json")


def test_a_schema_whose_pattern_is_none_grades_nothing_whatever_the_output():
    schema = {"properties": {"a": {"pattern": "("}}}
    found = graded(("no JSON", schema), (None, schema), ('{"a": "b"}', {"patternProperties": {"(": True}}))
    assert found.score.to_list() == [None, None, None]
    assert all("no valid schema" in error for error in found.error)


def test_what_looks_like_a_reference_within_data_is_data():
    assert graded(('{"$ref": "elsewhere"}', {"enum": [{"$ref": "elsewhere"}]})).score.to_list() == [1]
