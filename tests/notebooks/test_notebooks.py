"""Every notebook runs on a tiny workspace in both forms, its copy is up to date, and it keeps to the house's rules."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from clworkbench.records import notebooks
from tests.notebooks.places import as_parameters, end_server, only_reads, place_for

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
MOST_SECONDS = 30.0
"""CPU seconds of a notebook: each takes 5 to 17, which a crowded machine nearly doubles; the goal is two minutes."""

each_notebook = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
each_running = pytest.mark.parametrize("source", as_parameters(SOURCES), ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def ended_server(tmp_path: Path) -> Iterator[None]:
    yield
    end_server(tmp_path)


def copy_of(source: Path) -> Path:
    return source.parent / "jupyter" / f"{source.stem}.ipynb"


def run(words: list[object], place: Path) -> float:
    """Runs a command; returns the CPU seconds that it and its kernel took, on a busy machine nearly the same."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run([*map(str, words)], cwd=place, env=os.environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime


def test_there_are_notebooks_and_no_copy_without_its_source():
    assert SOURCES
    assert sorted(p.stem for p in (ROOT / "notebooks" / "jupyter").glob("*.ipynb")) == [s.stem for s in SOURCES]


@each_notebook
def test_the_jupyterlab_copy_is_what_the_source_gives(source):
    assert copy_of(source).read_text() == notebooks.as_text(notebooks.jupyter(source.read_text(), str(source))), (
        "run `make notebooks`"
    )


@each_notebook
def test_the_copy_is_a_valid_notebook_without_outputs_that_does_not_know_marimo(source):
    notebook = nbformat.read(copy_of(source), as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert [cell.source for cell in code if re.search(r"\bmo\.|marimo", cell.source)] == []


@each_notebook
def test_it_begins_with_title_and_settings_and_ends_with_what_to_do_next(source):
    cells = notebooks.cells(source.read_text(), str(source))
    assert cells[0].kind == "markdown"
    assert cells[0].text.startswith("# ")
    assert "**Reads**" in cells[0].text
    assert "**Writes**" in cells[0].text
    assert "WORKSPACE" in notebooks.constants(cells[1].text)
    assert cells[-1].kind == "markdown"
    assert "next" in cells[-1].text.splitlines()[0]


@each_notebook
def test_cells_hold_calls_and_prose_only(source):
    code = [cell.text for cell in notebooks.cells(source.read_text(), str(source)) if cell.kind == "code"]
    assert "mo.ui" not in source.read_text()
    assert [text for text in code if re.search(r"^\s*(def|class|for|while|try|with)\b|\blambda\b", text, re.M)] == []


@each_running
def test_it_runs_as_a_marimo_script(source, tiny_workspace, tmp_path):
    place = place_for(source, tiny_workspace, tmp_path)
    told = notebooks.with_settings(source.read_text(), {"WORKSPACE": str(place)})
    (tmp_path / source.name).write_text(told)
    before = contents(place)
    assert run([sys.executable, tmp_path / source.name], tmp_path) < MOST_SECONDS
    assert (contents(place) == before) == only_reads(source)


@each_running
def test_it_runs_as_a_jupyter_notebook(source, tiny_workspace, tmp_path):
    command = "from clworkbench.cli import main; main()"
    place = place_for(source, tiny_workspace, tmp_path)
    words = ["record", copy_of(source), "--workspace", place, "--out", tmp_path / "records", "--texts"]
    took = run([sys.executable, "-c", command, *words], tmp_path)
    assert took < MOST_SECONDS
    executed = json.loads(next((tmp_path / "records").glob(f"*/{source.stem}.ipynb")).read_text())
    code = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


def contents(folder: Path) -> set[str]:
    """What a notebook that only reads leaves as it was; SQLite's own files beside the catalog come and go."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.name.startswith("catalog.db-")}
