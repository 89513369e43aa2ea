from pathlib import Path

import pytest

from clworkbench.errors import SourceError
from clworkbench.signals.recognise import Detection, detect


def write(tmp_path: Path, raw: bytes) -> Path:
    path = tmp_path / "input.jsonl"
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b'{"resourceSpans":[]}', Detection("otlp", "a JSON object with resourceSpans")),
        (b'{"resource_spans":[]}', Detection("otlp", "a JSON object with resource_spans")),
        (b'\xef\xbb\xbf\n{"messages":[]}', Detection("openai", "a JSON object with messages")),
        (b'{"request":{},"response":{}}', Detection("openai", "a JSON object with a request and its response")),
        (
            b'{"metric_name":"m","target_id":"t"}',
            Detection("tensorzero", "a JSON object with metric_name and target_id"),
        ),
        (b'{\n  "messages": []\n}\n', Detection("openai", "a JSON object with messages")),
        (b'[\n{"messages": []}\n]', Detection("openai", "a JSON object with messages")),
        (b'garbage\n{"half":\n[1]\n{"messages":[]}\n', Detection("openai", "a JSON object with messages")),
    ],
)
def test_a_format_is_told_by_its_first_readable_record(tmp_path: Path, raw: bytes, wanted: Detection) -> None:
    assert detect(write(tmp_path, raw)) == wanted


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", "is empty"),
        (b" \n\n", "blank lines only"),
        (b"what is this\n", "lines that are not JSON"),
        (b'{"id":1,"text":"hi"}', "JSON objects with the keys 'id', 'text'"),
        (b"PAR1....", "not a Parquet file that can be read"),
        (b'[\n{"messages": []},\n', "one JSON value, and not a valid one"),
        (b"[1, 2]", "JSON, but no objects"),
        (b"[]", "no records"),
        (b"\x1f\x8b\x08\x00", "packed, and damaged"),
        ("{}".encode("utf-16"), "is UTF-16. Save it as UTF-8"),
    ],
)
def test_a_file_of_no_known_format_is_refused_with_what_was_found(tmp_path: Path, raw: bytes, found: str) -> None:
    path = write(tmp_path, raw)
    with pytest.raises(SourceError) as refused:
        detect(path)
    assert found in str(refused.value)
    assert str(path) in str(refused.value)


def test_the_way_out_of_an_unknown_table_is_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match='format = "mapping"'):
        detect(write(tmp_path, b"id,text\n1,hi\n"))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is a folder\. Name files in it, e\.g\. .*\*\.jsonl"):
        detect(tmp_path)
