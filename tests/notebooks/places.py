"""On which workspace a notebook is tried."""

import json
from pathlib import Path
from shutil import copytree

import pytest

from clworkbench.demo.exports import exports, open_exports
from clworkbench.demo.governed import open_governed
from clworkbench.demo.labelled import open_labelled
from clworkbench.labels.server.home import Home
from clworkbench.labels.server.process import stop
from clworkbench.loop.data import freeze_suite
from clworkbench.workspace import Workspace
from tests.tiny_workspace import HOSTILE, question

OWN = {
    "01_ingest": lambda place: open_exports(place, exports()),
    "02_explore_and_select": open_labelled,
    "03_label": open_labelled,
    "08_govern": open_governed,
}
"""Notebooks that write into a workspace of their own, and what makes it."""

MEASURING = ("06_evaluate", "07_compare_and_release")
"""Notebooks that score models: their copy has a suite with an example more, on which nothing was scored yet."""

COPIED = ("04_training_set", "05_train", *MEASURING)
"""Notebooks that write into a workspace in which the loop has gone round: each gets a copy of its own."""

SERVING = ("03_label",)
"""Notebooks that start the annotators' server, and leave it running."""


def as_parameters(sources: list[Path]) -> list[object]:
    """Notebooks to be tried one by one, those that start the annotators' server marked so."""
    return [pytest.param(each, marks=pytest.mark.argilla if each.stem in SERVING else ()) for each in sources]


def only_reads(source: Path) -> bool:
    """Whether a notebook says that it leaves a workspace that is there as it was."""
    return "**Writes** nothing" in source.read_text()


def place_for(source: Path, tiny_workspace: Path, tmp_path: Path) -> Path:
    """The workspace that a notebook is tried on; its own where it writes."""
    if source.stem in COPIED:
        place = copytree(tiny_workspace, tmp_path / "w")
        return with_one_example_more(place) if source.stem in MEASURING else place
    return tiny_workspace if only_reads(source) else OWN[source.stem](tmp_path / "w").folder


def with_one_example_more(place: Path) -> Path:
    """The workspace with a new version of its suite, which has a hostile example as well."""
    hostile = {"id": "hostile", "input": HOSTILE + question(300), "expected": "refund", "slices": ["rest"]}
    lines = (place / "suite.jsonl").read_text() + json.dumps(hostile) + "\n"
    (place / "suite.jsonl").write_text(lines)
    freeze_suite(Workspace(place), "main", place / "suite.jsonl")
    return place


def end_server(tmp_path: Path) -> None:
    """Ends the annotators' server that a notebook has left in the workspace of its own, if it has."""
    stop(Home.of(tmp_path / "w"))
