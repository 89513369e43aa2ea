from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import polars as pl
import pytest

from clworkbench.errors import SettingsError, SourceError
from clworkbench.settings import Scalar, Source
from clworkbench.signals import reading
from clworkbench.signals.reading import read
from tests.signals.whole import KEY, Whole, read_whole

Ingest = Callable[..., Whole]
COLUMNS = {"ticket": "id", "question": "input", "reply": "output", "when": "started_at", "customer": "user"}


def tickets(columns: Mapping[str, str] = COLUMNS, skip_lines: int = 0, **constants: Scalar) -> Source:
    return Source("tickets", format="mapping", columns=columns, constants=constants, skip_lines=skip_lines)


def events(columns: Mapping[str, str], target_source: str | None = None, **constants: Scalar) -> Source:
    return Source(
        "app", "mapping", record="feedback", columns=columns, constants=constants, target_source=target_source
    )


def csv_of(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))
    return path


HEADER = "ticket,question,reply,when,customer,queue\n"


def test_a_csv_row_becomes_an_interaction_and_other_columns_attributes(tmp_path: Path) -> None:
    line = '7,"Where, is\nmy card?",On its way.,2024-01-01T00:00:00Z,ann,billing'
    whole = read_whole(csv_of(tmp_path, HEADER + line + "\n"), tickets(app="desk", latency_ms=5))
    [row] = whole.interactions.to_dicts()
    wanted = {
        "interaction_id": KEY.id("tickets", "7"),
        "source_id": "7",
        "user_key": KEY.user("ann"),
        "app": "desk",
        "operation": "chat",
        "latency_ms": 5.0,
        "started_at": datetime(2024, 1, 1, tzinfo=UTC),
        "attributes": '{"queue":"billing"}',
    }
    assert {name: row[name] for name in wanted} == wanted
    assert (row["input"][0]["role"], row["input"][0]["content"]) == ("user", "Where, is\nmy card?")
    assert (row["output"][0]["role"], row["output"][0]["content"]) == ("assistant", "On its way.")


def test_rows_that_do_not_fit_the_header_go_to_quarantine_with_their_number(tmp_path: Path) -> None:
    text = HEADER + "1,a,b,,ann,q\n2,a,b\n\n3,a,b,,ann,q,extra\n4,a,b,12/31/2024,ann,q\n5,\x00a,b,,ann,q\n"
    whole = read_whole(csv_of(tmp_path, text), tickets())
    assert whole.interactions["source_id"].to_list() == ["1", "5"]
    assert whole.interactions["record"].to_list() == [0, 4]
    assert whole.quarantine.select("offset", "length", "reason").rows() == [
        (1, 1, "a row of 3 fields under a header of 6"),
        (2, 1, "a row of 7 fields under a header of 6"),
        (3, 1, "started_at: a text written like '99/99/9999', where an ISO 8601 or epoch time is wanted"),
    ]
    assert whole.records == 5


def test_a_row_that_is_no_utf8_and_a_quote_that_never_ends_go_to_quarantine(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER.encode() + b'1,caf\xe9,b,,ann,q\n2,a,b,,ann,q\n3,"a,b,,ann,q\n4,a,b,,ann,q\n')
    whole = read_whole(path, tickets())
    assert whole.interactions["source_id"].to_list() == ["2"]
    assert whole.quarantine["reason"].to_list() == [
        "not valid UTF-8 at byte 5",
        "not valid CSV: unexpected end of data",
    ]
    assert whole.records == 3


@pytest.mark.parametrize(
    ("text", "skip_lines"),
    [
        ("﻿" + HEADER + "1,a,b,,ann,q\n", 0),
        (HEADER.replace(",", ";") + "1;a;b;;ann;q\n", 0),
        (HEADER.replace(",", "\t") + "1\ta\tb\t\tann\tq\n", 0),
        ("exported on Monday, by Ann\n\n" + HEADER + "1,a,b,,ann,q\n", 2),
        ((HEADER + "1,a,b,,ann,q\n").replace("\n", "\r\n"), 0),
    ],
)
def test_byte_order_marks_delimiters_and_lines_before_the_header_are_understood(
    tmp_path: Path, text: str, skip_lines: int
) -> None:
    whole = read_whole(csv_of(tmp_path, text), tickets(skip_lines=skip_lines))
    assert whole.interactions.select("source_id", "attributes").rows() == [("1", '{"queue":"q"}')]


def test_a_missing_column_is_answered_with_those_found_and_a_way_out(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "ticket,questions,reply,when,customer\n1,a,b,,ann\n")
    with pytest.raises(SourceError) as refused:
        list(read(path, tickets(), KEY))
    assert str(refused.value) == (
        f"{path}: no column 'question' among 'ticket', 'questions', 'reply', 'when', 'customer'.\n"
        "Did you mean 'questions' for 'question'?\n"
        "Mend columns of source 'tickets' in clw.toml.\n"
        "If the header stands further down, set skip_lines to the number of lines before it."
    )


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "question,question\na,b\n")
    with pytest.raises(SourceError, match="more than one column is named 'question'"):
        list(read(path, tickets({"question": "input"}), KEY))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (tickets({}), "a mapping needs columns"),
        (tickets({"q": "inputs"}), "no field 'inputs'. Did you mean 'input'?"),
        (tickets({"q": "raw_sha256"}), "no field 'raw_sha256'"),
        (tickets({"q": "input"}, colour="red"), "no field 'colour'"),
        (tickets({"a": "input", "b": "input"}), "more than one column or constant gives input"),
        (tickets({"q": "model"}), "an interaction needs input or output"),
        (events({"t": "target"}), "feedback needs name"),
        (events({"t": "target"}, name="edited", origin="cat"), "origin = 'cat' is none of user, operator"),
        (events({"t": "target", "i": "input"}, name="edited"), "no field 'input'"),
    ],
)
def test_a_mapping_that_means_nothing_is_refused_with_the_fields(tmp_path: Path, source: Source, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(csv_of(tmp_path, "a\n1\n"), source, KEY)
    assert words in str(refused.value)
    assert source.name in str(refused.value)


def test_dotted_columns_reach_into_objects_and_into_json_texts(ingest: Ingest) -> None:
    columns = {"body.text": "input", "meta.ids.ticket": "id", "a.b": "output"}
    record = {"body": {"text": "hi", "lang": "en"}, "meta": '{"ids":{"ticket":7}}', "a.b": "yo"}
    [row] = ingest(record, source=tickets(columns)).interactions.to_dicts()
    assert (row["source_id"], row["input"][0]["content"], row["output"][0]["content"]) == ("7", "hi", "yo")
    assert msgspec.json.decode(row["attributes"]) == {"body": {"lang": "en"}, "meta": {"ids": {}}}


def test_messages_in_a_column_are_read_as_messages(ingest: Ingest) -> None:
    said = [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]
    for value in (said, msgspec.json.encode(said).decode()):
        rows = ingest({"q": value}, source=tickets({"q": "input"})).interactions["input"].to_list()
        assert [message["role"] for message in rows[0]] == ["system", "user"]


def test_a_value_of_the_wrong_type_is_null_noted_and_kept(ingest: Ingest) -> None:
    record = {"n": 1, "q": "hi", "cost": "n/a", "tokens": "12"}
    whole = ingest(record, source=tickets({"n": "id", "q": "input", "cost": "cost_usd", "tokens": "n_input_tokens"}))
    [row] = whole.interactions.to_dicts()
    assert (row["cost_usd"], row["n_input_tokens"], row["attributes"]) == (None, 12, '{"cost_usd":"n/a"}')
    assert [noted.kind for noted in whole.fidelity] == ["cost_usd kept in attributes only"]


def test_json_lines_that_lack_a_column_are_fine_but_not_a_file_that_lacks_all(ingest: Ingest) -> None:
    source = tickets({"q": "input", "a": "output"})
    assert ingest({"q": "hi"}, {"a": "yo"}, source=source).records == 2
    with pytest.raises(SourceError, match="no column 'q', 'a' among 'question'"):
        ingest({"question": "hi"}, source=source)


def test_app_events_become_feedback_on_interactions_of_another_source(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "chat,event,when,who,better,note\nc-1,edited,1704067200,op7,It left.,late\n")
    columns = {"chat": "target", "event": "name", "when": "at", "who": "actor", "better": "improvement"}
    [row] = read_whole(path, events(columns, "desk", origin="operator", explicit=True)).feedback.to_dicts()
    wanted = {
        "target_id": KEY.id("desk", "c-1"),
        "target_kind": "interaction",
        "name": "edited",
        "kind": "correction",
        "origin": "operator",
        "explicit": True,
        "actor_key": KEY.user("op7"),
        "at": datetime(2024, 1, 1, tzinfo=UTC),
        "value": '{"note":"late"}',
        "source": "app",
    }
    assert {name: row[name] for name in wanted} == wanted
    assert row["improvement"][0]["content"] == "It left."


def test_feedback_without_an_id_keeps_its_own_when_rows_are_put_before_it(tmp_path: Path) -> None:
    source = events({"t": "target", "e": "name"}, target_kind="conversation")
    one = read_whole(csv_of(tmp_path, "t,e\na,reopened\na,reopened\n"), source).feedback
    two = read_whole(csv_of(tmp_path, "t,e\nb,reopened\na,reopened\na,reopened\n"), source).feedback
    assert one["feedback_id"].n_unique() == 2
    assert one["feedback_id"].to_list() == two["feedback_id"].to_list()[1:]
    assert one["target_id"].to_list() == ["a", "a"]


def test_feedback_without_a_target_is_quarantined(tmp_path: Path) -> None:
    whole = read_whole(csv_of(tmp_path, "t,e\n,reopened\n"), events({"t": "target", "e": "name"}))
    assert whole.quarantine["reason"].to_list() == ["feedback that names no target"]


def test_a_parquet_file_is_read_like_the_csv(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "ticket": [1, 2],
            "question": ["hi", None],
            "reply": ["yo", "yes"],
            "when": [datetime(2024, 1, 1, tzinfo=UTC), None],
            "customer": ["ann", "bob"],
            "meta": [{"queue": "q"}, {"queue": None}],
        }
    )
    frame.write_parquet(tmp_path / "rows.parquet")
    whole = read_whole(tmp_path / "rows.parquet", tickets())
    assert whole.interactions.select("source_id", "started_at", "attributes").rows() == [
        ("1", datetime(2024, 1, 1, tzinfo=UTC), '{"meta":{"queue":"q"}}'),
        ("2", None, '{"meta":{"queue":null}}'),
    ]
    assert whole.interactions["input"].is_null().to_list() == [False, True]
    with pytest.raises(SourceError, match="no column 'text' among 'ticket', 'question'"):
        list(read(tmp_path / "rows.parquet", tickets({"text": "input"}), KEY))


def test_ids_that_a_table_with_gaps_made_floats_are_the_ids_they_were(tmp_path: Path) -> None:
    frame = pl.DataFrame({"ticket": [7.0, float("nan")], "question": ["hi", "yo"], "price": [1, 2]})
    frame.with_columns(pl.col("price").cast(pl.Decimal(10, 2))).write_parquet(tmp_path / "rows.parquet")
    source = tickets({"ticket": "id", "question": "input", "price": "cost_usd"})
    rows = read_whole(tmp_path / "rows.parquet", source).interactions
    assert rows.select("source_id", "cost_usd").rows() == [("7", 1.0), (None, 2.0)]


def test_a_broken_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(SourceError, match="not a Parquet file that can be read"):
        list(read(tmp_path / "rows.parquet", tickets(), KEY))


def test_tables_are_cut_into_chunks_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROWS_A_CHUNK", 2)
    path = csv_of(tmp_path, "q\n" + "hi\n" * 5)
    whole = read_whole(path, tickets({"q": "input"}))
    assert whole.spans == [(0, 2), (2, 4), (4, 5)]
    assert whole.interactions["record"].to_list() == [0, 1, 0, 1, 0]
    assert whole.interactions["interaction_id"].n_unique() == 5


def test_a_real_csv_gives_one_interaction_a_row(shared_data: Path) -> None:
    for path in sorted((shared_data / "banking77").glob("*.csv")):
        with path.open(newline="") as file:
            import csv

            wanted = list(csv.DictReader(file))
        source = tickets({"text": "input", "category": "output"})
        whole = read_whole(path, source)
        assert whole.records == len(whole.interactions) == len(wanted)
        assert [row[0]["content"] for row in whole.interactions["input"]] == [row["text"] for row in wanted]


def test_a_row_saved_with_other_separators_is_the_same_row_and_under_another_mapping_another(tmp_path: Path) -> None:
    texts = {"comma.csv": "ticket,at\nT-1,2024-01-01\n", "semicolon.csv": "ticket;at\nT-1;2024-01-01\n"}
    columns = {"ticket": "target", "at": "at"}
    found = []
    for target, name in (("app", "comma.csv"), ("app", "semicolon.csv"), ("desk", "comma.csv")):
        (tmp_path / name).write_text(texts[name])
        source = Source(
            "events",
            "mapping",
            record="feedback",
            columns=columns,
            constants={"name": "reopened"},
            target_source=target,
        )
        found.append(read_whole(tmp_path / name, source).feedback.select("feedback_id", "raw_sha256").row(0))
    assert found[0] == found[1]
    assert found[0] != found[2]
