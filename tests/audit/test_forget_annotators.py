"""A forget reaches the annotators' real server: its database, its index, its jobs and its log."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import polars as pl
import pytest

from clworkbench.audit.asked import asked
from clworkbench.audit.forget import forget
from clworkbench.audit.plan import plan
from clworkbench.demo.reviewers import Reviewer, review
from clworkbench.labels.argilla import address, connect
from clworkbench.labels.server.home import Home
from clworkbench.labels.server.process import running, serve, stop
from clworkbench.loop.labels.answers import pull
from clworkbench.loop.labels.ask import push
from clworkbench.workspace import Workspace
from tests.audit.people import PEOPLE, make, where_it_stands

pytestmark = pytest.mark.argilla

WORDS = [f"annword{talk}{turn}" for talk in ("first", "second") for turn in (0, 1)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Everybody's answers stand in Argilla, eve has answered them all, and her answers are pulled."""
    folder = tmp_path_factory.mktemp("asked") / "w"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_KEY", "6b" * 32)
        patch.delenv("ARGILLA_API_URL", raising=False)
        place = make(folder)
        (folder / "story.json").write_text("{}")  # who answers here is simulated
        serve(Home.of(folder), port=0)
        try:
            ids = place.signals()["interaction_id"].to_list()
            assert push(place, ids=ids).pushed == 4 * len(PEOPLE)
            review(place, dict.fromkeys(ids, "gladly, as ever"), people=[Reviewer("eve", 1.0)])
            assert pull(place).new == 2 * len(ids)  # accept or reject, and a better answer
            yield place
        finally:
            stop(Home.of(folder))


def answers(home: Home) -> dict[str, int]:
    with closing(sqlite3.connect(home.database)) as db:
        return dict(db.execute("select status, count(*) from responses group by 1").fetchall())


def records(workspace: Workspace) -> set[str]:
    with connect(address(workspace.folder)) as argilla:
        dataset = argilla.find("review", "annotators")
        assert dataset is not None
        ids = workspace.read("asked")["interaction_id"]
        return {str(record.external_id) for record in argilla.records(dataset, ids)}


def searched(workspace: Workspace, word: str) -> int:
    with connect(address(workspace.folder)) as argilla:
        dataset = argilla.find("review", "annotators")
        assert dataset is not None
        query = {"query": {"text": {"q": word}}}
        found = argilla.http.post(f"/api/v1/datasets/{dataset.id}/records/search", json=query, params={"limit": 1})
        return int(found.json()["total"])


def test_who_is_forgotten_is_gone_from_argilla_and_the_others_answers_stand(workspace: Workspace) -> None:
    home = Home.of(workspace.folder)
    theirs = workspace.signals().filter(pl.col("text").str.contains("annword"))["interaction_id"]
    others = records(workspace) - {*theirs}
    assert searched(workspace, WORDS[0]) == 1  # the index holds her words now
    assert {word for _, word in where_it_stands(home.folder, WORDS)} == {*WORDS}
    wanted = asked(datetime.now(UTC), users=("ann@example.com",))
    assert plan(workspace, wanted).removed["records"] == 4
    before = running(home)
    done = forget(workspace, wanted)
    assert done is not None
    assert done.as_dict()["removed"] == {
        "runs": 1, "sheets": 1, "pages": 1, "model_answers": 0, "records": 4, "answers": 0
    }  # fmt: skip
    assert where_it_stands(home.folder, [*WORDS, *theirs]) == []
    after = running(home)
    assert before is not None
    assert after is not None
    assert (after.port, after.pid != before.pid) == (before.port, True)
    assert records(workspace) == others
    assert answers(home) == {"submitted": len(others)}
    assert searched(workspace, WORDS[0]) == 0
    assert searched(workspace, "bobwordfirst0") == 1
    assert pull(workspace, whole=True).new == 0


def test_an_annotator_who_is_forgotten_goes_with_account_and_answers_also_where_no_server_runs(
    workspace: Workspace,
) -> None:
    home = Home.of(workspace.folder)
    stop(home)
    wanted, key = asked(datetime.now(UTC), users=("eve",)), workspace.pseudonyms.user("eve")
    planned = plan(workspace, wanted)
    n = workspace.read("labels").filter(pl.col("annotator_key") == key).height
    assert (planned.rows["labels"], planned.removed["answers"]) == (n, n // 2)
    assert forget(workspace, wanted) is not None
    assert answers(home) == {}
    assert where_it_stands(workspace.folder, [key]) == []
    with closing(sqlite3.connect(home.database)) as db:
        assert db.execute("select username from users").fetchall() == [("owner",)]
        assert db.execute("select distinct status from records").fetchall() == [("pending",)]
    assert running(home) is None
    assert list(home.passwords.iterdir()) == []
