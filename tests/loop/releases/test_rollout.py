"""A rollout on a workspace: it moves on and back by what its own traffic says, and by nobody else's."""

import json
import multiprocessing
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from clworkbench.errors import ArtefactError, EvidenceError
from clworkbench.loop.cycle import cycle
from clworkbench.loop.releases import rollout as staged
from clworkbench.loop.releases import ship
from clworkbench.loop.releases.rollout import advance, begin, look, rollout, shares
from clworkbench.loop.releases.rollout import rollouts as rollouts_of
from clworkbench.loop.status import status
from clworkbench.serving.chat.routing import Drawn
from clworkbench.workspace import Workspace
from clworkbench.workspace.rollouts import current_rollout, rollouts
from tests.serving.made_traffic import answered, hand_in, traffic, workspace_for_rollouts

NEW, OLD = "release:new", "release:old"
T0 = datetime(2026, 1, 5, tzinfo=UTC)
CLW = [sys.executable, "-P", "-c", "from clworkbench.cli import main; main()"]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("CLW_KEY", "07" * 32)
    made = workspace_for_rollouts(tmp_path / "w")
    made.catalog.set_champion(OLD, "first release, ungated")
    begin(made, NEW, OLD, at=T0)
    return made


def alike(_: Drawn) -> float:
    return 0.9


def worse(drawn: Drawn) -> float:
    return 0.4 if drawn.arm == "challenger" else 0.9


def past_shadow(place: Workspace) -> None:
    advance(place, "a test", at=T0)


def test_a_good_release_goes_through_all_stages_and_is_the_champion(place):
    until = traffic(place, 800, since=T0, good=alike, name="shadow")
    told = look(place, at=until)
    assert (told.decision.action, told.rollout.stage) == ("advance", "25%")
    assert shares(told.rollout) == {OLD: 0.75, NEW: 0.25}
    for stage, then in (("25%", "50%"), ("50%", "full")):
        assert current_rollout(place.catalog).stage == stage
        for number in range(6):
            until = traffic(place, 500, since=until, good=alike, name=f"{stage} {number}")
            told = look(place, at=until)
            if told.decision.action != "stay":
                break
        assert told.rollout.stage == then, told.says
    assert told.decision.action == "close"
    assert current_rollout(place.catalog) is None
    model, _, why = place.catalog.champions()[-1]
    assert model == NEW
    assert "its rollout was closed" in why
    assert [event.action for event in told.rollout.events] == ["start", "advance", "advance", "close"]
    ended = rollout(place)
    assert ended.decision is None
    assert ended.as_dict()["weights"] == {NEW: 1.0}
    assert ended.as_dict()["champion"] == NEW
    assert "<b>release:new</b> serves alone: outcomes are shown not worse" in ended._repr_html_()
    figure = ended.plot()
    assert {trace.name for trace in figure.data} >= {"champion", "challenger"}


def test_one_that_harms_goes_back_by_itself_and_the_history_tells_it(place):
    past_shadow(place)
    until = T0
    for number in range(8):
        until = traffic(place, 200, since=until, good=worse, name=f"harm {number}")
        told = look(place, at=until)
        if told.decision.action != "stay":
            break
    assert told.decision.action == "roll back"
    assert "outcome" in told.decision.because
    assert told.rollout.stage == "rolled back"
    assert told.as_dict()["weights"] == {OLD: 1.0}
    assert place.catalog.withdrawn() == [NEW]
    assert place.catalog.champions()[-1][0] == OLD
    kept = rollouts(place.catalog)[-1].events[-1].detail
    row = next(each for each in kept["checks"] if each["name"] == "outcome")
    assert row["verdict"] == "violated"
    assert row["high"] < 0
    with pytest.raises(EvidenceError, match="no rollout goes on"):
        look(place, at=until)


def test_failed_answers_are_counted_though_they_are_no_signals(place):
    past_shadow(place)
    fails = lambda drawn: 0.5 if drawn.arm == "challenger" else 0.0  # noqa: E731
    until = traffic(place, 400, since=T0, good=alike, fails=fails, name="errors")
    told = look(place, at=until)
    errors = told.frame.row(by_predicate=pl.col("name") == "errors", named=True)
    assert told.decision.action == "roll back"
    assert errors["champion"] == 0
    assert errors["challenger"] == pytest.approx(0.5, abs=0.15)
    assert place.signals().height == 400 - round(errors["challenger"] * errors["n_challenger"])


def test_slow_answers_send_a_release_back(place):
    past_shadow(place)
    slow = lambda drawn: 2000.0 if drawn.arm == "challenger" else 500.0  # noqa: E731
    until = traffic(place, 1200, since=T0, good=alike, ms=slow, name="slow")
    told = look(place, at=until)
    assert told.decision.action == "roll back"
    assert "latency" in told.decision.because


def test_the_shadow_stage_ends_it_where_the_challenger_fails(place):
    fails = lambda drawn: 0.6 if drawn.model == NEW else 0.0  # noqa: E731
    sent, until = [], T0 + timedelta(hours=30)
    for number in range(300):
        at = T0 + timedelta(minutes=number)
        drawn = Drawn(OLD, "champion", "shadow", None, NEW)
        answer = answered(f"c{number}", drawn, at)
        other = Drawn(NEW, "challenger", "shadow", None, NEW)
        error = "generation failed" if number % 10 < 10 * fails(other) else None
        sent += [answer, answered(f"c{number}", other, at, shadow_of=answer.id, error=error)]
    hand_in(place, sent, [], until, "shadow")
    told = look(place, at=until)
    assert told.decision.action == "roll back"
    assert "errors" in told.decision.because


def test_what_nobody_was_sent_is_no_signal(place):
    traffic(place, 20, since=T0, good=alike, name="shadow")
    assert place.read("interactions").height == 40
    assert place.signals().height == 20
    assert set(place.signals()["release_id"]) == {OLD}


def test_pending_conversations_say_nothing_yet_and_are_counted(place):
    past_shadow(place)
    until = traffic(place, 100, since=T0, good=alike, name="early")
    told = rollout(place, at=until - timedelta(hours=24))
    outcome = told.frame.row(by_predicate=pl.col("name") == "outcome", named=True)
    assert told.decision.pending > 0
    assert outcome["n_champion"] + outcome["n_challenger"] + told.decision.pending <= 100
    assert told.decision.missing > 0
    whole = rollout(place, at=until)
    outcome = whole.frame.row(by_predicate=pl.col("name") == "outcome", named=True)
    assert outcome["n_champion"] + outcome["n_challenger"] == 100


def test_answers_that_no_stage_chose_are_left_out_and_counted(place):
    past_shadow(place)
    traffic(place, 50, since=T0, good=alike, name="ours")
    pinned = [answered(f"p{n}", Drawn(NEW), T0 + timedelta(minutes=n)) for n in range(7)]
    another = Drawn(NEW, "challenger", "25%", 0.25, "release:earlier")
    until = T0 + timedelta(days=3)
    hand_in(place, [*pinned, answered("x", another, T0 + timedelta(hours=1))], [], until, "pinned")
    told = rollout(place, at=until)
    assert told.rows.height == 50
    assert told.left_out == 8


def test_a_conversation_counts_once_by_its_first_answer(place):
    past_shadow(place)
    until = traffic(place, 60, since=T0, good=alike, name="talk", turns=3)
    told = rollout(place, at=until)
    assert told.rows.height == 60
    assert place.signals().height == 180


def test_rules_are_those_of_its_beginning(place):
    before = shares(staged.current(place))
    file = place.folder / "clw.toml"
    file.write_text(file.read_text().replace("share = 0.25", "share = 0.45"))
    again = Workspace(place.folder)
    past_shadow(again)
    assert shares(staged.current(again)) == {OLD: 0.75, NEW: 0.25}
    assert before == {OLD: 1.0, NEW: 0.0}


def test_a_person_moves_it_on_with_a_reason_that_is_kept(place):
    with pytest.raises(EvidenceError, match="say why"):
        advance(place, "  ", at=T0)
    told = advance(place, "we are few", at=T0)
    assert told.rollout.stage == "25%"
    assert told.rollout.events[-1].why == "a person: we are few"
    until = traffic(place, 800, since=T0, good=worse, name="harm")
    with pytest.raises(EvidenceError, match="clw rollback"):
        advance(place, "never mind", at=until)
    assert advance(place, "an experiment", force=True, at=until).rollout.events[-1].detail["forced"] is True


def test_nothing_else_is_released_meanwhile(place):
    with pytest.raises(ArtefactError, match="a rollout goes on: release:new at shadow"):
        begin(place, "release:third", OLD)


def test_a_rollback_ends_it_at_once(place):
    place.publish(NEW, parents=[], about={})
    back = ship.rollback(place, "complaints")
    assert back.as_dict() == {"release": NEW, "stage": "rolled back", "weights": {OLD: 1.0}, "champion": OLD}
    assert rollouts(place.catalog)[-1].events[-1].why == "a person: complaints"
    assert current_rollout(place.catalog) is None
    begin(place, NEW, OLD)
    salts = {each.salt for each in rollouts(place.catalog)}
    assert len(salts) == 2, "a second rollout shares out anew"


def test_without_any_rollout_words_say_how_to_begin(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_KEY", "07" * 32)
    empty = workspace_for_rollouts(tmp_path / "w")
    for verb in (rollout, look):
        with pytest.raises(EvidenceError, match="clw release RUN --staged"):
            verb(empty)


def _look(folder: Path, at: datetime) -> str:
    try:
        return str(look(Workspace(folder), at=at).decision.action)
    except EvidenceError:
        return "ended"


def test_many_looks_at_once_decide_once(place):
    past_shadow(place)
    until = traffic(place, 1200, since=T0, good=worse, name="harm")
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        said = pool.starmap(_look, [(place.folder, until)] * 4)
    assert sorted(said) == ["ended", "ended", "ended", "roll back"]
    assert [event.action for event in rollouts(place.catalog)[-1].events] == ["start", "advance", "roll back"]


def test_the_verbs_say_where_it_stands(place, tmp_path):
    past_shadow(place)
    traffic(place, 300, since=T0, good=alike, name="some")

    def clw(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CLW, *words, "--workspace", str(place.folder)], capture_output=True, text=True, check=False
        )

    picture = tmp_path / "rollout.html"
    told = clw("rollout", "status", "--html", str(picture))
    assert told.returncode == 0, told.stderr
    assert "release:new against release:old" in told.stdout
    assert "release:new 25%" in told.stdout
    assert "plotly" in picture.read_text()
    found = json.loads(clw("rollout", "status", "--json").stdout)
    assert found["stage"] == "25%"
    assert found["weights"] == {OLD: 0.75, NEW: 0.25}
    assert found["champion"] == OLD
    assert clw("rollout", "advance").returncode == 2
    assert json.loads(clw("rollout", "advance", "--why", "enough", "--json").stdout)["stage"] == "50%"
    assert clw("rollout", "look").returncode == 0
    place.publish(NEW, parents=[], about={})
    assert "was taken back" in clw("rollback").stdout
    after = clw("rollout", "look")
    assert after.returncode == 2
    assert "no rollout goes on" in after.stderr


def test_a_gated_run_goes_out_in_stages(tiny_workspace, tmp_path):
    """On the workspace where the loop went round: its release is taken back, and goes out again by stages."""
    import shutil

    shutil.copytree(tiny_workspace, tmp_path / "w")
    place = Workspace(tmp_path / "w")
    served, _, _ = place.catalog.champions()[-1]
    run = next(parent for parent in place.catalog.parents(served) if parent.startswith("run:"))
    with place.catalog.transaction() as db:
        db.execute("delete from champions")
    made = ship.release(place, run, staged=True)
    assert made.stage == "shadow"
    assert made.as_dict()["champion"] == place.settings.model.base
    assert current_rollout(place.catalog).release == made.id
    with pytest.raises(ArtefactError, match="a rollout goes on"):
        ship.release(place, run)
    assert ship.rollback(place).stage == "rolled back"
    assert ship.was_rolled_back(place, run)


def test_while_one_goes_out_status_names_it_and_a_cycle_waits_before_it_learns(place):
    assert "release:new at shadow" in status(place).rollout
    assert any(step.startswith("clw rollout status") for step in status(place).next)
    traffic(place, 40, since=T0, good=alike, name="some")
    turn = cycle(place)
    assert turn.waits_for == "the rollout of release:new, at shadow: `clw rollout status`"
    assert [step["step"] for step in turn.steps] == ["signals", "select"]
    assert turn.training_set is None
    ran = subprocess.run([*CLW, "status", "--workspace", place.folder], capture_output=True, text=True, check=True)
    assert "rollout    release:new at shadow, since 2026-01-05 00:00" in ran.stdout
    with place.lease("release", "rollback"):
        staged.send_back(place, "a test")
    assert status(place).rollout is None


def test_all_rollouts_are_shown_with_their_stages_and_none_is_said_in_words(place, tmp_path):
    past_shadow(place)
    until = traffic(place, 200, since=T0, good=alike, name="some")
    found = rollouts_of(place, at=until)
    assert found.frame["release"].unique().to_list() == [NEW]
    assert found.frame["stage"].to_list() == ["shadow", "25%"]
    page = found._repr_html_()
    assert "release:new" in page
    assert "a person: a test" in page
    assert "</b> at 25%: " in page
    assert {trace.name for trace in found.plot().data} >= {"champion", "challenger"}
    nothing = rollouts_of(workspace_for_rollouts(tmp_path / "none"))
    assert "No release went out in stages yet" in nothing._repr_html_()
    assert "No release went out in stages yet" in nothing.plot().layout.annotations[0].text
