"""Budgets: sums that add up by month, stops that can be gone on from, and kills that do not hide what was spent."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from clworkbench.audit.budget import Meter, allow, budget, metered
from clworkbench.errors import BudgetError, ClwError, SettingsError
from clworkbench.loop import data
from clworkbench.loop.cycle import cycle
from clworkbench.loop.runs.train import train
from clworkbench.loop.should_train import should_train
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.status import status
from clworkbench.policy.ledger import account
from clworkbench.settings import Limit, parse_settings
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import micros, now
from tests.tiny_workspace import SETTINGS, record, write_lines

THIS_MONTH = now().date().replace(day=1)
ROOT = Path(__file__).parents[2]


def entries(*rows: tuple[str, str, float, float]) -> pl.DataFrame:
    """A ledger: day, verb, hours, US dollars."""
    frame = pl.DataFrame(rows, schema=["day", "verb", "hours", "cost_usd"], orient="row")
    at = pl.col("day").str.to_datetime("%Y-%m-%d %H:%M:%S", time_zone="UTC")
    return frame.select(at=at, verb="verb", seconds=pl.col("hours") * 3600, cost_usd="cost_usd")


@pytest.fixture
def workspace(tmp_path, monkeypatch, tiny_base) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    settings = SETTINGS.format(base=tiny_base).replace('suites = ["main"]', "")
    place = Workspace.create(tmp_path / "w", settings=settings.partition("[gates]")[0])
    write_lines(place.folder / "inbox" / "march.jsonl", [record(number) for number in range(64)])
    return place


def limit(workspace: Workspace, text: str) -> None:
    """Writes the [budget] of a workspace's clw.toml anew."""
    settings = workspace.folder / "clw.toml"
    settings.write_text(settings.read_text().partition("[budget")[0] + text)


def spend_then(workspace: Workspace, at: datetime, verb: str, seconds: float, cost: float = 0.0) -> None:
    """An entry of the past."""
    entry = workspace.catalog.spend(verb, None, seconds, cost)
    with workspace.catalog.transaction() as db:
        db.execute("update ledger set at = ? where seq = ?", (micros(at), entry))


def test_hours_and_dollars_are_summed_by_month_and_kind_and_all_holds_what_has_no_limit_of_its_own():
    ledger = entries(
        ("2026-01-31 23:59:59", "train", 1.0, 2.0),
        ("2026-02-01 00:00:00", "train", 0.5, 1.0),
        ("2026-02-28 12:00:00", "train", 0.25, 0.5),
        ("2026-02-03 12:00:00", "eval", 2.0, 0.0),
        ("2026-02-03 13:00:00", "judge", 0.25, 4.0),
    )
    limits = {"train": Limit(hours=3), "all": Limit(hours=12, usd=5), "label": Limit(usd=0)}
    found = account(ledger, limits, date(2026, 2, 17))
    columns = ("month", "kind", "hours", "usd", "left_hours", "left_usd", "used")
    jan, feb = date(2026, 1, 1), date(2026, 2, 1)
    assert found.select(columns).rows() == [
        (feb, "train", 0.75, 1.5, 2.25, None, 0.25),
        (feb, "eval", 2.0, 0.0, None, None, None),
        (feb, "label", 0.0, 0.0, None, 0.0, 1.0),
        (feb, "judge", 0.25, 4.0, None, None, None),
        (feb, "all", 3.0, 5.5, 9.0, -0.5, 1.1),
        (jan, "train", 1.0, 2.0, 2.0, None, pytest.approx(1 / 3)),
        (jan, "all", 1.0, 2.0, 11.0, 3.0, 0.4),
    ]


def test_a_month_in_which_nothing_was_spent_is_told_of_all_the_same():
    found = account(entries(("2026-01-31 23:59:59", "train", 1.0, 2.0)), {}, date(2026, 3, 9))
    assert found.filter(month=date(2026, 3, 1)).select("kind", "hours").rows() == [
        (kind, 0.0) for kind in ("train", "eval", "label", "all")
    ]


@pytest.mark.parametrize(
    ("text", "stops", "says"),
    [
        ("[budget.train]\nhours = 2\n", True, r"2.00 of 2 h since .*\[budget.train\].*Raise the limit.*goes on"),
        ("[budget.train]\nhours = 2.01\n", False, ""),
        ("[budget.all]\nusd = 3\n", True, r"3.00 of 3 USD since .*\[budget.all\]"),
        ("[budget.all]\nusd = 3.01\n", False, ""),
        ("[budget.eval]\nhours = 0\n", False, ""),
        ("[budget.train]\nusd = 0\n", True, "of 0 USD"),
    ],
)
def test_a_step_begins_while_something_is_left_of_its_own_budget_and_of_that_of_all(workspace, text, stops, says):
    workspace.catalog.spend("train", None, 7200, 2.0)
    workspace.catalog.spend("eval", None, 3600, 1.0)
    spend_then(workspace, now() - timedelta(days=62), "train", 1e6, 1e6)
    limit(workspace, text)
    if not stops:
        allow(workspace, "train")
        return
    with pytest.raises(BudgetError, match=r"(?s)" + says) as stopped:
        allow(workspace, "train")
    assert str((THIS_MONTH + timedelta(days=32)).replace(day=1)) in str(stopped.value)


def test_what_a_step_cost_is_in_the_ledger_however_it_ended(workspace):
    limit(workspace, "[budget]\nusd_per_hour = 3600\n")
    with pytest.raises(RuntimeError), metered(workspace, "eval", "eval:it"):
        raise RuntimeError
    (entry,) = workspace.catalog.ledger().rows(named=True)
    assert (entry["verb"], entry["artefact"]) == ("eval", "eval:it")
    assert 0 < entry["seconds"] == pytest.approx(entry["cost_usd"])
    assert now() - entry["at"] < timedelta(minutes=5)


def test_a_step_that_goes_on_in_the_next_month_is_an_entry_in_each(workspace, monkeypatch):
    meter = Meter(workspace, "train", "run:long")
    monkeypatch.setattr("clworkbench.audit.budget.now", lambda: datetime(2100, 1, 1, tzinfo=UTC))
    meter.write()
    meter.write()
    assert workspace.catalog.ledger()["artefact"].to_list() == ["run:long"] * 2


def test_a_training_stops_at_a_checkpoint_and_goes_on_to_the_same_adapter_when_the_limit_is_raised(workspace):
    made = cycle_to_training_set(workspace)
    undisturbed = train(workspace, made, steps=6)
    with workspace.catalog.transaction() as db:
        db.execute("delete from artefacts where id = ?", (undisturbed.id,))
        db.execute("delete from ledger")
    undisturbed_folder = workspace.artefact_folder(undisturbed.id)
    undisturbed_folder.rename(undisturbed_folder.with_name("kept"))
    limit(workspace, "[budget.train]\nhours = 1\n")

    def spend_all(done: int, _total: int, _note: str = "") -> None:
        if done == 1:
            workspace.catalog.spend("train", None, 3600, 0.0)

    with pytest.raises(BudgetError, match="goes on from here"):
        train(workspace, made, steps=6, advance=spend_all)
    assert [p.name for p in (undisturbed_folder / "checkpoints").glob("checkpoint-*")] == ["checkpoint-2"]
    assert workspace.catalog.ledger()["seconds"][0] > 0
    with pytest.raises(BudgetError):
        train(workspace, made, steps=6)
    assert workspace.catalog.ledger().height == 2
    limit(workspace, "[budget.train]\nhours = 2\n")
    again = train(workspace, made, steps=6)
    assert again.manifest["adapter_sha256"] == undisturbed.manifest["adapter_sha256"]
    assert workspace.catalog.ledger().height == 3
    assert workspace.catalog.ledger()["seconds"].sum() - 3600 >= again.manifest["seconds"]


def test_a_cycle_goes_on_with_a_run_that_the_budget_stopped_where_the_steps_that_are_left_can_be_paid(workspace):
    made = cycle_to_training_set(workspace)
    limit(workspace, "[budget.train]\nhours = 1\n")

    def spend_all(done: int, _total: int, _note: str = "") -> None:
        if done == 9:
            workspace.catalog.spend("train", None, 3600, 0.0)

    with pytest.raises(BudgetError, match="goes on from here"):
        train(workspace, made, advance=spend_all)
    limit(workspace, "")
    # By another run a step takes 1,000 s: all 25 take 6.94 h, and the 15 that are left 4.17.
    workspace.catalog.spend("train", train(workspace, made, steps=2).id, 2000, 0.0)
    spent = workspace.catalog.ledger()["seconds"].sum() / 3600
    limit(workspace, f"[budget.train]\nhours = {spent + 4.5}\n")
    found = should_train(workspace)
    assert [one.name for one in found.evidence][:2] == ["begun", "budget"]
    assert found.because.endswith("stopped at step 10 of 25, on these rows with these settings: it goes on")
    said: list[str] = []
    with pytest.raises(ClwError, match="suite"):
        cycle(workspace, say=lambda step, line: said.append(f"{step}: {line}"))
    (run,) = [each for each in workspace.catalog.artefacts("run") if each["steps"] == 25]
    assert any(line.startswith(f"train: {run['id']}: 25 steps") for line in said)


def cycle_to_training_set(workspace: Workspace) -> str:
    """A training set of the workspace's log, with checkpoints every other step."""
    settings = workspace.folder / "clw.toml"
    settings.write_text(settings.read_text().replace("steps = 25", "steps = 25\ncheckpoint_every = 2"))
    limit(workspace, "[budget.train]\nhours = 0\n")
    turn = cycle(workspace)
    assert turn.waits_for.startswith("budget: train: this month's budget is spent: 0.00 of 0 h")
    limit(workspace, "")
    return str(turn.training_set)


def test_a_cycle_waits_for_the_budget_before_it_asks_people_for_labels(workspace):
    settings = workspace.folder / "clw.toml"
    settings.write_text(settings.read_text().replace("[evals]", "[labels]\nwanted = true\n[evals]"))
    limit(workspace, "[budget.label]\nhours = 0\n")
    assert cycle(workspace).waits_for.startswith("budget: label: this month's budget")
    assert list(workspace.folder.glob("to-label-*.csv")) == []
    limit(workspace, "")
    assert cycle(workspace).waits_for.startswith("labels: fill in")


def test_labels_are_paid_for_when_they_come_in_and_no_sheet_is_written_where_nothing_is_left(workspace, tmp_path):
    ingest(workspace, workspace.folder / "inbox" / "march.jsonl", "app")
    limit(workspace, "[budget]\nusd_per_label = 0.5\n[budget.label]\nusd = 2\n")
    selection = data.choose(workspace, n=8)
    sheet = tmp_path / "sheet.csv"
    data.write_candidates(workspace, selection, sheet)
    said = pl.Series("value", ["accept"] * 3 + [None] * (selection.frame.height - 3), dtype=pl.String)
    pl.read_csv(sheet, infer_schema=False).with_columns(said).write_csv(sheet)
    assert data.import_labels(workspace, sheet)["new"] == 3
    assert data.import_labels(workspace, sheet)["new"] == 0
    entries = workspace.catalog.ledger().select("verb", "seconds", "cost_usd").rows()
    assert entries == [("label", 0.0, 1.5)]
    data.write_candidates(workspace, selection, tmp_path / "second.csv")
    pl.read_csv(sheet, infer_schema=False).with_columns(said.reverse()).write_csv(sheet)
    assert data.import_labels(workspace, sheet)["new"] == 3
    assert budget(workspace).stopped == ["label"]
    with pytest.raises(BudgetError, match=r"label: .* 3.00 of 2 USD .*\[budget.label\]"):
        data.write_candidates(workspace, selection, tmp_path / "third.csv")
    assert not (tmp_path / "third.csv").exists()


def test_select_writes_no_sheet_where_nothing_is_left_for_labels(workspace, tmp_path):
    ingest(workspace, workspace.folder / "inbox" / "march.jsonl", "app")
    limit(workspace, "[budget.label]\nhours = 0\n")
    command = [sys.executable, "-c", "from clworkbench.cli import main; main()", "select", "--out", "sheet.csv"]
    environment = os.environ | {"CLW_WORKSPACE": str(workspace.folder)}
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (found.returncode, (tmp_path / "sheet.csv").exists()) == (1, False)
    assert "[budget.label]" in found.stdout + found.stderr
    assert "Traceback" not in found.stderr


def test_labels_without_a_price_leave_nothing_in_the_ledger(workspace, tmp_path):
    ingest(workspace, workspace.folder / "inbox" / "march.jsonl", "app")
    sheet = tmp_path / "sheet.csv"
    data.write_candidates(workspace, data.choose(workspace, n=4), sheet)
    pl.read_csv(sheet, infer_schema=False).with_columns(value=pl.lit("accept")).write_csv(sheet)
    assert data.import_labels(workspace, sheet)["new"] == 4
    assert workspace.catalog.ledger().is_empty()


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_training_that_is_killed_has_its_seconds_in_the_ledger(workspace, step):
    made = cycle_to_training_set(workspace)
    code = (
        "import os, signal, sys\nfrom clworkbench.audit import budget\nfrom clworkbench.loop.runs.train import train\n"
        "from clworkbench.workspace import Workspace\nbudget.NOTED_EVERY_S = 0\n"
        f"def kill(done, total, note):\n    if done == {step}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "train(Workspace(sys.argv[1]), sys.argv[2], steps=6, advance=kill)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, workspace.folder, made], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    (entry,) = workspace.catalog.ledger().rows(named=True)
    assert entry["verb"] == "train"
    assert entry["seconds"] > 0.1


@pytest.mark.parametrize(
    "text", ["[budget.train]\nhours = -1\n", "[budget.train]\nhour = 1\n", "[budget]\ntrain = 3\n"]
)
def test_a_limit_that_means_nothing_is_refused_in_words(text):
    with pytest.raises(SettingsError, match="budget"):
        parse_settings(text)


def test_the_account_says_in_a_line_a_table_and_a_figure_what_is_left(workspace):
    limit(workspace, "[budget.train]\nhours = 4\nusd = 10\n[budget.eval]\nhours = 0.5\n")
    workspace.catalog.spend("train", None, 3600, 7.5)
    workspace.catalog.spend("eval", None, 3600, 0.0)
    spend_then(workspace, now() - timedelta(days=62), "<b>", 36, 0.0)
    found = budget(workspace)
    assert found.stopped == ["eval"]
    assert repr(found) == f"Budget({THIS_MONTH:%Y-%m}: 2.00 hours, 7.50 USD; nothing left for eval)"
    assert found.lines()[:3] == [
        f"{THIS_MONTH:%B %Y} (UTC)",
        "  train  ███████████████░░░░░   75%  1.00 of 4 h, 3.00 left   7.50 of 10 USD, 2.50 left",
        "  eval   ████████████████████  200%  1.00 of 0.5 h, -0.50 left   0.00 USD",
    ]
    assert found.lines()[-1].startswith("Nothing is left for eval: raise [budget]")
    assert found.left == [
        "train: 1.00 of 4 h, 3.00 left",
        "train: 7.50 of 10 USD, 2.50 left",
        "eval: 1.00 of 0.5 h, -0.50 left",
    ]
    place = status(workspace)
    assert place.left == found.left
    assert place.next[0] == "wait, or raise [budget] in clw.toml: nothing is left for eval"
    html = found._repr_html_()
    assert "&lt;b&gt;" in html
    assert "75%" in html
    bars = [trace for trace in found.plot().data if trace.type == "bar"]
    assert [next(iter(bar.x)) for bar in bars] == [1.0, 7.5]
    assert "&lt;b&gt;" in bars[0].y[-2]


def test_the_command_line_answers_no_where_nothing_is_left_and_goes_on_to_tell_what_was_spent(workspace, tmp_path):
    made = cycle_to_training_set(workspace)
    limit(workspace, "[budget.train]\nhours = 0\n")
    environment = os.environ | {"CLW_WORKSPACE": str(workspace.folder)}
    command = [sys.executable, "-c", "from clworkbench.cli import main; main()"]

    def clw(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *words], capture_output=True, text=True, env=environment, check=False)

    stopped = clw("train", made, "--json")
    assert stopped.returncode == 1, stopped.stderr
    assert "[budget.train]" in json.loads(stopped.stdout)["why"]
    told = clw("budget", "--json")
    assert told.returncode == 0
    answer = json.loads(told.stdout)
    assert answer["stopped"] == ["train"]
    assert {"month", "kind", "hours", "usd", "left_hours", "left_usd", "used"} <= set(answer["budget"][0])
