"""What is held out of a built training set, by group and by time, and what its manifest says of leaks."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

import clworkbench as clw
from clworkbench.audit.checks import audit
from clworkbench.errors import ArtefactError, EvidenceError, SettingsError
from clworkbench.settings import parse_settings
from clworkbench.training_sets import planted as planting
from clworkbench.workspace import Workspace

START = datetime(2026, 3, 2, tzinfo=UTC)
SETTINGS = """\
format = 1
[policy]
redaction = "off"
leaving = "patterns"
[sources.app]
format = "openai"
[outcomes]
corrected = { negative = "edited", positive = "accepted" }
[training]
holdout = 0.3
"""


def chat(day: int) -> dict[str, object]:
    """One conversation a day; that of day 12 goes on on day 18, and nobody says anything about day 20."""
    at = (START + timedelta(days=day)).isoformat()
    asked = f"The {day} lamps of room {day} went out, and {day} people sit in the dark"
    verdict = {"name": "accepted", "origin": "operator", "at": at}
    return {
        "id": f"log:{day}",
        "created": at,
        "conversation_id": f"talk {12 if day == 18 else day}",
        "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": f"Fuse {day}."}],
        "feedback": [verdict] if day < 20 else [],
    }


@pytest.fixture
def desk(tmp_path, monkeypatch) -> Callable[[str], Workspace]:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))

    def make(more: str) -> Workspace:
        workspace = Workspace.create(tmp_path / "w", settings=SETTINGS + more, key=b"k" * 32)
        log = tmp_path / "log.jsonl"
        log.write_text("".join(json.dumps(chat(day)) + "\n" for day in range(21)))
        clw.ingest(workspace, log, "app")
        return workspace

    return make


def test_the_newest_days_and_conversations_that_reach_into_them_are_held_out(desk):
    workspace = desk('forward = "5d"\n')
    made = clw.build(workspace, "main")
    # The latest settled signal is from day 19: the cut is at the start of day 14.
    assert made.manifest["leakage"]["cut"] == (START + timedelta(days=14)).isoformat()
    ahead = {row["at"].day - START.day for row in made.frame.iter_rows(named=True) if row["split"] == "forward"}
    assert ahead == {12, 14, 15, 16, 17, 18, 19}
    assert made.built.splits["forward"] == 7
    assert audit(workspace, "main").ok, audit(workspace, "main").lines()
    assert clw.build(workspace, "main").id == made.id


def test_the_side_of_a_conversation_by_its_hash_is_the_same_with_and_without_a_cut(desk):
    workspace = desk("")
    before = dict(clw.build(workspace, "main").frame.select("row_id", "split").iter_rows())
    file = workspace.folder / "clw.toml"
    file.write_text(file.read_text() + 'forward = "5d"\n')
    after = dict(clw.build(Workspace(workspace.folder), "main").frame.select("row_id", "split").iter_rows())
    assert set(before.values()) == {"train", "holdout"}
    assert {row: side for row, side in after.items() if side != "forward"}.items() <= before.items()


def test_a_cut_before_all_signals_leaves_nothing_to_train_on_and_says_so(desk):
    with pytest.raises(EvidenceError, match=r"lower \[training\] holdout or forward"):
        clw.build(desk('forward = "900d"\n'), "main")


def test_a_manifest_says_what_was_searched_and_that_the_search_can_fail(desk):
    told = clw.build(desk(""), "main").manifest["leakage"]
    assert (told["examples"], told["found"], told["cut"]) == (0, 0, None)
    assert told["holdout_rows"] > 0
    assert set(told["checked"].values()) == {0}
    assert set(told["planted"].values()) == {True}


def test_a_set_is_refused_whose_search_misses_a_planted_leak(desk, monkeypatch):
    workspace = desk("")
    seeing = planting.search
    monkeypatch.setattr(
        planting, "search", lambda *a, **k: [found for found in seeing(*a, **k) if found.kind != "leak_quoted"]
    )
    with pytest.raises(ArtefactError, match=r"leak_quoted by proof.*\n.*Nothing was written"):
        clw.build(workspace, "main")
    assert workspace.catalog.artefacts("training_set") == []


def test_a_set_is_refused_in_which_the_proof_finds_a_row_and_the_message_names_it(desk, monkeypatch):
    workspace = desk("")
    asked = chat(3)["messages"][0]["content"]
    file = workspace.folder / "suite.jsonl"
    file.write_text(json.dumps({"id": "third", "input": asked, "expected": "Fuse."}) + "\n")
    clw.freeze_suite(workspace, "held", file)
    assert clw.build(workspace, "main").built.dropped["leak_exact"] == 1
    blind = "clworkbench.training_sets.descent.leaks"
    monkeypatch.setattr(blind, lambda rows, *_, **__: rows["row_id"].replace_strict({}, default=None))
    with pytest.raises(ArtefactError, match=r"row [0-9a-f]{32} shows \w+ \(leak_exact\)"):
        clw.build(workspace, "other")


@pytest.mark.parametrize("length", ["0d", "a week"])
def test_a_stretch_that_is_none_is_refused(length):
    with pytest.raises(SettingsError, match="forward"):
        parse_settings(f'format = 1\n[training]\nforward = "{length}"\n')
