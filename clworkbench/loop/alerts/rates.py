"""The rate that an alert is about: of a window of days, and of the window before it."""

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from clworkbench.slices.rates import rates
from clworkbench.statistics.contrast import Floats, Numbers, clustered, contrast

GAIN = 4.0
"""By how much the logarithm of the likelihood must rise before a change is told."""


class Rates(NamedTuple):
    """How often something happened in the settled signals of two windows, one after the other.

    Attributes:
        start: where the window begins.
        n: settled signals of the window; `pending` are not settled yet.
        rate: 0 to 1, with `low` and `high` its 95 % interval: Wilson's, wider where signals of one conversation are
            alike. None where nothing is settled; likewise of the window before.
        change: the rate now minus the rate before, with its 95 % interval (Newcombe's).
        days: one row for each day (UTC) of both windows, as `slices.rates.rates` gives it.
        onset: the day from which on it was higher, where the days tell; see `began`.
    """

    start: datetime
    n: int
    pending: int
    rate: float | None
    low: float | None
    high: float | None
    n_before: int
    before: float | None
    before_low: float | None
    before_high: float | None
    change: float | None
    change_low: float | None
    change_high: float | None
    days: pl.DataFrame
    onset: datetime | None

    def said(self, until: datetime) -> str:
        """In words."""
        length = until - self.start
        pending = f", {self.pending:,} pending" if self.pending else ""
        now = rate_said(self.rate, self.low, self.high, self.n)
        before = rate_said(self.before, self.before_low, self.before_high, self.n_before)
        said = f"{now} {window_said(length, until)}{pending}; {before} in the {_length(length)} before"
        return said + ("" if self.onset is None else f"; higher since about {self.onset:%a %d %b}")

    def figures(self) -> dict[str, object]:
        """The numbers as plain values."""
        return {name: value for name, value in self._asdict().items() if name not in ("start", "days", "onset")} | {
            "start": self.start.isoformat(),
            "higher_since": None if self.onset is None else self.onset.date().isoformat(),
        }


def measured(rows: pl.DataFrame, until: datetime, length: timedelta, *, rise: bool) -> Rates:
    """Both windows of a frame of signals.

    Args:
        rows: `started_at`, `happened` (Boolean, null while pending), `unit` (the conversation of each signal).
        until: where the window ends.
        length: how long each window is.
        rise: whether the difference is asked for.
    """
    start = until - length
    held = rows.filter(pl.col("started_at") > start - length, pl.col("started_at") <= until)
    settled = held.drop_nulls("happened")
    is_now = (settled["started_at"] > start).to_numpy()
    values = settled["happened"].cast(pl.Float64).to_numpy()
    clusters = np.unique(settled["unit"].to_numpy(), return_inverse=True)[1].astype(np.intp)
    now, before = _alone(values[is_now], clusters[is_now]), _alone(values[~is_now], clusters[~is_now])
    apart = contrast(values, is_now, clusters) if rise and is_now.any() and not is_now.all() else None
    change: tuple[float | None, float | None, float | None] = (None, None, None)
    if apart is not None:
        change = apart.difference, apart.difference_low, apart.difference_high
    pending = held.filter(pl.col("started_at") > start)["happened"].null_count()
    by_day = rates(held.select("started_at", "happened"), event=pl.col("happened"), every="day")
    return Rates(
        start, now.n, pending, now.rate, now.low, now.high, before.n, before.rate, before.low, before.high, *change,
        by_day, onset(by_day),
    )  # fmt: skip


class _Side(NamedTuple):
    n: int
    rate: float | None
    low: float | None
    high: float | None


def _alone(values: Floats, clusters: Numbers) -> _Side:
    if not len(values):
        return _Side(0, None, None, None)
    return _Side(len(values), float(values.mean()), *clustered(values, clusters))


def began(rates: Rates, above: float | None) -> datetime | None:
    """The onset where it explains why a rule stands: a rise within the window, from a rate that the rule allows.

    Args:
        rates: of both windows.
        above: the rule's threshold of the rate; None for a rule on a rise.
    """
    onset = rates.onset
    if onset is None or rates.rate is None or onset + timedelta(days=1) <= rates.start:
        return None
    if rates.before is not None and rates.rate <= rates.before:
        return None
    earlier = rates.days.filter(pl.col("n") > 0, pl.col("day") < onset)
    was = earlier.select((pl.col("rate") * pl.col("n")).sum() / pl.col("n").sum()).item()
    return None if above is not None and was > above else onset


def rate_said(rate: float | None, low: float | None, high: float | None, n: int, *, of: str = "settled signal") -> str:
    """A rate as a sentence has it: `31% [26%, 37%] of 210`, and in words where there is none (`of` is counted)."""
    if rate is None:
        return f"no {of}"
    reach = "" if low is None or high is None else f" [{_share(low)}, {_share(high)}]"
    return f"{_share(rate)}{reach} of {n:,}"


def window_said(length: timedelta, until: datetime) -> str:
    """A window as a message has it."""
    return f"in the {_length(length)} to {moment_said(until)}"


def moment_said(at: datetime) -> str:
    """A moment as a message has it, in UTC."""
    return f"{at:%a %d %b %Y %H:%M} UTC"


def onset(days: pl.DataFrame) -> datetime | None:
    """From which day on a rate was higher: the split at which two rates explain the days best.

    Where there is no change, one is told in 2 to 4 of 100 (2,000 simulations each, of 14 and of 60 days). A change from
    12 to 31 % in 5 of 14 days of 30 signals is told in 90 of 100, and within a day in 9 of 10 of these.

    Args:
        days: `day`, `n` and `rate`, as `slices.rates.rates` gives it.

    Source: Hinkley and Hinkley 1970, Biometrika 57:477-488: the most likely change point of binomial variables.
    """
    known = days.filter(pl.col("n") > 0).sort("day")
    if known.height < 2:
        return None
    n = known["n"].cast(pl.Float64).to_numpy()
    hits, rows = np.cumsum(known["rate"].to_numpy() * n), np.cumsum(n)
    before, after = (hits[:-1], rows[:-1]), (hits[-1] - hits[:-1], rows[-1] - rows[:-1])
    gain = _likelihood(*before) + _likelihood(*after) - _likelihood(hits[-1:], rows[-1:])
    gain = np.where(after[0] / after[1] > before[0] / before[1], gain, 0.0)
    split = int(gain.argmax())
    found = known["day"][split + 1]
    return found if gain[split] >= GAIN and isinstance(found, datetime) else None


def _likelihood(hits: Floats, n: Floats) -> Floats:
    """The logarithm of the binomial likelihood at its best rate, less what does not depend on it."""
    misses = n - hits
    safe = np.where(hits > 0, hits, n), np.where(misses > 0, misses, n)
    return hits * np.log(safe[0] / n) + misses * np.log(safe[1] / n)


def _share(share: float) -> str:
    """Percent, with a digit more where it is small."""
    percent = 100 * share
    return f"{percent:.0f}%" if percent >= 10 or percent < 0.05 else f"{percent:.1f}%"


def _length(length: timedelta) -> str:
    days = length / timedelta(days=1)
    return "day" if days == 1 else f"{days:g} days"


def hours_said(hours: float) -> str:
    """How long ago something was, in the unit that a reader would take: hours, days (from 2 on) or years."""
    if hours < 48:
        number, unit = hours, "hour"
    else:
        number, unit = (hours / 24, "day") if hours < 24 * 730 else (hours / (24 * 365.25), "year")
    said = f"{number:.1f}".removesuffix(".0")
    return f"{said} {unit}{'' if said == '1' else 's'}"
