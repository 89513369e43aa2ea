"""The report's faces: one line, a table, a plot, JSON."""

import json

import pytest

from clworkbench.releases.gates import Gate, GateReport, defaults, judge
from clworkbench.releases.report import in_words, interval, number, p_value
from tests.releases.frames import scores, split

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def report() -> GateReport:
    champion, challenger = split(wins=10, losses=5, both=25)
    slices = [[HOSTILE]] * 40
    return judge(
        scores(champion, model=HOSTILE, slices=slices),
        scores(challenger, slices=slices, termination=[HOSTILE] * 4 + ["stop"] * 36),
        defaults("exact", [HOSTILE], None),
    )


def test_the_html_escapes_names_and_says_each_verdict_in_words(report: GateReport) -> None:
    html = report._repr_html_()
    assert HOSTILE not in html
    assert "&lt;script&gt;" in html
    assert "examples more would settle it" in html
    assert "shown not worse" in html
    assert html.count("<tr>") == 1 + len(report.gates)


def test_the_repr_is_one_line(report: GateReport) -> None:
    assert "\n" not in repr(report)
    assert repr(report).startswith("GateReport(hold: champion against <script>")


def test_json_has_the_designs_keys_and_no_nan(report: GateReport) -> None:
    told = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert told["decision"] == "hold"
    keys = (
        "name metric slice asks required n champion challenger difference low high p margin smallest_detectable verdict"
    )
    assert set(keys.split()) <= set(told["gates"][0])
    assert set(told["findings"][0]) == {"kind", "detail"}


def test_the_plot_draws_every_measured_gate_once_with_its_interval_and_margin(report: GateReport) -> None:
    figure = report.plot()
    points = [trace for trace in figure.data if trace.error_x.array is not None]
    assert sum(len(trace.y) for trace in points) == len(report.gates)
    first = report.gates.row(0, named=True)
    assert points[0].x[0] == first["difference"]
    assert points[0].error_x.array[0] == pytest.approx(first["high"] - first["difference"])
    assert points[0].error_x.arrayminus[0] == pytest.approx(first["difference"] - first["low"])
    margins = {
        y: x for trace in figure.data if trace.error_x.array is None for x, y in zip(trace.x, trace.y, strict=True)
    }
    assert margins["terminations"] == pytest.approx(0.10)
    assert -0.10 in margins.values()
    assert not any("<script>" in name for trace in figure.data for name in trace.y)


def test_a_report_of_nothing_draws_an_empty_plot_and_a_table() -> None:
    gate = Gate("g", "exact", "all", "better", 0.0, required=True)
    report = judge(scores([None]), scores([None]), [gate])
    assert report.plot() is not None
    assert "unmeasured" in report._repr_html_()


def test_findings_can_be_added(report: GateReport) -> None:
    more = report.with_findings([("gates_edited", "the hash is not the one recorded")])
    assert len(more.findings) == len(report.findings) + 1
    assert more.decision == report.decision


def test_numbers_read_well() -> None:
    assert number(0.05, signed=True) == "+0.050"
    assert number(0.0) == "0.000"
    assert number(0.00012) == "0.00012"
    assert number(163.6633, signed=True) == "+163.7"
    assert number(None) == "-"
    assert p_value(0.0001) == "< 0.001"
    assert interval({"difference": 0.1, "low": None, "high": 0.2}) == "+0.100 [-∞, +0.200]"
    assert in_words({"verdict": "open", "needed": 1200, "asks": "better"}) == (
        "open: 1,200 examples more would settle it"
    )
