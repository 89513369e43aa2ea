"""Signals: one row for each model answer, with its feedback and outcomes as known at a time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import polars as pl

from clworkbench.schemas import ANSWER_OPERATIONS
from clworkbench.settings import OutcomeRule
from clworkbench.signals import outcomes

TARGETS = {
    "source_id": ("any",),
    "conversation_id": ("conversation", "any"),
    "trace_id": ("trace", "any"),
}
"""Where the target of feedback is looked for, in order, and for which kinds of target."""

LOGGED = '"otel.log":'
"""Stands in the attributes of a row that log records made, as a key: within a text its quotes would be escaped."""

OF_ONE_VERSION = ("interaction_id", "updated_at", "raw_sha256", "batch_id", "seq")
"""The columns of a version that nothing else fills."""

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def signals(
    interactions: pl.DataFrame,
    feedback: pl.DataFrame,
    rules: Sequence[OutcomeRule],
    watermarks: Mapping[str, datetime],
    *,
    as_of: datetime | None = None,
) -> pl.DataFrame:
    """Join answers, feedback and outcomes.

    Args:
        interactions: committed rows of `schemas.INTERACTIONS` with `seq` (commit order), every version.
        feedback: committed rows of `schemas.FEEDBACK` with `seq`.
        rules: outcome rules in order of precedence.
        watermarks: by source, the time up to which it has been read.
        as_of: leaves out what started or happened later; undated rows stay.

    Returns:
        One row for each answer (an interaction whose operation is a model's answer and whose output holds an
        assistant message), by time: the latest version's columns (of a span, those it leaves empty as they were
        logged of it); `text` (the last thing the user said), `answer`; `n_feedback`, `feedback_ids` (by time),
        `feedback_names` (sorted); of the latest feedback with a better
        answer `improvement`, `improvement_text`, `improvement_id`, `improvement_at`, `improvement_origin`; and
        `outcome_<rule>`, `outcome`, `outcome_rule`, `conflict` as `outcomes.decide` has them.
    """
    answers = _answers(interactions, as_of)
    known = _latest_feedback(feedback, as_of)
    said = _said(known, answers)
    # Joined to the ids alone: texts that go through a join are copied.
    ids = answers.select("interaction_id").join(
        _summed(said, rules), on="interaction_id", how="left", maintain_order="left"
    )
    found = ids.join(_improvements(said), on="interaction_id", how="left", maintain_order="left").with_columns(
        pl.col("n_feedback").fill_null(0), pl.col("feedback_ids", "feedback_names").fill_null([])
    )
    rows = answers.hstack(found.drop("interaction_id"))
    return outcomes.decide(rows, rules, outcomes.read_until(rules, known, watermarks, as_of))


def attributed(interactions: pl.DataFrame, feedback: pl.DataFrame, *, as_of: datetime | None = None) -> pl.DataFrame:
    """Which answer each feedback is about.

    A target may be an interaction, a conversation or a trace (then it is the last answer in it before the feedback;
    if all are later, as where clocks differ, the last of all), or `any`: an interaction's own id, else a
    conversation's, else a trace's. Ids are those of the feedback's own source; where it has no such id, those of the
    only source that has.

    Args:
        interactions: as for `signals`.
        feedback: as for `signals`.
        as_of: as for `signals`.

    Returns:
        One row for each feedback known: `feedback_id`, `interaction_id` (null where no answer was found).
    """
    known, answers = _latest_feedback(feedback, as_of), _answers(interactions, as_of)
    found = answers["interaction_id"].gather(_targets(known, answers))
    return known.select("feedback_id", found.alias("interaction_id")).sort("feedback_id")


def lacks_answer() -> pl.Expr:
    """Whether a row of `schemas.INTERACTIONS` would be a signal, had it an answer."""
    operation = pl.col("operation")
    answered = _has_role("output", "assistant").fill_null(value=False)
    return (operation.is_in(ANSWER_OPERATIONS) | operation.is_null()) & ~answered


def no_signals(interactions: pl.LazyFrame, as_of: datetime | None = None) -> list[str]:
    """In words, how many interactions are no signals since no version of them has an answer; nothing where all have.

    Args:
        interactions: committed rows of `schemas.INTERACTIONS`, every version.
        as_of: leaves out what started later.
    """
    known = interactions.filter((pl.col("started_at") <= as_of).fill_null(value=True)) if as_of else interactions
    each = known.group_by("interaction_id").agg(lacks_answer().all().alias("lacks"))
    return said_of_no_signals(int(each.select(pl.col("lacks").sum()).collect().item()))


def said_of_no_signals(n: int) -> list[str]:
    """That so many interactions have no answer, in words; nothing where all have one."""
    return [f"{n:,} interactions have no answer and are no signals"] if n else []


def _answers(interactions: pl.DataFrame, as_of: datetime | None) -> pl.DataFrame:
    """The latest versions that are answers, by time, with `text` and `answer`.

    The source's own update time tells the latest where every version has one, and then one that was made after
    `as_of` does not count while there is an older; else it is the commit order. What was only logged of a span never
    counts before the span itself, and fills what the span, or what was logged last, leaves empty.
    """
    is_span = ~pl.col("attributes").str.contains(LOGGED, literal=True).fill_null(value=False)
    light = interactions.select("interaction_id", "updated_at", "started_at", "seq", is_span=is_span).with_row_index(
        "row"
    )
    too_late = (pl.col("updated_at") > as_of).fill_null(value=False) if as_of else pl.lit(value=False)
    dated = pl.col("updated_at").is_not_null().all().over("interaction_id")
    versions = light.with_columns(late=too_late, updated=pl.when(dated).then("updated_at")).sort(
        "late", "is_span", "updated", "seq", descending=[True, False, False, False], nulls_last=False
    )
    latest = versions.unique("interaction_id", keep="last")
    logged = versions.filter(~pl.col("is_span"))
    if as_of:
        latest = latest.filter((pl.col("started_at") <= as_of).fill_null(value=True))
    order = latest.sort("started_at", "interaction_id", nulls_last=True)["row"]
    operation = pl.col("operation")
    return (
        _filled(_in_order(interactions, order), interactions[logged["row"]])
        .filter(operation.is_in(ANSWER_OPERATIONS) | operation.is_null(), _has_role("output", "assistant"))
        .with_columns(text=last_said("input", "user"), answer=last_said("output", "assistant"))
    )


def _in_order(rows: pl.DataFrame, order: pl.Series) -> pl.DataFrame:
    """The rows in an order; the frame itself where they stand in it, which is most of a workspace's memory."""
    if order.len() == rows.height and order.is_sorted():
        return rows
    # Rows of messages that are gathered from several chunks take forty times as long as from one.
    return rows.rechunk()[order]


def _filled(spans: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """Spans, what they leave empty filled from what was logged of them: often the texts are only there."""
    if logged.is_empty():
        return spans
    columns = [name for name in spans.columns if name not in OF_ONE_VERSION]
    told = logged.group_by("interaction_id", maintain_order=True).agg(pl.col(*columns).drop_nulls().last())
    return (
        spans.join(told, on="interaction_id", how="left", maintain_order="left", suffix=" logged")
        .with_columns(pl.coalesce(name, f"{name} logged") for name in columns)
        .drop(f"{name} logged" for name in columns)
    )


def _has_role(column: str, role: str) -> pl.Expr:
    return pl.col(column).list.eval(pl.element().struct.field("role") == role).list.any()


def last_said(column: str, role: str) -> pl.Expr:
    """The text of a role's last message in `input` or `output`."""
    message = pl.element().struct
    return pl.col(column).list.eval(message.field("content").filter(message.field("role") == role)).list.last()


def _latest_feedback(feedback: pl.DataFrame, as_of: datetime | None) -> pl.DataFrame:
    known = feedback.filter((pl.col("at") <= as_of).fill_null(value=True)) if as_of else feedback
    return known.sort("seq", maintain_order=True).unique("feedback_id", keep="last", maintain_order=True)


def _said(feedback: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """Feedback that found its answer, with the answer's `interaction_id` and `started_at`, by time."""
    targets = _targets(feedback, answers)
    return (
        feedback.with_columns(
            interaction_id=answers["interaction_id"].gather(targets), started_at=answers["started_at"].gather(targets)
        )
        .filter(targets.is_not_null())
        .sort("at", "seq", "feedback_id", nulls_last=False)
    )


def _targets(feedback: pl.DataFrame, answers: pl.DataFrame) -> pl.Series:
    """For each feedback the row of its answer, null where its target is no answer or holds none."""
    asked = feedback.select("source", "target_id", "at", kind=pl.col("target_kind").fill_null("any")).with_row_index()
    places = answers.select(
        "interaction_id", "source", *TARGETS, "seq", at=pl.col("started_at").fill_null(LONG_AGO)
    ).with_row_index("answer")
    direct = places.select("answer", target_id="interaction_id")
    found = asked.filter(pl.col("kind") == "interaction").join(direct, on="target_id").select("index", "answer")
    for column, kinds in TARGETS.items():
        left = asked.filter(pl.col("kind").is_in(kinds)).join(found, on="index", how="anti")
        where = places.select("answer", "source", "at", "seq", target_id=column)
        found = pl.concat([found, _last_before(left, where.join(left, on="target_id", how="semi"))])
    return asked.select("index").join(found, on="index", how="left", maintain_order="left")["answer"]


def _last_before(asked: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """The last answer with the target's id before the feedback, else the last of all: `index`, `answer`."""
    key = ["source", "target_id"]
    places = places.drop_nulls(key).sort("at", "seq", "answer")
    last = places.group_by(key).agg(last_of_all=pl.col("answer").last())
    only = last.group_by("target_id").agg(only=pl.col("source").first(), n=pl.len()).filter(pl.col("n") == 1)
    own = last.select(*key, own="source")
    asked = (
        asked.join(own, on=key, how="left")
        .join(only, on="target_id", how="left")
        .with_columns(source=pl.coalesce("own", "only"))
        .join(last, on=key)
        .sort("at")
    )
    before = asked.drop_nulls("at").join_asof(places, on="at", by=key, check_sortedness=False)
    return asked.join(before.select("index", "answer"), on="index", how="left").select(
        "index", answer=pl.coalesce("answer", "last_of_all")
    )


def _summed(said: pl.DataFrame, rules: Sequence[OutcomeRule]) -> pl.DataFrame:
    return (
        said.with_columns(outcomes.verdicts(rules))
        .group_by("interaction_id", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("n_feedback"),
            pl.col("feedback_id").alias("feedback_ids"),
            pl.col("name").drop_nulls().unique().sort().alias("feedback_names"),
            *outcomes.events(rules),
        )
    )


def _improvements(said: pl.DataFrame) -> pl.DataFrame:
    latest = said.filter(pl.col("improvement").list.len() > 0).unique(
        "interaction_id", keep="last", maintain_order=True
    )
    return latest.select(
        "interaction_id",
        "improvement",
        improvement_text=pl.coalesce(
            last_said("improvement", "assistant"), pl.col("improvement").list.last().struct.field("content")
        ),
        improvement_id="feedback_id",
        improvement_at="at",
        improvement_origin="origin",
    )
