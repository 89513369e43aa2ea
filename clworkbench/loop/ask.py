"""Asking people: candidates go to the annotators' server as cards, and can be taken back."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from msgspec.structs import replace

from clworkbench.audit.budget import allow
from clworkbench.display.html import html_table
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import LabelError
from clworkbench.labels.argilla import Dataset, address, connect
from clworkbench.labels.assignment import Annotator, annotator
from clworkbench.labels.cards import Card
from clworkbench.labels.questions import form, read_guidelines
from clworkbench.labels.server.home import Home
from clworkbench.loop.deck import Deck, deal
from clworkbench.schemas import ASKED
from clworkbench.settings import QuestionSet
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now
from clworkbench.workspace.folder import stable_id

WAIT_S = 600.0


@dataclass(frozen=True)
class Pushed:
    """What annotators were asked.

    Attributes:
        dataset: the question set, and the data set of that name.
        team: the workspace in which it stands.
        url: of the annotators' server.
        pushed: records that are new there.
        known: candidates about which this was asked before.
        gold: how many of `pushed` have a known answer.
        left_out: candidates that are not asked about, by the reason.
        batch_id: takes them back (`clw label undo`); None where nothing was pushed.
        first: the first record, as it was or, in a dry run, would be pushed.
    """

    dataset: str
    team: str
    url: str | None
    pushed: int
    known: int
    gold: int
    left_out: dict[str, int]
    batch_id: str | None
    first: Card | None

    def __repr__(self) -> str:
        return f"Pushed({self.dataset}: {self.pushed:,} new, {self.known:,} known)"

    def _repr_html_(self) -> str:
        rows = [("pushed", self.pushed), ("known", self.known), *self.left_out.items()]
        return html_table(("records", "n"), rows, caption=f"{self.dataset}, asked of {self.team}")

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw label push --json`."""
        return {name: value for name, value in vars(self).items() if name != "first"}


@dataclass(frozen=True)
class Undone:
    """What was taken back.

    Attributes:
        dataset: the data set.
        taken: records that nobody is asked about any more.
        answered: records that stay because somebody has answered them.
        batch_id: of the taking back; None where nothing was.
    """

    dataset: str
    taken: int
    answered: int
    batch_id: str | None

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw label undo --json`."""
        return dict(vars(self))


def question_set(workspace: Workspace, name: str | None = None) -> QuestionSet:
    """The question set of this name, or the only one.

    Raises:
        LabelError: there is none of this name, or several to choose from.
    """
    sets = {asked.name: asked for asked in workspace.settings.labels.ask}
    if name is None and len(sets) == 1:
        return next(iter(sets.values()))
    if name in sets:
        return sets[name]
    there = ", ".join(sets)
    if name is None:
        raise LabelError(
            f"which question set? clw.toml has {there}.\nName one, e.g. `clw label push {next(iter(sets))}`."
        )
    raise LabelError(f"no question set {name!r}: clw.toml has {there}.\nDeclare it as [labels.ask.{name}].")


def push(
    workspace: Workspace,
    name: str | None = None,
    *,
    n: int | None = None,
    ids: Sequence[str] | None = None,
    where: str | None = None,
    dry_run: bool = False,
    advance: Advance = silent,
) -> Pushed:
    """Puts candidates before annotators, each once, with everything that a person needs to decide.

    Candidates come from the last selection (and, where it chose some again, from those before), the most urgent first.
    Texts leave as the policy has it. Records are written first and noted then, so that after a kill the same command
    completes what it began, and nothing stands there twice.

    Args:
        workspace: where the candidates are.
        name: the question set; may be left out where there is one.
        n: how many records at most; as many as the last selection chose when None.
        ids: interactions to ask about instead of candidates.
        where: an expression over signals that keeps only some, beside the set's own.
        dry_run: makes the cards, and neither looks for a server nor writes anything.
        advance: told of each portion that is written.

    Raises:
        LabelError: there are no candidates, or the server cannot be used.
        BudgetError: nothing is left to ask people for labels with.
    """
    asked = question_set(workspace, name)
    if where:
        asked = replace(asked, where=f"({asked.where}) AND ({where})" if asked.where else where)
    guidelines = read_guidelines(workspace.folder / asked.guidelines if asked.guidelines else None)
    if dry_run:
        return _pushed(asked, deal(workspace, asked, n=n, ids=ids))
    allow(workspace, "label")
    place = address(workspace.folder)
    with connect(place) as argilla, workspace.lease("label", "label push", wait_s=WAIT_S):
        workspace.sweep("ask")
        there = argilla.find(asked.name, asked.team)
        n_answers = (there.n_answers or None) if there else None
        deck = deal(workspace, asked, n=n, ids=ids, n_answers=n_answers, stands=there is not None)
        if not (there or deck.cards):
            return _pushed(asked, deck, argilla.url)
        dataset = argilla.ensure(form(asked, n_answers=deck.n_answers, guidelines=guidelines), asked.team)
        argilla.push(dataset, deck.cards, advance)
        noted = _note(workspace, dataset, deck.cards, embedded=place.embedded) if deck.cards else None
        return _pushed(asked, deck, argilla.url, noted)


def _pushed(asked: QuestionSet, deck: Deck, url: str | None = None, batch_id: str | None = None) -> Pushed:
    return Pushed(
        dataset=asked.name,
        team=asked.team,
        url=url,
        pushed=len(deck.cards),
        known=deck.known,
        gold=sum(card.gold for card in deck.cards),
        left_out=deck.left_out,
        batch_id=batch_id,
        first=deck.cards[0] if deck.cards else None,
    )


def _note(workspace: Workspace, dataset: Dataset, pushed: Sequence[Card], *, embedded: bool) -> str:
    """Commits that these were asked."""
    at, before = now(), _asked(workspace, dataset.name)["seq"].max()
    rows = [
        {
            "ask_id": workspace.pseudonyms.id("ask", dataset.name, card.interaction_id),
            "dataset": dataset.name,
            "interaction_id": card.interaction_id,
            "candidate_id": card.candidate_id,
            "options": list(card.options),
            "gold": card.gold,
            "state": "asked",
            "at": at,
        }
        for card in pushed
    ]
    frame = pl.DataFrame(rows, schema={name: dtype for name, dtype in ASKED.items() if name != "batch_id"})
    batch_id = stable_id("ask", dataset.name, dataset.id, before, frame["ask_id"].sort().to_list())
    detail = {"dataset": dataset.name, "team": dataset.team, "pushed": frame.height, "embedded": embedded}
    workspace.write_batch(batch_id, "ask", {"asked": frame}, detail=detail)
    return batch_id


def _asked(workspace: Workspace, dataset: str) -> pl.DataFrame:
    """What was last asked, or taken back, about each signal in a data set."""
    rows = workspace.read("asked").filter(pl.col("dataset") == dataset)
    return rows.sort("seq").unique("ask_id", keep="last", maintain_order=True)


def undo(workspace: Workspace, batch_id: str, *, answered: bool = False, advance: Advance = silent) -> Undone:
    """Takes back what a push asked, but for records that somebody has answered; pushing again asks it anew.

    Args:
        workspace: where it was pushed from.
        batch_id: as `push` gave it.
        answered: takes back those as well that somebody has answered, with the answers that were not pulled yet.
        advance: told of each portion that is deleted.

    Raises:
        LabelError: there is no such push, or the server cannot be used.
    """
    batch = next((each for each in workspace.catalog.batches(batch_id=batch_id) if each.kind == "ask"), None)
    if batch is None:
        raise LabelError(f"no push {batch_id!r}. There: {_pushes(workspace)}.")
    name, team = str(batch.detail["dataset"]), str(batch.detail["team"])
    with connect(address(workspace.folder)) as argilla, workspace.lease("label", "label undo", wait_s=WAIT_S):
        workspace.sweep("unask")
        rows = _asked(workspace, name).filter(pl.col("seq") == batch.seq, pl.col("state") == "asked")
        dataset = argilla.find(name, team)
        there = list(argilla.records(dataset, rows["interaction_id"])) if dataset else []
        stay = {each.external_id for each in there if each.responses and not answered}
        if dataset:
            argilla.remove(dataset, [each.id for each in there if each.external_id not in stay], advance)
        taken = rows.filter(~pl.col("interaction_id").is_in(pl.Series(list(stay), dtype=pl.String).implode()))
        undone = stable_id("unask", batch_id, taken["ask_id"].sort().to_list()) if taken.height else None
        if undone:
            frame = taken.select(list(ASKED)).drop("batch_id").with_columns(state=pl.lit("undone"), at=pl.lit(now()))
            detail = {"dataset": name, "team": team, "undone": taken.height, "of": batch_id}
            workspace.write_batch(undone, "unask", {"asked": frame}, detail=detail)
    return Undone(name, taken.height, len(stay), undone)


def _pushes(workspace: Workspace) -> str:
    found = [f"{each.batch_id} ({each.detail['dataset']})" for each in workspace.catalog.batches(kind="ask")]
    return ", ".join(found[-8:]) or "none yet"


def add_annotator(workspace: Workspace, name: str, team: str | None = None) -> Annotator:
    """Gives somebody an account and a place in a team; the only team of clw.toml when None.

    Raises:
        LabelError: the server cannot be used, or there are several teams.
    """
    teams = list(dict.fromkeys(asked.team for asked in workspace.settings.labels.ask))
    if team is None and len(teams) > 1:
        raise LabelError(f"which team? clw.toml has {', '.join(teams)}.\nName one with --team.")
    with connect(address(workspace.folder)) as argilla:
        return annotator(argilla, name, team or teams[0], Home.of(workspace.folder).passwords)
