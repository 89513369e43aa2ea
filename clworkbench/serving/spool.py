"""The spool: a log on disk in which a body is durable before anybody is told that it was taken."""

import asyncio
import contextlib
import os
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from clworkbench.files import told_when_full

Kind = Literal["traces", "logs", "json", "events"]
"""What a body is: a protobuf request of spans or of log records, a line of OTLP/JSON, or lines of feedback events."""

KINDS: tuple[Kind, ...] = ("traces", "logs", "json", "events")
HEADER = struct.Struct(">4sBII")
MAGIC = b"clw\x01"
SUFFIX = ".log"
UNREAD = "unread"
"""The folder in the spool with the lines that ingest could not read, until somebody deletes them."""

SEAL_BYTES = 32 << 20
"""A log is closed at this size, and another is begun."""

UNFORESEEN = "its writer failed"
Group = list[tuple[bytes, asyncio.Future[None]]]
"""Frames to be written together, and what their senders wait for."""


class SpoolFull(Exception):
    """What waits to be ingested has reached the limit: the sender shall come again later."""


class SpoolUnwritable(Exception):
    """The disk took the bodies not, or not for sure: none of them was kept."""


class Frame(NamedTuple):
    """One body in a log."""

    kind: Kind
    body: bytes


class Spool:
    """Takes bodies from many requests at once; those that wait together share one write and one sync.

    Args:
        folder: where its logs lie; made with mode 0700, for they hold texts as they came, not yet redacted.
        most_bytes: what may wait there, or be kept as unread; more is refused with `SpoolFull`.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        with told_when_full("the spool", folder.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        self.folder = folder
        self._most_bytes = most_bytes
        self._sealed = {path: path.stat().st_size for path in sorted(folder.glob(f"*{SUFFIX}"))}
        self._waiting: Group = []
        self._waiting_bytes = 0
        self._unread_bytes = self._counted_unread()
        self._log: tuple[Path, int] | None = None
        self._durable = 0
        self._writer = ThreadPoolExecutor(1, "spool")
        self._turn = asyncio.Lock()
        self._flushing: asyncio.Task[None] | None = None

    @property
    def held_bytes(self) -> int:
        """What waits: in closed logs, in the open one, and to be written; and what is kept as unread."""
        return sum(self._sealed.values()) + self._durable + self._waiting_bytes + self._unread_bytes

    def _counted_unread(self) -> int:
        n = 0
        with contextlib.suppress(FileNotFoundError):  # nothing was kept yet, or somebody deletes it just now
            for path in (self.folder / UNREAD).iterdir():
                n += path.stat().st_size
        return n

    async def add(self, kind: Kind, body: bytes) -> None:
        """Returns once the body is on the disk.

        Raises:
            SpoolFull: too much waits already.
            SpoolUnwritable: the disk is full, or broken.
        """
        if self.held_bytes + len(body) > self._most_bytes:
            raise SpoolFull
        frame = HEADER.pack(MAGIC, KINDS.index(kind), len(body), zlib.crc32(body)) + body
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((frame, done))
        self._waiting_bytes += len(frame)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await done

    async def _flush(self) -> None:
        """Writes what waits until nothing does; while one group is synced, the next gathers."""
        try:
            while self._waiting:
                async with self._turn:
                    await self._flush_group()
        finally:  # a fault that nobody foresaw is raised, and leaves no request waiting
            self._flushing = None
            rest, self._waiting = self._waiting, []
            self._tell(rest, UNFORESEEN)

    async def _flush_group(self) -> None:
        group, self._waiting = self._waiting, []
        fault: str | None = UNFORESEEN
        try:
            frames = [frame for frame, _ in group]
            await asyncio.get_running_loop().run_in_executor(self._writer, self._write, frames)
            fault = None
        except OSError as error:
            fault = error.strerror or str(error)
        finally:
            self._tell(group, fault)

    def _tell(self, group: Group, fault: str | None) -> None:
        """Ends the wait of all in a group."""
        self._waiting_bytes -= sum(len(frame) for frame, _ in group)
        for _, done in group:
            if not done.done():  # its request may have been cancelled
                done.set_result(None) if fault is None else done.set_exception(SpoolUnwritable(fault))

    def _write(self, frames: Sequence[bytes]) -> None:
        if self._log is None:
            self._log = self._begin()
        _, file = self._log
        rest = memoryview(b"".join(frames))
        size = len(rest)
        whole = False
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
            getattr(os, "fdatasync", os.fsync)(file)  # macOS has no fdatasync
            whole = True
        finally:
            if not whole:
                self._give_up()
        self._durable += size
        if self._durable >= SEAL_BYTES:
            self._close_log()

    def _begin(self) -> tuple[Path, int]:
        path = self.folder / f"{time.time_ns():020d}{SUFFIX}"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return path, file

    def _give_up(self) -> None:
        """After a failed write the log ends where it was durable, and is not used again."""
        assert self._log
        try:
            os.ftruncate(self._log[1], self._durable)
        finally:
            self._close_log()

    def _close_log(self) -> None:
        assert self._log
        path, file = self._log
        if self._durable:
            self._sealed[path] = self._durable
        self._log, durable, self._durable = None, self._durable, 0
        os.close(file)
        if not durable:
            path.unlink()

    async def seal(self) -> list[Path]:
        """Closes the open log; returns the closed ones, the oldest first."""
        async with self._turn:
            if self._log:
                await asyncio.get_running_loop().run_in_executor(self._writer, self._close_log)
        self._unread_bytes = self._counted_unread()
        return list(self._sealed)

    def forget(self, path: Path) -> None:
        """Counts a log no more: it was ingested and deleted."""
        self._sealed.pop(path, None)


def frames(path: Path) -> Iterator[Frame]:
    """The whole bodies of a log; a torn one at its end was never acknowledged and is left out.

    Raises FileNotFoundError for a log that is not there.
    """
    with path.open("rb") as file:
        while len(header := file.read(HEADER.size)) == HEADER.size:
            magic, number, length, checksum = HEADER.unpack(header)
            if magic != MAGIC or number >= len(KINDS):
                return
            body = file.read(length)
            if len(body) < length or zlib.crc32(body) != checksum:
                return
            yield Frame(KINDS[number], body)
