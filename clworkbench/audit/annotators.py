"""What annotators see of rows that go: found, taken out of the annotators' server, and looked for again."""

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import msgspec
import polars as pl

from clworkbench.audit.gone import Gone
from clworkbench.errors import ForgetError
from clworkbench.labels.argilla import Argilla, Dataset, connect
from clworkbench.labels.place import team
from clworkbench.labels.server.erasing import Standing, erase, standing
from clworkbench.labels.server.home import Home
from clworkbench.workspace import Workspace, erasing

PAGE = 200
"""Records in one request."""


def cards(workspace: Workspace, gone: Gone) -> list[str]:
    """The signals whose records at the annotators' show texts that go: their own, another's answer, a correction."""
    table = workspace.folder / "tables" / "asked"
    asked = erasing.on_disk(table, lambda rows: rows.select("interaction_id", "options"))
    if asked.is_empty():
        return []
    going = gone.interactions.implode()
    own = pl.col("interaction_id").is_in(going)
    compared = pl.col("options").list.eval(pl.element().is_in(going)).list.any().fill_null(value=False)
    corrected = workspace.voices().filter(pl.col("feedback_id").is_in(gone.feedback.implode()))["interaction_id"]
    shown = asked.filter(own | compared | pl.col("interaction_id").is_in(corrected.implode()))
    return shown["interaction_id"].unique().sort().to_list()


def at_annotators(workspace: Workspace, ids: Collection[str], gone: Gone) -> Standing:
    """What stands in the workspace's own server, and in the team's where one is named.

    Raises:
        LabelError: the team's server cannot be reached.
    """
    every = {*ids, *gone.interactions}
    found = standing(Home.of(workspace.folder), every, _leaves(gone))
    if place := team():
        with connect(place) as argilla:
            records = answers = 0
            for dataset in _pushed(workspace, argilla):
                records += sum(1 for _ in argilla.records(dataset, every))
                answers += len(_answers(argilla, dataset, _leaves(gone)))
        found = replace(found, records=found.records + records, answers=found.answers + answers)
    return found


def clear(workspace: Workspace, ids: Collection[str], gone: Gone) -> None:
    """Takes the records, and the annotators who go with their answers, and looks for them again.

    At a team's server their answers go from the data sets of this workspace; the account may be in use by others.

    Raises:
        LabelError: the server's database is in use, or the team's server cannot be reached.
        ForgetError: something of it still stands.
    """
    every = {*ids, *gone.interactions}
    erase(Home.of(workspace.folder), every, _leaves(gone))
    if place := team():
        with connect(place) as argilla:
            for dataset in _pushed(workspace, argilla):
                argilla.remove(dataset, [record.id for record in argilla.records(dataset, every)])
                for answer in _answers(argilla, dataset, _leaves(gone)):
                    argilla.call("DELETE", f"responses/{answer}", type(None))
    if not (left := at_annotators(workspace, ids, gone)).is_nothing:
        raise ForgetError(
            f"forget: {left.records} records and {left.answers} answers still stand at the annotators'.\n"
            "There is no certificate. Run `clw forget` again; if it says the same, report it."
        )


def out_of_reach(workspace: Workspace, ids: Collection[str], gone: Gone) -> Iterator[dict[str, object]]:
    """What is left to the owner of a team's server: all of it where none is named now, else an annotator's account.

    Raises:
        LabelError: the team's server cannot be reached.
    """
    asked = [batch for batch in workspace.catalog.batches(kind="ask") if not batch.detail.get("embedded", True)]
    if place := team():
        with connect(place) as argilla:
            if any(_leaves(gone)(name) for name in _people(argilla, _teams(workspace)).values()):
                yield {
                    "path": argilla.url,
                    "why": "somebody who goes has an account there, which other data sets may need. "
                    "An owner can delete it, with all answers.",
                }
    elif asked and (ids or [*gone.users, *gone.aliases]):
        yield {
            "path": "a team's Argilla",
            "why": "records were pushed there. Name it by ARGILLA_API_URL before you forget, or delete there what "
            "goes: these records, and these people's answers and accounts.",
        }


def _leaves(gone: Gone) -> Callable[[str], bool]:
    """Whether an annotator of that name is among the users that go."""
    keys = {*gone.users, *gone.aliases}
    return lambda name: bool(keys) and gone.pseudonyms.user(name) in keys


def _pushed(workspace: Workspace, argilla: Argilla) -> Iterator[Dataset]:
    """The data sets that were pushed, as far as they stand there."""
    batches = workspace.catalog.batches(kind="ask")
    for name, of in sorted({(str(batch.detail["dataset"]), str(batch.detail["team"])) for batch in batches}):
        if dataset := argilla.find(name, of):
            yield dataset


def _teams(workspace: Workspace) -> set[str]:
    return {str(batch.detail["team"]) for batch in workspace.catalog.batches(kind="ask")}


class _User(msgspec.Struct):
    id: str
    username: str


class _Users(msgspec.Struct):
    items: list[_User]


class _Answer(msgspec.Struct):
    id: str
    user_id: str | None


class _Record(msgspec.Struct):
    responses: list[_Answer] = []


class _Page(msgspec.Struct):
    items: list[_Record]


def _people(argilla: Argilla, teams: Collection[str]) -> dict[str, str]:
    """By id, the names of accounts: all where the key is an owner's, else those in these teams."""
    if argilla.role == "owner":
        return {own: name for name, own in argilla.accounts().items()}
    ids = [own for name in teams if (own := argilla.team(name))]
    users = [user for own in ids for user in argilla.call("GET", f"workspaces/{own}/users", _Users).items]
    return {user.id: user.username for user in users}


def _answers(argilla: Argilla, dataset: Dataset, leaves: Callable[[str], bool]) -> list[str]:
    """The ids of the answers in a data set of those who go."""
    leaving = {own for own, name in _people(argilla, [dataset.team]).items() if leaves(name)}
    found: list[str] = []
    for start in itertools.count(0, PAGE):
        if not leaving:
            break
        params = {"include": "responses", "limit": PAGE, "offset": start}
        page = argilla.call("GET", f"datasets/{dataset.id}/records", _Page, params=params).items
        found += [answer.id for record in page for answer in record.responses if answer.user_id in leaving]
        if len(page) < PAGE:
            break
    return found
