"""The report that is mailed: whole, of one file, without a text of production or of a suite unless asked for."""

import json
import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.errors import ArtefactError, EvidenceError
from clworkbench.loop.data import freeze_suite
from clworkbench.loop.evals.scores import import_scores
from clworkbench.loop.evals.withdraw import withdraw_scores
from clworkbench.loop.releases.report import report
from clworkbench.loop.releases.ship import gate
from clworkbench.workspace import Workspace
from tests.loop.evals.test_scores import AFTER, BEFORE, rows
from tests.tiny_workspace import HOSTILE


class Elements(HTMLParser):
    """Every tag and address of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]


@pytest.fixture
def held(workspace, tmp_path):
    """A gate on a frozen suite with hostile questions and answers."""
    examples = [
        {"id": f"e{n}", "input": f"{HOSTILE} question number {n}", "expected": f"the answer {n}"} for n in range(80)
    ]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in examples))
    freeze_suite(workspace, "tickets", tmp_path / "s.jsonl")
    for model, scores in (("old", BEFORE), ("new", AFTER)):
        path = rows(tmp_path / f"{model}.jsonl", scores, scorer="exact_match", output=f"{model} said {HOSTILE}")
        import_scores(workspace, path, model=model, suite="tickets")
    return gate(workspace, "new", against="old")


def quoted(workspace) -> list[str]:
    """What people and models wrote, of signals, suites and scores, in the tables and files that hold it."""
    texts = workspace.read("scores")["output"].to_list()
    for suite in workspace.catalog.artefacts("suite"):
        examples = workspace.rows(str(suite["id"]))
        texts += examples["expected"].to_list()
        texts += examples["input"].explode().struct.field("content").to_list()
    signals = workspace.signals()
    for column in ("text", "answer", "improvement_text"):
        texts += signals[column].to_list()
    return [text for text in texts if text]


def test_no_text_of_any_signal_suite_or_answer_is_in_it(workspace, held):
    found = report(workspace, held.id)
    assert [text for text in quoted(workspace) if text in found.html] == []
    assert HOSTILE not in found.html
    assert "question number" not in found.html
    assert "owned" not in found.html


def test_of_a_real_turn_no_text_of_any_signal_is_in_it_and_lineage_is(tiny_workspace):
    place = Workspace(tiny_workspace)
    serves = place.catalog.champions()[-1][0]
    found = report(place, serves)
    shown = re.sub(r"<[^>]+>", " ", found.html)
    # "refund", "no idea" and ids apart, every text of this workspace has several words and a number.
    assert [text for text in quoted(place) if len(text) > 8 and text in found.html] == []
    training_set = next(p for p in place.catalog.parents(place.catalog.parents(serves)[-1]) if "training_set" in p)
    manifest = place.find("training_set", training_set)
    for told in (
        f"Released as {serves}, which serves now",
        f"training set: {training_set}",
        f"signals: {manifest['signals']}",
        "Left out on the way",
        "Limits",
        "McNemar",
    ):
        assert told in shown


def test_it_fetches_nothing_and_runs_nothing_and_is_small(workspace, held):
    for texts in (False, True):
        html = report(workspace, held.id, texts=texts).html
        page = Elements(html)
        assert page.tags & {"script", "iframe", "img", "object", "form", "embed"} == set()
        assert page.addresses == ["data:,"]
        assert "http" not in html.replace("http-equiv", "")
        assert "@import" not in html
        assert "url(" not in html
        assert len(html.encode()) < 200_000


def test_with_texts_they_stand_there_escaped(workspace, held):
    html = report(workspace, held.id, texts=True).html
    assert "question number" in html
    assert "&lt;script&gt;alert(&#x27;owned&#x27;)" in html
    assert "<script" not in html


def test_the_decision_comes_first_then_gates_wins_and_losses_lineage_limits_and_how(workspace, held):
    html = report(workspace, "new").html
    titles = ["The gates, and findings", "Wins and losses", "What the challenger learned from", "Limits"]
    assert re.findall("<h[12]>(.*?)</h[12]>", html) == [
        "Promote: new against old", *titles, "How it was measured",
    ]  # fmt: skip
    assert "28 wins, 0 losses, 52 ties" in html


def test_withdrawn_scores_are_the_first_thing_that_it_says(workspace, held):
    withdraw_scores(workspace, "new", why="graded with the wrong answers")
    html = report(workspace, held.id).html
    assert html.index("The scores of new on tickets") < html.index("The gates")
    assert "withdrawn on" in html


def test_of_what_was_never_gated_it_says_what_to_do(workspace, tmp_path):
    import_scores(workspace, rows(tmp_path / "a.jsonl", BEFORE), model="old", suite="tickets")
    with pytest.raises(EvidenceError, match=r"old: never held against another model. Run `clw gate old` first"):
        report(workspace, "old")
    with pytest.raises(ArtefactError, match="no gate 'none'"):
        report(workspace, "gate:none")


def test_the_command_writes_the_file_and_says_where(workspace, held, tmp_path):
    words = ["report", "new", "--out", str(tmp_path / "r.html"), "--workspace", str(workspace.folder), "--json"]
    told = CliRunner().invoke(clw, words)
    assert json.loads(told.stdout) == {
        "gate": held.id, "decision": "promote", "file": str(tmp_path / "r.html"), "texts": False,
    }  # fmt: skip
    assert (tmp_path / "r.html").read_text() == report(workspace, held.id).html


def test_many_slices_are_cut_and_counted(workspace, tmp_path):
    many = [{"example_id": f"e{n}", "score": n % 2, "team": f"t{n % 20}", "area": f"a{n % 18}", "kind": f"k{n % 19}",
             "line": f"l{n % 17}"} for n in range(400)]  # fmt: skip
    for model in ("old", "new"):
        text = "".join(json.dumps(row | {"score": float(model == "new")}) + "\n" for row in many)
        (tmp_path / f"{model}.jsonl").write_text(text)
        import_scores(workspace, tmp_path / f"{model}.jsonl", model=model, suite="s")
    html = report(workspace, gate(workspace, "new", against="old").id).html
    assert "and 15 slices more" in html
    assert len(html.encode()) < 400_000
