"""Length bias: whether the better answers are simply the longer ones, which a model learns before all else."""

import polars as pl

from clworkbench.statistics.intervals import quantile, wilson

LONG = 0.5
"""Where the whole interval of the share lies above it, longer answers are preferred."""


def length_bias(rows: pl.DataFrame) -> dict[str, float | int | None]:
    """How the lengths of chosen and rejected answers differ, in characters of what assistants say.

    Args:
        rows: `chosen` and `rejected` (messages).

    Returns:
        `pairs`; of those that differ in length, `longer` (the share whose chosen answer is the longer one, 0 to 1) with
        Wilson's interval `longer_low`, `longer_high`; `difference` (mean, chosen minus rejected) with its interval at
        95 % by the normal approximation, `difference_low`, `difference_high`. None where there is nothing to tell.
    """
    chosen, rejected = (_length(pl.col(name)) for name in ("chosen", "rejected"))
    found = rows.select(difference=chosen.cast(pl.Int64) - rejected.cast(pl.Int64))["difference"]
    unlike = found.filter(found != 0)
    longer = int((unlike > 0).sum())
    low, high = wilson(longer, len(unlike))
    mean, deviation = found.cast(pl.Float64).mean(), found.cast(pl.Float64).std()
    wide = None
    if isinstance(deviation, float):
        wide = quantile(0.95) * deviation / len(found) ** 0.5
    centre = mean if isinstance(mean, float) else None
    return {
        "pairs": rows.height,
        "longer": longer / len(unlike) if len(unlike) else None,
        "longer_low": low,
        "longer_high": high,
        "difference": centre,
        "difference_low": None if centre is None or wide is None else centre - wide,
        "difference_high": None if centre is None or wide is None else centre + wide,
    }


def _length(messages: pl.Expr) -> pl.Expr:
    message = pl.element().struct
    said = pl.when(message.field("role") == "assistant").then(message.field("content").str.len_chars())
    return messages.list.eval(said.fill_null(0)).list.sum()


def in_words(bias: dict[str, float | int | None]) -> str:
    """The bias in a sentence."""
    share, low, high = bias["longer"], bias["longer_low"], bias["longer_high"]
    mean, least, most = bias["difference"], bias["difference_low"], bias["difference_high"]
    if share is None or low is None or high is None or mean is None:
        return "chosen and rejected answers are equally long"
    of = f"the chosen answer is the longer one in {share:.0%} of the pairs that differ [{low:.0%}, {high:.0%}]"
    by = "" if least is None or most is None else f" [{least:+,.0f}, {most:+,.0f}]"
    return f"{of}, by {mean:+,.0f} characters on the mean{by}"


def is_biased(bias: dict[str, float | int | None]) -> bool:
    """Whether longer answers are shown to be preferred."""
    low = bias["longer_low"]
    return low is not None and low > LONG
