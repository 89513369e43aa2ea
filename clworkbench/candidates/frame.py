"""The frame: the signals from which candidates are drawn, and what was taken out before."""

from typing import NamedTuple

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import TimestampUtc
from clworkbench.settings import Duplicates
from clworkbench.similarity.masked import masked

_PART = 16
"""Digits of a keyed hash that draw candidates; the others say which of a user's signals stay below a cap. With the same
for both, those that stay would be drawn more often than others."""


class Frame(NamedTuple):
    """What is drawn from.

    Attributes:
        rows: the signals left, in order, with `drawn_by` (hex digits; the lowest are drawn first).
        taken_out: how many were taken out, by why, in this order.
        labelled: the signals that need no label, because they or others of the same words have one:
            `interaction_id`, `label_of` (the signal that was labelled).
    """

    rows: pl.DataFrame
    taken_out: dict[str, int]
    labelled: pl.DataFrame


def framed(
    signals: pl.DataFrame,
    *,
    pseudonyms: Pseudonyms,
    per_user: int | None = None,
    duplicates: Duplicates = "masked",
    turn: int = 0,
) -> Frame:
    """Takes out what was labelled or drawn before, what says the same as another, and what is too much of one user.

    Of signals that say the same, one stays: none where one was labelled or drawn before, else the first by `place`,
    then by time. Which of a user's signals stay is drawn by keyed hash.

    Args:
        signals: `interaction_id`, `place` (Int; of the stratum), and where they are there `labelled` and
            `drawn_before` (Boolean), `text`, `answer` and `input` (what is the same), `started_at`, `user_key`.
        pseudonyms: makes the hashes.
        per_user: most signals of one user; None for all.
        duplicates: `masked`: alike but for numbers, dates, names and blanks; `exact`: word for word.
        turn: how many selections drew from these before. Each draws by new hashes: what one left behind would else
            come last in the next, behind all that is new.
    """
    ids = pseudonyms.ids(f"select {turn}", signals["interaction_id"])
    rows = signals.with_columns(pl.Series("drawn_by", ids, dtype=pl.String))
    for name in ("labelled", "drawn_before"):
        if name not in rows.columns:
            rows = rows.with_columns(pl.lit(value=False).alias(name))
    rows = rows.with_columns(same_as=_same(rows, duplicates))
    repeated, labelled = pl.col("same_as") != pl.col("interaction_id"), pl.col("labelled")
    known = rows.filter(labelled).select(same_as="interaction_id")
    of_known = rows.join(known, on="same_as", how="semi").filter(~labelled)
    out = {}
    why = {
        "labelled": labelled,
        "drawn_before": pl.col("drawn_before"),
        "duplicate": repeated,
        "over_user_cap": _beyond(per_user),
    }
    left = rows
    for name, condition in why.items():
        kept = left.filter(~condition.fill_null(value=False))
        out[name] = left.height - kept.height
        left = kept
    told = pl.concat([rows.filter(labelled).with_columns(same_as="interaction_id"), of_known])
    return Frame(
        left.drop("same_as", "labelled", "drawn_before"),
        out,
        told.select("interaction_id", label_of="same_as"),
    )


def _same(rows: pl.DataFrame, duplicates: Duplicates) -> pl.Series:
    """For each signal the one that stands for all of the same words; itself where it has none."""
    own = rows["interaction_id"]
    if not {"text", "answer"} <= set(rows.columns):
        return own
    dated = "started_at" if "started_at" in rows.columns else pl.lit(None, TimestampUtc).alias("started_at")
    asked = rows.select(asked=_read("text", duplicates)).with_row_index("row")
    some = asked.filter(pl.col("asked").str.len_bytes() > 0, pl.col("asked").is_duplicated())
    twice = rows[some["row"]].select(
        "interaction_id", "labelled", "drawn_before", "place", dated,
        row=some["row"],
        said=pl.concat_str(some["asked"], _read("answer", duplicates).fill_null(""), _before(rows), separator="\x1e"),
    )  # fmt: skip
    order = ["labelled", "drawn_before", "place", "started_at", "interaction_id"]
    ordered = twice.sort(order, descending=[True, True, False, False, False], nulls_last=True)
    stands = ordered.select("row", same_as=pl.col("interaction_id").first().over("said"))
    found = asked.select("row").join(stands, on="row", how="left", maintain_order="left")
    return found.select(pl.coalesce("same_as", own))["same_as"]


def _read(name: str, duplicates: Duplicates) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    return masked(text) if duplicates == "masked" else text.str.strip_chars()


def _before(rows: pl.DataFrame) -> pl.Expr:
    """What was said before the last message, word for word."""
    if not isinstance(rows.schema.get("input"), pl.List):
        return pl.lit("")
    contents = pl.col("input").list.eval(pl.element().struct.field("content").fill_null(""))
    before = pl.col("input").list.len().cast(pl.Int64).clip(1) - 1
    return contents.list.head(before).list.join("\x1f").fill_null("")


def _beyond(most: int | None) -> pl.Expr:
    if most is None:
        return pl.lit(value=False)
    place = pl.col("drawn_by").str.slice(_PART).rank("ordinal").over("user_key")
    return (place > most) & pl.col("user_key").is_not_null()
