import json
import os
import signal
from pathlib import Path

import polars as pl
import pytest

from clworkbench.settings import Source
from clworkbench.signals import cores
from clworkbench.signals.cores import read_on_cores
from clworkbench.signals.reading import Chunk, read
from tests.signals.whole import KEY

DESK = Source("desk")


def chats(path: Path, n: int, **more: object) -> Path:
    with path.open("w") as file:
        for number in range(n):
            if number % 9 == 4:
                file.write("\n" if number % 2 else "{half\n")
            answer = {"role": "assistant", "content": f"answer {number} " + "so " * (number % 50)}
            file.write(json.dumps({"id": f"c-{number}", "messages": [answer]} | more) + "\n")
    return path


def rows(chunks: list[Chunk]) -> tuple[pl.DataFrame, pl.DataFrame]:
    whole = [pl.concat(frames) for frames in zip(*((c.interactions, c.quarantine) for c in chunks), strict=True)]
    return whole[0].drop("record"), whole[1]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "WORTH_IT", 0)
    monkeypatch.setattr(cores, "STEP", 3000)


def test_two_cores_give_what_one_gives_in_the_same_order(tmp_path: Path) -> None:
    path = chats(tmp_path / "a.jsonl", 200)
    one, two = list(read(path, DESK, KEY, chunk_bytes=3000)), list(read_on_cores(path, DESK, KEY, cores=2))
    assert len(two) > 3
    assert [c.records for c in one] == [c.records for c in two]
    for mine, theirs in zip(rows(one), rows(two), strict=True):
        assert mine.equals(theirs)


def test_they_go_on_from_where_a_file_has_grown(tmp_path: Path) -> None:
    path = chats(tmp_path / "a.jsonl", 100)
    start = sum(len(line) for line in path.read_bytes().splitlines(keepends=True)[:40])
    one, two = list(read(path, DESK, KEY, start=start)), list(read_on_cores(path, DESK, KEY, start=start, cores=2))
    assert rows(one)[0].equals(rows(two)[0])
    assert two[0].start == start


def test_records_without_ids_are_numbered_over_the_whole_file_all_the_same(tmp_path: Path) -> None:
    path = chats(tmp_path / "a.jsonl", 60)
    line = json.dumps({"messages": [{"role": "assistant", "content": "the same"}]}) + "\n"
    path.write_text(path.read_text() + line * 200)
    one, two = list(read(path, DESK, KEY)), list(read_on_cores(path, DESK, KEY, cores=2))
    assert rows(one)[0].equals(rows(two)[0])
    assert rows(two)[0]["interaction_id"].n_unique() == 260


def test_a_worker_that_dies_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = chats(tmp_path / "a.jsonl", 300)
    started = cores._started

    def doomed() -> object:
        worker = started()
        if not hasattr(doomed, "done"):
            doomed.done = True  # type: ignore[attr-defined]
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
        return worker

    monkeypatch.setattr(cores, "_started", doomed)
    two = list(read_on_cores(path, DESK, KEY, cores=2))
    assert rows(list(read(path, DESK, KEY)))[0].equals(rows(two)[0])


def test_a_module_in_the_folder_at_hand_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = chats(tmp_path / "a.jsonl", 100)
    (tmp_path / "polars.py").write_text("open('run', 'w').close(); raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert sum(c.interactions.height for c in read_on_cores(path, DESK, KEY, cores=2)) == 100
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv"])
def test_what_cannot_be_cut_is_read_by_one(tmp_path: Path, name: str) -> None:
    import gzip

    raw = chats(tmp_path / "a.jsonl", 5).read_bytes()
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith("gz") else b"id,messages\n1,[]\n2,[]\n")
    assert sum(c.interactions.height for c in read_on_cores(path, DESK, KEY, cores=2)) == (5 if "gz" in name else 2)
