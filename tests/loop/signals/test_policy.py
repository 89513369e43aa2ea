"""One policy, enforced on the way to candidates, reviewers' sheets and training sets, and told before it acts."""

import json
from pathlib import Path

import polars as pl
import pytest

from clworkbench.audit.checks import audit
from clworkbench.loop import data
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.signals.policy import explain_policy
from clworkbench.loop.training_sets.convert import build
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
[candidates]
duplicates = "exact"
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
    text = settings.read_text().replace("[candidates]", "[candidates]\nquotas = { random = 1.0 }")
    settings.write_text(text + "[policy.sample]\nrate = 0.5\n")
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


def test_rows_that_came_in_while_redaction_was_off_leave_redacted(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    text = SETTINGS[: SETTINGS.index("[policy.exclude]")] + "[training]\nholdout = 0.0\n"
    workspace = Workspace.create(tmp_path / "w", settings=text + "[policy]\nredaction = 'off'\n")
    file = chats(tmp_path / "chats.jsonl", 2)
    file.write_text(file.read_text().replace("question number 1", "I am ann@mail.example"))
    ingest(workspace, file, "openai")
    (workspace.folder / "clw.toml").write_text(text)
    prompts = [message["content"] for row in build(workspace).built.frame["prompt"] for message in row]
    assert sorted(prompts) == ["I am [EMAIL]", "question number 0"]
    data.write_candidates(workspace, data.choose(workspace, n=2), tmp_path / "sheet.csv")
    assert "ann@" not in (tmp_path / "sheet.csv").read_text()


def test_a_pattern_reaches_what_a_reviewer_wrote(governed, tmp_path):
    settings = governed.folder / "clw.toml"
    settings.write_text(settings.read_text().replace("per_user = 3", "per_user = 40"))
    before = build(governed).built
    chosen = before.frame["signal_ids"].explode()[0]
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(f"interaction_id,improvement,annotator\n{chosen},Strictly CONFIDENTIAL: no,ann\n")
    data.import_labels(governed, sheet)
    rule = "[policy.exclude.contracts]\npattern = '(?i)strictly confidential'\n[policy.caps]"
    settings.write_text(settings.read_text().replace("[policy.caps]", rule))
    after = build(governed).built
    assert after.dropped["excluded_by_contracts"] == 1
    assert after.frame.height == before.frame.height - 1


def test_a_suites_ids_name_nobody_and_its_groups_still_keep_users_out_of_training(governed, tmp_path):
    settings = governed.folder / "clw.toml"
    settings.write_text(settings.read_text().replace("per_user = 3", "per_user = 40"))
    suite = tmp_path / "suite.jsonl"
    examples = [
        {"id": "of ann@mail.example", "input": "something else", "expected": "x", "group": "talk ann@mail.example"},
        {"id": "b", "input": "another thing", "expected": "y", "group": "user 1"},
    ]
    suite.write_text("".join(json.dumps(example) + "\n" for example in examples))
    frozen = governed.rows(str(data.freeze_suite(governed, "main", suite)["id"]))
    assert "ann@" not in frozen.write_json()
    dropped = build(governed).built.dropped
    # By hand: of the 24 that the rules leave, user 1 has the odd ones; all of 1 mod 4 are ours, so 3, 7, 11, ...
    # less those without consent (19, 39): 8 of 10.
    assert dropped["leak_group"] == 8


def test_a_rate_that_names_no_stratum_is_remarked_on(governed):
    settings = governed.folder / "clw.toml"
    text = settings.read_text().replace("never = \"model = 'nobody'\"", "")
    sample = "by = 'attributes.tenant'\nrates = { acme = 0.5, Us = 0.0, nobody = 0.0 }\n"
    settings.write_text(text + f"[policy.sample]\n{sample}")
    assert explain_policy(governed).remarks == (
        "sample: the rate of 'Us' meets no stratum, so that 1 is used; did you mean 'us'?",
        "sample: the rate of 'nobody' meets no stratum, so that 1 is used; there: acme, beta, us",
    )


def test_the_figure_ends_with_the_rows_that_could_be_learned(governed, tmp_path):
    path = chats(tmp_path / "more.jsonl", 3)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [line | {"id": f"silent {k}", "tenant": "acme", "feedback": []} for k, line in enumerate(lines)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ingest(governed, path, "openai")
    told = explain_policy(governed)
    # Beside what the rules take, nobody said anything about three answers.
    assert {reason: n for reason, n in told.dropped.items() if n} == {
        "excluded_by_ours": 10, "excluded_by_no_consent": 6, "pending": 3, "over_user_cap": 18,
    }  # fmt: skip
    bars = told.plot().data[0]
    assert (bars.y[-1], bars.text[-1]) == ("rows", "6")
    assert told.rows == 6


def test_a_misspelt_attribute_is_told(governed):
    settings = governed.folder / "clw.toml"
    settings.write_text(settings.read_text().replace("model = 'nobody'", "attributes.tenannt = 'us'"))
    assert "never: no signal has attributes.tenannt; is it spelled as in the data?" in explain_policy(governed).remarks


def test_an_audit_finds_a_signal_that_a_rule_keeps_out_by_now(governed, tmp_path):
    settings = governed.folder / "clw.toml"
    rules = settings.read_text().replace("per_user = 3", "per_user = 40")
    settings.write_text(rules)
    made = build(governed)
    assert audit(governed, made.id).ok
    late = "never = { pattern = 'number 0', at = 'ingest' }"
    settings.write_text(rules.replace("never = \"model = 'nobody'\"", late))
    ingest(governed, tmp_path / "chats.jsonl", "openai")
    failed = {check.name for check in audit(governed, made.id).checks if not check.ok}
    assert failed == {"today's policy", "withdrawn"}
