"""A person is forgotten: nothing of them is left on the disk, all that was made of them is, and they stay out."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from clworkbench.audit import retention
from clworkbench.audit.asked import Asked, asked
from clworkbench.audit.certificates import check
from clworkbench.audit.forget import STEPS, Forgotten, forget
from clworkbench.audit.plan import plan
from clworkbench.errors import ArtefactError, ForgetError, LeaseError
from clworkbench.lineage import trace
from clworkbench.loop import data
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.status import status
from clworkbench.loop.training_sets import convert
from clworkbench.policy.redaction import redact
from clworkbench.workspace import Workspace
from clworkbench.workspace.answers import Answers
from clworkbench.workspace.artefacts import sha256_json
from tests.audit.people import everything, make, record, where_it_stands, write_lines
from tests.chat_server import chat_server, said

WORDS = [f"annword{talk}{turn}" for talk in ("first", "second") for turn in (0, 1)]


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("people")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_KEY", "6b" * 32)
        make(place / "w").catalog.close()
    return place / "w"


@pytest.fixture
def workspace(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    shutil.copytree(people, tmp_path / "w")
    return Workspace(tmp_path / "w")


def user(name: str = "ann@example.com") -> Asked:
    return asked(datetime.now(UTC), users=(name,))


def done(workspace: Workspace, wanted: Asked, **options: bool) -> Forgotten:
    found = forget(workspace, wanted, **options)
    assert found is not None
    return found


def ids_of(workspace: Workspace, who: str) -> list[str]:
    rows = workspace.read("interactions").filter(pl.col("conversation_id").str.starts_with(who))
    said = workspace.read("feedback").filter(pl.col("target_id").is_in(rows["interaction_id"].implode()))
    about = workspace.read("labels").filter(pl.col("interaction_id").is_in(rows["interaction_id"].implode()))
    return [*rows["interaction_id"], *said["feedback_id"], *about["label_id"], *rows["user_key"].unique()]


def test_no_word_and_no_id_of_hers_is_left_in_any_byte_of_the_workspace(workspace):
    ids = ids_of(workspace, "ann")
    assert len(ids) == 4 + 4 + 4 + 1
    planted = {word for _, word in where_it_stands(workspace.folder, WORDS)}
    assert planted == set(WORDS)
    done(workspace, user())
    workspace.catalog.close()
    (workspace.folder / "suite.jsonl").unlink()  # the analyst's own file, which the answer names
    assert where_it_stands(workspace.folder, [*WORDS, *ids, "ann@example.com", "ann first", "ann second"]) == []
    stones = Path(workspace.folder / "catalog.db").read_bytes()
    binary = [bytes.fromhex(own) for own in ids]
    assert [own in stones for own in binary] == [True] * len(ids)  # the tombstones, and nothing but these
    others = [raw for path, raw in everything(workspace.folder) if path.name != "catalog.db"]
    assert not any(own in raw for raw in others for own in binary)


def test_the_others_rows_are_what_they_were(workspace):
    kept = {}
    for table, column in (("interactions", "interaction_id"), ("feedback", "feedback_id"), ("labels", "label_id")):
        hers = ids_of(workspace, "ann")
        kept[table] = workspace.read(table).filter(~pl.col(column).is_in(hers)).sort(column)
    told = done(workspace, user()).as_dict()
    for table, before in kept.items():
        assert workspace.read(table).sort(before.columns[0]).equals(before), table
    assert told["rows"] == {
        "interactions": 4, "feedback": 4, "labels": 4, "candidates": 4, "scores": 2, "asked": 0, "quarantine": 0
    }  # fmt: skip
    assert workspace.read("scores")["example_id"].to_list() == [
        f"example {who}-second-{turn}" for who in ("bob", "cid", "dora") for turn in (0, 1)
    ]


def test_sets_and_suites_are_made_again_without_her_and_the_old_names_lead_to_them(workspace):
    before = [str(m["id"]) for m in workspace.catalog.artefacts("training_set")]
    suite = str(workspace.find("suite", "held")["id"])
    told = done(workspace, user()).as_dict()
    assert [each["from"] for each in told["rebuilt"]] == sorted([suite, before[0]])  # the second set holds none of hers
    made = workspace.find("training_set", before[0])
    assert (made["forgotten"], made["replaces"], made["splits"]) == (2, before[0], {"train": 6})
    assert workspace.rows(before[0]).height == 6
    assert workspace.find("training_set", "main")["id"] == before[1]  # the newest version is still the newest
    assert workspace.find("suite", "held")["slices"] == {"bob": 2, "cid": 2, "dora": 2}
    assert not workspace.artefact_folder(before[0]).exists()
    assert workspace.reindex() == 7
    assert workspace.find("training_set", "main")["id"] == before[1]


def test_a_set_built_again_as_of_then_has_the_same_rows_less_hers(workspace):
    done(workspace, user())
    again = convert.build(workspace, where="source_id LIKE '%-first-%'")
    assert again.id == workspace.find("training_set", again.id)["id"]
    assert "replaces" in workspace.find("training_set", again.id)


def test_what_learned_from_her_is_named_with_what_is_clean_before_it(workspace):
    told = done(workspace, user()).as_dict()
    assert {each["id"]: each["clean_parent"] for each in told["tainted"]} == {
        "run:main-one": "base", "eval:held-base": "base", "gate:one": "base", "release:one": "base"
    }  # fmt: skip
    assert told["champion"] == {"model": "release:one", "tainted": True}


def test_a_run_on_a_set_that_was_made_again_is_named_for_the_next_person_too(workspace):
    done(workspace, user())
    told = done(workspace, user("bob@example.com")).as_dict()
    assert "run:main-one" in {each["id"] for each in told["tainted"]}
    assert [each["from"] for each in told["rebuilt"]].count("training_set:main") == 0
    assert len(told["rebuilt"]) == 3


def test_lineage_answers_in_words_for_what_was_forgotten(workspace):
    before = str(workspace.catalog.artefacts("training_set")[0]["id"])
    done(workspace, user())
    found = trace(workspace, before)
    assert found.note == f"forgotten, replaced by {workspace.find('training_set', before)['id']}"
    assert "run:main-one" in found.up["id"].to_list()
    down = trace(workspace, "release:one").down
    assert down.filter(pl.col("id") == before)["detail"].to_list() == [found.note]
    with pytest.raises(ArtefactError, match=r"ann-first-0: a signal that was forgotten; see certificates/0001\.json"):
        trace(workspace, "ann-first-0")


def test_sheets_records_and_unfinished_runs_with_her_words_go_and_others_stay(workspace):
    done(workspace, user())
    assert {path.name for path in (workspace.folder / "records").iterdir()} == {"plain"}
    assert {path.name for path in (workspace.folder / "runs").iterdir()} == {"main-one"}
    sheet = pl.read_csv(workspace.folder / "to-label-1.csv")
    assert sheet.height == 12
    assert list(workspace.folder.rglob("*.partial")) == []


def test_files_of_the_owner_are_named_and_left(workspace):
    left = {Path(str(each["path"])).name for each in done(workspace, user()).left}
    assert left == {"export.jsonl", "labels.csv", "suite.jsonl"}
    assert (workspace.folder / "inbox" / "export.jsonl").exists()


def test_an_export_that_overlaps_brings_nothing_back_and_what_she_does_later_is_new(workspace):
    done(workspace, user())
    rows = [record("ann", 0), record("ann", 7), record("bob", 0), record("bob", 7)]
    later = record("ann", 9, talk="third", at=datetime.now(UTC) + timedelta(minutes=1))
    report = ingest(workspace, write_lines(workspace.folder / "inbox" / "more.jsonl", [*rows, later]), "app")
    assert (report.new, report.known, report.skipped) == (2, 1, 2)
    assert report.skipped_why == {"forgotten": 2}
    assert {"ann-third-9", "bob-first-7"} < set(workspace.read("interactions")["source_id"])
    assert where_it_stands(workspace.folder, ["annwordfirst"], but=("inbox", "suite.jsonl")) == []


def test_a_label_on_what_was_forgotten_stays_out(workspace):
    done(workspace, user())
    found = data.import_labels(workspace, workspace.folder / "inbox" / "labels.csv")
    assert (found["new"], found["rejected"]) == (0, 4)


def test_a_set_with_rows_that_were_forgotten_meanwhile_is_refused(workspace):
    rows = workspace.rows(str(workspace.catalog.artefacts("training_set")[0]["id"]))
    done(workspace, user())
    with pytest.raises(ArtefactError, match="main: 2 of its rows were forgotten meanwhile"):
        workspace.publish_rows("training_set", "main", rows)


def test_an_interaction_is_found_by_its_own_id_and_takes_what_came_after_it_in_the_conversation(workspace):
    now = datetime.now(UTC)
    assert done(workspace, asked(now, interactions=("ann-first-1",))).told["rows"]["interactions"] == 1
    assert done(workspace, asked(now, interactions=("bob-first-0",))).told["rows"]["interactions"] == 2
    assert sorted(workspace.read("interactions")["source_id"])[:4] == [
        "ann-first-0", "ann-second-0", "ann-second-1", "bob-second-0"
    ]  # fmt: skip


def test_where_takes_columns_of_the_rows_and_of_signals(workspace):
    now = datetime.now(UTC)
    assert done(workspace, asked(now, where="text LIKE '%annwordfirst0%'")).told["rows"]["interactions"] == 1
    found = done(workspace, asked(now, where="improvement_text = 'bobwordfirst1better'"))
    assert found.told["rows"]["interactions"] == 1


def test_a_rule_that_matches_nothing_leaves_no_certificate(workspace):
    assert forget(workspace, user("nobody@example.com")) is None
    assert not (workspace.folder / "certificates").exists()
    assert workspace.without_forgotten("interactions", workspace.read("interactions"))[1].is_empty()


def test_a_rule_that_matches_everything_asks_again(workspace):
    with pytest.raises(ForgetError, match=r"all 16 interactions match.*\n.*say --all"):
        forget(workspace, asked(datetime.now(UTC), where="1 = 1"))
    assert workspace.counts()["interactions"] == 16
    assert done(workspace, asked(datetime.now(UTC), where="1 = 1"), everything=True).told["rows"]["interactions"] == 16
    assert workspace.signals().is_empty()
    assert workspace.rows("suite:held").is_empty()


def test_a_plan_changes_nothing_and_says_what_would_go(workspace):
    before = {path: raw for path, raw in everything(workspace.folder) if "catalog.db" not in path.name}
    planned = plan(workspace, user())
    assert planned.rows["interactions"] == 4
    assert {name.partition("@")[0]: n for name, (n, _) in planned.derived.sets.items()} == {
        "training_set:main": 2, "suite:held": 2
    }  # fmt: skip
    assert {path: raw for path, raw in everything(workspace.folder) if "catalog.db" not in path.name} == before


def test_words_that_say_nothing_are_refused():
    now = datetime.now(UTC)
    for options, why in (
        ({}, "nothing was named"),
        ({"users": ("ann",), "where": "1 = 1"}, "user and where was named"),
        ({"users": (" ",)}, "an empty user"),
        ({"before": now + timedelta(days=1)}, "is still to come"),
    ):
        with pytest.raises(ForgetError, match=why):
            asked(now, **options)


class Stop(Exception):
    pass


@pytest.mark.parametrize("step", [*STEPS, "certificate"])
def test_a_forget_that_stops_at_a_step_shows_no_certificate_and_is_ended_by_the_next(workspace, step):
    def stop(name: str) -> None:
        if name == step:
            raise Stop

    with pytest.raises(Stop):
        forget(workspace, user(), say=stop)
    assert list(workspace.folder.glob("certificates/*.json")) == []
    assert status(workspace).next[0] == "clw forget   (one was interrupted: this ends it)"
    found = forget(Workspace(workspace.folder), None)
    assert found is not None
    assert found.told["rows"]["interactions"] == 4
    assert all(each.ok for each in check(found.certificate))
    assert workspace.forgetting is None
    assert forget(workspace, user()) is None


def test_a_forget_that_was_interrupted_is_ended_before_another_one(workspace):
    def stop(name: str) -> None:
        if name == "artefacts":
            raise Stop

    with pytest.raises(Stop):
        forget(workspace, user(), say=stop)
    found = done(workspace, user("bob@example.com"))
    assert found.certificate.name == "0002.json"
    assert sorted({name[:3] for name in workspace.read("interactions")["source_id"]}) == ["cid", "dor"]


def test_nobody_else_works_meanwhile_and_a_working_process_is_waited_for_in_words(workspace):
    with (
        workspace.lease("ingest app", "ingest"),
        pytest.raises(LeaseError, match=r"workspace: process \d+ on .* \(`clw ingest`\) holds 'ingest app'"),
    ):
        forget(workspace, user(), wait_s=0)

    def reads(name: str) -> None:
        if name == "verify":
            with (
                pytest.raises(LeaseError, match=r"holds the whole workspace"),
                Workspace(workspace.folder).lease("ingest app", "ingest"),
            ):
                pass
            assert Workspace(workspace.folder).signals().height == 12

    forget(workspace, user(), say=reads)


def test_what_is_too_old_goes_with_what_depends_on_it_and_does_not_come_back(workspace):
    toml = workspace.folder / "clw.toml"
    toml.write_text(toml.read_text().replace("[policy]", "[policy]\nretention = '30d'"))
    now = datetime(2026, 3, 4, 9, tzinfo=UTC) + timedelta(days=30)
    due = retention.due(workspace)
    assert status(workspace).next[0] == f"clw forget --retention   ({due} rows are older than [policy] retention)"
    assert retention.due(workspace, as_of=now) == 16  # two days of ann's and bob's, and the feedback on them
    found = done(workspace, Asked("retention", (), now, now - timedelta(days=30)))
    assert found.told["rows"] | {"interactions": 8, "feedback": 8, "labels": 8} == found.told["rows"]
    assert retention.due(workspace, as_of=now) == 0
    assert found.told["asked"] == {"by": "retention", "before": "2026-03-04T09:00:00+00:00"}
    assert all(each.ok for each in check(found.certificate))
    rows = [record("ann", 5), record("dora", 5)]
    report = ingest(workspace, write_lines(workspace.folder / "inbox" / "more.jsonl", rows), "app")
    assert (report.new, report.skipped_why) == (1, {"forgotten": 1})
    kinds = dict(workspace.catalog.query("select kind, count(*) from tombstones group by kind"))
    assert kinds == {"before": 1, "label": 8, "interaction": 1}  # the labels bear no date; one came again just now


def test_rows_that_never_came_to_count_go_as_well(workspace):
    ghost = workspace.read("interactions").drop("seq").head(1).with_columns(batch_id=pl.lit("dead"))
    assert ghost["source_id"].item().startswith("ann")
    workspace.catalog.begin_batch("dead", "ingest", "app")
    ghost = ghost.with_columns(interaction_id=pl.lit("0" * 32), source_id=pl.lit("ghostword"))
    workspace.tables.append("interactions", ghost)
    found = done(workspace, user())
    assert found.told["rows"]["interactions"] == 4
    assert where_it_stands(workspace.folder, ["ghostword"]) == []


def test_a_certificate_holds_no_personal_data(workspace):
    ids = ids_of(workspace, "ann")
    text = done(workspace, user()).certificate.read_text()
    assert not any(word in text for word in ["ann", *WORDS, *ids])
    assert json.loads(text)["asked"]["by"] == "user"


def key_of(workspace: Workspace, who: str) -> str:
    return workspace.pseudonyms.user(f"{who}@example.com")


def left_by(found: Forgotten) -> dict[str, str]:
    return {str(each["path"]): str(each["why"]) for each in found.left}


def test_a_rule_that_names_her_key_is_left_in_the_settings_of_sets_without_her_rows(workspace):
    toml = workspace.folder / "clw.toml"
    rule = f"[policy.exclude]\nobjected = \"user_key = '{key_of(workspace, 'ann')}'\"\n"
    toml.write_text(toml.read_text().replace("[sources.app]", rule + "[sources.app]"))
    built = convert.build(workspace, "without")
    found = done(workspace, user())
    name = f"training_sets/{built.id.removeprefix('training_set:')}/manifest.json"
    assert left_by(found)[name] == "its settings name such rows; it is sealed, and holds none of them."
    assert left_by(found)["clw.toml"].startswith("your settings name such rows")
    assert all(each.ok for each in check(found.certificate))
    assert done(workspace, user("bob@example.com")).certificate.name == "0002.json"


def test_a_key_in_a_condition_is_struck_out_of_a_set_that_is_made_again(workspace):
    key = key_of(workspace, "ann")
    built = convert.build(workspace, "hers", where=f"user_key = '{key}' OR source_id LIKE 'bob-first-%'")
    done(workspace, user())
    made = workspace.find("training_set", built.id)
    assert made["settings"]["where"] == "user_key = 'forgotten' OR source_id LIKE 'bob-first-%'"
    assert made["config_sha256"] == sha256_json(made["settings"])
    assert where_it_stands(workspace.folder, [key]) == []


def test_a_set_that_came_between_the_plan_and_the_deed_is_made_again_too(workspace):
    """As a build does that knows of no lease: written while the forget looks, or before it is run again."""

    def stop(name: str) -> None:
        if name == "verify":
            raise Stop

    first = str(workspace.catalog.artefacts("training_set")[0]["id"])
    kept = workspace.folder.parent / "kept"
    shutil.copytree(workspace.artefact_folder(first), kept)
    with pytest.raises(Stop):
        forget(workspace, user(), say=stop)
    late = workspace.folder / "training_sets" / f"late@{first.partition('@')[2]}"
    shutil.copytree(kept, late)
    manifest = json.loads((late / "manifest.json").read_text()) | {"id": f"training_set:{late.name}"}
    (late / "manifest.json").write_text(json.dumps(manifest))
    found = done(workspace, user())
    assert f"training_set:{late.name}" in {each["from"] for each in found.told["rebuilt"]}
    assert not late.exists()
    assert workspace.rows("training_set:late").height == 6
    assert where_it_stands(workspace.folder, WORDS, but=("inbox", "suite.jsonl")) == []


def test_rows_that_came_in_after_a_kill_do_not_stand_in_its_way(workspace):
    def stop(name: str) -> None:
        if name == "artefacts":
            raise Stop

    with pytest.raises(Stop):
        forget(workspace, user(), say=stop)
    ingest(workspace, write_lines(workspace.folder / "inbox" / "more.jsonl", [record("bob", 7)]), "app")
    found = done(workspace, user())
    assert found.told["after"]["interactions"]["rows"] == 12
    assert workspace.counts()["interactions"] == 13
    assert all(each.ok for each in check(found.certificate))


PUBLISH = """
import sys
from clworkbench.workspace import Workspace, folder
folder.PUBLISH_WAIT_S = 0.0
workspace = Workspace(sys.argv[1])
workspace.publish_rows("training_set", "other", workspace.rows("training_set:main"))
"""


def test_publishing_and_forgetting_keep_each_other_out(workspace):
    with (
        workspace.lease("publish", "build"),
        pytest.raises(LeaseError, match=r"workspace: process \d+ on .* \(`clw build`\) holds 'publish'"),
    ):
        forget(workspace, user(), wait_s=0)
    said = []

    def publishes(name: str) -> None:
        if name == "plan":
            words = [sys.executable, "-c", PUBLISH, str(workspace.folder)]
            said.append(subprocess.run(words, capture_output=True, text=True, check=False).stderr)

    forget(workspace, user(), say=publishes)
    assert "(`clw forget`) holds the whole workspace" in said[0]
    assert list(workspace.folder.glob("training_sets/other@*")) == []


def test_rows_in_a_folder_that_is_no_artefact_are_named_and_do_not_stand_in_the_way(workspace):
    first = str(workspace.catalog.artefacts("training_set")[0]["id"])
    copied = shutil.copytree(workspace.artefact_folder(first), workspace.folder / "training_sets" / "copied")
    left = left_by(done(workspace, user()))
    assert left["training_sets/copied/rows.parquet"].endswith("without a manifest of its own. Delete the folder.")
    assert copied.exists()


def test_who_only_gave_feedback_takes_pages_and_exports_with_them(workspace):
    late = record("dora", 8) | {"user": "dora@example.com"}
    said = {"name": "edited", "origin": "operator", "actor": "zoe", "comment": "zoewordcomment"}
    late["feedback"] = [said | {"at": datetime(2026, 3, 9, tzinfo=UTC).isoformat()}]
    export = write_lines(workspace.folder / "inbox" / "more.jsonl", [late])
    ingest(workspace, export, "app")
    page = workspace.folder / "records" / "look-1"
    page.mkdir()
    (page / "look.html").write_text("<p>zoewordcomment</p>")
    (page / "manifest.json").write_text(json.dumps({"texts": True, "created": datetime.now(UTC).isoformat()}))
    found = done(workspace, user("zoe"))
    assert found.told["rows"] | {"interactions": 0, "feedback": 1} == found.told["rows"]
    assert "records/look-1" in found.files
    assert not page.exists()
    assert [Path(str(each["path"])).name for each in found.left if "sha256" in each] == ["more.jsonl"]
    assert where_it_stands(workspace.folder, ["zoeword"]) == []


def test_a_draft_of_a_living_process_is_left_to_it_and_those_of_dead_ones_go(workspace):
    records = workspace.folder / "records"
    mine, dead = records / f".own.{os.getpid()}.partial", records / ".other.4194305.partial"
    nameless, reused = records / ".nameless.partial", records / f".reused.{os.getpid()}.partial"
    for place in (mine, dead, nameless, reused):
        place.mkdir()
    os.utime(reused, (1, 1))  # from before this process: its number is used again
    done(workspace, user())
    assert {path.name for path in records.iterdir()} == {"plain", mine.name}


@pytest.mark.parametrize("group", ["ann@example.com", "the key", "redacted"])
def test_an_example_whose_group_is_she_goes_with_her(workspace, group):
    names = {"the key": key_of(workspace, "ann"), "redacted": _redacted(workspace, "ann@example.com")}
    rows = workspace.rows("suite:held").head(2)
    rows = rows.with_columns(
        group=pl.Series([names.get(group, group), "somebody"]),
        signal_ids=pl.lit([], dtype=pl.List(pl.String)),
        example_id=pl.Series(["one", "two"]),
    )
    workspace.publish_rows("suite", "own", rows)
    found = done(workspace, user())
    assert len(found.told["rebuilt"]) == 3
    assert workspace.rows("suite:own")["example_id"].to_list() == ["two"]


def _redacted(workspace: Workspace, name: str) -> str:
    return str(redact(pl.DataFrame({"conversation_id": [name]}), workspace.pseudonyms).frame.item())


def test_under_another_source_a_user_stays_out_and_a_single_interaction_does_not(workspace):
    """As `docs/how-to/forget.md` says: ids are made with the source's name, keys of users are not."""
    toml = workspace.folder / "clw.toml"
    toml.write_text(toml.read_text() + '[sources.again]\nformat = "openai"\n')
    done(workspace, user())
    done(workspace, asked(datetime.now(UTC), interactions=("bob-second-1",)))
    rows = [record("ann", 0), record("bob", 1, talk="second")]
    report = ingest(workspace, write_lines(workspace.folder / "inbox" / "again.jsonl", rows), "again")
    assert (report.new, report.skipped_why) == (1, {"forgotten": 1})


def test_answers_of_models_to_her_examples_go_and_those_to_others_are_not_asked_again(workspace):
    from clworkbench.loop.evals.model import evaluate

    # A model that says what it is asked: her words come back out of it.
    with chat_server(lambda _, body: said(f"You ask: {body['messages'][-1]['content']}")) as server:
        endpoint = f"[endpoints.echo]\nurl = '{server.url}'\nmodel = 'echo'\n"
        settings = workspace.folder / "clw.toml"
        settings.write_text(settings.read_text() + endpoint)
        evaluate(workspace, "endpoint:echo", "held")
        answers = Answers(workspace.folder).path
        assert b"annwordsecond0" in answers.read_bytes()
        assert plan(workspace, user()).as_dict()["removed"]["model_answers"] == 2
        assert done(workspace, user()).told["removed"]["model_answers"] == 2
        (workspace.folder / "suite.jsonl").unlink()
        assert where_it_stands(workspace.folder, WORDS) == []
        assert b"bobwordsecond0" in answers.read_bytes()
        again = evaluate(Workspace(workspace.folder), "endpoint:echo", "held")
        assert (again.manifest["n"], again.known, again.cached) == (6, 6, False)
        assert len(server.requests) == 8
