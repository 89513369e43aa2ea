"""Repeated failures of a workspace, by near-duplicates and by clusters."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clworkbench.errors import SettingsError
from clworkbench.loop.capture import ingest
from clworkbench.loop.repeated import repeated
from clworkbench.workspace import Workspace
from tests.tiny_workspace import write_lines

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEXTS = ("where is my parcel {n}, it is late", "when does my parcel come, nothing moves since day {n}", "thanks {n}")
SETTINGS = """\
format = 1
[sources.app]
format = "openai"
paths = "inbox/*.jsonl"
[outcomes]
corrected = { negative = "edited", positive = "accepted" }
[slices]
thanks = "text LIKE 'thanks%'"
"""


def record(number: int) -> dict[str, object]:
    """Every other parcel's answer was edited; the last three are pending."""
    at = START + timedelta(hours=8 * number)
    wrong = number % 3 < 2 and number % 2 == 0
    verdict = {"name": "edited" if wrong else "accepted", "origin": "operator", "at": at.isoformat()}
    return {
        "id": f"log:{number}",
        "created": at.isoformat(),
        "messages": [
            {"role": "user", "content": TEXTS[number % 3].format(n=number)},
            {"role": "assistant", "content": "soon"},
        ],
        "feedback": [verdict] if number < 57 else [],
    }


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    folder = tmp_path / "w"
    workspace = Workspace.create(folder, settings=SETTINGS, key=b"k" * 32)
    write_lines(folder / "inbox" / "march.jsonl", [record(number) for number in range(60)])
    ingest(workspace, folder / "inbox", "app")
    return workspace


def test_near_duplicates_that_fail_again_are_counted(place: Workspace):
    found = repeated(place)
    assert found.frame.select("n", "pending", "failures").rows() == [(19, 1, 10), (19, 1, 9)]
    assert {row["example"] for row in found.frame.iter_rows(named=True)} <= set(place.signals()["interaction_id"])
    assert "19 of 57 settled signals failed" in repr(found)


def test_clusters_gather_what_is_said_in_other_words(place: Workspace):
    found = repeated(place, by="clusters", model="hashed", k=2)
    # Both ways of asking for the parcel share a cluster; thanks never failed.
    assert found.frame.select("n", "failures").rows() == [(38, 19)]
    assert found.grouped_by == "clusters (hashed; 2 asked for)"


def test_for_many_texts_hashed_vectors_are_the_default(place: Workspace, monkeypatch):
    monkeypatch.setattr("clworkbench.loop.repeated.MANY", 2)
    assert repeated(place, by="clusters").grouped_by.startswith("clusters (hashed; not enough data")


def test_a_slice_and_a_moment_narrow_what_is_counted(place: Workspace):
    assert repeated(place, "thanks").frame.is_empty()
    early = repeated(place, as_of=START + timedelta(days=5), event_time=True)
    assert early.n == 16  # five days of one every eight hours, the first and the last counted
    with pytest.raises(SettingsError, match="no slice 'thank'"):
        repeated(place, "thank")


def test_an_empty_workspace_says_that_nothing_is_settled(tmp_path: Path):
    empty = Workspace.create(tmp_path / "w", settings=SETTINGS, key=b"k" * 32)
    for by in ("duplicates", "clusters"):
        assert "nothing is settled yet" in repr(repeated(empty, by=by, model="hashed"))
