"""Adjudication: which answer counts where annotators differ, and whether more answers would tell more."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Literal, NamedTuple

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.labels.agreement_report import AgreementReport
from clworkbench.labels.coded import comparable
from clworkbench.labels.latest import GOLD
from clworkbench.schemas import ASKED
from clworkbench.statistics.intervals import quantile

Rule = Literal["majority", "expert", "hold"]

FEW = 10
"""Below so many records the spread is too rough to say how many more are wanted."""


class Adjudicated(NamedTuple):
    """What counts, and what is held back.

    Attributes:
        labels: those that count, in the order and with the columns they came with.
        disputed: one row for each question about a signal that is held back: `interaction_id`, `question`, `answers`.
    """

    labels: pl.DataFrame
    disputed: pl.DataFrame

    def __repr__(self) -> str:
        return f"Adjudicated({self.labels.height:,} labels count, {self.disputed.height:,} answers are held back)"

    def _repr_html_(self) -> str:
        counted = self.labels.filter(pl.col("status") == "submitted").group_by("question").agg(labels=pl.len())
        held = self.disputed.group_by("question").agg(held=pl.len())
        rows = counted.join(held, on="question", how="full", coalesce=True).fill_null(0).sort("question")
        titles = ("question", "labels that count", "signals held back")
        return html_table(titles, rows.iter_rows(), caption="After adjudication")


def adjudicated(labels: pl.DataFrame, *, rule: Rule = "majority", experts: Collection[str] = ()) -> Adjudicated:
    """Keeps the labels whose answer counts, for each question about each signal.

    `majority`: the answer given most often; a tie is held back. `expert`: where experts answered, only they count, else
    the majority. `hold`: wherever two answers differ, all are held back. What is known (source `gold`) always decides.
    Who says the same as what decides counts as well, but not with a correction, whose texts are not compared. What says
    nothing is kept as it is, and outvotes nobody: comments, and corrections left as they were filled in.

    Args:
        labels: schema `LABELS`, the latest answer of each annotator; only submitted ones count or dispute.
        rule: see above.
        experts: annotators' keys.
    """
    rows = labels.with_row_index("row").with_columns(set=pl.col("source"))
    untouched = ((pl.col("question") == "improvement") & pl.col("equals_suggestion")).fill_null(value=False)
    said = comparable(rows.filter(pl.col("status") == "submitted", ~untouched), pl.DataFrame(schema=ASKED))
    of = ["interaction_id", "question"]
    knows = pl.col("source") == GOLD
    expert = pl.col("annotator_key").is_in(list(experts)).fill_null(value=False) & (rule == "expert")
    heard = said.filter(knows | ~knows.any().over(of)).filter(knows | expert | ~expert.any().over(of))
    votes = heard.group_by(*of, "said").agg(votes=pl.len())
    most = (pl.col("votes") == pl.col("votes").max()).sum().over(of)
    tied = votes.filter(most > 1 if rule != "hold" else pl.len().over(of) > 1)
    won = votes.filter(pl.col("votes") == pl.col("votes").max().over(of)).join(tied, on=of, how="anti")
    alike = said.filter(pl.col("question") != "improvement")  # texts of others may say something else
    counts = pl.concat([heard, alike]).join(won, on=[*of, "said"], how="semi")["row"]
    lost = said.filter(~pl.col("row").is_in(counts.unique().implode()))["row"]
    kept = rows.filter(~pl.col("row").is_in(lost.implode())).drop("row", "set")
    disputed = tied.group_by(of).agg(answers=pl.len().cast(pl.Int64)).sort(of)
    return Adjudicated(kept, disputed)


class Enough(NamedTuple):
    """Whether a question's agreement is known well enough.

    Attributes:
        question: as the report calls it.
        wanted: how wide its 95 % interval may be.
        width: how wide it is; None where there is none.
        n: records that two or more answered.
        more: about how many more such records would make it narrow enough, 0 where it is; None where nobody can say.
    """

    question: str
    wanted: float
    width: float | None
    n: int
    more: int | None

    @property
    def enough(self) -> bool:
        """Whether the interval is narrow enough."""
        return self.width is not None and self.width <= self.wanted

    def line(self) -> str:
        """For a terminal; empty where agreement is not defined."""
        if self.width is None:
            return ""
        known = f"{self.question:<14} the interval is {self.width:.2f} wide: "
        if self.enough:
            return known + "narrow enough"
        if self.more is None:
            return known + f"too wide, and {self.n} records are too few to say how many are wanted"
        return known + f"about {self.more:,} more records with two answers would make it {self.wanted:g}"


@dataclass(frozen=True)
class Stop:
    """The stop rule's answer, a row for each question."""

    rows: tuple[Enough, ...]

    def __iter__(self) -> Iterator[Enough]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return "Stop(" + "; ".join(" ".join(row.line().split()) for row in self.rows if row.line()) + ")"

    def _repr_html_(self) -> str:
        words = {True: "yes", False: "no"}
        rows = [(row.question, row.n, row.width, row.wanted, words[row.enough], row.more) for row in self.rows]
        titles = ("question", "n", "interval's width", "wanted", "enough", "records wanting, about")
        return html_table(titles, rows, caption="Is agreement known well enough?")


def enough(report: AgreementReport, *, width: float = 0.2) -> Stop:
    """The stop rule: whether each question's 95 % interval is at most `width` wide, and how many records are wanting.

    The estimate takes records and annotators to go on as they are: an interval narrows with the square root of n (where
    nobody has disagreed yet, with n itself). With fewer than 10 records there is none. Look seldom: who stops at the
    first look that pleases will find intervals that are a little too narrow.
    """
    return Stop(tuple(_enough(row, width) for row in report.frame.iter_rows(named=True)))


def _enough(row: dict[str, object], wanted: float) -> Enough:
    question, n, low, high, spread = (row[name] for name in ("question", "n", "low", "high", "spread"))
    assert isinstance(question, str)
    assert isinstance(n, int)
    if not isinstance(low, float) or not isinstance(high, float):
        return Enough(question, wanted, None, n, None)
    width, more = high - low, None
    if width <= wanted:
        more = 0
    elif n >= FEW and isinstance(spread, float):
        factor = width / wanted if spread == 0 else (2 * quantile(0.95) * spread / wanted) ** 2
        more = max(1, ceil(n * factor) - n)
    return Enough(question, wanted, width, n, more)
