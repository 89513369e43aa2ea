"""torch and transformers, imported late: threads that sleep while they wait, and no bars on the screen."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Literal, TextIO

DType = Literal["bfloat16", "float32"]

log = logging.getLogger(__name__)


def import_torch(threads: int | None = None) -> ModuleType:
    """The torch module, with `threads` CPU threads for this process (torch's own choice when None).

    OpenMP's threads spin while they wait unless told otherwise before torch is first imported; on a shared machine
    that burns three times the work's own CPU time.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    module: ModuleType = torch
    return module


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Within it, transformers, PEFT and TRL draw no bars, and their warnings go to this module's log (debug)."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _to_log
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _to_log(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 (the signature is Python's)
    line: str | None = None,  # noqa: ARG001 (the signature is Python's)
) -> None:
    log.debug("%s:%d: %s: %s", filename, lineno, category.__name__, message)
