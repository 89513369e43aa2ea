"""Candidates: each signal in the stratum of its first reason, and from each stratum a keyed sample."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from clworkbench.candidates.frame import framed
from clworkbench.candidates.reasons import QUOTAS, RANDOM, REASONS, check_quotas, speaking
from clworkbench.display.html import html_table
from clworkbench.display.text import short
from clworkbench.errors import SettingsError
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import TimestampUtc
from clworkbench.settings import Duplicates

LEAST_RANDOM = 0.05
"""The share of n that the random stratum has whatever the quotas say: what nobody thought of is seen as well."""

_NO_STRATUM = "no stratum of its own: fewer candidates are asked for than there are strata"


@dataclass(frozen=True)
class Selection:
    """The signals chosen, with every reason that spoke for each, and what they were chosen from.

    Attributes:
        frame: rows of `schemas.CANDIDATES` without `batch_id`, the most urgent first.
        by_reason: how many were drawn from each stratum; it adds up to the rows.
        n_signals: how many signals there were.
        taken_out: how many of them were out before anything was drawn, by why; the rest is what was drawn from.
        strata: one row for each stratum: `stratum`, `signals` (in it), `drawn`, `probability` (null where empty).
        silent: by reason that could speak for no signal, why.
        labelled: signals that have a label already: `interaction_id`, `label_of` (itself, or another of the same
            words), and where a workspace has them `question` and `value`.
        rests_on: by reason, what it rests on beside the signals: which slices drifted, what novelty is held against.
    """

    frame: pl.DataFrame
    by_reason: dict[str, int]
    n_signals: int
    taken_out: dict[str, int] = field(default_factory=dict)
    strata: pl.DataFrame = field(default_factory=pl.DataFrame)
    silent: dict[str, str] = field(default_factory=dict)
    labelled: pl.DataFrame = field(default_factory=pl.DataFrame)
    rests_on: dict[str, str] = field(default_factory=dict)

    @property
    def n_frame(self) -> int:
        """How many signals were drawn from."""
        return self.n_signals - sum(self.taken_out.values())

    def __repr__(self) -> str:
        reasons = ", ".join(f"{name} {n:,}" for name, n in self.by_reason.items() if n) or "none"
        return f"Selection({self.frame.height:,} of {self.n_signals:,} signals: {reasons})"

    def _repr_html_(self) -> str:
        out = "".join(f"; {n:,} {_words(why)}" for why, n in self.taken_out.items() if n)
        caption = f"{self.frame.height:,} candidates of {self.n_frame:,} of {self.n_signals:,} signals{out}"
        rows = [
            (name, n, drawn, "–" if chance is None else f"{chance:.3g}", self._about(name))
            for name, n, drawn, chance in self.strata.iter_rows()
        ]
        return html_table(("chosen for", "signals", "drawn", "chance", "about"), rows, caption=caption)

    def lines(self) -> list[str]:
        """For a terminal: what was taken out, and each stratum."""
        left, lines = self.n_signals, [f"{self.n_signals:>9,} signals"]
        for why, n in self.taken_out.items():
            left -= n
            if n:
                lines.append(f"{left:>9,} after taking out {n:,} {_words(why)}")
        lines.append(f"{self.frame.height:,} candidates")
        for name, n, drawn, _ in self.strata.iter_rows():
            about = f"   ({said})" if (said := short(self._about(name), 400)) else ""
            lines.append(f"  {name:<16} {drawn:,} of {n:,}{about}")
        return lines

    def _about(self, name: str) -> str:
        return self.silent.get(name) or self.rests_on.get(name, "")

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw select --json`."""
        return {
            "candidates": self.frame.height,
            "by_reason": self.by_reason,
            "signals": self.n_signals,
            "taken_out": self.taken_out,
            "strata": self.strata.to_dicts(),
            "silent": self.silent,
            "rests_on": self.rests_on,
        }


def select(
    signals: pl.DataFrame,
    *,
    n: int,
    pseudonyms: Pseudonyms,
    as_of: datetime,
    quotas: Mapping[str, float] = QUOTAS,
    reasons: Mapping[str, str] = REASONS,
    per_user: int | None = None,
    duplicates: Duplicates = "masked",
    turn: int = 0,
) -> Selection:
    """Choose at most n signals.

    What was labelled or drawn before, what says the same as another signal and what is too much of one user is taken
    out first. Each signal left is in one stratum: of its first reason in the order of `quotas`, else `random`. Of the
    N signals of a stratum, those n with the lowest keyed hashes are drawn: the same signals always give the same
    candidates, and more signals change few of them. `inclusion_probability` is n/N; every stratum with members has at
    least one candidate, so that it is never 0, and its inverse weighs a candidate where rates over all signals that
    were drawn from are estimated (`estimate.estimated`). Where n is smaller than the number of strata, the last join
    `random`. `candidate_id` is made of the signal and its reasons: the same selection again adds nothing.

    Args:
        signals: one row for each answer, as `signals.view.signals` gives it, with what reasons and frame look at where
            it is known (`candidates.evidence`).
        n: how many to choose.
        pseudonyms: makes the ids and the order.
        as_of: what was known by then; kept in the rows.
        quotas: by reason, its share of n (0 to 1, together at most 1), in the order of the strata.
        reasons: by name, an expression over the signals, as `reasons.speaking` takes them.
        per_user: most signals of one user that are drawn from.
        duplicates: what counts as the same, as `frame.framed` takes it.
        turn: how many selections drew from these before.

    Raises:
        SettingsError: a quota names no reason, or the shares make no sense.
        ExpressionError: a reason cannot be read.
    """
    if n < 1:
        raise SettingsError(f"candidates: n = {n}, and at least 1 must be asked for.\nE.g. n = 200 in [candidates].")
    check_quotas(quotas, reasons)
    order = [*(name for name in quotas if name != RANDOM), RANDOM]
    spoken = speaking(signals, reasons)
    columns = [name for name in _LOOKED_AT if name in signals.columns]
    marked = signals.select(columns).with_columns(_reasons(spoken.frame), _place(spoken.frame, order))
    frame = framed(marked, pseudonyms=pseudonyms, per_user=per_user, duplicates=duplicates, turn=turn)
    rows, sizes, joined = _strata(frame.rows, order, n)
    drawn = allotted(sizes, quotas, n)
    chosen = _drawn(rows, sizes, drawn)
    return Selection(
        _candidates(chosen, pseudonyms, as_of),
        drawn,
        signals.height,
        frame.taken_out,
        _told(sizes, drawn),
        {name: why for name, why in (spoken.silent | joined).items() if name in drawn},
        frame.labelled,
    )


_LOOKED_AT = (
    "interaction_id", "text", "answer", "input", "started_at", "user_key", "labelled", "drawn_before"
)  # fmt: skip


def allotted(sizes: Mapping[str, int], quotas: Mapping[str, float], n: int) -> dict[str, int]:
    """How many are drawn from each stratum: its share of n, at least 1 where it has members, at most all of them.

    `random` gets what is left, and at least a twentieth; what it cannot fill goes to the others in their order.

    Args:
        sizes: signals in each stratum, in order, `random` among them; no more strata with members than n.
        quotas: shares of n.
        n: how many in all.
    """
    n = min(n, sum(sizes.values()))
    others = {name: size for name, size in sizes.items() if name != RANDOM and size}
    least = min(max(1, int(LEAST_RANDOM * n + 1e-9)), n - len(others)) if sizes[RANDOM] else 0
    total = sum(quotas.get(name, 0.0) for name in others)
    scale = min(1.0, (1 - LEAST_RANDOM) / total) if total else 0.0
    found = {name: min(size, max(1, int(quotas.get(name, 0.0) * scale * n + 1e-9))) for name, size in others.items()}
    while sum(found.values()) + least > n:
        found[max(found, key=lambda name: found[name])] -= 1
    at_random = min(sizes[RANDOM], n - sum(found.values()))
    left = n - sum(found.values()) - at_random
    for name, size in others.items():
        more = min(size - found[name], left)
        found[name] += more
        left -= more
    return {name: found.get(name, at_random if name == RANDOM else 0) for name in sizes}


def _reasons(spoken: pl.DataFrame) -> pl.Series:
    """All reasons that speak for each signal, in declared order."""
    if not spoken.width:
        return pl.Series("reasons", [], dtype=pl.List(pl.String))
    named = [pl.when(name).then(pl.lit(name)) for name in spoken.columns]
    return spoken.select(reasons=pl.concat_list(named).list.drop_nulls())["reasons"]


def _place(spoken: pl.DataFrame, order: list[str]) -> pl.Series:
    """The place, in `order`, of the first reason that speaks for each signal; the last where none does."""
    found = [pl.when(name).then(pl.lit(place)) for place, name in enumerate(order[:-1])]
    last = pl.repeat(len(order) - 1, spoken.height, dtype=pl.Int32, eager=True)
    return spoken.select(place=pl.coalesce(*found, last).cast(pl.Int32))["place"]


def _strata(rows: pl.DataFrame, order: list[str], n: int) -> tuple[pl.DataFrame, dict[str, int], dict[str, str]]:
    """The signals with their stratum, how many are in each, and the strata that joined `random` for want of n."""
    counts = dict(rows["place"].value_counts().iter_rows())
    members = [place for place in range(len(order)) if counts.get(place)]
    joined = members[n - 1 : -1] if len(members) > n else []
    if len(members) > n and members[-1] != len(order) - 1:
        joined = members[n - 1 :]
    names = {place: RANDOM if place in joined else name for place, name in enumerate(order)}
    sizes = dict.fromkeys(order, 0)
    for place, size in counts.items():
        sizes[names[place]] += size
    named = pl.col("place").replace_strict(names, return_dtype=pl.String).alias("stratum")
    return rows.with_columns(named), sizes, {order[place]: _NO_STRATUM for place in joined}


def _drawn(rows: pl.DataFrame, sizes: Mapping[str, int], drawn: Mapping[str, int]) -> pl.DataFrame:
    """The lowest of each stratum by keyed hash, with `inclusion_probability`."""
    parts = [rows.filter(pl.col("stratum") == name).bottom_k(k, by="drawn_by") for name, k in drawn.items() if k]
    chance = {name: drawn[name] / size for name, size in sizes.items() if size}
    return pl.concat([rows.clear(), *parts]).with_columns(
        inclusion_probability=pl.col("stratum").replace_strict(chance, return_dtype=pl.Float64)
        if chance
        else pl.lit(None, pl.Float64)
    )


def _candidates(chosen: pl.DataFrame, pseudonyms: Pseudonyms, as_of: datetime) -> pl.DataFrame:
    """Rows of the table: more reasons first, then the stratum, then its own order."""
    said, at_random = pl.col("reasons").list.len(), pl.col("stratum") == RANDOM
    rows = (
        chosen.sort(-said.cast(pl.Int64), "place", "drawn_by")
        .with_columns(reasons=pl.concat_list("reasons", pl.when(at_random).then(pl.lit(RANDOM))).list.drop_nulls())
        .select("interaction_id", "reasons", "inclusion_probability", "stratum")
    )
    ids = [pseudonyms.id("candidate", row[0], *row[1]) for row in rows.select("interaction_id", "reasons").iter_rows()]
    return rows.select(
        pl.Series("candidate_id", ids, dtype=pl.String),
        "interaction_id",
        "reasons",
        priority=1 - pl.int_range(pl.len()) / pl.len(),
        inclusion_probability="inclusion_probability",
        as_of=pl.lit(as_of, TimestampUtc),
        stratum="stratum",
    )


def _told(sizes: Mapping[str, int], drawn: Mapping[str, int]) -> pl.DataFrame:
    rows = [(name, size, drawn[name], drawn[name] / size if size else None) for name, size in sizes.items()]
    schema = {"stratum": pl.String, "signals": pl.Int64, "drawn": pl.Int64, "probability": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _words(why: str) -> str:
    return why.replace("_", " ")
