"""What a pull brought back."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.labels.agreement_report import AgreementReport
from clworkbench.labels.answers import DISCARDED, DRAFT, SUBMITTED

COUNTS = ("new", "changed", "withdrawn", "drafts", "discarded", "gone")


@dataclass(frozen=True)
class Pulled:
    """What came back.

    Attributes:
        new: answers that count now and did not before.
        changed: answers that counted and say something else now.
        withdrawn: answers that counted and do no more: taken back, discarded, or a draft again.
        drafts: answers that are not submitted yet, as far as they are news.
        discarded: questions that annotators passed by, likewise.
        gone: labels whose record is no more in Argilla, or whose annotator's account; they stay.
        left_out: values that say nothing usable, by reason.
        notes: what else there is to say, in words.
        agreement: how far the annotators of these sets agree; None where it was not measured.
    """

    new: int = 0
    changed: int = 0
    withdrawn: int = 0
    drafts: int = 0
    discarded: int = 0
    gone: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    agreement: AgreementReport | None = None

    def __repr__(self) -> str:
        return f"Pulled({self.lines()[0]})"

    def __add__(self, later: "Pulled") -> "Pulled":
        """Both together: what came is added up, what is told is the later's, where it tells."""
        brought = {name: getattr(self, name) + getattr(later, name) for name in COUNTS if name != "gone"}
        return replace(later, **brought, left_out=self.left_out | later.left_out, notes=later.notes or self.notes)

    @property
    def is_news(self) -> bool:
        """Whether labels were added."""
        return bool(self.new + self.changed + self.withdrawn + self.drafts + self.discarded)

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw label pull --json`."""
        agreement = None if self.agreement is None else self.agreement.as_dict()
        return {**vars(self), "notes": list(self.notes), "agreement": agreement}

    def lines(self) -> list[str]:
        """What came back, as text: the counts first."""
        said = [f"{self.new:,} new labels"]
        said += [f"{n:,} {name}" for name in COUNTS[1:-1] if (n := getattr(self, name))]
        gone = f"{self.gone:,} labels stay whose record or annotator is gone from Argilla"
        left_out = [f"left out {n:,} × {reason}" for reason, n in self.left_out.items()]
        agreement = [] if self.agreement is None else self.agreement.lines()
        return [", ".join(said), *([gone] if self.gone else []), *left_out, *self.notes, *agreement]

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [(name, getattr(self, name)) for name in COUNTS]
        rows += [(f"left out: {reason}", n) for reason, n in self.left_out.items()]
        table = html_table(("labels", ""), [*rows, *(("", note) for note in self.notes)])
        return table + ("" if self.agreement is None else self.agreement._repr_html_())


@dataclass
class Total:
    """What several sets brought together, while they are read."""

    counts: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, labels: pl.DataFrame) -> None:
        """Counts what became of new rows: `status`, and `was`, the status before (null where there was none)."""
        counts, counted = pl.col("status") == SUBMITTED, (pl.col("was") == SUBMITTED).fill_null(value=False)
        cases = {
            "new": counts & ~counted,
            "changed": counts & counted,
            "withdrawn": ~counts & counted,
            "drafts": pl.col("status") == DRAFT,
            "discarded": pl.col("status") == DISCARDED,
        }
        self.counts.update(labels.select(case.sum().alias(name) for name, case in cases.items()).row(0, named=True))

    def pulled(self, notes: Sequence[str]) -> Pulled:
        """As the result."""
        n, left_out = self.counts, dict(sorted(self.left_out.items()))
        six = (n["new"], n["changed"], n["withdrawn"], n["drafts"], n["discarded"], n["gone"])
        return Pulled(*six, left_out=left_out, notes=tuple(notes))
