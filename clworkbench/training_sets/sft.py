"""Supervised training sets: accepted answers, corrections and labels, with the waterfall that led to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import ACCEPT_WORDS, MESSAGES, REJECT_WORDS, TRAINING_ROWS
from clworkbench.training_sets import allowed
from clworkbench.training_sets.allowed import Allowed, Descent
from clworkbench.training_sets.leakage import leaks
from clworkbench.training_sets.split import replayed, with_split
from clworkbench.training_sets.texts import canonical_json, conversation, normalised

CUT_OFF = ("length", "content_filter", "error")


@dataclass(frozen=True)
class SftRules:
    """What may become a row, beside the signals themselves.

    Attributes:
        where: Boolean expression over signals, or a value for each; None keeps all.
        holdout: share of groups held out.
        replay: share of the training split that shall be rows in `learned`.
        learned: ids of rows the champion was trained on.
        disputed: signals whose annotators disagree, and nobody has decided.
        draw: salt of the replay's sample.
        allowed: the policy.
        leave: gives rows with `prompt` and `completion` as they may be seen outside the workspace.
    """

    where: pl.Expr | pl.Series | None = None
    holdout: float = 0.1
    replay: float = 1.0
    learned: Sequence[str] = ()
    disputed: Sequence[str] = ()
    draw: str = ""
    allowed: Allowed = field(default_factory=Allowed)
    leave: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows


@dataclass(frozen=True)
class BuiltSet:
    """A training set and how it came about.

    Attributes:
        frame: the rows (schema `TRAINING_ROWS`), ordered by `row_id`.
        n_signals: the signals it started from.
        dropped: what each rule took away, in the order of the waterfall.
        n_new: rows of the training split that the champion has not learned.
    """

    frame: pl.DataFrame
    n_signals: int
    dropped: dict[str, int]
    n_new: int

    def __repr__(self) -> str:
        return f"BuiltSet({self.frame.height} rows from {self.n_signals} signals, {self.n_new} new)"

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split."""
        return dict(sorted(self.frame["split"].value_counts().iter_rows()))


def build_sft(
    signals: pl.DataFrame, labels: pl.DataFrame, examples: pl.DataFrame, rules: SftRules, pseudonyms: Pseudonyms
) -> BuiltSet:
    """Makes supervised rows from signals.

    A label with an improvement comes first, then a correction from production, then an answer that settled as
    accepted. Everything else is dropped and counted; the counts and the rows add up to the signals.

    Args:
        signals: one row for each answer, as `signals.view.signals` gives it.
        labels: schema `LABELS`, the latest answer of each annotator; `counts` (Boolean) may say which decide.
        examples: schema `SUITE`: all held-out examples; rows that leak into them are dropped.
        rules: see `SftRules`.
        pseudonyms: makes row ids and the split.
    """
    waterfall = Descent(signals)
    if rules.where is not None:
        waterfall.keep(rules.where, "excluded")
    allowed.use(waterfall, rules.allowed, pseudonyms)
    waterfall.rows = _with_rule(waterfall.rows, labels)
    waterfall.drop(pl.col("interaction_id").is_in(list(rules.disputed)), "disputed")
    for reason in ("rejected", "pending", "negative"):
        waterfall.drop(pl.col("rule") == reason, reason)
    waterfall.keep(_has_text("prompt", "user") & _has_text("completion", "assistant"), "no_text")
    cut = (pl.col("rule") == "accepted") & (pl.col("finish_reason").is_in(CUT_OFF) | pl.col("error").is_not_null())
    waterfall.drop(cut, "cut_off")
    allowed.spoken(waterfall, rules.allowed)
    allowed.trust(waterfall, rules.allowed)
    waterfall.rows = _with_identity(rules.leave(waterfall.rows), pseudonyms)
    waterfall.rows = _with_twins(waterfall.rows)
    waterfall.keep(pl.struct("said", "completion_json").is_first_distinct(), "duplicate")
    allowed.cap(waterfall, rules.allowed, pseudonyms.split_salt)
    waterfall.rows = waterfall.rows.with_columns(leak=leaks(waterfall.rows, examples, pseudonyms))
    for reason in ("leak_exact", "leak_normalised", "leak_group"):
        waterfall.drop(pl.col("leak") == reason, reason)
    rows = with_split(waterfall.rows, holdout=rules.holdout, salt=pseudonyms.split_salt)
    train = rows.filter(pl.col("split") == "train")
    learned = pl.Series("learned", rules.learned, dtype=pl.String)
    kept = replayed(train, learned, share=rules.replay, salt=pseudonyms.split_salt + rules.draw)
    waterfall.dropped["not_replayed"] = train.height - kept.height
    held = rows.filter(pl.col("split") == "holdout").with_columns(replay=pl.lit(value=False))
    final = pl.concat([kept, held]).sort("row_id")
    n_new = final.filter((pl.col("split") == "train") & ~pl.col("replay")).height
    frame = final.select(pl.col(name).cast(dtype) for name, dtype in TRAINING_ROWS["sft"].items())
    return BuiltSet(frame, signals.height, waterfall.dropped, n_new)


def _with_rule(signals: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Adds `rule` (how the row is learned, or why it is not), `prompt`, `completion` and the ids behind them."""
    rows = signals.join(verdicts(labels), on="interaction_id", how="left")
    labelled = pl.col("label_improvement").is_not_null()
    corrected = pl.col("improvement").is_not_null()
    accepted = pl.coalesce("label_accepts", "outcome")
    rule = (
        pl.when(labelled)
        .then(pl.lit("labelled"))
        .when(~pl.col("label_accepts"))
        .then(pl.when(corrected).then(pl.lit("corrected")).otherwise(pl.lit("rejected")))
        .when(corrected)
        .then(pl.lit("corrected"))
        .when(accepted)
        .then(pl.lit("accepted"))
        .when(~accepted)
        .then(pl.lit("negative"))
        .otherwise(pl.lit("pending"))
    )
    corrections = pl.concat_list("improvement_id")
    return rows.with_columns(rule=rule).with_columns(
        prompt=pl.col("input"),
        completion=pl.when(rule == "labelled")
        .then(pl.col("label_improvement"))
        .when(rule == "corrected")
        .then(pl.col("improvement"))
        .otherwise(pl.col("output")),
        feedback_ids=pl.when(rule == "corrected").then(corrections).otherwise(pl.col("feedback_ids")),
        label_ids=pl.col("label_ids").fill_null([]),
        signal_ids=pl.concat_list("interaction_id"),
    )


def _with_twins(rows: pl.DataFrame) -> pl.DataFrame:
    """Each row with the ids behind all rows of the same text: what is kept once was said by all of them."""
    ids = ("signal_ids", "feedback_ids", "label_ids")
    twins = rows.group_by("said", "completion_json").agg(
        pl.col(name).explode().drop_nulls().unique(maintain_order=True) for name in ids
    )
    return rows.drop(ids).join(twins, on=["said", "completion_json"], how="left", maintain_order="left")


def verdicts(labels: pl.DataFrame) -> pl.DataFrame:
    """What reviewers said about each signal: the latest improvement, and whether most accept the answer.

    An improvement that was filled in and left as it was is none, and only answers to the question `answer` are votes.
    """
    untouched = (pl.col("question") == "improvement") & pl.col("equals_suggestion")
    bettered = pl.col("improvement").is_not_null() & ~untouched.fill_null(value=False)
    votes = (pl.col("question") == "answer") & pl.col("value").is_not_null()
    said = labels.filter(pl.col("status") == "submitted", bettered | votes).sort("at", "label_id", nulls_last=False)
    value = pl.col("value").str.to_lowercase().str.strip_chars()
    vote = pl.when(~votes).then(None).when(value.is_in(ACCEPT_WORDS)).then(1).when(value.is_in(REJECT_WORDS)).then(-1)
    counts = pl.col("counts") if "counts" in labels.columns else pl.lit(value=True)
    counted = vote.filter(counts)
    return said.group_by("interaction_id", maintain_order=True).agg(
        label_improvement=pl.col("improvement").filter(counts).drop_nulls().last(),
        label_accepts=pl.when(counted.sum() != 0).then(counted.sum() > 0),
        label_agreement=(vote.count() + vote.sum().abs()) / (2 * vote.count()),
        label_ids=pl.col("label_id"),
    )


def _has_text(column: str, role: str) -> pl.Expr:
    """Whether the messages hold some text (or tool call) of this role."""
    message = pl.element().struct
    speaks = message.field("content").str.strip_chars().str.len_chars() > 0
    calls = message.field("tool_calls").list.len() > 0
    said = (message.field("role") == role) & (speaks.fill_null(value=False) | calls.fill_null(value=False))
    return pl.col(column).list.eval(said).list.any().fill_null(value=False)


def _with_identity(rows: pl.DataFrame, pseudonyms: Pseudonyms) -> pl.DataFrame:
    """Adds `row_id`, `group`, `at` and the texts by which duplicates and leaks are found."""
    prepared = rows.with_columns(
        said=normalised(conversation(pl.col("prompt"))),
        completion_json=canonical_json(pl.col("completion").cast(MESSAGES)),
        group=pl.coalesce("conversation_id", "user_key", "interaction_id"),
        at=pl.col("started_at"),
    ).sort("at", "interaction_id", nulls_last=True)
    pairs = zip(prepared["interaction_id"], prepared["completion_json"], strict=True)
    return prepared.with_columns(row_id=pl.Series([pseudonyms.id("row", *pair) for pair in pairs], dtype=pl.String))
