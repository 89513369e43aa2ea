"""What was asked, as a push notes it before and after it writes records, and the taking back of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import LabelError
from clworkbench.labels.argilla import Address, Argilla, Dataset, address, connect
from clworkbench.labels.cards import Card
from clworkbench.labels.latest import SETS
from clworkbench.labels.records import DELETED
from clworkbench.schemas import ASKED
from clworkbench.settings import QuestionSet
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import Batch, now
from clworkbench.workspace.folder import stable_id

WAIT_S = 600.0


def question_sets(workspace: Workspace, name: str | None) -> Sequence[QuestionSet]:
    """The question sets of `[labels.ask]`, or the one of this name.

    Raises:
        LabelError: there is none of that name; says which there are.
    """
    sets = workspace.settings.labels.ask
    chosen = [each for each in sets if name in (None, each.name)]
    if not chosen:
        raise LabelError(
            f"no question set {name!r}. There: {', '.join(each.name for each in sets)}.\n"
            f"Declare [labels.ask.{name}] in clw.toml."
        )
    return chosen


@dataclass(frozen=True)
class Undone:
    """What was taken back.

    Attributes:
        dataset: the data set.
        taken: records that were deleted, so that nobody is asked about them any more.
        gone: records that did not stand there any more, and are not waited for either.
        answered: those that stay because somebody has answered them.
        batch_id: of the taking back; None where nothing was.
    """

    dataset: str
    taken: int
    gone: int
    answered: int
    batch_id: str | None

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw label undo --json`."""
        return dict(vars(self))


@contextmanager
def asking(workspace: Workspace, dataset: str, verb: str) -> Iterator[None]:
    """Holds what is asked in one data set, for the long talk with the server; labels come in meanwhile."""
    with workspace.lease(f"push {dataset}", verb, wait_s=WAIT_S):
        yield


def note(
    workspace: Workspace, place: Address, dataset: Dataset, cards: Sequence[Card], state: Literal["pushing", "asked"]
) -> str:
    """Commits what these cards show, as a batch that tells where they are asked; its id."""
    at = now()
    rows = [
        {
            "ask_id": workspace.pseudonyms.id("ask", dataset.name, card.interaction_id),
            "dataset": dataset.name,
            "interaction_id": card.interaction_id,
            "candidate_id": card.candidate_id,
            "options": list(card.options),
            "gold": card.gold,
            "state": state,
            "at": at,
        }
        for card in cards
    ]
    frame = pl.DataFrame(rows, schema={name: dtype for name, dtype in ASKED.items() if name != "batch_id"})
    before = workspace.asked(dataset.name)["seq"].max()
    detail = {"dataset": dataset.name, "team": dataset.team, "pushed": frame.height}
    where = {"embedded": place.embedded, "url": place.url}
    batch_id = stable_id("ask", state, dataset.name, dataset.id, before, frame["ask_id"].sort().to_list())
    _commit(workspace, batch_id, "ask", frame, detail | where)
    return batch_id


def _commit(workspace: Workspace, batch_id: str, kind: str, frame: pl.DataFrame, detail: Mapping[str, object]) -> None:
    with workspace.lease("label", f"label {'push' if kind == 'ask' else 'undo'}", wait_s=WAIT_S):
        workspace.sweep(kind)
        workspace.write_batch(batch_id, kind, {"asked": frame}, detail=detail)


def undo(workspace: Workspace, batch_id: str, *, answered: bool = False, advance: Advance = silent) -> Undone:
    """Takes back what a push asked, but for records that somebody has answered; pushing again asks it anew.

    Each hundred records are looked up and deleted right after each other. Argilla can delete none on condition that
    nobody has answered it: an answer that is given in the moment between goes with its record.

    Args:
        workspace: where it was pushed from.
        batch_id: as `push` gave it.
        answered: takes back those as well that somebody has answered, with the answers that were not pulled yet.
        advance: told of each portion that is deleted.

    Raises:
        LabelError: there is no such push, it went to another server, or the server cannot be used.
    """
    batch = next((each for each in workspace.catalog.batches(batch_id=batch_id) if each.kind == "ask"), None)
    if batch is None:
        raise LabelError(f"no push {batch_id!r}. There: {_pushes(workspace)}.")
    name, team, place = str(batch.detail["dataset"]), str(batch.detail["team"]), address(workspace.folder)
    _same_server(batch_id, batch.detail, place)
    with connect(place) as argilla, asking(workspace, name, "label undo"):
        rows = workspace.asked(name).filter(pl.col("seq") == batch.seq, pl.col("state") != "undone")
        ids = rows["interaction_id"].to_list()
        free, stay = _removed(argilla, argilla.find(name, team), ids, answered=answered, advance=advance)
        gone = set(ids) - free - stay
        if not answered:
            said = workspace.labels(source=f"{SETS}{name}").filter(pl.col("status") == "submitted")
            stay |= gone & set(said["interaction_id"])
            gone -= stay
        back = rows.filter(pl.col("interaction_id").is_in(list(free | gone)))
        undone = _taken_back(workspace, batch, back) if back.height else None
    return Undone(name, len(free), len(gone), len(stay), undone)


def _taken_back(workspace: Workspace, batch: Batch, rows: pl.DataFrame) -> str:
    """Commits that these are asked no more."""
    undone = stable_id("unask", batch.batch_id, rows["ask_id"].sort().to_list())
    frame = rows.select(list(ASKED)).drop("batch_id").with_columns(state=pl.lit("undone"), at=pl.lit(now()))
    where = {name: batch.detail[name] for name in ("dataset", "team")}
    _commit(workspace, undone, "unask", frame, {**where, "undone": rows.height, "of": batch.batch_id})
    return undone


def _removed(
    argilla: Argilla, dataset: Dataset | None, ids: Sequence[str], *, answered: bool, advance: Advance
) -> tuple[set[str], set[str]]:
    """Deletes the records about these signals, unless they are answered; those deleted, and those that stay."""
    free, stay = set[str](), set[str]()
    for start in range(0, len(ids) if dataset else 0, DELETED):
        assert dataset is not None
        some = ids[start : start + DELETED]
        there = list(argilla.records(dataset, some))
        kept = {str(each.external_id) for each in there if each.responses and not answered}
        argilla.remove(dataset, [each.id for each in there if each.external_id not in kept])
        free |= {str(each.external_id) for each in there} - kept
        stay |= kept
        advance(start + len(some), len(ids), "records")
    return free, stay


def _same_server(batch_id: str, pushed: Mapping[str, object], place: Address) -> None:
    """Refuses to take back at one server what was pushed to another.

    The workspace's own is the same one whatever its port; a batch of an earlier version tells no address of a team's.
    """
    own, url = pushed.get("embedded", place.embedded), pushed.get("url", place.url)
    if own == place.embedded and (own or url == place.url):
        return
    way_out = (
        "Unset ARGILLA_API_URL and ARGILLA_API_KEY, and start it with `clw label serve`."
        if own
        else "Set ARGILLA_API_URL and ARGILLA_API_KEY to that Argilla."
    )
    to = "the workspace's own server" if own else str(url if "url" in pushed else "a team's Argilla")
    raise LabelError(f"the push {batch_id} went to {to}, and {place.url} is another.\n{way_out}")


def _pushes(workspace: Workspace) -> str:
    """The last pushes of which something is still asked."""
    found = workspace.asked().filter(pl.col("state") != "undone").sort("seq").unique("batch_id", maintain_order=True)
    said = [f"{batch} ({name})" for batch, name in found.select("batch_id", "dataset").iter_rows()]
    return ", ".join(said[-8:]) or "none yet"
