"""What reasons look at: signals that the policy lets out, beside labels, earlier draws and what was learned."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from clworkbench.candidates.evidence import disagreement, repeats
from clworkbench.candidates.novelty import novelty
from clworkbench.errors import ExpressionError
from clworkbench.labels.adjudication import adjudicated
from clworkbench.loop.agreement import expert_keys
from clworkbench.loop.convert import allowed, disputed
from clworkbench.loop.slices import declared
from clworkbench.settings import settings_dict
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


def evidence(
    workspace: Workspace, rows: pl.DataFrame, reasons: Mapping[str, str], wanted: Collection[str], learned: str | None
) -> pl.DataFrame:
    """The signals with what reasons look at: slices that are named, and what takes time only where it has a share.

    Args:
        workspace: where slices and training sets are.
        rows: as `Known.rows`.
        reasons: by name, an expression.
        wanted: the reasons that have a share.
        learned: the training set that new signals are held against; None where there is none.
    """
    words = {word for text in reasons.values() for word in re.findall(r"[\w-]+", text)}
    named = [one for one in declared(workspace) if one.name in words and one.name not in rows.columns]
    if named:
        rows = rows.with_columns(memberships(rows, named))
    if "repeated_failure" in wanted:
        rows = rows.with_columns(repeats(rows).alias("repeats"))
    if "disagreement" in wanted:
        rows = rows.with_columns(disagreement(rows).alias("disagreement"))
    if "novelty" in wanted and learned is not None:
        prompts = workspace.rows(learned).select(_last_asked("prompt"))[:, 0]
        order = pl.Series(workspace.pseudonyms.ids("novelty", rows["interaction_id"]), dtype=pl.String)
        rows = rows.with_columns(novelty(rows["text"], prompts, order=order).values.alias("novelty"))
    return rows


def last_training_set(workspace: Workspace, noted: object = None) -> str | None:
    """The training set that was made last, or the one noted where it is still there."""
    there = [str(manifest["id"]) for manifest in workspace.catalog.artefacts("training_set")]
    return str(noted) if noted in there else there[-1] if there else None


def _last_asked(column: str) -> pl.Expr:
    message = pl.element().struct
    return pl.col(column).list.eval(message.field("content").filter(message.field("role") == "user")).list.last()


def _among(ids: list[str]) -> pl.Expr:
    return pl.col("interaction_id").is_in(pl.Series(ids, dtype=pl.String).implode())
