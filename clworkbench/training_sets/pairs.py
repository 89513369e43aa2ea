"""Pairs: of two answers to one prompt the better and the worse, as rows on their way down."""

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import MESSAGES, TrainingKind
from clworkbench.training_sets import statements
from clworkbench.training_sets.allowed import SUBJECT, Descent, good
from clworkbench.training_sets.cosmetic import SMALL, small_change
from clworkbench.training_sets.descent import (
    EXACT,
    Finding,
    Rules,
    Turned,
    has_text,
    once,
    own_group,
    told_apart,
    usable,
)
from clworkbench.training_sets.reviewed import verdicts
from clworkbench.training_sets.sft import CUT_OFF
from clworkbench.training_sets.statements import IMPROVEMENT, Opinions

EDITS = ("labelled", "corrected")
"""Rules by which the better answer is the worse one, edited."""

PRECEDENCE = {"labelled": 0, "picked": 0, "ranked": 0, "corrected": 1, "preferred": 1, "rated": 2, "won": 3}
"""Whose word counts where two say the contrary: reviewers before production, and outcomes last."""

ON_TASKS = ("won", "rated")
"""Rules that compare runs, whose prompts are what both share."""

STATED = pl.Schema(
    {
        "interaction_id": pl.String(),
        "better": pl.String(),
        "worse": pl.String(),
        "better_text": MESSAGES,
        "rule": pl.String(),
        "share": pl.Float64(),
        "stated_margin": pl.Float64(),
        "improvement_origin": pl.String(),
        "feedback_ids": pl.List(pl.String()),
        "label_ids": pl.List(pl.String()),
    }
)
"""One row for each statement about two answers: whose prompt it is, which answer is better (`better_text` where no
model gave it), by which rule, and with which part of the statement's weight."""


def paired(
    kind: TrainingKind,
    signals: pl.DataFrame,
    opinions: Opinions,
    rules: Rules,
    pseudonyms: Pseudonyms,
    *,
    ratings: pl.DataFrame | None = None,
) -> tuple[Descent, Turned, list[Finding]]:
    """All pairs that may be learned from, each once, those said the other way round as well settled by precedence.

    Args:
        kind: of the rows: preference or reward.
        signals: one row for each answer, as `signals.view.signals` gives it.
        opinions: what was said about them.
        rules: see `Rules`.
        pseudonyms: makes row ids.
        ratings: as `statements.ratings` gives them; pairs of differently rated answers are made where it is given.

    Returns:
        The rows with `prompt`, `chosen`, `rejected`, what `descent.ended` needs, and `stated_margin`; how signals
        turned into pairs; and what should be known of them.
    """
    waterfall = usable(signals, rules, pseudonyms)
    answers = _answers(waterfall.rows, opinions, rules)
    stated, findings = _stated(answers, opinions, ratings, pseudonyms.split_salt)
    pairs = _with_texts(stated.join(answers.select("interaction_id"), on="interaction_id", how="semi"), answers)
    in_pairs = pairs["signal_ids"].explode(empty_as_null=False).unique()
    waterfall.keep(pl.col("interaction_id").is_in(in_pairs.implode()), "no_pair")
    turned = Turned(waterfall.rows.height, pairs.height)
    waterfall.rows = pairs
    waterfall.keep(pl.col("chosen").is_not_null() & pl.col("rejected").is_not_null(), "answer_gone")
    if kind == "preference":
        waterfall.keep(pl.col("prompt").list.len() > 0, "no_shared_prompt")
    on_tasks = pl.col("rule").is_in(ON_TASKS)
    waterfall.drop(on_tasks & (pl.col("better_disputed") | pl.col("worse_disputed")), "disputed")
    waterfall.keep(_speaks(), "no_text")
    waterfall.drop(on_tasks & pl.col("cut_off"), "cut_off")
    told_apart(waterfall, kind, rules, pseudonyms)
    waterfall.rows = waterfall.rows.with_columns(
        pl.col("weight") * pl.col("share"),
        said=pl.when(pl.col("said") != "").then("said"),
        group=_group(waterfall.rows, pseudonyms),
    )
    _without_small(waterfall)
    _settled(waterfall)
    once(waterfall, "said", "taught")
    return waterfall, turned, [*findings, *_about_runs(waterfall.rows)]


def _answers(signals: pl.DataFrame, opinions: Opinions, rules: Rules) -> pl.DataFrame:
    """What is needed of each answer that may be used."""
    judged = verdicts(opinions.labels).drop("label_improvement")
    rows = signals.join(judged, on="interaction_id", how="left", maintain_order="left")
    return rows.select(
        *("interaction_id", "conversation_id", "user_key", "started_at", "confidence", "tools"),
        *("label_accepts", "label_agreement", "feedback_ids", "improvement_id", *SUBJECT),
        pl.col("input", "output", "improvement").cast(MESSAGES),
        outcome=pl.coalesce("label_accepts", "outcome"),
        label_ids=pl.when(pl.col("label_accepts").is_not_null()).then("label_ids").fill_null([]),
        disputed=pl.col("interaction_id").is_in(list(rules.disputed)),
        belief=good(rows, rules.allowed),
        own_group=own_group(),
        task=statements.tasks(),
        cut_off=(pl.col("finish_reason").is_in(CUT_OFF) | pl.col("error").is_not_null()).fill_null(value=False),
    )


def _stated(
    answers: pl.DataFrame, opinions: Opinions, ratings: pl.DataFrame | None, salt: str
) -> tuple[pl.DataFrame, list[Finding]]:
    """All statements (`STATED`), and what could not be read."""
    better = statements.improvements(opinions)
    written = better.with_columns(
        better=pl.lit(IMPROVEMENT),
        worse=pl.col("interaction_id"),
        feedback_ids=pl.concat_list("feedback_id").list.drop_nulls(),
        label_ids=pl.concat_list("label_id").list.drop_nulls(),
    )
    chosen, unread = statements.choices(opinions)
    own = answers.select("interaction_id", "improvement_id", better_text="improvement")
    offered = (pl.col("better") == IMPROVEMENT) | (pl.col("worse") == IMPROVEMENT)
    reviewed = chosen.join(own, on="interaction_id", how="left", maintain_order="left").with_columns(
        better_text=pl.when(pl.col("better") == IMPROVEMENT).then("better_text"),
        feedback_ids=pl.concat_list(pl.when(offered).then("improvement_id")).list.drop_nulls(),
        label_ids=pl.concat_list("label_id"),
    )
    prompts = answers.select("interaction_id", "input")
    grouped = statements.grouped(opinions).join(prompts, left_on="better", right_on="interaction_id")
    grouped = grouped.join(prompts, left_on="worse", right_on="interaction_id", suffix="_worse")
    grouped = grouped.filter(statements.same_prompt(pl.col("input"), pl.col("input_worse")))
    told = [
        written,
        reviewed,
        grouped.with_columns(interaction_id="better", rule=pl.lit("preferred")),
        _won(answers, salt),
    ]
    if ratings is not None:
        apart = statements.rated_apart(answers, ratings, salt)
        told.append(apart.with_columns(interaction_id="better", rule=pl.lit("rated"), stated_margin="margin"))
    found = pl.concat([_in_form(rows) for rows in told])
    said = f"{unread:,} labels compare answers and cannot be read: their options are not known, or the value is broken"
    return found, [Finding("labels", said)] if unread else []


def _won(answers: pl.DataFrame, salt: str) -> pl.DataFrame:
    pairs = statements.won_and_lost(answers, salt)
    heard = answers.select("interaction_id", "feedback_ids", "label_ids")
    both = pairs.join(heard, left_on="better", right_on="interaction_id", how="left", maintain_order="left").join(
        heard, left_on="worse", right_on="interaction_id", how="left", maintain_order="left", suffix="_worse"
    )
    return both.with_columns(
        interaction_id="better",
        rule=pl.lit("won"),
        feedback_ids=pl.col("feedback_ids").list.concat("feedback_ids_worse"),
        label_ids=pl.col("label_ids").list.concat("label_ids_worse"),
    )


def _in_form(rows: pl.DataFrame) -> pl.DataFrame:
    """Statements with all columns of `STATED`."""
    none: dict[str, pl.Expr] = {"share": pl.lit(1.0)}
    none |= {name: pl.lit([], pl.List(pl.String)) for name in ("feedback_ids", "label_ids")}
    return rows.select(
        (pl.col(name) if name in rows.columns else none.get(name, pl.lit(None))).cast(dtype).alias(name)
        for name, dtype in STATED.items()
    )


def _with_texts(stated: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """The pairs with their texts, from the answers behind them; null where an answer is gone."""
    told = (
        "output",
        "input",
        "belief",
        "own_group",
        "user_key",
        "started_at",
        "confidence",
        "label_accepts",
        "cut_off",
        "disputed",
        *SUBJECT,
    )
    lead = answers.select(
        "interaction_id", "input", "tools", "user_key", "started_at", "own_group", "task", "label_agreement", *SUBJECT
    )
    rows = stated.join(lead, on="interaction_id", how="left", maintain_order="left")
    for side in ("better", "worse"):
        named = answers.select(
            pl.col("interaction_id").alias(side), *(pl.col(name).alias(f"{side}_{name}") for name in told)
        )
        rows = rows.join(named, on=side, how="left", maintain_order="left")
    worse_improvement = answers.select("interaction_id", offered="improvement")
    rows = rows.join(worse_improvement, on="interaction_id", how="left", maintain_order="left").with_columns(
        better_output=pl.coalesce("better_output", "better_text"),
        worse_output=pl.when(pl.col("worse") == IMPROVEMENT).then("offered").otherwise("worse_output"),
    )
    return _described(_as_talks(rows))


def _as_talks(rows: pl.DataFrame) -> pl.DataFrame:
    """Adds `prompt`, `chosen` and `rejected`; of runs the prompt is what both share."""
    runs = pl.col("rule").is_in(ON_TASKS) & pl.col("better_output").is_not_null() & pl.col("worse_output").is_not_null()
    talk, other = (pl.col(f"{side}_input").list.concat(f"{side}_output") for side in ("better", "worse"))
    both = rows.filter(runs).with_columns(talk=talk, other=other)
    ends = [statements.parting(one, another) for one, another in both.select("talk", "other").iter_rows()]
    end = pl.col("end")
    parted = both.with_columns(end=pl.Series(ends, dtype=pl.Int64)).with_columns(
        prompt=pl.col("talk").list.head(end),
        chosen=pl.col("talk").list.slice(end),
        rejected=pl.col("other").list.slice(end),
    )
    others = rows.filter(~runs).with_columns(prompt="input", chosen="better_output", rejected="worse_output")
    return pl.concat([others, parted.drop("talk", "other", "end")])


def _described(rows: pl.DataFrame) -> pl.DataFrame:
    """The pairs with what the way down needs of the answers behind them."""
    won = pl.col("rule") == "won"
    odds = [
        (pl.col(name).clip(1e-9, 1 - 1e-9) / (1 - pl.col(name).clip(1e-9, 1 - 1e-9))).log()
        for name in ("better_belief", "worse_belief")
    ]
    ids = pl.concat_list("interaction_id", "better", "worse")
    groups = pl.concat_list("own_group", "better_own_group", "worse_own_group")
    users = pl.concat_list("user_key", "better_user_key", "worse_user_key")
    times = ("started_at", "better_started_at", "worse_started_at")
    by_people = pl.col("better_label_accepts") & ~pl.col("worse_label_accepts")
    subject = [pl.concat_list(pl.col(name, f"better_{name}", f"worse_{name}").fill_null([])) for name in SUBJECT]
    return rows.with_columns(
        *(expr.list.unique(maintain_order=True).alias(name) for name, expr in zip(SUBJECT, subject, strict=True)),
        signal_ids=ids.list.eval(pl.element().filter(pl.element() != IMPROVEMENT)).list.unique(maintain_order=True),
        groups=groups.list.drop_nulls().list.unique(maintain_order=True),
        user_keys=users.list.drop_nulls().list.unique(maintain_order=True),
        at=pl.max_horizontal(times),
        belief=pl.when(won).then(1 / (1 + (odds[1] - odds[0]).exp())),
        confidence=pl.when(won).then("better_confidence"),
        label_accepts=pl.when(won & by_people).then(statement=True),
        label_agreement=pl.when(pl.col("rule").is_in(EDITS)).then("label_agreement"),
        cut_off=pl.col("better_cut_off"),
    ).with_columns(source_of=pl.col("signal_ids").list.join(","), group=pl.col("groups").list.first())


def _speaks() -> pl.Expr:
    """Somebody asks, in the prompt or in what follows, and an assistant answers on both sides."""
    asked = has_text("prompt", "user") | has_text("chosen", "user")
    return asked & has_text("chosen", "assistant") & has_text("rejected", "assistant")


def _group(rows: pl.DataFrame, pseudonyms: Pseudonyms) -> pl.Series:
    """The group that all answers behind a row share, else the task or the prompt that they answer."""
    about = rows.select(
        one=pl.col("groups").list.len() == 1,
        group="group",
        text=pl.when(pl.col("rule").is_in(ON_TASKS)).then("task").otherwise("said"),
    )
    texts = about.filter(~pl.col("one"))["text"].unique().drop_nulls()
    named = {text: pseudonyms.id("prompt", text) for text in texts}
    other = pl.col("text").replace_strict(named, default=None, return_dtype=pl.String)
    return about.select(group=pl.when("one").then("group").otherwise(pl.coalesce(other, "group")))["group"]


def _without_small(waterfall: Descent) -> None:
    """Drops pairs whose difference teaches nothing; a cosmetic one counts where somebody compared, and not edited."""
    small = small_change(pl.col("chosen"), pl.col("rejected"))
    waterfall.rows = waterfall.rows.with_columns(small=small)
    for reason in SMALL:
        applies = pl.col("rule").is_in(EDITS) if reason == "cosmetic" else pl.lit(value=True)
        waterfall.drop((pl.col("small") == reason) & applies, reason)


def _settled(waterfall: Descent) -> None:
    """Of pairs that are said both ways round, those that count: by `PRECEDENCE`, then by weight; a tie drops both."""
    way = pl.col("chosen_json") <= pl.col("rejected_json")
    chosen, rejected = (pl.col("taught").str.split("\n").list.get(n, null_on_oob=True) for n in (0, 1))
    rows = waterfall.rows.with_columns(chosen_json=chosen, rejected_json=rejected).with_columns(
        pair=pl.min_horizontal("chosen_json", "rejected_json")
        + "\n"
        + pl.max_horizontal("chosen_json", "rejected_json"),
        way=pl.when(way).then(1).otherwise(-1),
        rank=pl.col("rule").replace_strict(PRECEDENCE, return_dtype=pl.Int64),
    )
    of = ["question", "pair"]
    both = pl.col("way").n_unique().over(of) > 1
    first = pl.col("rank") == pl.col("rank").min().over(of)
    vote = (pl.col("way") * pl.col("weight")).filter(first).sum().over(of)
    waterfall.rows = rows.with_columns(contradicted=both & (vote.round(EXACT).sign() != pl.col("way")))
    waterfall.drop(pl.col("contradicted"), "contradicted")
    waterfall.rows = waterfall.rows.sort("rank", maintain_order=True)


def _about_runs(rows: pl.DataFrame) -> list[Finding]:
    """Runs hold the words of users and tools after the prompt, whose probabilities a pairwise loss takes as well."""
    others = pl.col("chosen").list.eval(pl.element().struct.field("role") != "assistant").list.any()
    n = rows.filter(others).height
    said = f"{n:,} pairs are whole runs: words of users and tools stand among the answers, and DPO weighs them as well"
    return [Finding("runs", said)] if n else []
