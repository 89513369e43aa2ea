import gzip
import json
from hashlib import sha256
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from clworkbench.errors import SourceError
from clworkbench.settings import Source
from clworkbench.signals import containers, reading
from clworkbench.signals.containers import container
from tests.signals.whole import read_whole

CHATS = [
    {"id": str(n), "messages": [{"role": "user", "content": f"café {n}"}, {"role": "assistant", "content": "yes"}]}
    for n in range(3)
]
LINES = b"".join(json.dumps(chat).encode() + b"\n" for chat in CHATS)
DESK = Source("desk")


def ids(path: Path) -> list[str | None]:
    return read_whole(path, DESK).interactions["source_id"].to_list()


def zstd(raw: bytes) -> bytes:
    return pa.compress(raw, codec="zstd", asbytes=True)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.jsonl", LINES),
        ("a.jsonl.gz", gzip.compress(LINES)),
        ("members.gz", b"".join(gzip.compress(line + b"\n") for line in LINES.splitlines())),
        ("a.jsonl.zst", zstd(LINES)),
        ("frames.zst", b"".join(zstd(line + b"\n") for line in LINES.splitlines())),
        ("list.json", json.dumps(CHATS, indent=2, ensure_ascii=False).encode()),
        ("batches.jsonl", b"".join(json.dumps(part).encode() + b"\n" for part in (CHATS[:2], CHATS[2:]))),
        ("list-in-a-line.json", json.dumps(CHATS).encode()),
        ("marked.json", b"\xef\xbb\xbf" + json.dumps(CHATS, indent=1).encode()),
        ("list.json.gz", gzip.compress(json.dumps(CHATS, indent=2).encode())),
    ],
)
def test_the_same_records_are_read_however_they_are_packed(tmp_path: Path, name: str, raw: bytes) -> None:
    (tmp_path / name).write_bytes(raw)
    (tmp_path / "plain.jsonl").write_bytes(LINES)
    assert ids(tmp_path / name) == ["0", "1", "2"]
    plain, packed = (read_whole(tmp_path / file, DESK).interactions for file in ("plain.jsonl", name))
    assert plain.equals(packed)


def test_an_object_over_many_lines_is_one_record(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(CHATS[1], indent=2))
    assert ids(tmp_path / "one.json") == ["1"]


def test_a_broken_first_line_does_not_make_lines_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id": "half", "mess\n' + LINES)
    whole = read_whole(tmp_path / "a.jsonl", DESK)
    assert whole.interactions["source_id"].to_list() == ["0", "1", "2"]
    assert whole.quarantine["offset"].to_list() == [0]


def test_an_element_of_a_list_is_found_where_quarantine_says(tmp_path: Path) -> None:
    raw = b'[\n  {"id": "0", "messages": []},\n  {"id": "1", "messages": 7}\n]'
    (tmp_path / "a.json").write_bytes(raw)
    [row] = read_whole(tmp_path / "a.json", DESK).quarantine.to_dicts()
    element = raw[row["offset"] : row["offset"] + row["length"]]
    assert element == b'{"id": "1", "messages": 7}'
    assert row["sha256"] == sha256(element).hexdigest()


def test_a_bomb_is_stopped_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MOST_UNPACKED", 1 << 20)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(LINES + b" " * (20 << 20)))
    with pytest.raises(SourceError, match=r"unpacks to more than [\d,]+ bytes"):
        read_whole(tmp_path / "bomb.gz", Source("desk", format="openai"))


def test_a_packed_file_that_ends_in_the_middle_gives_what_it_holds_and_says_so(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(json.dumps(CHATS[0] | {"id": str(n)}).encode() + b"\n" for n in range(50_000)))
    (tmp_path / "half.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"packed, and damaged after [\d,]{4,} bytes of what it holds"):
        read_whole(tmp_path / "half.gz", Source("desk", format="openai"))


@pytest.mark.parametrize("ending", ["file", "stream"])
def test_arrow_is_read_as_rows(tmp_path: Path, ending: str) -> None:
    table = pl.DataFrame(CHATS).to_arrow()
    with pa.OSFile(str(tmp_path / "data.arrow"), "wb") as sink:
        opened = pa.ipc.new_file if ending == "file" else pa.ipc.new_stream
        with opened(sink, table.schema) as writer:
            writer.write_table(table)
    assert ids(tmp_path / "data.arrow") == ["0", "1", "2"]


def test_a_parquet_file_of_a_known_format_needs_no_mapping(tmp_path: Path) -> None:
    pl.DataFrame(CHATS).write_parquet(tmp_path / "rows.parquet")
    assert ids(tmp_path / "rows.parquet") == ["0", "1", "2"]


def test_a_csv_file_of_a_known_format_needs_no_mapping(tmp_path: Path) -> None:
    rows = [{"id": chat["id"], "messages": json.dumps(chat["messages"])} for chat in CHATS]
    pl.DataFrame(rows).write_csv(tmp_path / "rows.csv", separator=";")
    assert ids(tmp_path / "rows.csv") == ["0", "1", "2"]


def test_a_list_too_deep_to_be_read_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_bytes(b"[" * 200_000)
    with pytest.raises(SourceError, match="one JSON value, and not a valid one"):
        read_whole(tmp_path / "deep.json", Source("desk", format="openai"))


def test_gzip_with_a_broken_block_is_refused_in_words(tmp_path: Path) -> None:
    raw = bytearray(gzip.compress(LINES))
    raw[10] = 0xFF
    (tmp_path / "a.gz").write_bytes(bytes(raw))
    with pytest.raises(SourceError, match="packed, and damaged"):
        read_whole(tmp_path / "a.gz", Source("desk", format="openai"))


def test_a_parquet_file_with_two_columns_of_one_name_is_refused_in_words(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table([[1], [2]], names=["id", "id"]), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="not a Parquet file that can be read"):
        read_whole(tmp_path / "a.parquet", DESK)


def test_a_chunk_of_a_table_ends_where_its_rows_have_grown_heavy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HEAVIEST", 50_000)
    rows = [{"id": str(n), "messages": [{"role": "assistant", "content": "x" * 20_000}]} for n in range(10)]
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    assert read_whole(tmp_path / "a.parquet", DESK).spans == [(0, 3), (3, 6), (6, 9), (9, 10)]


def test_a_document_larger_than_memory_should_hold_is_read_from_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "MOST_IN_MEMORY", 100)
    (tmp_path / "a.json").write_text(json.dumps(CHATS, indent=1))
    assert ids(tmp_path / "a.json") == ["0", "1", "2"]


def test_lines_above_the_header_are_passed_over_when_a_format_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("Export,,\nid,messages,note\n1,[],x\n")
    whole = read_whole(tmp_path / "rows.csv", Source("desk", skip_lines=1))
    assert whole.interactions["source_id"].to_list() == ["1"]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id,messages,id\n1,[],2\n")
    with pytest.raises(SourceError, match="more than one column is named 'id'"):
        read_whole(tmp_path / "rows.csv", DESK)


def test_each_kind_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    made = {"lines": LINES, "document": b"[]", "csv": b"a,b\n1,2\n"}
    for kind, raw in made.items():
        (tmp_path / kind).write_bytes(raw)
        assert container(tmp_path / kind).kind == kind
