"""The gate report: a decision, the numbers behind it, and what else stood out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Literal

import polars as pl

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Decision = Literal["promote", "hold", "block"]
Verdict = Literal["met", "violated", "open", "unmeasured"]

GATES = pl.Schema(
    {
        "name": pl.String,
        "metric": pl.String,
        "slice": pl.String,
        "asks": pl.String,
        "required": pl.Boolean,
        "n": pl.Int64,
        "champion": pl.Float64,
        "challenger": pl.Float64,
        "difference": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "p": pl.Float64,
        "margin": pl.Float64,
        "smallest_detectable": pl.Float64,
        "verdict": pl.String,
        "needed": pl.Int64,
    }
)
"""One row for each gate, in the metric's own unit.

`champion` and `challenger` are means over the `n` examples that both sides have; `difference` is challenger minus
champion, `low` to `high` its 90 % interval (null where too few examples bound it); `p` is one-sided, small where the
gate is met; `margin` is how much worse is allowed; `smallest_detectable` the true difference that n examples would
show with probability 0.8; `needed` how many examples more would settle an open gate if what was seen went on (null:
none would).
"""

PRODUCTION = pl.Schema(
    {
        "name": pl.String,
        "suite": pl.String,
        "n": pl.Int64,
        "n_effective": pl.Float64,
        "champion": pl.Float64,
        "challenger": pl.Float64,
        "difference": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
)
"""One row for each gate (`name`) and suite that was drawn from production: means and difference over the traffic that
it was drawn from, each example weighed by the inverse of its chance; `low` to `high` is the 90 % interval, `n` counts
examples, and `n_effective` those of equal chances that would tell as much."""

FINDINGS = pl.Schema({"kind": pl.String, "detail": pl.String})

COLOURS: dict[str, str] = {"met": "#1a7f37", "violated": "#b42318", "open": "#9a6700", "unmeasured": "#57606a"}
DECISION_COLOURS = {"promote": COLOURS["met"], "hold": COLOURS["open"], "block": COLOURS["violated"]}


@dataclass(frozen=True, eq=False)
class GateReport:
    """What the gates say of one challenger against one champion.

    Attributes:
        decision: `block` when a gate is violated, else `promote` when all required are met, else `hold`.
        gates: one row for each gate (`GATES`).
        findings: `kind` and `detail`.
        production: `PRODUCTION`, beside the gates, whose verdicts rest on unweighted tests alone.
    """

    decision: Decision
    gates: pl.DataFrame
    findings: pl.DataFrame
    champion: str
    challenger: str
    production: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PRODUCTION))

    def reason(self) -> str:
        """Why the decision is what it is, in one sentence."""
        violated = self.gates.filter(pl.col("verdict") == "violated")["name"].to_list()
        required = self.gates.filter("required")
        waiting = required.filter(pl.col("verdict") != "met")["name"].to_list()
        if violated:
            return f"shown worse than allowed: {'; '.join(violated)}"
        if waiting:
            return (
                f"{len(required) - len(waiting)} of {len(required)} required gates met, not yet: {'; '.join(waiting)}"
            )
        return f"{len(required)} of {len(required)} required gates met, none violated"

    def with_findings(self, found: Sequence[tuple[str, str]]) -> "GateReport":
        """The same report with more findings (`kind`, `detail`)."""
        more = pl.DataFrame(list(found), schema=FINDINGS, orient="row")
        return replace(self, findings=pl.concat([self.findings, more]))

    def as_dict(self) -> dict[str, object]:
        """Ready for JSON: `decision`, `gates`, `findings`, `champion`, `challenger`; `production`, if there is any."""
        return {
            "decision": self.decision,
            "gates": self.gates.to_dicts(),
            "findings": self.findings.to_dicts(),
            "champion": self.champion,
            "challenger": self.challenger,
            **({"weighted": False, "production": self.production.to_dicts()} if self.production.height else {}),
        }

    def __repr__(self) -> str:
        return f"GateReport({self.decision}: {self.challenger} against {self.champion}; {self.reason()})"

    def _repr_html_(self) -> str:
        head = "".join(f"<th style='{align}'>{escape(title)}</th>" for title, align in _HEADINGS)
        body = "".join(_html_row(row) for row in self.gates.iter_rows(named=True))
        remarks = "".join(
            f"<li><b>{escape(kind)}</b>: {escape(detail)}</li>" for kind, detail in self.findings.iter_rows()
        )
        return (
            f"<div><p style='{APART}'>{chip(self.decision, DECISION_COLOURS[self.decision])} "
            f"<b>{escape(self.challenger)}</b> against <b>{escape(self.champion)}</b>: {escape(self.reason())}.</p>"
            f"<div style='overflow-x:auto'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
            f"<p style='{APART}'><small>{_LEGEND}</small></p>"
            + self._over_traffic()
            + (
                f"<p style='{APART}'>Findings</p><ul style='{_LIST}'>{remarks}</ul>"
                if remarks
                else "<p>No findings.</p>"
            )
            + "</div>"
        )

    def over_traffic(self) -> list[str]:
        """What the gates' differences are over production, weighed; a line for each, below one that says so."""
        if self.production.is_empty():
            return []
        told = [
            f"{row['name']}, {row['suite']}: {interval(row)}, n = {row['n']:,} "
            f"(as good as {row['n_effective']:,.0f} drawn with equal chances)"
            for row in self.production.to_dicts()
        ]
        return [OVER_TRAFFIC, *told]

    def _over_traffic(self) -> str:
        if not (told := self.over_traffic()):
            return ""
        listed = "".join(f"<li>{escape(line)}</li>" for line in told[1:])
        return f"<p style='{APART}'>{escape(told[0])}</p><ul style='{_LIST}'>{listed}</ul>"

    def plot(self) -> "Figure":
        """Forest plot: each difference with its 90 % interval, its margin, and 0; one panel for each unit."""
        from clworkbench.releases.forest import forest

        return forest(self.gates, title=f"{self.decision}: {self.challenger} against {self.champion}")


OVER_TRAFFIC = (
    "Verdicts are unweighted: they count each conversation that was drawn once. Over the traffic that the suites were "
    "drawn from, weighed by the inverse of each chance, the differences are (90 %):"
)
_LEFT, _RIGHT = "padding:3px 8px;text-align:left", "padding:3px 8px;text-align:right;white-space:nowrap"
APART, _LIST = "margin:8px 0", "margin:0;padding-left:1.4em;list-style:disc"
_HEADINGS = [
    ("gate", _LEFT),
    ("verdict", _LEFT),
    ("n", _RIGHT),
    ("champion", _RIGHT),
    ("challenger", _RIGHT),
    ("difference [90 %]", _RIGHT),
    ("p", _RIGHT),
    ("margin", _RIGHT),
    ("detectable", _RIGHT),
]
_LEGEND = (
    "Difference: challenger minus champion, paired by example, with its 90 % interval. p: one-sided, of what the gate "
    "asks. Detectable: the true difference that n examples would show with probability 0.8."
)
_WORDS = {
    ("met", "better"): "met: shown better",
    ("met", "not_worse"): "met: shown not worse",
    ("violated", "better"): "violated: shown worse",
    ("violated", "not_worse"): "violated: shown worse than the margin",
}


def chip(word: str, colour: str) -> str:
    """A word on its colour, white on it in every theme."""
    style = f"background:{colour};color:#fff;padding:1px 6px;border-radius:4px;white-space:nowrap"
    return f"<span style='{style}'>{escape(word)}</span>"


def in_words(row: dict[str, object]) -> str:
    """A gate's verdict as a reader would say it, with what would settle an open one."""
    verdict, needed = str(row["verdict"]), row["needed"]
    if verdict == "open":
        more = (
            f"{needed:,} examples more would settle it" if needed is not None else "more examples would not settle it"
        )
        return f"open: {more}"
    return _WORDS.get((verdict, str(row["asks"])), verdict)


def number(value: object, *, signed: bool = False) -> str:
    """Three decimals for what lies within 1, else four digits; a dash for nothing."""
    if not isinstance(value, int | float):
        return "-"
    sign = "+" if signed else ""
    small = 0.0005 <= abs(value) < 10 or value == 0
    return f"{value:{sign}.3f}" if small else f"{value:{sign}.4g}"


def interval(row: dict[str, object]) -> str:
    """The difference with its interval, as `+0.050 [-0.010, +0.110]`; infinite ends where nothing bounds it."""
    if row["difference"] is None:
        return "-"
    low = "-∞" if row["low"] is None else number(row["low"], signed=True)
    high = "+∞" if row["high"] is None else number(row["high"], signed=True)
    return f"{number(row['difference'], signed=True)} [{low}, {high}]"


def p_value(value: object) -> str:
    """Three decimals, or that it is smaller."""
    if not isinstance(value, float):
        return "-"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def asked(row: dict[str, object]) -> str:
    """What the gate asks and of which examples, and whether a release must have it."""
    asks = "better" if row["asks"] == "better" else "not worse"
    return f"{row['metric']} {asks} on {row['slice']} ({'required' if row['required'] else 'guard'})"


def _beside_name(row: dict[str, object]) -> str:
    """What the gate asks, where its name does not say so already."""
    said, _, role = asked(row).rpartition(" (")
    named = str(row["name"]).replace(" on the rest", " on rest") == said
    return role.removesuffix(")") if named else asked(row)


def _html_row(row: dict[str, object]) -> str:
    numbers = [
        f"{row['n']:,}",
        number(row["champion"]),
        number(row["challenger"]),
        interval(row),
        p_value(row["p"]),
        number(row["margin"]),
        number(row["smallest_detectable"], signed=True),
    ]
    word, _, rest = in_words(row).partition(": ")
    said = chip(word, COLOURS[str(row["verdict"])]) + (f"<br><small>{escape(rest)}</small>" if rest else "")
    name, asks = escape(str(row["name"])), escape(_beside_name(row))
    return (
        f"<tr><td style='{_LEFT}'>{name}<br><small style='opacity:0.7'>{asks}</small></td>"
        f"<td style='{_LEFT};min-width:8em'>{said}</td>"
        + "".join(f"<td style='{_RIGHT}'>{escape(text)}</td>" for text in numbers)
        + "</tr>"
    )
