from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clworkbench.errors import SettingsError, SourceError
from clworkbench.schemas import FEEDBACK, INTERACTIONS, QUARANTINE
from clworkbench.settings import Source
from clworkbench.signals import containers
from clworkbench.signals.reading import read
from clworkbench.signals.rows import Occurrences
from tests.signals.whole import KEY, read_whole

ASKED = {"role": "user", "content": "hi"}
SAID = {"role": "assistant", "content": "hello"}
CHAT = {"id": "1", "messages": [ASKED, SAID]}
DESK = Source("desk", format="openai")


def write(path: Path, *lines: bytes, end: bytes = b"\n") -> Path:
    path.write_bytes(b"\n".join(lines) + end)
    return path


def sorted_(record: dict[str, str]) -> dict[str, str]:
    return dict(sorted(record.items()))


def encode(*records: object) -> list[bytes]:
    return [msgspec.json.encode(record) for record in records]


def test_frames_have_the_tables_columns_in_order_and_the_record_at_the_end(tmp_path: Path) -> None:
    bad = b"{"
    [chunk] = read(write(tmp_path / "a", *encode(CHAT), bad), DESK, KEY)
    for frame, schema in ((chunk.interactions, INTERACTIONS), (chunk.feedback, FEEDBACK)):
        wanted = {name: dtype for name, dtype in schema.items() if name != "batch_id"} | {"record": pl.UInt32()}
        assert frame.schema == pl.Schema(wanted)
        assert frame.columns == list(wanted)
    assert chunk.quarantine.columns == [name for name in QUARANTINE if name != "batch_id"]
    assert chunk.records == 2


def test_a_record_cut_in_the_middle_goes_to_quarantine_with_its_place(tmp_path: Path) -> None:
    good, half = encode(CHAT)[0], b'{"id": "2", "messages": [{"ro'
    path = write(tmp_path / "a.jsonl", good, half, end=b"")
    whole = read_whole(path, DESK)
    assert len(whole.interactions) == 1
    [row] = whole.quarantine.to_dicts()
    assert row == {
        "source": "desk",
        "file": path.as_posix(),
        "offset": len(good) + 1,
        "length": len(half),
        "sha256": sha256(half).hexdigest(),
        "reason": f"not valid JSON at byte {len(half)}: it ends in the middle",
    }
    assert path.read_bytes()[row["offset"] : row["offset"] + row["length"]] == half


def test_a_last_line_without_an_end_counts_when_it_is_whole(tmp_path: Path) -> None:
    assert read_whole(write(tmp_path / "a", *encode(CHAT), end=b""), DESK).records == 1


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_are_no_records(tmp_path: Path) -> None:
    [line] = encode(CHAT)
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n   \n\t\n" + line.replace(b'"1"', b'"2"') + b"\r\n")
    whole = read_whole(path, Source("desk"))
    assert whole.records == len(whole.interactions) == 2
    assert whole.interactions["source_id"].to_list() == ["1", "2"]


def test_records_without_an_id_are_told_apart_by_content_and_occurrence(tmp_path: Path) -> None:
    first, second = encode({"messages": [sorted_(ASKED), sorted_(SAID)]}, {"messages": [ASKED]})
    before = read_whole(write(tmp_path / "a", first, first, second), DESK).interactions["interaction_id"]
    appended = read_whole(write(tmp_path / "a", first, first, second, first), DESK).interactions["interaction_id"]
    assert appended.n_unique() == 4
    assert appended.to_list()[:3] == before.to_list()
    assert before[1] == KEY.id("desk", "content", sha256(first).hexdigest(), "1")  # its keys are sorted


def test_occurrences_are_numbered_over_the_ends_of_chunks() -> None:
    occurrences = Occurrences()
    one, two = sha256(b"1").hexdigest(), sha256(b"2").hexdigest()
    numbers = []
    for digest in (one, one, two, one):
        numbers.append(occurrences.number(digest))
        occurrences.fold()
    assert numbers == [0, 1, 0, 2]
    assert occurrences.number(two) == 1


def test_chunks_end_with_the_line_that_reaches_a_multiple(tmp_path: Path) -> None:
    lines = [encode(CHAT)[0].ljust(99) for _ in range(7)]
    path = write(tmp_path / "a", *lines)
    assert read_whole(path, DESK, chunk_bytes=250).spans == [(0, 300), (300, 500), (500, 700)]
    assert read_whole(path, DESK, chunk_bytes=10).spans == [(n * 100, n * 100 + 100) for n in range(7)]


def test_the_record_index_counts_every_record_of_the_chunk(tmp_path: Path) -> None:
    lines = [b"{", *encode(CHAT), b"[]", *encode(CHAT)]
    whole = read_whole(write(tmp_path / "a", *lines), DESK)
    assert whole.interactions["record"].to_list() == [1, 3]


def test_a_line_too_long_for_memory_is_quarantined_with_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "LONGEST_RECORD", 1000)
    monkeypatch.setattr(containers, "PIECE", 300)
    long = b'{"x": "' + b"y" * 5000 + b'"}'
    whole = read_whole(write(tmp_path / "a", *encode(CHAT), long, *encode(CHAT)), DESK)
    assert whole.interactions["record"].to_list() == [0, 2]
    [row] = whole.quarantine.to_dicts()
    assert row["reason"] == f"a line of {len(long) + 1} bytes, more than 1000"
    assert row["sha256"] == sha256(long + b"\n").hexdigest()


HOSTILE = [
    b"null", b"0", b'"text"', b"[]", b"{}", b"\x00\x00", b"\xff\xfe", b"[" * 100_000, b'{"messages":' * 50_000,
    b'{"messages":NaN}', b'{"messages":[null]}', b'{"messages":[[]]}', b'{"messages":{"a":1}}', b'{"resourceSpans":5}',
    b'{"messages":[{"role":"user","content":"\\ud800"}]}', b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}',
    b'{"messages":[],"created":"12/31/2024"}', b'{"messages":[],"created":[]}', b'{"messages":[],"usage":7}',
    b'{"messages":[],"feedback":7}', b'{"messages":[],"feedback":[7]}', b'{"messages":[],"feedback":[{"at":{}}]}',
    b'{"messages":[],"feedback":[{"improvement":7}]}', b'{"messages":[],"feedback":[{"kind":"x"}]}',
    b'{"messages":[],"created":1e300}', b'{"request":{},"response":{}}', b'{"request":7,"response":{}}',
    b'{"function_name":1,"episode_id":2,"input":3}', b'{"metric_name":1,"target_id":{}}',
    b'{"inference_id":"a","value":5}', b'{"target_id":"a","target_type":[],"value":[]}', b'{"dataset_name":{}}',
]  # fmt: skip
TOLERATED = [
    b'{"messages":[],"id":{"a":1},"model":[],"user":{},"latency_ms":"fast","metadata":[7],"tools":7}',
    b'{"messages":[{"role":"user","content":"a\\u0000b"}],"usage":{"prompt_tokens":99999999999999999999}}',
    b'{"messages":[{"role":"user","content":[7,null,{"type":7}]}],"confidence":"NaN","feedback":[{"score":"up"}]}',
    b'{"messages":[],"metadata":' + b'{"user":' * 300 + b"1" + b"}" * 300 + b"}",
]


@pytest.mark.parametrize("format_", ["openai", "otlp", "tensorzero", "mapping"])
@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_line_is_quarantined_or_skipped_and_its_neighbours_are_read(
    tmp_path: Path, line: bytes, format_: str
) -> None:
    neighbour = {
        "openai": CHAT,
        "otlp": {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [], "events": []}]}]}]},
        "tensorzero": {"metric_name": "m", "target_id": "t", "value": True},
        "mapping": {"messages": "hi"},
    }[format_]
    source = Source("desk", format=format_, columns={"messages": "input"} if format_ == "mapping" else {})
    whole = read_whole(write(tmp_path / "a", *encode(neighbour), line, *encode(neighbour)), source)
    assert whole.records == 3
    told = whole.quarantine["reason"].to_list() + list(whole.skipped)
    assert format_ == "mapping" or told
    assert len(whole.interactions) + len(whole.feedback) + len(whole.quarantine) + whole.skipped.total() == 3


@pytest.mark.parametrize("line", TOLERATED, ids=range(len(TOLERATED)))
def test_odd_values_in_fields_that_matter_less_are_kept_and_noted(tmp_path: Path, line: bytes) -> None:
    whole = read_whole(write(tmp_path / "a", line), DESK)
    assert len(whole.interactions) == 1
    assert whole.quarantine.is_empty()


GOOD = st.builds(
    lambda n, said: msgspec.json.encode({"id": n, "messages": [ASKED, {"role": "assistant", "content": said}]}),
    st.one_of(st.none(), st.integers(0, 5)),
    st.text(st.characters(codec="utf-8"), max_size=20),
)
SPANS = st.builds(
    lambda n: msgspec.json.encode(
        {"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": f"{i}"} for i in range(n)]}]}]}
    ),
    st.integers(0, 4),
)
GARBAGE = st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"?"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(GOOD, GARBAGE, SPANS), min_size=1, max_size=30), st.integers(1, 500), st.booleans())
def test_counts_add_up_and_the_size_of_chunks_changes_nothing(
    tmp_path: Path,
    lines: list[bytes],
    chunk_bytes: int,
    spans: bool,  # noqa: FBT001 (drawn by hypothesis)
) -> None:
    path = write(tmp_path / "mixed", b"x", *lines)
    source = Source("s", format="otlp" if spans else "openai")
    whole, pieces = read_whole(path, source), read_whole(path, source, chunk_bytes)
    for read_ in (whole, pieces):
        assert read_.records == len(read_.interactions) + len(read_.quarantine) + read_.skipped.total()
    assert whole.interactions.drop("record").equals(pieces.interactions.drop("record"))
    assert whole.quarantine.equals(pieces.quarantine)
    assert whole.skipped == pieces.skipped
    assert [a[1] for a in pieces.spans[:-1]] == [b[0] for b in pieces.spans[1:]]


def test_an_unknown_format_is_answered_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no format 'opanai'. Did you mean 'openai'\?\nFormats: auto, otlp"):
        read(write(tmp_path / "a", b"{}"), Source("s", format="opanai"), KEY)


def test_files_that_cannot_be_read_at_all_are_refused_before_the_first_chunk(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    packed = write(tmp_path / "a.gz", b"\x1f\x8b\x08")
    for path, words in (
        (empty, "is empty"),
        (tmp_path, r"is a folder\. Name files in it"),
        (tmp_path / "none", "cannot be read: No such file"),
        (packed, "packed, and damaged after 0 bytes of what it holds"),
        (write(tmp_path / "a.zip", b"PK\x03\x04"), "packed with zip. Unpack it first"),
        (write(tmp_path / "t.parquet", b"PAR1"), "not a Parquet file that can be read"),
        (write(tmp_path / "pointer.jsonl", b"version https://git-lfs.github.com/spec/v1"), "git lfs pull"),
    ):
        with pytest.raises(SourceError, match=words):
            next(read(path, DESK, KEY))


def test_reading_twice_gives_the_same_rows(tmp_path: Path, ingest: Callable[..., object]) -> None:
    path = write(tmp_path / "a", *encode(CHAT, CHAT | {"id": "2"}))
    assert read_whole(path, DESK).interactions.equals(read_whole(path, DESK).interactions)
