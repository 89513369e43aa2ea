"""What reasons look at: signals that the policy lets out, beside labels, earlier draws and what was learned."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import polars as pl

from clworkbench.candidates.evidence import disagreement, repeats
from clworkbench.candidates.novelty import LEAST, novelty
from clworkbench.candidates.reasons import REASONS
from clworkbench.errors import ExpressionError
from clworkbench.labels.adjudication import adjudicated
from clworkbench.loop.labels.agreement import expert_keys
from clworkbench.loop.slices.drift import Drifted
from clworkbench.loop.slices.slices import declared
from clworkbench.loop.training_sets.convert import allowed, disputed
from clworkbench.settings import CandidateSettings, settings_dict
from clworkbench.similarity.masked import masked_groups
from clworkbench.slices.slice import memberships
from clworkbench.training_sets.allowed import Descent, held, use
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id

DONE = ("submitted", "discarded")
"""States of an answer after which nobody needs to be asked the same again."""

CONFLICT = "label_conflict"

DEPENDS_ON = ("interaction_id", "outcome", "improvement_id", "raw_sha256", "held_for_review", "labelled", CONFLICT)


@dataclass(frozen=True)
class Known:
    """What is known of the signals before any are selected.

    Attributes:
        rows: the signals that the policy lets out, with `held_for_review`, `labelled`, `label_conflict`, and the
            columns that were handed in.
        labels: the latest answers, as `Workspace.labels`.
        dropped: how many signals the policy took away, by rule.
        n_signals: how many there were.
        beside: the columns that were handed in.
    """

    rows: pl.DataFrame
    labels: pl.DataFrame
    dropped: dict[str, int]
    n_signals: int
    beside: tuple[str, ...] = ()

    def inputs(self, workspace: Workspace, n: int) -> str:
        """An id of all that a selection of n depends on, but for what was drawn before and what was learned."""
        columns = pl.col(*DEPENDS_ON, *self.beside).cast(pl.String).fill_null("-")
        told = self.rows.select(pl.concat_str(columns, separator="|"))
        settings = settings_dict(workspace.settings.candidates)
        lines = "\n".join(told[:, 0].sort().to_list())
        return stable_id("selection", n, settings, dict(workspace.settings.slices), lines)


def known(
    workspace: Workspace, *, as_of: datetime | None, event_time: bool, beside: pl.DataFrame | None = None
) -> Known:
    """The signals that may be selected, and what people said of them."""
    usable = Descent(workspace.signals(as_of=as_of, event_time=event_time))
    n_signals = usable.rows.height
    policy = allowed(workspace, as_of=as_of, event_time=event_time)
    use(usable, policy, workspace.pseudonyms)
    labels = workspace.labels(as_of=as_of, event_time=event_time)
    verdict = adjudicated(labels, rule="expert", experts=expert_keys(workspace))
    torn = _among(disputed(verdict))
    done = _among(labels.filter(pl.col("status").is_in(DONE))["interaction_id"].unique().to_list())
    comparable = labels.height > 0 or usable.rows["outcome"].count() > 0
    rows = usable.rows.with_columns(
        held_for_review=held(policy),
        # Of what is disputed, one more answer is wanted.
        labelled=done & ~torn,
        label_conflict=pl.when(comparable).then(torn | pl.col("conflict").fill_null(value=False)),
    )
    more = [] if beside is None else [name for name in beside.columns if name != "interaction_id"]
    if taken := sorted({*more} & {*rows.columns}):
        raise ExpressionError(f"beside: signals have a column {taken[0]!r} already. Name yours otherwise.")
    if beside is not None:
        rows = rows.join(beside, on="interaction_id", how="left", maintain_order="left")
    return Known(rows, labels, {why: n for why, n in usable.dropped.items() if n}, n_signals, tuple(more))


def drawn_before(workspace: Workspace, found: Known, until: datetime) -> tuple[pl.Series, int]:
    """Which signals are candidates of selections before `until` and still wait, and how many selections those were.

    What is disputed was drawn before only where it was drawn for that. An answer that was withdrawn leaves its signal
    open again.
    """
    earlier = workspace.read("candidates").filter(pl.col("as_of") < until)
    for_that = earlier.filter(pl.col("reasons").list.contains(CONFLICT))["interaction_id"].unique().to_list()
    done = found.labels.filter(pl.col("status").is_in(DONE))["interaction_id"]
    taken_back = found.labels.filter(
        pl.col("status") == "withdrawn", ~pl.col("interaction_id").is_in(done.unique().implode())
    )["interaction_id"]
    answered = pl.col("interaction_id").is_in(done.unique().implode())
    torn = answered & ~pl.col("labelled")
    open_again = _among(taken_back.unique().to_list())
    drawn = _among(earlier["interaction_id"].unique().to_list()) & ~open_again & (~torn | _among(for_that))
    return found.rows.select(drawn_before=drawn)["drawn_before"], earlier["as_of"].n_unique()


class Evidence(NamedTuple):
    """What reasons look at.

    Attributes:
        rows: the signals, with columns for it.
        rests_on: by reason, in words, what it rests on beside the signals.
        silent: by reason that was asked for and can speak for none, why.
    """

    rows: pl.DataFrame
    rests_on: dict[str, str]
    silent: dict[str, str]


def evidence(
    workspace: Workspace,
    rows: pl.DataFrame,
    reasons: Mapping[str, str],
    wanted: Collection[str],
    learned: str | None,
    drift: Callable[[pl.DataFrame], Drifted] | None = None,
) -> Evidence:
    """The signals with what reasons look at: slices that are named, and what takes time only where it is asked for.

    A reason asks where it has a share, or is one's own.

    Args:
        workspace: where slices and training sets are.
        rows: as `Known.rows`.
        reasons: by name, an expression.
        wanted: the reasons that have a share.
        learned: the training set that new signals are held against; None where there is none.
        drift: tells which signals stand in what drifted; None where nobody asked for it.
    """
    asking = [text for name, text in reasons.items() if name in wanted or REASONS.get(name) != text]
    asked = _words(asking) - {*rows.columns}
    rests_on: dict[str, str] = {}
    silent: dict[str, str] = {}
    if named := [one for one in declared(workspace) if one.name in asked]:
        rows = rows.with_columns(memberships(rows, named))
    if "repeats" in asked:
        rows = rows.with_columns(repeats(rows).alias("repeats"))
    if "disagreement" in asked:
        rows = rows.with_columns(disagreement(rows).alias("disagreement"))
    if "drifted_slice" in asked and drift is not None:
        inside, said = drift(rows)
        (silent if inside is None else rests_on)["drifted_slice"] = said
        held = pl.repeat(None, rows.height, dtype=pl.Boolean, eager=True) if inside is None else inside
        rows = rows.with_columns(held.alias("drifted_slice"))
    if "novelty" in asked and learned is None:
        silent["novelty"] = "there is no training set yet to compare with"
    elif "novelty" in asked and learned is not None:
        prompts = workspace.rows(learned).select(_last_asked("prompt"))[:, 0]
        order = pl.Series(workspace.pseudonyms.ids("novelty", rows["interaction_id"]), dtype=pl.String)
        new, held_against = novelty(rows["text"], prompts, order=order), learned.removeprefix("training_set:")
        rows = rows.with_columns(new.values.alias("novelty"))
        rests_on["novelty"] = f"against training set {held_against}"
        if not new.n and masked_groups(prompts).drop_nulls().n_unique() < LEAST:
            silent["novelty"] = f"training set {held_against} has fewer than {LEAST} different prompts to compare with"
    return Evidence(rows, rests_on, silent)


def asks_for_drift(settings: CandidateSettings) -> bool:
    """Whether clw.toml names `drifted_slice`: looking for it takes seconds, and is not done unasked."""
    return "drifted_slice" in {*settings.quotas, *_words(settings.reasons.values())}


def _words(texts: Iterable[str]) -> set[str]:
    return {word for text in texts for word in re.findall(r"[\w-]+", text)}


def _last_asked(column: str) -> pl.Expr:
    message = pl.element().struct
    return pl.col(column).list.eval(message.field("content").filter(message.field("role") == "user")).list.last()


def _among(ids: list[str]) -> pl.Expr:
    return pl.col("interaction_id").is_in(pl.Series(ids, dtype=pl.String).implode())
