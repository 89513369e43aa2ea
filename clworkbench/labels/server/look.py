"""What an annotation server holds, as its status shows it: users, data sets, and how far they are."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from clworkbench.errors import LabelError

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class DataSet:
    """One data set: how many of its records have all the answers that they need."""

    name: str
    team: str
    records: int
    completed: int


@dataclass(frozen=True)
class Standing:
    """What a server holds."""

    url: str
    version: str
    users: dict[str, str]
    data_sets: tuple[DataSet, ...]
    since: datetime | None = None
    pid: int | None = None
    size_bytes: int | None = None
    log: str | None = None

    def as_dict(self) -> dict[str, object]:
        """For scripts."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For a person."""
        said = [f"Argilla {self.version} at {self.url}"]
        if self.since and self.size_bytes is not None:
            said.append(f"  since {self.since:%Y-%m-%d %H:%M} UTC, process {self.pid}; {self.size_bytes / 1e6:,.1f} MB")
            said.append(f"  log   {self.log}")
        said.append("  users " + (", ".join(f"{name} ({role})" for name, role in self.users.items()) or "not told"))
        said += [f"  {s.team}/{s.name}: {s.completed:,} of {s.records:,} records done" for s in self.data_sets]
        return said if self.data_sets else [*said, "  no data set yet: `clw label push` makes one"]


def look(url: str, api_key: str) -> Standing:
    """Asks a server what it holds.

    Raises:
        LabelError: it cannot be reached, or does not take the key.
    """
    url = url.rstrip("/")
    ask = _asking(url, api_key)
    teams = {team["id"]: team["name"] for team in ask("me/workspaces")["items"]}
    sets = []
    for found in ask("me/datasets")["items"]:
        done = ask(f"datasets/{found['id']}/progress") if found["status"] == "ready" else {"total": 0, "completed": 0}
        sets.append(DataSet(found["name"], teams.get(found["workspace_id"], "?"), done["total"], done["completed"]))
    owner = ask("me")["role"] == "owner"
    users = {user["username"]: user["role"] for user in ask("users")["items"]} if owner else {}
    return Standing(url, ask("version")["version"], users, tuple(sorted(sets, key=lambda s: (s.team, s.name))))


def answers(url: str) -> bool:
    """Whether an Argilla answers at an address, and finds its own database and index well."""
    try:
        _asking(url, "")("status")
    except LabelError:
        return False
    return True


def _asking(url: str, api_key: str) -> Callable[[str], dict[str, Any]]:
    """A function that asks for one path; on this machine no proxy stands between."""
    local = url.partition("://")[2].startswith(("127.0.0.1", "localhost", "[::1]"))
    opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))

    def ask(path: str) -> dict[str, Any]:
        request = urllib.request.Request(f"{url}/api/v1/{path}", headers={"X-Argilla-Api-Key": api_key})
        try:
            with opener.open(request, timeout=TIMEOUT_S) as answer:
                found: dict[str, Any] = json.load(answer)
            return found
        except urllib.error.HTTPError as error:
            why = "does not take this API key" if error.code in (401, 403) else f"answers {error.code} to {path}"
            raise LabelError(f"{url}: {why}.") from error
        except (OSError, ValueError) as error:
            raise LabelError(f"{url}: no Argilla answers there ({error}).") from error

    return ask
