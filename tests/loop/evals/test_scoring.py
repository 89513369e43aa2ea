"""Scorers in a workspace: a person's verifier, classification with F1, a reward model, and gates on them."""

import json
from pathlib import Path

import polars as pl
import pytest

from clworkbench.audit.checks import audit
from clworkbench.errors import ClwError, SettingsError
from clworkbench.evals.drawn_suite import graded_lines
from clworkbench.loop.data import freeze_suite
from clworkbench.loop.evals.model import evaluate
from clworkbench.loop.evals.scoring import scoring
from clworkbench.loop.releases.rules import check, gates, suites
from clworkbench.loop.runs.train import train
from clworkbench.schemas import TRAINING_ROWS
from clworkbench.scorers.names import scorer
from clworkbench.workspace import Workspace
from tests.loop.runs.test_train import add_set
from tests.runs.made_rows import prompts

SETTINGS = """\
format = 1
[model]
base = "{base}"
dtype = "float32"
threads = 1
[training]
steps = 2
batch_size = 4
learning_rate = 1e-2
max_tokens = 128
[evals]
scorers = {scorers}
max_new_tokens = 4
"""
VERIFIER = "python:checks.py:is_short"
CHECKS = """\
def is_short(output, expected):
    return len(output) < 1_000


is_short.expected_is_answer = False
"""


@pytest.fixture
def made(tiny_base: Path, tmp_path: Path, monkeypatch) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = Workspace.create(tmp_path / "w", settings=text(tiny_base, VERIFIER, "classification"))
    (workspace.folder / "checks.py").write_text(CHECKS)
    lines = [
        {"id": str(at), "input": f"where is my card {at}", "expected": "lost" if at % 3 else "late", "slices": ["card"]}
        for at in range(6)
    ]
    suite = tmp_path / "suite.jsonl"
    suite.write_text("".join(json.dumps(line) + "\n" for line in lines))
    freeze_suite(workspace, "main", suite)
    return workspace


def text(base: Path, *scorers: str, more: str = "") -> str:
    return SETTINGS.format(base=base, scorers=json.dumps(scorers)) + more


def set_to(workspace: Workspace, text: str) -> Workspace:
    (workspace.folder / "clw.toml").write_text(text)
    return Workspace(workspace.folder)


def test_a_changed_verifier_is_another_one_and_models_are_scored_anew(made: Workspace, tiny_base: Path):
    first = evaluate(made, str(tiny_base), "main")
    assert first.scores.filter(scorer=VERIFIER)["score"].to_list() == [1.0] * 6
    assert list(first.manifest["asked"]["scorer_content"]) == [VERIFIER]
    assert evaluate(made, str(tiny_base), "main").cached
    (made.folder / "checks.py").write_text(CHECKS.replace("< 1_000", "> 1_000"))
    again = evaluate(made, str(tiny_base), "main")
    assert not again.cached
    assert again.scores.filter(scorer=VERIFIER)["score"].to_list() == [0.0] * 6
    assert again.manifest["id"] != first.manifest["id"]
    assert [each for each in audit(made, str(first.manifest["id"])).checks if not each.ok] == []


def test_a_verifier_that_fails_on_an_answer_leaves_its_error_in_the_scores(made: Workspace, tiny_base: Path):
    (made.folder / "checks.py").write_text(CHECKS.replace("return len", "raise OSError('no compiler')\n    return len"))
    scores = evaluate(made, str(tiny_base), "main").scores.filter(scorer=VERIFIER)
    assert scores["score"].null_count() == 6
    assert set(scores["error"]) == {"OSError: no compiler (line 2)"}


def test_f1_stands_beside_the_mean_of_a_classification(made: Workspace, tiny_base: Path):
    done = evaluate(made, str(tiny_base), "main")
    told = done.as_dict()
    assert {(row["slice"], row["average"]) for row in told["f1"]} >= {
        ("all", "macro"),
        ("all", "micro"),
        ("card", "macro"),
    }
    assert [(row["label"], row["n"]) for row in told["classes"]] == [("late", 2), ("lost", 4)]
    assert "macro F1" in done._repr_html_()


def test_a_gate_on_f1_is_refused_in_words(made: Workspace, tiny_base: Path):
    own = set_to(made, text(tiny_base, "classification", more='[gates]\nmetric = "macro_f1"\n'))
    with pytest.raises(SettingsError, match="'macro_f1' belongs to a whole set, and gates compare examples one by one"):
        check(own)


def test_code_that_the_settings_do_not_name_does_not_run(made: Workspace):
    with scoring(made):
        assert scorer(VERIFIER).scaled
        with pytest.raises(ClwError, match=r"not in clw\.toml"):
            scorer("python:checks.py:other")


def test_a_run_scores_answers_and_its_gates_need_margins_of_their_own(made: Workspace, tiny_base: Path):
    add_set(made, "reward")
    add_set(made, "sft")
    run, answers = (train(made, kind).id for kind in ("reward", "sft"))
    name = f"reward:{run}"
    own = set_to(made, text(tiny_base, "exact_match", name, more='[gates]\nmetric = "exact_match"\n'))
    scores = evaluate(own, str(tiny_base), "main").scores.filter(scorer=name)
    assert scores["score"].null_count() == 0
    own = set_to(made, text(tiny_base, "exact_match", name, more=f'[gates]\nmetric = "{name}"\n'))
    with pytest.raises(SettingsError, match="has no scale, and the default margins are points"):
        gates(own, ["suite:main@1"])
    rule = f'[[gates.rules]]\nname = "liked"\nmetric = "{name}"\nrequired = true\n'
    own = set_to(made, text(tiny_base, "exact_match", name, more=rule))
    with pytest.raises(SettingsError, match=r"rule 'liked': .* has no scale, so 5 points of it mean nothing"):
        gates(own, ["suite:main@1"])
    own = set_to(made, text(tiny_base, "exact_match", name, more=rule + "margin = 0.5\n"))
    assert [gate.margin for gate in gates(own, ["suite:main@1"])] == [0.5]
    with scoring(own), pytest.raises(ClwError, match="answers, and gives no score"):
        scorer(f"reward:{answers}")


def test_a_rule_without_a_margin_means_5_points_or_for_better_0(made: Workspace, tiny_base: Path):
    rules = "".join(
        f'[[gates.rules]]\nname = "{asks}"\nmetric = "exact_match"\nasks = "{asks}"\nrequired = true\n'
        for asks in ("better", "not_worse")
    )
    own = set_to(made, text(tiny_base, "exact_match", more=rules))
    assert [gate.margin for gate in gates(own, ["suite:main@1"])] == [0.0, 0.05]


def test_a_run_by_grpo_is_verified_by_a_persons_code(made: Workspace, tiny_base: Path):
    more = "[training.grpo]\ngenerations = 2\n"
    own = set_to(made, text(tiny_base, VERIFIER, more=more))
    (own.folder / "checks.py").write_text(
        "def is_short(output, expected):\n    return 1.0 if output == expected else len(output) % 5 / 5\n"
    )
    rows = prompts().with_columns(
        row_id=pl.int_range(pl.len()).cast(pl.String), weight=1.0, split=pl.lit("train"), verifier=pl.lit(VERIFIER)
    )
    schema = TRAINING_ROWS["prompts"]
    full = rows.with_columns(pl.lit(None, dtype).alias(at) for at, dtype in schema.items() if at not in rows.columns)
    about = {"rows_kind": "prompts", "splits": {"train": rows.height}}
    own.publish_rows("training_set", "mine", full.select(schema.names()), about=about)
    done = train(own, "mine")
    assert done.manifest["method"] == "grpo"
    assert 0 < max(done.manifest["curves"]["reward"]) <= 1


def test_a_reward_model_alone_scores_models_and_only_a_gate_asks_for_rules(made: Workspace, tiny_base: Path):
    add_set(made, "reward")
    name = f"reward:{train(made, 'reward').id}"
    own = set_to(made, text(tiny_base, name))
    assert evaluate(own, str(tiny_base), "main").scores["scorer"].unique().to_list() == [name]
    with pytest.raises(SettingsError, match="has no scale, and the default margins are points"):
        gates(own, suites(own))


def test_a_frozen_suite_says_why_a_scorer_cannot_grade_its_examples(made: Workspace, tiny_base: Path, tmp_path: Path):
    own = set_to(made, text(tiny_base, "ifeval"))
    file = tmp_path / "asked.jsonl"
    expected = ["no list", [{"id": "x:y"}], None]
    file.write_text(
        "".join(json.dumps({"input": str(at), "expected": each}) + "\n" for at, each in enumerate(expected))
    )
    [line] = graded_lines(freeze_suite(own, "asked", file), 3)
    assert line.startswith("  ifeval cannot grade 3 of 3 examples (such as: expected is a JSON list of instructions")
