"""Leakage: training rows that stand in a suite as well, exactly, normalised, or by their group."""

import re
import unicodedata
from collections.abc import Iterable

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.training_sets.texts import asked, conversation, normalised

LEAKS = ("leak_exact", "leak_normalised", "leak_group")

TELLING_WORDS = 4
"""A user's message of so many words, asked in a suite, gives a longer conversation away; 'thanks a lot' does not."""


def leaks(rows: pl.DataFrame, examples: pl.DataFrame, pseudonyms: Pseudonyms) -> pl.Series:
    """How each training row leaks into held-out examples.

    Args:
        rows: training rows with `prompt` and `group`.
        examples: rows of suites with `input` and `group` (a conversation, a wording, or a user's own name).
        pseudonyms: makes the keys of users.

    Returns:
        `leak_exact` (the same words), `leak_normalised` (the same but for case and punctuation, or a question of the
        suite asked anywhere in it), `leak_group` (the same conversation or user), or null, for each row in order.
    """
    said = conversation(pl.col("input"))
    held = examples.select(said=said, plain=normalised(said), group=pl.col("group"))
    questions = examples.select(q=normalised(asked(pl.col("input")).list.last()))["q"].drop_nulls()
    telling = questions.filter(questions.str.count_matches(" ") >= TELLING_WORDS - 1)
    groups = held["group"].drop_nulls().unique()
    groups = groups.append(pl.Series([pseudonyms.user(name) for name in groups], dtype=pl.String))
    row_said = conversation(pl.col("prompt"))
    quoted = asked(pl.col("prompt")).list.eval(normalised(pl.element()).is_in(telling.implode())).list.any()
    found = rows.select(
        pl.when(row_said.is_in(held["said"].drop_nulls().implode()))
        .then(pl.lit("leak_exact"))
        .when(normalised(row_said).is_in(held["plain"].drop_nulls().implode()) | quoted)
        .then(pl.lit("leak_normalised"))
        .when(pl.col("group").is_in(groups.implode()))
        .then(pl.lit("leak_group"))
        .alias("leak")
    )
    return found["leak"]


def proof(rows: pl.DataFrame, examples: pl.DataFrame) -> list[str]:
    """The ids of training rows that still ask what a suite asks, looked for by other means than `leaks`.

    Plain Python over sets of words, in order: what finds leaks and what proves that none is left share no code.
    """
    held = {_words(row["content"] for row in talk if row["role"] != "system") for talk in examples["input"]}
    found = zip(rows["row_id"], rows["prompt"], strict=True)
    return [row for row, talk in found if _words(said["content"] for said in talk if said["role"] != "system") in held]


def _words(texts: Iterable[str | None]) -> tuple[str, ...]:
    folded = unicodedata.normalize("NFKC", " ".join(text or "" for text in texts)).casefold()
    return tuple(re.findall(r"[^\W_]+", folded))
