"""Signals looked at through filters: one page of them, rates by a column, and rates over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, reduce
from operator import and_

import polars as pl

from clworkbench import expressions
from clworkbench.errors import ExpressionError
from clworkbench.similarity.embeddings import HASHED
from clworkbench.similarity.terms import names
from clworkbench.slices.filters import SAID, Filters
from clworkbench.slices.keys import Every, attribute_keys, keys
from clworkbench.slices.mapped import Grid, Mapped
from clworkbench.slices.rates import rates
from clworkbench.slices.wording import Wording, fits

PAGE = 20
"""Signals on a page."""

BARS = 20
PERIODS_SHOWN = 60
FEW = 30
"""A column with so few different values is offered as a filter."""

LONGEST = 80
"""Characters of the longest value that is offered."""

KEPT = 3
"""Filters whose answers are kept: those at hand, the same without their area, and those before."""

SAMPLE = 2_000
TERMS = 4
KEYS_OFFERED = 12

OFFERED = (
    "app", "environment", "source", "operation", "provider", "model", "model_version", "release_id", "finish_reason",
    "outcome_rule", "conflict", "feedback_names",
)  # fmt: skip
"""Columns that are offered as filters where they have few values; attributes with few are, too."""

LATER = ("outcome_rule", "conflict", "feedback_names")
"""What follows from an outcome: bars stand by it only if that is asked for."""

NUMBERS = ("latency_ms", "n_input_tokens", "n_output_tokens", "cost_usd", "confidence")
"""Columns that bars may stand by in fifths."""

LIGHT = ("started_at", "outcome", "text", "answer", "app", "model", "confidence", "n_feedback", "feedback_names")
"""What a page shows of a signal, beside its id."""


@dataclass(frozen=True, eq=False)
class Look:
    """What the filters leave.

    Attributes:
        found: how many signals.
        number: which page this is, from 0.
        page: one page of them, `interaction_id` and the columns that are shown.
        bars: as `rates` gives it, by `group_by`, the largest groups (20 at most).
        more: groups that are not among the bars.
        time: as `rates` gives it, by `every`.
        every: the period.
    """

    found: int
    number: int
    page: pl.DataFrame
    bars: pl.DataFrame
    more: int
    time: pl.DataFrame
    every: Every


class Explored:
    """Signals held in memory, with what is asked again and again worked out once; any thread may ask.

    Args:
        signals: one row for each signal, with `interaction_id`, and `outcome` (Boolean, null while pending) and
            `started_at` where there are any.
        slices: the expressions of `[slices]`, by name.
        model: lays out the map, as `similarity.embeddings.embed` takes it.

    Attributes:
        offered: columns and attributes that have few values (of attributes, in a sample of two thousand signals), each
            with these, the most frequent first.
    """

    def __init__(self, signals: pl.DataFrame, slices: Mapping[str, str], model: str = HASHED) -> None:
        missing = {"outcome": pl.Boolean(), "started_at": pl.Datetime("us", "UTC")}
        added = [pl.lit(None, dtype).alias(name) for name, dtype in missing.items() if name not in signals.columns]
        self.signals = signals.with_columns(added)
        self.slices, self.model = dict(slices), model
        self._own = signals.columns
        self.offered = self._offered()
        self.columns = [
            name for name in LIGHT if name in signals.columns and (not signals.height or signals[name].count())
        ]
        self._keys: dict[str, pl.Series] = {}
        self._wording: Wording | None = None
        self._held: list[tuple[Filters, pl.Series]] = []
        self._order: tuple[tuple[str, bool], pl.Series] | None = None

    def holds(self, filters: Filters) -> pl.Series:
        """Which signals meet the filters, as Booleans without nulls.

        Raises:
            ExpressionError: a filter is about what is not there.
            SettingsError: there is no such slice.
        """
        known = next((held for asked, held in self._held if asked == filters), None)
        if known is not None:
            return known
        self._hold_attributes(filters.values)
        said = self._wording.contains(filters.text) if self._wording is not None and filters.text else None
        rest = filters if said is None else replace(filters, text="")
        parts = [] if said is None else [said]
        if text := rest.sql(self.signals.schema, self.slices):
            parts.append(expressions.holds(self.signals, text, where="filters"))
        if filters.area:
            left, right, low, high = filters.area
            parts.append(self.mapped.inside((left, right, low, high)))
        all_of_them = pl.repeat(value=True, n=self.signals.height, dtype=pl.Boolean, eager=True)
        held = reduce(and_, parts) if parts else all_of_them
        self._held = [(filters, held), *self._held][:KEPT]
        return held

    def prepare(self) -> None:
        """Makes ready for a text to be looked for, which takes half a second for a million short signals."""
        columns = tuple(name for name in SAID if name in self.signals.columns)
        if self._wording is None and fits(self.signals, columns):
            self._wording = Wording(self.signals, columns)

    @cached_property
    def mapped(self) -> Mapped:
        """The signals on a map, which is begun when it is first asked for."""
        return Mapped(
            self.signals["text"] if "text" in self.signals.columns else pl.Series([], dtype=pl.String), self.model
        )

    def grid(self, filters: Filters) -> Grid:
        """The cells of the map that hold what the filters leave, their area aside; waits for the map.

        Raises:
            ClwError: a filter is about what is not there, or too little was said for a map.
        """
        return self.mapped.grid(self.holds(replace(filters, area=())), self.signals["outcome"])

    def points(self, filters: Filters) -> pl.DataFrame:
        """The signals that the filters leave and that have a place on the map; waits for the map.

        Returns:
            `interaction_id`, `x`, `y`, and `outcome` (good, bad, pending), in the signals' order.

        Raises:
            ClwError: as `grid`.
        """
        made = self.mapped.plane()
        held = self.holds(filters) & made.x.is_not_null()
        state = pl.when("outcome").then(pl.lit("good")).when(~pl.col("outcome")).then(pl.lit("bad"))
        every = self.signals.select("interaction_id", made.x, made.y, outcome=state.otherwise(pl.lit("pending")))
        return every.filter(held)

    def telling(self, filters: Filters) -> str:
        """The words that tell what lies in the filters' area apart from all else that they find.

        They are read in two thousand signals of either side, evenly drawn. Empty where no word does; waits for the map.

        Raises:
            ClwError: as `grid`.
        """
        inside = self.holds(filters)
        around = self.holds(replace(filters, area=())) & ~inside
        read = [
            self.signals.select("text", inside=pl.lit(side))
            .filter(held)
            .gather_every(max(1, -(-int(held.sum()) // SAMPLE)))
            for side, held in ((True, inside), (False, around))
        ]
        both = pl.concat(read)
        found = names(both["text"], both["inside"], n=TERMS).filter(pl.col("group"))
        return str(found["name"][0]) if found.height else ""

    def found(self, filters: Filters) -> pl.DataFrame:
        """The signals that meet the filters, in their order."""
        return self.signals.filter(self.holds(filters)).select(self._own)

    def marked(self, ids: Sequence[str]) -> pl.DataFrame:
        """These signals, in the order of all."""
        asked = pl.Series(list(ids), dtype=pl.String).implode()
        return self.signals.filter(pl.col("interaction_id").is_in(asked)).select(self._own)

    def among(self, ids: list[str], filters: Filters) -> list[str]:
        """Those of the ids that are found, in their order."""
        if not ids:
            return []
        asked = pl.Series(ids, dtype=pl.String)
        there = self.signals["interaction_id"].filter(self.holds(filters))
        return asked.filter(asked.is_in(there.implode())).to_list()

    def look(
        self,
        filters: Filters,
        *,
        group_by: str = "",
        page: int = 0,
        sort: str = "started_at",
        descending: bool = True,
    ) -> Look:
        """One page, rates by a column, and over time.

        Args:
            filters: what is looked for.
            group_by: a column or an attribute; no bars when empty.
            page: its number, from 0; the last where there are not so many.
            sort: the column by which the page is sorted, no value last.
            descending: whether the greatest comes first.

        Raises:
            ExpressionError: a filter, the column or the order is about what is not there.
            SettingsError: there is no such slice.
        """
        held = self.holds(filters)
        found = int(held.sum())
        at = max(0, min(page, (found - 1) // PAGE))
        order = self._sorted(sort, descending=descending)
        rows = order.filter(held.gather(order)).slice(at * PAGE, PAGE)
        outcome = self.signals["outcome"].filter(held)
        bars, more = self._bars(group_by, held, outcome) if group_by else (pl.DataFrame(), 0)
        every, time = self._over_time(held, outcome)
        return Look(found, at, self.signals[rows].select("interaction_id", *self.columns), bars, more, time, every)

    def _offered(self) -> dict[str, list[str | bool | int | float | None]]:
        """Of attributes, what a sample has that is spread over all signals."""
        sample = self.signals.gather_every(max(1, self.signals.height // SAMPLE)).head(SAMPLE)
        found = {name: _few(self.signals[name]) for name in OFFERED if name in self.signals.columns}
        for name in attribute_keys(sample):
            values = sample.select(expressions.parse(expressions.name_in_sql(name), sample.columns)).to_series()
            found[name] = _few(values)
        return {name: values for name, values in found.items() if values}

    def groups(self) -> list[str]:
        """What bars may stand by: what has few values, and numbers."""
        numbers = [name for name in NUMBERS if name in self.signals.columns and self.signals[name].count()]
        return sorted([*self.offered, *numbers], key=LATER.__contains__)

    def _hold_attributes(self, names: Mapping[str, object]) -> None:
        """Reads attributes out of the JSON once, as columns of their own."""
        if new := [name for name in names if name.startswith("attributes.") and name not in self.signals.columns]:
            read = [expressions.parse(expressions.name_in_sql(name), self.signals.columns).alias(name) for name in new]
            self.signals = self.signals.with_columns(read)

    def _sorted(self, column: str, *, descending: bool) -> pl.Series:
        if column not in (*self.columns, "started_at"):
            raise ExpressionError(f"sort: no column {column!r} on the page. There are {', '.join(self.columns)}.")
        known = self._order
        if known is not None and known[0] == (column, descending):
            return known[1]
        values = self.signals[column]
        if isinstance(values.dtype, pl.List):
            values = values.cast(pl.List(pl.String)).list.join(" ")
        order = values.arg_sort(descending=descending, nulls_last=True)
        self._order = (column, descending), order
        return order

    def _bars(self, name: str, held: pl.Series, outcome: pl.Series) -> tuple[pl.DataFrame, int]:
        if name not in self._keys:
            self._keys[name] = keys(self.signals, [name])[name]
        part = pl.DataFrame([self._keys[name].filter(held), outcome.alias("outcome")])
        made = rates(part, name, event=pl.col("outcome"))
        size = pl.col("n") + pl.col("pending")
        largest = made.with_row_index("at").sort(size, "at", descending=[True, False]).head(BARS)
        binned = isinstance(made.schema[name], pl.Enum) or made.schema[name].is_numeric()
        return (largest.sort("at") if binned else largest).drop("at"), max(0, made.height - BARS)

    def _over_time(self, held: pl.Series, outcome: pl.Series) -> tuple[Every, pl.DataFrame]:
        part = pl.DataFrame([self.signals["started_at"].filter(held), outcome]).drop_nulls("started_at")
        first, last = part["started_at"].min(), part["started_at"].max()
        every = _period(last - first) if isinstance(first, datetime) and isinstance(last, datetime) else "day"
        return every, rates(part, event=pl.col("outcome"), every=every).tail(PERIODS_SHOWN * 2)


def _period(span: timedelta) -> Every:
    """The shortest period of which so many fit into a picture."""
    if span <= timedelta(hours=PERIODS_SHOWN):
        return "hour"
    if span <= timedelta(days=PERIODS_SHOWN):
        return "day"
    return "week" if span <= timedelta(weeks=PERIODS_SHOWN * 2) else "month"


def _few(values: pl.Series) -> list[str | bool | int | float | None]:
    """The different values, the most frequent first; none where they are many, long, or all the same."""
    if isinstance(values.dtype, pl.List):
        values = values.list.explode(keep_nulls=False, empty_as_null=False)
    counts = values.value_counts(name="how many").sort(["how many", values.name], descending=[True, False])
    found = counts[values.name].to_list()
    long = any(isinstance(each, str) and len(each) > LONGEST for each in found)
    return [] if long or not 2 <= len(found) <= FEW else found
