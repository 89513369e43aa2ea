"""`clw` as a script and a person use it: one JSON object, exit statuses, errors in words and never a traceback."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CLW = [sys.executable, "-c", "from clworkbench.cli import main; main()"]


@pytest.fixture
def clw(tmp_path):
    environment = os.environ | {"CLW_CONFIG": str(tmp_path / "config"), "CLW_WORKSPACE": str(tmp_path / "w")}

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [*CLW, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)

    return run


def chats(path: Path, n: int = 3) -> Path:
    messages = [{"role": "user", "content": "Where is my card?"}, {"role": "assistant", "content": "card_arrival"}]
    path.write_text("".join(json.dumps({"id": f"c{i}", "messages": messages}) + "\n" for i in range(n)))
    return path


def test_init_ingest_and_status_as_a_newcomer_types_them(clw, tmp_path):
    made = clw("init", "w")
    assert made.returncode == 0
    assert "clw ingest" in made.stdout
    found = clw("status")
    assert "clw ingest PATH" in found.stdout
    told = clw("ingest", chats(tmp_path / "a.jsonl"), "--source", "auto")
    assert told.stdout.splitlines()[:2] == [
        "  a.jsonl: read as openai (a JSON object with messages), 3 records",
        "3 records = 3 new + 0 known + 0 skipped + 0 quarantined",
    ]
    assert "ingest feedback" in clw("status").stdout


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["status"], {"tables", "champion", "spent", "next"}),
        (
            ["ingest", "a.jsonl"],
            {"records", "new", "known", "skipped", "quarantined", "tables", "batch_ids", "fidelity"},
        ),
        (["select", "--n", "2"], {"candidates", "by_reason"}),
        (["lineage", "c1"], {"id", "kind", "up", "down"}),
    ],
)
def test_json_is_exactly_one_object_with_the_promised_keys(clw, tmp_path, words, keys):
    clw("init", "w")
    chats(tmp_path / "a.jsonl")
    clw("ingest", "a.jsonl")
    found = clw(*words, "--json")
    assert found.returncode == 0, found.stderr
    assert keys <= set(json.loads(found.stdout))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["status"], "no workspace here"),
        (["status", "--workspace", "nowhere"], "clw init"),
        (["ingst"], "No such command"),
        (["train"], "Missing argument"),
        (["demo", "--story", "banking77", "--data", "nowhere"], "not there"),
        (["demo", "--story", "banking77"], "--data"),
        (["select", "--as-of", "yesterday"], "is no time"),
    ],
)
def test_a_mistake_is_told_on_standard_error_with_status_2(clw, words, says):
    found = clw(*words)
    assert found.returncode == 2
    assert says in found.stderr
    assert found.stdout == ""
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ingest", "missing.jsonl"], "missing.jsonl: not there"),
        (["ingest", "a.jsonl", "--source", "opnai"], "Did you mean 'openai'"),
        (["train", "main"], "no training set 'main'"),
        (["eval", "run:x", "--suite", "s"], "no run"),
        (["eval", "nothing", "--suite", "s"], "nothing"),
        (["gate", "run:x"], "no run 'x'"),
        (["gate"], "name the challenger"),
        (["release", "run:x"], "no run"),
        (["rollback"], "nothing to roll back to"),
        (["lineage", "x"], "clw status"),
        (["build", "main"], "no settled, corrected or labelled signal"),
        (["build", "main", "--where", "txt = 'x'"], "text"),
        (["suite", "s", "missing.jsonl"], "missing.jsonl"),
        (["label", "import", "missing.csv"], "missing.csv"),
        (["suite", "../../s", "suite.jsonl"], "cannot be a name"),
    ],
)
def test_each_verb_says_what_was_found_and_the_way_out(clw, tmp_path, words, says):
    clw("init", "w")
    clw("ingest", chats(tmp_path / "a.jsonl"))
    (tmp_path / "suite.jsonl").write_text('{"input": "Why?", "expected": "because"}\n')
    found = clw(*words)
    assert found.returncode == 2, (found.stdout, found.stderr)
    assert says in found.stderr
    assert "Traceback" not in found.stderr


def test_a_csv_without_the_mapped_column_names_the_columns_it_has(clw, tmp_path):
    clw("init", "w")
    settings = tmp_path / "w" / "clw.toml"
    source = '\n[sources.t]\nformat = "mapping"\ncolumns = { question = "input", answer = "output" }\n'
    settings.write_text(settings.read_text() + source)
    (tmp_path / "t.csv").write_text("quesion,answer\nwhy,because\n")
    found = clw("ingest", "t.csv", "--source", "t")
    assert found.returncode == 2
    assert "quesion" in found.stderr
    assert "question" in found.stderr


def test_ctrl_c_ends_in_words_with_status_2_and_the_same_command_goes_on(clw, tmp_path):
    clw("init", "w")
    slow = (
        "import time; from clworkbench.loop.signals import capture\n"
        "from clworkbench.signals import cores\n"
        "cores.STEP, real = 100, capture.read_on_cores\n"
        "def read(*args, **more):\n"
        "    for chunk in real(*args, **more):\n"
        "        print('reading', flush=True); time.sleep(0.3); yield chunk\n"
        "capture.read_on_cores = read\n"
        "from clworkbench.cli import main; main()"
    )
    environment = os.environ | {"CLW_CONFIG": str(tmp_path / "config"), "CLW_WORKSPACE": str(tmp_path / "w")}
    command = [sys.executable, "-c", slow, "ingest", str(chats(tmp_path / "a.jsonl", 50))]
    pipe = subprocess.PIPE
    running = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)
    assert running.stdout.readline() == "reading\n"
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate()
    assert running.returncode == 2
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    found = json.loads(clw("ingest", "a.jsonl", "--json").stdout)
    assert found["records"] == found["new"] + found["known"] == 50
    assert json.loads(clw("status", "--json").stdout)["tables"]["interactions"] == 50


def test_a_full_disk_is_told_in_words_and_the_same_command_goes_on_when_there_is_room(clw, tmp_path):
    clw("init", "w")
    texts = [{"id": f"c{i}", "messages": [{"role": "assistant", "content": os.urandom(900).hex()}]} for i in range(600)]
    (tmp_path / "big.jsonl").write_text("".join(json.dumps(record) + "\n" for record in texts))
    environment = os.environ | {"CLW_CONFIG": str(tmp_path / "config"), "CLW_WORKSPACE": str(tmp_path / "w")}
    no_room = subprocess.run(
        [*CLW, "ingest", "big.jsonl", "--source", "openai"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)),
    )
    assert no_room.returncode == 2
    assert "could not be written" in no_room.stderr
    assert "Traceback" not in no_room.stderr
    assert json.loads(clw("status", "--json").stdout)["tables"]["interactions"] == 0
    assert json.loads(clw("ingest", "big.jsonl", "--source", "openai", "--json").stdout)["new"] == 600


def test_help_and_import_are_light():
    for code, most in (("import clworkbench", 0.5), ("import sys; sys.argv = ['clw', '--help']; " + CLW[-1], 1.0)):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < most
