"""Sampling: which signals may be used at all, drawn by keyed hash, so that one is in or out for ever."""

from hashlib import blake2b

import polars as pl
from polars.exceptions import PolarsError

from clworkbench import expressions
from clworkbench.errors import ExpressionError
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.settings import SampleSettings

RESOLUTION = 2**32
EVERYTHING = "all"


def uniform(ids: pl.Series, salt: str) -> pl.Series:
    """A number in [0, 1) for each id, the same for the same id and salt. Source: BLAKE2b (RFC 7693)."""
    key = salt.encode()[:64]
    found = {text: _fraction(text, key) for text in ids.unique().to_list()}
    return ids.replace_strict(found, return_dtype=pl.Float64)


def _fraction(text: str, key: bytes) -> float:
    return int.from_bytes(blake2b(text.encode(), digest_size=4, key=key).digest()) / RESOLUTION


def sampled(frame: pl.DataFrame, sample: SampleSettings, pseudonyms: Pseudonyms) -> pl.DataFrame:
    """Draw signals, each stratum at its rate; a conversation is drawn as a whole within its stratum.

    A signal is drawn where its own number in [0, 1), made of its conversation by the workspace's key, is below the
    rate: a rate that is lowered later keeps a part of what was drawn before (Poisson sampling).

    Args:
        frame: signals, with `interaction_id` and `conversation_id`.
        sample: the strata and their rates.
        pseudonyms: makes the numbers.

    Returns:
        The frame with `stratum` (its values joined by `/`; a missing one is `-`), `inclusion_probability` (the rate)
        and `drawn` (Boolean).

    Raises:
        ExpressionError: a stratum is made of a column that is not there, or of what gives no text.
    """
    values = [_values(frame, name) for name in sample.by]
    stratum = pl.concat_str(values, separator="/") if values else pl.lit(EVERYTHING)
    unit = frame.select(pl.coalesce("conversation_id", "interaction_id"))[:, 0]
    return (
        frame.with_columns(stratum=stratum, number=uniform(unit, pseudonyms.id("sample")))
        .with_columns(
            inclusion_probability=pl.col("stratum").replace_strict(
                sample.rates, default=sample.rate, return_dtype=pl.Float64
            )
        )
        .with_columns(drawn=pl.col("number") < pl.col("inclusion_probability"))
        .drop("number")
    )


def _values(frame: pl.DataFrame, text: str) -> pl.Series:
    """What an expression of `by` gives for each row, as text."""
    try:
        value = expressions.parse(text, frame.columns).cast(pl.String).fill_null("-")
        return frame.select("interaction_id", value=value)["value"]
    except ExpressionError as error:
        raise ExpressionError(f"policy.sample by: {error}") from None
    except PolarsError as error:
        reason = str(error).partition("\n")[0].partition(": [")[0]  # what follows are the rows' own texts
        raise ExpressionError(
            f"policy.sample by: {text!r} names no strata in these rows: {reason}.\nName a column of texts or numbers."
        ) from error
