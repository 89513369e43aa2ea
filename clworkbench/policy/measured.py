"""How well redaction works: recall, precision and over-redaction on labelled texts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import rate_figure
from clworkbench.display.html import html_table, percent
from clworkbench.policy.spans import merged, n_characters, overlaps, plain
from clworkbench.statistics.intervals import wilson, wilson_bounds

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
    labelled = plain(spans).with_columns(pl.col("kind").replace(dict(LABELS))).with_row_index("span")
    finds = plain(find(texts)).with_row_index("find")
    covered = overlaps(labelled, merged(finds)).group_by("span").agg(pl.col("overlap").sum())
    told = labelled.join(covered, on="span", how="left", maintain_order="left").with_columns(
        pl.col("overlap").fill_null(0)
    )
    met = overlaps(finds, merged(labelled)).group_by("find").agg(pl.col("overlap").sum())
    right = finds.join(met, on="find", how="left").with_columns(right=pl.col("overlap").fill_null(0) > 0)
    taken = int(n_characters(merged(finds)))
    n_inside = int(n_characters(merged(labelled)))
    inside = int(overlaps(merged(finds), merged(labelled))["overlap"].sum())
    clean = texts.len() - texts.null_count() - labelled["row"].n_unique()
    touched = finds.join(labelled, on="row", how="anti")["row"].n_unique()
    n_all = int(texts.str.len_chars().sum())
    return Measured(_by_kind(told, right), len(texts), clean, touched, n_all - n_inside, taken - inside)


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
