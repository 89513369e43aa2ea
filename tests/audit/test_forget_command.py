"""`clw forget` as a script meets it: exit statuses, keys, and words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clworkbench.loop.signals.inbox import find_files
from clworkbench.workspace import Workspace
from tests.audit.people import SETTINGS, record, write_lines


def clw(*words: str | Path) -> tuple[int, str, str]:
    code = "import sys; from clworkbench.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    return ran.returncode, ran.stdout, ran.stderr


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    Workspace.create(tmp_path / "w", settings=SETTINGS)
    export = write_lines(tmp_path / "w" / "inbox" / "export.jsonl", [record("ann", 0), record("bob", 0)])
    assert clw("ingest", export, "--source", "app", "--workspace", tmp_path / "w")[0] == 0
    return tmp_path / "w"


def test_a_person_is_forgotten_and_the_answer_is_one_object(place):
    status, said, _ = clw("forget", "--user", "ann@example.com", "--dry-run", "--json", "--workspace", place)
    assert (status, json.loads(said)["rows"]["interactions"], json.loads(said)["certificate"]) == (0, 1, None)
    status, said, told = clw("forget", "--user", "ann@example.com", "--json", "--workspace", place)
    answer = json.loads(said)
    assert status == 0
    assert (answer["rows"]["interactions"], answer["rows"]["feedback"], answer["rebuilt"]) == (1, 1, [])
    assert answer["certificate"] == str(place / "certificates" / "0001.json")
    assert {"tainted", "left", "champion", "removed"} < set(answer)
    assert told.split() == [
        "plan", "tables", "artefacts", "files", "annotators", "catalog", "verify", "compose", "vacuum", "certificate"
    ]  # fmt: skip
    assert clw("audit", place / "certificates" / "0001.json", "--workspace", place)[0] == 0
    assert [path.name for path in find_files([place])] == ["export.jsonl"]


def test_nothing_to_forget_is_status_1_and_wrong_words_are_status_2(place):
    status, said, _ = clw("forget", "--user", "nobody", "--workspace", place)
    assert (status, said.strip()) == (1, "nothing to forget: no row matches, and there is no certificate of nothing.")
    for words, why in (
        (("--where", "1 = 1"), "all 2 interactions match"),
        (("--where", "nothing ="), "expression"),
        (("--user", "ann", "--as-of", "2026-01-01"), "--as-of goes with --retention"),
    ):
        status, said, told = clw("forget", *words, "--workspace", place)
        assert (status, said, why in told, "Traceback" in told) == (2, "", True, False), (words, told)
    assert not (place / "certificates").exists()
