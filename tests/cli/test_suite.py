"""`clw suite` and `clw recency`, as a person types them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.workspace import Workspace

EXAMPLE = '{"id": "a", "input": "Why?", "expected": "because"}\n{"id": "b", "input": "How?", "expected": null}\n'


def chat(day: int) -> dict[str, object]:
    at = f"2026-03-{day + 1:02}T09:00:00+00:00"
    messages = [
        {"role": "user", "content": f"What of the {day} lamps in house {day}?"},
        {"role": "assistant", "content": "Yes."},
    ]
    said = {"name": "accepted", "origin": "operator", "at": at}
    return {"id": f"{day}", "created": at, "conversation_id": f"t{day}", "messages": messages, "feedback": [said]}


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("CLW_WORKSPACE", str(tmp_path / "w"))
    settings = (
        'format = 1\n[policy]\nleaving = "patterns"\n[outcomes]\nok = { positive = "accepted", negative = "edited" }\n'
    )
    Workspace.create(tmp_path / "w", settings=settings, key=b"k" * 32)
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(chat(day)) + "\n" for day in range(20)))
    (tmp_path / "suite.jsonl").write_text(EXAMPLE)
    assert run("ingest", str(tmp_path / "chats.jsonl"), "--source", "openai")[0] == 0
    return tmp_path


def run(*args: str) -> tuple[int, str]:
    found = CliRunner().invoke(clw, args)
    return found.exit_code, found.stdout


def answer(*args: str) -> dict[str, object]:
    status, out = run(*args, "--json")
    assert status == 0, out
    return json.loads(out)


def test_a_file_is_frozen_with_and_without_the_word(place: Path):
    file = str(place / "suite.jsonl")
    first = answer("suite", "main", file)
    assert first == answer("suite", "freeze", "main", file)
    assert first == answer("suite", "--workspace", str(place / "w"), "main", file)
    assert first["examples"] == 2


def test_freezing_tells_at_once_what_a_scorer_cannot_grade(place: Path):
    assert answer("suite", "main", str(place / "suite.jsonl"))["ungradable"] == {"exact_match": 1}
    _, out = run("suite", "main", str(place / "suite.jsonl"))
    assert "exact_match does not give the expected answer itself full marks on 1 of 2 examples" in out


def test_a_suite_called_like_a_command_is_frozen_by_the_whole_name(place: Path):
    assert str(answer("suite", "freeze", "draw", str(place / "suite.jsonl"))["suite"]).startswith("draw@")


def test_newest_and_before_draw_both_kinds(place: Path):
    week = answer("suite", "draw", "week", "--newest", "7d", "--n", "10")
    assert (week["signals"], week["examples"], week["drawn_from"]) == (8, 8, 8)
    older = answer("suite", "draw", "older", "--before", "2026-03-10", "--n", "4")
    assert (older["signals"], older["examples"]) == (9, 4)
    assert older["strata"][0]["inclusion"] == pytest.approx(4 / 9)
    assert set(older) >= {"suite", "dropped", "refused", "coverage", "ungradable", "said"}


def test_recency_without_both_kinds_of_suites_says_how_to_draw_them(place: Path):
    scores = place / "scores.jsonl"
    answer("suite", "draw", "week", "--newest", "7d")
    ids = Workspace(place / "w").rows("suite:week")["example_id"]
    scores.write_text("".join(json.dumps({"example_id": each, "score": 1}) + "\n" for each in ids))
    for model in ("old", "new"):
        answer("scores", "import", str(scores), "--model", model, "--suite", "week", "--format", "jsonl")
    found = CliRunner().invoke(clw, ["recency", "new", "--against", "old"])
    assert "clw suite draw older --before DATE" in str(found.exception)
    found = CliRunner().invoke(clw, ["recency", "old", "--against", "old"])
    assert "cannot be held against itself" in str(found.exception)


def test_a_loss_on_older_traffic_is_a_no(place: Path):
    answer("suite", "draw", "week", "--newest", "7d")
    answer("suite", "draw", "older", "--before", "2026-03-12")
    for suite, new in (("week", 1), ("older", 0)):
        ids = Workspace(place / "w").rows(f"suite:{suite}")["example_id"]
        for model, score in (("old", 1 - new), ("new", new)):
            file = place / f"{suite}-{model}.jsonl"
            file.write_text("".join(json.dumps({"example_id": each, "score": score}) + "\n" for each in ids))
            answer("scores", "import", str(file), "--model", model, "--suite", suite, "--format", "jsonl")
    status, out = run("recency", "new", "--against", "old", "--json")
    told = json.loads(out)
    assert status == 1
    assert told["gained"] is True
    assert len(told["lost"]) == 1
    status, out = run("recency", "old", "--against", "new")
    assert status == 0
    assert "It loses on the newest traffic" in out
