"""A large file of JSON lines, read on several cores: the same chunks, in the same order, as one core gives."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

import msgspec

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.settings import FORMAT_NAMES, Source
from clworkbench.signals.containers import container
from clworkbench.signals.reading import BY_CONTENT, Chunk, read, read_range, recognised

WORTH_IT = 96 << 20
"""Bytes below which starting another Python costs more than it brings."""

STEP = 32 << 20
PIECE = 1 << 20


class Work(NamedTuple):
    """What a worker is told: the source's settings, the key, and the byte ranges that it reads, in order."""

    path: Path
    source: Source
    pseudonyms: Pseudonyms
    ranges: Sequence[tuple[int, int]]


def read_on_cores(
    path: Path,
    source: Source,
    pseudonyms: Pseudonyms,
    *,
    start: int = 0,
    stop: int | None = None,
    cores: int | None = None,
) -> Iterator[Chunk]:
    """Reads a file as `reading.read` does, on all cores where it is large and can be cut.

    A file whose records have no ids of their own is read by one core: such records are numbered over the whole file. So
    is a packed file, a document, a table, and a format that is not the package's own.

    Args:
        path: as for `reading.read`, and so the next three.
        source: how it is read.
        pseudonyms: makes ids and user keys.
        start: where an earlier reading ended.
        stop: where this one ends.
        cores: how many; those of the machine when None.
    """
    cores = cores or _cores()
    form = recognised(path, source).format
    end = path.stat().st_size if stop is None else stop
    if cores < 2 or end - start < WORTH_IT or form not in FORMAT_NAMES or not container(path).can_be_cut:
        yield from read(path, source, pseudonyms, chunk_bytes=STEP, start=start, stop=stop)
        return
    told = source if form == "mapping" else msgspec.structs.replace(source, format=form)
    ranges = list(_ranges(path, start, end))
    with ExitStack() as ended:
        outputs = []
        for number in range(cores):
            worker = ended.enter_context(_started())
            ended.callback(worker.kill)
            assert worker.stdin is not None
            assert worker.stdout is not None
            with suppress(BrokenPipeError), worker.stdin as asked:
                pickle.dump(Work(path, told, pseudonyms, ranges[number::cores]), asked)
            outputs.append(worker.stdout)
        for at in range(len(ranges)):
            chunk = _received(outputs[at % cores])
            if chunk is None or any(item.kind == BY_CONTENT for item in chunk.fidelity):
                break
            yield chunk
            start = chunk.stop
        else:
            return
    yield from read(path, source, pseudonyms, chunk_bytes=STEP, start=start, stop=stop)


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _started() -> subprocess.Popen[bytes]:
    """A Python that reads its work from its input and writes chunks to its output as they are taken."""
    one_thread = os.environ | {"POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "clworkbench.signals.cores"]  # -P: no modules from the folder at hand
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=one_thread)


def _received(output: IO[bytes]) -> Chunk | None:
    """The next chunk; None where a worker died, so that the rest is read without it."""
    try:
        found = pickle.load(output)
    except (EOFError, pickle.UnpicklingError):
        return None
    if isinstance(found, Exception):
        raise found
    assert isinstance(found, Chunk)
    return found


def _ranges(path: Path, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where chunks begin and end: each ends with the line in which it has reached a multiple of `STEP`."""
    with path.open("rb") as file:
        while start < end:
            file.seek((start // STEP + 1) * STEP - 1)
            while (piece := file.readline(PIECE)) and not piece.endswith(b"\n"):
                pass
            stop = min(file.tell(), end)
            yield start, stop
            start = stop


def work(given: BinaryIO, answers: BinaryIO) -> None:
    """What a worker does: reads its ranges, and hands over one chunk after another."""
    told: Work = pickle.load(given)
    for start, stop in told.ranges:
        try:
            found: object = read_range(told.path, told.source, told.pseudonyms, start, stop)
        except Exception as error:  # noqa: BLE001  # raised again by the one who asked
            found = error
        pickle.dump(found, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()


if __name__ == "__main__":
    try:
        work(sys.stdin.buffer, sys.stdout.buffer)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)
