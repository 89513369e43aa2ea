"""A reviewers' file: written, filled in, read back; bad rows are data."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from clworkbench import schemas
from clworkbench.errors import SourceError
from clworkbench.labels.reviewers_file import LabelsRead, candidates_file, read_labels
from clworkbench.policy.pseudonyms import Pseudonyms

KEY = Pseudonyms(b"k" * 32)
KNOWN = pl.Series(["i1", "i2", "i3"])


def read(tmp_path: Path, text: str | bytes, name: str = "labels.csv") -> LabelsRead:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_labels(path, KNOWN, KEY)


def reply(content: str) -> dict[str, object]:
    return {
        "role": "assistant",
        "content": content,
        "tool_calls": None,
        "tool_call_id": None,
        "name": None,
        "parts": None,
    }


def test_rows_become_labels_with_defaults_for_what_is_left_out(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "interaction_id,value,improvement,annotator,at\ni1,good,,anna,2026-11-01T12:00:00+02:00\ni2,,Say this.,,\n",
    )
    expected = {name: dtype for name, dtype in schemas.LABELS.items() if name != "batch_id"}
    assert dict(found.labels.schema) == expected
    first, second = found.labels.drop("label_id").rows(named=True)
    assert first == {
        "interaction_id": "i1", "question": "answer", "value": "good", "improvement": None,
        "annotator_key": KEY.user("anna"), "status": "submitted", "at": datetime(2026, 11, 1, 10, tzinfo=UTC),
        "source": "reviewers", "candidate_id": None, "equals_suggestion": None,
    }  # fmt: skip
    assert (second["value"], second["improvement"], second["annotator_key"]) == (None, [reply("Say this.")], None)
    assert found.rejected.height == found.unanswered == 0


def test_bad_rows_are_left_out_with_line_and_reason(tmp_path: Path) -> None:
    text = (
        'interaction_id,value,status,at\ni1,"two\nlines",,\nnobody,good,,\ni2,good,done,\ni2,,submitted,\n'
        "i3,good,,yesterday\ni3,good\n,good,,\ni3,good,,,more\n\ni3,fine,Draft,2026-11-01\n"
    )
    found = read(tmp_path, text)
    assert found.labels["value"].to_list() == ["two\nlines", "fine"]
    assert found.labels["status"].to_list() == ["submitted", "draft"]
    assert found.rejected.rows() == [
        (4, "no interaction 'nobody'"),
        (5, "status 'done' is none of submitted, discarded, draft"),
        (6, "submitted with neither value nor improvement"),
        (7, "at 'yesterday' is no time such as 2026-11-01T12:00:00Z"),
        (8, "2 cells under 4 columns"),
        (9, "no interaction ''"),
        (10, "5 cells under 4 columns"),
    ]


def test_rows_that_nobody_filled_in_are_counted_and_discarded_ones_kept(tmp_path: Path) -> None:
    found = read(tmp_path, "interaction_id,value,status\ni1,,\ni2,,draft\ni3,,discarded\n")
    assert (found.labels["status"].to_list(), found.unanswered, found.rejected.height) == (["discarded"], 2, 0)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_spreadsheets_csv_is_read_with_its_mark_delimiter_and_line_ends(tmp_path: Path, delimiter: str) -> None:
    text = "Interaction_ID,Value \r\ni1,gut\r\n".replace(",", delimiter)
    assert read(tmp_path, b"\xef\xbb\xbf" + text.encode()).labels["value"].to_list() == ["gut"]


def test_json_lines_hold_messages_text_and_values_of_any_kind(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "pay", "arguments": '{"n": 1}'}}
    rows = [
        {"interaction_id": "i1", "value": True, "improvement": [{"role": "assistant", "content": "a"}]},
        {"interaction_id": "i2", "value": 4, "improvement": {"content": None, "tool_calls": [call]}},
        {"interaction_id": "i3", "improvement": "just text"},
        {"interaction_id": "i3", "improvement": [5]},
        {"interaction_id": "i3", "improvement": [{"role": "assistant", "content": ["x"]}]},
        {"interaction_id": "i3", "value": "half \ud83d"},
        ["i3"],
    ]
    text = "\n".join(json.dumps(row) for row in rows) + '\n{"interaction_id": "i3", "va'
    found = read(tmp_path, text, "labels.jsonl")
    assert found.labels["value"].to_list() == ["true", "4", None]
    assert found.labels["improvement"].to_list() == [
        [reply("a")],
        [{**reply(""), "content": None, "tool_calls": [{"id": "c1", "name": "pay", "arguments": '{"n": 1}'}]}],
        [reply("just text")],
    ]
    assert found.rejected.rows() == [
        (4, "improvement is neither text nor messages"),
        (5, "improvement holds a message whose content is not text"),
        (6, "value holds half a character (a lone surrogate)"),
        (7, "not a JSON object"),
        (8, "not JSON"),
    ]


def test_an_improvement_in_a_csv_may_be_messages_or_an_answer_that_is_json(tmp_path: Path) -> None:
    messages, answer = '[{"role": "assistant", "content": "hi"}]', '{"intent": "refund"}'
    rows = pl.DataFrame({"interaction_id": ["i1", "i2", "i3"], "improvement": [messages, answer, "{broken"]})
    found = read(tmp_path, rows.write_csv())
    assert found.labels["improvement"].to_list() == [[reply("hi")], [reply(answer)], [reply("{broken")]]


def test_the_same_row_is_the_same_label_and_a_changed_answer_a_new_one(tmp_path: Path) -> None:
    header = "interaction_id,value,annotator,at\n"
    first = read(tmp_path, header + "i1,good,anna,2026-11-01\n").labels["label_id"].item()
    again = read(tmp_path, header + "i1,good,anna,2026-11-01\ni1,good,anna,2026-11-01\n").labels["label_id"]
    assert again.to_list() == [first]
    changed = ["i1,bad,anna,2026-11-01", "i1,good,ben,2026-11-01", "i2,good,anna,2026-11-01", "i1,good,anna,2026-11-02"]
    others = read(tmp_path, header + "\n".join(changed)).labels["label_id"]
    assert len({first, *others}) == 5


def test_texts_are_redacted_and_the_annotator_is_a_key(tmp_path: Path) -> None:
    text = "interaction_id,value,improvement,annotator\ni1,ask anna@firma.de,Call +49 89 1234567.,ben@firma.de\n"
    row = read(tmp_path, text).labels.row(0, named=True)
    email, phone = KEY.surrogate("EMAIL", "anna@firma.de"), KEY.surrogate("PHONE", "49891234567")
    assert (row["value"], row["improvement"]) == (f"ask [EMAIL_{email}]", [reply(f"Call [PHONE_{phone}].")])
    assert row["annotator_key"] == KEY.user("ben@firma.de")
    plain = read_labels(tmp_path / "labels.csv", {"i1"}, KEY, redacted=False).labels.row(0, named=True)
    assert plain["value"] == "ask anna@firma.de"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is empty.\nIts first line names the columns: interaction_id"),
        ("id,value\ni1,good\n", "no column interaction_id among ['id', 'value'].\nName the columns"),
        ("interaction_id,label\ni1,good\n", "no column value or improvement among ['interaction_id', 'label']"),
        ('{"id": "i1"}\n', "no column interaction_id among ['id']"),
        (
            b"interaction_id,value\ni1,gr\xfcn\n",
            "not UTF-8 text (invalid start byte at byte 26).\nSave it as 'CSV UTF-8'",
        ),
    ],
)
def test_a_file_that_cannot_be_labels_is_refused_with_the_way_out(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(SourceError, match=str(path)):
            read_labels(path, KNOWN, KEY)


def test_a_sheet_of_candidates_is_ordered_safe_to_open_and_read_back(tmp_path: Path) -> None:
    candidates = pl.DataFrame(
        {
            "candidate_id": ["c1", "c2", "c3"],
            "interaction_id": ["i1", "i2", "i3"],
            "reasons": [["random"], ["failure", "human_override"], ["failure"]],
            "priority": [0.1, 0.9, 0.5],
        }
    )
    signals = pl.DataFrame(
        {
            "interaction_id": ["i1", "i2"],
            "text": ["=HYPERLINK(1)", "'+49"],
            "answer": ["-1", "x" * 40_000],
        }
    )
    sheet = candidates_file(candidates, signals)
    assert sheet.columns == [
        "interaction_id",
        "reasons",
        "text",
        "answer",
        "value",
        "improvement",
        "annotator",
        "status",
    ]
    assert sheet["interaction_id"].to_list() == ["i2", "i3", "i1"]
    assert sheet["reasons"].to_list() == ["failure, human_override", "failure", "random"]
    assert sheet["text"].to_list() == ["''+49", None, "'=HYPERLINK(1)"]
    assert sheet["answer"].str.len_chars().to_list() == [32_000, None, 3]
    filled = sheet.with_columns(value=pl.Series(["'=2+3", "", "-ok"]), improvement=pl.Series(["''@x", "it's", ""]))
    found = read(tmp_path, filled.write_csv())
    assert found.labels["value"].to_list() == ["=2+3", None, "-ok"]
    assert found.labels["improvement"].to_list() == [[reply("'@x")], [reply("it's")], None]


def test_a_very_long_answer_is_read(tmp_path: Path) -> None:
    long = "word " * 60_000
    assert (
        read(tmp_path, f"interaction_id,improvement\ni1,{long}\n").labels["improvement"][0][0]["content"]
        == long.strip()
    )
