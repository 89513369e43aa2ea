"""The demo's workspace for a notebook: found where it is, or made by playing the desk story."""

import json
from pathlib import Path

from clworkbench.demo.story import Say
from clworkbench.workspace import Workspace


def open_desk(place: str | Path, *, seed: int = 0, say: Say = print) -> Workspace:
    """Opens a workspace; where there is none, or a desk story that was interrupted, the story is played to its end.

    A relative `place` is looked for in the folder at hand and those above it, and is made above `notebooks/`, so that
    both front ends meet at one place, wherever their kernels were started.

    Args:
        place: the workspace; your own is opened as it is.
        seed: of the story.
        say: told what happens while it is played, about a quarter of an hour long.
    """
    home = found(Path(place))
    if not (home / "catalog.db").exists() or _interrupted(home):
        from clworkbench.demo.desk import play_desk

        play_desk(home, seed=seed, say=say)
    return Workspace(home)


def _interrupted(home: Path) -> bool:
    """Whether a desk story was begun there and its page, which is written last, is missing."""
    story = home / "story.json"
    is_desk = story.exists() and json.loads(story.read_text())["story"] == "desk"
    return is_desk and not (home / "index.html").exists()


def found(place: Path) -> Path:
    """Where a workspace of this name is, or is to be made: beside `notebooks/`, wherever a kernel was started."""
    here = Path.cwd()
    folders = [here, *here.parents]
    homes = [folder.parent for folder in folders if folder.name == "notebooks"]
    there = [folder / place for folder in folders if (folder / place / "catalog.db").exists()]
    return (there or [home / place for home in homes] or [here / place])[0]
