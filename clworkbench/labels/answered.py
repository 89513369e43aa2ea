"""The records of a data set of Argilla's that hold answers, read page by page over its API."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from clworkbench.errors import LabelError
from clworkbench.labels.answers import Json, Question
from clworkbench.labels.argilla import Argilla
from clworkbench.labels.rest import Refused, Rest

PAGE = 500
"""Records of a page. Argilla gives at most 1,000; with long conversations that is much to hold."""

IDS_AT_ONCE = 200
"""Interactions in one search; Argilla takes at most 250."""

BOTH = {"include": "responses,suggestions"}
ANSWERED = {
    "type": "terms",
    "scope": {"entity": "response", "property": "status"},
    "values": ["submitted", "draft", "discarded"],
}
OLDEST_FIRST = [{"scope": {"entity": "record", "property": "inserted_at"}, "order": "asc"}]


class DataSet(NamedTuple):
    """A data set as it stood when it was looked at.

    Attributes:
        id: Argilla's.
        name: the question set's.
        questions: by name.
        active_at: when somebody last answered, changed an answer or took one back.
        n_answered: how many responses there were, of whatever status.
        state: a hash of `active_at` and of how many answers each annotator gave; another one means news.
    """

    id: str
    name: str
    questions: Mapping[str, Question]
    active_at: datetime
    n_answered: int
    state: str


class _Set(msgspec.Struct):
    id: str
    name: str
    status: str
    last_activity_at: datetime


class _Sets(msgspec.Struct):
    items: list[_Set]


class _Kind(msgspec.Struct):
    type: str


class _Question(msgspec.Struct):
    id: str
    name: str
    required: bool
    settings: _Kind


class _Questions(msgspec.Struct):
    items: list[_Question]


class _User(msgspec.Struct):
    id: str
    username: str


class _Users(msgspec.Struct):
    items: list[_User]


class _OfUser(msgspec.Struct):
    """How many responses of a user have each status, in completed records and in others."""

    username: str
    completed: dict[str, int] = {}
    pending: dict[str, int] = {}


class _Progress(msgspec.Struct):
    users: list[_OfUser]


class _Page(msgspec.Struct):
    items: list[dict[str, object]]
    total: int | None = None


def data_set(argilla: Argilla, name: str, team: str) -> DataSet | None:
    """The published data set of this name in a team's workspace, None where there is none.

    Raises:
        LabelError: Argilla cannot be reached, or says no.
    """
    if (team_id := argilla.team(team)) is None:
        return None
    found = argilla.call("GET", "me/datasets", _Sets, params={"name": name, "workspace_id": team_id}).items
    ready = [each for each in found if each.name == name and each.status == "ready"]
    if not ready:
        return None
    there = ready[0]
    asked = argilla.call("GET", f"datasets/{there.id}/questions", _Questions).items
    counts = argilla.call("GET", f"datasets/{there.id}/users/progress", _Progress).users
    at = there.last_activity_at
    active_at = at if at.tzinfo else at.replace(tzinfo=UTC)
    told = msgspec.json.encode([there.id, active_at, counts], order="deterministic")
    n_answered = sum(n for each in counts for part in (each.completed, each.pending) for n in part.values())
    questions = {each.name: Question(each.id, each.settings.type, each.required) for each in asked}
    return DataSet(there.id, name, questions, active_at, n_answered, hashlib.sha256(told).hexdigest()[:16])


def answered(argilla: Rest, found: DataSet, *, whole: bool = False) -> Iterator[tuple[list[Json], int]]:
    """Records with their responses and suggestions: those that somebody answered, or all, each page with the total.

    What is answered or deleted meanwhile may move records from one page to another, so that one is missed or told
    twice; and a search may not find yet what was answered a second ago: the responses told are
    not `n_answered` then.

    Raises:
        LabelError: the server goes away in the middle, or somebody deletes the data set.
    """
    path, n = f"datasets/{found.id}/records", 0
    query = {"filters": {"type": "and", "and": [ANSWERED]}, "sort": OLDEST_FIRST}
    while True:
        params = {**BOTH, "limit": PAGE, "offset": n}
        try:
            if whole:
                page = argilla.call("GET", path, _Page, params=params)
            else:
                page = argilla.call("POST", f"{path}/search", _Page, json=query, params=params)
        except Refused as error:
            if error.status != 404:
                raise
            raise LabelError(
                f"{argilla.url}: the data set {found.name!r} was deleted while it was read.\n"
                "The labels that were read stay."
            ) from None
        records = _records(page)
        n += len(records)
        if records:
            yield records, max(n, page.total or 0)
        if len(records) < PAGE:
            return


def by_interaction(argilla: Rest, found: DataSet, ids: Sequence[str]) -> Iterator[list[Json]]:
    """The records about these interactions that stand, answered or not."""
    for at in range(0, len(ids), IDS_AT_ONCE):
        scope = {"entity": "record", "property": "external_id"}
        these = {"type": "terms", "scope": scope, "values": list(ids[at : at + IDS_AT_ONCE])}
        query = {"filters": {"type": "and", "and": [these]}}
        params = {**BOTH, "limit": IDS_AT_ONCE}
        yield _records(argilla.call("POST", f"datasets/{found.id}/records/search", _Page, json=query, params=params))


def by_record(argilla: Rest, found: DataSet, ids: Iterable[str]) -> list[Json]:
    """The records of these ids (Argilla's own) that stand in the data set."""
    records = []
    for own in ids:
        try:
            records.append(argilla.call("GET", f"records/{own}", dict[str, object]))
        except Refused as error:
            if error.status != 404:
                raise
    return [each for each in records if each.get("dataset_id") == found.id]


def usernames(argilla: Argilla) -> tuple[dict[str, str], bool]:
    """The names of accounts by Argilla's id, and whether these are all: an admin's key tells those of its teams."""
    try:
        return {user.id: user.username for user in argilla.call("GET", "users", _Users).items}, True
    except Refused as error:
        if error.status != 403:
            raise
    teams = argilla.teams().values()
    members = (user for team in teams for user in argilla.call("GET", f"workspaces/{team}/users", _Users).items)
    return {user.id: user.username for user in members}, False


def _records(page: _Page) -> list[Json]:
    """The records of a page; a search wraps each in what it was found by."""
    wrapped = (each.get("record", each) for each in page.items)
    return [each for each in wrapped if isinstance(each, dict)]
