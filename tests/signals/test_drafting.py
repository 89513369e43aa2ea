import json
from pathlib import Path

import polars as pl
import pytest

from clworkbench.errors import SourceError
from clworkbench.settings import parse_settings
from clworkbench.signals.drafting import draft_mapping
from tests.signals.whole import read_whole


def test_a_table_of_answers_is_mapped_by_names_and_values(tmp_path: Path) -> None:
    rows = {
        "Ticket ID": [f"t-{n}" for n in range(4)],
        "createdAt": ["2026-03-01T09:00:00Z"] * 4,
        "question": ["Where is it?", "Stop it", "Hi", "Bye"],
        "bot_response": ["On its way", "Done", "Hi", "Bye"],
        "response": ["On its way", "Done", "Hi", "Bye"],
        "date": ["soon"] * 4,
        "customer": ["ann", "bob", "ann", "cem"],
        "prompt_tokens": [5, 6, 7, 8],
        "latency": [0.5, 0.6, 0.7, 0.8],
    }
    pl.DataFrame(rows).write_csv(tmp_path / "Support export.csv")
    found = draft_mapping(tmp_path / "Support export.csv")
    assert dict(found.source.columns) == {
        "Ticket ID": "id",
        "createdAt": "started_at",
        "question": "input",
        "response": "output",
        "customer": "user",
        "prompt_tokens": "n_input_tokens",
    }
    assert (found.source.name, found.source.record, found.read, found.quarantined) == (
        "support_export", "interaction", 4, {},
    )  # fmt: skip


def test_events_about_answers_are_feedback_and_take_their_name_from_the_file(tmp_path: Path) -> None:
    events = [{"inferenceId": f"i-{n}", "rating": n % 2, "rated_at": 1_770_000_000, "who": "x"} for n in range(4)]
    (tmp_path / "thumbs.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    found = draft_mapping(tmp_path / "thumbs.jsonl")
    assert found.source.record == "feedback"
    assert dict(found.source.columns) == {"inferenceId": "target", "rating": "score", "rated_at": "at"}
    assert found.source.constants == {"name": "thumbs"}


def test_stars_are_no_score_from_minus_1_to_1_and_stay_unmapped(tmp_path: Path) -> None:
    (tmp_path / "stars.csv").write_text("target,stars,comment\na,5,good\nb,1,bad\n")
    assert dict(draft_mapping(tmp_path / "stars.csv").source.columns) == {"target": "target", "comment": "comment"}


def test_names_inside_objects_are_found_by_their_dotted_path(tmp_path: Path) -> None:
    record = {"data": {"prompt": "Hi", "completion": "Hello"}, "meta": {"session_id": "s", "env": "prod"}}
    (tmp_path / "nested.json").write_text(json.dumps([record, record], indent=1))
    found = draft_mapping(tmp_path / "nested.json")
    assert dict(found.source.columns) == {
        "data.prompt": "input",
        "data.completion": "output",
        "meta.session_id": "conversation_id",
        "meta.env": "environment",
    }


def test_the_draft_is_toml_that_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text('id,prompt,answer,queue,"odd ""name"""\n1,Hi,Hello,q,x\n2,Hey,Oh,q,y\n')
    found = draft_mapping(path)
    settings = parse_settings("format = 1\n" + found.toml())
    source = settings.sources["log"]
    assert dict(source.columns) == {"id": "id", "prompt": "input", "answer": "output"}
    assert len(read_whole(path, source).interactions) == 2
    assert '# "queue"' in found.toml()
    assert "Hello" not in found.toml()


def test_rows_that_the_draft_cannot_read_are_counted(tmp_path: Path) -> None:
    rows = "".join(f"{n},Hi,2026-03-01\n" for n in range(40)) + "40,Hi,yesterday\n"
    (tmp_path / "log.csv").write_text("id,prompt,created\n" + rows)
    found = draft_mapping(tmp_path / "log.csv")
    assert found.source.columns["created"] == "started_at"
    assert (found.read, list(found.quarantined.values())) == (40, [1])


def test_a_table_without_any_familiar_name_is_refused_with_its_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(SourceError, match="none of the columns 'a', 'b' is named like an input"):
        draft_mapping(tmp_path / "t.csv")


def test_a_name_may_hold_the_telling_word_beside_others(tmp_path: Path) -> None:
    (tmp_path / "desk.csv").write_text(
        "Ticket,Asked at,Question,Reply,Handled by\n"
        "7,2026-03-02T09:00:00Z,Where?,There,Noor\n"
        "8,2026-03-02,Why?,So,Ivo\n"
    )
    assert dict(draft_mapping(tmp_path / "desk.csv").source.columns) == {
        "Ticket": "id",
        "Asked at": "started_at",
        "Question": "input",
        "Reply": "output",
    }


def test_where_no_name_tells_the_longest_texts_are_taken_for_the_input(tmp_path: Path) -> None:
    rows = {"a": ["x", "y"], "b": ["a text of some length, as people write it", "and another one of that kind, longer"]}
    pl.DataFrame(rows).write_csv(tmp_path / "t.csv")
    assert dict(draft_mapping(tmp_path / "t.csv").source.columns) == {"b": "input"}


def test_lines_above_the_header_are_told_by_the_rows_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Export of May\nid,prompt,answer\n1,Hi,Hello\n2,Hey,Oh\n")
    with pytest.raises(SourceError, match="3 of the first 3 rows do not fit under its first line"):
        draft_mapping(tmp_path / "t.csv")
