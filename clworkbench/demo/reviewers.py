"""Simulated reviewers: made-up people who answer in a real Argilla over its API, each reliable to a degree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import msgspec

from clworkbench.demo.story import STORY
from clworkbench.display.html import html_table
from clworkbench.display.text import short
from clworkbench.errors import LabelError
from clworkbench.labels.argilla import Argilla, Dataset, address, connect
from clworkbench.labels.cards import named_in
from clworkbench.labels.rest import Rest
from clworkbench.labels.server.home import Home, read_secret
from clworkbench.loop.labels.ask import add_annotator, question_set
from clworkbench.settings import QuestionSet
from clworkbench.workspace import Workspace

PAGE = 200
RESPONSES = 100
"""Answers in one request; Argilla takes no more."""


@dataclass(frozen=True)
class Reviewer:
    """A made-up person.

    Attributes:
        name: the account at the annotators' server.
        reliability: chance of judging an answer rightly.
        haste: chance of leaving what is filled in as it is, whatever was judged.
    """

    name: str
    reliability: float
    haste: float = 0.0


REVIEWERS = (Reviewer("ada", 0.98), Reviewer("bo", 0.92), Reviewer("cyd", 0.75, haste=0.5))


@dataclass(frozen=True)
class Reviewed:
    """How many records each simulated reviewer answered."""

    dataset: str
    answered: dict[str, int]

    def __repr__(self) -> str:
        return f"Reviewed({self.dataset}: {sum(self.answered.values()):,} answers, simulated)"

    def _repr_html_(self) -> str:
        said = f"{self.dataset}: answered over Argilla's API by simulated reviewers"
        return html_table(("reviewer", "records"), self.answered.items(), caption=said)


def review(
    workspace: Workspace,
    right: Mapping[str, str],
    name: str | None = None,
    *,
    people: Sequence[Reviewer] = REVIEWERS,
    seed: int = 0,
) -> Reviewed:
    """Has simulated reviewers answer a question set as far as nobody has: each record as many of them as it asks for.

    Args:
        workspace: whose annotators' server; accounts that are missing are made.
        right: by interaction, the right answer; records of others are passed over.
        name: the question set; may be left out where there is one.
        people: who answers.
        seed: who answers what, and who errs where.

    Raises:
        LabelError: the workspace is no demo's or the server a team's, where made-up answers have no business; the
            server cannot be used; or nothing was pushed yet.
    """
    if not (workspace.folder / STORY).exists():
        raise LabelError(
            f"{workspace.folder}: no demo's workspace, and made-up answers have no business among real ones.\n"
            "Give your colleagues accounts (`clw label annotator NAME`); in the notebook, set SIMULATED = False."
        )
    asked = question_set(workspace, name)
    if not (place := address(workspace.folder)).embedded:
        raise LabelError(
            f"{place.url} is a team's Argilla: simulated reviewers do not answer there.\n"
            "Unset ARGILLA_API_URL and ARGILLA_API_KEY for a server of the workspace's own, or let people answer."
        )
    accounts = {one.name: _password(workspace, one.name, asked.team) for one in people}
    with connect(address(workspace.folder)) as argilla:
        dataset = argilla.find(asked.name, asked.team)
        if dataset is None:
            raise LabelError(f"{argilla.url}: no data set {asked.name!r} yet. Push one first: `clw label push`.")
        records = [each for each in _records(argilla, dataset) if each.external_id in right]
        ids = argilla.accounts()
    counts = {}
    for person in people:
        said = [
            {"record_id": record.id, "status": "submitted", "values": _answers(record, asked, right, person, seed)}
            for record in records
            if person in _asked_of(record, people, asked.overlap, seed)
            and ids[person.name] not in {response.user_id for response in record.responses}
        ]
        with _logged_in(workspace, person.name, accounts[person.name]) as own:
            for start in range(0, len(said), RESPONSES):
                body = {"items": said[start : start + RESPONSES]}
                for each in own.call("POST", "me/responses/bulk", _Bulk, json=body).items:
                    if each.error is not None:
                        raise LabelError(f"{own.url}: {person.name}'s answer is refused: {each.error.get('detail')}.")
        counts[person.name] = len(said)
    return Reviewed(asked.name, counts)


class _Suggestion(msgspec.Struct):
    question_id: str
    value: object


class _Response(msgspec.Struct):
    user_id: str | None


class _Record(msgspec.Struct):
    id: str
    external_id: str | None
    fields: dict[str, object]
    responses: list[_Response] = []
    suggestions: list[_Suggestion] = []


class _Page(msgspec.Struct):
    items: list[_Record]


class _Answered(msgspec.Struct):
    error: dict[str, object] | None = None


class _Bulk(msgspec.Struct):
    items: list[_Answered]


class _Token(msgspec.Struct):
    access_token: str


def _password(workspace: Workspace, name: str, team: str) -> str:
    """What a simulated reviewer logs in with: made with the account, and kept where its owner alone reads it."""
    made = add_annotator(workspace, name, team)
    return made.password or read_secret(Home.of(workspace.folder).passwords / name)


def _logged_in(workspace: Workspace, name: str, password: str) -> Rest:
    """A connection of the reviewer's own, as the browser makes it."""
    import httpx

    place = address(workspace.folder)
    http = httpx.Client(base_url=place.url, timeout=60.0, trust_env=not place.embedded)
    try:
        answer = http.post("/api/v1/token", data={"username": name, "password": password}).raise_for_status()
        token = msgspec.json.decode(answer.content, type=_Token).access_token
    except (httpx.HTTPError, msgspec.DecodeError) as error:
        http.close()
        raise LabelError(f"{place.url}: {name} cannot log in ({short(error, 120) or type(error).__name__}).") from None
    http.headers["Authorization"] = f"Bearer {token}"
    return Rest(http, place.url)


def _records(argilla: Argilla, dataset: Dataset) -> Iterator[_Record]:
    for start in range(0, 2**31, PAGE):
        params: dict[str, str | int] = {"include": "responses,suggestions", "limit": PAGE, "offset": start}
        page = argilla.call("GET", f"datasets/{dataset.id}/records", _Page, params=params).items
        yield from page
        if len(page) < PAGE:
            return


def _asked_of(record: _Record, people: Sequence[Reviewer], overlap: int, seed: int) -> list[Reviewer]:
    """Who answers this record."""
    return Random(f"{seed} asked {record.external_id}").sample(list(people), min(overlap, len(people)))


def _answers(
    record: _Record, asked: QuestionSet, right: Mapping[str, str], person: Reviewer, seed: int
) -> dict[str, dict[str, object]]:
    """What a person says to each question, by the question's name."""
    random = Random(f"{seed} {person.name} {record.external_id}")
    truth = right[str(record.external_id)]
    shown = str(record.fields.get("answer", ""))
    judges_rightly = random.random() < person.reliability
    accepts = (shown == truth) == judges_rightly
    other = random.choice(sorted({*right.values()} - {truth, shown}) or [truth])
    said: dict[str, object] = {}
    for ask in asked.asks:
        match ask:
            case "accept":
                said["answer"] = "accept" if accepts else "reject"
            case "rate":
                step = random.choice((0, 0, 0, 1))
                said["rating"] = max(1, asked.ratings - step) if accepts else min(asked.ratings, 1 + step)
            case "correct":
                untouched = accepts or random.random() < person.haste
                said["improvement"] = shown if untouched else (truth if shown != truth else other)
            case "choose":
                seen = truth if judges_rightly else other
                if options := named_in(shown if random.random() < person.haste else seen, asked.options):
                    said["choice"] = options if asked.several else options[0]
            case "prefer" | "rank":
                said |= _compared(record, ask, truth if judges_rightly else other, random)
            case "spans":
                said["spans"] = []
            case "comment":
                pass
    return {question: {"value": value} for question, value in said.items()}


def _compared(record: _Record, ask: str, best: str, random: Random) -> dict[str, object]:
    """The preferred answer, or all in order: what is taken for right first, the others as they happen to come."""
    names = sorted(name for name in record.fields if name.startswith("answer_"))
    random.shuffle(names)
    order = sorted(names, key=lambda name: record.fields[name] != best)
    if ask == "prefer":
        return {"preference": order[0] if order and record.fields[order[0]] == best else "none"}
    return {"ranking": [{"value": name, "rank": place} for place, name in enumerate(order, start=1)]}
