"""Repeated failures of a workspace, by near-duplicates and by clusters."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clworkbench.errors import ClwError, SettingsError
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.slices.repeated import repeated
from clworkbench.loop.slices.slices import discover
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
    monkeypatch.setattr("clworkbench.loop.slices.topics.MANY", 2)
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


@pytest.mark.parametrize("days", [0, -1, float("nan"), float("inf"), 1e12])
def test_days_that_are_no_length_of_time_are_refused(place: Workspace, days: float):
    with pytest.raises(ClwError, match=r"days: .* is not above 0"):
        repeated(place, days=days)


def test_a_cache_of_vectors_lies_outside_of_the_workspace(place: Workspace, tmp_path: Path):
    (tmp_path / "link").symlink_to(place.folder)
    for inside in (place.folder, place.folder / "cache", tmp_path / "link" / "cache"):
        with pytest.raises(ClwError, match="lies in the workspace"):
            repeated(place, by="clusters", model="hashed", cache=inside)
    assert not (place.folder / "cache").exists()
    assert repeated(place, by="clusters", model="hashed", k=2, cache=tmp_path / "beside").frame.height == 1


def test_topics_that_go_wrong_are_found_by_their_clusters(place: Workspace, monkeypatch):
    monkeypatch.setattr("clworkbench.loop.slices.topics.MANY", 2)  # hashed vectors, not the model's
    texts = ["the parcel with my shoes is late again", "my invoice shows a wrong amount", "how do I change a password"]
    ends = ("at home", "at work", "since monday", "for my sister", "in the new shop", "as ever", "to this day")
    rows = []
    for number in range(1200):
        verdict = "edited" if number % 3 == 1 and number % 2 else "accepted"
        said = f"{texts[number % 3]} {ends[number % 7]}"
        chat = [{"role": "user", "content": said}, {"role": "assistant", "content": "soon"}]
        at = (START + timedelta(minutes=number)).isoformat()
        feedback = [{"name": verdict, "origin": "operator", "at": at}]
        rows.append({"id": f"topic:{number}", "created": at, "messages": chat, "feedback": feedback})
    write_lines(place.folder / "inbox" / "april.jsonl", rows)
    ingest(place, place.folder / "inbox", "app")
    found = discover(place, by=[], topics=True)
    assert "invoice" in found.slices[0].code()
    assert found.slices[0].mean == pytest.approx(0.5, abs=0.1)
