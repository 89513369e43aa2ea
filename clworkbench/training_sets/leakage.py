"""Leakage: rows that show what is held out: exactly, normalised, nearly, quoted, by their group or by their time."""

from datetime import datetime

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.similarity.alike import alike
from clworkbench.training_sets.pieces import (
    COMMON,
    NEAR,
    QUOTED_WORDS,
    expected_phrases,
    having,
    is_telling,
    n_words,
    pieces,
    prompted,
    questions,
    quotes,
    requests,
)
from clworkbench.training_sets.texts import conversation, normalised

LEAKS = ("leak_exact", "leak_normalised", "leak_near_duplicate", "leak_quoted", "leak_group", "leak_later")
"""How a row leaks; of several, the first that is true of it."""


def leaks(
    rows: pl.DataFrame, examples: pl.DataFrame, pseudonyms: Pseudonyms, *, cut: datetime | None = None
) -> pl.Series:
    """How each training row leaks into held-out examples; takes time in proportion to the texts.

    Args:
        rows: training rows of any kind of set, with `group`; `groups` and `user_keys` (lists), `user_key`,
            `conversation_id`, `signal_ids`, `at` and `split` are looked at where they are there.
        examples: rows of suites with `input` and `group` (a conversation, a wording, or a user's own name).
        pseudonyms: makes the keys of users.
        cut: a training row that is not from before it (or of which nobody knows when it is from) is too late.

    Returns:
        For each row in order one of `LEAKS`, or null. `leak_normalised`: the same but for case and punctuation, or a
        telling question of the suite asked anywhere in it. `leak_near_duplicate`: a user asks nearly what one asks in
        the suite. `leak_quoted`: a question of the suite stands within a message, or an expected answer that only one
        question has within a message of the prompt. `leak_group`: the same conversation, user or signal.
    """
    rows = prompted(rows)
    found = pieces(rows)
    said = conversation(pl.col("input"))
    held = examples.select(said=said, plain=normalised(said))
    asked = questions(examples).drop_nulls()
    near = requests(examples)["plain"].unique()
    long, expected = asked.filter(n_words(asked) >= QUOTED_WORDS), expected_phrases(examples)
    marks = [
        having(found, ["said"], lambda text: text.is_in(_filled(held["said"])), "text"),
        having(found, ["said"], lambda plain: plain.is_in(_filled(held["plain"]))).append(
            having(found, ["asked"], lambda plain: plain.is_in(asked.filter(is_telling(asked)).implode()))
        ),
        having(found, ["asked", "joined"], lambda plain: alike(plain, near, threshold=NEAR, common=COMMON)),
        having(found, ["asked", "beside", "answer"], lambda plain: quotes(plain, long)).append(
            having(found, ["asked", "beside"], lambda plain: quotes(plain, expected))
        ),
    ]
    number = pl.int_range(pl.len(), dtype=pl.UInt32)
    tests = [number.is_in(mark.implode()) for mark in marks]
    tests += [_same_group(rows, examples, pseudonyms), _too_late(rows, cut)]
    named = [pl.when(test).then(pl.lit(kind)) for test, kind in zip(tests, LEAKS, strict=True)]
    return rows.select(leak=pl.coalesce(named))["leak"]


def _filled(texts: pl.Series) -> pl.Series:
    return texts.filter(texts.str.len_bytes() > 0).implode()


def _same_group(rows: pl.DataFrame, examples: pl.DataFrame, pseudonyms: Pseudonyms) -> pl.Expr:
    groups = examples["group"].drop_nulls().unique()
    groups = groups.append(pl.Series([pseudonyms.user(name) for name in groups], dtype=pl.String))
    names = [name for name in ("group", "conversation_id", "user_key") if name in rows.columns]
    tests = [pl.col(name).is_in(groups.implode()) for name in names]
    named = examples.get_column("signal_ids", default=pl.Series([], dtype=pl.List(pl.String)))
    signals = named.explode(empty_as_null=False).drop_nulls()
    for name, own in (("groups", groups), ("user_keys", groups), ("signal_ids", signals)):
        if name in rows.columns:
            tests.append(pl.col(name).list.eval(pl.element().is_in(own.unique().implode())).list.any())
    return pl.any_horizontal(tests).fill_null(value=False)


def _too_late(rows: pl.DataFrame, cut: datetime | None) -> pl.Expr:
    if cut is None:
        return pl.lit(value=False)
    late = (pl.col("at") >= cut).fill_null(value=True)
    return late & (pl.col("split") == "train") if "split" in rows.columns else late
