"""The deck: which candidates are asked about next, and their cards, cleared of what must not leave."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import polars as pl

from clworkbench import expressions
from clworkbench.errors import LabelError
from clworkbench.labels.assignment import gold_signals, mixed
from clworkbench.labels.cards import FEWEST, IMPROVEMENT, TEXTS, Card, alternatives, cards, usual_number
from clworkbench.labels.latest import SETS
from clworkbench.labels.questions import compares
from clworkbench.labels.records import RecordThere
from clworkbench.loop.leaving import door
from clworkbench.loop.slices.slices import slice_names
from clworkbench.loop.training_sets.convert import allowed
from clworkbench.schemas import MESSAGES
from clworkbench.settings import QuestionSet
from clworkbench.training_sets.allowed import Descent, use
from clworkbench.training_sets.texts import conversation, normalised
from clworkbench.workspace import Workspace

NO_CANDIDATES = (
    "no candidates yet: nothing was selected.\n"
    "`clw select` chooses the signals that deserve a person's attention; then push them."
)

NOT_ALLOWED, OUTSIDE = "kept out by the policy, or forgotten", "outside of `where`"
SAME = "answers are the same without personal data"
IN_A_SHEET = "answered in a sheet already"
OTHER = "stands in Argilla already, and shows other answers"


@dataclass(frozen=True)
class Deck:
    """Cards ready to be pushed.

    Attributes:
        cards: in the order in which they are written.
        known: how many of the wanted candidates were asked about before.
        left_out: how many are not asked about, by the reason.
        n_answers: how many answers stand beside each other; 0 where none do.
        begun: of signals whose push was interrupted, the options that it noted.
        standing: signals whose record stands already, as an interrupted push wrote it.
    """

    cards: list[Card]
    known: int
    left_out: dict[str, int]
    n_answers: int
    begun: Mapping[str, tuple[str, ...]]
    standing: frozenset[str] = frozenset()

    def beside(self, records: Iterable[RecordThere]) -> "Deck":
        """The deck without the cards whose record stands and shows other answers than the card.

        A record that stands is never written again: what its answers stood for when somebody gave them stays.
        """
        cards, same, other = {card.interaction_id: card for card in self.cards}, set[str](), set[str]()
        for record in records:
            card = cards[str(record.external_id)]
            (same if self._shows(record, card) else other).add(card.interaction_id)
        kept = [card for card in self.cards if card.interaction_id not in other]
        left_out = self.left_out | ({OTHER: len(other)} if other else {})
        return replace(self, cards=kept, left_out=left_out, standing=frozenset(same))

    def _shows(self, record: RecordThere, card: Card) -> bool:
        """Whether a record that stands shows the card's answers: as its push noted, else by the texts themselves."""
        if (noted := self.begun.get(card.interaction_id)) is not None:
            return noted == card.options
        answers = {name: text for name, text in card.fields.items() if name.startswith("answer")}
        return all(record.fields.get(name) == text for name, text in answers.items())


def deal(
    workspace: Workspace,
    asked: QuestionSet,
    *,
    n: int | None = None,
    ids: Sequence[str] | None = None,
    n_answers: int | None = None,
    stands: bool = True,
) -> Deck:
    """Makes the cards of those that are to be asked about next.

    Args:
        workspace: where the candidates are.
        asked: the question set.
        n: how many at most; all that wait when None.
        ids: interactions to ask about instead of candidates.
        n_answers: how many answers the data set compares, where it stands already.
        stands: whether the data set is there: of one that is gone, only what was answered is known.

    Raises:
        LabelError: nothing was selected, or one of `ids` is no signal.
    """
    usable = _usable(workspace, asked)
    wanted = _wanted(workspace, asked, usable, ids, stands=stands)
    options, n_answers = _options(asked, wanted, usable, n_answers)
    way = _askable(wanted.fresh, usable, options, n_answers)
    gold = _askable(wanted.gold, usable, options, n_answers).rows
    most = n if n is not None else way.rows.height + gold.height
    dealt = mixed(asked, way.rows, gold, most, workspace.pseudonyms)
    made = _cards(workspace, asked, dealt, usable, n_answers)
    left_out = {IN_A_SHEET: wanted.in_sheets} | way.dropped | {SAME: dealt.height - len(made)}
    begun = wanted.noted.filter(pl.col("state") == "pushing").select("interaction_id", "options")
    return Deck(
        cards=made,
        known=wanted.known,
        left_out={why: lost for why, lost in left_out.items() if lost},
        n_answers=n_answers,
        begun={own: tuple(options) for own, options in begun.iter_rows()},
    )


class _Wanted(NamedTuple):
    """Whom to ask: candidates (`fresh`) and known answers; how many were asked before, or answered in a sheet."""

    fresh: pl.DataFrame
    gold: pl.DataFrame
    known: int
    noted: pl.DataFrame
    in_sheets: int


def _wanted(
    workspace: Workspace,
    asked: QuestionSet,
    usable: pl.DataFrame,
    ids: Sequence[str] | None,
    *,
    stands: bool,
) -> _Wanted:
    labels, noted = workspace.labels(), workspace.asked(asked.name).filter(pl.col("state") != "undone")
    known = _known(workspace, asked, noted, stands=stands)
    gold = _gold(asked, labels, known)
    if ids is None:
        begun = noted.filter(pl.col("state") == "pushing")
        pool, in_sheets = _candidates(workspace, labels, begun)
    else:
        pool, in_sheets, gold = _named(ids, usable), 0, gold.clear()
    fresh = pool.join(known, on="interaction_id", how="anti", maintain_order="left")
    return _Wanted(fresh, gold, pool.height - fresh.height, noted, in_sheets)


def _usable(workspace: Workspace, asked: QuestionSet) -> pl.DataFrame:
    """The signals that the policy lets out, and whether the set's `where` keeps each."""
    found = Descent(workspace.signals())
    use(found, allowed(workspace, as_of=None, event_time=False), workspace.pseudonyms)
    rows = workspace.without_forgotten("asked", found.rows)[0]
    inside = pl.lit(value=True)
    if asked.where:
        inside = pl.lit(expressions.holds(rows, asked.where, where=f"labels.ask.{asked.name}.where"))
    return rows.with_columns(inside=inside)


def _known(workspace: Workspace, asked: QuestionSet, noted: pl.DataFrame, *, stands: bool) -> pl.DataFrame:
    """The signals about which this was asked and need not be asked again: `interaction_id`."""
    found = noted.filter(pl.col("state") == "asked")
    if not stands:
        answers = workspace.labels(source=f"{SETS}{asked.name}").filter(pl.col("status") == "submitted")
        found = found.join(answers, on="interaction_id", how="semi")
    return found.select("interaction_id").unique()


def _candidates(workspace: Workspace, labels: pl.DataFrame, begun: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The candidates of all selections, those of an interrupted push first, then the newest: their ids, and `reasons`.

    Those that somebody has answered in a sheet are left out, and counted.
    """
    found = workspace.read("candidates")
    if found.is_empty():
        raise LabelError(NO_CANDIDATES)
    in_sheets = labels.filter(pl.col("status") == "submitted", ~pl.col("source").str.starts_with(SETS))
    pool = (
        found.sort("seq", "priority", "candidate_id", descending=[True, True, False])
        .unique("interaction_id", keep="first", maintain_order=True)
        .with_columns(begun=pl.col("interaction_id").is_in(begun["interaction_id"].implode()))
        .sort("begun", descending=True, maintain_order=True)
    )
    answered = pl.col("interaction_id").is_in(in_sheets["interaction_id"].implode()) & ~pl.col("begun")
    kept = pool.filter(~answered)
    return kept.select("interaction_id", "candidate_id", "reasons"), pool.height - kept.height


def _named(ids: Sequence[str], usable: pl.DataFrame) -> pl.DataFrame:
    """The signals that somebody named, as candidates without a reason."""
    wanted = pl.DataFrame({"interaction_id": list(dict.fromkeys(ids))}, schema={"interaction_id": pl.String})
    unknown = wanted.join(usable, on="interaction_id", how="anti")
    if unknown.height:
        raise LabelError(
            f"no signal {unknown['interaction_id'][0]!r} that may be shown ({unknown.height} of {wanted.height}): "
            "it is not there, or the policy keeps it out.\n"
            "`clw lineage ID` tells what is known of it, `clw policy` what the rules keep out."
        )
    return wanted.with_columns(_NO_CANDIDATE, _NO_REASONS)


_NO_CANDIDATE = pl.lit(None, pl.String).alias("candidate_id")
_NO_REASONS = pl.lit(None, pl.List(pl.String)).alias("reasons")


def _gold(asked: QuestionSet, labels: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    found = gold_signals(asked, labels).to_frame("interaction_id")
    return found.join(known, on="interaction_id", how="anti").with_columns(_NO_CANDIDATE, _NO_REASONS)


def _options(
    asked: QuestionSet, wanted: _Wanted, usable: pl.DataFrame, n_answers: int | None
) -> tuple[pl.DataFrame, int]:
    """The answers that can be compared for each of these signals (`interaction_id`, `options`), and how many are.

    What was noted for a signal before stays, whatever was answered since, where it may still be shown.
    """
    rows = pl.concat([wanted.fresh, wanted.gold])
    if not compares(asked):
        return rows.select("interaction_id", options=pl.lit([], pl.List(pl.String))), n_answers or 0
    options = alternatives(rows, usable.with_columns(said=normalised(conversation(pl.col("input")))))
    if n_answers is None:
        n_answers = usual_number(options.join(wanted.fresh, on="interaction_id", how="semi")["options"])
    shown = pl.concat([usable["interaction_id"], pl.Series([IMPROVEMENT])]).implode()
    may_be_shown = pl.col("options").list.eval(pl.element().is_in(shown)).list.all()
    again = wanted.noted.filter(pl.col("options").list.len() == n_answers, may_be_shown).select(options.columns)
    again = again.join(options, on="interaction_id", how="semi")
    return pl.concat([again, options.join(again, on="interaction_id", how="anti")]), n_answers


def _askable(rows: pl.DataFrame, usable: pl.DataFrame, options: pl.DataFrame, n_answers: int) -> Descent:
    """Those of the rows that may be shown and have enough answers to compare, with what a card needs."""
    columns = ["interaction_id", "inside", "model", "started_at", "source", "confidence"]
    joined = rows.join(usable.select(columns), on="interaction_id", how="left", maintain_order="left")
    way = Descent(joined.join(options, on="interaction_id", how="left", maintain_order="left"))
    way.keep(pl.col("inside").is_not_null(), NOT_ALLOWED)
    way.keep(pl.col("inside"), OUTSIDE)
    if n_answers:
        enough = pl.col("options").list.len().fill_null(0) >= n_answers
        way.keep(enough, f"fewer than {max(n_answers, FEWEST)} different answers to compare")
    return way


def _cards(
    workspace: Workspace, asked: QuestionSet, dealt: pl.DataFrame, usable: pl.DataFrame, n_answers: int
) -> list[Card]:
    """The cards, their texts as they may leave, each with the slices that it is in."""
    options = dealt["options"].explode().drop_nulls()
    ids = pl.concat([dealt["interaction_id"], options.filter(options != IMPROVEMENT)]).unique()
    shown = usable.filter(pl.col("interaction_id").is_in(ids.implode()))
    texts = shown.select("interaction_id", "input", "output", pl.col("improvement").cast(MESSAGES), "tools")
    cleared = door(workspace).clear(texts, ("input", "output", "improvement", "tools"))
    slices = shown.select("interaction_id", slices=slice_names(workspace, shown.drop("inside", strict=False)))
    return cards(
        asked,
        dealt.join(slices, on="interaction_id", how="left", maintain_order="left"),
        cleared.rename({"interaction_id": "id"}).select(TEXTS),
        n_answers=n_answers,
        pseudonyms=workspace.pseudonyms,
    )
