"""Where a training set's rows come from: signals, feedback and labels that are there, known in time, and add up."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
import polars as pl

from clworkbench.audit.check import Check, failed, passed
from clworkbench.audit.whole import some
from clworkbench.schemas import TrainingKind
from clworkbench.training_sets.descent import Turned
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import as_moment

REBUILD = "Build the set again: `clw build NAME`"

BEHIND = {
    "signal_ids": ("interactions", "interaction_id"),
    "feedback_ids": ("feedback", "feedback_id"),
    "label_ids": ("labels", "label_id"),
}
"""By column of ids in a row: the table that they stand in, and its column."""


class SetManifest(msgspec.Struct, frozen=True):
    """What a training set's manifest says beside what every manifest does."""

    id: str
    created: str
    config_sha256: str
    signals: int
    dropped: dict[str, int]
    splits: dict[str, int]
    rules: dict[str, int]
    n_new: int
    checked_against: list[str]
    settings: Mapping[str, object]
    as_of: str | None = None
    event_time: bool = False
    policy_sha256: str | None = None
    leaving: Mapping[str, object] | None = None
    rows_kind: TrainingKind = "sft"
    turned: Turned | None = None
    leakage: Mapping[str, object] | None = None

    @property
    def cut(self) -> datetime | None:
        """From when on all is held out, by the proof in the manifest."""
        cut = (self.leakage or {}).get("cut")
        return as_moment(str(cut)) if cut else None

    @property
    def known_at(self) -> datetime:
        """What had been committed by then could be learned."""
        return as_moment(self.as_of or self.created)


def lineage(workspace: Workspace, rows: pl.DataFrame) -> list[Check]:
    """Each id behind a row is that of a committed row: what was forgotten must not be learned from."""
    return [_living(workspace, rows, ids, *where) for ids, where in BEHIND.items()]


def _living(workspace: Workspace, rows: pl.DataFrame, ids: str, table: str, column: str) -> Check:
    named = rows.select("row_id", pl.col(ids).alias(column)).explode(column, empty_as_null=False).drop_nulls()
    there = workspace.scan(table).select(column).unique()
    gone = named.lazy().join(there, on=column, how="anti").collect()
    orphans = rows.filter(pl.col(ids).list.len() == 0).height if ids == "signal_ids" else 0
    name = f"lineage: {table}"
    if gone.is_empty() and not orphans:
        return passed(name, named[column].n_unique(), "every id is that of a row that counts")
    lost = f"{gone[column].n_unique():,} ids of {gone['row_id'].n_unique():,} rows are forgotten or gone"
    said = lost if gone.height else f"{orphans:,} rows name no signal"
    return failed(name, gone["row_id"].n_unique() + orphans, f"{said}. {REBUILD}.")


def in_time(workspace: Workspace, rows: pl.DataFrame, manifest: SetManifest) -> Check:
    """Nothing that was dated, or committed, after `as_of`."""
    name = "as_of"
    if manifest.as_of is None:
        return passed(name, rows.height, "built from all that was known then")
    until = manifest.known_at
    late = set(rows.filter(pl.col("at") > until)["row_id"])
    for ids, (table, column) in BEHIND.items():
        by = workspace.scan(table, as_of=None if manifest.event_time else until)
        stamp = "started_at" if table == "interactions" else "at"
        known = by.filter((pl.col(stamp) <= until).fill_null(value=True)).select(column).unique()
        named = rows.select("row_id", pl.col(ids).alias(column)).explode(column, empty_as_null=False).drop_nulls()
        ever = workspace.scan(table).select(column).unique()
        late |= set(
            named.lazy().join(ever, on=column, how="semi").join(known, on=column, how="anti").collect()["row_id"]
        )
    if late:
        return failed(
            name, len(late), f"{len(late):,} rows rest on what was not known at {until}: {some(sorted(late))}"
        )
    return passed(name, rows.height, f"every row rests on what was known at {until}")


def waterfall(rows: pl.DataFrame, manifest: SetManifest) -> list[Check]:
    """Signals are those dropped and the rows; the counts in the manifest are those of the rows.

    In sets of pairs, signals turn into another number of rows on the way.
    """
    dropped, turned = sum(manifest.dropped.values()), manifest.turned
    made = manifest.signals + (turned.rows - turned.signals if turned else 0)
    adds_up = made == dropped + rows.height and min(manifest.dropped.values(), default=0) >= 0
    pairs = f", {turned.signals:,} of them in {turned.rows:,} pairs" if turned else ""
    sum_said = f"{manifest.signals:,} signals{pairs}, {dropped:,} dropped, {rows.height:,} rows"
    return [
        Check(
            "waterfall", adds_up, manifest.signals, sum_said + ("" if adds_up else f": these do not add up. {REBUILD}.")
        ),
        _counts(rows, manifest),
        _once(rows, manifest),
    ]


def _counts(rows: pl.DataFrame, manifest: SetManifest) -> Check:
    found = {
        "splits": dict(rows["split"].value_counts().iter_rows()),
        "rules": dict(rows["rule"].value_counts().iter_rows()),
    }
    wrong = [name for name, said in found.items() if said != getattr(manifest, name)]
    if not 0 <= manifest.n_new <= manifest.splits.get("train", 0):
        wrong.append("n_new")
    if wrong:
        return failed("counts", len(wrong), f"the rows do not have the {some(wrong)} of the manifest. {REBUILD}.")
    return passed("counts", rows.height, "rows by split and by rule are as the manifest says")


def _once(rows: pl.DataFrame, manifest: SetManifest) -> Check:
    """A signal stands in one row; signals of the same words share one, and were counted as duplicates.

    Of pairs, each stands there once; an answer may stand in several.
    """
    if manifest.turned is not None:
        twice = rows.height - rows.select("chosen", "rejected", *({"prompt"} & {*rows.columns})).n_unique()
        if twice:
            return failed("once", twice, f"{twice:,} pairs stand twice. {REBUILD}.")
        return passed("once", rows.height, "each pair stands in one row")
    signals = rows["signal_ids"].explode(empty_as_null=False).drop_nulls()
    twice = len(signals) - signals.n_unique()
    twins = len(signals) - rows.height
    rows_twice = rows.height - rows["row_id"].n_unique()
    if twice or rows_twice or twins > manifest.dropped.get("duplicate", 0):
        said = f"{twice:,} signals and {rows_twice:,} rows stand twice, {max(twins, 0):,} signals share a row"
        return failed("once", twice + rows_twice or twins, f"{said}. {REBUILD}.")
    return passed("once", len(signals), f"each signal stands in one row; {twins:,} share one with its like")
