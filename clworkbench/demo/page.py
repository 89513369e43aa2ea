"""The desk story as one page of HTML that needs nothing else: figures, both gates, one signal's way, all places."""

from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.demo.desk_report import DeskTold
from clworkbench.demo.page_figures import FONT, losses_figure, rates_figure
from clworkbench.files import write_atomically
from clworkbench.loop.releases.rollout import RolloutStatus
from clworkbench.releases.report import DECISION_COLOURS, GateReport

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f7f9; color: #1f2933; font: 16px/1.55 FONT; }
main { max-width: 1240px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 29px; line-height: 1.25; margin: 0 0 12px; letter-spacing: -0.015em; text-wrap: balance; }
h2 { font-size: 20px; margin: 0 0 4px; }
h2 + p { margin-top: 0; color: #4a5560; }
p, ul, ol { max-width: 86ch; text-wrap: pretty; }
section { background: #fff; border: 1px solid #e4e8ec; border-radius: 10px; padding: 22px 24px; margin: 20px 0; }
.lead { font-size: 18px; color: #35404b; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 16px; margin: 24px 0; }
.tile { background: #fff; border: 1px solid #e4e8ec; border-radius: 10px; padding: 16px 18px; }
.tile b { display: block; font-size: 30px; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: #66727f; font-size: 14px; display: block; }
.chip { color: #fff; border-radius: 5px; padding: 1px 9px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; line-height: 1.4; font-variant-numeric: tabular-nums; width: 100%; }
th { color: #66727f; font-weight: 600; border-bottom: 1px solid #cbd2d9; vertical-align: bottom; }
th, td { padding: 5px 8px; }
td { border-bottom: 1px solid #eef1f4; white-space: nowrap; }
td.text { white-space: normal; }
.gates table { font-size: 12.5px; }
.gates td:nth-child(1) { white-space: normal; min-width: 230px; }
.gates td:nth-child(2) { min-width: 130px; line-height: 1.75; }
.gates td span { white-space: normal !important; -webkit-box-decoration-break: clone; box-decoration-break: clone; }
.gates tbody tr:nth-child(-n+2) { font-weight: 600; }
.gates tbody tr:nth-child(2) td { border-bottom-color: #cbd2d9; }
.numbers { width: auto; min-width: 60%; margin: 4px 0 0 56px; } .numbers th, .numbers td { text-align: right; }
.numbers th:first-child, .numbers td:first-child { text-align: left; }
small { color: #66727f; font-size: 13px; }
code { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: #f1f3f5; padding: 1px 5px;
       border-radius: 4px; overflow-wrap: anywhere; }
.way { list-style: none; margin: 14px 0 0; padding: 0; max-width: none; }
.way li { display: grid; grid-template-columns: 116px 1fr; gap: 14px; padding: 5px 0; }
.way .kind { color: #66727f; font-size: 14px; text-align: right; }
.way .detail { color: #66727f; font-size: 14px; margin-left: 8px; }
dl { display: grid; grid-template-columns: 116px 1fr; gap: 4px 14px; margin: 14px 0 0; }
dt { color: #66727f; font-size: 14px; text-align: right; } dd { margin: 0; }
footer { color: #66727f; font-size: 14px; margin-top: 28px; }
""".replace("FONT", FONT)


def write_page(told: DeskTold) -> None:
    """Writes the page to `told.figure`, plotly's script within it once."""
    from plotly.offline import get_plotlyjs

    body = "\n".join(
        [
            _head(told),
            _section("What the customers got", _RATE, _html(rates_figure(told)), _weeks(told), _pending(told)),
            _section("The gate on what was learned from production", _GATE, _gate(told.good), _power(told)),
            _section("The gate on what was learned from a spoiled sheet", _SPOILED, _gate(told.spoiled)),
            *(_section(*_rolled(each)) for each in told.rollouts),
            _section("What training saw", _LOSS, _html(losses_figure(told))),
            _section("One signal's way into the release", _WAY, _way(told)),
            _section("Where everything lies", _places(told)),
            _section("What is simulated, and what is not", _SIMULATED),
            f"<footer>{_foot(told)}</footer>",
        ]
    )
    title = "The desk story: production changes, the loop notices, learns, proves it and ships"
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style><script>{get_plotlyjs()}</script></head><body><main>{body}</main></body></html>\n"
    )
    write_atomically(told.figure, text)


_RATE = (
    "Each dot is a day's tickets about cancelling: the share that ended well, neither corrected by an operator nor "
    "reopened within 24 hours, with its Wilson 95 % interval; the small numbers say how many tickets. A band is a "
    "whole week. Underneath, these tickets' share of all traffic. The dates are the desk's own."
)
_GATE = (
    "Champion and challenger answered the same held-out wordings, which no model ever trained on, one row a wording. "
    "The two gates on top are required; the others can only block."
)
_SPOILED = (
    "A reviewer worked from a sheet whose column of actions had slipped by one row, so that each intent but the target "
    "got its neighbour's action. The loop trained on it as on any other; the gate held it against the one that serves."
)
_LOSS = (
    "Mean loss of a completion's token at each step. The spoiled one starts high: its labels contradict what the "
    "champion knows; and it falls all the same, so that a loss alone says nothing about a model's worth."
)
_WAY = (
    "From the file in which production reported it to the release that learned from it; the same in the terminal: "
    "<code>clw lineage ID</code>."
)
_SIMULATED = """
<p><b>Simulated:</b> the desk, its clock, its customers (which of the hand-written wordings is sent when, and how it is
dressed), its operators (they see through 85 % of the wrong answers), reopenings, thumbs, and the reviewer with the
spoiled sheet. No e-mail address, phone or card number is anybody's.</p>
<p><b>Real:</b> the model, SmolLM2-135M-Instruct with LoRA adapters trained here; every answer that it gives; the spans,
written by OpenTelemetry's SDK; and all that happens to them: redaction, outcomes, candidates, training sets, runs,
evaluations, gates, the release and its lineage. Nothing on this page was set by hand, and a seed repeats it.</p>
"""


_ROLLED = (
    "Customers wrote to <code>clw serve</code>. Above, each arm's rate of good outcomes; below, challenger minus "
    "champion; bands hold at every look. Dashed lines are the stages' margins."
)


def _rolled(status: RolloutStatus) -> tuple[str, str, str, str]:
    """A rollout: its picture, and each stage with the reason why it ended."""
    ended = status.events.drop_nulls("ended")
    stages = "".join(
        f"<li><b>{escape(row['stage'])}</b>, {row['began']:%a %d %b %H:%M} to {row['ended']:%a %d %b %H:%M}: "
        f"{escape(row['action'])}: {escape(row['why'])}</li>"
        for row in ended.iter_rows(named=True)
    )
    title = f"The rollout of {status.rollout.release}: {status.rollout.stage}"
    return title, _ROLLED, _html(status.plot()), f"<ol>{stages}</ol>"


def _head(told: DeskTold) -> str:
    before, after = told.before, told.after
    tiles = [
        _tile("ended well before the release", f"{before['rate']:.0%}", _interval(before)),
        _tile("ended well after the release", f"{after['rate']:.0%}", _interval(after)),
        _tile("learned from production", _chip(told.good.decision), _counted(told.good)),
        _tile("learned from a spoiled sheet", _chip(told.spoiled.decision), _counted(told.spoiled)),
    ]
    return (
        "<h1>Production changes. The loop notices, learns, proves it, and ships.</h1>"
        '<p class="lead">A small language model sorts a support desk\'s messages into intents and actions. In week 3 a '
        f"policy changes: customers who want to cancel (<code>{escape(told.target)}</code>) are to be offered a pause, "
        "and many more of them write. Operators correct the model and tickets reopen. <code>clw cycle</code> turns "
        "that into a training set, a challenger, evidence and a release. Then it meets a challenger that nobody should "
        f'ship.</p><div class="tiles">{"".join(tiles)}</div>'
    )


def _counted(report: GateReport) -> str:
    verdicts = report.gates["verdict"]
    required = report.gates.filter("required")["verdict"]
    violated = int((verdicts == "violated").sum())
    return f"{int((required == 'met').sum())} of {len(required)} required gates met, {violated} violated"


def _tile(title: str, value: str, note: str) -> str:
    return f'<div class="tile"><span>{escape(title)}</span><b>{value}</b><span>{escape(note)}</span></div>'


def _chip(decision: str) -> str:
    colour = DECISION_COLOURS[decision]
    return f'<span class="chip" style="display:inline-block;color:#fff;background:{colour}">{escape(decision)}</span>'


def _interval(rate: dict[str, float]) -> str:
    return f"95 %: {100 * rate['low']:.0f} to {100 * rate['high']:.0f} %, n = {rate['n']:.0f} tickets about cancelling"


def _section(title: str, *parts: str) -> str:
    intro = "".join(part if part.lstrip().startswith("<") else f"<p>{part}</p>" for part in parts)
    return f"<section><h2>{escape(title)}</h2>{intro}</section>"


def _html(figure: "Figure") -> str:
    config = {"displayModeBar": False, "responsive": True}
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config=config))


def _weeks(told: DeskTold) -> str:
    """The same in numbers, a row a week."""
    heads = ("week", "tickets", "about cancelling", "settled of these (n)", "ended well", "95 % interval")
    rows = [
        (
            f"{week['week']}, from {told.policy + timedelta(weeks=int(week['week']) - 3):%d %b %Y}",
            f"{week['tickets']}",
            f"{week['share']:.0%}",
            f"{week['n']}",
            "-" if week["rate"] is None else f"{week['rate']:.0%}",
            "-" if week["rate"] is None else f"{week['low']:.0%} to {week['high']:.0%}",
        )
        for week in told.weeks.iter_rows(named=True)
    ]
    head = "".join(f"<th>{escape(title)}</th>" for title in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table class="numbers"><tr>{head}</tr>{body}</table></div>'


def _pending(told: DeskTold) -> str:
    pending, empty = int(told.days["pending"].sum()), told.days.filter(pl.col("n") == 0).height
    notes = [f"{pending} tickets have no settled outcome yet and are left out."] if pending else []
    notes += [f"{empty} days had no settled ticket about cancelling and have no dot."] if empty else []
    return f"<p><small>{' '.join(notes)}</small></p>" if notes else ""


def _gate(report: GateReport) -> str:
    return f'<div class="wide gates">{report._repr_html_()}</div>'


def _power(told: DeskTold) -> str:
    said = [
        f"“{escape(row['name'])}” is met with probability 0.8 from a true difference of "
        f"{row['smallest_detectable']:+.3f} (n = {row['n']})"
        for row in told.power.iter_rows(named=True)
    ]
    return (
        f"<p><small>Known before anything was trained, if the two models differ on one wording in five: "
        f"{'; '.join(said)}.</small></p>"
    )


def _way(told: DeskTold) -> str:
    titles = {"text": "customer", "answer": "model", "improvement_text": "operator"}
    said = "".join(f"<dt>{titles[name]}</dt><dd>{_quoted(name, text)}</dd>" for name, text in told.said.items())
    steps = "".join(
        f'<li><span class="kind">{escape(kind.replace("_", " "))}</span><span><code>{escape(name)}</code>'
        f'<span class="detail">{escape(detail or "")}</span></span></li>'
        for kind, name, detail in told.way.iter_rows()
    )
    return f'<dl>{said}</dl><ol class="way">{steps}</ol>'


def _quoted(name: str, text: str) -> str:
    return f"“{escape(text)}”" if name == "text" else f"<code>{escape(text)}</code>"


def _places(told: DeskTold) -> str:
    folder = told.figure.parent
    rows = [
        ("clw.toml", "what the analyst decides: sources, outcomes, slice, training, gates"),
        ("inbox/", "what production handed in: OTLP traces, ticket events, the reviewers' sheet"),
        ("tables/", "signals' tables (Delta Lake): interactions, feedback, candidates, labels, scores"),
        ("training_sets/, suites/", "frozen rows, with a manifest each"),
        ("runs/", "adapters and their manifests, with losses and settings"),
        ("evals/, gates/", "scores' summaries and the gates' reports"),
        ("releases/", "released adapters' cards and gates"),
        ("simulation/", "the desk's own tickets, with what customers truly meant; the loop never looks there"),
    ]
    body = "".join(f'<tr><td><code>{escape(n)}</code></td><td class="text">{escape(w)}</td></tr>' for n, w in rows)
    return f"<p>All in <code>{escape(str(folder))}</code>:</p><table><tbody>{body}</tbody></table>"


def _foot(told: DeskTold) -> str:
    return (
        f"Training and evaluation took {told.minutes:.1f} minutes. See where the workspace stands: "
        f"<code>clw status --workspace {escape(str(told.figure.parent))}</code>."
    )
