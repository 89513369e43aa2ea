"""`clw slice`: one JSON object, words where there is nothing to tell, status 2 for what is wrong."""

import json

import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.errors import ClwError


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("CLW_WORKSPACE", str(tmp_path / "w"))
    runner = CliRunner()
    assert runner.invoke(clw, ["init", str(tmp_path / "w")]).exit_code == 0
    return lambda *words: runner.invoke(clw, ["slice", *words])


def test_each_command_answers_with_one_json_object(run):
    saved = json.loads(run("save", "desk", "app = 'desk'", "--json").stdout)
    assert (saved["name"], saved["expression"], len(saved["version"])) == ("desk", "app = 'desk'", 8)
    assert saved.pop("signals") == 0
    assert json.loads(run("list", "--json").stdout) == {"slices": [saved]}
    rates = json.loads(run("rates", "--json").stdout)
    assert [row["slice"] for row in rates["rates"]] == ["all", f"desk@{saved['version']}"]
    assert [row["rate"] for row in rates["rates"]] == [None, None]
    assert rates["why"] == "not enough data: there are no signals here"
    found = json.loads(run("find", "--json").stdout)
    assert (found["slices"], found["settled"], found["why"]) == ([], 0, "not enough data: there are no signals here")


def test_failures_that_repeat_are_told_with_their_rate_and_no_text_unless_it_is_asked_for(run, tmp_path):
    def chat(number: int, asked: str, *, good: bool) -> dict[str, object]:
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": "no"}]
        said = {"name": "thumbs", "score": 1 if good else -1, "at": "2026-03-03T09:00:00Z"}
        return {"id": f"c{number}", "created": "2026-03-02T09:00:00Z", "messages": messages, "feedback": [said]}

    rows = [chat(n, f"my parcel number {n} never came to my door", good=False) for n in range(3)]
    rows += [chat(9, "thank you for everything you did", good=True)]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert CliRunner().invoke(clw, ["ingest", str(tmp_path / "chats.jsonl"), "--source", "openai"]).exit_code == 0
    found = json.loads(run("failures", "--json").stdout)
    (group,) = found["groups"]
    assert (found["n"], found["failures"], group["n"], group["failures"]) == (4, 3, 3, 3)
    assert "text" not in group
    assert "never came to my door" not in run("failures").stdout
    assert "never came to my door" in run("failures", "--texts").stdout


def test_a_person_reads_words_where_there_is_nothing(run):
    assert "clw slice find" in run("list").stdout
    assert "not enough data" in run("rates", "--by", "app, model", "--every", "day").stdout
    assert "not enough data" in run("find").stdout
    assert "nothing is settled yet" in run("failures").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rates", "--by", "ap"], "Did you mean app?"),
        (["rates", "--slice", "x"], "no slice 'x'"),
        (["find", "--target", "outcom"], "Did you mean outcome?"),
        (["save", "x", "app in (select y from read_csv('/etc/passwd'))"], "a subquery is not allowed"),
    ],
)
def test_what_is_wrong_is_told_in_words(run, words, says):
    found = run(*words)
    assert isinstance(found.exception, ClwError)
    assert says in str(found.exception)


def test_a_period_that_is_none_is_wrong_usage(run):
    assert run("rates", "--every", "year").exit_code == 2
