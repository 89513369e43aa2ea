"""How well redaction works: recall, precision and over-redaction on labelled texts, and on one's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import rate_figure
from clworkbench.display.html import html_table, percent
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import EvidenceError
from clworkbench.policy.entities import KINDS
from clworkbench.policy.finding import found
from clworkbench.policy.planted import SPELLINGS, Planted, plant
from clworkbench.policy.presidio import SecondTier, said
from clworkbench.policy.recognizers import NAMES
from clworkbench.statistics.intervals import exact_upper, wilson, wilson_bounds

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Find = Callable[[pl.Series], pl.DataFrame]
"""From texts to one row for each find: `row`, `kind`, `start`, `end` (characters); more columns may stand beside."""

LABELS: Mapping[str, str] = {
    "ADDRESS": "LOCATION",
    "CREDIT_CARD": "CARD",
    "EMAIL_ADDRESS": "EMAIL",
    "GPE": "LOCATION",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "PHONE_NUMBER": "PHONE",
    "STREET_ADDRESS": "LOCATION",
    "US_SSN": "SSN",
}
"""What labelled texts call our kinds; a label that is none of these keeps its name."""

MIN_PLANTED = 500
"""Fewer planted values bound nothing: texts are then used more than once."""
ANY_MARK = r"\[[A-Z][A-Z_]*_[0-9a-f]{8}\]"


@dataclass(frozen=True, eq=False)
class Measured:
    """What finding personal data got right, by kind.

    Attributes:
        by_kind: see `frame`.
        n_texts: how many texts there were.
        n_clean: how many of them hold no labelled span.
        n_touched: how many of the clean ones something was taken from.
        n_outside: characters outside labelled spans.
        n_taken: how many of those were taken.
    """

    by_kind: pl.DataFrame
    n_texts: int
    n_clean: int
    n_touched: int
    n_outside: int
    n_taken: int

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each kind.

        `kind`; `n` (labelled spans), `found` (all their characters covered, by whatever kind), `touched` (some),
        `recall` of those found with `low` and `high`; `finds` of that kind, `right` (those that meet a labelled
        span of any kind), `precision` with `precision_low` and `precision_high`. Intervals are Wilson's, at 95 %.
        """
        return self.by_kind

    @property
    def over_redaction(self) -> float:
        """Share of the characters outside labelled spans that was taken (0 to 1)."""
        return self.n_taken / self.n_outside if self.n_outside else 0.0

    def __repr__(self) -> str:
        n, found = self.by_kind["n"].sum(), self.by_kind["found"].sum()
        return (
            f"Measured({found:,} of {n:,} found in {self.n_texts:,} texts, {self.over_redaction:.3%} of the rest taken)"
        )

    def _repr_html_(self) -> str:
        touched = wilson(self.n_touched, self.n_clean)
        said = (
            f"{self.n_texts:,} texts. Of {self.n_outside:,} characters outside labelled spans "
            f"{self.over_redaction:.3%} were taken; of {self.n_clean:,} clean texts {self.n_touched:,} were touched "
            f"({percent(touched.low)} to {percent(touched.high)})."
        )
        names = [name.replace("_", " ") for name in self.by_kind.columns]
        return html_table(names, self.by_kind.iter_rows(), caption=said)

    def plot(self) -> "Figure":
        """Each kind's recall with its interval."""
        shown = self.by_kind.filter(pl.col("n") > 0).rename({"recall": "rate"})
        return rate_figure(shown, "kind", title="Found, by kind").update_yaxes(title="found", row=1, col=1)


def measure(texts: pl.Series, spans: pl.DataFrame, find: Find) -> Measured:
    """Compare what is found with what is labelled.

    Args:
        texts: strings; nulls hold nothing.
        spans: one row for each labelled span: `row` (in `texts`), `kind` (ours, or a name in `LABELS`), `start`,
            `end` (characters, half open).
        find: finds spans in texts, e.g. `policy.finding.found`.
    """
    labelled = _plain(spans).with_columns(pl.col("kind").replace(dict(LABELS))).with_row_index("span")
    finds = _plain(find(texts)).with_row_index("find")
    covered = _overlaps(labelled, _merged(finds)).group_by("span").agg(pl.col("overlap").sum())
    told = labelled.join(covered, on="span", how="left", maintain_order="left").with_columns(
        pl.col("overlap").fill_null(0)
    )
    met = _overlaps(finds, _merged(labelled)).group_by("find").agg(pl.col("overlap").sum())
    right = finds.join(met, on="find", how="left").with_columns(right=pl.col("overlap").fill_null(0) > 0)
    taken = int(_length(_merged(finds)))
    n_inside = int(_length(_merged(labelled)))
    inside = int(_overlaps(_merged(finds), _merged(labelled))["overlap"].sum())
    clean = texts.len() - texts.null_count() - labelled["row"].n_unique()
    touched = finds.join(labelled, on="row", how="anti")["row"].n_unique()
    n_all = int(texts.str.len_chars().sum())
    return Measured(_by_kind(told, right), len(texts), clean, touched, n_all - n_inside, taken - inside)


def _plain(spans: pl.DataFrame) -> pl.DataFrame:
    integers = [pl.col(name).cast(pl.Int64) for name in ("row", "start", "end")]
    return spans.select(*integers, "kind")


def _by_kind(told: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    length = pl.col("end") - pl.col("start")
    recall = told.group_by("kind").agg(
        n=pl.len(), found=(pl.col("overlap") >= length).sum(), touched=(pl.col("overlap") > 0).sum()
    )
    precision = right.group_by("kind").agg(finds=pl.len(), right=pl.col("right").sum())
    both = recall.join(precision, on="kind", how="full", coalesce=True).sort("kind")
    both = both.with_columns(pl.exclude("kind").fill_null(0).cast(pl.Int64))
    both = both.with_columns(recall=_share("found", "n"), precision=_share("right", "finds"))
    low, high = wilson_bounds(pl.col("recall"), pl.col("n"))
    precision_low, precision_high = wilson_bounds(pl.col("precision"), pl.col("finds"))
    return both.with_columns(
        low=low, high=high, precision_low=precision_low, precision_high=precision_high
    ).select(
        "kind", "n", "found", "touched", "recall", "low", "high",
        "finds", "right", "precision", "precision_low", "precision_high",
    )  # fmt: skip


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))


def _merged(spans: pl.DataFrame) -> pl.DataFrame:
    """The characters that spans cover, as disjoint spans: `row`, `start`, `end`."""
    reached = pl.col("end").cum_max().shift(1).over("row")
    return (
        spans.filter(pl.col("end") > pl.col("start"))
        .sort("row", "start")
        .with_columns(block=(pl.col("start") > reached).fill_null(value=False).cum_sum().over("row"))
        .group_by("row", "block", maintain_order=True)
        .agg(pl.col("start").min(), pl.col("end").max())
        .drop("block")
    )


def _overlaps(spans: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Pairs in the same text that share characters: the columns of `spans` and `overlap`, how many they share."""
    return (
        spans.join(others.select("row", other_start="start", other_end="end"), on="row")
        .with_columns(overlap=pl.min_horizontal("end", "other_end") - pl.max_horizontal("start", "other_start"))
        .filter(pl.col("overlap") > 0)
        .drop("other_start", "other_end")
    )


def _length(spans: pl.DataFrame) -> int:
    return int((spans["end"] - spans["start"]).sum())


@dataclass(frozen=True, eq=False)
class OwnMeasure:
    """How well redaction would work on one's own writing, and what may be left in it.

    Attributes:
        measured: the planted texts, by kind; only planted values are labelled, so precision says nothing here.
        by_kind: see `frame`.
        missed: one row for each spelling with a miss: `kind`, `spelling`, `n`, `missed`.
        n_lookalikes: planted values that look like personal data and are none.
        n_lookalikes_taken: how many of those were taken, in part or whole.
        tiers: what found, in words.
    """

    measured: Measured
    by_kind: pl.DataFrame
    missed: pl.DataFrame
    n_lookalikes: int
    n_lookalikes_taken: int
    tiers: str

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each kind.

        `kind`; `planted`, `missed`; `miss_high` (upper bound of the share that is missed, one-sided, at 95 % for all
        kinds together); `met` (values of that kind in the sampled texts: marks and finds), `left_high` (upper bound
        of how many more are left in them, null where it has none).
        """
        return self.by_kind

    @property
    def left_high(self) -> float | None:
        """Upper bound, at 95 %, of the values that redaction left in the sampled texts; None where it has none."""
        return None if self.by_kind["left_high"].has_nulls() else float(self.by_kind["left_high"].sum())

    @property
    def assumes(self) -> str:
        """What the bound takes for granted."""
        return (
            "The bound holds if people write such values as the planted ones are written, each is missed or found by "
            "itself, and what was found is personal data. Kinds that were not planted are not in it."
        )

    def __repr__(self) -> str:
        n, missed = self.by_kind["planted"].sum(), self.by_kind["missed"].sum()
        left = "no bound" if self.left_high is None else f"at most {self.left_high:,.0f}"
        return f"OwnMeasure({missed:,} of {n:,} planted values missed; left in the sample: {left})"

    def _repr_html_(self) -> str:
        look = wilson(self.n_lookalikes_taken, self.n_lookalikes)
        said = (
            f"{self.tiers} {self.assumes} Of {self.n_lookalikes:,} lookalikes {self.n_lookalikes_taken:,} were taken "
            f"({percent(look.low)} to {percent(look.high)})."
        )
        names = [name.replace("_", " ") for name in self.by_kind.columns]
        return html_table(names, self.by_kind.iter_rows(), caption=said)

    def plot(self) -> "Figure":
        """Each kind's recall on the planted values, with its interval."""
        return self.measured.plot()


def measure_own(
    texts: pl.Series,
    *,
    seed: int = 0,
    n: int = 2_000,
    second: SecondTier | None = None,
    advance: Advance = silent,
) -> OwnMeasure:
    """Plant invented values into a sample of one's own texts and see which are found.

    Each text is used once for a value that should be found and once for a lookalike. Names are planted only where
    the second tier has a model of names.

    Args:
        texts: texts as they stand in the tables (with marks) or before.
        seed: for the sample and for what is planted.
        n: how many texts are drawn; all where there are fewer, some more than once where there are fewer than kinds.
        second: the second tier, where it is to look as well.
        advance: is told how many texts the second tier has done.

    Raises:
        EvidenceError: there is no text.
    """
    sample = _sampled(texts, seed, n)
    find = _tiers(second, advance)
    planted = plant(sample, seed, _kinds(second))
    told = measure(planted.texts, planted.spans.select("row", "kind", "start", "end"), find)
    look = plant(sample, seed, ("LOOKALIKE",))
    finds = _plain(find(look.texts)).with_row_index("find")
    taken = _overlaps(_plain(look.spans).with_row_index("span"), _merged(finds))["span"].n_unique()
    return OwnMeasure(
        told,
        _bounded(told.frame, _met(sample, find(sample))),
        _missed(planted, find(planted.texts)),
        look.spans.height,
        taken,
        said(second),
    )


def _sampled(texts: pl.Series, seed: int, n: int) -> pl.Series:
    there = texts.drop_nulls().unique().sort()
    there = there.filter(there.str.len_chars() > 0)
    if there.is_empty():
        raise EvidenceError("No text to measure redaction on. Ingest some first: `clw ingest PATH --source NAME`.")
    few = min(n, MIN_PLANTED)
    if len(there) < few:
        return pl.concat([there] * -(-few // len(there))).head(few)
    return there.sample(min(n, len(there)), seed=seed)


def _tiers(second: SecondTier | None, advance: Advance) -> Find:
    """Tier one, and tier two on what it leaves."""

    def find(texts: pl.Series) -> pl.DataFrame:
        first = _plain(found(texts))
        return first if second is None else pl.concat([first, _plain(second.found(texts, advance))])

    return find


def _kinds(second: SecondTier | None) -> tuple[str, ...]:
    names = second is not None and second.model is not None
    return tuple(kind for kind in SPELLINGS if kind in KINDS or (names and kind in NAMES.values()))


def _met(sample: pl.Series, finds: pl.DataFrame) -> pl.DataFrame:
    """How many values of each kind there are in texts: marks of the past, and finds of today."""
    marks = sample.str.extract_all(ANY_MARK).explode(empty_as_null=False).str.extract(r"\[([A-Z_]+)_")
    kinds = pl.concat([marks.alias("kind"), finds["kind"]])
    return kinds.to_frame().group_by("kind").agg(met=pl.len().cast(pl.Int64))


def _bounded(by_kind: pl.DataFrame, met: pl.DataFrame) -> pl.DataFrame:
    """Misses and their bounds; the level is shared out among the kinds, so that all bounds hold together."""
    planted = by_kind.filter(pl.col("n") > 0).join(met, on="kind", how="left", maintain_order="left")
    level = 1 - 0.05 / max(planted.height, 1)
    rows = []
    for kind, n, hit, there in planted.select("kind", "n", "found", pl.col("met").fill_null(0)).iter_rows():
        high = exact_upper(n - hit, n, level=level)
        left = there * high / (1 - high) if high < 1 else (None if there else 0.0)
        rows.append((kind, n, n - hit, high, there, left))
    schema = {
        "kind": pl.String, "planted": pl.Int64, "missed": pl.Int64, "miss_high": pl.Float64,
        "met": pl.Int64, "left_high": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _missed(planted: Planted, finds: pl.DataFrame) -> pl.DataFrame:
    spans = planted.spans.with_row_index("span")
    covered = _overlaps(_plain(planted.spans).with_row_index("span"), _merged(_plain(finds)))
    share = covered.group_by("span").agg(pl.col("overlap").sum())
    length = pl.col("end") - pl.col("start")
    return (
        spans.join(share, on="span", how="left")
        .group_by("kind", "spelling")
        .agg(n=pl.len(), missed=(pl.col("overlap").fill_null(0) < length).sum())
        .filter(pl.col("missed") > 0)
        .sort("missed", "kind", "spelling", descending=[True, False, False])
    )
