"""Suites drawn from traffic: what is expected, what is left out, what nobody may learn, what is forgotten."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import clworkbench as clw
from clworkbench.audit.checks import audit
from clworkbench.errors import EvidenceError, SettingsError, SourceError
from clworkbench.loop.data import freeze_suite
from clworkbench.schemas import LABELS, SUITE, as_frozen
from clworkbench.training_sets.descent import asking
from clworkbench.training_sets.leakage import leaks
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import sha256_rows

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SETTINGS = """\
format = 1
[policy]
leaving = "patterns"
[sources.app]
format = "openai"
[outcomes]
corrected = { negative = "edited", positive = "accepted" }
[slices]
refunds = "text LIKE '%refund%'"
[training]
holdout = 0.3
"""
WORDS = [
    "lamp",
    "door",
    "train",
    "ticket",
    "parcel",
    "hotel",
    "coffee",
    "window",
    "garden",
    "river",
    "bottle",
    "jacket",
    "carpet",
    "mirror",
    "ladder",
]


def turn(day: int, number: int = 0, *, asked: str | None = None, said: str | None = "accepted") -> dict[str, object]:
    """A turn of the conversation of a day; every fifth day is about refunds, every fourth was corrected."""
    at = START + timedelta(days=day, minutes=number)
    words = " and the ".join(WORDS[(day * (2 * k + 1) + k * number + day // 15) % 15] for k in range(4))
    text = asked or f"Is the {words} of house {day} floor {number} {'worth a refund' if day % 5 == 0 else 'for sale'}?"
    verdict: dict[str, object] = {"name": said, "origin": "operator", "at": (at + timedelta(hours=1)).isoformat()}
    if said == "accepted" and day % 4 == 0:
        verdict |= {"name": "edited", "improvement": f"Better {day}."}
    return {
        "id": f"log:{day}:{number}",
        "created": at.isoformat(),
        "conversation_id": f"talk {day}",
        "user": f"user{day}@example.com",
        "model": "large" if day % 10 == 0 else "small",
        "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": f"Answer {day}."}],
        "feedback": [verdict] if said else [],
    }


def bring(workspace: Workspace, rows: list[dict[str, object]]) -> None:
    path = workspace.folder.parent / f"log-{len(list(workspace.folder.parent.glob('log-*')))}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    clw.ingest(workspace, path, "app")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Workspace:
    """Forty conversations, one a day, of one turn or two; of every seventh nobody knows how it went."""
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = Workspace.create(tmp_path / "w", settings=SETTINGS, key=b"k" * 32)
    days = [(day, number) for day in range(40) for number in range(1 + day % 2)]
    bring(workspace, [turn(day, number, said=None if day % 7 == 3 else "accepted") for day, number in days])
    return workspace


def test_a_drawn_suite_expects_what_was_corrected_or_accepted_and_counts_what_nobody_knows(place):
    made = clw.draw_suite(place, "all", 200)
    assert made.frame.schema == SUITE
    assert made.signals == 60
    assert made.dropped == {"pending": 9}
    assert made.frame.height == made.n_frame == 51
    by_text = {row["input"][-1]["content"]: row["expected"] for row in made.frame.iter_rows(named=True)}
    [corrected] = [said for text, said in by_text.items() if "house 8 " in text]
    [accepted] = [said for text, said in by_text.items() if "house 6 " in text]
    assert (corrected, accepted) == ("Better 8.", "Answer 6.")
    assert made.frame["inclusion"].unique().to_list() == [1.0]
    refunds = made.frame.filter(pl.col("slices").list.contains("refunds"))
    assert refunds.height == made.manifest["slices"]["refunds"] > 0
    assert "no outcome 0% instead of 15%" in made.said


def test_conversations_are_whole_and_their_weights_add_up_to_what_could_be_drawn(place):
    made = clw.draw_suite(place, "some", 20, stratify="model")
    known = clw.draw_suite(place, "all", 200).frame
    sizes = dict(known["group"].value_counts().iter_rows())
    drawn = dict(made.frame["group"].value_counts().iter_rows())
    assert drawn.items() <= sizes.items()
    talks = made.frame.group_by("group").agg(pl.col("inclusion").unique())
    assert talks["inclusion"].list.len().unique().to_list() == [1]
    assert (1 / talks["inclusion"].list.first()).sum() == pytest.approx(len(sizes))
    assert made.strata["stratum"].to_list() == ["large", "small"]
    assert made.strata["inclusion"][0] > made.strata["inclusion"][1]


def test_the_same_draw_again_is_the_same_version_and_a_larger_one_holds_it(place):
    first = clw.draw_suite(place, "some", 20)
    assert clw.draw_suite(place, "some", 20).id == first.id
    larger = clw.draw_suite(place, "more", 30)
    assert set(first.frame["example_id"]) <= set(larger.frame["example_id"])


def test_newest_and_older_traffic_have_nothing_in_common(place):
    newest = clw.draw_suite(place, "week", 50, last="7d")
    older = clw.draw_suite(place, "older", 50, until="2026-03-30")
    assert {int(group.split()[1]) for group in newest.frame["group"]} <= set(range(32, 40))
    assert {int(group.split()[1]) for group in older.frame["group"]} <= set(range(28))
    assert newest.manifest["drawn"]["window"]["since"] == (START + timedelta(days=32, minutes=1)).isoformat()


def test_what_is_drawn_is_never_learned_and_what_was_learned_is_never_drawn(place):
    week = clw.draw_suite(place, "week", 50, last="7d")
    built = clw.build(place, "main")
    taught = set(built.frame["signal_ids"].explode())
    ids = set(week.frame["example_id"])
    assert not taught & ids
    assert sum(n for why, n in built.built.dropped.items() if why.startswith("leak_") and "holdout" not in why) == len(
        ids
    )
    assert audit(place, "main").ok
    later = clw.draw_suite(place, "later", 100)
    learned = built.frame.filter(pl.col("split") == "train")
    assert not set(later.frame["group"]) & set(learned["group"])
    assert leaks(asking(learned, "sft"), later.frame, place.pseudonyms).count() == 0  # what `clw gate` asks
    assert later.dropped["learned"] == len(set(learned["signal_ids"].explode()))
    # What the set held out was not learned: it may be measured on, and the set is as clean as before.
    held = built.frame.filter(pl.col("split") == "holdout")
    assert set(held["group"]) <= set(later.frame["group"])
    assert audit(place, "main").ok, audit(place, "main").lines()


def test_what_learned_rows_say_in_nearly_the_same_words_is_refused_and_counted(place):
    clw.build(place, "main")
    learned = place.rows("training_set:main").filter(pl.col("split") == "train")
    texts = [prompt[-1]["content"] for prompt in learned["prompt"][:3]]
    bring(place, [turn(60 + n, asked=text.upper()) for n, text in enumerate(texts)] + [turn(70), turn(71)])
    made = clw.draw_suite(place, "new", 20, since="2026-04-20")
    assert made.frame.height == 2
    assert sum(made.refused.values()) == 3
    assert any("3 conversations" in line or "conversations that learned rows show" in line for line in made.lines())


def test_a_reviewers_answer_comes_first_and_what_annotators_dispute_is_out(place):
    signals = place.signals().sort("started_at")
    first, second = signals["interaction_id"][0], signals["interaction_id"][1]
    message = {"role": "assistant", "content": "As reviewed."}
    rows = [
        {"label_id": "a", "interaction_id": first, "question": "improvement", "improvement": [message]},
        {"label_id": "b", "interaction_id": second, "question": "answer", "value": "reject"},
    ]
    at = {"annotator_key": "ann", "status": "submitted", "source": "reviewers", "at": START + timedelta(days=50)}
    columns = {name: LABELS[name] for name in LABELS if name != "batch_id"}
    place.write_batch("labels", "labels", {"labels": pl.DataFrame([row | at for row in rows], schema=columns)})
    made = clw.draw_suite(place, "all", 200)
    assert dict(made.frame.select("example_id", "expected").iter_rows())[first] == "As reviewed."
    assert made.dropped["rejected"] == 1


def test_an_answer_that_only_calls_tools_expects_its_calls(place):
    call = {"id": "c", "type": "function", "function": {"name": "refund", "arguments": '{"order": 7}'}}
    row = turn(80)
    row["messages"][-1] = {"role": "assistant", "content": None, "tool_calls": [call]}
    row["feedback"] = [{"name": "accepted", "origin": "operator", "at": "2026-06-01T00:00:00Z"}]
    file = place.folder / "clw.toml"
    file.write_text(file.read_text() + '[evals]\nscorers = ["function_call"]\n')
    place = Workspace(place.folder)
    bring(place, [row, turn(81)])
    made = clw.draw_suite(place, "calls", 10, since="2026-05-01")
    [expected] = [e for e in made.frame["expected"] if "refund" in e]
    assert json.loads(expected) == [{"name": "refund", "arguments": '{"order": 7}'}]
    # The other expects words: this scorer cannot grade it, and it is told before any model runs.
    assert made.ungradable == {"function_call": 1}
    assert any("full marks on 1 of 2" in line for line in made.lines())


def test_a_forgotten_user_goes_from_a_drawn_suite(place):
    made = clw.draw_suite(place, "all", 200)
    clw.forget(place, user="user8@example.com")
    again = place.rows("suite:all")
    assert again.height == made.frame.height - 1
    assert again["inclusion"].null_count() == 0
    assert not any("house 8 " in messages[-1]["content"] for messages in again["input"].to_list())
    assert audit(place, "all").ok, audit(place, "all").lines()


def test_what_a_rule_excludes_is_not_drawn(place):
    file = place.folder / "clw.toml"
    file.write_text(file.read_text() + '[[policy.exclude]]\nname = "refunds"\nslice = "refunds"\n')
    made = clw.draw_suite(Workspace(place.folder), "all", 200)
    assert made.dropped["excluded_by_refunds"] == 12
    assert made.manifest["slices"] == {}


def test_an_empty_window_and_one_without_answers_are_said_with_a_way_out(place):
    with pytest.raises(EvidenceError, match="clw slice rates --every week"):
        clw.draw_suite(place, "none", since="2027-01-01")
    with pytest.raises(EvidenceError, match=r"can stand in a suite: 1 pending"):
        clw.draw_suite(place, "none", where="text LIKE '%house 24 %'")
    with pytest.raises(SettingsError, match="no length of time"):
        clw.draw_suite(place, "none", last="a week")
    with pytest.raises(SettingsError, match="Give one of them"):
        clw.draw_suite(place, "none", last="7d", since="2026-03-01")


def test_a_suite_from_a_file_keeps_the_version_it_had_before_chances_were_kept(place, tmp_path):
    file = tmp_path / "suite.jsonl"
    file.write_text('{"id": "a", "input": "Why?", "expected": "because"}\n')
    made = freeze_suite(place, "main", file)
    stored = pl.read_parquet(place.artefact_folder(str(made["id"])) / "rows.parquet")
    assert "inclusion" not in stored.columns
    assert made["rows_sha256"] == sha256_rows(stored)
    rows = place.rows("suite:main")
    assert rows.schema == SUITE
    assert as_frozen(rows).equals(stored)
    assert audit(place, "main").ok


@pytest.mark.parametrize("given", ["0", "1.5", "true", '"often"'])
def test_a_chance_that_is_none_is_refused_with_its_line(place, tmp_path, given):
    file = tmp_path / "suite.jsonl"
    file.write_text(f'{{"id": "a", "input": "Why?", "expected": "because", "inclusion": {given}}}\n')
    with pytest.raises(SourceError, match="line 1: 'inclusion' is no probability"):
        freeze_suite(place, "main", file)


def test_chances_of_some_examples_only_are_refused(place, tmp_path):
    file = tmp_path / "suite.jsonl"
    lines = [
        '{"id": "a", "input": "Why?", "expected": "x", "inclusion": 0.5}',
        '{"id": "b", "input": "?", "expected": "x"}',
    ]
    file.write_text("\n".join(lines))
    with pytest.raises(SourceError, match="given for 1 of 2"):
        freeze_suite(place, "main", file)
