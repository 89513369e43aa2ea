"""The demo's workspace is found from wherever a notebook's kernel was started."""

import json

import pytest

from clworkbench.demo.opening import _interrupted, found, open_desk
from clworkbench.workspace import Workspace


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    (tmp_path / "notebooks" / "jupyter").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("here", [".", "notebooks", "notebooks/jupyter"])
def test_a_workspace_isfound_in_the_folder_at_hand_and_above(home, monkeypatch, here):
    made = Workspace.create(home / "demo")
    monkeypatch.chdir(home / here)
    assert open_desk("demo").folder == made.folder
    assert open_desk(home / "demo").folder == made.folder


@pytest.mark.parametrize("here", [".", "notebooks", "notebooks/jupyter"])
def test_a_new_one_goes_above_the_notebooks(home, monkeypatch, here):
    monkeypatch.chdir(home / here)
    from pathlib import Path

    assert found(Path("demo")) == home / "demo"


@pytest.mark.parametrize(
    ("story", "page", "wants"), [("desk", False, True), ("desk", True, False), ("other", False, False)]
)
def test_a_desk_story_without_its_page_was_interrupted(home, story, page, wants):
    (home / "story.json").write_text(json.dumps({"story": story}))
    if page:
        (home / "index.html").touch()
    assert _interrupted(home) is wants
