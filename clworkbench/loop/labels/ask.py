"""Asking people: candidates go to the annotators' server as cards."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from clworkbench.audit.budget import allow
from clworkbench.display.html import html_table
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import LabelError
from clworkbench.labels.argilla import Address, Argilla, Dataset, address, connect
from clworkbench.labels.assignment import Annotator, annotator
from clworkbench.labels.cards import Card
from clworkbench.labels.questions import form, read_guidelines
from clworkbench.labels.server.home import Home
from clworkbench.loop.labels.asked import asking, note, question_sets
from clworkbench.loop.labels.deck import Deck, deal
from clworkbench.settings import QuestionSet
from clworkbench.workspace import Workspace


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


def question_set(workspace: Workspace, name: str | None = None) -> QuestionSet:
    """The question set of this name, or the only one.

    Raises:
        LabelError: there is none of this name, or several to choose from.
    """
    sets = question_sets(workspace, name)
    if len(sets) == 1:
        return sets[0]
    there = ", ".join(asked.name for asked in sets)
    raise LabelError(f"which question set? clw.toml has {there}.\nName one, e.g. `clw label push {sets[0].name}`.")


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

    Candidates are those of all selections that this set has not asked about yet, the newest and most urgent first.
    Texts leave as the policy has it. What each record shows is noted before it is written, and that it was asked when
    all are: after a kill the same command completes what it began, with the same answers in the same order. A record
    that stands is never written again, so that what somebody said stays about what they saw.

    Args:
        workspace: where the candidates are.
        name: the question set; may be left out where there is one.
        n: how many records at most; all that wait when None.
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
    with connect(place) as argilla, asking(workspace, asked.name, "label push"):
        there = argilla.find(asked.name, asked.team)
        there = there if there and there.is_published else None
        n_answers = (there.n_answers or None) if there else None
        deck = deal(workspace, asked, n=n, ids=ids, n_answers=n_answers, stands=there is not None)
        if not (there or deck.cards):
            return _pushed(asked, deck, argilla.url)
        dataset = argilla.ensure(form(asked, n_answers=deck.n_answers, guidelines=guidelines), asked.team)
        deck = deck.beside(argilla.records(dataset, [card.interaction_id for card in deck.cards]))
        return _pushed(asked, deck, argilla.url, _written(workspace, place, argilla, dataset, deck, advance))


def _written(
    workspace: Workspace, place: Address, argilla: Argilla, dataset: Dataset, deck: Deck, advance: Advance
) -> str | None:
    """Notes what will be shown, writes it, and notes that it was asked; the batch of that."""
    if not deck.cards:
        return None
    note(workspace, place, dataset, deck.cards, "pushing")
    argilla.push(dataset, [card for card in deck.cards if card.interaction_id not in deck.standing], advance)
    return note(workspace, place, dataset, deck.cards, "asked")


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
