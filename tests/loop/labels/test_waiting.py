"""What is waited for: as many answers as a set wants, and changes after they are all given."""

from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl
import pytest

from clworkbench.loop.labels.waiting import bring_answers, waiting
from clworkbench.schemas import ASKED, LABELS
from clworkbench.workspace import Workspace
from tests.loop.annotators import REQUIRED, Desk, good, opened, values

TWICE = """\
format = 1
[labels.ask.review]
overlap = 2
"""
AT = datetime(2026, 3, 5, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("ARGILLA_API_URL", raising=False)
    monkeypatch.delenv("ARGILLA_API_KEY", raising=False)
    return Workspace.create(tmp_path / "w", settings=TWICE)


@pytest.fixture
def desk(tmp_path, argilla_server) -> Iterator[Desk]:
    with opened(tmp_path, argilla_server) as made:
        yield made


def ask(workspace: Workspace, *ids: str) -> None:
    rows = [
        {"ask_id": own, "dataset": "review", "interaction_id": own, "options": [], "state": "asked", "at": AT}
        for own in ids
    ]
    workspace.write_batch("ask", "ask", {"asked": pl.DataFrame(rows, schema=ASKED).drop("batch_id")})


def say(workspace: Workspace, who: str, *ids: str, status: str = "submitted", source: str = "argilla/review") -> None:
    rows = [
        {
            "label_id": f"{who}-{own}-{source}",
            "interaction_id": own,
            "question": "answer",
            "annotator_key": who,
            "value": "accept",
            "status": status,
            "source": source,
            "at": AT,
        }
        for own in ids
    ]
    batch = f"{who}-{source}-{status}"
    workspace.write_batch(batch, "labels", {"labels": pl.DataFrame(rows, schema=LABELS).drop("batch_id")})


def test_a_record_waits_until_as_many_people_answered_it_in_its_set_as_the_set_wants(workspace):
    assert bring_answers(workspace) is None
    ask(workspace, "a", "b", "c")
    say(workspace, "ann", "a", "b")
    say(workspace, "bob", "c", status="draft")
    say(workspace, "bob", "a", "b", "c", source="argilla/other")
    say(workspace, "bob", "a", source="review")

    assert waiting(workspace) == {"review": 3}
    assert "records wait for answers in Argilla (3 of review)" in str(bring_answers(workspace))

    say(workspace, "cat", "a", "b", "c")
    assert waiting(workspace) == {"review": 1}
    say(workspace, "dan", "c")
    assert waiting(workspace) == {}
    assert bring_answers(workspace) is None  # no server runs, and nobody waits for one


@pytest.mark.argilla
def test_a_second_answer_and_a_changed_one_come_in_after_all_were_given(desk):
    own = desk.ids[0]
    desk.push([own])
    ann, bob = desk.annotator(f"ann-{desk.name}"), desk.annotator(f"bob-{desk.name}")
    response = desk.answer(ann, own, REQUIRED)

    told = [bring_answers(desk.workspace), bring_answers(desk.workspace)]
    desk.answer(bob, own, REQUIRED)
    good(ann.put(f"/responses/{response}", json={"values": values(REQUIRED | {"rating": 1}), "status": "submitted"}))
    told.append(bring_answers(desk.workspace))

    assert told == ["Argilla: 5 new, 0 withdrawn", None, "Argilla: 5 new, 1 changed, 0 withdrawn"]
    assert waiting(desk.workspace) == {}
