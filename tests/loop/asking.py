"""A workspace with five signals that people are asked about, and the question sets of a team of its own."""

import secrets
from typing import NamedTuple

from clworkbench.loop import data
from clworkbench.loop.signals.capture import ingest
from clworkbench.workspace import Workspace
from tests.audit.people import write_lines

SETTINGS = """\
format = 1
[policy]
leaving = "patterns"
[sources.app]
format = "openai"
[outcomes]
corrected = {{ negative = "edited", positive = "accepted" }}
[slices]
cards = "text LIKE '%card%'"
[labels.ask.{team}-review]
team = "{team}"
guidelines = "guide.md"
[labels.ask.{team}-ranks]
asks = ["rank", "comment"]
team = "{team}"
[labels.ask.{team}-gold]
asks = ["accept"]
gold = 0.25
team = "{team}"
[labels.ask.{team}-cards]
asks = ["rate"]
where = "text LIKE '%card%'"
team = "{team}"
"""


def turn(own, asked, answered, *, model="m1", better=None, user="u"):
    """A question, its answer, and what somebody said of it."""
    verdict = {"name": "edited" if better else "accepted", "origin": "operator", "at": "2026-03-02T10:00:00Z"}
    return {
        "id": own,
        "created": "2026-03-02T09:00:00Z",
        "model": model,
        "user": user,
        "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}],
        "feedback": [verdict | ({"improvement": better} if better else {})],
    }


TURNS = [
    turn("one", "Where is my card? I am jo@example.com", "It <b>left</b> & comes.", better="It comes on Monday."),
    turn("two", "where is my card? I am jo@example.com!", "I do not know.", model="m2"),
    turn("three", "How much is it?", "Five.", user="secret person"),
    turn("four", "Is it safe?", "Yes.", better="Yes, it is."),
    turn("five", "Can I pay by card?", "Yes."),
]


class Asking(NamedTuple):
    """The workspace, and the team whose name its question sets begin with."""

    workspace: Workspace
    team: str

    def ids(self) -> dict[str, str]:
        """By the source's own id, ours."""
        return dict(self.workspace.signals().select("source_id", "interaction_id").iter_rows())

    def also(self, toml: str) -> None:
        """Adds to clw.toml."""
        file = self.workspace.folder / "clw.toml"
        file.write_text(file.read_text() + toml)


def make(workspace: Workspace) -> Asking:
    """Five signals, all of them candidates."""
    team = f"team{secrets.token_hex(4)}"
    (workspace.folder / "clw.toml").write_text(SETTINGS.format(team=team))
    (workspace.folder / "guide.md").write_text("# How to\n")
    write_lines(workspace.folder / "turns.jsonl", TURNS)
    ingest(workspace, workspace.folder / "turns.jsonl", "app")
    data.choose(workspace, 5)
    return Asking(workspace, team)
