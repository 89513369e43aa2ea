"""Suites drawn from traffic: what is known to be right, and was not learned, with the chance at which it was drawn."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from clworkbench.errors import EvidenceError, SettingsError
from clworkbench.evals.coverage import coverage
from clworkbench.evals.drawing import Sample, drawn
from clworkbench.evals.drawn_suite import DrawnSuite
from clworkbench.evals.suites import canonical
from clworkbench.loop.data import keep_suite
from clworkbench.loop.labels.agreement import decided
from clworkbench.loop.slices.slices import declared, slice_names
from clworkbench.loop.training_sets.convert import allowed, disputed
from clworkbench.releases.production import drawn_of
from clworkbench.schemas import SUITE
from clworkbench.settings import duration
from clworkbench.slices.keys import keys
from clworkbench.slices.slice import holds_in
from clworkbench.training_sets.allowed import Descent, spoken, trust
from clworkbench.training_sets.descent import Rules, asking, kind_of
from clworkbench.training_sets.sft import answered
from clworkbench.training_sets.shown import shown
from clworkbench.training_sets.texts import called
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import as_moment

N = 300
"""Examples: a challenger that is truly 2 points better is shown not worse by 5 with a probability of 0.85."""

ALL = "all"
COMPARED = (
    "app",
    "environment",
    "model",
    "release_id",
    "slices",
    "bad_outcome",
    "no_outcome",
    "corrected",
    "long",
    "late",
)


class Window(NamedTuple):
    """From `since` on and before `until`; None is open."""

    since: datetime | None
    until: datetime | None

    def __str__(self) -> str:
        ends = (("from", self.since), ("before", self.until))
        return (
            " and ".join(f"{word} {at:%Y-%m-%d %H:%M}" for word, at in ends if at) + " UTC"
            if any(self)
            else "of all time"
        )


def draw_suite(
    workspace: Workspace,
    name: str,
    n: int = N,
    *,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
    last: timedelta | str | None = None,
    where: str | None = None,
    stratify: str | None = None,
    as_of: datetime | None = None,
    event_time: bool = False,
) -> DrawnSuite:
    """Draws a suite from traffic and freezes it; the same traffic again gives the same version.

    What an example expects is the reviewer's better answer, else the user's or operator's correction, else the answer
    that was accepted; signals of which nobody knows are left out and counted, and so is what rows that were learned
    show. Conversations are drawn whole, and each example keeps the chance at which it was drawn (`inclusion`).

    Args:
        workspace: whose traffic.
        name: of the suite.
        n: about how many examples.
        since: only signals from then on.
        until: only signals before then.
        last: only so long back from the latest signal (or from `until`), e.g. `7d`.
        where: an expression over signals, or the name of a slice.
        stratify: a column, an attribute, or the name of a slice: as many examples are drawn from each of its values.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.

    Raises:
        EvidenceError: there is nothing to draw from, or more strata than half of n.
        SettingsError: `last` is no length of time, or stands beside `since`.
        ExpressionError: `where` or `stratify` cannot be read.
    """
    if n < 2:
        raise SettingsError(f"suite {name}: n = {n}, and at least 2 examples must be asked for.")
    as_of = None if as_of is None else as_moment(as_of)
    known = workspace.signals(as_of=as_of, event_time=event_time)
    window = _window(known, since, until, last)
    inside = _within(known, window)
    if where:
        inside = inside.filter(holds_in(inside, where, workspace.settings.slices, where="where"))
    if inside.is_empty():
        raise EvidenceError(
            f"suite {name}: none of {known.height:,} signals is {window}{' and where ' + where if where else ''}.\n"
            "See when there was traffic with `clw slice rates --every week`."
        )
    descent = _with_gold(workspace, inside, as_of, event_time=event_time)
    learned = _learned(workspace)
    _without_learned(descent, learned)
    rows = descent.rows.with_columns(_stratum(workspace, descent.rows, stratify))
    lost = {why: k for why, k in descent.dropped.items() if k}
    if rows.is_empty():
        said = ", ".join(f"{k:,} {why.replace('_', ' ')}" for why, k in lost.items())
        raise EvidenceError(
            f"suite {name}: no signal of {inside.height:,} {window} can stand in a suite: {said}.\n"
            "An example needs a right answer, accepted, corrected or a reviewer's, that no training set holds."
        )
    ids = workspace.pseudonyms.ids("suite", rows["group"])
    sample = drawn(rows.with_columns(pl.Series("order", ids)), n, lambda some: shown(learned, _examples(some)))
    if sample.frame.is_empty():
        raise EvidenceError(
            f"suite {name}: rows that were learned show all of {rows.height:,} signals {window}. Wait for others."
        )
    shares = _coverage(workspace, inside, rows)
    told = _told(n, window, where, stratify, inside.height, lost, sample) | {
        "as_of": as_of.isoformat() if as_of else None, "event_time": event_time, "coverage": shares.to_dicts()
    }  # fmt: skip
    made = keep_suite(workspace, name, canonical(_examples(sample.frame)), {"drawn": told})
    frame = workspace.rows(str(made["id"]))
    ungradable = made["ungradable"]
    assert isinstance(ungradable, dict)
    return DrawnSuite(
        made, frame, str(window), inside.height, lost, sample.strata, sample.refused, shares, ungradable
    )  # fmt: skip


def drawn_suites(workspace: Workspace, suites: Sequence[str]) -> pl.DataFrame:
    """How the examples of suites were drawn, of those that were (`releases.production.DRAWN`)."""
    kept = [name for name in suites if workspace.catalog.artefact(name)]
    return drawn_of({name.removeprefix("suite:"): workspace.rows(name) for name in kept})


def _window(
    known: pl.DataFrame,
    since: datetime | str | None,
    until: datetime | str | None,
    last: timedelta | str | None,
) -> Window:
    begin, end = (None if at is None else as_moment(at) for at in (since, until))
    if last is None:
        return Window(begin, end)
    if begin is not None:
        raise SettingsError("since and last both say from when on. Give one of them.")
    length = duration(last, "last") if isinstance(last, str) else last
    latest = end or known["started_at"].max()
    return Window(latest - length if isinstance(latest, datetime) else None, end)


def _within(known: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Signals without a date are in no window, but in the one that is open to both sides."""
    at = pl.col("started_at")
    if window.since is not None:
        known = known.filter((at >= window.since).fill_null(value=False))
    return known if window.until is None else known.filter((at < window.until).fill_null(value=False))


def _with_gold(workspace: Workspace, inside: pl.DataFrame, as_of: datetime | None, *, event_time: bool) -> Descent:
    """The signals that the policy lets out and of which the right answer is known: `expected`."""
    verdict = decided(workspace, as_of=as_of, event_time=event_time)
    labels = workspace.labels(as_of=as_of, event_time=event_time)
    labels = labels.with_columns(counts=pl.col("label_id").is_in(verdict.labels["label_id"].implode()))
    policy = allowed(workspace, as_of=as_of, event_time=event_time)
    rules = Rules(disputed=disputed(verdict), allowed=policy)
    descent = answered(inside, labels, rules, workspace.pseudonyms)
    spoken(descent, policy)
    trust(descent, policy)
    descent.rows = descent.rows.with_columns(expected=_expected())
    descent.keep(pl.col("expected").str.strip_chars().str.len_chars() > 0, "no_words")
    return descent


def _expected() -> pl.Expr:
    """The last words of the right answer; where it calls tools and says nothing, the calls, in JSON."""
    message = pl.element().struct
    ours = message.field("role") == "assistant"
    words = pl.col("completion").list.eval(message.field("content").filter(ours)).list.drop_nulls().list.last()
    some = pl.when(words.str.strip_chars().str.len_chars() > 0).then(words)
    return pl.coalesce(some, called(pl.col("completion")))


def _learned(workspace: Workspace) -> list[pl.DataFrame]:
    """The rows that some set teaches, a frame for each set; what these hold out is not learned."""
    found = []
    for manifest in workspace.catalog.artefacts("training_set"):
        rows = workspace.rows(str(manifest["id"]))
        found.append(asking(rows.filter(pl.col("split") == "train"), kind_of(manifest)))
    return [rows for rows in found if rows.height]


def _without_learned(descent: Descent, learned: Sequence[pl.DataFrame]) -> None:
    """Takes away whole conversations of which something was learned."""
    groups = pl.concat([pl.Series("group", [], dtype=pl.String), *(rows["group"].drop_nulls() for rows in learned)])
    signals = [rows["signal_ids"].explode(empty_as_null=False).drop_nulls() for rows in learned]
    ids = pl.concat([pl.Series("signal_ids", [], dtype=pl.String), *signals]).unique()
    of_set = pl.col("interaction_id").is_in(ids.implode()) | pl.col("group").is_in(groups.unique().implode())
    descent.drop(of_set.any().over("group"), "learned")


def _stratum(workspace: Workspace, rows: pl.DataFrame, stratify: str | None) -> pl.Series:
    """Each signal's stratum: what the first of its conversation has, so that conversations stay whole."""
    if stratify is None:
        return pl.repeat(ALL, rows.height, eager=True).alias("stratum")
    slices = {one.name: one for one in declared(workspace)}
    if stratify in slices and stratify not in rows.columns:
        held = slices[stratify].holds(rows)
        values = pl.select(pl.when(held).then(pl.lit(stratify)).otherwise(pl.lit(f"not {stratify}"))).to_series()
    else:
        values = keys(rows, [stratify])[stratify]
    if isinstance(values.dtype, pl.List):
        raise SettingsError(f"stratify: a signal has several of {stratify!r}. Name a column of one value, or a slice.")
    own = rows.select("group", "started_at", "interaction_id", stratum=values.cast(pl.String).fill_null("(none)"))
    first = pl.col("stratum").sort_by("started_at", "interaction_id").first().over("group")
    return own.select(first)["stratum"]


def _examples(rows: pl.DataFrame) -> pl.DataFrame:
    """Drawn rows as examples."""
    chance = pl.col("inclusion") if "inclusion" in rows.columns else pl.lit(None, pl.Float64).alias("inclusion")
    # What the policy sampled before was drawn twice.
    sampled = pl.col("inclusion_probability") if "inclusion_probability" in rows.columns else pl.lit(1.0)
    return rows.select(
        "expected",
        "group",
        example_id="interaction_id",
        input="prompt",
        slices=pl.lit([], pl.List(pl.String)),
        signal_ids=pl.concat_list("interaction_id"),
        inclusion=chance * sampled,
    ).select(list(SUITE))


def _coverage(workspace: Workspace, inside: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Shares of all signals of the window beside those that could be drawn."""
    length = pl.col("text").str.len_chars()
    compared = inside.with_columns(
        slice_names(workspace, inside).alias("slices"),
        bad_outcome=~pl.col("outcome"),
        no_outcome=pl.col("outcome").is_null(),
        corrected=pl.col("improvement").is_not_null(),
        long=length > length.median(),
        late=pl.col("started_at") > pl.col("started_at").median(),
    )
    part = inside["interaction_id"].is_in(rows["interaction_id"].implode())
    found = coverage(compared, part, COMPARED)
    names = {"bad_outcome": "bad, of settled outcomes", "no_outcome": "no outcome", "long": "longer than most ask"}
    names["late"] = "in the later half"
    return found.with_columns(pl.col("what").replace(names).str.replace("^slices ", "slice "))


def _told(
    n: int, window: Window, where: str | None, stratify: str | None, signals: int, lost: dict[str, int], sample: Sample
) -> dict[str, object]:
    """How a suite was drawn, as its manifest keeps it."""
    ends = {name: at.isoformat() if at else None for name, at in window._asdict().items()}
    return {
        "n": n, "window": ends, "where": where, "stratify": stratify, "signals": signals, "dropped": lost,
        "strata": sample.strata.to_dicts(), "refused": sample.refused,
    }  # fmt: skip
