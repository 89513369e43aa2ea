"""What is held out by time as well, and which held-out rows stand in the training split of their own set."""

from datetime import datetime, timedelta

import polars as pl

from clworkbench.schemas import SUITE
from clworkbench.similarity.alike import alike
from clworkbench.training_sets.leakage import LEAKS
from clworkbench.training_sets.pieces import (
    COMMON,
    NEAR,
    QUOTED_WORDS,
    having,
    is_telling,
    n_words,
    pieces,
    prompted,
    questions,
    quoted,
    requests,
)

HOLDOUT_LEAKS = tuple(kind.replace("leak_", "leak_holdout_") for kind in LEAKS[:5])
"""How a held-out row stands in the training split of its own set; of several, the first."""

FORWARD = "forward"
"""The split of what is held out by time."""


def cut_at(times: pl.Series, forward: timedelta | None) -> datetime | None:
    """From when on everything is held out, or None where nothing is.

    Args:
        times: when the settled signals happened, of those known at the build's `as_of`: the same ones, the same cut.
        forward: how long the newest stretch is, back from the latest of them.
    """
    latest = times.max()
    return latest - forward if forward and isinstance(latest, datetime) else None


def with_forward(rows: pl.DataFrame, cut: datetime | None) -> pl.DataFrame:
    """Rows with `split`, in which each group that reaches to the cut or beyond is `forward`, entirely."""
    if cut is None or rows.is_empty():
        return rows
    reaches = (pl.col("at") >= cut).any().over("group")
    return rows.with_columns(split=pl.when(reaches).then(pl.lit(FORWARD)).otherwise("split"))


def as_examples(rows: pl.DataFrame) -> pl.DataFrame:
    """Held-out rows of a set as examples (schema `SUITE`), by their `row_id`; they expect nothing."""
    held = prompted(rows).filter(pl.col("split") != "train")
    found = held.select(example_id="row_id", input="prompt", group="group", signal_ids="signal_ids")
    empty = pl.DataFrame(schema=SUITE)
    return pl.concat([empty, found.cast({name: SUITE[name] for name in found.columns})], how="diagonal")


def taught(rows: pl.DataFrame) -> pl.Series:
    """How each held-out row of a set stands in the set's own training split: one of `HOLDOUT_LEAKS`, or null.

    It is the held-out row that has to go: the more conversations ask the same, the surer one of them is held out, and
    what is asked most would never be learned.

    Args:
        rows: all rows of a set of any kind, with `row_id` and `split`; those of `train` are taught.
    """
    train, own = prompted(rows).filter(pl.col("split") == "train"), as_examples(rows)
    if train.is_empty() or own.is_empty():
        return pl.Series("leak", [None] * rows.height, dtype=pl.String)
    held = own.select("example_id", "signal_ids", "input", prompt="input", asked=questions(own))
    named = [pl.when(test).then(pl.lit(kind)) for test, kind in zip(_tests(train, held), HOLDOUT_LEAKS, strict=True)]
    found = held.select(row_id="example_id", leak=pl.coalesce(named))
    return rows.select("row_id").join(found, on="row_id", how="left", maintain_order="left")["leak"]


def _tests(train: pl.DataFrame, held: pl.DataFrame) -> list[pl.Expr]:
    """What is true of a held-out row that stands in the training split, by `HOLDOUT_LEAKS`."""
    theirs, ours = pieces(train).filter(pl.col("plain").str.len_bytes() > 0), pieces(held)
    said, asked = (theirs.filter(pl.col("part") == name) for name in ("said", "asked"))
    messages = theirs.filter(pl.col("part").is_in(["asked", "joined"]))["plain"].unique()
    spoken = theirs.filter(pl.col("part").is_in(["asked", "beside", "answer"]))["plain"].unique()
    long = quoted(spoken, held["asked"].filter(n_words(held["asked"]) >= QUOTED_WORDS))
    told = held["asked"].is_in(asked["plain"].implode()) & is_telling(held["asked"])
    exact = having(ours, ["said"], lambda text: text.is_in(said["text"].implode()), "text")
    same = having(ours, ["said"], lambda plain: plain.is_in(said["plain"].implode()))
    signals = train["signal_ids"].explode(empty_as_null=False).drop_nulls().unique()
    number = pl.int_range(pl.len(), dtype=pl.UInt32)
    surely = [
        number.is_in(exact.implode()),
        number.is_in(same.implode()) | pl.lit(told),
        pl.col("asked").is_in(long.implode()),
        pl.col("signal_ids").list.eval(pl.element().is_in(signals.implode())).list.any(),
    ]
    gone = held.select(number.filter(pl.any_horizontal(surely)))[:, 0]
    near = _near(messages, requests(held).filter(~pl.col("example").is_in(gone.implode())))
    return [*surely[:2], number.is_in(near.implode()), *surely[2:]]


def _near(messages: pl.Series, wanted: pl.DataFrame) -> pl.Series:
    """The numbers of the held-out rows that are nearly one of these messages.

    With each that goes, what is common among those that stay is another template: they are looked at again.
    """
    found = [pl.Series([], dtype=pl.UInt32)]
    while wanted.height:
        alike_now = alike(messages, wanted["plain"], threshold=NEAR, common=COMMON, mark="others")
        met = wanted.filter(alike_now)["example"].unique()
        if met.is_empty():
            break
        found.append(met)
        wanted = wanted.filter(~pl.col("example").is_in(met.implode()))
    return pl.concat(found)
