"""Code that grades in a process of its own, with a time limit: it may raise, hang or end without harm to us."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Any

import polars as pl

from clworkbench.errors import ClwError
from clworkbench.scorers import verifier_process
from clworkbench.scorers.scorer import Graded

LIMIT_S = 5.0
"""What one example may take."""

START_S = 60.0
"""What loading the code may take: it may import a large library."""

HANGS = 5
"""After so many examples in a row that took too long or ended the process, the others are not tried."""


@dataclass(frozen=True)
class Apart:
    """A function that grades in a process of its own.

    Attributes:
        scorer: the scorer's name, for messages.
        source: a file's path, or a module's name.
        function: its name there.
        folder: where the process runs, and modules are looked for first.
        limit_s: what one example may take.
    """

    scorer: str
    source: str
    function: str
    folder: Path
    limit_s: float = LIMIT_S

    def expected_is_answer(self) -> bool:
        """Whether the function takes `expected` for an answer that it would accept.

        Raises:
            ClwError: the code cannot be loaded.
        """
        with self._running() as running:
            return running.expected_is_answer

    def graded(self, outputs: pl.Series, expected: pl.Series) -> Graded:
        """Score or error of each output; a null output scores 0 without being looked at.

        Raises:
            ClwError: the code cannot be loaded.
        """
        found: list[tuple[float | None, str | None]] = []
        with contextlib.ExitStack() as stack:
            running, hangs = stack.enter_context(self._running()), 0
            for output, wanted in zip(outputs, expected, strict=True):
                if output is None:
                    found.append((0.0, None))
                    continue
                if hangs >= HANGS:
                    found.append((None, f"not tried: {HANGS} examples before it, in a row, ended in no score"))
                    continue
                answer = running.ask(output, wanted, self.limit_s)
                hangs = 0 if answer is not None else hangs + 1
                if answer is None:
                    found.append((None, running.ended(self.limit_s)))
                    stack.close()
                    running = stack.enter_context(self._running())
                else:
                    found.append((answer.get("score"), answer.get("error")))
        score, error = ([each[at] for each in found] for at in (0, 1))
        return Graded(pl.Series("score", score, dtype=pl.Float64), pl.Series("error", error, dtype=pl.String))

    @contextlib.contextmanager
    def _running(self) -> "Iterator[_Running]":
        command = [sys.executable, "-P", verifier_process.__file__, self.source, self.function]
        with _Running(command, self.folder) as running:
            ready = running.answer(START_S)
            if ready is None or "cannot" in ready:
                why = ready["cannot"] if ready else running.ended(START_S)
                raise ClwError(f"scorer {self.scorer!r}: its code cannot be loaded: {why}.")
            running.expected_is_answer = bool(ready["expected_is_answer"])
            yield running


class _Running:
    """The process, and the thread that reads what it answers."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.expected_is_answer = True
        assert self.process.stdout is not None
        self.reader = Thread(target=_read, args=(self.process.stdout, self.lines), daemon=True)
        self.reader.start()

    def __enter__(self) -> "_Running":
        return self

    def __exit__(self, *_raised: object) -> None:
        # All that the code started goes with it; a process that is gone already has no group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def ask(self, output: str, expected: str | None, limit_s: float) -> dict[str, Any] | None:
        """The answer on one example; None where the process gave none in time."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps([output, expected]).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        return self.answer(limit_s)

    def answer(self, limit_s: float) -> dict[str, Any] | None:
        """The next line as JSON; None where there is none in time, or the process is gone."""
        try:
            line = self.lines.get(timeout=limit_s)
        except queue.Empty:
            return None
        try:
            answer = json.loads(line) if line else None
        except ValueError:
            return None  # It was ended in the middle of a line, or wrote there itself.
        return answer if isinstance(answer, dict) else None

    def ended(self, limit_s: float) -> str:
        """Why there was no answer."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self.process.wait(0.1)
            return f"ended its process (status {status})"
        return f"took longer than {limit_s:g} s"


def _read(answers: IO[bytes], lines: "queue.SimpleQueue[bytes]") -> None:
    for line in answers:
        lines.put(line)
    lines.put(b"")
