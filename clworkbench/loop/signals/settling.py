"""What became of the champion's answers, and which signals are not settled yet, until when."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import polars as pl

from clworkbench.settings import OutcomeRule
from clworkbench.slices.harm import Change, changed


class Unsettled(NamedTuple):
    """Signals without an outcome or a correction.

    Attributes:
        due: how many settle by themselves, as silence is an outcome too (`within`).
        until: when the last of these does, once its source has been read that far; None without any.
        waiting: how many settle only when something is said about them.
        settled: signals with an outcome or a correction.
    """

    due: int
    until: datetime | None
    waiting: int
    settled: int

    def way_out(self, *, rules: bool) -> str:
        """What would settle them, in words; `rules` says whether there are any outcome rules."""
        if self.until is not None:
            return (
                f"{self.due:,} signals settle once their source has been read up to {self.until:%Y-%m-%dT%H:%MZ}: "
                "`clw ingest` what came since, or tell with `--read-until` that nothing did"
            )
        if not rules:
            return "rules in [outcomes] of clw.toml that say which feedback tells a good answer, and which a bad one"
        return (
            "feedback on these signals: `clw ingest` it, or ask people (`clw select`, `clw label`). A rule of "
            "[outcomes] with `within` takes silence for an outcome"
        )


def unsettled(found: pl.DataFrame, rules: Sequence[OutcomeRule]) -> Unsettled:
    """Counts signals that are not settled.

    Args:
        found: signals.
        rules: of their outcomes, in order: of a pending signal, the first with `within` decides.
    """
    pending = found.filter(pl.col("outcome").is_null(), pl.col("improvement").is_null())
    within = next((rule.within for rule in rules if rule.within is not None), None)
    if within is None:
        return Unsettled(0, None, pending.height, found.height - pending.height)
    started = pending["started_at"].drop_nulls()
    last = started.max()
    until = last + within if isinstance(last, datetime) else None
    return Unsettled(started.len(), until, pending.height - started.len(), found.height - pending.height)


def outcomes_since(found: pl.DataFrame, release: str, since: datetime) -> Change:
    """Rates of good outcomes of a release's answers, and of those before.

    Where signals name releases, the release's own count, and before it other releases'; else all since it was
    released, and all before.

    Args:
        found: signals.
        release: its id.
        since: when it was released.
    """
    dated = found.drop_nulls("started_at")
    own = dated.filter(pl.col("release_id") == release)
    if own.height:
        first = own["started_at"].min()
        earlier = (pl.col("release_id") != release) & (pl.col("started_at") < pl.lit(first))
        dated = dated.filter((pl.col("release_id") == release) | earlier)
        is_now = dated["release_id"] == release
    else:
        is_now = dated["started_at"] >= since
    units = dated.select(pl.coalesce("conversation_id", "interaction_id").rank("dense"))[:, 0]
    everything = pl.repeat(value=True, n=dated.height, dtype=pl.Boolean, eager=True)
    return changed(dated["outcome"].cast(pl.Boolean), everything, is_now, units)
