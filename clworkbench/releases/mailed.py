"""The report of a gate as one HTML file that can be mailed: nothing in it is fetched, and no script runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.releases.card import RUN_KEYS, SET_KEYS, known_limits
from clworkbench.releases.forest_svg import forest_svg
from clworkbench.releases.pairs import LOWER_IS_BETTER
from clworkbench.releases.pairs_html import examples_html, head_html
from clworkbench.releases.report import GateReport
from clworkbench.releases.side_by_side import SideBySide

MOST = 60
"""Slices that are listed."""

STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --muted: #5b6773; --line: #d5dbe1; --page: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --muted: #a0aab4; --line: #3b444d; --page: #14181c; } }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 25px; line-height: 1.25; margin: 0 0 6px; } h2 { font-size: 18px; margin: 30px 0 6px; }
p, ul { max-width: 88ch; } small, .tick { color: var(--muted); }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--muted); font-weight: 600; }
td, th { border-bottom: 1px solid var(--line); padding: 3px 8px; vertical-align: top; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); } svg .tick { font-size: 12px; fill: var(--muted); }
svg .zero { stroke: var(--muted); } svg .reach { stroke: var(--muted); stroke-width: 2; }
code { overflow-wrap: anywhere; } .since { border-left: 4px solid var(--muted); padding: 4px 12px; }
"""

MEASURED = (
    "Scores are paired by example; repetitions are averaged within theirs. Right and wrong answers: exact McNemar for "
    "“better”, Tango's score interval for “not worse”; other scores: sign flips. Violations are tested by Holm over "
    "all gates; intervals are 90 %, p one-sided."
)


@dataclass(frozen=True)
class Facts:
    """What a mailed report tells, gathered.

    Attributes:
        gate: its manifest.
        report: what it says.
        pairs: wins and losses on the gate's own scores; None where no scorer graded both sides.
        texts: whether the answers stand in the report.
        evals: manifests of the evaluations behind it.
        run: the challenger's manifest; None where it is no run of this workspace.
        training_set: what the run learned from, or None.
        stands: what became of it since, in sentences: released, rolled back, scores withdrawn.
    """

    gate: Mapping[str, object]
    report: GateReport
    pairs: SideBySide | None
    texts: bool
    evals: Sequence[Mapping[str, object]]
    run: Mapping[str, object] | None
    training_set: Mapping[str, object] | None
    stands: Sequence[str]


def page(facts: Facts) -> str:
    """The file's text. Everything that comes from data is escaped."""
    report = facts.report
    title = f"{report.decision.capitalize()}: {report.challenger} against {report.champion}"
    sections = [
        f"<h1>{escape(title)}</h1><p><small>{escape(str(facts.gate['id']))}, {_day(facts.gate)}</small></p>",
        "".join(f"<p class='since'>{escape(each)}</p>" for each in facts.stands),
        _section("The gates, and findings", report._repr_html_(), _forest(report)),
        _section("Wins and losses", *_pairs(facts)),
        _section("What the challenger learned from", _lineage(facts)),
        _section("Limits", _list(known_limits(report))),
        _section("How it was measured", f"<p>{MEASURED}</p>", _evals(facts), _fixed(facts)),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _day(manifest: Mapping[str, object]) -> str:
    return escape(str(manifest["created"])[:16].replace("T", " ")) + " UTC"


def _forest(report: GateReport) -> str:
    """Scores only, of which more is better; what else gates ask stands in the table."""
    rows = report.gates.filter(~pl.col("metric").is_in(list(LOWER_IS_BETTER))).to_dicts()
    return forest_svg(rows, title="Each gate's difference with its 90 % interval")


def _pairs(facts: Facts) -> list[str]:
    pairs = facts.pairs
    if pairs is None:
        return ["<p>No scorer graded both sides: there is nothing to put side by side.</p>"]
    shown = pairs.table().with_columns(pairs.slices["champion", "challenger"]).head(MOST)
    shown = shown.select("slice", "n", "champion", "challenger", "difference [90 %]", "wins", "losses", "ties")
    more = pairs.slices.height - shown.height
    rest = f"<p><small>… and {more:,} slices more.</small></p>" if more > 0 else ""
    rows = pairs.slices.head(MOST).with_columns(name="slice").to_dicts()
    picture = forest_svg(rows, title="Each slice's difference with its 90 % interval")
    folded = "<p><small>Texts and examples are left out; <code>clw report --texts</code> keeps them.</small></p>"
    examples = examples_html(pairs.frame) if facts.texts else folded
    return [head_html(pairs), html_table(shown.columns, shown.iter_rows()), rest, picture, examples]


def _lineage(facts: Facts) -> str:
    if facts.run is None:
        return f"<p>{escape(facts.report.challenger)} was not trained in this workspace: nothing is known of that.</p>"
    run = _facts({"run": facts.run.get("id")} | {key: facts.run.get(key) for key in RUN_KEYS})
    if facts.training_set is None:
        return f"{run}<p>The run names no training set.</p>"
    named = {"training set": facts.training_set.get("id")} | {key: facts.training_set.get(key) for key in SET_KEYS}
    dropped = facts.training_set.get("dropped")
    rules = list(dropped.items()) if isinstance(dropped, Mapping) else []
    took = [(reason, n) for reason, n in rules if n]
    said = f"Left out on the way, in this order; {len(rules) - len(took)} of {len(rules)} rules took nothing"
    return run + _facts(named) + html_table(("left out", "rows"), took, caption=said) * bool(rules)


def _facts(facts: Mapping[str, object]) -> str:
    known = {key.replace("_", " "): value for key, value in facts.items() if value not in (None, "", {}, [])}
    return _list([f"{key}: {_value(value)}" for key, value in known.items()])


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(each)}" for key, each in value.items() if each is not None)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _evals(facts: Facts) -> str:
    rows = []
    for each in facts.evals:
        asked = each.get("asked")
        about = asked if isinstance(asked, Mapping) else {}
        brought = "imported" in about
        settings = "brought in from another harness" if brought else _value({k: about[k] for k in ASKED if k in about})
        rows.append((each.get("model"), each.get("suite"), each.get("n"), _day(each), settings))
    return html_table(("model", "suite", "examples", "scored", "with"), rows)


ASKED = ("scorers", "max_new_tokens", "dtype")


def _fixed(facts: Facts) -> str:
    return _facts(
        {
            "target slice": facts.gate.get("target"),
            "gates (SHA-256, recorded before scores were seen)": facts.gate.get("gates_sha256"),
            "code version": facts.gate.get("code_version"),
        }
    )
