"""Pushing to the real server, what stands there then, and taking it back."""

import html
import json
from typing import NamedTuple

import polars as pl
import pytest

from clworkbench.audit.asked import asked
from clworkbench.audit.forget import forget
from clworkbench.errors import LabelError, LeaseError
from clworkbench.labels.argilla import Address, Dataset, connect
from clworkbench.labels.cards import Card
from clworkbench.loop import data
from clworkbench.loop.labels import ask
from clworkbench.loop.labels import asked as taking
from clworkbench.loop.labels.answers import pull
from clworkbench.loop.labels.asked import note, undo
from clworkbench.loop.labels.waiting import waiting
from clworkbench.loop.signals.capture import ingest
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now
from tests.audit.people import write_lines
from tests.conftest import ArgillaServer
from tests.loop.asking import Asking, make, turn

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

    def there(self, which="review"):
        """The records that stand there, by the source's own id of the signal."""
        with self.argilla() as found:
            if (dataset := found.find(f"{self.asking.team}-{which}", self.asking.team)) is None:
                return {}
            page = found.http.get(f"/api/v1/datasets/{dataset.id}/records", params={"limit": 100}).json()
        own = {interaction: source for source, interaction in self.asking.ids().items()}
        return {own[each["external_id"]]: each for each in page["items"]}

    def answer(self, source_id, which="review", **values):
        """The owner answers a record."""
        record = self.there(which)[source_id]
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
    rows = served.workspace.asked(served.name)
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


class Killed(Exception):
    """Stands for a kill: the records are written, and nothing comes after them."""


def killed(*_progress):
    raise Killed


def shown(record):
    """The answers that a record sets beside each other, in their order, as they were before they were escaped."""
    names = sorted(name for name in record["fields"] if name.startswith("answer_"))
    return [html.unescape(record["fields"][name]) for name in names]


def another_model_answers(served):
    turns = [turn(f"more{n}", "where is my card? I am jo@example.com!", f"Ask {n}.", model=f"m{n}") for n in (3, 4)]
    ingest(served.workspace, write_lines(served.workspace.folder / "more.jsonl", turns), "app")
    data.choose(served.workspace, 9)


def test_an_interrupted_push_is_completed_with_the_answers_it_showed_and_its_answers_mean_them(served):
    which = f"{served.asking.team}-ranks"
    with pytest.raises(Killed):
        ask.push(served.workspace, which, advance=killed)
    begun = {own: shown(record) for own, record in served.there("ranks").items()}
    assert set(begun) == {"one", "two", "four"}
    assert set(served.workspace.asked(which)["state"]) == {"pushing"}
    assert waiting(served.workspace) == {}
    for own in begun:
        ranks = [{"value": "answer_1", "rank": 1}, {"value": "answer_2", "rank": 2}]
        served.answer(own, "ranks", ranking=ranks)
    assert pull(served.workspace, which).new == 3
    another_model_answers(served)
    again = ask.push(served.workspace, which)
    there = {own: shown(record) for own, record in served.there("ranks").items()}
    assert {own: there[own] for own in begun} == begun
    assert len(there) == again.pushed > len(begun)
    assert waiting(served.workspace) == {which: again.pushed - len(begun)}
    assert pull(served.workspace, which, whole=True).new == 0
    signals = served.workspace.signals()
    text = dict(signals.select("interaction_id", "answer").iter_rows())
    better = dict(signals.select("interaction_id", "improvement_text").iter_rows())
    source = {interaction: own for own, interaction in served.asking.ids().items()}
    for row in served.workspace.labels().filter(pl.col("question") == "ranking").iter_rows(named=True):
        ids = [option for (option,) in json.loads(row["value"])]
        said = [better[row["interaction_id"]] if option == "improvement" else text[option] for option in ids]
        assert said == begun[source[row["interaction_id"]]]


def test_a_record_that_stands_unnoted_with_other_answers_is_left_alone_and_told(served):
    which = f"{served.asking.team}-ranks"
    ask.push(served.workspace, which)
    one = served.there("ranks")["one"]
    with served.argilla() as argilla:
        changed = one["fields"] | {"answer_1": "something else"}
        items = [{"external_id": one["external_id"], "fields": changed}]
        argilla.http.put(f"/api/v1/datasets/{one['dataset_id']}/records/bulk", json={"items": items})
    rows = served.workspace.asked(which).filter(pl.col("interaction_id") == one["external_id"])
    frame = rows.drop("seq", "batch_id").with_columns(state=pl.lit("undone"))
    served.workspace.write_batch("undone-without-a-server", "unask", {"asked": frame})
    found = ask.push(served.workspace, which)
    assert (found.pushed, found.left_out) == (
        0,
        {"fewer than 2 different answers to compare": 2, "stands in Argilla already, and shows other answers": 1},
    )
    assert served.there("ranks")["one"]["fields"] == changed


def test_forget_finds_what_an_interrupted_first_push_left_at_a_teams_server(served):
    with pytest.raises(Killed):
        served.push(advance=killed)
    assert "three" in served.there()
    (batch,) = served.workspace.catalog.batches(kind="ask")
    assert batch.detail["url"] == served.server.url
    assert batch.detail["embedded"] is False
    forget(served.workspace, asked(now(), interactions=(served.asking.ids()["three"],)))
    assert sorted(served.there()) == ["five", "four", "one", "two"]


def test_labels_come_in_during_a_long_push_and_a_second_push_of_the_set_does_not(served, monkeypatch):
    sheet = served.workspace.folder / "labels.csv"
    sheet.write_text(f"interaction_id,value\n{served.asking.ids()['three']},accept\n")
    monkeypatch.setattr(data, "WAIT_S", 0.0)
    monkeypatch.setattr(taking, "WAIT_S", 0.0)
    seen = []

    def meanwhile(*progress):
        seen.append(progress)
        assert data.import_labels(served.workspace, sheet)["new"] == 1
        with pytest.raises(LeaseError, match=f"push {served.name}: held by"):
            served.push()

    assert served.push(advance=meanwhile).pushed == 5
    assert seen == [(5, 5, "records")]


def test_a_push_can_be_taken_back_but_for_what_was_answered_and_pushed_anew(served):
    batch = served.push().batch_id
    served.answer("one", answer="reject")
    found = undo(served.workspace, batch)
    assert (found.taken, found.answered) == (4, 1)
    assert sorted(served.there()) == ["one"]
    again = served.push()
    assert (again.pushed, again.known) == (4, 1)
    assert len(served.there()) == 5
    rest = undo(served.workspace, batch, answered=True)
    assert (rest.taken, rest.gone, rest.answered) == (1, 0, 0)
    assert undo(served.workspace, again.batch_id).taken == 4
    assert served.there() == {}


def test_an_answer_that_comes_while_a_push_is_taken_back_is_seen_and_stays(served, monkeypatch):
    monkeypatch.setattr(taking, "DELETED", 2)
    batch, late = served.push().batch_id, []

    def answers_one(done, *_):
        if done == 2:
            late.append(next(iter(served.there())))
            served.answer(late[0], answer="accept")

    found = undo(served.workspace, batch, advance=answers_one)
    assert (found.taken, found.answered) == (4, 1)
    assert list(served.there()) == late


def test_a_push_is_taken_back_only_where_it_went(served, monkeypatch):
    batch = served.push().batch_id
    with monkeypatch.context() as patch:
        patch.setenv("ARGILLA_API_URL", "http://127.0.0.1:9")
        with pytest.raises(LabelError, match=rf"went to {served.server.url}, .*:9 is another.\nSet ARGILLA_API_URL"):
            undo(served.workspace, batch)
    (served.workspace.folder / "argilla").symlink_to(served.server.home.folder)
    with monkeypatch.context() as patch:
        patch.delenv("ARGILLA_API_URL")
        patch.delenv("ARGILLA_API_KEY")
        with pytest.raises(LabelError, match=rf"went to {served.server.url}, .* is another"):
            undo(served.workspace, batch)
    assert len(served.there()) == 5
    assert set(served.workspace.asked()["state"]) == {"asked"}


def test_the_own_server_is_the_same_on_another_port_and_no_teams(served, monkeypatch):
    own = served.asking.ids()["one"]
    card = Card(own, None, gold=False, options=(), fields={}, metadata={}, suggestions=())
    dataset = Dataset("d", served.name, served.asking.team, {}, 0, None, 1, is_published=True)
    batch = note(served.workspace, Address("http://127.0.0.1:6901", "k", embedded=True), dataset, [card], "asked")
    with pytest.raises(LabelError, match=r"went to the workspace's own server, .*\nUnset ARGILLA_API_URL"):
        undo(served.workspace, batch)
    (served.workspace.folder / "argilla").symlink_to(served.server.home.folder)
    monkeypatch.delenv("ARGILLA_API_URL")
    monkeypatch.delenv("ARGILLA_API_KEY")
    assert undo(served.workspace, batch).gone == 1


def test_of_a_data_set_that_is_gone_a_push_is_told_as_gone_but_for_what_was_answered(served):
    batch = served.push().batch_id
    served.answer("one", answer="accept")
    pull(served.workspace, served.name)
    with served.argilla() as found:
        found.call("DELETE", f"datasets/{found.find(served.name, served.asking.team).id}", type(None))
    found = undo(served.workspace, batch)
    assert (found.taken, found.gone, found.answered) == (0, 4, 1)
    assert undo(served.workspace, batch).gone == 0


def test_an_interrupted_push_can_be_taken_back_as_well(served):
    with pytest.raises(Killed):
        served.push(advance=killed)
    (batch,) = served.workspace.asked()["batch_id"].unique()
    assert undo(served.workspace, batch).taken == 5
    assert served.there() == {}


@pytest.mark.slow
def test_undo_knows_its_pushes(served):
    with pytest.raises(LabelError, match=r"no push 'x'\. There: none yet"):
        undo(served.workspace, "x")
    batch = served.push().batch_id
    with pytest.raises(LabelError, match=rf"There: {batch} \({served.name}\)"):
        undo(served.workspace, "x")


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
