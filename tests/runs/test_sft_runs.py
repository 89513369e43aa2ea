"""Supervised runs on a tiny model: they learn, they can be made again, and a kill changes nothing."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from clworkbench.errors import ArtefactError, ClwError, EvidenceError, ModelError, SettingsError
from clworkbench.runs.settings import Machine, RunResult, SftSettings
from clworkbench.runs.sft import train_sft
from clworkbench.schemas import MESSAGES

QUICK = SftSettings(
    steps=6, batch_size=4, learning_rate=1e-2, max_tokens=64, machine=Machine(checkpoint_every=2, threads=1)
)

PAIRS = [
    ("where is my card", "card_arrival"),
    ("i was charged twice", "charged_twice"),
    ("cancel the transfer", "cancel_transfer"),
    ("what is the exchange rate today", "exchange_rate"),
    ("give me a refund", "refund"),
    ("my balance is wrong", "balance"),
    ("my card has not arrived", "card_arrival"),
    ("please cancel it", "cancel_transfer"),
]


def training_rows(pairs: list[tuple[str, str]] = PAIRS, weights: list[float | None] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "prompt": [[{"role": "user", "content": question}] for question, _ in pairs],
            "completion": [[{"role": "assistant", "content": answer}] for _, answer in pairs],
            "weight": weights or [1.0] * len(pairs),
        },
        schema={"prompt": MESSAGES, "completion": MESSAGES, "weight": pl.Float64},
    )


@pytest.fixture(scope="module")
def undisturbed(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return train_sft(training_rows(), tiny_base, tmp_path_factory.mktemp("undisturbed"), QUICK)


def run_apart(code: str, base: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own, with `code` run before."""
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from tests.runs.test_sft_runs import QUICK, train_sft, training_rows\n"
        f"{code}\n"
        "try: train_sft(training_rows(), Path(sys.argv[1]), Path(sys.argv[2]), QUICK, on_step=on_step)\n"
        "except ValueError as error: print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", program, str(base), str(out)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=300)


def test_the_loss_falls_and_the_result_tells_the_run(undisturbed: RunResult):
    assert undisturbed.losses["step"].to_list() == [1, 2, 3, 4, 5, 6]
    assert undisturbed.loss_last < undisturbed.loss_first - 0.1
    assert (undisturbed.rows, undisturbed.truncated, undisturbed.dropped) == (8, 0, 0)
    names = {path.name for path in undisturbed.adapter.iterdir()}
    assert names == {"adapter_model.safetensors", "adapter_config.json"}
    assert undisturbed.environment["threads"] == 1
    assert sorted(path.name for path in undisturbed.adapter.parent.iterdir()) == ["adapter", "training.json"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    undisturbed: RunResult, tiny_base: Path, tmp_path: Path
):
    again = train_sft(training_rows(), tiny_base, tmp_path / "again", QUICK)
    assert again.adapter_sha256 == undisturbed.adapter_sha256
    config = (again.adapter / "adapter_config.json").read_bytes()
    assert config == (undisturbed.adapter / "adapter_config.json").read_bytes()
    other = train_sft(training_rows(), tiny_base, tmp_path / "other", replace(QUICK, seed=1))
    assert other.adapter_sha256 != undisturbed.adapter_sha256


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # PEFT 0.21 calls it
def test_a_bare_trl_script_with_the_same_settings_learns_the_same(
    undisturbed: RunResult, tiny_base: Path, tmp_path: Path
):
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    messages = [
        {
            "prompt": [{"role": "user", "content": question}],
            "completion": [{"role": "assistant", "content": answer}],
        }
        for question, answer in PAIRS
    ]
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.bfloat16, attn_implementation="eager"),
        processing_class=AutoTokenizer.from_pretrained(tiny_base),
        train_dataset=Dataset.from_list(messages),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
        args=SFTConfig(
            output_dir=str(tmp_path),
            max_steps=6,
            per_device_train_batch_size=4,
            learning_rate=1e-2,
            lr_scheduler_type="cosine",
            warmup_steps=1,
            seed=0,
            data_seed=0,
            max_length=64,
            train_sampling_strategy="group_by_length",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
            report_to=[],
            bf16=True,
            use_cpu=True,
            dataloader_pin_memory=False,
            activation_checkpointing=False,
        ),
    )
    trainer.train()
    theirs = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert undisturbed.losses["loss"].to_list() == pytest.approx(theirs, rel=1e-2)
    trainer.save_model(str(tmp_path / "bare"))
    ours, bare = (load_file(f / "adapter_model.safetensors") for f in (undisturbed.adapter, tmp_path / "bare"))
    assert ours.keys() == bare.keys()
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, bare[name], rtol=1e-2, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("at", [3, 6])
def test_a_run_killed_with_signal_9_goes_on_to_the_same_bytes(
    undisturbed: RunResult, tiny_base: Path, tmp_path: Path, at: int
):
    code = f"def on_step(step, *told):\n    if step == {at}: os.kill(os.getpid(), signal.SIGKILL)"
    killed = run_apart(code, tiny_base, tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "adapter").exists()
    steps: list[int] = []
    resumed = train_sft(training_rows(), tiny_base, tmp_path, QUICK, on_step=lambda step, *_told: steps.append(step))
    assert steps[0] == (3 if at == 3 else 5)
    assert resumed.adapter_sha256 == undisturbed.adapter_sha256
    assert resumed.losses.equals(undisturbed.losses)


@pytest.mark.slow
def test_a_run_killed_inside_a_checkpoint_s_write_goes_on_to_the_same_bytes(
    undisturbed: RunResult, tiny_base: Path, tmp_path: Path
):
    code = (
        "import torch\n"
        "whole_save, saved = torch.save, []\n"
        "def half_save(thing, file, *rest, **more):\n"
        "    saved.append(file)\n"
        "    if 'checkpoint-4' in str(file):\n"
        "        Path(file).write_bytes(b'half')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    whole_save(thing, file, *rest, **more)\n"
        "torch.save = half_save\n"
        "on_step = None"
    )
    killed = run_apart(code, tiny_base, tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} >= {"checkpoint-2", "checkpoint-4"}
    resumed = train_sft(training_rows(), tiny_base, tmp_path, QUICK)
    assert resumed.adapter_sha256 == undisturbed.adapter_sha256


def test_a_run_killed_before_its_last_word_ends_with_the_same_bytes(
    undisturbed: RunResult, tiny_base: Path, tmp_path: Path
):
    first = train_sft(training_rows(), tiny_base, tmp_path, QUICK)
    (tmp_path / "training.json").unlink()
    (tmp_path / ".adapter.1").mkdir()
    again = train_sft(training_rows(), tiny_base, tmp_path, QUICK)
    assert first.adapter_sha256 == again.adapter_sha256 == undisturbed.adapter_sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "training.json"]


def test_ctrl_c_comes_through_and_the_same_call_goes_on(undisturbed: RunResult, tiny_base: Path, tmp_path: Path):
    def interrupt(step: int, *_told: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stopped:
        train_sft(training_rows(), tiny_base, tmp_path, QUICK, on_step=interrupt)
    assert stopped.value.__notes__ == [
        "training: stopped at step 3 of 6. The same call goes on from its checkpoint at step 2, and ends with the same "
        "bytes."
    ]
    assert not (tmp_path / "adapter").exists()
    assert train_sft(training_rows(), tiny_base, tmp_path, QUICK).adapter_sha256 == undisturbed.adapter_sha256


def test_checkpoints_of_other_rows_are_not_gone_on_from(undisturbed: RunResult, tiny_base: Path, tmp_path: Path):
    def interrupt(step: int, *_told: float) -> None:
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sft(training_rows(PAIRS[:5]), tiny_base, tmp_path, QUICK, on_step=interrupt)
    assert (tmp_path / "checkpoints" / "checkpoint-4" / "complete.json").exists()
    assert train_sft(training_rows(), tiny_base, tmp_path, QUICK).adapter_sha256 == undisturbed.adapter_sha256


@pytest.mark.slow
def test_a_full_disk_is_said_in_words_and_leaves_nothing_half_written(
    undisturbed: RunResult, tiny_base: Path, tmp_path: Path
):
    # The system refuses to let a file grow past 20 kB; an adapter needs more.
    code = (
        "import resource\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "on_step = None"
    )
    full = run_apart(code, tiny_base, tmp_path)
    assert full.stdout.startswith("ArtefactError training: could not be written to"), full.stdout + full.stderr
    assert "Make room" in full.stdout
    assert list(tmp_path.iterdir()) == []
    assert train_sft(training_rows(), tiny_base, tmp_path, QUICK).adapter_sha256 == undisturbed.adapter_sha256


def test_a_finished_run_answers_at_once_and_is_never_overwritten(
    undisturbed: RunResult, tiny_base: Path, tmp_path: Path
):
    out = undisturbed.adapter.parent

    def never(*_told: float) -> None:
        pytest.fail("it trained again")

    again = train_sft(training_rows(), tiny_base, out, QUICK, on_step=never)
    assert again.adapter_sha256 == undisturbed.adapter_sha256
    assert again.losses.equals(undisturbed.losses)
    with pytest.raises(ArtefactError, match="train into another folder"):
        train_sft(training_rows(), tiny_base, out, replace(QUICK, steps=3))


def test_an_adapter_changed_on_disk_is_refused(tiny_base: Path, tmp_path: Path):
    done = train_sft(training_rows(), tiny_base, tmp_path, replace(QUICK, steps=1))
    with (done.adapter / "adapter_model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    with pytest.raises(ModelError, match="The file was changed after the run"):
        train_sft(training_rows(), tiny_base, tmp_path, replace(QUICK, steps=1))


def test_a_warm_start_goes_on_where_its_parent_ended(undisturbed: RunResult, tiny_base: Path, tmp_path: Path):
    longer = train_sft(training_rows(), tiny_base, tmp_path / "child", QUICK, parent_adapter=undisturbed.adapter)
    came_down = undisturbed.loss_first - undisturbed.loss_last
    assert longer.loss_first < undisturbed.loss_first - 0.8 * came_down
    assert longer.loss_first < undisturbed.loss_first - 0.2
    assert longer.loss_last < longer.loss_first
    assert longer.adapter_sha256 != undisturbed.adapter_sha256


def test_a_parent_of_another_rank_is_refused(undisturbed: RunResult, tiny_base: Path, tmp_path: Path):
    with pytest.raises(ModelError, match="has rank 8, the settings say 4"):
        train_sft(training_rows(), tiny_base, tmp_path, replace(QUICK, rank=4), parent_adapter=undisturbed.adapter)


def test_equal_weights_change_nothing_and_rows_of_weight_0_are_left_out(
    undisturbed: RunResult, tiny_base: Path, tmp_path: Path
):
    halves = train_sft(training_rows(weights=[0.5] * 8), tiny_base, tmp_path / "halves", QUICK)
    assert halves.adapter_sha256 == undisturbed.adapter_sha256
    pairs = [*PAIRS, ("where is my card", "balance")]
    weights: list[float | None] = [1.0] * 7 + [None, 0.0]
    left_out = train_sft(training_rows(pairs, weights), tiny_base, tmp_path / "left_out", QUICK)
    assert (left_out.rows, left_out.dropped) == (8, 1)
    assert left_out.adapter_sha256 == undisturbed.adapter_sha256


def test_a_row_s_weight_multiplies_its_loss(tiny_base: Path, tmp_path: Path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pairs = PAIRS[:2]
    settings = replace(QUICK, steps=1, batch_size=2)
    run = train_sft(training_rows(pairs, [3.0, 1.0]), tiny_base, tmp_path, settings)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tiny_base)
    losses, counts = [], []
    for question, answer in pairs:
        before = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        prompt = tokenizer.encode(before, add_special_tokens=False)
        tokens = torch.tensor([tokenizer.encode(f"{before}{answer}<|im_end|>\n", add_special_tokens=False)])
        logits = model(tokens).logits[0, len(prompt) - 1 : -1]
        losses.append(torch.nn.functional.cross_entropy(logits, tokens[0, len(prompt) :], reduction="sum").item())
        counts.append(tokens.shape[1] - len(prompt))
    # Weights 3 and 1, scaled to a mean of 1.
    expected = (1.5 * losses[0] + 0.5 * losses[1]) / sum(counts)
    assert run.loss_first == pytest.approx(expected, rel=2e-3)


def test_rows_too_long_are_cut_or_left_out_and_counted(tiny_base: Path, tmp_path: Path):
    pairs = [*PAIRS[:2], ("card " * 100, "balance"), ("refund", "refund " * 100)]
    run = train_sft(training_rows(pairs), tiny_base, tmp_path, replace(QUICK, steps=1))
    assert (run.rows, run.truncated, run.dropped) == (3, 1, 1)


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_no_checkpoint(tiny_base: Path, tmp_path: Path):
    with pytest.raises(ModelError, match="Lower learning_rate"):
        train_sft(training_rows(), tiny_base, tmp_path, replace(QUICK, learning_rate=1e30))
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_teaches_nothing_is_refused_with_the_reason(tiny_base: Path, tmp_path: Path):
    cases = [
        (training_rows().head(0), "the set has no rows"),
        (training_rows().drop("completion"), r"no column \['completion'\]"),
        (training_rows([("card " * 100, "balance")]), "none of 1 rows has a token to learn within max_tokens = 64"),
        (training_rows(PAIRS[:2], [0.0, 0.0]), "a weight above 0"),
        (training_rows(PAIRS[:2], [1.0, -1.0]), "1 of 2 rows have a weight that is no number"),
        (training_rows(PAIRS[:2], [1.0, float("nan")]), "1 of 2 rows have a weight that is no number"),
        (training_rows().with_columns(completion=pl.lit(None, dtype=MESSAGES)), "8 of 8 rows have no completion"),
    ]
    for rows, says in cases:
        with pytest.raises(EvidenceError, match=says):
            train_sft(rows, tiny_base, tmp_path, QUICK)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch_size", True),
        ("rank", 2.5),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("seed", -1),
    ],
)
def test_a_setting_that_means_nothing_is_refused(name: str, value: object):
    with pytest.raises(SettingsError, match=f"training: {name} = "):
        SftSettings(**{name: value})  # type: ignore[arg-type]
    assert issubclass(SettingsError, ClwError)


def test_a_machine_that_means_nothing_is_refused():
    with pytest.raises(SettingsError, match="training: threads = 0; it must be a whole number of at least 1"):
        Machine(threads=0)
    with pytest.raises(SettingsError, match=r"report_to = 'tensorbord' is no tracker\. There: mlflow, tensorboard"):
        Machine(report_to=("tensorbord",))  # type: ignore[arg-type]
