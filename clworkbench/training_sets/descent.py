"""The way down that rows of every kind go: from signals that may be used, through trust, twins, caps and leaks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import polars as pl
from polars import selectors

from clworkbench.errors import ArtefactError
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import MESSAGES, TRAINING_ROWS, TrainingKind
from clworkbench.training_sets import allowed
from clworkbench.training_sets.allowed import Allowed, Descent
from clworkbench.training_sets.holdout import HOLDOUT_LEAKS, taught, with_forward
from clworkbench.training_sets.leakage import LEAKS, leaks
from clworkbench.training_sets.split import replayed, with_split
from clworkbench.training_sets.texts import canonical_json, conversation, normalised, question
from clworkbench.training_sets.weighing import Weighing, weighed

IDS = ("signal_ids", "feedback_ids", "label_ids")
BEHIND = r"^((better|worse)_)?(input|output|text)$|^(answer|improvement|improvement_text|attributes|parameters)$"
"""Columns of signals and pairs that nothing needs once prompts and answers are made of them: most of the memory."""

TAUGHT: dict[TrainingKind, tuple[str, ...]] = {
    "sft": ("completion",),
    "preference": ("chosen", "rejected"),
    "unpaired": ("completion",),
    "reward": ("chosen", "rejected"),
    "prompts": ("expected",),
}
"""By kind, what stands beside the prompt; the first is what is held up as good."""

EXACT = 9
"""Decimals to which votes are counted: thirds that add up to one are a tie with one, in whatever order."""


@dataclass(frozen=True)
class Rules:
    """What may become a row, beside the signals themselves.

    Attributes:
        where: Boolean expression over signals, or a value for each; None keeps all.
        holdout: share of groups held out.
        cut: from when on all is held out as well; None for never.
        replay: share of the training split that shall be rows in `learned`.
        learned: ids of rows the champion was trained on.
        disputed: signals whose annotators disagree, and nobody has decided.
        draw: salt of the replay's sample.
        allowed: the policy.
        leave: gives rows with these columns of texts as they may be seen outside the workspace.
        weighing: what rows weigh beside how far they are believed.
    """

    where: pl.Expr | pl.Series | None = None
    holdout: float = 0.1
    cut: datetime | None = None
    replay: float = 1.0
    learned: Sequence[str] = ()
    disputed: Sequence[str] = ()
    draw: str = ""
    allowed: Allowed = field(default_factory=Allowed)
    leave: Callable[[pl.DataFrame, Sequence[str]], pl.DataFrame] = lambda rows, _columns: rows
    weighing: Weighing = field(default_factory=Weighing)


@dataclass(frozen=True)
class Turned:
    """So many signals turned into so many rows, in kinds that do not make one of each."""

    signals: int
    rows: int


class Finding(NamedTuple):
    """What a reader of the set should know: `kind` is one word, `detail` a sentence."""

    kind: str
    detail: str


@dataclass(frozen=True)
class BuiltSet:
    """A training set and how it came about.

    Attributes:
        frame: the rows (schema `TRAINING_ROWS`), ordered by `row_id`.
        n_signals: the signals it started from.
        dropped: what each rule took away, in the order of the waterfall.
        n_new: rows of the training split that the champion has not learned.
        kind: what the rows are for.
        turned: how signals turned into rows on the way; None where each makes one.
        findings: what should be known of it.
        about: what its manifest says beside, by name.
    """

    frame: pl.DataFrame
    n_signals: int
    dropped: dict[str, int]
    n_new: int
    kind: TrainingKind = "sft"
    turned: Turned | None = None
    findings: tuple[Finding, ...] = ()
    about: Mapping[str, object] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"BuiltSet({self.kind}: {self.frame.height} rows from {self.n_signals} signals, {self.n_new} new)"

    @property
    def splits(self) -> dict[str, int]:
        """Rows by split."""
        return dict(sorted(self.frame["split"].value_counts().iter_rows()))


def kind_of(manifest: Mapping[str, object]) -> TrainingKind:
    """What a training set's rows are for, by its manifest; sets of older versions are supervised ones."""
    found = manifest.get("rows_kind", "sft")
    kind = next((kind for kind in TAUGHT if kind == found), None)
    if kind is None:
        raise ArtefactError(
            f"{manifest.get('id')}: rows of kind {found!r}, which this version does not know. Update clworkbench."
        )
    return kind


def usable(signals: pl.DataFrame, rules: Rules, pseudonyms: Pseudonyms) -> Descent:
    """The signals from which rows may be made: those of `where` that the policy lets through."""
    waterfall = Descent(signals)
    if rules.where is not None:
        waterfall.keep(rules.where, "excluded")
    allowed.use(waterfall, rules.allowed, pseudonyms)
    return waterfall


def told_apart(waterfall: Descent, kind: TrainingKind, rules: Rules, pseudonyms: Pseudonyms) -> None:
    """Rows that may be learned, as they may leave, with their `row_id` and the texts by which twins are found.

    `said` tells duplicates, `question` (finer) what may contradict each other, `taught` what stands beside the prompt.

    Args:
        waterfall: rows with `prompt`, what stands in `TAUGHT`, `tools`, `interaction_id` (of the signal that speaks),
            `source_of` (the ids that the row's own is made of), `group`, `at`, `user_key`, and what `allowed.trust`
            needs.
        kind: of the rows.
        rules: the policy, and how texts leave.
        pseudonyms: makes the ids.
    """
    taught = TAUGHT[kind]
    talks = [name for name in ("prompt", *taught) if waterfall.rows.schema[name] != pl.String]
    waterfall.rows = waterfall.rows.with_columns(pl.col(talks).cast(MESSAGES))
    allowed.spoken(waterfall, rules.allowed)
    allowed.trust(waterfall, rules.allowed, taught[0])
    left = rules.leave(waterfall.rows, ("prompt", *taught))
    texts = [canonical_json(pl.col(name)) if name in talks else pl.col(name) for name in taught]
    rows = left.with_columns(
        said=normalised(conversation(pl.col("prompt"))),
        question=question(pl.col("prompt"), pl.col("tools")),
        taught=pl.concat_str(texts, separator="\n"),
    )
    rows = rows.drop(selectors.matches(BEHIND)).sort("at", "source_of", nulls_last=True)
    named = () if kind == "sft" else (kind,)
    pairs = zip(rows["source_of"], rows["taught"], strict=True)
    ids = pl.Series([pseudonyms.id("row", *named, *pair) for pair in pairs], dtype=pl.String)
    waterfall.rows = rows.with_columns(row_id=ids)


def once(waterfall: Descent, *by: str) -> None:
    """One row of those that teach the same, with the ids behind all of them."""
    rows = waterfall.rows
    twins = rows.group_by(by).agg(pl.col(name).explode().drop_nulls().unique(maintain_order=True) for name in IDS)
    waterfall.rows = rows.drop(IDS).join(twins, on=list(by), how="left", maintain_order="left", nulls_equal=True)
    waterfall.keep(pl.struct(by).is_first_distinct(), "duplicate")


def ended(
    waterfall: Descent,
    kind: TrainingKind,
    n_signals: int,
    examples: pl.DataFrame,
    rules: Rules,
    pseudonyms: Pseudonyms,
    *,
    turned: Turned | None = None,
    findings: Sequence[Finding] = (),
) -> BuiltSet:
    """Caps, leaks, split, replay and weights; the rows that are left are the set's.

    Of a row that rests on several signals, the group of each is looked for in suites (`groups`).
    """
    allowed.cap(waterfall, rules.allowed, pseudonyms.split_salt)
    rows = with_split(waterfall.rows, holdout=rules.holdout, salt=pseudonyms.split_salt)
    waterfall.rows = with_forward(rows, rules.cut)
    _drop_leaks(waterfall, examples, rules, pseudonyms)
    train, held = (waterfall.rows.filter(side) for side in (pl.col("split") == "train", pl.col("split") != "train"))
    learned = pl.Series("learned", rules.learned, dtype=pl.String)
    kept = replayed(train, learned, share=rules.replay, salt=pseudonyms.split_salt + rules.draw)
    waterfall.dropped["not_replayed"] = train.height - kept.height
    n_new = kept.filter(~pl.col("replay")).height
    kept, said = weighed(kept, rules.weighing)
    held = held.with_columns(replay=pl.lit(value=False))
    final = pl.concat([kept, held], how="vertical_relaxed").sort("row_id")
    frame = final.select(pl.col(name).cast(dtype) for name, dtype in TRAINING_ROWS[kind].items())
    told = (*findings, *(Finding("balance", text) for text in said.findings))
    return BuiltSet(frame, n_signals, waterfall.dropped, n_new, kind, turned, told, said.about)


def _drop_leaks(waterfall: Descent, examples: pl.DataFrame, rules: Rules, pseudonyms: Pseudonyms) -> None:
    """Takes away the rows that leak into suites, and the held-out ones that stand in the training split."""
    asked = waterfall.rows.with_columns(prompt=_all_asked(waterfall.rows))
    waterfall.rows = waterfall.rows.with_columns(leak=leaks(asked, examples, pseudonyms, cut=rules.cut))
    for reason in LEAKS:
        waterfall.drop(pl.col("leak") == reason, reason)
    again = taught(waterfall.rows.with_columns(prompt=_all_asked(waterfall.rows)))
    waterfall.rows = waterfall.rows.with_columns(leak=again)
    for reason in HOLDOUT_LEAKS:
        waterfall.drop(pl.col("leak") == reason, reason)


def asking(rows: pl.DataFrame, kind: TrainingKind) -> pl.DataFrame:
    """The rows with the `prompt` in which leaks are looked for.

    Of whole dialogues it is all but the last answer; of runs that share no word of the user, all of the better one.
    """
    if kind == "reward":
        return rows.with_columns(prompt=pl.col("chosen").list.slice(0, pl.col("chosen").list.len() - 1))
    return rows.with_columns(prompt=_all_asked(rows))


def _all_asked(rows: pl.DataFrame) -> pl.Expr:
    if "chosen" not in rows.columns:
        return pl.col("prompt")
    return pl.when(has_text("prompt", "user")).then("prompt").otherwise(pl.col("prompt").list.concat("chosen"))


def has_text(column: str, role: str) -> pl.Expr:
    """Whether the messages hold some text (or tool call) of this role."""
    message = pl.element().struct
    speaks = message.field("content").str.strip_chars().str.len_chars() > 0
    calls = message.field("tool_calls").list.len() > 0
    said = (message.field("role") == role) & (speaks.fill_null(value=False) | calls.fill_null(value=False))
    return pl.col(column).list.eval(said).list.any().fill_null(value=False)


def own_group() -> pl.Expr:
    """What a signal must not be parted from: its conversation, else its user, else itself."""
    return pl.coalesce("conversation_id", "user_key", "interaction_id")
