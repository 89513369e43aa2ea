"""Annotators at work over Argilla's API, as its UI submits answers."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

HEADER = "X-Argilla-Api-Key"


@dataclass
class Task:
    """A published data set with one question, its records, and annotators who may answer."""

    base: str
    owner: httpx.Client
    dataset_id: str
    record_ids: Sequence[str]
    keys: dict[str, str]
    acknowledged: dict[tuple[str, str], str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def annotate(self, stopped: threading.Event, *, wait_s: float = 30.0) -> None:
        """Each annotator answers each record once, all at the same time; what is not acknowledged is sent again."""
        with ThreadPoolExecutor(len(self.keys)) as pool:
            for done in [pool.submit(self._one, user, key, stopped, wait_s) for user, key in self.keys.items()]:
                done.result()

    def _one(self, user: str, key: str, stopped: threading.Event, wait_s: float) -> None:
        with httpx.Client(headers={HEADER: key}, timeout=wait_s) as client:
            for number, record in enumerate(self.record_ids):
                value = "accept" if (number + len(user)) % 2 else "reject"
                while (user, record) not in self.acknowledged and not stopped.is_set():
                    self._submit(client, user, record, value)

    def _submit(self, client: httpx.Client, user: str, record: str, value: str) -> None:
        answer = {"values": {"answer": {"value": value}}, "status": "submitted"}
        try:
            found = client.post(f"{self.base}/api/v1/records/{record}/responses", json=answer)
        except httpx.TransportError:
            threading.Event().wait(0.1)
            return
        # A 409 is an answer that was saved, but whose acknowledgement a kill swallowed.
        if found.status_code in (201, 409):
            self.acknowledged[user, record] = value
        else:
            self.refused.append(f"{found.status_code} {found.text[:200]}")
            threading.Event().wait(0.1)

    def saved(self) -> dict[tuple[str, str], str]:
        """The answers that the server holds."""
        by_id = {user["id"]: user["username"] for user in self.ask("users")["items"]}
        found, offset = {}, 0
        while items := self.ask(f"datasets/{self.dataset_id}/records?include=responses&limit=100&offset={offset}")[
            "items"
        ]:
            offset += len(items)
            for record in items:
                for given in record["responses"]:
                    found[by_id[given["user_id"]], record["id"]] = given["values"]["answer"]["value"]
        return found

    def status_of_records(self) -> dict[str, str]:
        """Each record's status."""
        items = self.ask(f"datasets/{self.dataset_id}/records?limit=100")["items"]
        return {record["id"]: record["status"] for record in items}

    def found_by_search(self, user: str, status: str) -> set[str]:
        """The ids of records that a search by this user's responses finds."""
        scope = {"entity": "response", "property": "status"}
        body = {"filters": {"type": "and", "and": [{"type": "terms", "scope": scope, "values": [status]}]}}
        url = f"{self.base}/api/v1/me/datasets/{self.dataset_id}/records/search?limit=100"
        found = httpx.post(url, json=body, headers={HEADER: self.keys[user]}, timeout=60).raise_for_status().json()
        return {item["record"]["id"] for item in found["items"]}

    def ask(self, path: str) -> dict:
        """What the owner reads at a path."""
        return self.owner.get(f"{self.base}/api/v1/{path}").raise_for_status().json()


def make_task(base: str, api_key: str, *, name: str, records: int, annotators: int) -> Task:
    """A new team with its annotators, and a data set in which each record wants an answer of each of them."""
    owner = httpx.Client(headers={HEADER: api_key}, timeout=60)

    def post(path: str, body: dict | None = None) -> dict:
        return owner.post(f"{base}/api/v1/{path}", json=body or {}).raise_for_status().json()

    team = post("workspaces", {"name": name})["id"]
    dataset = post(
        "datasets",
        {"name": name, "workspace_id": team, "distribution": {"strategy": "overlap", "min_submitted": annotators}},
    )["id"]
    text = {"type": "text", "use_markdown": False}
    post(f"datasets/{dataset}/fields", {"name": "text", "title": "text", "required": True, "settings": text})
    options = [{"value": value, "text": value} for value in ("accept", "reject")]
    label = {"type": "label_selection", "options": options}
    post(f"datasets/{dataset}/questions", {"name": "answer", "title": "answer", "required": True, "settings": label})
    owner.put(f"{base}/api/v1/datasets/{dataset}/publish").raise_for_status()
    items = [{"external_id": f"{name}-{i}", "fields": {"text": f"word{i} parcel"}} for i in range(records)]
    made = owner.put(f"{base}/api/v1/datasets/{dataset}/records/bulk", json={"items": items}).raise_for_status().json()
    keys = {}
    for number in range(annotators):
        about = {
            "username": f"{name}_{number}",
            "first_name": "A",
            "role": "annotator",
            "password": f"long-enough-{number}",
        }
        user = post("users", about)
        post(f"workspaces/{team}/users", {"user_id": user["id"]})
        keys[user["username"]] = user["api_key"]
    return Task(base, owner, dataset, [item["id"] for item in made["items"]], keys)
