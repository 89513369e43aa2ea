"""Forgetting on a 2-layer model: what a run lost of its parent's lessons, on rows that neither was trained on."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.errors import EvidenceError, ModelError, SettingsError
from clworkbench.loop import data
from clworkbench.loop.runs.forgetting import forgetting
from clworkbench.loop.runs.train import train
from clworkbench.models.likelihood import Answered, answer_log_probs
from clworkbench.models.load import load
from clworkbench.models.names import base_spec
from clworkbench.schemas import TRAINING_ROWS
from clworkbench.workspace import Workspace
from tests.runs.made_rows import asked, rows_of, said

SETTINGS = """\
format = 1
[model]
base = "{base}"
dtype = "float32"
threads = 1
[training]
steps = 12
batch_size = 8
learning_rate = 2e-2
max_tokens = 64
[evals]
max_new_tokens = 8
"""

TOPICS = ["card", "transfer", "balance", "rate", "refund", "charged"]


def add_set(workspace: Workspace, name: str, answer: str, month: int, n: int = 60) -> str:
    """Questions with one answer to all; a third of them is held out."""
    questions = [f"where is my {TOPICS[i % 6]} {i} of {name}" for i in range(n)]
    rows = rows_of(prompt=[asked(q) for q in questions], completion=[said(answer)] * n)
    schema = TRAINING_ROWS["sft"]
    at = [datetime(2026, month - i % 2, 3, tzinfo=UTC) for i in range(n)]
    rows = rows.with_columns(
        pl.lit(None, dtype).alias(column) for column, dtype in schema.items() if column not in rows.columns
    ).with_columns(
        at=pl.Series(at, dtype=schema["at"]),
        group=pl.Series([f"{name}-{i}" for i in range(n)]),
        row_id=pl.Series([f"{name}-{i}" for i in range(n)]),
        weight=1.0,
        split=pl.when(pl.int_range(pl.len()) % 3 == 2).then(pl.lit("holdout")).otherwise(pl.lit("train")),
    )
    about = {"rows_kind": "sft", "splits": dict(rows["split"].value_counts().iter_rows())}
    return str(workspace.publish_rows("training_set", name, rows.select(schema.names()), about=about)["id"])


@pytest.fixture(scope="module")
def learned(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory):
    """A run, a child that was taught something else, and one that was taught more of the same."""
    place = tmp_path_factory.mktemp("forgetting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(place / "config"))
        workspace = Workspace.create(place / "w", settings=SETTINGS.format(base=tiny_base))
        add_set(workspace, "first", "please cancel", 3)
        add_set(workspace, "other", "exchange rate today", 5)
        add_set(workspace, "same", "please cancel", 7)
        parent = train(workspace, "first").id
        yield (
            workspace,
            parent,
            train(workspace, "other", parent=parent).id,
            train(workspace, "same", parent=parent, steps=2, learning_rate=1e-4).id,
        )


def test_a_run_that_was_taught_something_else_has_forgotten_and_by_how_much_is_told(learned):
    workspace, parent, other, _ = learned
    found = forgetting(workspace, other)
    assert found.against == parent
    assert found.frame["where"].to_list() == ["held out", "2026-02", "2026-03"]
    assert found.frame["n"].to_list() == [20, 10, 10]
    assert set(found.frame["verdict"]) == {"forgotten"}
    assert (found.frame["high"] < -found.frame["margin"]).all()
    assert found.forgotten[0] == "log_prob on held out"
    assert found.left_out == ("no suite: freeze one with `clw suite NAME FILE`",)


def test_a_run_that_was_taught_the_same_kept_what_its_parent_knew(learned):
    workspace, _, _, same = learned
    found = forgetting(workspace, same)
    assert found.frame.row(0, named=True)["verdict"] == "kept"
    assert found.forgotten == []
    assert "nothing shown forgotten" in repr(found)


def test_the_numbers_are_those_of_a_loop_over_the_held_out_rows(learned):
    import torch

    workspace, parent, other, _ = learned
    whole = forgetting(workspace, other).frame.row(0, named=True)
    held = workspace.rows("training_set:first").filter(pl.col("split") != "train")
    from clworkbench.loop.evals.model import resolve

    means = []
    for run in (parent, other):
        loaded, values = load(resolve(workspace, run), dtype="float32", threads=1), []
        for prompt, completion in held.select("prompt", "completion").iter_rows():
            text = f"<|im_start|>user\n{prompt[0]['content']}<|im_end|>\n<|im_start|>assistant\n"
            before = loaded.tokenizer(text)["input_ids"]
            tokens = before + loaded.tokenizer(f"{completion[0]['content']}<|im_end|>\n")["input_ids"]
            with torch.inference_mode():
                logits = loaded.model(torch.tensor([tokens])).logits[0].double()
            told = [float(logits[at - 1].log_softmax(-1)[tokens[at]]) for at in range(len(before), len(tokens))]
            values.append(math.fsum(told) / len(told))
        means.append(math.fsum(values) / len(values))
    assert [whole["before"], whole["after"]] == pytest.approx(means, abs=1e-4)
    assert whole["difference"] == pytest.approx(means[1] - means[0], abs=1e-4)


def test_suites_are_measured_beside_held_out_rows_and_their_slices_apart(learned, tmp_path):
    workspace, _, other, _ = learned
    lines = [
        {"id": f"q{i}", "input": f"where is my card {i}", "expected": "please cancel", "slices": ["cards"]}
        for i in range(30)
    ]
    file = tmp_path / "suite.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    suite = str(data.freeze_suite(workspace, "cards", file)["id"]).removeprefix("suite:")
    try:
        found = forgetting(workspace, other)
    finally:
        with workspace.catalog.transaction() as db:
            db.execute("delete from artefacts where id like 'suite:cards%'")
    on = found.frame.filter(pl.col("metric") == "exact_match")
    assert on["where"].to_list() == [suite, f"{suite}: cards"]
    assert on["after"].to_list() == [0.0, 0.0]
    assert set(on["verdict"]) == {"forgotten"}


def test_rows_of_one_conversation_are_one_witness(learned, tiny_base):
    workspace, parent, _, _ = learned
    rows = workspace.rows("training_set:first").with_columns(group=pl.lit("one conversation"), at=pl.col("at").max())
    about = {"rows_kind": "sft", "splits": {"train": 40, "holdout": 20}}
    workspace.publish_rows("training_set", "one", rows, about=about)
    before = train(workspace, "one", steps=1).id
    found = forgetting(workspace, parent, before)
    assert found.frame.select("where", "n", "verdict").rows() == [("held out", 1, "open")]


def test_there_is_nothing_to_forget_without_a_parent_or_against_itself(learned):
    workspace, parent, other, _ = learned
    with pytest.raises(EvidenceError, match="trained from a base"):
        forgetting(workspace, parent)
    with pytest.raises(EvidenceError, match="cannot be held against itself"):
        forgetting(workspace, other, other)
    with pytest.raises(ModelError, match="not a run or a release"):
        forgetting(workspace, workspace.settings.model.base, parent)
    with pytest.raises(ModelError, match="has learned nothing from here"):
        forgetting(workspace, other, workspace.settings.model.base)
    with pytest.raises(SettingsError, match="margin = nan"):
        forgetting(workspace, other, margin=math.nan)


def test_where_nothing_was_held_out_it_says_so_and_what_to_do(learned):
    workspace, _, other, _ = learned
    rows = workspace.rows("training_set:first").with_columns(split=pl.lit("train"))
    workspace.publish_rows("training_set", "all", rows, about={"rows_kind": "sft", "splits": {"train": 60}})
    before = train(workspace, "all", steps=1).id
    with pytest.raises(EvidenceError, match=r"(?s)no row .* is held out: see \[training\] holdout; no suite"):
        forgetting(workspace, other, before)


def test_the_command_answers_1_where_something_was_forgotten_and_0_where_not(learned):
    workspace, parent, other, same = learned
    folder = str(workspace.folder)
    found = CliRunner().invoke(clw, ["forgetting", other, "--json", "--workspace", folder])
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    assert (told["against"], told["forgotten"][0]) == (parent, "log_prob on held out")
    assert CliRunner().invoke(clw, ["forgetting", same, "--workspace", folder]).exit_code == 0


def test_the_picture_has_each_slice_with_its_margin_and_the_cell_escapes(learned):
    workspace, _, other, _ = learned
    found = forgetting(workspace, other)
    figure = found.plot()
    assert sorted(place for trace in figure.data for place in trace.y) == ["2026-02", "2026-03", "held out"]
    assert [shape.x0 for shape in figure.layout.shapes] == [0, -0.1]
    assert "<table" in found._repr_html_()


def test_an_answer_that_does_not_fit_the_context_has_no_likelihood(tiny_base: Path):
    loaded = load(base_spec(str(tiny_base)), dtype="float32", threads=1)
    found = answer_log_probs(loaded, [Answered([1] * 510, [2] * 3), Answered([1], []), Answered([1, 2], [3])])
    assert found["log_prob"].is_null().to_list() == [True, True, False]
    assert found["n_tokens"].to_list() == [3, 0, 1]
