"""Supervised fine-tuning: LoRA on completions with TRL and PEFT, so that a killed run goes on to the same bytes."""

import json
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.errors import ArtefactError, ModelError
from clworkbench.files import sha256_file, told_when_full, write_atomically
from clworkbench.models.load import ADAPTER_WEIGHTS, attach_adapter, checked_adapter, load_base
from clworkbench.models.torch_setup import DType, import_torch, quiet_transformers
from clworkbench.models.weights import fingerprint
from clworkbench.runs.checkpoints import identity, latest
from clworkbench.runs.examples import Examples, examples
from clworkbench.runs.settings import LOSSES, SftResult, SftSettings

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

OnStep = Callable[[int, int, float], None]
OnCheckpoint = Callable[[], None]

FINISHED = "training.json"

EAGER_UP_TO_TOKENS = 256
"""On a CPU, plain attention beats torch's fused one on short rows (3.4 against 4.4 CPU s a step of 16 x 44 tokens);
on long ones its memory grows with the square."""


def train_sft(
    rows: pl.DataFrame,
    base: Path,
    out: Path,
    settings: SftSettings,
    *,
    parent_adapter: Path | None = None,
    on_step: OnStep | None = None,
    on_checkpoint: OnCheckpoint | None = None,
) -> SftResult:
    """Train a LoRA adapter on completions.

    The same call goes on after a kill, from the last whole checkpoint, and ends with the same bytes as an undisturbed
    run; once it has ended, it returns what it returned then. Weights are scaled to a mean of 1, then multiply a row's
    loss. Threads, and the seeds of torch, numpy and Python, are set for the whole process.

    Args:
        rows: one row for each example: `prompt` and `completion` (messages), `weight` (at least 0; null is 1).
        base: folder with safetensors and a tokenizer.
        out: the run's folder: `adapter/`, `training.json` (written last) and, meanwhile, `checkpoints/`.
        settings: what may be decided.
        parent_adapter: an adapter to go on from (warm start), of the same base and rank.
        on_step: called after each step with (step, steps, loss).
        on_checkpoint: called after each whole checkpoint but the last; what it raises ends this call, and the next one
            goes on from there.

    Raises:
        EvidenceError: nothing can be learned from these rows.
        ModelError: base or parent cannot be loaded, or the loss is no longer a finite number.
        ArtefactError: `out` holds another run, or the disk is full.
    """
    import_torch(settings.threads)
    dtype = _fast_dtype()
    parent_sha256 = None if parent_adapter is None else _parent_sha256(parent_adapter, settings.rank)
    model, tokenizer = load_base(base, dtype)
    learned = examples(rows, tokenizer, settings.max_tokens)
    environment = _environment(dtype)
    run = identity(
        rows=learned.frame.write_json(),
        base=fingerprint(base),
        parent=parent_sha256,
        settings=asdict(settings) | {"checkpoint_every": None},
        environment=environment,
    )
    if not (out / FINISHED).exists():
        if parent_adapter is not None:
            model = attach_adapter(model, parent_adapter, trainable=True)
        with told_when_full("training", out), quiet_transformers():
            _train(model, tokenizer, learned, base, out, settings, run, on_step, on_checkpoint, environment)
    return _finished(out, run)


def _train(
    model: "PreTrainedModel | PeftModel",
    tokenizer: "PreTrainedTokenizerBase",
    learned: Examples,
    base: Path,
    out: Path,
    settings: SftSettings,
    run: str,
    on_step: OnStep | None,
    on_checkpoint: OnCheckpoint | None,
    environment: dict[str, str | int],
) -> None:
    from peft.helpers import disable_input_dtype_casting

    from clworkbench.runs.trainer import Progress, completion_trainer

    checkpoints = out / "checkpoints"
    checkpoint = latest(checkpoints, run)
    longest = learned.frame["input_ids"].list.len().max()
    if environment["device"] == "cpu" and isinstance(longest, int) and longest <= EAGER_UP_TO_TOKENS:
        model.set_attn_implementation("eager")
    trainer = completion_trainer(model, tokenizer, learned.frame, checkpoints, settings)
    progress = Progress(run, checkpoint.seconds if checkpoint else 0.0, on_step, on_checkpoint)
    trainer.add_callback(progress)
    try:
        # Autocast casts the small adapter to the activations' dtype; PEFT would cast the activations to the adapter's.
        with disable_input_dtype_casting(trainer.model, active=environment["dtype"] == "bfloat16"):
            trainer.train(resume_from_checkpoint=str(checkpoint.folder) if checkpoint else None)
    except ModelError:
        shutil.rmtree(checkpoints, ignore_errors=True)
        raise
    finally:
        latest(checkpoints, run)
    sha256 = _publish(trainer.model, base, out)
    losses = [
        [entry["step"], entry["loss"], entry["learning_rate"]] for entry in trainer.state.log_history if "loss" in entry
    ]
    counts = {"rows": learned.frame.height, "truncated": learned.truncated, "dropped": learned.dropped}
    told = {"run": run, "adapter_sha256": sha256, "seconds": progress.seconds, "losses": losses}
    report = told | counts | {"environment": environment}
    write_atomically(out / FINISHED, json.dumps(report, indent=1, sort_keys=True))
    shutil.rmtree(checkpoints)


def _publish(model: "PeftModel", base: Path, out: Path) -> str:
    """Write the adapter beside its place and move it there whole; its SHA-256."""
    building = out / f".adapter.{os.getpid()}"
    for left in out.glob(".adapter.*"):
        shutil.rmtree(left)
    try:
        model.save_pretrained(building, safe_serialization=True)
        (building / "README.md").unlink(missing_ok=True)
        _settle_config(building / "adapter_config.json", base)
        # Without training.json an adapter does not count: it is the same run's, killed before its last word.
        shutil.rmtree(out / "adapter", ignore_errors=True)
        building.rename(out / "adapter")
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return sha256_file(out / "adapter" / ADAPTER_WEIGHTS)


def _settle_config(file: Path, base: Path) -> None:
    """PEFT writes the base's absolute path, and the target modules in an order that changes by process."""
    config = json.loads(file.read_text())
    config |= {"base_model_name_or_path": base.name, "target_modules": sorted(config["target_modules"])}
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _finished(out: Path, run: str) -> SftResult:
    told = json.loads((out / FINISHED).read_text())
    if told["run"] != run:
        raise ArtefactError(
            f"training: {out} holds a finished run of other rows, settings, base, parent or environment.\n"
            "Runs are never overwritten: train into another folder."
        )
    adapter = checked_adapter(out / "adapter", told["adapter_sha256"])
    losses = pl.DataFrame(told["losses"], schema=LOSSES, orient="row")
    return SftResult(
        adapter=adapter,
        adapter_sha256=told["adapter_sha256"],
        steps=losses.height,
        seconds=told["seconds"],
        losses=losses,
        loss_first=losses["loss"][0],
        loss_last=losses["loss"][-1],
        rows=told["rows"],
        truncated=told["truncated"],
        dropped=told["dropped"],
        environment=told["environment"],
    )


def _parent_sha256(parent: Path, rank: int) -> str:
    checked_adapter(parent, None)
    try:
        found = json.loads((parent / "adapter_config.json").read_text()).get("r")
    except ValueError as error:
        raise ModelError(f"adapter in {parent}: adapter_config.json is no JSON. Train the run again.") from error
    if found != rank:
        raise ModelError(
            f"training: the parent's adapter has rank {found}, the settings say {rank}. Set rank = {found}."
        )
    return sha256_file(parent / ADAPTER_WEIGHTS)


def _fast_dtype() -> DType:
    """bfloat16 where the hardware multiplies it, else float32."""
    torch = import_torch()
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"


def _environment(dtype: DType) -> dict[str, str | int]:
    torch = import_torch()
    packages: dict[str, str | int] = {name: version(name) for name in ("torch", "transformers", "trl", "peft")}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return packages | {"cpu": _cpu(), "device": device, "threads": torch.get_num_threads(), "dtype": dtype}


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
