"""Pushing to the real server, what stands there then, and taking it back."""

import json
from typing import NamedTuple

import polars as pl
import pytest

from clworkbench.errors import LabelError
from clworkbench.labels.argilla import Address, connect
from clworkbench.loop import ask
from clworkbench.loop.answers import pull
from clworkbench.workspace import Workspace
from tests.conftest import ArgillaServer
from tests.loop.asking import Asking, make

pytestmark = pytest.mark.argilla


class Served(NamedTuple):
    """What people are asked, and the server where they are."""

    asking: Asking
    server: ArgillaServer

    @property
    def workspace(self) -> Workspace:
        return self.asking.workspace

    @property
    def name(self) -> str:
        return f"{self.asking.team}-review"

    def push(self, **more):
        return ask.push(self.workspace, self.name, **more)

    def argilla(self):
        return connect(Address(self.server.url, self.server.api_key, embedded=True))

    def there(self):
        """The records that stand there, by the source's own id of the signal."""
        with self.argilla() as found:
            if (dataset := found.find(self.name, self.asking.team)) is None:
                return {}
            page = found.http.get(f"/api/v1/datasets/{dataset.id}/records", params={"limit": 100}).json()
        own = {interaction: source for source, interaction in self.asking.ids().items()}
        return {own[each["external_id"]]: each for each in page["items"]}

    def answer(self, source_id, **values):
        """The owner answers a record."""
        record = self.there()[source_id]
        body = {"status": "submitted", "values": {name: {"value": value} for name, value in values.items()}}
        with self.argilla() as found:
            assert found.http.post(f"/api/v1/records/{record['id']}/responses", json=body).status_code == 201


@pytest.fixture
def served(workspace, argilla_server, monkeypatch) -> Served:
    monkeypatch.setenv("ARGILLA_API_URL", argilla_server.url)
    monkeypatch.setenv("ARGILLA_API_KEY", argilla_server.api_key)
    return Served(make(workspace), argilla_server)


def test_candidates_arrive_with_what_a_person_needs_and_without_personal_data(served):
    found = served.push()
    assert (found.pushed, found.known, found.left_out) == (5, 0, {})
    there = served.there()
    assert sorted(there) == ["five", "four", "one", "three", "two"]
    one = there["one"]
    assert one["fields"]["answer"] == "It &lt;b>left&lt;/b> &amp; comes."
    (message,) = one["fields"]["conversation"]
    assert message["role"] == "user"
    assert message["content"].startswith("Where is my card? I am ")
    assert one["metadata"]["slice"] == ["cards"]
    assert one["metadata"]["model"] == "m1"
    assert "failure" in one["metadata"]["reasons"]
    assert "jo@example.com" not in json.dumps(there)
    assert "secret person" not in json.dumps(there)
    with served.argilla() as argilla:
        assert argilla.find(served.name, served.asking.team).guidelines == "# How to"


def test_pushing_twice_adds_nothing_and_what_was_asked_is_kept_with_its_candidate(served):
    found = served.push()
    assert repr(found) == f"Pushed({served.name}: 5 new, 0 known)"
    assert set(found.as_dict()) >= {"pushed", "known", "batch_id", "url"}
    assert "first" not in found.as_dict()
    again = served.push()
    assert (again.pushed, again.known, again.batch_id) == (0, 5, None)
    assert len(served.there()) == 5
    (served.workspace.folder / "guide.md").write_text("# How to do it better\n")
    assert served.push().pushed == 0
    with served.argilla() as argilla:
        assert argilla.find(served.name, served.asking.team).guidelines == "# How to do it better"
    rows = served.workspace.read("asked")
    assert rows["batch_id"].to_list() == [found.batch_id] * 5
    assert rows["state"].to_list() == ["asked"] * 5
    assert rows.join(served.workspace.read("candidates"), on=["candidate_id", "interaction_id"]).height == 5


@pytest.mark.slow
def test_a_number_goes_on_where_the_last_push_ended_the_most_urgent_first(served):
    first = served.push(n=2)
    assert first.pushed == 2
    assert served.push(n=2).pushed == 2
    assert [served.push(n=2).pushed, served.push(n=2).pushed] == [1, 0]
    assert len(served.there()) == 5
    urgent = served.workspace.read("candidates").sort("priority", descending=True)["interaction_id"].head(2)
    rows = served.workspace.read("asked").filter(pl.col("batch_id") == first.batch_id)
    assert set(rows["interaction_id"]) == set(urgent)


def test_a_push_that_was_killed_before_it_was_noted_is_completed_by_the_same_command(served, monkeypatch):
    class Killed(Exception):
        pass

    def killed(*_args, **_more):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(type(served.workspace), "write_batch", killed)
        with pytest.raises(Killed):
            served.push()
    assert len(served.there()) == 5
    assert served.workspace.read("asked").height == 0
    assert served.push().pushed == 5
    assert len(served.there()) == 5
    assert served.workspace.read("asked").height == 5


def test_a_push_can_be_taken_back_but_for_what_was_answered_and_pushed_anew(served):
    batch = served.push().batch_id
    served.answer("one", answer="reject")
    found = ask.undo(served.workspace, batch)
    assert (found.taken, found.answered) == (4, 1)
    assert sorted(served.there()) == ["one"]
    again = served.push()
    assert (again.pushed, again.known) == (4, 1)
    assert len(served.there()) == 5
    rest = ask.undo(served.workspace, batch, answered=True)
    assert (rest.taken, rest.answered) == (1, 0)
    assert ask.undo(served.workspace, again.batch_id).taken == 4
    assert served.there() == {}


@pytest.mark.slow
def test_undo_knows_its_pushes(served):
    with pytest.raises(LabelError, match=r"no push 'x'\. There: none yet"):
        ask.undo(served.workspace, "x")
    batch = served.push().batch_id
    with pytest.raises(LabelError, match=rf"There: {batch} \({served.name}\)"):
        ask.undo(served.workspace, "x")


def test_of_a_data_set_that_was_deleted_only_what_nobody_answered_is_asked_again(served):
    served.push()
    served.answer("one", answer="accept", improvement="It comes on Monday, jo.")
    pull(served.workspace, served.name)
    with served.argilla() as found:
        dataset = found.find(served.name, served.asking.team)
        found.call("DELETE", f"datasets/{dataset.id}", type(None))
    again = served.push()
    assert (again.pushed, again.known) == (4, 1)
    assert "one" not in served.there()


def test_a_server_that_is_down_is_told_and_nothing_is_noted(served, monkeypatch):
    monkeypatch.setenv("ARGILLA_API_URL", "http://127.0.0.1:9")
    with pytest.raises(LabelError, match="nobody answers there"):
        served.push()
    assert served.workspace.read("asked").height == 0


def test_an_annotator_joins_the_only_team_and_the_password_lies_in_the_home(served):
    made = ask.add_annotator(served.workspace, f"{served.name}-nora")
    assert made.team == served.asking.team
    assert made.password_file == served.workspace.folder / "argilla" / "annotators" / f"{served.name}-nora"
    served.asking.also('[labels.ask.more]\nteam = "others"\n')
    with pytest.raises(LabelError, match=r"which team\?"):
        ask.add_annotator(served.workspace, "other")
