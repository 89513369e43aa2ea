"""What an annotation server holds, as its status shows it: users, data sets, and how far they are."""

from dataclasses import asdict, dataclass
from datetime import datetime

import msgspec

from clworkbench.labels.argilla import Address, connect


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


class _User(msgspec.Struct):
    username: str
    role: str


class _Users(msgspec.Struct):
    items: list[_User]


class _Set(msgspec.Struct):
    id: str
    name: str
    workspace_id: str
    status: str


class _Sets(msgspec.Struct):
    items: list[_Set]


class _Progress(msgspec.Struct):
    total: int = 0
    completed: int = 0


def look(place: Address) -> Standing:
    """Asks a server what it holds; only an owner is told who may log in.

    Raises:
        LabelError: it cannot be reached, or does not take the key.
    """
    with connect(place) as argilla:
        teams = {own: name for name, own in argilla.teams().items()}
        sets = []
        for found in argilla.call("GET", "me/datasets", _Sets).items:
            is_ready = found.status == "ready"
            done = argilla.call("GET", f"datasets/{found.id}/progress", _Progress) if is_ready else _Progress()
            sets.append(DataSet(found.name, teams.get(found.workspace_id, "?"), done.total, done.completed))
        users = argilla.call("GET", "users", _Users).items if argilla.role == "owner" else []
        return Standing(
            argilla.url,
            argilla.version,
            {user.username: user.role for user in users},
            tuple(sorted(sets, key=lambda s: (s.team, s.name))),
        )
