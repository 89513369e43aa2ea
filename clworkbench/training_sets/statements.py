"""Statements: what reviewers, users and outcomes say about which of two answers is better, one row for each pair."""

import json
from collections.abc import Mapping, Sequence
from itertools import combinations, product, takewhile
from typing import NamedTuple

import polars as pl

from clworkbench.policy.sampling import uniform
from clworkbench.training_sets.reviewed import counting, untouched
from clworkbench.training_sets.texts import canonical_json, conversation, normalised

IMPROVEMENT = "improvement"
"""What an option is called that is the better answer production gave, and no interaction's."""

NONE = "none"
"""What `preference` says where no answer is better than another."""

EACH = 8
"""Answers of either outcome to one task that are paired with each other: 64 pairs at most, whatever it was asked."""


class Opinions(NamedTuple):
    """What was said about answers.

    Attributes:
        labels: schema `LABELS`, the latest answer of each annotator; `counts` (Boolean) may say which decide.
        asked: `interaction_id`, `source` (of labels) and `options`: what stood beside each other.
        voices: schema `FEEDBACK` with the `interaction_id` that each is about.
    """

    labels: pl.DataFrame
    asked: pl.DataFrame
    voices: pl.DataFrame


def choices(opinions: Opinions) -> tuple[pl.DataFrame, int]:
    """What reviewers preferred and ranked, pair by pair.

    A ranking gives all pairs of answers in different places, not only neighbours: which of the first and the third is
    better was said as well, and where the second falls out (forgotten, kept out) it is still known. All pairs of one
    statement share a weight of 1, so that four ranked answers do not count as six opinions.

    Returns:
        One row for each pair: `interaction_id` (whose prompt it is), `better` and `worse` (ids of interactions, or
        `improvement`), `rule` (picked, ranked), `share`, `label_id`; and how many labels could not be read.

    Source: all pairs of a ranking, weighed as one, as in Ouyang et al. 2022 (InstructGPT), eq. (1).
    """
    labels = opinions.labels.filter(
        pl.col("status") == "submitted", pl.col("value").is_not_null(), counting(opinions.labels)
    )
    options = opinions.asked.select("interaction_id", "source", "options").unique(
        ["interaction_id", "source"], keep="last"
    )
    said = labels.filter(pl.col("question").is_in(["preference", "ranking"])).join(
        options, on=["interaction_id", "source"], how="left", maintain_order="left"
    )
    rows: list[tuple[str, str, str, str, float, str]] = []
    unread = 0
    for label, about, question, value, shown in said.select(
        "label_id", "interaction_id", "question", "value", "options"
    ).iter_rows():
        found = _ranked(value) if question == "ranking" else _picked(value, shown)
        unread += found is None
        pairs, rule = found or [], "ranked" if question == "ranking" else "picked"
        rows += [(about, better, worse, rule, 1 / len(pairs), label) for better, worse in pairs]
    schema = {"interaction_id": pl.String, "better": pl.String, "worse": pl.String, "rule": pl.String}
    return pl.DataFrame(rows, schema=schema | {"share": pl.Float64, "label_id": pl.String}, orient="row"), unread


def _picked(value: str, shown: list[str] | None) -> list[tuple[str, str]] | None:
    """The one over each other that was shown; None where nobody knows what was."""
    if value == NONE:
        return []
    if shown is None or value not in shown:
        return None
    return [(value, other) for other in dict.fromkeys(shown) if other != value]


def _ranked(value: str) -> list[tuple[str, str]] | None:
    """All pairs of different places; None where the value is no list of places, or names an answer twice."""
    try:
        places = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(places, list) or not all(isinstance(place, list) for place in places):
        return None
    named = [option for place in places for option in place]
    if not all(isinstance(option, str) for option in named) or len(set(named)) < len(named):
        return None
    return [pair for high, low in combinations(places, 2) for pair in product(high, low)]


def improvements(opinions: Opinions) -> pl.DataFrame:
    """The better answers that people and systems wrote: the latest correction, a reviewer's, and every preferred one.

    Returns:
        One row each: `interaction_id`, `better_text` (messages), `rule` (labelled, corrected, preferred),
        `feedback_id` or `label_id`, `improvement_origin`.
    """
    labels = opinions.labels.filter(
        pl.col("status") == "submitted", pl.col("improvement").is_not_null(), ~untouched(), counting(opinions.labels)
    ).sort("at", "label_id", nulls_last=False)
    columns = ("interaction_id", "better_text", "rule", "feedback_id", "label_id", "improvement_origin")
    none = pl.lit(None, pl.String)
    labelled = labels.unique("interaction_id", keep="last", maintain_order=True).select(
        "interaction_id",
        "label_id",
        better_text="improvement",
        rule=pl.lit("labelled"),
        feedback_id=none,
        improvement_origin=none,
    )
    voices = opinions.voices.filter(pl.col("improvement").list.len() > 0)
    # As signals have it: of one moment, the correction that was committed last.
    order = ["at", *(["seq"] if "seq" in voices.columns else []), "feedback_id"]
    voices = voices.sort(order, nulls_last=False)
    preferred = pl.col("kind") == "preference"
    latest = voices.filter(~preferred.fill_null(value=False)).unique("interaction_id", keep="last", maintain_order=True)
    told = [
        rows.select(
            "interaction_id",
            "feedback_id",
            better_text="improvement",
            rule=pl.lit(rule),
            label_id=none,
            improvement_origin="origin",
        )
        for rule, rows in (("corrected", latest), ("preferred", voices.filter(preferred)))
    ]
    return pl.concat([rows.select(columns) for rows in (labelled, *told)], how="vertical_relaxed")


def grouped(opinions: Opinions) -> pl.DataFrame:
    """Answers that users or evaluators compared with each other: feedback of one group, by its scores.

    Returns:
        One row for each pair: `better`, `worse` (ids of interactions), `feedback_ids`, `improvement_origin`.
    """
    voices = opinions.voices.filter(pl.col("kind") == "preference", pl.col("score").is_finite()).with_columns(
        group=pl.col("value").str.json_path_match("$.feedback_group_id")
    )
    one = voices.drop_nulls("group").select("group", "name", "interaction_id", "score", "feedback_id", "origin")
    both = one.join(one, on=["group", "name"], suffix="_worse").filter(pl.col("score") > pl.col("score_worse"))
    return both.filter(pl.col("interaction_id") != pl.col("interaction_id_worse")).select(
        better="interaction_id",
        worse="interaction_id_worse",
        feedback_ids=pl.concat_list("feedback_id", "feedback_id_worse"),
        improvement_origin="origin",
    )


def tasks() -> pl.Expr:
    """What answers must share to be compared: the task that the source names, else the very same prompt and tools.

    A task is named by `task_id` in `attributes`, within a source, an app and a system prompt.
    """
    system = pl.element().filter(pl.element().struct.field("role") == "system").struct.field("content")
    task = pl.col("attributes").str.json_path_match("$.task_id")
    before = pl.col("input").list.eval(system).list.join("\n")
    named = pl.concat_str(["source", "app", before, task], separator="\x1f", ignore_nulls=True)
    prompt = pl.concat_str([canonical_json(pl.col("input")), pl.col("tools").fill_null("")], separator="\x1f")
    return pl.when(task.is_not_null()).then(named).otherwise(prompt)


def won_and_lost(signals: pl.DataFrame, salt: str) -> pl.DataFrame:
    """Answers to one task of which one settled as good and the other as bad, each with each.

    Turns of one conversation are never compared. Of very many, `EACH` of either outcome are drawn.

    Args:
        signals: with `task`, `outcome`, `conversation_id`, `output`.
        salt: draws.

    Returns:
        One row for each pair: `better`, `worse` (ids of interactions).
    """
    settled = signals.drop_nulls("outcome").select("interaction_id", "task", "outcome", "conversation_id")
    both = pl.col("outcome").any().over("task") & (~pl.col("outcome")).any().over("task")
    settled = settled.filter(both)
    drawn = (
        settled.with_columns(draw=uniform(settled["interaction_id"], salt))
        if settled.height
        else settled.with_columns(draw=0.0)
    )
    kept = drawn.filter(pl.struct("draw", "interaction_id").rank("ordinal").over("task", "outcome") <= EACH)
    good, bad = kept.filter("outcome"), kept.filter(~pl.col("outcome"))
    return _apart(good.join(bad, on="task", suffix="_worse"))


def rated_apart(signals: pl.DataFrame, ratings: pl.DataFrame, salt: str) -> pl.DataFrame:
    """Answers to one task that were rated differently, the better rated first.

    Args:
        signals: with `task` and `conversation_id`.
        ratings: `interaction_id`, `rating` (-1 to 1), `feedback_ids`, `label_ids`, `improvement_origin`.
        salt: draws, as for `won_and_lost`.

    Returns:
        One row for each pair: `better`, `worse`, `margin` (above 0), `feedback_ids`, `label_ids`,
        `improvement_origin`.
    """
    told = signals.select("interaction_id", "task", "conversation_id").join(ratings, on="interaction_id")
    told = told.filter(pl.len().over("task") > 1)
    drawn = (
        told.with_columns(draw=uniform(told["interaction_id"], salt)) if told.height else told.with_columns(draw=0.0)
    )
    kept = drawn.filter(pl.struct("draw", "interaction_id").rank("ordinal").over("task") <= EACH)
    pairs = kept.join(kept, on="task", suffix="_worse").filter(pl.col("rating") > pl.col("rating_worse"))
    return _apart(pairs, margin=pl.col("rating") - pl.col("rating_worse"), **_ids_of_both())


def _ids_of_both() -> dict[str, pl.Expr]:
    return {
        "feedback_ids": pl.col("feedback_ids").list.concat("feedback_ids_worse"),
        "label_ids": pl.col("label_ids").list.concat("label_ids_worse"),
        "improvement_origin": pl.when(pl.col("improvement_origin") == pl.col("improvement_origin_worse"))
        .then(pl.col("improvement_origin"))
        .otherwise(pl.lit("system")),
    }


def _apart(pairs: pl.DataFrame, **more: pl.Expr) -> pl.DataFrame:
    """Pairs of different conversations, and of answers that have none."""
    same = pl.col("conversation_id") == pl.col("conversation_id_worse")
    return pairs.filter(~same.fill_null(value=False)).select(
        better="interaction_id", worse="interaction_id_worse", **more
    )


def ratings(opinions: Opinions, best: dict[str, int]) -> pl.DataFrame:
    """How each answer was rated: by reviewers where they did, else by the ratings that came with it.

    Args:
        opinions: what was said.
        best: by source of labels, the highest of its ratings, which begin at 1.

    Returns:
        One row for each rated answer: `interaction_id`, `rating` (the mean, -1 to 1), `feedback_ids`, `label_ids`,
        `improvement_origin` (reviewer, or the voices' own; system where one of them is).
    """
    top = pl.col("source").replace_strict(best, default=None, return_dtype=pl.Float64)
    value = pl.col("value").cast(pl.Float64, strict=False)
    labels = opinions.labels.filter(
        pl.col("status") == "submitted", pl.col("question") == "rating", counting(opinions.labels)
    ).with_columns(score=2 * (value - 1) / (top - 1) - 1)
    people = _mean(labels.filter(pl.col("score").is_between(-1, 1)), "label_id").with_columns(
        feedback_ids=pl.lit([], pl.List(pl.String)), improvement_origin=pl.lit("reviewer")
    )
    rated = opinions.voices.filter(pl.col("kind") == "rating", pl.col("score").is_between(-1, 1))
    by_system = (pl.col("origin") == "system").any()
    others = _mean(
        rated,
        "feedback_id",
        improvement_origin=pl.when(by_system).then(pl.lit("system")).otherwise(pl.col("origin").first()),
    )
    others = others.with_columns(label_ids=pl.lit([], pl.List(pl.String)))
    columns = ("interaction_id", "rating", "feedback_ids", "label_ids", "improvement_origin")
    found = pl.concat([people.select(columns), others.select(columns)], how="vertical_relaxed")
    return found.unique("interaction_id", keep="first", maintain_order=True)


def _mean(rows: pl.DataFrame, own: str, **more: pl.Expr) -> pl.DataFrame:
    return rows.group_by("interaction_id", maintain_order=True).agg(
        pl.col("score").mean().alias("rating"), pl.col(own).unique(maintain_order=True).alias(f"{own}s"), **more
    )


def same_prompt(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    """Whether two prompts are the same but for system prompts, case and punctuation."""
    return normalised(conversation(one)) == normalised(conversation(other))


def parting(talk: Sequence[Mapping[str, object]], other: Sequence[Mapping[str, object]]) -> int:
    """How many messages at the beginning of two talks are their prompt: those they share, up to an assistant's.

    Where users part them, it is the last assistant's message before; where no assistant spoke before, all that they
    share. Something is left of both.
    """
    shared = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(talk, other, strict=False)))
    ends = min(shared, len(talk) - 1, len(other) - 1)
    if talk[ends]["role"] == other[ends]["role"] == "assistant":
        return ends
    return next((place for place in range(ends - 1, -1, -1) if talk[place]["role"] == "assistant"), ends)
