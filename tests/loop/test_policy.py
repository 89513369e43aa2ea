"""One policy, enforced on the way to candidates, reviewers' sheets and training sets, and told before it acts."""

import json
from pathlib import Path

import polars as pl
import pytest

from clworkbench.loop import data
from clworkbench.loop.capture import ingest
from clworkbench.loop.convert import build
from clworkbench.loop.policy import explain_policy
from clworkbench.workspace import Workspace

SETTINGS = """\
[outcomes]
thumbs = { score = "thumbs" }
[slices]
internal = "attributes.tenant = 'us'"
[policy.exclude]
ours = { slice = "internal" }
no_consent = "coalesce(attributes.consent, 'no') <> 'yes'"
never = "model = 'nobody'"
[policy.caps]
per_user = 3
[training]
holdout = 0.0
"""

TENANTS = ("acme", "us", "acme", "beta")


def chats(path: Path, n: int) -> Path:
    """Chats of two users, four tenants in turn, every fifth without consent; each was thumbed up."""
    lines = [
        {
            "id": f"c{k}",
            "created": f"2026-03-01T11:{k:02}:00Z",
            "user": f"user {k % 2}",
            "tenant": TENANTS[k % 4],
            **({} if k % 5 == 4 else {"consent": "yes"}),
            "messages": [
                {"role": "user", "content": f"question number {k}"},
                {"role": "assistant", "content": f"answer {k}"},
            ],
            "feedback": [{"name": "thumbs", "score": 1, "at": "2026-03-01T12:00:00Z"}],
        }
        for k in range(n)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def governed(tmp_path, monkeypatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = Workspace.create(tmp_path / "w", settings=SETTINGS)
    ingest(workspace, chats(tmp_path / "chats.jsonl", 40), "openai")
    return workspace


def test_the_report_says_what_each_rule_takes_and_the_build_takes_the_same(governed):
    # By hand: 40 chats; tenant 'us' is every fourth: 10. Without consent: 8 (k = 4, 9, ...), of which 9 and 29 are
    # ours as well. 40 - 10 - 6 = 24 are left, of both users more than 3: 6 stay.
    told = explain_policy(governed)
    by_rule = {row["rule"]: (row["alone"], row["takes"]) for row in told.frame.to_dicts()}
    assert by_rule["ours"] == (10, 10)
    assert by_rule["no_consent"] == (8, 6)
    assert by_rule["never"] == (0, 0)
    assert by_rule["over_user_cap"] == (None, 18)
    assert (told.signals, told.rows) == (40, 6)
    assert told.remarks == ("never: holds in no signal; look at its words, or keep it for what is to come",)
    made = build(governed)
    taken = {reason: n for reason, n in made.built.dropped.items() if n}
    assert taken == {"excluded_by_ours": 10, "excluded_by_no_consent": 6, "over_user_cap": 18}
    assert made.built.frame.height == 6


def test_every_artefact_names_the_policy_it_was_made_under(governed):
    made = build(governed)
    assert made.manifest["policy_sha256"] == governed.policy_sha256 == explain_policy(governed).sha256
    recorded = made.manifest["settings"]
    assert [rule["name"] for rule in recorded["policy"]["exclude"]] == ["ours", "no_consent", "never"]
    assert recorded["slices"] == {"internal": "attributes.tenant = 'us'"}
    settings = governed.folder / "clw.toml"
    settings.write_text(settings.read_text().replace("per_user = 3", "per_user = 4"))
    assert governed.policy_sha256 != made.manifest["policy_sha256"]


def test_an_excluded_signal_is_no_candidate_and_stands_on_no_reviewers_sheet(governed, tmp_path):
    selection = data.choose(governed, n=40)
    allowed = governed.signals().filter(
        (pl.col("attributes").str.json_path_match("$.tenant") != "us")
        & (pl.col("attributes").str.json_path_match("$.consent") == "yes")
    )
    assert set(selection.frame["interaction_id"]) == set(allowed["interaction_id"])
    data.write_candidates(governed, selection, tmp_path / "sheet.csv")
    assert pl.read_csv(tmp_path / "sheet.csv").height == 24


def test_candidates_of_a_sample_carry_the_chance_of_both_draws(governed):
    settings = governed.folder / "clw.toml"
    settings.write_text(settings.read_text() + "[policy.sample]\nrate = 0.5\n[candidates]\nquotas = { random = 1.0 }\n")
    selection = data.choose(governed, n=100)
    assert selection.frame["inclusion_probability"].unique().to_list() == [0.5]
    assert 0 < selection.frame.height < 24


def test_a_rule_that_holds_in_every_signal_says_so(governed):
    settings = governed.folder / "clw.toml"
    settings.write_text(settings.read_text().replace("model = 'nobody'", "true"))
    assert explain_policy(governed).remarks == ("never: holds in every signal; nothing is left to learn from",)


def test_a_campaign_is_told_and_kept_out(governed, tmp_path):
    target = governed.read("interactions").filter(pl.col("source_id") == "c0")["interaction_id"].item()
    votes = tmp_path / "votes.csv"
    rows = [f"c0,2026-03-01T12:0{k}:00Z,actor {k},1" for k in range(5)]
    votes.write_text("\n".join(["chat,at,who,score", *rows]) + "\n")
    settings = governed.folder / "clw.toml"
    text = settings.read_text().replace("per_user = 3", "brigade = 5")
    settings.write_text(
        text + "[sources.votes]\nformat = 'mapping'\nrecord = 'feedback'\ntarget_source = 'openai'\n"
        "columns = { chat = 'target', at = 'at', who = 'actor', score = 'score' }\nconstants = { name = 'thumbs' }\n"
    )
    ingest(governed, votes, "votes")
    assert explain_policy(governed).frame.filter(pl.col("rule") == "brigaded")["takes"].item() == 1
    assert target not in build(governed).built.frame["signal_ids"].explode().to_list()


def test_a_policy_over_an_empty_workspace_takes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    empty = explain_policy(Workspace.create(tmp_path / "w", settings=SETTINGS))
    assert (empty.signals, empty.rows, empty.frame["takes"].sum()) == (0, 0, 0)
