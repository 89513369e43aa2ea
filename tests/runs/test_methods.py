"""Each method on a tiny model: it learns, it can be made again, it goes on after an end, and it says what it cannot."""

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from clworkbench.errors import ClwError, EvidenceError, ModelError, SettingsError
from clworkbench.files import sha256_file
from clworkbench.models.load import load_reward, rewards
from clworkbench.models.names import ModelSpec
from clworkbench.runs.dpo import train_dpo
from clworkbench.runs.grpo import in_turn, train_grpo, verified
from clworkbench.runs.grpo import prompts as asked_prompts
from clworkbench.runs.kto import balance, train_kto
from clworkbench.runs.resumed import told_when_out_of_memory
from clworkbench.runs.reward import held_out_accuracy, train_reward
from clworkbench.runs.settings import (
    DpoSettings,
    GrpoSettings,
    KtoSettings,
    Machine,
    RewardSettings,
    RunResult,
    RunSettings,
    SftSettings,
)
from clworkbench.runs.sft import train_sft
from clworkbench.schemas import MESSAGES
from tests.runs.made_rows import (
    QUICK,
    asked,
    completions,
    dialogues,
    preferences,
    prompts,
    rows_of,
    said,
    unpaired,
)

DPO, KTO, REWARD = DpoSettings(**QUICK), KtoSettings(**QUICK), RewardSettings(**QUICK)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("methods")


@pytest.fixture(scope="module")
def dpo(tiny_base: Path, folder: Path) -> RunResult:
    return train_dpo(preferences(), tiny_base, folder / "dpo", DPO)


@pytest.fixture(scope="module")
def kto(tiny_base: Path, folder: Path) -> RunResult:
    return train_kto(unpaired(), tiny_base, folder / "kto", KTO)


@pytest.fixture(scope="module")
def reward(tiny_base: Path, folder: Path) -> RunResult:
    return train_reward(dialogues(), tiny_base, folder / "reward", REWARD)


@pytest.fixture(scope="module")
def answering(tiny_base: Path, folder: Path) -> RunResult:
    """A supervised run that is right now and then."""
    settings = SftSettings(**(QUICK | {"steps": 14, "batch_size": 8, "learning_rate": 2e-2}))
    return train_sft(completions(), tiny_base, folder / "answering", settings)


def stop_at(step: int):
    def stop(now: int, *_told: float) -> None:
        if now == step:
            raise KeyboardInterrupt

    return stop


def bare(kind: str, rows: pl.DataFrame, base: Path, out: Path, *, beta: float) -> tuple[str, list[float]]:
    """The adapter's hash and the losses of a script that calls TRL's trainer and nothing of ours."""
    import torch
    import trl
    from datasets import Dataset
    from peft import LoraConfig
    from peft.helpers import disable_input_dtype_casting
    from transformers import AutoModelForCausalLM, AutoTokenizer

    names = [name for name in ("prompt", "chosen", "rejected", "completion", "label") if name in rows.columns]
    plain = [
        {
            name: row[name] if name == "label" else [{key: m[key] for key in ("role", "content")} for m in row[name]]
            for name in names
        }
        for row in rows.iter_rows(named=True)
    ]
    trainer = getattr(trl, f"{kind}Trainer")(
        model=AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, attn_implementation="eager"),
        processing_class=AutoTokenizer.from_pretrained(base),
        train_dataset=Dataset.from_list(plain),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
        args=getattr(trl, f"{kind}Config")(
            output_dir=str(out), max_steps=6, per_device_train_batch_size=4, learning_rate=1e-2, beta=beta,
            lr_scheduler_type="cosine", warmup_steps=1, seed=0, data_seed=0, max_length=64, save_strategy="no",
            logging_steps=1, disable_tqdm=True, report_to=[], bf16=True, use_cpu=True, dataloader_pin_memory=False,
            activation_checkpointing=False,
        ),
    )  # fmt: skip
    with disable_input_dtype_casting(trainer.model):
        trainer.train()
    trainer.save_model(str(out))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return sha256_file(out / "adapter_model.safetensors"), losses


def test_dpo_begins_at_ln_2_and_the_margin_rises(dpo: RunResult):
    assert dpo.losses.columns == ["step", "loss", "learning_rate", "reward_accuracy", "margin"]
    assert dpo.loss_first == pytest.approx(math.log(2), abs=1e-6)
    assert dpo.loss_last < 0.2
    assert dpo.losses["margin"][-1] > 1
    assert dpo.losses["reward_accuracy"][-1] == 1
    assert sorted(path.name for path in dpo.adapter.parent.iterdir()) == ["adapter", "training.json"]


def test_kto_lowers_its_loss_and_balances_by_counts(kto: RunResult):
    assert kto.loss_first == pytest.approx(0.5, abs=1e-6)
    assert kto.loss_last < 0.4
    assert kto.losses["margin"].drop_nulls()[-1] > 0.5
    assert kto.details["desirable_weight"] == kto.details["undesirable_weight"] == 1


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # PEFT 0.21 calls it
def test_a_bare_trl_script_with_the_same_settings_has_the_same_bytes(
    dpo: RunResult, kto: RunResult, tiny_base: Path, tmp_path: Path
):
    import numpy as np

    assert bare("DPO", preferences(), tiny_base, tmp_path / "dpo", beta=0.1)[0] == dpo.adapter_sha256
    in_order = unpaired()[np.random.default_rng(0).permutation(16)]
    assert bare("KTO", in_order, tiny_base, tmp_path / "kto", beta=0.1)[0] == kto.adapter_sha256


@pytest.mark.parametrize("method", ["dpo", "kto", "reward"])
def test_an_interrupted_run_goes_on_to_the_same_bytes(method: str, request, tiny_base: Path, tmp_path: Path):
    learn, rows, settings = {
        "dpo": (train_dpo, preferences(), DPO),
        "kto": (train_kto, unpaired(), KTO),
        "reward": (train_reward, dialogues(), REWARD),
    }[method]
    undisturbed: RunResult = request.getfixturevalue(method)
    with pytest.raises(KeyboardInterrupt):
        learn(rows, tiny_base, tmp_path, settings, on_step=stop_at(5))
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} >= {"checkpoint-4"}
    again = learn(rows, tiny_base, tmp_path, settings)
    assert again.adapter_sha256 == undisturbed.adapter_sha256
    assert again.losses.equals(undisturbed.losses)


def test_dpo_from_a_supervised_run_is_held_to_that_run_and_goes_on_to_the_same_bytes(
    answering: RunResult, tiny_base: Path, tmp_path: Path
):
    settings = replace(DPO, learning_rate=1e-3)
    child = train_dpo(preferences(), tiny_base, tmp_path / "one", settings, parent_adapter=answering.adapter)
    assert child.loss_first == pytest.approx(math.log(2), abs=1e-6)
    assert child.losses["margin"][-1] > 0
    names = {path.name for path in child.adapter.iterdir()}
    assert names == {"adapter_model.safetensors", "adapter_config.json"}
    with pytest.raises(KeyboardInterrupt):
        train_dpo(
            preferences(), tiny_base, tmp_path / "two", settings, parent_adapter=answering.adapter, on_step=stop_at(5)
        )
    again = train_dpo(preferences(), tiny_base, tmp_path / "two", settings, parent_adapter=answering.adapter)
    assert again.adapter_sha256 == child.adapter_sha256 != answering.adapter_sha256


def test_a_reward_model_scores_what_was_chosen_higher(reward: RunResult, tiny_base: Path):
    assert reward.losses["margin"][-1] > reward.losses["margin"][0]
    spec = ModelSpec("run:reward", str(tiny_base), reward.adapter, reward.adapter_sha256)
    model = load_reward(spec, dtype="float32", threads=1)
    found = held_out_accuracy(model, dialogues())
    # Wilson's lower bound of 8 of 8 is 8 / (8 + 1.96²).
    assert found == {"n": 8, "accuracy": 1.0, "low": pytest.approx(8 / 11.8416, abs=1e-4), "high": pytest.approx(1.0)}
    too_long = dialogues().head(1).with_columns(chosen=pl.Series([asked("card " * 600) + said("x")], dtype=MESSAGES))
    assert held_out_accuracy(model, too_long) is None
    assert held_out_accuracy(model, pl.concat([too_long, dialogues()])) == found
    one = [rewards(model, [dialogue])[0] for dialogue in dialogues()["chosen"].to_list()]
    together = rewards(model, dialogues()["chosen"].to_list(), batch_size=8)
    assert one == pytest.approx(together, abs=1e-4)


def test_a_reward_model_s_head_is_trained_kept_and_read_in_float32(reward: RunResult, tiny_base: Path):
    import torch
    from safetensors.torch import load_file

    (head,) = (t for name, t in load_file(reward.adapter / "adapter_model.safetensors").items() if "score" in name)
    assert head.dtype == torch.float32
    assert not torch.equal(head, head.bfloat16().float())
    spec = ModelSpec("run:reward", str(tiny_base), reward.adapter, reward.adapter_sha256)
    loaded = dict(load_reward(spec, dtype="bfloat16", threads=1).model.named_parameters())
    (read,) = (t for name, t in loaded.items() if "score.modules_to_save" in name)
    assert torch.equal(read, head)


def test_a_reward_model_is_hash_checked_and_an_answering_one_gives_no_scores(
    reward: RunResult, dpo: RunResult, tiny_base: Path
):
    with pytest.raises(ModelError, match="The file was changed after the run"):
        load_reward(ModelSpec("run:r", str(tiny_base), reward.adapter, "0" * 64), dtype="float32")
    other_base = ModelSpec("run:r", str(tiny_base), reward.adapter, reward.adapter_sha256, base_sha256="0" * 64)
    with pytest.raises(ModelError, match="The files were changed after the run"):
        load_reward(other_base, dtype="float32")
    with pytest.raises(ModelError, match="its adapter answers, and gives no score"):
        load_reward(ModelSpec("run:d", str(tiny_base), dpo.adapter, dpo.adapter_sha256), dtype="float32")


def test_grpo_raises_the_verified_rate_of_a_supervised_start(answering: RunResult, tiny_base: Path, tmp_path: Path):
    own = {"steps": 16, "batch_size": 32, "learning_rate": 2e-3, "max_tokens": 64}
    settings = GrpoSettings(**(QUICK | own), generations=4)
    run = train_grpo(prompts(), tiny_base, tmp_path / "one", settings, parent_adapter=answering.adapter)
    verified_rate = run.losses["reward"]
    assert verified_rate[-8:].mean() > verified_rate[:4].mean()


@pytest.mark.slow
def test_grpo_samples_the_same_again_also_after_an_interruption(answering: RunResult, tiny_base: Path, tmp_path: Path):
    own = {"batch_size": 16, "learning_rate": 2e-3}
    settings = GrpoSettings(**(QUICK | own), generations=4)
    undisturbed = train_grpo(prompts(), tiny_base, tmp_path / "one", settings, parent_adapter=answering.adapter)
    with pytest.raises(KeyboardInterrupt):
        train_grpo(
            prompts(), tiny_base, tmp_path / "two", settings, parent_adapter=answering.adapter, on_step=stop_at(5)
        )
    again = train_grpo(prompts(), tiny_base, tmp_path / "two", settings, parent_adapter=answering.adapter)
    assert again.adapter_sha256 == undisturbed.adapter_sha256
    assert again.losses.equals(undisturbed.losses)


def test_grpo_takes_every_prompt_once_a_pass():
    rows = pl.DataFrame({"prompt": ["a", "b", "c"]})
    taken = in_turn(rows, GrpoSettings(steps=3, batch_size=8, generations=4))["prompt"].to_list()
    assert len(taken) == 6
    assert sorted(taken[:3]) == sorted(taken[3:]) == ["a", "b", "c"]


def test_grpo_takes_prompts_whose_right_answer_nobody_can_say_where_they_are_graded(tiny_base: Path):
    from transformers import AutoTokenizer

    expected = ["^lost", "(", None]
    rows = prompts().head(3).with_columns(verifier=pl.lit("regex"), expected=pl.Series(expected, dtype=pl.String))
    examples = asked_prompts(rows, AutoTokenizer.from_pretrained(tiny_base), GrpoSettings(**QUICK))
    assert examples.frame["expected"].to_list() == ["^lost"]


def test_grpo_on_a_raw_base_is_stopped_with_advice_and_leaves_nothing(tiny_base: Path, tmp_path: Path):
    settings = GrpoSettings(**(QUICK | {"steps": 3, "batch_size": 8}), generations=4)
    with pytest.raises(ModelError, match=r"nothing was learned in 3 steps up to step 3.*0\.00 on average"):
        train_grpo(prompts(), tiny_base, tmp_path, settings)
    assert list(tmp_path.iterdir()) == []


def test_steps_without_learning_count_on_after_a_resumption():
    from transformers import TrainerControl, TrainerState

    from clworkbench.runs.rollouts import NothingLearned

    def logged(*shares: float) -> None:
        history = [{"step": n, "frac_reward_zero_std": share, "reward": 0.0} for n, share in enumerate(shares, 1)]
        state = TrainerState(global_step=len(shares), log_history=history)
        NothingLearned(3).on_log(None, state, TrainerControl(), history[-1])

    logged(1.0, 1.0)
    logged(1.0, 1.0, 0.5, 1.0, 1.0)
    with pytest.raises(ModelError, match=r"nothing was learned in 3 steps up to step 4.*0\.00 on average"):
        logged(0.0, 1.0, 1.0, 1.0)


def test_answers_are_verified_by_the_scorer_that_each_prompt_names():
    names = ["exact_match", "valid_json", "exact_match", "json_field:a"]
    found = verified(["refund", "{", " card ", '{"a": 1}'], names, ["refund", None, "card", "1"])
    assert found == [1.0, 0.0, 1.0, 1.0]


def test_the_gradient_of_a_row_is_multiplied_by_its_weight():
    import torch
    from torch.nn.functional import logsigmoid

    from clworkbench.runs.trainers import weighed

    class Told(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.told = torch.nn.Parameter(torch.tensor([[0.3, -0.2], [0.1, 0.4], [-0.5, 0.2], [0.6, 0.1]]))

        def forward(self) -> SimpleNamespace:
            return SimpleNamespace(log_probs=self.told * 1)

    def losses(log_probs: torch.Tensor) -> torch.Tensor:
        chosen, rejected = log_probs.sum(1).chunk(2)
        return -logsigmoid(0.1 * (chosen - rejected))

    weight, model = torch.tensor([1.5, 0.5]), Told()
    with weighed(model, weight):
        losses(model().log_probs).mean().backward()
    by_hand = Told()
    (losses(by_hand.told) * weight).mean().backward()
    torch.testing.assert_close(model.told.grad, by_hand.told.grad)


@pytest.mark.parametrize(
    "method", ["dpo", pytest.param("kto", marks=pytest.mark.slow), pytest.param("reward", marks=pytest.mark.slow)]
)
def test_equal_weights_change_nothing_and_unequal_ones_do(method: str, request, tiny_base: Path, tmp_path: Path):
    learn, rows, settings = {
        "dpo": (train_dpo, preferences(), DPO),
        "kto": (train_kto, unpaired(), KTO),
        "reward": (train_reward, dialogues(), REWARD),
    }[method]
    plain: RunResult = request.getfixturevalue(method)
    halves = learn(rows.with_columns(weight=pl.lit(0.5)), tiny_base, tmp_path / "halves", settings)
    assert halves.adapter_sha256 == plain.adapter_sha256
    assert plain.details["weights"] == "equal"
    heavy = pl.when(pl.int_range(pl.len()) % 4 == 0).then(5.0).otherwise(1.0)
    other = learn(rows.with_columns(weight=heavy), tiny_base, tmp_path / "other", settings)
    assert other.adapter_sha256 != plain.adapter_sha256
    assert other.details["weights"] == "gradient"


@pytest.mark.parametrize(("wanted", "unwanted", "weights"), [(8, 24, (3.0, 1.0)), (24, 8, (1.0, 3.0)), (5, 5, (1, 1))])
def test_kto_s_weights_make_both_sorts_count_the_same(wanted: int, unwanted: int, weights: tuple[float, float]):
    rows = pl.DataFrame({"label": [True] * wanted + [False] * unwanted, "weight": [1.0] * (wanted + unwanted)})
    assert balance(rows) == weights


def test_rows_that_are_too_long_are_left_out_or_cut_and_counted(tiny_base: Path, tmp_path: Path):
    once = {"steps": 1, "batch_size": 2}
    long = "card " * 100
    pairs = rows_of(
        prompt=[asked("a"), asked(long), asked("b"), asked("c")],
        chosen=[said("refund"), said("refund"), said("refund " + long), said(long + "x")],
        rejected=[said("card"), said("card"), said("balance"), said(long + "y")],
    )
    run = train_dpo(pairs, tiny_base, tmp_path / "dpo", replace(DPO, **once))
    # The last pair is the same up to the cut: it is left out, and not among those that were cut and learned from.
    assert (run.rows, run.dropped, run.truncated) == (2, 2, 1)
    whole = rows_of(
        chosen=[asked("a") + said("refund"), asked(long) + said("x")] * 2, rejected=[asked("a") + said("b")] * 4
    )
    run = train_reward(whole, tiny_base, tmp_path / "reward", replace(REWARD, **once))
    assert (run.rows, run.dropped, run.truncated) == (2, 2, 0)


def test_what_teaches_nothing_is_refused_in_words(tiny_base: Path, tmp_path: Path):
    small = GrpoSettings(**QUICK)
    same = preferences().with_columns(rejected="chosen")
    ungradable = prompts().with_columns(verifier=pl.lit("json_field:intent"), expected=pl.lit(None, pl.String))
    cases = [
        (
            train_dpo,
            completions(),
            DPO,
            "dpo learns from sets of the kind 'preference'.*clw build NAME --kind preference",
        ),
        (train_kto, preferences(), KTO, "kto learns from sets of the kind 'unpaired'"),
        (train_reward, prompts(), REWARD, "reward learns from sets of the kind 'reward'"),
        (train_dpo, same, DPO, "in all 8 pairs, chosen and rejected are the same"),
        (train_dpo, preferences().head(0), DPO, "the set has no rows"),
        (train_kto, unpaired().head(8), KTO, "all 8 rows are wanted answers"),
        (train_kto, unpaired().tail(8), KTO, "all 8 rows are unwanted answers"),
        (train_kto, unpaired().with_columns(label=pl.lit(None, pl.Boolean)), KTO, "16 of 16 rows have no label"),
        (train_grpo, ungradable, small, "none of 8 prompts has a verifier that gives its own expected answer a 1"),
        (train_grpo, prompts(), replace(small, max_tokens=16), "leaves room for an answer of 4 tokens, a quarter of"),
    ]
    for learn, rows, settings, says in cases:
        with pytest.raises(EvidenceError, match=f"(?s){says}"):
            learn(rows, tiny_base, tmp_path, settings)  # type: ignore[operator]
    with pytest.raises(ClwError, match="scorer 'exact': unknown"):
        train_grpo(prompts().with_columns(verifier=pl.lit("exact")), tiny_base, tmp_path, small)
    assert list(tmp_path.iterdir()) == []


def test_tool_calls_that_the_template_leaves_out_are_refused(tiny_base: Path, tmp_path: Path):
    call = {"id": "1", "name": "look_up", "arguments": "{}"}
    tools = '[{"type": "function", "function": {"name": "look_up"}}]'
    calling = rows_of(
        prompt=[asked("where")],
        completion=[[{"role": "assistant", "content": None, "tool_calls": [call]}]],
        tools=[tools],
    )
    with pytest.raises(ModelError, match="of 1 rows, tools in 1, tool_calls in 1 would be left out without a word"):
        train_sft(calling, tiny_base, tmp_path, SftSettings(**QUICK))


def test_settings_that_do_not_fit_the_method_or_the_machine_are_refused(tiny_base: Path, tmp_path: Path):
    with pytest.raises(SettingsError, match=r"(?s)batch_size = 6 is not a multiple of generations = 4.*batch_size = 8"):
        GrpoSettings(batch_size=6)
    with pytest.raises(SettingsError, match="beta = -1"):
        DpoSettings(beta=-1)
    with pytest.raises(SettingsError, match="kto compares the answers that are on a device at once"):
        train_kto(unpaired(), tiny_base, tmp_path, replace(KTO, batch_size=1))
    with pytest.raises(ModelError, match=r"max_tokens = 1024, and the base's context holds 512"):
        train_dpo(preferences(), tiny_base, tmp_path, replace(DPO, max_tokens=1024))
    with pytest.raises(ModelError, match="preset = 'gpu', and torch finds no GPU here"):
        train_dpo(preferences(), tiny_base, tmp_path, replace(DPO, machine=Machine(preset="gpu")))
    with pytest.raises(SettingsError, match="a reward model is an adapter with a head of its own"):
        train_reward(dialogues(), tiny_base, tmp_path, replace(REWARD, rank=0))
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_is_not_installed_is_named_with_its_package(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if importlib.util.find_spec("wandb") is not None:
        pytest.skip("wandb is installed here")
    # The folder of runs that W&B leaves behind is no package.
    (tmp_path / "wandb").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    settings = replace(DPO, machine=Machine(report_to=("wandb",)))
    with pytest.raises(
        SettingsError, match=r"report_to = 'wandb' is not installed\. pip install 'clworkbench\[wandb\]'"
    ):
        train_dpo(preferences(), tiny_base, tmp_path, settings)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("[enforce fail] can't allocate memory: you tried")])
def test_full_memory_is_said_with_what_to_set(error: Exception):
    words = pytest.raises(ModelError, match=r"(?s)out of memory with 4 rows of up to 64 tokens.*rows_at_once")
    with words, told_when_out_of_memory(RunSettings(**QUICK)):
        raise error
    with pytest.raises(RuntimeError, match="something else"), told_when_out_of_memory(RunSettings(**QUICK)):
        raise RuntimeError("something else")


@pytest.mark.slow
def test_a_step_in_parts_learns_nearly_the_same(dpo: RunResult, tiny_base: Path, tmp_path: Path):
    parts = train_dpo(preferences(), tiny_base, tmp_path, replace(DPO, machine=Machine(threads=1, rows_at_once=2)))
    assert parts.environment["rows_at_once"] == 2
    assert parts.losses["loss"].to_list() == pytest.approx(dpo.losses["loss"].to_list(), abs=0.05)


@pytest.mark.slow
def test_all_weights_are_trained_and_come_back_as_a_model(tiny_base: Path, tmp_path: Path):
    settings = SftSettings(**(QUICK | {"rank": 0, "learning_rate": 1e-3}))
    run = train_sft(completions(), tiny_base, tmp_path / "one", settings)
    assert run.loss_last < run.loss_first - 0.2
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in run.adapter.iterdir()}
    assert run.adapter.name == "model"
    with pytest.raises(KeyboardInterrupt):
        train_sft(completions(), tiny_base, tmp_path / "two", settings, on_step=stop_at(5))
    assert train_sft(completions(), tiny_base, tmp_path / "two", settings).adapter_sha256 == run.adapter_sha256
    child = train_dpo(
        preferences(),
        tiny_base,
        tmp_path / "child",
        replace(DPO, rank=0, learning_rate=1e-3),
        parent_adapter=run.adapter,
    )
    assert child.loss_first == pytest.approx(math.log(2), abs=1e-3)
    with pytest.raises(ModelError, match=r"the parent was trained in all its weights\. Set rank = 0"):
        train_dpo(preferences(), tiny_base, tmp_path / "lora", DPO, parent_adapter=run.adapter)
