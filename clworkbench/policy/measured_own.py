"""How well redaction works on one's own texts: invented values planted into them, and what may be left in them."""

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.html import AS_TYPED, html_table, percent
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import EvidenceError
from clworkbench.policy.entities import KINDS
from clworkbench.policy.finding import found
from clworkbench.policy.marks import KEYED
from clworkbench.policy.measured import Find, Measured, measure
from clworkbench.policy.planted import SPELLINGS, Planted, plant
from clworkbench.policy.presidio import SecondTier, said
from clworkbench.policy.recognizers import NAMES
from clworkbench.policy.spans import merged, overlaps, plain
from clworkbench.statistics.intervals import exact_upper, wilson

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MIN_PLANTED = 500
"""Fewer planted values bound nothing: texts are then used more than once."""
DOUBT = 0.05
"""How often one of the bounds may fail, all kinds taken together."""


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
        of how many more are left in them, at 95 % for all kinds together; null where nothing bounds it: none was
        met, or no planted one was found).
        """
        return self.by_kind

    @property
    def left_high(self) -> int | None:
        """Upper bound, at 95 %, of the values of all bounded kinds that are left in the sample; None without any.

        `unbounded` names the kinds that are not in it.
        """
        bounded = self.by_kind["left_high"].drop_nulls()
        return None if bounded.is_empty() else int(bounded.sum())

    @property
    def unbounded(self) -> tuple[str, ...]:
        """The kinds of which any number may be left: none was met, or no planted one was found."""
        return tuple(self.by_kind.filter(pl.col("left_high").is_null())["kind"])

    @property
    def left(self) -> str:
        """What may be left in the sampled texts, in words."""
        bounded = self.by_kind.drop_nulls("left_high")["kind"]
        if bounded.is_empty():
            return "nothing bounds what is left in the sampled texts"
        said = f"at most {self.left_high:,} left in the sampled texts (95 %) of {', '.join(bounded)}"
        return said + (f"; no bound for {', '.join(self.unbounded)}" if self.unbounded else "")

    @property
    def assumes(self) -> str:
        """What the bound takes for granted."""
        return (
            "A bound holds if people write such values as the planted ones are written, each is missed or found by "
            "itself, and what was found is personal data. Kinds that were not planted are not in it."
        )

    def __repr__(self) -> str:
        n, missed = self.by_kind["planted"].sum(), self.by_kind["missed"].sum()
        return f"OwnMeasure({missed:,} of {n:,} planted values missed; {self.left})"

    def _repr_html_(self) -> str:
        look = wilson(self.n_lookalikes_taken, self.n_lookalikes)
        said = (
            f"{self.left[0].upper()}{self.left[1:]}. {self.assumes} {self.tiers} Of {self.n_lookalikes:,} lookalikes "
            f"{self.n_lookalikes_taken:,} were taken ({percent(look.low)} to {percent(look.high)})."
        )
        names = [name.replace("_", " ") for name in self.by_kind.columns]
        caption = f"{self.by_kind['planted'].sum():,} invented values planted into these texts"
        table = html_table(names, self.by_kind.iter_rows(), caption=caption)
        return f"{table}<p {AS_TYPED} style='max-width:50em'>{escape(said)}</p>"

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
    once = sample.unique(maintain_order=True)
    planted = plant(sample, seed, _kinds(second))
    told = measure(planted.texts, planted.spans.select("row", "kind", "start", "end"), find)
    look = plant(sample, seed, ("LOOKALIKE",))
    finds = plain(find(look.texts)).with_row_index("find")
    taken = overlaps(plain(look.spans).with_row_index("span"), merged(finds))["span"].n_unique()
    return OwnMeasure(
        told,
        _bounded(told.frame, _met(once, find(once))),
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
        first = plain(found(texts))
        return first if second is None else pl.concat([first, plain(second.found(texts, advance))])

    return find


def _kinds(second: SecondTier | None) -> tuple[str, ...]:
    names = second is not None and second.model is not None
    return tuple(kind for kind in SPELLINGS if kind in KINDS or (names and kind in NAMES.values()))


def _met(sample: pl.Series, finds: pl.DataFrame) -> pl.DataFrame:
    """How many values of each kind there are in texts: marks of the past, and finds of today."""
    marks = sample.str.extract_all(KEYED).explode(empty_as_null=False).str.extract(r"\[([A-Z_]+)_")
    kinds = pl.concat([marks.alias("kind"), finds["kind"]])
    return kinds.to_frame().group_by("kind").agg(met=pl.len().cast(pl.Int64))


def _bounded(by_kind: pl.DataFrame, met: pl.DataFrame) -> pl.DataFrame:
    """Misses and their bounds; doubt is shared out among the kinds (Bonferroni), so that all bounds hold together."""
    planted = by_kind.filter(pl.col("n") > 0).join(met, on="kind", how="left", maintain_order="left")
    doubt = DOUBT / max(planted.height, 1)
    rows = []
    for kind, n, hit, there in planted.select("kind", "n", "found", pl.col("met").fill_null(0)).iter_rows():
        high = exact_upper(n - hit, n, level=1 - doubt)
        rows.append((kind, n, n - hit, high, there, most_left(there, n - hit, n, doubt)))
    schema = {
        "kind": pl.String, "planted": pl.Int64, "missed": pl.Int64, "miss_high": pl.Float64,
        "met": pl.Int64, "left_high": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def most_left(met: int, missed: int, planted: int, doubt: float) -> int | None:
    """Upper limit of how many values were missed beside those that were met; None where nothing bounds it.

    Half of the doubt goes to the rate of misses, which is at most h by the planted values; half to the number: where
    more than the limit were missed, finding no more than `met` at that rate would be rarer than that half. Trials up
    to the find after the last one met are a negative binomial's, so that the limit is its quantile.

    Args:
        met: values that were found.
        missed: planted values that were not found.
        planted: all of them.
        doubt: how often the limit may be too low (0 to 1).

    Source: Clopper and Pearson 1934 for h; Johnson, Kemp and Kotz 2005, ch. 5, for the negative binomial.
    """
    from scipy.stats import nbinom

    high = exact_upper(missed, planted, level=1 - doubt / 2)
    return None if met == 0 or high >= 1 else int(nbinom.ppf(1 - doubt / 2, met + 1, 1 - high))


def _missed(planted: Planted, finds: pl.DataFrame) -> pl.DataFrame:
    spans = planted.spans.with_row_index("span")
    covered = overlaps(plain(planted.spans).with_row_index("span"), merged(plain(finds)))
    share = covered.group_by("span").agg(pl.col("overlap").sum())
    length = pl.col("end") - pl.col("start")
    return (
        spans.join(share, on="span", how="left")
        .group_by("kind", "spelling")
        .agg(n=pl.len(), missed=(pl.col("overlap").fill_null(0) < length).sum())
        .filter(pl.col("missed") > 0)
        .sort("missed", "kind", "spelling", descending=[True, False, False])
    )
