"""An alert is told once: the quiet period, what got worse, what was resolved, sinks that fail, kills, two at once."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import timedelta, timezone
from pathlib import Path
from shutil import copytree

import polars as pl
import pytest

import clworkbench as clw
from clworkbench.errors import AlertError
from clworkbench.loop.alerts import alerts as module
from clworkbench.loop.alerts.alerts import alerts
from clworkbench.loop.status import status
from clworkbench.workspace import Workspace, alert_log
from tests.loop.alerting import DAY, FAIL, START, answers, bring, settings, told

HOUR = timedelta(hours=1)
TENTH = START + 10 * DAY


def call(workspace: Workspace, at, **options):
    return alerts(workspace, send=True, as_of=at, event_time=True, **options)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Path:
    """190 refunds of which 23 failed, and in the week after 210 of which 65 did: 31 %, Wilson's interval 25 to 38."""
    place = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(place / "config"))
        workspace = Workspace.create(place / "w", settings=settings())
        bring(workspace, answers(2, 167, 23), answers(8, 145, 65), answers(8, 90, 10, text="hello"))
        workspace.catalog.close()
    return place


@pytest.fixture
def make(planted, tmp_path, monkeypatch):
    """That workspace, or an empty one, with settings of the test's own."""
    monkeypatch.setenv("CLW_CONFIG", str(planted / "config"))

    def made(text: str = "", *, data: bool = True) -> Workspace:
        if data:
            copytree(planted / "w", tmp_path / "w")
        else:
            Workspace.create(tmp_path / "w")
        workspace = Workspace(tmp_path / "w")
        set_rules(workspace, text or settings())
        return workspace

    return made


def set_rules(workspace: Workspace, text: str) -> None:
    (workspace.folder / "clw.toml").write_text(text)


def test_an_alert_is_told_once_with_its_figures_and_again_after_the_quiet_period(make):
    workspace = make()
    first = call(workspace, TENTH)
    assert [(s.sink, s.message.kind) for s in first.sent] == [("file:alerts.jsonl", "alert")]
    [line] = told(workspace)
    assert line["says"] == (
        "failures in slice refunds: 31% [25%, 38%] of 210 in the 7 days to Wed 11 Mar 2026 00:00 UTC; "
        "12% [8.2%, 18%] of 190 in the 7 days before; higher since about Mon 09 Mar; alerts above 20%"
    )  # Wilson's intervals, of statsmodels' proportion_confint: 0.2509 to 0.3750, and 0.0820 to 0.1751
    assert line["since"] == (START + 8 * DAY).isoformat()
    assert (line["rule"], line["slice"], line["severity"], line["kind"]) == (
        "refunds_fail", "refunds", "warning", "alert",
    )  # fmt: skip
    assert line["next"] == "clw slice find --slice=refunds"
    for hours in (1, 2, 23):
        later = call(workspace, TENTH + hours * HOUR)
        assert later.sent == ()
        assert [(q.rule, q.until) for q in later.quiet] == [("refunds_fail", TENTH + DAY)]
        assert [a.since for a in later.alerts] == [START + 8 * DAY]
        assert not later.is_well
    again = call(workspace, TENTH + DAY)
    assert [s.message.kind for s in again.sent] == ["again"]
    assert [line["kind"] for line in told(workspace)] == ["alert", "again"]


def test_what_is_resolved_is_told_once_and_what_stands_anew_is_told_at_once(make):
    workspace = make()
    call(workspace, TENTH)
    bring(workspace, answers(10, 400, 0))
    well = call(workspace, TENTH + DAY - HOUR)
    assert [a.rule for a in well.resolved] == ["refunds_fail"]
    assert well.is_well
    assert [s.message.kind for s in well.sent] == ["resolved"]
    assert told(workspace)[-1]["until"] == (TENTH + DAY - HOUR).isoformat()
    assert "11% [" in str(told(workspace)[-1]["says"])
    assert call(workspace, TENTH + DAY).sent == ()
    bring(workspace, answers(11, 0, 300))
    anew = call(workspace, TENTH + 2 * DAY)
    assert [s.message.kind for s in anew.sent] == ["alert"]
    assert anew.alerts[0].since == START + 11 * DAY
    assert [line["kind"] for line in told(workspace)] == ["alert", "resolved", "alert"]


def test_a_rate_between_its_threshold_and_its_interval_neither_begins_nor_ends_an_alert(make):
    workspace = make(data=False)
    bring(workspace, answers(8, 75, 25))  # 25% [17%, 34%]: above 20 %, and not shown to be
    found = call(workspace, TENTH)
    assert found.frame["state"].to_list() == ["between"]
    assert found.is_well
    bring(workspace, answers(9, 0, 60))  # 53%
    assert call(workspace, TENTH + HOUR).alerts
    bring(workspace, answers(9, 200, 0, text="refund later"))  # 85 of 360: 24% [19%, 28%]
    held = call(workspace, TENTH + 2 * HOUR)
    assert held.frame["state"].to_list() == ["between"]
    assert [a.rule for a in held.alerts] == ["refunds_fail"]
    assert "24% [20%, 28%]" in held.alerts[0].says
    assert held.resolved == ()


def test_what_got_worse_by_its_step_is_told_before_the_quiet_period_is_over(make):
    workspace = make()
    call(workspace, TENTH)
    bring(workspace, answers(9, 20, 10, text="refund a"))  # 31% → 31%
    assert call(workspace, TENTH + HOUR).sent == ()
    bring(workspace, answers(9, 0, 90, text="refund b"))  # 165 of 330: 50% [45%, 55%]
    worse = call(workspace, TENTH + 2 * HOUR)
    assert [s.message.kind for s in worse.sent] == ["worse"]
    assert call(workspace, TENTH + 3 * HOUR).sent == ()


def test_a_dry_run_sends_and_notes_nothing(make):
    workspace = make()
    before = workspace.catalog.query("select count(*) from alerts_told")
    found = alerts(workspace, as_of=TENTH, event_time=True)
    assert [s.message.kind for s in found.sent] == ["alert"]
    assert "ALERT refunds_fail (warning): would be sent to file:alerts.jsonl" in found.lines()
    assert told(workspace) == []
    assert workspace.catalog.query("select count(*) from alerts_told") == before
    assert alert_log.standing(workspace.catalog) == []
    assert status(workspace).next[0] != "clw alert"


def test_one_place_that_fails_is_told_later_and_stops_no_other(make, monkeypatch):
    monkeypatch.delenv("NO_SUCH_HOOK", raising=False)
    workspace = make(settings(to=("webhook:NO_SUCH_HOOK", "file:missing/a.jsonl", "file:alerts.jsonl")))
    found = call(workspace, TENTH)
    assert [s.sink for s in found.sent] == ["file:alerts.jsonl"]
    assert [(f.sink, f.rule) for f in found.failed] == [
        ("webhook:NO_SUCH_HOOK", "refunds_fail"), ("file:missing/a.jsonl", "refunds_fail"),
    ]  # fmt: skip
    assert "NO_SUCH_HOOK is not set" in found.failed[0].why
    (workspace.folder / "missing").mkdir()
    later = call(workspace, TENTH + HOUR)
    assert [(s.sink, s.message.kind) for s in later.sent] == [("file:missing/a.jsonl", "alert")]
    assert [f.sink for f in later.failed] == ["webhook:NO_SUCH_HOOK"]
    assert len(told(workspace)) == 1
    owed = alert_log.history(workspace.catalog).filter(pl.col("kind") == "owed")
    assert owed["sink"].to_list() == ["webhook:NO_SUCH_HOOK"]


def test_an_alert_that_was_resolved_before_a_place_could_be_told_is_told_as_resolved(make):
    workspace = make(settings(to=("file:missing/a.jsonl",)))
    assert call(workspace, TENTH).failed
    bring(workspace, answers(10, 400, 0))
    (workspace.folder / "missing").mkdir()
    assert [s.message.kind for s in call(workspace, TENTH + DAY).sent] == ["resolved"]
    [line] = told(workspace, "missing/a.jsonl")
    assert (line["since"], line["until"]) == ((START + 8 * DAY).isoformat(), (TENTH + DAY).isoformat())
    assert call(workspace, TENTH + 2 * DAY).sent == ()


def test_a_place_that_is_added_later_hears_of_what_stands_and_not_of_what_was(make):
    workspace = make()
    call(workspace, TENTH)
    set_rules(workspace, settings(to=("file:alerts.jsonl", "file:more.jsonl")))
    assert [s.sink for s in call(workspace, TENTH + HOUR).sent] == ["file:more.jsonl"]
    bring(workspace, answers(10, 400, 0))
    assert len(call(workspace, TENTH + DAY).sent) == 2
    set_rules(workspace, settings(to=("file:alerts.jsonl", "file:third.jsonl")))
    assert call(workspace, TENTH + DAY + HOUR).sent == ()


def test_a_rule_that_is_taken_out_of_clw_toml_is_told_as_resolved(make):
    workspace = make()
    call(workspace, TENTH)
    set_rules(workspace, settings(rules=""))
    found = call(workspace, TENTH + HOUR)
    assert [s.message.kind for s in found.sent] == ["resolved"]
    assert told(workspace)[-1]["says"] == "clw.toml does not ask for it any more"
    assert found.is_well


def test_an_alert_of_which_nothing_can_be_told_now_goes_on_standing(make):
    workspace = make()
    call(workspace, TENTH)
    found = call(workspace, TENTH + 30 * DAY)
    assert found.frame["state"].to_list() == ["not enough data"]
    assert [a.rule for a in found.alerts] == ["refunds_fail"]
    assert found.alerts[0].says.endswith("(cannot be told now: not enough data)")
    assert call(workspace, TENTH + 31 * DAY).alerts[0].says.count("cannot be told now") == 1
    assert found.resolved == ()


def test_a_rule_that_cannot_be_asked_stops_no_other_and_all_is_not_well(make):
    broken = "[alerts.rules.broken]\nrate = \"eror = 'Ann Smith'\"\nabove = 0.1\n"
    workspace = make(settings(rules=broken + FAIL))
    found = call(workspace, TENTH)
    assert found.frame["state"].to_list() == ["cannot be asked", "stands"]
    assert "Did you mean error?" in found.frame["says"][0]
    assert [line["rule"] for line in told(workspace)] == ["refunds_fail"]
    assert not found.is_well


def test_what_leaves_holds_no_text_no_id_and_no_expression(make):
    hidden = '"Ann\'s <!channel>" = "text LIKE \'%Ann Smith%\'"'
    rules = FAIL + "[alerts.rules.named]\nrate = \"answer LIKE '%Bob Jones%' OR TRUE\"\n"
    rules += 'slice = "Ann\'s <!channel>"\nabove = 0.1\n'
    workspace = make(settings(rules=rules, more=hidden), data=False)
    people = answers(8, 20, 30, text="refund of Ann Smith"), answers(4, 30, 20, text="refund Ann Smith before")
    bring(workspace, *people)
    call(workspace, TENTH)
    left = (workspace.folder / "alerts.jsonl").read_text()
    assert len(told(workspace)) == 2
    for secret in ("Ann Smith", "Bob Jones", "refund of", "LIKE"):
        assert secret not in left
    for signal_id in workspace.signals()["interaction_id"]:
        assert signal_id not in left
    named = next(line for line in told(workspace) if line["rule"] == "named")
    assert named["next"] == "clw slice rates --every day --slice='Ann'\"'\"'s <!channel>'"
    assert "&lt;" not in str(named["says"])


def test_an_empty_workspace_has_nothing_to_tell_and_says_why(make):
    rules = FAIL + '[alerts.rules.silent]\nsilence = "openai"\n[alerts.rules.drifts]\ndrift = "newest"\n'
    rules += '[alerts.rules.unreadable]\nquarantine = "all"\n[alerts.rules.wait]\nlabels = "all"\n'
    found = call(make(settings(rules=rules), data=False), TENTH)
    assert found.is_well
    assert found.sent == ()
    assert found.frame["state"].to_list() == ["not enough data"] * 4 + ["clear"]
    assert "no settled signal" in found.frame["says"][0]
    assert "0%" not in " ".join(found.frame["says"])


def test_without_rules_it_says_how_to_make_some(make):
    found = call(make(settings(rules=""), data=False), TENTH)
    assert found.lines() == ["No rules: declare some in [alerts.rules] of clw.toml."]
    assert found.is_well


def test_a_catalog_of_an_earlier_version_is_given_its_tables(make):
    workspace = make()
    workspace.catalog.close()
    with sqlite3.connect(workspace.folder / "catalog.db") as old:
        old.executescript("drop table alerts; drop table alerts_told;")
    old.close()
    assert len(call(Workspace(workspace.folder), TENTH).sent) == 1


def test_the_status_names_what_stands(make):
    workspace = make()
    call(workspace, TENTH)
    assert status(workspace).next[0] == "clw alert --dry-run   (stands: refunds_fail since 2026-03-09)"


def test_the_record_survives_when_the_process_ends_between_sending_and_noting(make, monkeypatch):
    workspace = make()

    def killed(*words: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.alert_log, "tell", killed)
        with pytest.raises(KeyboardInterrupt):
            call(workspace, TENTH)
    assert len(told(workspace)) == 1
    assert [s.message.kind for s in call(workspace, TENTH + HOUR).sent] == ["alert"]
    assert [line["kind"] for line in told(workspace)] == ["alert", "alert"]  # at least once, and never lost
    assert call(workspace, TENTH + 2 * HOUR).sent == ()


def test_standard_output_that_nobody_reads_is_owed_still(make, monkeypatch, capsys):
    workspace = make(settings(to=("stdout",)))

    class Closed:
        def write(self, _text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Closed())
        with pytest.raises(AlertError, match="stdout: Broken pipe"):
            call(workspace, TENTH)
    assert [s.message.kind for s in call(workspace, TENTH + HOUR).sent] == ["alert"]
    assert capsys.readouterr().out.startswith("ALERT refunds_fail (warning): failures in slice refunds: 31%")


def test_a_time_of_another_zone_is_the_same_time(make):
    workspace = make()
    there = TENTH.astimezone(timezone(timedelta(hours=-9)))
    found = alerts(workspace, as_of=there, event_time=True)
    assert found.alerts[0].says == alerts(workspace, as_of=TENTH, event_time=True).alerts[0].says
    assert found.alerts[0].since.utcoffset() == timedelta(0)


def test_the_result_is_shown_in_a_cell_and_drawn(make):
    workspace = make(settings(rules=FAIL + '[alerts.rules.all_fail]\nrate = "thumbs"\nrise = 0.3\n'))
    found = clw.alerts(workspace, as_of=TENTH, event_time=True)
    assert repr(found) == "Alerts(2 rules: refunds_fail; 1 sent, 0 failed)"
    assert "1 of 2 rules stand" in found._repr_html_()
    assert found.series.filter(pl.col("rule") == "refunds_fail").select("n", "above").rows() == [
        (190, 0.2), (210, 0.2),
    ]  # fmt: skip
    figure = found.plot()
    assert [note.text for note in figure.layout.annotations][:2] == [
        "refunds_fail: stands, by day",
        "all_fail, by day",
    ]
    # Only the dot above the threshold is red.
    assert list(figure.data[0].y) == pytest.approx([23 / 190])
    assert list(figure.data[1].y) == pytest.approx([65 / 210])
    empty = clw.alerts(make_empty(workspace), as_of=TENTH, event_time=True)
    assert "No rule" in empty.plot().layout.title.text


def make_empty(workspace: Workspace) -> Workspace:
    set_rules(workspace, settings(rules=""))
    return workspace


CALL = """
import sys
from datetime import datetime
from clworkbench.loop.alerts.alerts import alerts
from clworkbench.workspace import Workspace
workspace = Workspace(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
alerts(workspace, send=True, as_of=datetime.fromisoformat(sys.argv[2]), event_time=True)
"""


def start(workspace: Workspace) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", CALL, str(workspace.folder), TENTH.isoformat()]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    running = subprocess.Popen(words, env=os.environ, text=True, **pipes)
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    return running


def test_of_two_processes_at_once_one_tells(make):
    workspace = make()
    both = [start(workspace), start(workspace)]
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in both:
        _, said = one.communicate(timeout=60)
        assert one.returncode == 0, said
    assert [line["kind"] for line in told(workspace)] == ["alert"]


@pytest.mark.slow
def test_thirty_kills_at_any_moment_lose_no_alert(make):
    """Each try is killed later by a little; the one after it, undisturbed, has told every alert, at least once."""
    rules = "".join(FAIL.replace("refunds_fail", f"rule{n}") for n in range(8))
    workspace = make(settings(rules=rules))
    for number in range(30):
        for path in workspace.folder.glob("alerts.jsonl"):
            path.unlink()
        with workspace.catalog.transaction() as db:
            db.execute("delete from alerts")
            db.execute("delete from alerts_told")
        running = start(workspace)
        assert running.stdin is not None
        running.stdin.write("go\n")
        running.stdin.flush()
        try:
            running.wait(0.02 * number)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
        running.communicate()
        call(workspace, TENTH + HOUR)
        lines = [json.loads(line) for line in Path(workspace.folder / "alerts.jsonl").read_text().splitlines()]
        counts = Counter(str(line["rule"]) for line in lines)
        assert set(counts) == {f"rule{n}" for n in range(8)}
        assert sum(counts.values()) <= 9  # at most the one that was sent and not noted is told twice
        assert call(workspace, TENTH + 2 * HOUR).sent == ()
