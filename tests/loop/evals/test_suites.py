"""The suites at a glance: examples by slice, and those that say nothing about a model."""

import json

import polars as pl

from clworkbench.loop.data import freeze_suite
from clworkbench.loop.evals.suites import suites
from clworkbench.workspace import Workspace


def frozen(workspace, name: str, examples: list[dict]) -> None:
    path = workspace.folder / "examples.jsonl"
    path.write_text("".join(json.dumps(example) + "\n" for example in examples))
    freeze_suite(workspace, name, path)


def examples(n: int) -> list[dict]:
    return [{"id": f"e{i}", "input": f"q{i}", "expected": "a", "slices": ["even"] * (i % 2 == 0)} for i in range(n)]


def test_a_workspace_without_suites_says_how_to_freeze_one(workspace):
    found = suites(workspace)
    assert repr(found) == "Suites(none)"
    assert "clw suite NAME FILE" in found._repr_html_()
    assert found.plot().layout.annotations[0].text == "No suite yet."


def test_each_slice_has_its_number_and_the_newest_version_is_told(workspace):
    frozen(workspace, "main", examples(4))
    frozen(workspace, "main", examples(5))
    frozen(workspace, "other", examples(1))
    found = suites(workspace)
    counted = found.frame.with_columns(found.frame["suite"].str.replace("@.*", "")).rows()
    assert counted == [
        ("main", "all", 4, 0, False),
        ("main", "even", 2, 0, False),
        ("main", "all", 5, 0, True),
        ("main", "even", 3, 0, True),
        ("other", "all", 1, 0, True),
        ("other", "even", 1, 0, True),
    ]
    assert list(found.plot().data[0].y) == ["main: all", "main: even", "other: all", "other: even"]


def test_an_example_that_its_own_answer_does_not_pass_is_counted_and_listed(workspace):
    good = {"id": "good", "input": "q", "expected": "x", "slices": ["<b>s</b>"]}
    blind = {"id": "blind", "input": "q", "expected": None, "slices": ["<b>s</b>"]}
    frozen(workspace, "main", [good, blind])
    found = suites(workspace)
    assert found.frame.select("slice", "examples", "ungradable").rows() == [("all", 2, 1), ("<b>s</b>", 2, 1)]
    assert found.ungradable.select("example_id", "scorer").rows() == [("blind", "exact_match")]
    assert "<b>s" not in found._repr_html_()


def test_what_is_measured_is_what_evals_names_else_all(workspace):
    frozen(workspace, "main", examples(1))
    frozen(workspace, "other", examples(2))
    frozen(workspace, "other", examples(3))
    assert [each.partition("@")[0] for each in suites(workspace).measured] == ["main", "other"]
    newest = suites(workspace).frame.filter(suite_is("other"), "newest")["suite"][0]
    toml = workspace.folder / "clw.toml"
    toml.write_text(toml.read_text().replace("[evals]\n", '[evals]\nsuites = ["other"]\n'))
    assert suites(Workspace(workspace.folder)).measured == (newest,)


def suite_is(name: str) -> pl.Expr:
    return pl.col("suite").str.starts_with(f"{name}@")
