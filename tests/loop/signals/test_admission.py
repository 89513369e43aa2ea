"""What a rule keeps out of the tables: the record, what is said about it, and its place in the counts."""

import json

import polars as pl
import pytest

from clworkbench.errors import ExpressionError
from clworkbench.loop.signals.capture import ingest, preview
from clworkbench.loop.signals.policy import explain_policy
from clworkbench.loop.training_sets.convert import build
from clworkbench.workspace import Workspace
from tests.loop.signals.test_policy import chats

SETTINGS = """\
[outcomes]
thumbs = { score = "thumbs" }
[sources.app]
format = "openai"
[sources.votes]
format = "mapping"
record = "feedback"
target_source = "app"
columns = { chat = "target", said = "comment" }
constants = { name = "thumbs", score = 1 }
"""
KEPT_OUT = """
[policy.exclude]
ours = { where = "attributes.tenant = 'us'", at = "ingest" }
private = { pattern = "number 2[0-9]", at = "ingest" }
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    return Workspace.create(tmp_path / "w", settings=SETTINGS + KEPT_OUT).folder


def test_an_excluded_record_and_its_feedback_never_enter_and_are_counted(folder, tmp_path):
    workspace = Workspace(folder)
    # By hand: of 40 chats every fourth (1, 5, ...) is ours: 10; 20 to 29 are private, of which 21, 25, 29 are ours.
    report = ingest(workspace, chats(tmp_path / "chats.jsonl", 40), "app")
    assert (report.records, report.new, report.known, report.quarantined) == (40, 23, 0, 0)
    assert dict(report.skipped_why) == {"excluded by ours": 10, "excluded by private": 7}
    assert workspace.counts()["interactions"] == workspace.counts()["feedback"] == 23
    written = "".join(pl.read_parquet(path).write_json() for path in (folder / "tables").rglob("*.parquet"))
    assert "question number 18" in written
    assert "question number 21" not in written
    assert "question number 26" not in written
    assert explain_policy(workspace).remarks == ()


def test_what_is_said_later_about_an_excluded_record_stays_out_as_well(folder, tmp_path):
    workspace = Workspace(folder)
    ingest(workspace, chats(tmp_path / "chats.jsonl", 40), "app")
    votes = tmp_path / "votes.csv"
    votes.write_text("chat,said\nc0,fine\nc1,about our own\nc21,about our own\n")
    report = ingest(workspace, votes, "votes")
    assert (report.records, report.new) == (3, 1)
    assert dict(report.skipped_why) == {"feedback on an excluded record": 2}
    assert workspace.read("feedback")["comment"].drop_nulls().to_list() == ["fine"]


def test_a_rule_that_is_lifted_lets_the_same_file_in_and_a_new_rule_says_what_is_there_already(folder, tmp_path):
    workspace = Workspace(folder)
    file = chats(tmp_path / "chats.jsonl", 40)
    ingest(workspace, file, "app")
    (folder / "clw.toml").write_text(SETTINGS)
    report = ingest(workspace, file, "app")
    assert (report.records, report.new, report.known, report.skipped) == (40, 17, 23, 0)
    votes = tmp_path / "votes.csv"
    votes.write_text("chat,said\nc21,now it counts\n")
    assert ingest(workspace, votes, "votes").new == 1
    (folder / "clw.toml").write_text(SETTINGS + KEPT_OUT)
    assert explain_policy(workspace).remarks == (
        "ours: 10 signals came in before this rule; `clw forget --where` removes them",
        "private: 10 signals came in before this rule; `clw forget --where` removes them",
    )


def test_a_dry_run_shows_what_the_rules_leave(folder, tmp_path):
    shown = preview(Workspace(folder), chats(tmp_path / "chats.jsonl", 4), "app")
    assert [json.loads(row)["tenant"] for row in shown.interactions["attributes"]] == ["acme", "acme", "beta"]


def test_a_dry_run_writes_nothing(folder, tmp_path):
    before = (folder / "catalog.db").read_bytes()
    preview(Workspace(folder), chats(tmp_path / "chats.jsonl", 8), "app")
    assert Workspace(folder).catalog.query("select count(*) from refused") == [(0,)]
    assert (folder / "catalog.db").read_bytes() == before


def test_a_consent_that_is_withdrawn_later_takes_the_row_out_of_use(folder, tmp_path):
    (folder / "clw.toml").write_text(
        SETTINGS
        + "[training]\nholdout = 0.0\n[policy.exclude]\n"
        + "no_consent = { where = \"coalesce(attributes.consent, 'no') <> 'yes'\", at = \"ingest\" }\n"
    )
    workspace = Workspace(folder)
    first = chats(tmp_path / "chats.jsonl", 4)  # the fifth would be without
    assert ingest(workspace, first, "app").new == 4
    later = json.loads(first.read_text().splitlines()[0]) | {"consent": "no"}
    (tmp_path / "later.jsonl").write_text(json.dumps(later) + "\n")
    assert ingest(workspace, tmp_path / "later.jsonl", "app").skipped == 1
    made = build(workspace)
    assert made.built.dropped["withdrawn"] == 1
    assert made.built.frame.height == 3


def test_what_a_rule_says_of_a_source_or_a_text_holds_for_feedback_too(folder, tmp_path):
    (folder / "clw.toml").write_text(
        SETTINGS + "[policy.exclude]\nsecret = { pattern = '(?i)confidential', at = 'ingest' }\n"
    )
    workspace = Workspace(folder)
    ingest(workspace, chats(tmp_path / "chats.jsonl", 4), "app")
    votes = tmp_path / "votes.csv"
    votes.write_text("chat,said\nc0,fine\nc1,strictly confidential\n")
    report = ingest(workspace, votes, "votes")
    assert dict(report.skipped_why) == {"excluded by secret": 1}
    assert workspace.read("feedback")["comment"].drop_nulls().to_list() == ["fine"]


def test_a_rule_that_fails_quotes_no_value(folder, tmp_path):
    rule = "[policy.exclude]\nx = { where = \"cast(user_key as double) > 1\", at = 'ingest' }\n"
    (folder / "clw.toml").write_text(SETTINGS + rule.replace("user_key", "conversation_id"))
    file = tmp_path / "chats.jsonl"
    row = {"id": "a", "conversation_id": "ann@mail.example", "messages": [{"role": "user", "content": "x"}]}
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(ExpressionError, match="fails on these rows") as told:
        ingest(Workspace(folder), file, "app")
    assert "ann@" not in str(told.value)
