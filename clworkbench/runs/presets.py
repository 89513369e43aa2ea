"""How a run is laid out on the machine: what a preset sets, and what the settings say instead."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from clworkbench.errors import ModelError, SettingsError
from clworkbench.models.torch_setup import DType, import_torch
from clworkbench.runs.settings import Machine, Preset

ROWS_ON_A_GPU = 8
"""Rows on a GPU at a time, with its preset: a step of 16 is worked off in two."""

PRESETS: tuple[Preset, ...] = ("cpu", "gpu", "gpus")


@dataclass(frozen=True)
class Layout:
    """How the rows of a step are worked off.

    Attributes:
        preset: `cpu`: all rows of a step at once, activations kept. `gpu`: at most 8 rows at once, activations computed
            twice. `gpus`: as `gpu` on each, in as many processes as `accelerate launch` started.
        dtype: bfloat16 where the hardware multiplies it, else float32.
        rows_at_once: on each device.
        parts: so many times `rows_at_once` on each device make a step.
        processes: that share a step's rows.
        gradient_checkpointing: activations are computed twice.
    """

    preset: Preset
    dtype: DType
    rows_at_once: int
    parts: int
    processes: int
    gradient_checkpointing: bool


def layout(machine: Machine, batch_size: int) -> Layout:
    """The preset, but for what the settings say themselves.

    Raises:
        ModelError: the machine has no GPU, or one process sees several.
        SettingsError: a step's rows cannot be shared out evenly.
    """
    torch = import_torch(machine.threads)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    processes = world_size()
    preset = machine.preset or ("cpu" if gpus == 0 else "gpu" if processes == 1 else "gpus")
    if preset != "cpu" and gpus == 0:
        raise ModelError(f"training: preset = {preset!r}, and torch finds no GPU here. Take 'cpu', or leave it out.")
    if preset != "cpu" and gpus > 1 and processes == 1:
        raise ModelError(
            f"training: one process sees {gpus} GPUs.\nStart one process for each with accelerate launch "
            "--num_processes N $(which clw) train …, or show it one: CUDA_VISIBLE_DEVICES=0."
        )
    if batch_size % processes:
        raise SettingsError(
            f"training: batch_size = {batch_size} cannot be shared by {processes} processes. Take a multiple of it."
        )
    share = batch_size // processes
    at_once = machine.rows_at_once or (share if preset == "cpu" else ROWS_ON_A_GPU)
    at_once = next(rows for rows in range(min(at_once, share), 0, -1) if share % rows == 0)
    again = preset != "cpu" if machine.gradient_checkpointing is None else machine.gradient_checkpointing
    return Layout(preset, machine.dtype or _fast_dtype(), at_once, share // at_once, processes, again)


def world_size() -> int:
    """How many processes `accelerate launch` or `torchrun` started for this command; 1 without them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def environment(laid_out: Layout) -> dict[str, str | int]:
    """What an adapter's bytes depend on beside its inputs."""
    torch = import_torch()
    packages: dict[str, str | int] = {name: version(name) for name in ("torch", "transformers", "trl", "peft")}
    on_gpu = laid_out.preset != "cpu"
    device = torch.cuda.get_device_name() if on_gpu else "cpu"
    found = packages | {"cpu": _cpu(), "device": device, "threads": torch.get_num_threads(), "dtype": laid_out.dtype}
    return found | {"rows_at_once": laid_out.rows_at_once, "processes": laid_out.processes}


def _fast_dtype() -> DType:
    torch = import_torch()
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "float32"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
