"""What counts, what does not, and what happens when a process dies in between."""

import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from clworkbench.errors import ArtefactError, LeaseError, WorkspaceError
from clworkbench.schemas import FEEDBACK, INTERACTIONS, LABELS
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import Catalog

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    return Workspace.create(tmp_path / "w")


def interactions(*ids: str, sha: str = "x") -> pl.DataFrame:
    rows = [{"interaction_id": i, "raw_sha256": sha, "source": "app", "started_at": NOON} for i in ids]
    return pl.DataFrame(rows, schema=INTERACTIONS)


def test_a_committed_batch_counts_and_the_same_batch_again_adds_nothing(workspace):
    first = workspace.write_batch("b1", "ingest", {"interactions": interactions("a", "b")})
    again = workspace.write_batch("b2", "ingest", {"interactions": interactions("b", "c")})
    assert first["interactions"].height == 2
    assert again["interactions"]["interaction_id"].to_list() == ["c"]
    assert sorted(workspace.read("interactions")["interaction_id"]) == ["a", "b", "c"]


def test_rows_of_an_uncommitted_batch_never_show_and_are_swept(workspace):
    workspace.catalog.begin_batch("dead", "ingest", "app")
    workspace.tables.append("interactions", interactions("ghost").with_columns(batch_id=pl.lit("dead")))
    assert workspace.read("interactions").is_empty()
    assert workspace.sweep("ingest", "app") == 1
    on_disk = pl.read_delta(str(workspace.folder / "tables" / "interactions"))
    assert on_disk.is_empty()


def test_a_killed_batch_is_completed_by_the_same_call_without_doubles(workspace):
    workspace.catalog.begin_batch("b", "ingest", "app")
    workspace.tables.append("interactions", interactions("a").with_columns(batch_id=pl.lit("b")))
    workspace.write_batch("b", "ingest", {"interactions": interactions("a", "b")})
    assert sorted(workspace.read("interactions")["interaction_id"]) == ["a", "b"]


def test_a_batch_counts_in_all_its_tables_at_once(workspace):
    feedback = pl.DataFrame([{"feedback_id": "f", "raw_sha256": "y", "at": NOON}], schema=FEEDBACK)
    workspace.catalog.begin_batch("b", "ingest", "app")
    workspace.tables.append("interactions", interactions("a").with_columns(batch_id=pl.lit("b")))
    assert workspace.counts()["interactions"] == 0
    workspace.write_batch("b", "ingest", {"interactions": interactions("a"), "feedback": feedback})
    assert workspace.counts() | {"interactions": 1, "feedback": 1} == workspace.counts()


def test_reading_as_of_a_moment_leaves_out_what_was_committed_later(workspace):
    workspace.write_batch("b1", "ingest", {"interactions": interactions("a")})
    between = datetime.now(UTC)
    workspace.write_batch("b2", "ingest", {"interactions": interactions("b")})
    assert workspace.read("interactions", as_of=between)["interaction_id"].to_list() == ["a"]


def test_the_log_of_a_table_holds_no_text_and_no_id(workspace):
    frame = interactions("0123456789abcdef").with_columns(app=pl.lit("a secret app"))
    workspace.write_batch("b1", "ingest", {"interactions": frame})
    logs = (workspace.folder / "tables" / "interactions" / "_delta_log").glob("*.json")
    text = "".join(path.read_text() for path in logs)
    assert "started_at" in text
    assert "secret" not in text
    assert "0123456789abcdef" not in text


def test_a_folder_that_is_no_workspace_says_the_way_out(tmp_path):
    with pytest.raises(WorkspaceError, match=r"no workspace here.*\n.*clw init"):
        Workspace(tmp_path)


def test_a_workspace_of_another_format_is_refused_in_words(workspace):
    with workspace.catalog.transaction() as db:
        db.execute("update meta set value = '7' where key = 'format'")
    with pytest.raises(WorkspaceError, match="format 7; this version of clworkbench reads format 1"):
        Workspace(workspace.folder)


def test_a_catalog_of_garbage_is_refused_in_words(tmp_path):
    (tmp_path / "catalog.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(WorkspaceError, match="not a catalog that can be read"):
        Workspace(tmp_path)


def test_another_key_and_a_missing_key_are_refused_and_the_key_file_is_private(workspace, tmp_path, monkeypatch):
    key = next((tmp_path / "config" / "keys").iterdir())
    assert key.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("CLW_KEY", "00" * 32)
    with pytest.raises(WorkspaceError, match="not this workspace's"):
        Workspace(workspace.folder).pseudonyms  # noqa: B018 - reading it is the check
    monkeypatch.delenv("CLW_KEY")
    key.unlink()
    with pytest.raises(WorkspaceError, match="no key for this workspace"):
        Workspace(workspace.folder).pseudonyms  # noqa: B018 - reading it is the check


def test_the_same_rows_are_the_same_version_and_other_rows_another(workspace):
    rows = pl.DataFrame({"a": [1, 2]})
    first = workspace.publish_rows("suite", "s", rows)
    again = workspace.publish_rows("suite", "s", rows)
    other = workspace.publish_rows("suite", "s", rows.reverse())
    assert first == again
    assert first["id"] != other["id"]
    assert workspace.find("suite", "s")["id"] == other["id"]


def test_a_changed_file_of_an_artefact_is_noticed(workspace):
    manifest = workspace.publish_rows("suite", "s", pl.DataFrame({"a": [1]}))
    path = workspace.artefact_folder(manifest["id"]) / "rows.parquet"
    pl.DataFrame({"a": [2]}).write_parquet(path)
    with pytest.raises(ArtefactError, match=r"changed or missing: rows\.parquet"):
        workspace.rows(manifest["id"])


def test_a_failing_draft_leaves_nothing_visible(workspace):
    def half(folder):
        (folder / "rows.parquet").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(ValueError, match="no room"):
        workspace.publish("suite:s@1", half)
    assert list((workspace.folder / "suites").iterdir()) == []
    assert workspace.catalog.artefacts("suite") == []


def test_the_catalog_of_artefacts_can_be_rebuilt_from_their_manifests(workspace):
    suite = workspace.publish_rows("suite", "s", pl.DataFrame({"a": [1]}))
    workspace.publish_rows("training_set", "t", pl.DataFrame({"a": [1]}), parents=[suite["id"]])
    with workspace.catalog.transaction() as db:
        db.execute("delete from artefacts")
        db.execute("delete from edges")
    assert workspace.reindex() == 2
    assert workspace.catalog.children(suite["id"]) == [workspace.find("training_set", "t")["id"]]


def test_an_artefact_that_is_made_again_is_the_newest_again(workspace):
    first, second = (workspace.publish_rows("suite", "s", pl.DataFrame({"a": [n]})) for n in (1, 2))
    assert workspace.find("suite", "s")["id"] == second["id"]
    workspace.publish_rows("suite", "s", pl.DataFrame({"a": [1]}))
    assert workspace.find("suite", "s")["id"] == first["id"]


def test_rolling_back_follows_what_served_and_ends_at_the_first(workspace):
    for model in ("release:a", "release:b", "release:a"):
        workspace.catalog.set_champion(model, "released")
    assert [workspace.catalog.roll_back() for _ in range(3)] == ["release:b", "release:a", None]
    assert workspace.catalog.champions()[-1][0] == "release:a"


def test_an_event_from_the_future_does_not_move_a_watermark(workspace):
    past, future = NOON, datetime(2999, 1, 1, tzinfo=UTC)
    rows = [{"feedback_id": str(at), "raw_sha256": "x", "source": "t", "at": at} for at in (past, future)]
    workspace.write_batch("b", "ingest", {"feedback": pl.DataFrame(rows, schema=FEEDBACK)})
    assert workspace.watermarks(workspace.read("interactions"), workspace.read("feedback")) == {"t": past}


def test_an_unknown_artefact_lists_those_that_are_there(workspace):
    workspace.publish_rows("suite", "here", pl.DataFrame({"a": [1]}))
    with pytest.raises(ArtefactError, match=r"no suite 'gone'.*There: here@"):
        workspace.find("suite", "gone")


def test_a_living_holder_keeps_its_lease_and_is_named(workspace):
    code = (
        "import sys, time; from pathlib import Path;"
        "from clworkbench.workspace.catalog import Catalog; from clworkbench.workspace.leases import lease\n"
        "with lease(Catalog.open(Path(sys.argv[1])), 'ingest app', 'ingest'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    catalog = str(workspace.folder / "catalog.db")
    holder = subprocess.Popen([sys.executable, "-c", code, catalog], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(LeaseError, match=rf"ingest app: held by process {holder.pid}"),
        workspace.lease("ingest app", "x"),
    ):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with workspace.lease("ingest app", "ingest"):
        assert workspace.catalog.query("select pid from leases") == [(os.getpid(),)]
    assert workspace.catalog.query("select pid from leases") == []


def test_a_lease_of_another_host_is_kept_until_it_is_60_seconds_old(workspace):
    now = datetime.now(UTC)
    for age, is_free in ((50, False), (61, True)):
        renewed = (now - timedelta(seconds=age)).timestamp()
        with workspace.catalog.transaction() as db:
            db.execute("insert or replace into leases values ('x', 'elsewhere', 1, 0, 'train', ?)", (renewed,))
        if is_free:
            with workspace.lease("x", "train"):
                pass
        else:
            with pytest.raises(LeaseError, match="on elsewhere"), workspace.lease("x", "train"):
                pass


def test_settings_and_gitignore_of_an_existing_folder_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    (tmp_path / "clw.toml").write_text("format = 1\n[slices]\nmine = \"text = 'x'\"\n")
    assert Workspace.create(tmp_path).settings.slices == {"mine": "text = 'x'"}
    assert "catalog.db*" in (tmp_path / ".gitignore").read_text()


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    catalog = Catalog.create(tmp_path / "c.db", {})

    def spend_and_fail() -> None:
        with catalog.transaction() as db:
            catalog.spend("train", None, 1.0, 2.0)
            db.execute("insert into meta values ('format', null)")

    with pytest.raises(sqlite3.IntegrityError):
        spend_and_fail()
    assert catalog.spent() == {"seconds": 0.0, "cost_usd": 0.0}


@pytest.mark.parametrize("name", ["my project", "größe", "a#b?c", "写"])
def test_a_workspace_lives_in_a_folder_of_any_name(tmp_path, monkeypatch, name):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = Workspace.create(tmp_path / name / "w")
    row = {"label_id": "l", "interaction_id": "i"}
    workspace.write_batch("b", "labels", {"labels": pl.DataFrame([row], schema=LABELS).drop("batch_id")})
    assert Workspace(tmp_path / name / "w").read("labels")["label_id"].to_list() == ["l"]


def test_a_table_whose_bytes_were_lost_is_told_in_words(workspace):
    row = {"label_id": "l", "interaction_id": "i"}
    workspace.write_batch("b", "labels", {"labels": pl.DataFrame([row], schema=LABELS).drop("batch_id")})
    (file,) = (workspace.folder / "tables" / "labels").glob("*.parquet")
    file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(WorkspaceError, match="labels: a file of this table cannot be read"):
        workspace.read("labels")


@pytest.mark.parametrize("name", ["a%20b", "x[1]"])
def test_a_folder_that_delta_lake_cannot_read_is_refused_in_words(tmp_path, name):
    with pytest.raises(WorkspaceError, match="a workspace's path cannot hold"):
        Workspace.create(tmp_path / name)


def test_a_manifest_says_what_an_artefact_is(workspace):
    manifest = workspace.publish_rows("suite", "s", pl.DataFrame({"a": [1]}), about={"examples": 1}, config={"k": 1})
    on_disk = json.loads((workspace.artefact_folder(manifest["id"]) / "manifest.json").read_text())
    wanted = {"kind", "id", "created", "parents", "code_version", "config_sha256", "rows_sha256", "files"}
    wanted |= {"examples", "policy_sha256"}
    assert wanted == set(on_disk)
    assert set(on_disk["files"]) == {"rows.parquet"}


def answered(status: str, value: str | None, source: str, minutes: int) -> dict[str, object]:
    return {
        "label_id": f"{source}-{minutes}",
        "interaction_id": "s",
        "question": "answer",
        "annotator_key": "ann",
        "value": value,
        "status": status,
        "source": source,
        "at": NOON + timedelta(minutes=minutes),
    }


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([answered("submitted", "accept", "a", 1), answered("withdrawn", None, "a", 2)], ("withdrawn", None)),
        ([answered("withdrawn", None, "a", 2), answered("submitted", "reject", "a", 3)], ("submitted", "reject")),
        ([answered("submitted", "accept", "a", 1), answered("submitted", "x", "b", 2)], ("submitted", "x")),
        ([answered("submitted", "accept", "a", 1), answered("draft", "reject", "b", 2)], ("submitted", "accept")),
        ([answered("submitted", "accept", "a", 1), answered("discarded", None, "b", 2)], ("submitted", "accept")),
        ([answered("submitted", "accept", "a", 1), answered("draft", "x", "a", 2)], ("draft", "x")),
        ([answered("discarded", None, "a", 1), answered("withdrawn", None, "b", 2)], ("discarded", None)),
        (
            [
                answered("submitted", "accept", "a", 1),
                answered("submitted", "x", "b", 2),
                answered("withdrawn", None, "b", 3),
            ],
            ("submitted", "accept"),
        ),
    ],
    ids=[
        "withdrawn",
        "given again",
        "latest of two sources",
        "draft in one of two sources",
        "discarded in one of two sources",
        "draft again in the same source",
        "discarded in one and withdrawn in the other",
        "withdrawn in one of two sources",
    ],
)
def test_the_latest_answer_counts_and_what_is_not_submitted_takes_back_that_sources_alone(workspace, rows, expected):
    frame = pl.DataFrame(rows, schema=LABELS).drop("batch_id")
    workspace.write_batch("b", "labels", {"labels": frame})

    assert workspace.labels().select("status", "value").rows() == [expected]


def test_what_an_annotator_answers_blindly_does_not_replace_what_the_same_one_made_known(workspace):
    rows = [
        answered("submitted", "accept", "gold", 1),
        answered("submitted", "reject", "argilla/review", 2),
        answered("submitted", "reject", None, 3),
    ]
    frame = pl.DataFrame(rows, schema=LABELS).drop("batch_id")
    workspace.write_batch("b", "labels", {"labels": frame})
    known = answered("submitted", "reject", "gold", 4) | {"label_id": "mended"}

    assert workspace.labels().sort("at").select("source", "value").rows() == [("gold", "accept"), (None, "reject")]
    workspace.write_batch("c", "labels", {"labels": pl.DataFrame([known], schema=LABELS).drop("batch_id")})

    assert workspace.labels().sort("at").select("source", "value").rows() == [(None, "reject"), ("gold", "reject")]


def test_what_a_batch_settles_stands_if_and_only_if_its_rows_count(workspace):
    frame = pl.DataFrame([answered("submitted", "accept", "a", 1)], schema=LABELS).drop("batch_id")
    brought = []

    def settle(fresh):
        workspace.catalog.spend("label", "b", 0.0, 2.0)
        brought.append(fresh["labels"].height)
        if len(brought) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workspace.write_batch("b", "labels", {"labels": frame}, settle=settle)
    assert (workspace.counts()["labels"], workspace.catalog.spent()["cost_usd"]) == (0, 0.0)
    workspace.write_batch("b", "labels", {"labels": frame}, settle=settle)
    assert (workspace.counts()["labels"], workspace.catalog.spent()["cost_usd"]) == (1, 2.0)
    assert brought == [1, 1]
