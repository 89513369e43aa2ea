"""What annotators see of rows that go: found, taken out of the annotators' server, and looked for again."""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import polars as pl

from clworkbench.audit.gone import Gone
from clworkbench.errors import ForgetError
from clworkbench.labels.argilla import Argilla, Dataset, address, connect
from clworkbench.labels.place import OF_A_TEAM
from clworkbench.labels.server.erasing import Standing, erase, standing
from clworkbench.labels.server.home import Home
from clworkbench.workspace import Workspace, erasing


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
    if os.environ.get(OF_A_TEAM):
        with connect(address(workspace.folder)) as argilla:
            there = sum(len(records) for _, records in _of_team(workspace, argilla, every))
        found = replace(found, records=found.records + there)
    return found


def clear(workspace: Workspace, ids: Collection[str], gone: Gone) -> None:
    """Takes the records, and from the own server the annotators who go, and looks for them again.

    Raises:
        LabelError: the server's database is in use, or the team's server cannot be reached.
        ForgetError: something of it still stands.
    """
    every = {*ids, *gone.interactions}
    erase(Home.of(workspace.folder), every, _leaves(gone))
    if os.environ.get(OF_A_TEAM):
        with connect(address(workspace.folder)) as argilla:
            for dataset, records in _of_team(workspace, argilla, every):
                argilla.remove(dataset, records)
    if not (left := at_annotators(workspace, ids, gone)).is_nothing:
        raise ForgetError(
            f"forget: {left.records} records and {left.answers} answers still stand at the annotators'.\n"
            "There is no certificate. Run `clw forget` again; if it says the same, report it."
        )


def out_of_reach(workspace: Workspace, ids: Collection[str]) -> Iterator[dict[str, object]]:
    """What is left to the owner of a team's server: records that were pushed there, where it is not named now."""
    asked = [batch for batch in workspace.catalog.batches(kind="ask") if not batch.detail.get("embedded", True)]
    if asked and ids and not os.environ.get(OF_A_TEAM):
        yield {
            "path": "a team's Argilla",
            "why": "records were pushed there. Name it by ARGILLA_API_URL before you forget, or delete them there.",
        }


def _leaves(gone: Gone) -> Callable[[str], bool]:
    """Whether an annotator of that name is among the users that go."""
    keys = {*gone.users, *gone.aliases}
    return lambda name: bool(keys) and gone.pseudonyms.user(name) in keys


def _of_team(workspace: Workspace, argilla: Argilla, ids: Collection[str]) -> Iterator[tuple[Dataset, list[str]]]:
    """The data sets that were pushed, each with Argilla's ids of such records in it, where there are some."""
    pushed = {
        (str(batch.detail["dataset"]), str(batch.detail["team"])) for batch in workspace.catalog.batches(kind="ask")
    }
    for name, team in sorted(pushed):
        dataset = argilla.find(name, team)
        if dataset and (records := [record.id for record in argilla.records(dataset, ids)]):
            yield dataset, records
