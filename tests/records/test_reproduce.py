"""A record is run again on the workspace as it stood then, and `clw diff` says what differs between two."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clworkbench.errors import NotebookError
from clworkbench.loop.data import freeze_suite, import_labels
from clworkbench.records.diff import diff
from clworkbench.records.outputs import differing, shows
from clworkbench.records.record import record
from clworkbench.records.reproduce import reproduce
from clworkbench.workspace import Workspace
from clworkbench.workspace.rewind import rewind
from tests.tiny_workspace import write_lines

BUILDS = """\
import marimo

app = marimo.App()


@app.cell
def _(mo):
    mo.md("# Title")
    return


@app.cell
def _():
    WORKSPACE = "demo"
    WITH = 0.1
    return WITH, WORKSPACE


@app.cell
def _(WITH, WORKSPACE):
    import clworkbench as clw

    workspace = clw.Workspace(WORKSPACE)
    made = clw.build(workspace, "again")
    print(workspace.folder, made.id, WITH)
    return clw, made, workspace


@app.cell
def _(workspace):
    workspace.signals().height, sorted(str(m["id"]) for m in workspace.catalog.artefacts())
    return
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("notebook") / "builds.py"
    path.write_text(BUILDS)
    return path


@pytest.fixture(scope="module")
def kept(played, notebook) -> Path:
    return record(played, notebook).folder


def test_a_record_comes_out_the_same_though_the_workspace_went_on_since(played, kept, clw):
    before = sorted(str(m["id"]) for m in played.catalog.artefacts())
    assert any(each.startswith("training_set:again@") for each in before)
    later = [{"id": "later", "input": "a later one", "expected": "refund"}]
    freeze_suite(played, "later", write_lines(played.folder / "later.jsonl", later))
    artefacts = sorted(str(m["id"]) for m in played.catalog.artefacts())
    ran = clw("reproduce", kept, "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout) == {"record": str(kept), "same": True, "differences": [], "may": []}
    assert sorted(str(m["id"]) for m in played.catalog.artefacts()) == artefacts
    assert list(played.folder.glob(".*.partial")) == []


def test_other_results_are_named_with_both_sides_and_known_reasons(kept, clw, tmp_path):
    forged = tmp_path / kept.name
    shutil.copytree(kept, forged)
    manifest = json.loads((forged / "manifest.json").read_text())
    made = next(each for each in manifest["artefacts"] if each.startswith("training_set:again@"))
    manifest["artefacts"][made] = "0" * 64
    manifest["packages"]["polars"] = "0.1"
    (forged / "manifest.json").write_text(json.dumps(manifest))
    ran = clw("reproduce", forged)
    assert ran.returncode == 1, ran.stderr
    assert f"artefact {made}" in ran.stdout
    assert "recorded  " + "0" * 64 in ran.stdout
    assert "why it may: packages changed: polars 0.1 → " in ran.stdout


def test_a_changed_or_foreign_record_is_refused_in_words(played, kept, tmp_path):
    changed = tmp_path / kept.name
    shutil.copytree(kept, changed)
    page = changed / "builds.ipynb"
    page.write_text(page.read_text().replace("64", "65"))
    with pytest.raises(NotebookError, match=r"changed or missing since it was recorded: builds\.ipynb"):
        reproduce(played, changed)
    with pytest.raises(NotebookError, match="no record there"):
        reproduce(played, tmp_path / "nowhere")
    other = Workspace.create(tmp_path / "other")
    with pytest.raises(NotebookError, match="a record of another workspace"):
        reproduce(other, kept)


def test_diff_of_two_records_names_settings_data_and_results(played, notebook, kept):
    second = record(played, notebook, given={"WITH": "0.2"}).folder
    found = diff(played, kept, second)
    told = {(each.heading, each.what): (each.first, each.second) for each in found.changes}
    assert told["settings", "settings.WITH"] == ("0.1", "0.2")
    assert any(heading == "results" and what == "code cell 2" for heading, what in told)
    assert diff(played, kept, kept).lines()[0].endswith("no changes")


def test_diff_of_two_runs_says_in_what_they_were_trained_otherwise(played, clw):
    runs = [str(manifest["id"]) for manifest in played.catalog.artefacts("run")]
    ran = clw("diff", runs[0], runs[-1], "--json")
    assert ran.returncode == 0, ran.stderr
    changes = json.loads(ran.stdout)["changes"]
    steps = [each for each in changes if each["what"].endswith("steps")]
    assert {(each["first"], each["second"]) for each in steps} >= {("25", "1")}


def test_times_random_ids_and_the_place_of_a_workspace_do_not_count():
    def cell(text: str) -> dict[str, object]:
        return {"cell_type": "code", "outputs": [{"output_type": "stream", "name": "stdout", "text": [text]}]}

    first, second = cell("/a/demo: 12.5 s, 7 rows at 0x7f00aa12"), cell("/b/x: 3 s, 7 rows at 0x7f11bb34")
    assert differing([first], [second], ("/a/demo", "/b/x")) == []
    (found,) = differing([first], [cell("/b/x: 3 s, 8 rows at 0x7f11bb34")], ("/a/demo", "/b/x"))
    assert found.what == "code cell 1"
    assert ("7 rows" in found.first, "8 rows" in found.second) == (True, True)
    assert shows(cell("n = 7")) == "n = 7"


def test_a_copy_of_a_moment_holds_what_counted_then_and_leaves_the_workspace_alone(played, tmp_path):
    at, tables = datetime.now(UTC), played.counts()
    artefacts = [manifest["id"] for manifest in played.catalog.artefacts()]
    labels = tmp_path / "labels.jsonl"
    signal = played.signals()["interaction_id"][0]
    labels.write_text(json.dumps({"interaction_id": signal, "value": "accept", "annotator": "ann"}) + "\n")
    import_labels(played, labels)
    now = played.counts()
    assert now["labels"] == tables["labels"] + 1
    copy = rewind(played, tmp_path / "copy", at=at, settings=(played.folder / "clw.toml").read_bytes())
    assert copy.counts() == tables
    assert [manifest["id"] for manifest in copy.catalog.artefacts()] == artefacts
    import_labels(copy, labels)  # the same batch again: its rows count once
    assert copy.counts() == now
    assert played.counts() == now
    said = ("label_id", "interaction_id", "value")
    assert copy.labels().select(said).equals(played.labels().select(said))
