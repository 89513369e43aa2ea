"""The ingest behind the server: hands closed logs to a process of its own, and starts it again when it dies."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from clworkbench.serving.spool import UNREAD, Spool

REPLY_BYTES = 1 << 20
COUNTS = ("records", "new", "known", "skipped", "quarantined")


class Ingest:
    """Reads what the spool holds into the tables, every few seconds.

    Args:
        folder: the workspace.
        source: the source that spans and log records are read as.
        spool: whose logs.
        say: told of faults, once for each.
    """

    def __init__(self, folder: Path, source: str, spool: Spool, say: Callable[[str], None]) -> None:
        # -P: a polars.py in the folder at hand is data, not a module.
        self._command = [sys.executable, "-P", "-m", "clworkbench.serving.drain", str(folder), source]
        self._spool, self._say = spool, say
        self._process: Process | None = None
        self._last_fault = ""
        self.counts: Counter[str] = Counter()

    async def run(self, finished: asyncio.Event, every_s: float) -> None:
        """Ingests until `finished`, and once more then."""
        while not finished.is_set():
            await self._round()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(finished.wait(), every_s)
        await self._round()

    async def _round(self) -> None:
        for log in await self._spool.seal():
            answer = await self._ask(log)
            if fault := str(answer.get("error", "")):
                if fault != self._last_fault:
                    self._say(f"ingest: {fault}\nWhat was acknowledged waits in {self._spool.folder}.")
                self._last_fault = fault
                continue
            self._last_fault = ""
            self._spool.forget(log)
            self.counts.update({name: answer.get(name, 0) for name in COUNTS})
            if answer.get("quarantined"):
                self._say(
                    f"ingest: {answer['quarantined']} records were quarantined: {answer['why']}\n"
                    f"Their lines are kept in {self._spool.folder / UNREAD}."
                )

    async def _ask(self, log: Path) -> dict[str, object]:
        """Has one log read, and waits for the answer."""
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, limit=REPLY_BYTES, start_new_session=True
            )
        process = self._process
        assert process.stdin
        assert process.stdout
        # It died: its answer is empty then. uvloop calls a pipe that it has closed already a RuntimeError.
        with contextlib.suppress(ConnectionError, RuntimeError):
            process.stdin.write(os.fsencode(log) + b"\n")
            await process.stdin.drain()
        if answer := await process.stdout.readline():
            return dict(json.loads(answer))
        self._process = None
        return {"error": f"its process ended (status {await process.wait()}); another one is started"}

    async def end(self) -> None:
        """Ends the process once it has finished the log in hand."""
        if process := self._process:
            assert process.stdin
            process.stdin.close()
            await process.wait()

    def abandon(self) -> None:
        """Ends the process at once; the log in hand is read again by the next capture."""
        if process := self._process:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
