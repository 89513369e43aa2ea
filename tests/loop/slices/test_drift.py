"""Drift of a workspace: which signals stand in which window, against a training set too, and real complaints."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from clworkbench.errors import ArtefactError, EvidenceError
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.slices.drift import drift
from clworkbench.loop.training_sets.convert import build
from clworkbench.slices.drift import drift as compare
from clworkbench.workspace import Workspace

SETTINGS = """\
format = 1
[outcomes]
thumbs = { score = "thumbs" }
[slices]
phones = "app = 'phone'"
"""
START = datetime(2026, 3, 2, tzinfo=UTC)


def answer(number: int) -> dict[str, object]:
    """Ten an hour for fourteen days; from the eighth on, the phone app has half instead of a fifth."""
    day = number // 240
    app = "phone" if number % 10 < (5 if day >= 7 else 2) else "desk"
    bad = number % 3 == 0 if (app == "phone" and day >= 7) else number % 10 == 7
    messages = [{"role": "user", "content": f"question {number % 40}"}, {"role": "assistant", "content": "a"}]
    return {
        "id": f"a{number}",
        "created": (START + timedelta(minutes=6 * number)).isoformat(),
        "app": app,
        "messages": messages,
        "feedback": [{"name": "thumbs", "score": -1 if bad else 1}],
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("drift")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(folder / "config"))
        made = Workspace.create(folder / "w", settings=SETTINGS)
        (folder / "a.jsonl").write_text("".join(json.dumps(answer(n)) + "\n" for n in range(14 * 240)))
        ingest(made, [folder / "a.jsonl"], source="openai")
        _ = made.pseudonyms
        yield made


def test_the_last_days_are_held_against_those_before(place):
    report = drift(place, "window", days=7)
    assert (report.counts["signals_before"], report.counts["signals_now"]) == (1680, 1680)
    row = report.parts.filter(pl.col("expression") == "app = 'phone'", pl.col("column") == "app").row(0, named=True)
    assert (row["share_before"], row["share_now"]) == pytest.approx((0.2, 0.5), abs=0.01)
    assert (row["n_before"], row["n_now"]) == (336, 840)
    assert (row["before"], row["now"]) == pytest.approx((1.0, 2 / 3), abs=0.01)
    assert row["harm"] == "worse"
    assert report.frame.filter(pl.col("name").str.starts_with("slice phones@"))["drifted"].to_list() == [True]
    assert report.advice == "retrain"
    assert "against those before" in report.title


def test_as_of_a_quiet_day_there_is_no_alert(place):
    report = drift(place, "window", days=3, as_of=START + timedelta(days=7), event_time=True)
    assert (report.counts["signals_before"], report.counts["signals_now"]) == (720, 720)
    assert not report.alert
    assert report.advice == "nothing"


def test_against_the_last_training_set_outcomes_before_are_of_all_signals_of_its_time(place):
    made = build(place, "desk", as_of=START + timedelta(days=7), event_time=True)
    report = drift(place, days=7)
    assert report.title.endswith(f"against training set {made.id.removeprefix('training_set:')}")
    rows = place.rows(made.id).filter(pl.col("split") == "train")
    assert report.counts["signals_before"] == rows["signal_ids"].explode().n_unique()
    phone = report.parts.filter(pl.col("expression") == "app = 'phone'").row(0, named=True)
    assert phone["n_before"] >= 330
    assert "app" in report.frame.filter("drifted")["name"]
    with pytest.raises(ArtefactError, match="There: desk@"):
        drift(place, "dsk")


@pytest.fixture
def steady(tmp_path, monkeypatch) -> Workspace:
    """Twenty days on which nothing changes: one answer in ten is bad."""
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    made = Workspace.create(tmp_path / "w", settings=SETTINGS)
    rows = [
        answer(n) | {"app": "desk", "feedback": [{"name": "thumbs", "score": -1 if n % 10 == 7 else 1}]}
        for n in range(2400)
    ]
    rows = [row | {"created": (START + timedelta(minutes=12 * n)).isoformat()} for n, row in enumerate(rows)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest(made, [tmp_path / "a.jsonl"], source="openai")
    return made


def test_what_a_training_set_took_of_the_last_days_does_not_make_the_rest_of_them_look_bad(steady):
    build(steady, "all")
    report = drift(steady, days=7, columns=["app", "latency_ms"])
    assert report.why == "not enough data: no column can be compared"
    assert report.overall.now == pytest.approx(0.9, abs=0.01)
    assert report.overall.before == pytest.approx(0.9, abs=0.01)
    assert report.advice == "nothing"


def test_a_training_set_of_the_very_days_that_are_looked_at_has_no_past_to_hold_them_against(steady):
    build(steady, "all")
    report = drift(steady, days=100)
    assert "learned from the very days" in str(report.why)
    assert "hold it against the days before it" in str(report.why)
    assert "--" not in str(report.why)  # alerts quote it, and have no flags


def test_as_of_a_day_the_newest_training_set_is_the_newest_of_that_day(steady):
    early = build(steady, "early", as_of=START + timedelta(days=6), event_time=True)
    build(steady, "late", as_of=START + timedelta(days=19), event_time=True)
    then = START + timedelta(days=12)
    assert early.id.removeprefix("training_set:") in drift(steady, as_of=then, event_time=True).title
    assert "those before" in drift(steady, as_of=START + timedelta(days=3), event_time=True, days=1).title
    naive = drift(steady, as_of=then.replace(tzinfo=None), event_time=True)
    assert naive.title == drift(steady, as_of=then, event_time=True).title


def test_an_empty_workspace_and_no_length_of_time_are_told_in_words(workspace):
    why = str(drift(workspace).why)
    assert why.startswith("not enough data: the window before has no signals; 50 conversations are needed. ")
    assert why.endswith("Take a longer window.")
    with pytest.raises(EvidenceError, match="Ask for"):
        drift(workspace, days=float("nan"))


@pytest.fixture(scope="module")
def complaints(shared_data: Path) -> pl.DataFrame:
    """Real complaints: the first two lines of the file are of the program that unpacked it."""
    read = pl.read_csv(
        shared_data / "cfpb" / "complaints_sample.csv", skip_rows=2, infer_schema=False, null_values=["", "N/A"]
    )
    return read.select(
        interaction_id="Complaint ID",
        started_at=pl.col("Date received").str.to_datetime("%Y-%m-%d", time_zone="UTC"),
        product="Product",
        issue="Issue",
        state="State",
        text="Consumer complaint narrative",
        outcome=pl.col("Timely response?") == "Yes",
    )


def quarter(complaints: pl.DataFrame, year: int, month: int) -> pl.DataFrame:
    start = datetime(year, month, 1, tzinfo=UTC)
    end = datetime(year + month // 10, (month + 2) % 12 + 1, 1, tzinfo=UTC)
    return complaints.filter(pl.col("started_at") >= start, pl.col("started_at") < end)


REAL = ("product", "issue", "state", "text")


def test_real_complaints_drift_from_quarter_to_quarter_and_the_growing_product_is_named(complaints):
    report = compare(quarter(complaints, 2019, 1), quarter(complaints, 2019, 4), columns=REAL, salt="x")
    assert {"product", "issue"} <= set(report.frame.filter("drifted")["name"])
    grown = report.parts.filter(pl.col("column") == "product").sort("share_now").row(-1, named=True)
    assert grown["part"].startswith("product = 'Credit reporting")
    # Counted in the file: 703 of 1,811 complaints, then 1,965 of 3,478.
    assert (grown["share_before"], grown["share_now"]) == pytest.approx((703 / 1811, 1965 / 3478), abs=1e-9)
    assert report.advice != "retrain"  # answered in time as before: drift, and no harm


def test_random_halves_of_the_same_real_quarter_hardly_ever_drift(complaints):
    one, alarms = quarter(complaints, 2019, 4), 0
    for seed in range(20):
        mixed = one.sample(fraction=1, shuffle=True, seed=seed)
        half = mixed.height // 2
        alarms += compare(mixed.head(half), mixed.tail(half), columns=REAL[:3], salt="x").alert
    assert alarms <= 3  # 5 % of 20 is one; 4 or more have probability 0.016
