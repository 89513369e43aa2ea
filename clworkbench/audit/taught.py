"""Whether rows teach what was said: what is held up as good, and as bad, is looked up at the answers behind it."""

import polars as pl

from clworkbench.audit.check import Check, failed, passed
from clworkbench.audit.origins import REBUILD, SetManifest
from clworkbench.audit.whole import some
from clworkbench.policy.marks import MARK
from clworkbench.schemas import ACCEPT_WORDS, REJECT_WORDS
from clworkbench.training_sets.descent import TAUGHT
from clworkbench.workspace import Workspace

OUTPUT_BETTER = ("accepted", "won")
OUTPUT_WORSE = ("labelled", "corrected", "won")
"""Rules by which what is held up as good, or as bad, is a model's own answer."""

BY_OUTCOME = ("accepted", "won", "outcome", "reviewed")


def right_way_round(workspace: Workspace, rows: pl.DataFrame, found: pl.DataFrame, said: SetManifest) -> Check:
    """No answer is taught as good that was not, nor as bad.

    Texts out of which something was redacted cannot be told again, and are not compared. Whichever way reviewers were
    weighed, a verdict that nobody gave is none.

    Args:
        workspace: where the labels are.
        rows: of the set.
        found: the signals as they were known when it was built.
        said: the manifest.
    """
    answers = _answers(workspace, found, said)
    each = rows.select("row_id", interaction_id="signal_ids").explode("interaction_id", empty_as_null=False)
    behind = each.join(answers, on="interaction_id").group_by("row_id")
    told = rows.join(behind.agg("answer", "good", "bad"), on="row_id", how="left", maintain_order="left")
    best, *others = TAUGHT[said.rows_kind]
    wrong = [_absent(told, best, OUTPUT_BETTER, "good")]
    wrong += [_absent(told, name, OUTPUT_WORSE, "bad") for name in others]
    if said.rows_kind == "unpaired":
        wanted = pl.when("label").then(pl.col("good").list.any()).otherwise(pl.col("bad").list.any())
        wrong.append(told.filter(~wanted)["row_id"])
    ids = pl.concat(wrong).unique().sort().to_list()
    if ids:
        return failed(
            "taught", len(ids), f"{len(ids):,} rows teach the contrary of what was said: {some(ids)}. {REBUILD}."
        )
    return passed("taught", rows.height, "what is held up as good or bad was said to be")


def _absent(told: pl.DataFrame, column: str, rules: tuple[str, ...], verdict: str) -> pl.Series:
    """The rows whose answer in a column is none of those behind them, or of none that has the verdict it needs."""
    rows = told.filter(pl.col("rule").is_in(rules)).select("row_id", "rule", "answer", verdict, own=_last(told, column))
    rows = rows.filter(pl.col("own").is_not_null() & ~pl.col("own").str.contains(MARK))
    pairs = rows.explode("answer", verdict)
    fits = (pl.col("own") == pl.col("answer")) & (pl.col(verdict) | ~pl.col("rule").is_in(BY_OUTCOME))
    there = pairs.filter(fits)["row_id"]
    return rows.filter(~pl.col("row_id").is_in(there.implode()))["row_id"]


def _last(frame: pl.DataFrame, column: str) -> pl.Expr:
    """The last words of an assistant."""
    if frame.schema[column] == pl.String:
        return pl.col(column)
    message = pl.element().struct
    spoken = message.field("content").filter(message.field("role") == "assistant")
    return pl.col(column).list.eval(spoken).list.last()


def _answers(workspace: Workspace, found: pl.DataFrame, said: SetManifest) -> pl.DataFrame:
    """Each answer's last words, and whether an outcome or anybody calls it good, and bad."""
    labels = workspace.labels(as_of=said.known_at, event_time=said.event_time)
    value = pl.col("value").str.to_lowercase().str.strip_chars()
    cast = labels.filter(pl.col("status") == "submitted", pl.col("question") == "answer")
    votes = cast.group_by("interaction_id").agg(
        accepted=value.is_in(ACCEPT_WORDS).any(), rejected=value.is_in(REJECT_WORDS).any()
    )
    known = found.select("interaction_id", "outcome", answer=_last(found, "output"))
    judged = known.join(votes, on="interaction_id", how="left")
    outcome = pl.col("outcome")
    return judged.select(
        "interaction_id",
        "answer",
        good=(outcome.fill_null(value=False) | pl.col("accepted").fill_null(value=False)),
        bad=(~outcome.fill_null(value=True) | pl.col("rejected").fill_null(value=False)),
    )
