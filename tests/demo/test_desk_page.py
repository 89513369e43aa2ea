"""The desk's page and rates, from a story told by hand."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from clworkbench.demo.desk_report import DeskTold, outcome_rates
from clworkbench.demo.page import write_page
from clworkbench.releases.report import FINDINGS, GATES, GateReport

POLICY = datetime(2026, 1, 26, tzinfo=UTC)


def report(decision: str, verdict: str) -> GateReport:
    row = {"name": "action better on <target>", "metric": "m", "slice": "s", "asks": "better", "required": True}
    numbers = {"n": 30, "champion": 0.0, "challenger": 0.9, "difference": 0.9, "low": 0.8, "high": 1.0, "p": 0.001}
    gates = pl.DataFrame([{**row, **numbers, "margin": 0.0, "verdict": verdict}], schema=GATES)
    return GateReport(decision, gates, pl.DataFrame(schema=FINDINGS), "run:a", "run:b")


@pytest.fixture
def told(tmp_path: Path) -> DeskTold:
    outcomes = {8: [True, False], 21: [False] * 5, 28: [True] * 9 + [False]}
    rows = [(POLICY + timedelta(days=d - 21), True, good) for d, said in outcomes.items() for good in said]
    signals = pl.DataFrame(rows, schema=["started_at", "in_slice", "outcome"], orient="row")
    days = outcome_rates(signals, day=pl.col("started_at").dt.truncate("1d"))
    weeks = outcome_rates(signals, week=(pl.col("started_at") - POLICY).dt.total_days() // 7 + 3)
    return DeskTold(
        good=report("promote", "met"),
        spoiled=report("block", "violated"),
        release="release:b",
        weeks=weeks,
        days=days,
        before=weeks.filter(pl.col("week") == 3).row(0, named=True),
        after=weeks.filter(pl.col("week") == 4).row(0, named=True),
        power=pl.DataFrame({"name": ["action better on <target>"], "smallest_detectable": [0.2], "n": [30]}),
        losses={"champion": [2.0, 1.0], "challenger": [1.0, 0.5], "spoiled challenger": [0.5, 0.9]},
        way=pl.DataFrame({"kind": ["file", "release"], "id": ["file:a", "release:b"], "detail": [None, "<i>"]}),
        said={"text": "<script>alert(1)</script>", "answer": '{"a": 1}', "improvement_text": '{"a": 2}'},
        figure=tmp_path / "index.html",
        minutes=9.5,
        target="billing_cancellation",
        policy=POLICY,
        released=POLICY + timedelta(weeks=1),
    )


def test_rates_count_settled_tickets_of_the_slice_and_their_share_of_all():
    signals = pl.DataFrame(
        {
            "day": [1] * 12 + [2],
            "in_slice": [True] * 11 + [False, False],
            "outcome": [False] * 10 + [None, True, True],
        }
    )
    first, second = outcome_rates(signals, day=pl.col("day")).rows(named=True)
    assert (first["tickets"], first["n"], first["pending"], first["rate"]) == (12, 10, 1, 0.0)
    assert first["share"] == pytest.approx(11 / 12)
    assert first["low"] == pytest.approx(0.0, abs=1e-12)
    assert first["high"] == pytest.approx(0.2775, abs=5e-4)  # Brown, Cai and DasGupta 2001: Wilson for 0 of 10
    assert (second["n"], second["rate"], second["low"], second["share"]) == (0, None, None, 0.0)


def test_the_page_needs_nothing_else_and_says_what_was_found(told):
    write_page(told)
    page = told.figure.read_text()
    assert page.count("plotly.js v") == 1
    assert re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!data:)[^"]+"', page) == []
    for words in (
        "promote",
        "block",
        "n = 10 tickets about cancelling",
        "90%",
        "simulated",
        "release:b",
        "9.5 minutes",
    ):
        assert words in page


def test_texts_of_customers_are_escaped(told):
    write_page(told)
    page = told.figure.read_text()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "action better on &lt;target&gt;" in page


def test_what_a_script_reads_has_both_decisions_and_rates_with_n_and_interval(told):
    answer = told.as_dict()
    assert (answer["good"], answer["spoiled"]) == ("promote", "block")
    assert (answer["before"], answer["after"]) == (0.0, 0.9)
    before, after = answer["rates"]
    assert (before["n"], after["n"]) == (5, 10)
    assert after["low"] == pytest.approx(0.596, abs=5e-4)  # Wilson for 9 of 10: 0.596 to 0.982
    assert after["high"] == pytest.approx(0.982, abs=5e-4)


def test_the_end_as_text_names_both_gates_the_rates_and_the_page(told):
    text = "\n".join(told.lines())
    assert "promote. 1 of 1 required gates met" in text
    assert "block. shown worse than allowed" in text
    assert "Before the release 0.00 [0.00, 0.43], n = 5; after it 0.90 [0.60, 0.98], n = 10." in text
    assert str(told.figure) in text
