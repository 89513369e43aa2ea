"""What an audit found: one line for each check, and what to do about those that fail."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from clworkbench.audit.check import Check
from clworkbench.display.html import html_table
from clworkbench.display.text import visible

WITHIN = " > "
"""Stands between an artefact's id and the name of a check, where the artefact is one that the asked one rests on."""

SCHEMA = pl.Schema({"name": pl.String, "ok": pl.Boolean, "n": pl.Int64, "detail": pl.String})


@dataclass(frozen=True, repr=False)
class AuditReport:
    """The checks of one artefact, and of those it rests on.

    Attributes:
        id: the artefact's id, or the certificate's path.
        checks: in the order in which they were made; those of another artefact are named `its id > check`.
    """

    id: str
    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)

    @property
    def frame(self) -> pl.DataFrame:
        """One row for each check: `name`, `ok`, `n`, `detail`."""
        return pl.DataFrame(list(self.checks), schema=SCHEMA, orient="row")

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw audit --json`."""
        return {"id": self.id, "ok": self.ok, "checks": [check._asdict() for check in self.checks]}

    def lines(self) -> list[str]:
        """The report as text: a mark, the check, its count and what was found."""
        failed = sum(not check.ok for check in self.checks)
        said = f"{failed} of {len(self.checks)} checks FAIL" if failed else f"all {len(self.checks)} checks hold"
        text, of = [f"{self.id}: {said}"], ""
        for check in self.checks:
            artefact, _, name = check.name.rpartition(WITHIN)
            if artefact != of:
                text.append(artefact)
                of = artefact
            text.append(f"  {'✓' if check.ok else '✗'} {name:<26} {check.n:>9,}  {check.detail}")
        return [visible(line) for line in text]

    def __repr__(self) -> str:
        failed = [check.name for check in self.checks if not check.ok]
        said = f"fails {', '.join(failed)}" if failed else f"{len(self.checks)} checks hold"
        return f"AuditReport({self.id}: {said})"

    def _repr_html_(self) -> str:
        rows = [("✓" if check.ok else "✗", check.name, check.n, check.detail) for check in self.checks]
        return html_table(("", "check", "n", "what was found"), rows, caption=self.lines()[0])
