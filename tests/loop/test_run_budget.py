"""A training within its budget, on the tiny model: refused with nothing left behind, stopped in time, gone on with."""

import json
from pathlib import Path

import pytest

from clworkbench.errors import BudgetError, SettingsError
from clworkbench.loop.runs.asked import asked_run
from clworkbench.loop.runs.estimate import forecast
from clworkbench.loop.runs.train import Training, train
from clworkbench.loop.training_sets.trainable import token_statistics
from clworkbench.runs.checkpoints import steps_done
from clworkbench.workspace import Workspace
from tests.loop.runs.test_train import SETTINGS, add_set, clw


@pytest.fixture
def workspace(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    made = Workspace.create(tmp_path / "w", settings=SETTINGS.format(base=tiny_base))
    add_set(made, "sft")
    return made


def limit(workspace: Workspace, text: str) -> None:
    """Writes [budget] anew."""
    settings = workspace.folder / "clw.toml"
    settings.write_text(settings.read_text().partition("[budget")[0] + text)


def runs(workspace: Workspace) -> list[str]:
    folder = workspace.folder / "runs"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_a_run_that_its_first_steps_show_to_be_too_dear_is_refused_and_leaves_nothing(workspace: Workspace):
    limit(workspace, "[budget.run]\nhours = 0.02\n")
    with pytest.raises(BudgetError, match=r"(?s)steps 2 to 4 took .* so that 100000 steps take .*\[budget.run\]"):
        train(workspace, "sft", steps=100_000)
    assert runs(workspace) == []
    (entry,) = workspace.catalog.ledger().rows(named=True)
    assert (entry["verb"], entry["seconds"] > 0) == ("train", True)
    # A retry goes by what was timed then; --estimate times it anew, and is booked.
    with pytest.raises(BudgetError, match=r"(?s)steps 2 to 4 on 20\d\d-.* took .* so that 100000 steps take"):
        train(workspace, "sft", steps=100_000)
    assert workspace.catalog.ledger().height == 1
    forecast(workspace, "sft", steps=100_000)
    assert workspace.catalog.ledger().height == 2
    limit(workspace, "[budget.run]\nhours = 1\n")
    done = train(workspace, "sft", steps=6)
    estimated = done.manifest["estimate"]
    assert isinstance(estimated, dict)
    assert (estimated["steps"], estimated["from"]) == (6, "steps 2 to 4")
    assert 0 < estimated["low"] <= estimated["seconds"] <= estimated["high"]
    # By the pace of the run that is there, another one is refused before anything is loaded or written down.
    entries = workspace.catalog.ledger().height
    limit(workspace, "[budget.run]\nhours = 0.001\n")
    with pytest.raises(BudgetError, match="steps of the last run like this one took"):
        train(workspace, "sft", steps=90_000)
    assert workspace.catalog.ledger().height == entries
    assert runs(workspace) == [done.id.removeprefix("run:")]


def test_how_often_checkpoints_are_written_and_who_follows_is_no_part_of_a_run_s_name(workspace: Workspace):
    named = asked_run(workspace, "sft").run
    settings = workspace.folder / "clw.toml"
    plain = settings.read_text()
    settings.write_text(plain.replace("[training]", '[training]\ncheckpoint_every = 3\nreport_to = ["tensorboard"]'))
    assert asked_run(workspace, "sft").run == named
    settings.write_text(plain.replace("[training]", "[training]\nrows_at_once = 1"))
    assert asked_run(workspace, "sft").run != named


def test_a_run_stops_with_a_checkpoint_before_it_goes_above_and_ends_with_the_same_adapter(
    workspace: Workspace, tmp_path: Path
):
    undisturbed = train(workspace, "sft", steps=8).manifest
    with workspace.catalog.transaction() as db:
        db.execute("delete from artefacts where id = ?", (undisturbed["id"],))
        db.execute("delete from ledger")
    folder = workspace.artefact_folder(str(undisturbed["id"]))
    folder.rename(tmp_path / "kept")
    limit(workspace, "[budget.run]\nhours = 1\n")

    def spend(done: int, _total: int, _note: str = "") -> None:
        """After the sixth step, somebody else has spent all but nothing of the month."""
        if done == 6:
            limit(workspace, "[budget.train]\nhours = 1\n")
            workspace.catalog.spend("train", None, 3599.999, 0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clworkbench.audit.run_budget.NOTED_EVERY_S", 0.0)
        with pytest.raises(BudgetError, match=r"(?s)stopped with a checkpoint.*\[budget.train\].*goes on from here"):
            train(workspace, "sft", steps=8, advance=spend)
    assert steps_done(folder / "checkpoints") == 6
    limit(workspace, "[budget.train]\nhours = 2\n")
    done = train(workspace, "sft", steps=8)
    for told in ("adapter_sha256", "losses", "n_tokens"):
        assert done.manifest[told] == undisturbed[told]
    spent = workspace.catalog.ledger().filter(artefact=done.id)
    assert spent.height == 2
    assert spent["seconds"].sum() >= float(str(done.manifest["seconds"])) - 0.1


def test_tokens_are_those_that_the_rows_hold(workspace: Workspace):
    done = train(workspace, "sft", steps=4)
    # Six rows, four of them a step and then the two others: four steps read each twice, and no padding counts.
    trained_on = workspace.rows(str(workspace.find("training_set", "sft")["id"])).filter(split="train").select("row_id")
    lengths = token_statistics(workspace, "sft").rows.join(trained_on, on="row_id", how="semi")["row"]
    assert done.manifest["n_tokens"] == 2 * lengths.sum()
    assert done.as_dict()["n_tokens"] == done.manifest["n_tokens"]


def test_an_estimate_trains_nothing_and_is_booked(workspace: Workspace):
    limit(workspace, "[budget]\nprices = { cpu = 3600 }\nrun = { usd = 1e-9 }\ntrain = { hours = 1 }\n")
    told = forecast(workspace, "sft", steps=50)
    assert runs(workspace) == []
    assert workspace.catalog.artefacts("run") == []
    (entry,) = workspace.catalog.ledger().rows(named=True)
    assert entry["artefact"] == f"estimate:{told.run}"
    assert entry["cost_usd"] == pytest.approx(entry["seconds"])
    assert told.expected.usd == pytest.approx(told.expected.seconds)
    assert told.frame["place"].to_list() == ["[budget.run]", "[budget.train]"]
    assert told.exceeded == told.limits[0]
    assert "Take fewer steps" in told.said
    assert "above [budget.run]" in told._repr_html_()
    limit(workspace, "")
    done = train(workspace, "sft", steps=3)
    was = forecast(workspace, "sft", steps=3)
    assert (was.run, was.expected.steps, was.exceeded) == (done.id, 3, None)
    assert workspace.catalog.ledger().height == 2


def test_the_command_line_says_what_a_run_would_cost_and_no_where_it_may_not(workspace: Workspace):
    found = clw(workspace, "train", "sft", "--steps", "40", "--estimate", "--json")
    assert found.returncode == 0, found.stderr
    answer = json.loads(found.stdout)
    assert (answer["steps"], answer["allowed"], answer["limits"]) == (40, True, [])
    assert answer["n_tokens"] > 0
    limit(workspace, "[budget]\nprices = { H100 = 2.5 }\n")
    with pytest.raises(SettingsError, match="no price for 'cpu'"):
        train(workspace, "sft", steps=2)
    limit(workspace, "[budget.run]\nhours = 1e-9\n")
    refused = clw(workspace, "train", "sft", "--steps", "40", "--estimate")
    assert refused.returncode == 1, refused.stderr
    assert "above [budget.run]" in refused.stdout
    assert "Traceback" not in refused.stderr


def test_a_finished_run_shows_itself_in_a_cell_with_hostile_names_escaped():
    told = {"method": "sft", "base": "<b>", "steps": 1, "losses": [1.0], "rows": 1, "dropped": 0, "truncated": 0}
    more = {"seconds": 0.1, "cost": 0.0, "adapter_sha256": "a" * 64}
    html = Training({"id": "run:<i>", **told, **more}, 0.1)._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<i>" not in html
