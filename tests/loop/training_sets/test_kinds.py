"""Sets of every kind from one workspace: built, built again, audited, forgotten from, traced, and given to TRL."""

import json
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest
from click.testing import CliRunner

from clworkbench.audit.checks import audit
from clworkbench.cli.data import KINDS
from clworkbench.cli.data import build as build_verb
from clworkbench.errors import EvidenceError
from clworkbench.lineage import trace
from clworkbench.loop.govern import forget
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.training_sets.convert import build
from clworkbench.loop.training_sets.trainable import dataset, token_statistics
from clworkbench.schemas import ASKED, LABELS, TRAINING_KINDS, TRAINING_ROWS
from clworkbench.training_sets.trl import dataset_of
from clworkbench.workspace import Workspace
from tests.tiny_workspace import write_lines

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SETTINGS = """\
format = 1
[outcomes]
thumbs = { score = "thumbs" }
[slices]
cards = "text LIKE '%card%'"
[training]
holdout = 0.2
"""
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]
WORDS = ("parcel", "invoice", "card", "lamp", "chair", "refund", "password", "train", "garden", "piano")


def turn(number: int) -> dict[str, object]:
    """A conversation with a tool call; most have a thumb, every third was edited as well."""
    at = START + timedelta(hours=number)
    word, other = WORDS[number % 10], WORDS[number // 10]
    arguments = json.dumps({"order": number} if number % 2 else {"name": word, "deep": {"a": [1, None]}})
    call = {"id": f"c{number}", "type": "function", "function": {"name": "look_up", "arguments": arguments}}
    said: list[dict[str, object]] = []
    if number % 7:
        said.append({"name": "thumbs", "score": 1 if number % 4 else -1, "at": (at + timedelta(minutes=5)).isoformat()})
    if number % 3 == 0:
        better = f"Your {word} and the {other} come on day {number}."
        said.append({"name": "edited", "origin": "operator", "improvement": better, "at": at.isoformat()})
    return {
        "id": f"turn-{number}",
        "created": at.isoformat(),
        "user": f"user{number % 9}@example.com",
        "conversation_id": f"talk-{number}",
        "tools": TOOLS,
        "messages": [
            {"role": "user", "content": f"Where is my {word} with the {other}? Write to user{number % 9}@example.com"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": f"day {number}"},
            {"role": "assistant", "content": f"Day {number}, {word}."},
        ],
        "feedback": said,
    }


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """Always of the same key, which draws what is held out."""
    monkeypatch.setenv("CLW_KEY", "6b" * 32)
    return Workspace.create(tmp_path / "w")


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    (workspace.folder / "clw.toml").write_text(SETTINGS)
    ingest(workspace, [write_lines(workspace.folder / "log.jsonl", [turn(number) for number in range(60)])], "openai")
    return workspace


@pytest.mark.parametrize("kind", TRAINING_KINDS)
def test_each_kind_is_built_again_to_the_same_version_and_holds_its_audit(filled, kind):
    made = build(filled, "all", kind=kind)
    assert made.frame.schema == TRAINING_ROWS[kind]
    assert build(filled, "all", kind=kind).id == made.id
    assert made.manifest["rows_kind"] == kind
    assert set(made.frame["split"]) == {"train", "holdout"}
    assert json.loads(made.frame["tools"][0]) == TOOLS
    assert [check for check in audit(filled, made.id).checks if not check.ok] == []


@pytest.mark.parametrize("kind", TRAINING_KINDS)
def test_after_a_forget_each_kind_is_made_again_without_the_rows_and_holds_its_audit(filled, kind):
    made = build(filled, "all", kind=kind)
    gone = made.frame["signal_ids"][0][0]
    forgotten = forget(filled, interaction=gone)
    assert forgotten is not None
    [heir] = forgotten.told["rebuilt"]
    rows = filled.rows(heir["to"])
    assert gone not in rows["signal_ids"].explode().to_list()
    assert 0 < rows.height < made.frame.height
    assert filled.find("training_set", heir["to"])["rows_kind"] == kind
    assert [check for check in audit(filled, heir["to"]).checks if not check.ok] == []


def test_lineage_leads_from_pairs_to_signals_and_back(filled):
    made = build(filled, kind="preference")
    signal = made.frame["signal_ids"][0][0]
    assert f"signal:{signal}" in trace(filled, made.id).down["id"].to_list()
    assert made.id in trace(filled, signal).up["id"].to_list()
    assert made.id.startswith("training_set:main-preference@")


def test_what_annotators_ranked_and_picked_comes_from_the_tables(workspace):
    (workspace.folder / "clw.toml").write_text(SETTINGS.replace("0.2", "0.0"))
    asked = [turn(number) | {"feedback": [], "conversation_id": None, "id": f"t{number}"} for number in (1, 2, 4)]
    for number, each in enumerate(asked):
        each["messages"] = [
            {"role": "user", "content": "Where is my lamp?"},
            {"role": "assistant", "content": f"answer {number}"},
        ]
    ingest(workspace, [write_lines(workspace.folder / "log.jsonl", asked)], "openai")
    ids = [workspace.signals().filter(pl.col("answer") == f"answer {n}")["interaction_id"].item() for n in range(3)]
    shown = {"ask_id": "a", "dataset": "review", "interaction_id": ids[0], "options": ids[:2], "state": "asked"}
    workspace.write_batch("asked", "ask", {"asked": pl.DataFrame([shown], schema=ASKED).drop("batch_id")})
    about = {"interaction_id": ids[0], "annotator_key": "k", "status": "submitted", "source": "argilla/review"}
    answers = [
        {"label_id": "l1", "question": "preference", "value": ids[1]},
        {"label_id": "l2", "question": "ranking", "value": json.dumps([[ids[1]], [ids[0], ids[2]]])},
    ]
    given = pl.DataFrame([about | each for each in answers], schema=LABELS).drop("batch_id")
    workspace.write_batch("labels", "labels", {"labels": given})

    made = build(workspace, kind="preference")

    won, lost = (pl.col(side).list.last().struct.field("content") for side in ("chosen", "rejected"))
    found = {row[:2]: sorted(row[2]) for row in made.frame.select(won, lost.alias("lost"), "label_ids").iter_rows()}
    assert found == {("answer 1", "answer 0"): ["l1", "l2"], ("answer 1", "answer 2"): ["l2"]}
    assert [check for check in audit(workspace, made.id).checks if not check.ok] == []


def test_answers_of_one_class_are_refused_with_their_counts(workspace):
    (workspace.folder / "clw.toml").write_text(SETTINGS)
    liked = [turn(number) for number in range(60) if number % 4 and number % 7]
    ingest(workspace, [write_lines(workspace.folder / "log.jsonl", liked)], "openai")
    with pytest.raises(EvidenceError, match=r"one class only: \d+ wanted and 0 unwanted answers to train on"):
        build(workspace, kind="unpaired")
    assert workspace.catalog.artefacts("training_set") == []


@pytest.mark.parametrize("kind", TRAINING_KINDS)
def test_without_a_usable_row_the_waterfall_says_why(workspace, kind):
    (workspace.folder / "clw.toml").write_text(SETTINGS)
    bare = [turn(number) | {"feedback": []} for number in range(3)]
    ingest(workspace, [write_lines(workspace.folder / "log.jsonl", bare)], "openai")
    with pytest.raises(EvidenceError, match=r"of 3 signals, 3 (pending|no_pair)"):
        build(workspace, kind=kind)


def test_the_kinds_that_the_command_line_offers_are_those_of_the_schema():
    assert KINDS == TRAINING_KINDS


def test_the_command_says_what_became_of_the_signals_and_answers_in_fixed_keys(filled):
    options = ["pairs", "--kind", "preference", "--workspace", str(filled.folder)]
    shown = CliRunner().invoke(build_verb, options, standalone_mode=False)
    assert "pairs, made of 20 answers" in shown.stdout
    assert "the chosen answer is the longer one in" in shown.stdout
    told = json.loads(CliRunner().invoke(build_verb, [*options, "--json"], standalone_mode=False).stdout)
    assert {"id", "kind", "rows", "splits", "dropped", "sha256"} <= told.keys()
    assert (told["kind"], told["turned"]) == ("preference", {"signals": 20, "rows": 20})
    assert told["rows"] == sum(told["splits"].values())
    assert told["length_bias"]["pairs"] == told["rows"]
    assert told["signals"] + 0 == told["rows"] + sum(told["dropped"].values())


def test_the_cell_of_a_build_shows_the_waterfall_and_what_should_be_known(filled):
    made = build(filled, kind="reward")
    assert "pairs, made of 20 answers" in made._repr_html_()
    assert "the chosen answer is the longer one" in made._repr_html_()
    (drawn,) = made.plot().data
    assert drawn.y[0] == "signals"
    assert drawn.y[-1] == "rows"
    assert sum(drawn.x[:-1]) == drawn.x[-1] == made.frame.height


def test_a_set_from_before_the_column_of_tools_is_read_and_audited(filled):
    made = build(filled)
    config = made.manifest["settings"]
    old = made.frame.drop("tools")
    # What an older version wrote in its manifest.
    new = {"rows_kind", "turned", "findings", "leaving"}
    own = {"kind", "id", "created", "parents", "code_version", "config_sha256", "rows_sha256", "files"}
    about = {key: value for key, value in made.manifest.items() if key not in new | own}
    about["policy_sha256"] = None
    about["leakage"] = {"examples": 0, "found": 0}
    config["policy"] = {key: value for key, value in config["policy"].items() if key != "leaving"}
    manifest = filled.publish_rows("training_set", "old", old, config=config, about=about)
    checks = audit(filled, str(manifest["id"])).checks
    assert [check.name for check in checks if not check.ok] == []
    told = {check.name for check in checks if "not recorded" in check.detail}
    assert {"policy", "second tier", "leak: its own holdout"} <= told
    found = dataset(filled, "old")
    assert found.column_names == ["prompt", "completion", "row_id", "weight"]
    assert len(found) == old.filter(pl.col("split") == "train").height


def test_settings_of_a_set_weigh_by_age_and_slice_and_name_the_verifier(filled):
    settings = filled.folder / "clw.toml"
    more = 'half_life = "1d"\nbalance = ["cards"]\nverifier = "valid_json"\n'
    settings.write_text(SETTINGS + more)
    made = build(filled)
    assert made.manifest["balance"].keys() == {"cards", "(rest)"}
    train = made.frame.filter(pl.col("split") == "train")
    cards = train.filter(pl.col("prompt").list.get(0).struct.field("content").str.contains("card"))
    assert cards["weight"].sum() == pytest.approx(train["weight"].sum() / 2)
    with pytest.raises(EvidenceError, match="not_verifiable"):
        build(filled, kind="prompts")


def test_the_rows_are_what_trl_takes_and_render_with_a_chat_template(filled, tiny_base):
    trl = pytest.importorskip("trl.data_utils")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    wanted = {
        "sft": {"prompt", "completion"},
        "preference": {"prompt", "chosen", "rejected"},
        "unpaired": {"prompt", "completion", "label"},
        "reward": {"chosen", "rejected"},
        "prompts": {"prompt"},
    }
    for kind in TRAINING_KINDS:
        found = dataset(filled, build(filled, "all", kind=kind).id)
        row = found[0]
        assert wanted[kind] <= row.keys()
        assert trl.is_conversational(row)
        assert row["tools"] == TOOLS
        rendered = trl.maybe_apply_chat_template(row, tokenizer, tools=row["tools"])
        assert rendered.keys() == wanted[kind]
        assert all(isinstance(text, str) and text for name, text in rendered.items() if name != "label")


def test_messages_keep_their_own_keys_and_the_arguments_of_their_calls(filled):
    made = build(filled, kind="sft")
    by_id = {row["row_id"]: row for row in dataset(filled, made.id, None)}
    for row in made.frame.iter_rows(named=True):
        asked, called, answered = by_id[row["row_id"]]["prompt"]
        assert asked.keys() == {"role", "content"}
        assert answered.keys() == {"role", "content", "tool_call_id"}
        [call] = called["tool_calls"]
        assert call["type"] == "function"
        assert call["function"]["arguments"] == json.loads(row["prompt"][1]["tool_calls"][0]["arguments"])


def test_margins_that_nobody_named_demand_nothing_and_a_column_without_any_is_left_out():
    talk = [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "A"}]
    rows = [
        {"row_id": own, "chosen": talk, "rejected": talk, "margin": margin} for own, margin in (("a", 0.5), ("b", None))
    ]
    frame = pl.DataFrame(rows, schema=TRAINING_ROWS["reward"])
    assert dataset_of(frame, "reward")["margin"][:] == [0.5, 0.0]
    assert "margin" not in dataset_of(frame.tail(1), "reward").column_names


def test_the_parquet_file_is_read_by_datasets(filled, tmp_path):
    from datasets import load_dataset

    made = build(filled, kind="preference")
    file = filled.artefact_folder(made.id) / "rows.parquet"
    found = load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(found) == made.frame.height
    assert found[0]["chosen"][0]["role"] == "assistant"


def test_a_split_that_is_not_there_is_refused_with_those_that_are(filled):
    made = build(filled)
    with pytest.raises(EvidenceError, match=r"no row of the split 'test'. There: \d+ holdout, \d+ train"):
        dataset(filled, made.id, "test")


def test_the_lengths_of_rows_are_those_that_the_tokenizer_counts(filled, tiny_base):
    from transformers import AutoTokenizer

    (filled.folder / "clw.toml").write_text(SETTINGS + "max_tokens = 90\n" + f'[model]\nbase = "{tiny_base}"\n')
    made = build(filled, kind="preference")
    told = token_statistics(filled, made.id)
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    longest, total = [], 0
    for row in dataset(filled, made.id, None):
        sides = [
            tokenizer.apply_chat_template([*row["prompt"], *row[side]], tools=row["tools"], return_dict=True)[
                "input_ids"
            ]
            for side in ("chosen", "rejected")
        ]
        longest.append(max(map(len, sides)))
        total += max(0, longest[-1] - 90)
    frame = {row["part"]: row for row in told.frame.iter_rows(named=True)}
    assert list(frame) == ["prompt", "chosen", "rejected", "row"]
    assert (frame["row"]["min"], frame["row"]["max"]) == (min(longest), max(longest))
    assert told.over == sum(length > 90 for length in longest)
    assert told.lost == pytest.approx(total / sum(longest))
    assert "max_tokens = 90" in told._repr_html_()
    bars = told.plot().data[0]
    assert sum(bars.y) == made.frame.height
    assert msgspec.json.decode(msgspec.json.encode(told.as_dict()))["over"] == told.over


def test_a_condition_may_name_a_slice_and_an_audit_goes_by_the_slice_of_then(filled):
    made = build(filled, "cards", where="cards")
    asked = made.frame["prompt"].list.first().struct.field("content")
    assert made.frame.height > 0
    assert asked.str.contains("card").all()
    by_words = build(filled, "cards", where="text LIKE '%card%'")
    assert by_words.frame.equals(made.frame)
    (filled.folder / "clw.toml").write_text(SETTINGS.replace("%card%", "%lamp%"))
    found = audit(Workspace(filled.folder), made.id)
    assert [check.detail for check in found.checks if not check.ok] == []


@pytest.mark.parametrize("kind", ["sft", "preference", "unpaired", "reward", "prompts"])
def test_rows_that_teach_the_contrary_are_found_out(filled, kind):
    made = build(filled, kind=kind)
    change = {
        "preference": {"chosen": pl.col("rejected"), "rejected": pl.col("chosen")},
        "reward": {"chosen": pl.col("rejected"), "rejected": pl.col("chosen")},
        "unpaired": {"label": ~pl.col("label")},
        "sft": {"completion": pl.col("completion").shift(1).fill_null(pl.col("completion").last())},
        "prompts": {"expected": pl.lit("Something that nobody ever said.")},
    }[kind]
    own = {"kind", "id", "created", "parents", "code_version", "config_sha256", "rows_sha256", "files"}
    about = {key: value for key, value in made.manifest.items() if key not in own}
    rows = made.frame.with_columns(**change)
    forged = filled.publish_rows("training_set", "forged", rows, config=made.manifest["settings"], about=about)
    wrong = {check.name for check in audit(filled, str(forged["id"])).checks if not check.ok}
    assert "taught" in wrong
