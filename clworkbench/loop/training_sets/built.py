"""A build as a result: how signals became the rows of a training set, for a notebook, a terminal and a script."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.training_sets.descent import BuiltSet
from clworkbench.training_sets.length_bias import in_words
from clworkbench.training_sets.waterfall import Waterfall

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True, repr=False)
class Build:
    """A published training set: its manifest, and how it came about."""

    manifest: dict[str, object]
    built: BuiltSet

    @property
    def id(self) -> str:
        """`training_set:name@version`."""
        return str(self.manifest["id"])

    @property
    def frame(self) -> pl.DataFrame:
        """The rows, as `schemas.TRAINING_ROWS` has them for the kind."""
        return self.built.frame

    def __repr__(self) -> str:
        made = self.built
        rows = f"{made.frame.height:,} {made.kind} rows, {made.n_new:,} new"
        return f"Build({self.id}: {rows}, from {made.n_signals:,} signals)"

    @property
    def waterfall(self) -> Waterfall:
        """From all signals, what each rule took away, to the rows."""
        made = self.built
        return Waterfall(self.id, made.n_signals, made.dropped, made.splits, made.n_new, made.turned)

    def lines(self) -> list[str]:
        """The waterfall and what should be known of the set, for a terminal."""
        made = self.built
        lines = []
        for step, n, left in self.waterfall.frame.head(-1).iter_rows():
            said = f"after dropping {n:,} {step.replace('_', ' ')}" if step in made.dropped else step
            lines.append(f"{left:>9,} {said}")
        splits = ", ".join(f"{n:,} {split}" for split, n in made.splits.items())
        found = [f"  {kind:<12} {detail}" for kind, detail in self.findings]
        return [*lines, f"{self.id.removeprefix('training_set:')}: {splits} ({made.kind})", *found]

    @property
    def findings(self) -> list[tuple[str, str]]:
        """What should be known of the set: a word, and a sentence."""
        bias = self.built.about.get("length_bias")
        length = [("length", in_words(bias))] if isinstance(bias, dict) else []
        return [*self.built.findings, *length, *self._sampled()]

    def _sampled(self) -> list[tuple[str, str]]:
        """Where the proof looked at some rows only."""
        proof = self.manifest.get("leakage")
        if not isinstance(proof, dict) or not (closely := proof.get("looked_at_closely")):
            return []
        if (closely["rows"], closely["holdout_rows"]) == (proof["rows"], proof["holdout_rows"]):
            return []
        of = f"{closely['rows']:,} of {proof['rows']:,} rows, and {closely['holdout_rows']:,} of those held out"
        return [("proof", f"near-duplicates and quotes were looked for again in {of}")]

    def _repr_html_(self) -> str:
        found = html_table(("finding", ""), self.findings) if self.findings else ""
        return self.waterfall._repr_html_() + found

    def plot(self) -> "Figure":
        """The waterfall, from top to bottom."""
        return self.waterfall.plot()

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw build --json`."""
        made = self.built
        return {
            "id": self.id.removeprefix("training_set:"),
            "kind": made.kind,
            "rows": made.frame.height,
            "splits": made.splits,
            "dropped": made.dropped,
            "signals": made.n_signals,
            "turned": asdict(made.turned) if made.turned else None,
            "new": made.n_new,
            "findings": [{"kind": kind, "detail": detail} for kind, detail in self.findings],
            **made.about,
            "sha256": self.manifest["rows_sha256"],
        }
