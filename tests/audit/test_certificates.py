"""Certificates: chained, whole to the byte, checked away from their workspace and against it."""

import json
import random
import shutil
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from clworkbench.audit.asked import asked
from clworkbench.audit.certificates import check
from clworkbench.audit.forget import forget
from clworkbench.audit.roots import root
from clworkbench.errors import ForgetError
from clworkbench.schemas import FEEDBACK, INTERACTIONS
from clworkbench.workspace import Workspace

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def workspace(two_forgotten: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    shutil.copytree(two_forgotten, tmp_path / "w")
    return Workspace(tmp_path / "w")


@pytest.fixture(scope="session")
def two_forgotten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six interactions, two of which were forgotten one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_KEY", "6b" * 32)
        workspace = six_of_which_two_go(tmp_path_factory.mktemp("certified") / "w")
    workspace.catalog.close()
    return workspace.folder


def six_of_which_two_go(folder: Path) -> Workspace:
    workspace = Workspace.create(folder)
    rows = [
        {"interaction_id": f"{n:032x}", "source_id": f"own-{n}", "source": "app", "raw_sha256": "x", "started_at": NOON}
        for n in range(6)
    ]
    said = [
        {"feedback_id": f"{n + 99:032x}", "target_id": f"{n:032x}", "target_kind": "interaction", "raw_sha256": "y"}
        for n in range(6)
    ]
    frames = {"interactions": pl.DataFrame(rows, schema=INTERACTIONS), "feedback": pl.DataFrame(said, schema=FEEDBACK)}
    workspace.write_batch("b", "ingest", {name: rows.drop("batch_id") for name, rows in frames.items()})
    for n in (1, 4):
        assert forget(workspace, asked(datetime.now(UTC), interactions=(f"own-{n}",)))
    return workspace


def failed(path: Path) -> set[str]:
    return {each.name for each in check(path) if not each.ok}


def places(workspace: Workspace) -> list[Path]:
    return sorted((workspace.folder / "certificates").iterdir())


def test_what_was_written_holds_and_needs_no_key(workspace, monkeypatch):
    monkeypatch.delenv("CLW_KEY")
    first, second = places(workspace)
    assert [each.name for each in check(first)] == [
        "hash", "chain", "counts", "issued", "all there", "tombstones", "gone", "rebuilt"
    ]  # fmt: skip
    assert failed(first) == failed(second) == set()
    told = json.loads(second.read_text())
    assert told["before"]["interactions"]["rows"] == 5
    assert told["after"]["interactions"]["rows"] == 4
    assert told["previous_sha256"] == json.loads(first.read_text())["sha256"]


def test_its_hash_is_that_of_its_text_without_it(workspace):
    text = places(workspace)[0].read_text()
    whole = json.loads(text)
    own = whole.pop("sha256")
    assert sha256((json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode()).hexdigest() == own


def test_it_is_checked_away_from_its_workspace(workspace, tmp_path):
    shutil.copytree(workspace.folder / "certificates", tmp_path / "mailed")
    found = check(tmp_path / "mailed" / "0001.json")
    assert [(each.name, each.ok) for each in found] == [("hash", True), ("chain", True), ("counts", True)]


def test_every_changed_byte_of_any_certificate_is_found_from_any_of_them(workspace, tmp_path):
    shutil.copytree(workspace.folder / "certificates", tmp_path / "mailed")
    first, second = sorted((tmp_path / "mailed").iterdir())
    for path in (first, second):
        raw = path.read_bytes()
        for at in range(0, len(raw), 29):
            for changed in (bytes([raw[at] ^ 1]), b"", raw[at : at + 1] + b" "):
                path.write_bytes(raw[:at] + changed + raw[at + 1 :])
                try:
                    wrong = failed(first)
                except ForgetError:
                    wrong = {"unreadable"}
                assert wrong & {"chain", "unreadable"}, (path.name, at, changed)
        path.write_bytes(raw)
    assert failed(first) == failed(second) == set()


def test_a_missing_certificate_breaks_the_chain_or_is_missed_at_its_end(workspace):
    first, second = places(workspace)
    kept = second.read_bytes()
    second.unlink()
    assert failed(first) == {"all there"}
    second.write_bytes(kept)
    first.unlink()
    assert failed(second) == {"chain", "all there"}


def test_one_that_was_written_anew_with_other_numbers_is_not_the_one_issued(workspace):
    _, second = places(workspace)
    whole = json.loads(second.read_text())
    whole["rows"]["interactions"] = 0
    whole["after"]["interactions"] = whole["before"]["interactions"]
    del whole["sha256"]
    whole["sha256"] = sha256((json.dumps(whole, indent=2, ensure_ascii=False) + "\n").encode()).hexdigest()
    second.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
    assert failed(second) == {"issued"}
    whole["before"]["feedback"]["rows"] = 9
    second.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
    assert failed(second) == {"hash", "chain", "counts", "issued"}


def test_rows_that_came_back_and_tombstones_that_went_are_found(workspace):
    first, second = places(workspace)
    row = pl.DataFrame([{"interaction_id": f"{1:032x}", "batch_id": "b"}], schema=INTERACTIONS)
    workspace.tables.append("interactions", row)
    assert failed(first) == {"gone"}
    assert failed(second) == set()
    with workspace.catalog.transaction() as db:
        db.execute("delete from tombstones where forget = 2 and kind = 'feedback'")
    assert failed(second) == {"tombstones"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "record"}', "[" * 100_000, "\ufeff{}"])
def test_what_is_no_certificate_is_refused_in_words(tmp_path, text):
    path = tmp_path / "0001.json"
    path.write_text(text)
    with pytest.raises(ForgetError, match=r"0001\.json: (cannot be read as JSON|JSON, but no certificate)"):
        check(path)
    with pytest.raises(ForgetError, match="not there"):
        check(tmp_path / "0002.json")


def test_a_root_is_the_hash_over_the_sorted_keys_of_the_rows_that_count(workspace, monkeypatch):
    keys = sorted(f"{n:032x}\x1fx" for n in (0, 2, 3, 5))
    wanted = sha256("".join(f"{key}\n" for key in keys).encode()).hexdigest()
    assert root(workspace, "interactions") == (4, wanted)
    monkeypatch.setattr("clworkbench.audit.roots.AT_ONCE", 1)  # in parts, as of millions of rows
    assert root(workspace, "interactions") == (4, wanted)
    assert root(workspace, "labels") == (0, sha256(b"").hexdigest())


HOSTILE = {
    "without its number": lambda whole: whole.pop("number"),
    "a number as text": lambda whole: whole.update(number="1"),
    "a number beyond all": lambda whole: whole.update(number=10**30),
    "without its chain": lambda whole: whole.pop("previous_sha256"),
    "without its hash": lambda whole: whole.pop("sha256"),
    "counts in a list": lambda whole: whole.update(rows=[1, 2], before=[], after=3),
    "counts of nothing": lambda whole: whole.update(rows={"interactions": None}),
    "no sets": lambda whole: whole.pop("rebuilt"),
    "sets by number": lambda whole: whole.update(rebuilt=[1, "two", None]),
    "a set elsewhere": lambda whole: whole.update(rebuilt=[{"from": "training_set:../../..", "to": "x"}]),
    "a set of no kind": lambda whole: whole.update(rebuilt=[{"from": "cat:one", "to": "suite:one@1"}]),
    "tombstones in a list": lambda whole: whole.update(tombstones=[[]]),
    "half a character": lambda whole: whole.update(policy_sha256="\ud800"),
    "not a number": lambda whole: whole.update(begun_at=float("nan")),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_content_is_a_failed_check_and_never_an_error(workspace, what):
    first, second = places(workspace)
    whole = json.loads(second.read_text())
    HOSTILE[what](whole)
    second.write_text(json.dumps(whole, indent=2) + "\n")
    assert failed(second) >= {"hash", "chain"}
    assert ("form" in failed(second)) == (what not in {"without its chain", "half a character", "not a number"})
    assert failed(first) == {"chain"}


def said_of(path: Path) -> set[str]:
    try:
        return failed(path)
    except ForgetError:
        return {"refused"}


@pytest.mark.parametrize("depth", [100, 500, 900, 5_000])
def test_lists_in_lists_are_a_failed_check_or_refused_in_words(workspace, depth):
    _, second = places(workspace)
    text = second.read_text()
    second.write_text(text.replace('"champion": {', '"deep": ' + "[" * depth + "]" * depth + ', "champion": {'))
    assert said_of(second) >= {"hash", "chain"} or said_of(second) == {"refused"}


def test_three_hundred_changed_bytes_beside_the_workspace_are_each_found(workspace):
    first, second = places(workspace)
    raw, drawn = second.read_bytes(), random.Random(12)
    for _ in range(300):
        at, byte = drawn.randrange(len(raw)), drawn.randrange(1, 256)
        second.write_bytes(raw[:at] + bytes([raw[at] ^ byte]) + raw[at + 1 :])
        assert said_of(second) & {"hash", "refused"}, (at, byte)
    second.write_bytes(raw)
    assert failed(first) == failed(second) == set()
