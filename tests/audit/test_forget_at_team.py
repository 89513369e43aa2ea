"""A forget reaches a team's Argilla, which the real server stands for: records and answers, but not accounts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import polars as pl
import pytest

from clworkbench.audit.asked import asked
from clworkbench.audit.forget import forget
from clworkbench.audit.plan import plan
from clworkbench.labels.argilla import Argilla, address, connect
from clworkbench.loop.labels.ask import push
from clworkbench.loop.signals.capture import ingest
from clworkbench.workspace import Workspace
from tests.audit.people import record, write_lines

pytestmark = pytest.mark.argilla


class Team:
    """A workspace whose four signals stand in a team's Argilla, where two people have answered one of them."""

    def __init__(self, folder: Path) -> None:
        self.name = f"t{uuid4().hex[:8]}"
        self.workspace = Workspace.create(
            folder,
            settings=f'format = 1\n[sources.app]\nformat = "openai"\n[labels.ask.{self.name}]\nteam = "{self.name}"\n',
        )
        write_lines(folder / "in.jsonl", [record(who, turn) for who in ("ann", "bob") for turn in (0, 1)])
        ingest(self.workspace, folder / "in.jsonl", "app")
        push(self.workspace, ids=self.workspace.signals()["interaction_id"].to_list())
        with connect(address(folder)) as argilla:
            for name in ("eve", "mia"):
                self.answer(argilla, f"{name}-{self.name}")

    def answer(self, argilla: Argilla, name: str) -> None:
        own = argilla.add_annotator(name, "a-long-password")
        argilla.join(own, argilla.team(self.name))
        token = argilla.http.post("/api/v1/token", data={"username": name, "password": "a-long-password"}).json()
        body = {"values": {"answer": {"value": "accept"}}, "status": "draft"}
        with httpx.Client(headers={"Authorization": f"Bearer {token['access_token']}"}, trust_env=False) as client:
            url = f"{argilla.url}/api/v1/records/{self.records(argilla)[-1]['id']}/responses"
            assert client.post(url, json=body).status_code == 201

    def records(self, argilla: Argilla) -> list[dict]:
        dataset = argilla.find(self.name, self.name)
        page = argilla.http.get(f"/api/v1/datasets/{dataset.id}/records", params={"include": "responses"})
        return sorted(page.json()["items"], key=lambda each: each["external_id"])

    def standing(self) -> tuple[int, int, set[str]]:
        with connect(address(self.workspace.folder)) as argilla:
            records = self.records(argilla)
            people = {name.partition("-")[0] for name in argilla.accounts() if name.endswith(self.name)}
        return len(records), sum(len(each["responses"]) for each in records), people


@pytest.fixture
def team(tmp_path: Path, argilla_server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Team]:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    monkeypatch.setenv("ARGILLA_API_URL", argilla_server.url)
    monkeypatch.setenv("ARGILLA_API_KEY", argilla_server.api_key)
    return Team(tmp_path / "w")


def test_an_annotators_answers_go_from_the_teams_server_and_the_account_is_told(team: Team) -> None:
    wanted = asked(datetime.now(UTC), users=(f"eve-{team.name}",))
    assert plan(team.workspace, wanted).removed["answers"] == 1
    done = forget(team.workspace, wanted)
    assert team.standing() == (4, 1, {"eve", "mia"})
    assert [each["why"] for each in done.left if "account" in str(each["why"])] != []
    assert team.name not in str(done.told["left"])


def test_whose_signals_go_without_being_an_annotator_leaves_no_account_to_tell_of(team: Team) -> None:
    theirs = team.workspace.signals().filter(pl.col("text").str.contains("annword")).height
    done = forget(team.workspace, asked(datetime.now(UTC), users=("ann@example.com",)))
    assert team.standing()[0] == 4 - theirs == 2
    assert done.left == [each for each in done.left if "account" not in str(each["why"])]


def test_an_annotator_is_told_of_where_the_teams_server_is_not_named_now(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARGILLA_API_URL")
    monkeypatch.delenv("ARGILLA_API_KEY")
    left = plan(team.workspace, asked(datetime.now(UTC), users=(f"eve-{team.name}",))).left
    assert [each["path"] for each in left] == ["a team's Argilla"]
    assert "accounts" in str(left[0]["why"])
