"""The deck: which candidates are asked about next, and their cards, cleared of what must not leave."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from clworkbench import expressions
from clworkbench.errors import LabelError
from clworkbench.labels.assignment import gold_signals, mixed
from clworkbench.labels.cards import FEWEST, IMPROVEMENT, TEXTS, Card, alternatives, cards, usual_number
from clworkbench.labels.questions import compares
from clworkbench.loop.convert import allowed
from clworkbench.loop.leaving import door
from clworkbench.loop.slices import slice_names
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


@dataclass(frozen=True)
class Deck:
    """Cards ready to be pushed.

    Attributes:
        cards: in the order in which they are written.
        known: how many of the wanted candidates were asked about before.
        left_out: how many are not asked about, by the reason.
        n_answers: how many answers stand beside each other; 0 where none do.
    """

    cards: list[Card]
    known: int
    left_out: dict[str, int]
    n_answers: int


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
        n: how many at most; as many as the last selection chose when None.
        ids: interactions to ask about instead of candidates.
        n_answers: how many answers the data set compares, where it stands already.
        stands: whether the data set is there: of one that is gone, only what was answered is known.

    Raises:
        LabelError: nothing was selected, or one of `ids` is no signal.
    """
    usable = _usable(workspace, asked)
    labels = workspace.labels()
    known = _known(workspace, asked, labels, stands=stands)
    pool = _candidates(workspace, known, labels, whole=n is not None) if ids is None else _named(ids, usable)
    fresh = pool.join(known, on="interaction_id", how="anti", maintain_order="left")
    gold = pool.clear() if ids is not None else _gold(asked, labels, known)
    options = _options(asked, pl.concat([fresh, gold]), usable)
    if compares(asked) and n_answers is None:
        n_answers = usual_number(options.join(fresh, on="interaction_id", how="semi")["options"])
    way = _askable(fresh, usable, options, n_answers or 0)
    known_answers = _askable(gold, usable, options, n_answers or 0).rows
    most = n if n is not None else way.rows.height + known_answers.height
    dealt = mixed(asked, way.rows, known_answers, most, workspace.pseudonyms)
    made = _cards(workspace, asked, dealt, usable, n_answers or 0)
    left_out = way.dropped | {SAME: dealt.height - len(made)}
    return Deck(made, pool.height - fresh.height, {why: lost for why, lost in left_out.items() if lost}, n_answers or 0)


def _usable(workspace: Workspace, asked: QuestionSet) -> pl.DataFrame:
    """The signals that the policy lets out, and whether the set's `where` keeps each."""
    found = Descent(workspace.signals())
    use(found, allowed(workspace, as_of=None, event_time=False), workspace.pseudonyms)
    rows = workspace.without_forgotten("asked", found.rows)[0]
    inside = pl.lit(value=True)
    if asked.where:
        inside = pl.lit(expressions.holds(rows, asked.where, where=f"labels.ask.{asked.name}.where"))
    return rows.with_columns(inside=inside)


def _known(workspace: Workspace, asked: QuestionSet, labels: pl.DataFrame, *, stands: bool) -> pl.DataFrame:
    """The signals about which this was asked and need not be asked again: `interaction_id`."""
    rows = workspace.read("asked").filter(pl.col("dataset") == asked.name)
    latest = rows.sort("seq").unique("ask_id", keep="last", maintain_order=True).filter(pl.col("state") == "asked")
    if not stands:
        answers = labels.filter(pl.col("source") == f"argilla/{asked.name}", pl.col("status") == "submitted")
        latest = latest.join(answers, on="interaction_id", how="semi")
    return latest.select("interaction_id").unique()


def _candidates(workspace: Workspace, known: pl.DataFrame, labels: pl.DataFrame, *, whole: bool) -> pl.DataFrame:
    """Candidates, those of the last selection first: `interaction_id`, `candidate_id`, `reasons`.

    A selection that chooses a candidate again adds no row, so that those before it count as well where nobody has said
    anything about them. Unless `whole`, as many as the last selection chose.
    """
    selections = workspace.catalog.batches(kind="select")
    found = workspace.read("candidates")
    if found.is_empty():
        raise LabelError(NO_CANDIDATES)
    last, by_reason = selections[-1].seq, selections[-1].detail.get("by_reason")
    assert isinstance(by_reason, dict)
    done = labels.filter(pl.col("status") == "submitted").join(known, on="interaction_id", how="anti")
    pool = (
        found.sort("seq", "priority", "candidate_id", descending=[True, True, False])
        .unique("interaction_id", keep="first", maintain_order=True)
        .join(
            done.select("interaction_id", labelled=True).unique(),
            on="interaction_id",
            how="left",
            maintain_order="left",
        )
        .filter((pl.col("seq") == last) | pl.col("labelled").is_null())
        .select("interaction_id", "candidate_id", "reasons")
    )
    return pool if whole else pool.head(sum(by_reason.values()))


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


def _options(asked: QuestionSet, rows: pl.DataFrame, usable: pl.DataFrame) -> pl.DataFrame:
    """The answers that can be compared for each of these signals: `interaction_id`, `options`."""
    if not compares(asked):
        return rows.select("interaction_id", options=pl.lit([], pl.List(pl.String)))
    return alternatives(rows, usable.with_columns(said=normalised(conversation(pl.col("input")))))


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
