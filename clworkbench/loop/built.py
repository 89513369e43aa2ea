"""A build as a result: how signals became the rows of a training set, for a notebook, a terminal and a script."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.figures import waterfall_figure
from clworkbench.display.html import html_table
from clworkbench.training_sets.descent import BuiltSet
from clworkbench.training_sets.length_bias import in_words

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

    def steps(self) -> list[tuple[str, int]]:
        """The waterfall: what was taken (below 0) or made on the way, from `signals` to the rows by split."""
        made = self.built
        rows = [("signals", made.n_signals)]
        for reason, n in made.dropped.items():
            rows += [(reason, -n)] if n else []
            if reason == "no_pair" and made.turned is not None:
                said = f"{made.turned.signals:,} answers make {made.turned.rows:,} pairs"
                rows.append((said, made.turned.rows - made.turned.signals))
        return [*rows, *made.splits.items()]

    def lines(self) -> list[str]:
        """The waterfall and what should be known of the set, for a terminal."""
        made, left = self.built, self.built.n_signals
        lines = [f"{left:>9,} signals"]
        for reason, n in self.steps()[1 : -len(made.splits) or None]:
            left += n
            dropped = reason in made.dropped
            lines.append(f"{left:>9,} " + (f"after dropping {-n:,} {reason.replace('_', ' ')}" if dropped else reason))
        splits = ", ".join(f"{n:,} {split}" for split, n in made.splits.items())
        found = [f"  {kind:<12} {detail}" for kind, detail in self.findings]
        return [*lines, f"{self.id.removeprefix('training_set:')}: {splits} ({made.kind})", *found]

    @property
    def findings(self) -> list[tuple[str, str]]:
        """What should be known of the set: a word, and a sentence."""
        bias = self.built.about.get("length_bias")
        length = [("length", in_words(bias))] if isinstance(bias, dict) else []
        return [*self.built.findings, *length]

    def _repr_html_(self) -> str:
        rows = [(name.replace("_", " "), n) for name, n in self.steps()]
        table = html_table((self.built.kind, "n"), rows, caption=self.id)
        return table + (html_table(("finding", ""), self.findings) if self.findings else "")

    def plot(self) -> "Figure":
        """The waterfall, from top to bottom."""
        made = self.built
        taken = {name: -n for name, n in self.steps()[1 : -len(made.splits) or None]}
        return waterfall_figure(made.n_signals, taken, unit="signals", title=f"From signals to {self.id}")

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
