"""A workspace, a data set of its own on the real server, and people who answer, as several test files need them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import httpx
import polars as pl
import pytest

from clworkbench.labels.argilla import Address, connect
from clworkbench.labels.cards import Card, Suggestion
from clworkbench.labels.questions import form
from clworkbench.loop.signals import capture
from clworkbench.schemas import ASKED
from clworkbench.workspace import Workspace

SETTINGS = """\
format = 1
[sources.app]
format = "openai"
[budget]
usd_per_label = 0.5
[labels.ask.{name}]
asks = ["accept", "rate", "prefer", "rank", "correct", "choose", "spans", "comment"]
options = ["refund", "cancel"]
several = true
span_labels = ["wrong", "rude"]
team = "{name}"
"""
ANSWER = "The card is on its way.\nIt costs nothing."
SAID = {
    "answer": "accept",
    "rating": 4,
    "preference": "answer_2",
    "ranking": [
        {"value": "answer_2", "rank": 1},
        {"value": "answer_1", "rank": 2},
        {"value": "answer_3", "rank": 2},
    ],
    "improvement": "The card comes on Monday – promised.",
    "choice": ["refund", "cancel"],
    "spans": [{"start": 4, "end": 8, "label": "rude"}, {"start": 0, "end": 3, "label": "wrong"}],
    "comment": "call ann@example.org",
}
REQUIRED = {name: SAID[name] for name in ("answer", "rating", "preference", "ranking", "choice")}


class Desk:
    """A workspace, a data set of its own on the real server, and people who answer."""

    def __init__(self, workspace: Workspace, server, name: str) -> None:
        self.workspace, self.name = workspace, name
        self.place = Address(server.url, server.api_key)
        self.asked = workspace.settings.labels.ask[0]
        self.ids = workspace.signals().sort("started_at")["interaction_id"].to_list()
        with connect(self.place) as argilla:
            self.dataset = argilla.ensure(form(self.asked, n_answers=3), self.asked.team)
        self.clients: list[httpx.Client] = []
        self.owner = self.http(server.api_key)
        self.users: dict[str, str] = {}

    def http(self, key: str) -> httpx.Client:
        self.clients.append(
            httpx.Client(
                base_url=f"{self.place.url}/api/v1", headers={"X-Argilla-Api-Key": key}, timeout=60, trust_env=False
            )
        )
        return self.clients[-1]

    def options(self, own: str) -> list[str]:
        others = [each for each in self.ids if each != own]
        return [own, others[0], "improvement"]

    def push(self, ids: list[str], *, noted: bool = True) -> None:
        suggested = (Suggestion("improvement", ANSWER, "model"), Suggestion("choice", ["refund"], "model"))
        fields = {"conversation": [{"role": "user", "content": "?"}], "answer": ANSWER}
        fields |= {f"answer_{n}": f"answer {n}" for n in (1, 2, 3)}
        cards = [
            Card(own, None, gold=False, options=(), fields=fields, metadata={}, suggestions=suggested) for own in ids
        ]
        with connect(self.place) as argilla:
            argilla.push(self.dataset, cards)
        if noted:
            self.note(ids)

    def note(self, ids: list[str], state: str = "asked") -> None:
        """The rows of `asked`, as a push writes them (`pushing` before the records)."""
        made = self.workspace.pseudonyms.id
        rows = [
            (made("ask", self.name, own), self.name, own, f"c-{own[:4]}", self.options(own), False, state)
            for own in ids
        ]
        frame = pl.DataFrame(rows, schema={name: ASKED[name] for name in list(ASKED)[:7]}, orient="row")
        frame = frame.with_columns(at=pl.lit(datetime.now(UTC)))
        self.workspace.write_batch(f"{state}-{self.name}-{ids[0]}", "ask", {"asked": frame}, source=self.name)

    def annotator(self, name: str, role: str = "annotator") -> httpx.Client:
        about = {"username": name, "first_name": name, "password": "a-long-one", "role": role}
        user = good(self.owner.post("/users", json=about))
        team = next(t["id"] for t in good(self.owner.get("/me/workspaces"))["items"] if t["name"] == self.asked.team)
        good(self.owner.post(f"/workspaces/{team}/users", json={"user_id": user["id"]}))
        self.users[name] = user["id"]
        return self.http(user["api_key"])

    def record(self, own: str) -> str:
        page = good(self.owner.get(f"/datasets/{self.dataset.id}/records", params={"limit": 1000}))
        return next(str(each["id"]) for each in page["items"] if each["external_id"] == own)

    def answer(self, who: httpx.Client, own: str, said: dict[str, object] | None = None, status: str = "submitted"):
        """What the page does when an annotator answers for the first time; returns the response's id."""
        body = {"values": values(said), "status": status}
        return good(who.post(f"/records/{self.record(own)}/responses", json=body))["id"]

    def response(self, own: str) -> dict:
        page = good(
            self.owner.get(f"/datasets/{self.dataset.id}/records", params={"limit": 1000, "include": "responses"})
        )
        return next(each["responses"][0] for each in page["items"] if each["external_id"] == own)

    def latest(self) -> dict[tuple[str, str], dict[str, object]]:
        rows = self.workspace.labels().sort("interaction_id", "question")
        return {(r["interaction_id"], r["question"]): r for r in rows.iter_rows(named=True)}


class Breaking:
    """Passes requests on to a server until so many searches were answered, then hangs up, or (`blind`) finds none."""

    def __init__(self, url: str, after: int, *, blind: bool = False) -> None:
        left = [after]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.pass_on()

            def do_POST(self) -> None:
                self.pass_on()

            def pass_on(self) -> None:
                if self.path.endswith("/search") or "/search?" in self.path:
                    left[0] -= 1
                if left[0] < 0 and not blind:
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if left[0] < 0 and "/search" in self.path:
                    self.answer(200, b'{"items": [], "total": 0}')
                    return
                kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                with httpx.Client(trust_env=False, timeout=60) as client:
                    found = client.request(self.command, url + self.path, content=body, headers=kept)
                self.answer(found.status_code, found.content)

            def answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "Breaking":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def values(said: dict[str, object] | None) -> dict[str, object] | None:
    return None if said is None else {name: {"value": value} for name, value in said.items()}


def good(response: httpx.Response) -> dict:
    assert response.is_success, response.text
    return response.json() if response.content else {}


@contextmanager
def opened(folder: Path, server) -> Iterator[Desk]:
    """A desk in a workspace of its own, with six signals."""
    name = f"pull-{uuid4().hex[:8]}"
    patch = {"CLW_CONFIG": str(folder / "config"), "ARGILLA_API_URL": server.url, "ARGILLA_API_KEY": server.api_key}
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in patch.items():
            environment.setenv(variable, value)
        workspace = Workspace.create(folder / "w", settings=SETTINGS.format(name=name))
        lines = [
            {
                "id": f"r{i}",
                "created": f"2026-03-0{1 + i}T09:00:00Z",
                "messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": ANSWER}],
            }
            for i in range(6)
        ]
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        capture.ingest(workspace, [folder / "log.jsonl"], "app")
        made = Desk(workspace, server, name)
        yield made
        for client in made.clients:
            client.close()
