"""The shell around every method: a killed run goes on from its last whole checkpoint to the same bytes."""

import contextlib
import importlib.util
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clworkbench.errors import ModelError, SettingsError
from clworkbench.files import told_when_full
from clworkbench.models.torch_setup import quiet_transformers
from clworkbench.models.weights import fingerprint
from clworkbench.runs.caller import environment_variables, own_chance
from clworkbench.runs.checkpoints import Checkpoint, identity, latest
from clworkbench.runs.examples import Examples
from clworkbench.runs.presets import is_first_process
from clworkbench.runs.published import FINISHED, finished, last_word, publish
from clworkbench.runs.settings import Method, RunResult, RunSettings
from clworkbench.runs.start import Start

if TYPE_CHECKING:
    from transformers import PreTrainedModel, Trainer

    from clworkbench.runs.progress import Progress

OnStep = Callable[[int, int, float, int], bool | None]
"""Called after each step with (step, steps, loss, tokens read so far); True asks for a checkpoint."""

OnCheckpoint = Callable[[], None]

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")


@dataclass(frozen=True)
class Job:
    """A run, whole but for its trainer.

    Attributes:
        method: how it learns.
        start: from what.
        learned: which examples.
        settings: as decided.
        out: the run's folder: the weights, `training.json` (written last) and, meanwhile, `checkpoints/`.
        columns: the method's own columns of `losses`, with TRL's names for them.
        details: what the method decided by itself.
        casts: PEFT casts activations to the adapter's dtype: wanted where the model also answers, outside autocast.
    """

    method: Method
    start: Start
    learned: Examples
    settings: RunSettings
    out: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    casts: bool = False

    @property
    def weights(self) -> str:
        """What a row's weight multiplies: its loss, the gradient of its loss, or the advantages of its answers."""
        if not self.learned.weighted:
            return "equal"
        return {"sft": "loss", "grpo": "advantages"}.get(self.method, "gradient")

    @property
    def run(self) -> str:
        """All that decides the result, as one hash."""
        decided = asdict(self.settings)
        del decided["machine"]
        return identity(
            method=self.method,
            rows=self.learned.frame.write_json(),
            base=fingerprint(self.start.base),
            parent=self.start.parent_sha256,
            settings=decided,
            details=self.details,
            environment=self.start.environment,
        )


def to_the_end(
    job: Job,
    trainer: "Callable[[PreTrainedModel, Path], Trainer]",
    on_step: OnStep | None,
    on_checkpoint: OnCheckpoint | None,
) -> RunResult:
    """Trains, or goes on, or returns what the run left when it ended before.

    Of several processes, the first writes; the others come back once it has.

    Args:
        job: what is to be done.
        trainer: TRL's trainer for the model, with checkpoints in the folder.
        on_step: called after each step with (step, steps, loss, tokens read so far); True asks for a checkpoint.
        on_checkpoint: called after each whole checkpoint; what it raises ends this call, and the next one
            goes on from there.

    Raises:
        ModelError: the loss is no longer a finite number, or memory is full.
        ArtefactError: `out` holds another run, or the disk is full.
    """
    run = job.run
    if not (job.out / FINISHED).exists():
        refuse_missing_trackers(job.settings)
        told = told_when_full("training", job.out), told_when_out_of_memory(job.settings), quiet_transformers()
        with contextlib.ExitStack() as around:
            for each in (*told, environment_variables(_read_by_trainers(job)), own_chance()):
                around.enter_context(each)
            _train(job, run, trainer, on_step, on_checkpoint)
    return finished(job.out, run)


def _train(
    job: Job,
    run: str,
    make: "Callable[[PreTrainedModel, Path], Trainer]",
    on_step: OnStep | None,
    on_checkpoint: OnCheckpoint | None,
) -> None:
    from peft.helpers import disable_input_dtype_casting
    from transformers import PrinterCallback

    from clworkbench.runs.progress import Progress

    checkpoints, first, full = job.out / "checkpoints", is_first_process(), job.settings.rank == 0
    trainer = make(job.start.trainable(job.settings, job.learned.longest), checkpoints)
    trainer.remove_callback(PrinterCallback)
    wait = trainer.accelerator.wait_for_everyone
    checkpoint = _whole_checkpoint(checkpoints, run, wait)
    progress = Progress(run, checkpoint, on_step if first else None, on_checkpoint if first else None)
    trainer.add_callback(progress)
    autocast = job.start.laid_out.dtype == "bfloat16" and not job.casts and not full
    try:
        # Autocast casts the small adapter to the activations' dtype; PEFT would cast the activations to the adapter's.
        with disable_input_dtype_casting(trainer.model, active=autocast):
            trainer.train(resume_from_checkpoint=str(checkpoint.folder) if checkpoint else None)
    except ModelError:
        shutil.rmtree(checkpoints, ignore_errors=True)
        raise
    except KeyboardInterrupt as stopped:
        if first:
            stopped.add_note(_stays(checkpoints, run, trainer.state.global_step, job.settings.steps))
        raise
    finally:
        if first:
            latest(checkpoints, run)
    if first:
        sha256 = publish(trainer.model, job.start, job.out, full=full)
        last_word(job.out, _report(job, run, sha256, progress, trainer.state.log_history))
        shutil.rmtree(checkpoints, ignore_errors=True)
    wait()


def _whole_checkpoint(checkpoints: Path, run: str, wait: Callable[[], None]) -> Checkpoint | None:
    """The furthest whole one; the first process sweeps the others away before the rest look."""
    if is_first_process():
        latest(checkpoints, run)
    wait()
    return latest(checkpoints, run) if checkpoints.exists() else None


def _stays(checkpoints: Path, run: str, step: int, steps: int) -> str:
    kept = latest(checkpoints, run)
    goes_on = f"goes on from its checkpoint at step {kept.step}" if kept else "begins again: no checkpoint was due yet"
    return f"training: stopped at step {step} of {steps}. The same call {goes_on}, and ends with the same bytes."


def _report(
    job: Job, run: str, sha256: str, progress: "Progress", history: list[dict[str, float]]
) -> dict[str, object]:
    logged = [entry for entry in history if "loss" in entry]
    own = list(job.columns.values())
    losses = [
        [entry["step"], entry["loss"], entry["learning_rate"], *(_finite(entry.get(name)) for name in own)]
        for entry in logged
    ]
    counts = {"rows": job.learned.frame.height, "truncated": job.learned.truncated, "dropped": job.learned.dropped}
    told: dict[str, object] = {"run": run, "method": job.method, "adapter_sha256": sha256, "losses": losses}
    told |= {"seconds": progress.seconds, "n_tokens": progress.n_tokens}
    about: dict[str, object] = {
        "columns": list(job.columns),
        "details": {**job.details, "weights": job.weights},
        "environment": job.start.environment,
    }
    return told | counts | about


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


@contextlib.contextmanager
def told_when_out_of_memory(settings: RunSettings) -> Iterator[None]:
    """Within it, a failure for want of memory becomes a ModelError with advice; checkpoints stay."""
    try:
        yield
    except MemoryError as error:
        raise _out_of_memory(settings) from error
    except RuntimeError as error:
        if not any(words in str(error).lower() for words in OUT_OF_MEMORY):
            raise
        raise _out_of_memory(settings) from error


def _out_of_memory(settings: RunSettings) -> ModelError:
    return ModelError(
        f"training: out of memory with {settings.batch_size} rows of up to {settings.max_tokens} tokens a step.\n"
        "Set rows_at_once in [training] (the same step, in parts) or gradient_checkpointing = true; or lower "
        "batch_size or max_tokens."
    )


def refuse_missing_trackers(settings: RunSettings) -> None:
    """Raises SettingsError for a tracker that is not installed."""
    for name in settings.machine.report_to:
        found = importlib.util.find_spec(name)
        # A folder of that name, as trackers leave one behind, is found as a package without a file.
        if found is None or found.origin is None:
            raise SettingsError(
                f"training: report_to = {name!r} is not installed. pip install 'clworkbench[{name}]', or leave it out."
            )


def _read_by_trainers(job: Job) -> dict[str, str | None]:
    """The settings decide the dtype, whatever `accelerate` was configured for; each run has a curve of its own."""
    curves = Path(os.environ.get("TENSORBOARD_LOGGING_DIR", "tensorboard")) / job.out.name
    return {"ACCELERATE_MIXED_PRECISION": None, "TENSORBOARD_LOGGING_DIR": str(curves)}
