"""`clw label serve`, `stop` and `status`, as a script and a person use them."""

import json
import os
import subprocess
import sys

import pytest

from clworkbench.labels.server.home import Home
from clworkbench.workspace import Workspace

CLW = [sys.executable, "-c", "from clworkbench.cli import main; main()"]


@pytest.fixture
def clw(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("CLW_WORKSPACE", str(tmp_path / "w"))
    for name in ("ARGILLA_API_URL", "ARGILLA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    Workspace.create(tmp_path / "w")

    def run(*words: object, **more: str) -> subprocess.CompletedProcess[str]:
        command = [*CLW, "label", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | more, cwd=tmp_path)

    return run


def test_where_no_server_runs_status_answers_no_and_stop_says_so(clw):
    asked = clw("status")
    assert asked.returncode == 1
    assert asked.stdout == "No annotators' server runs here. `clw label serve` starts one.\n"
    assert json.loads(clw("status", "--json").stdout)["url"] is None
    ended = clw("stop")
    assert (ended.returncode, ended.stdout) == (0, "No annotators' server runs here.\n")


def test_a_teams_server_is_used_and_none_is_started_or_stopped(clw, tmp_path):
    team = {"ARGILLA_API_URL": "http://127.0.0.1:9", "ARGILLA_API_KEY": "any"}
    served = clw("serve", "--json", **team)
    assert served.returncode == 0
    assert json.loads(served.stdout) == {
        "url": team["ARGILLA_API_URL"],
        "username": None,
        "password_file": None,
        "pid": None,
    }
    assert not Home.of(tmp_path / "w").folder.exists()
    assert "not ended from here" in clw("stop", **team).stderr
    with_login = team | {"ARGILLA_API_URL": "http://ann:hunter2@127.0.0.1:9"}
    told = [clw(word, *more, **with_login) for word in ("serve", "status", "stop") for more in ((), ("--json",))]
    assert "hunter2" not in "".join(found.stdout + found.stderr for found in told)
    asked = clw("status", **team)
    assert asked.returncode == 2
    assert asked.stderr.startswith("clw: http://127.0.0.1:9: nobody answers there")


def test_a_reviewers_file_can_be_imported_as_gold(clw, tmp_path):
    (tmp_path / "gold.csv").write_text("interaction_id,value\nnobody,accept\n")
    told = clw("import", "gold.csv", "--source", "gold", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["rejected"] == 1


@pytest.mark.argilla
def test_serve_status_and_stop_as_a_newcomer_types_them(clw, tmp_path):
    served = clw("serve", "--port", "0", "--json")
    try:
        assert served.returncode == 0, served.stderr
        told = json.loads(served.stdout)
        assert set(told) >= {"url", "username", "password_file", "pid"}
        home = Home.of(tmp_path / "w")
        assert told["password_file"] == str(home.password_file)
        assert home.password not in served.stdout + served.stderr
        again = clw("serve")
        assert told["url"] in again.stdout
        assert str(home.password_file) in again.stdout
        elsewhere = clw("serve", "--port", "6901")
        assert elsewhere.returncode == 2
        assert f"it runs already, at {told['url']}" in elsewhere.stderr
        asked = json.loads(clw("status", "--json").stdout)
        assert (asked["version"], asked["users"], asked["log"]) == ("2.8.0", {"owner": "owner"}, str(home.log))
    finally:
        ended = clw("stop")
    assert ended.stdout == "Argilla's server ended.\n"
    assert clw("status").returncode == 1
    try:
        assert told["url"] in clw("serve").stdout  # bookmarks hold
    finally:
        clw("stop")
