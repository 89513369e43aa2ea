"""`clw label push`, `undo` and `annotator` as a person and a script meet them."""

import json

import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.workspace import Workspace
from tests.loop.asking import make


@pytest.fixture
def asking(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("CLW_WORKSPACE", str(tmp_path / "w"))
    return make(Workspace.create(tmp_path / "w"))


def run(*words):
    found = CliRunner().invoke(clw, ["label", *words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_a_dry_run_shows_the_first_card_and_says_that_nothing_was_pushed(asking):
    said = run("push", f"{asking.team}-review", "--dry-run", "--n", "1")
    assert said.startswith(f"1 records would be pushed to {asking.team}-review, 0 are known\nThe first card:\n")
    assert "  conversation: user: " in said
    assert "  answer: " in said
    assert "  suggested improvement: " in said
    assert asking.workspace.read("asked").height == 0


def test_a_dry_run_tells_scripts_the_same(asking):
    found = json.loads(run("push", f"{asking.team}-ranks", "--dry-run", "--json"))
    assert (found["pushed"], found["known"], found["gold"]) == (3, 0, 0)
    assert set(found["first"]["fields"]) == {"conversation", "answer_1", "answer_2"}
    assert found["left_out"] == {"fewer than 2 different answers to compare": 2}


@pytest.mark.argilla
def test_a_push_an_undo_and_an_account_by_command(asking, argilla_server, monkeypatch):
    monkeypatch.setenv("ARGILLA_API_URL", argilla_server.url)
    monkeypatch.setenv("ARGILLA_API_KEY", argilla_server.api_key)
    name = f"{asking.team}-review"
    found = json.loads(run("push", name, "--json"))
    assert (found["pushed"], found["known"], found["url"]) == (5, 0, argilla_server.url)
    assert json.loads(run("push", name, "--json"))["known"] == 5
    said = run("undo", found["batch_id"])
    assert said == f"5 records taken back from {name}\n"
    made = json.loads(run("annotator", f"{asking.team}-nora", "--json"))
    assert made["made"]
    assert "password" not in made
    assert f"{asking.team}-nora has an account already" in run("annotator", f"{asking.team}-nora")
    assert argilla_server.api_key not in said + json.dumps(found)
