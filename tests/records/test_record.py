"""A record holds the executed notebook, its page and its manifest, and no production texts unless asked for."""

import hashlib
import json
import os
import re
import subprocess
import sys
from html import unescape
from importlib.metadata import version
from pathlib import Path

import pytest

from clworkbench.workspace import Workspace
from tests.tiny_workspace import question

SHOWS = """\
import marimo

app = marimo.App()


@app.cell
def _(mo):
    mo.md("# Title")
    return


@app.cell
def _():
    WORKSPACE = "demo"
    SEED = 0
    return SEED, WORKSPACE


@app.cell
def _(SEED, WORKSPACE):
    import clworkbench as clw

    workspace = clw.Workspace(WORKSPACE)
    signals = workspace.signals()
    print("seed", SEED)
    return clw, signals, workspace


@app.cell
def _(signals):
    signals.select("text")
    return


@app.cell
def _(clw, workspace):
    clw.look(workspace).plot()
    return
"""


def record(notebook: Path, workspace: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from clworkbench.cli import main; main()", "record", notebook]
    return subprocess.run(
        [*map(str, command), "--workspace", str(workspace), *map(str, words)],
        capture_output=True,
        text=True,
        cwd=notebook.parent,
        env=os.environ,
        check=False,
    )


@pytest.fixture(scope="module")
def notebook(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("notebook") / "shows.py"
    path.write_text(SHOWS)
    return path


@pytest.fixture(scope="module")
def kept(notebook, tiny_workspace, tmp_path_factory):
    ran = record(notebook, tiny_workspace, "--set", "SEED=5", "--out", tmp_path_factory.mktemp("out"), "--json")
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    return answer, Path(answer["record"])


def test_a_record_is_the_executed_notebook_its_page_and_a_manifest(kept):
    _, folder = kept
    assert folder.name.startswith("shows-2")
    assert sorted(path.name for path in folder.iterdir()) == ["clw.toml", "manifest.json", "shows.html", "shows.ipynb"]
    executed = json.loads((folder / "shows.ipynb").read_text())
    assert "SEED = 5" in "".join(executed["cells"][1]["source"])
    assert executed["cells"][2]["outputs"][0]["text"] == ["seed 5\n"]


def test_the_manifest_says_what_it_was_made_from(kept, notebook, tiny_workspace):
    answer, folder = kept
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest == {key: value for key, value in answer.items() if key != "record"}
    assert manifest["settings"]["SEED"] == 5
    assert manifest["source_sha256"] == hashlib.sha256(notebook.read_bytes()).hexdigest()
    workspace = Workspace(tiny_workspace)
    assert set(manifest["artefacts"]) == {m["id"] for m in workspace.catalog.artefacts()}
    assert manifest["tables"]["interactions"] == 64
    assert manifest["packages"]["polars"] == version("polars")
    page = (folder / "shows.html").read_bytes()
    assert manifest["files"]["shows.html"] == hashlib.sha256(page).hexdigest()


def test_the_page_draws_the_figure_and_fetches_nothing(kept):
    _, folder = kept
    page = (folder / "shows.html").read_text()
    assert "Plotly.newPlot" in page
    outside_scripts = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"", outside_scripts) == []
    assert re.findall(r"<script[^>]+src=", page[: page.index("<body")]) == []


def test_production_texts_stay_out_unless_they_are_asked_for_and_a_record_lies_in_the_workspace(
    kept, notebook, tiny_workspace
):
    answer, folder = kept
    assert (answer["texts"], answer["withheld"]) == (False, 1)
    for path in folder.iterdir():
        text = unescape(path.read_text())
        assert question(3)[:24] not in text
        assert "quotes production" in text or path.name in ("clw.toml", "manifest.json")
    open_one = json.loads(record(notebook, tiny_workspace, "--texts", "--json").stdout)
    assert (open_one["texts"], open_one["withheld"]) == (True, 0)
    assert Path(open_one["record"]).parent == tiny_workspace / "records"
    assert question(3)[:24] in unescape(Path(open_one["record"], "shows.html").read_text())


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        (SHOWS, ["--set", "SED=1"], "no setting 'SED'"),
        (SHOWS, ["--set", "SEED"], "no NAME=VALUE"),
        (SHOWS, ["--workspace", "nowhere"], "no workspace here"),
        ("x = 1\n", [], "no cell of a marimo notebook"),
        (SHOWS.replace('"text"', '"txt"'), [], "cell 4 failed: ColumnNotFoundError"),
        (None, [], "not there"),
    ],
)
def test_what_goes_wrong_is_said_in_words_and_leaves_no_record(tiny_workspace, tmp_path, text, words, says):
    notebook = tmp_path / "bad.py"
    if text:
        notebook.write_text(text)
    ran = record(notebook, tiny_workspace, "--out", tmp_path / "out", *words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list((tmp_path / "out").glob("*")) == []
