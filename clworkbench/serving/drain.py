"""Closed logs of the spool into the tables: a process of its own, so that ingest never holds up a request.

It reads paths from standard input, a line each, and answers each with a line of JSON; it ends when its input ends.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import polars as pl

from clworkbench.errors import ClwError
from clworkbench.files import sync, told_when_full
from clworkbench.loop.signals.capture import ingest_log
from clworkbench.loop.signals.ingest_report import Counts
from clworkbench.serving import otlp_lines
from clworkbench.serving.events import SOURCE, event_source
from clworkbench.serving.ingesting import COUNTS
from clworkbench.serving.spool import UNREAD, Frame, frames
from clworkbench.settings import Settings, Source
from clworkbench.workspace import Workspace
from clworkbench.workspace.known import KnownRows
from clworkbench.workspace.tables import Tables

CLOCK_NS = 1_000_000_000
"""How far the times of files may lie behind the clock."""

WAIT_S = 3600.0
"""How long to wait for the ingest of a killed capture, which ends with the log that it has in hand."""


class SyncedTables(Tables):
    """Tables whose rows are on the disk before their batch is committed.

    Delta syncs none of its files and the catalog syncs itself: after a power cut it could name rows that are gone, and
    a log that is read again would add nothing in their place.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._appended: set[str] = set()
        self._since_ns = time.time_ns() - CLOCK_NS

    def append(self, name: str, frame: pl.DataFrame) -> None:
        """Appends rows, and remembers that there are some to be synced."""
        if frame.height:
            self._appended.add(name)
        super().append(name, frame)

    def sync(self) -> None:
        """Has all files on the disk that came into the tables since the last time."""
        began_ns = time.time_ns() - CLOCK_NS
        for name in self._appended:
            for folder in (self.folder / name, self.folder / name / "_delta_log"):
                for file in os.scandir(folder):
                    with contextlib.suppress(FileNotFoundError):  # it is no longer part of the table
                        if file.is_file() and file.stat().st_mtime_ns >= self._since_ns:
                            sync(Path(file))
                sync(folder)
        self._appended, self._since_ns = set(), began_ns


class LiveWorkspace(Workspace):
    """A workspace in which the sources of live capture are declared, also where `clw.toml` leaves them out.

    The keys of their rows are held from one log to the next.
    """

    def __init__(self, folder: str | Path, spans: str) -> None:
        super().__init__(folder)
        self.tables = SyncedTables(self.folder / "tables")
        self._spans = spans
        self._known: dict[str, KnownRows] = {}

    def known_rows(self, source: str) -> KnownRows:
        """The keys of a source's rows, as far as they were read before."""
        return self._known.setdefault(source, super().known_rows(source))

    @property
    def settings(self) -> Settings:
        """What `clw.toml` says now, and those sources."""
        settings = super().settings
        events = event_source(settings.sources.get(SOURCE), self._spans)
        spans = settings.sources.get(self._spans, Source(self._spans, format="otlp"))
        return msgspec.structs.replace(settings, sources=settings.sources | {SOURCE: events, self._spans: spans})


def drain(workspace: Workspace, log: Path, spans: str) -> Counts:
    """Reads one closed log into the tables and deletes it; a killed drain of it is done again, and adds nothing twice.

    Lines of which something was quarantined are kept in `spool/unread/`.

    Args:
        workspace: where to.
        log: a log of its spool.
        spans: the name of the source that spans and log records are read as.

    Raises FileNotFoundError for a log that is not there (any more).
    """
    if not log.exists():
        raise FileNotFoundError(log)
    report = Counts("capture")
    files = {SOURCE: log.with_suffix(".events.jsonl"), spans: log.with_suffix(".otlp.jsonl")}
    with told_when_full("what was captured", log.parent):
        _write_lines(log, files[spans], files[SOURCE])
        for source, file in files.items():
            if file.stat().st_size:
                read = ingest_log(workspace, file, source)
                report.add(read)
                if read.quarantined:
                    _keep_unread(workspace, file)
    for file in files.values():
        file.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    return report


def _keep_unread(workspace: Workspace, file: Path) -> None:
    """Keeps the lines of which ingest has quarantined something."""
    places = workspace.scan("quarantine").filter(pl.col("file").str.ends_with(file.name)).select("offset", "length")
    unread = places.unique().sort("offset").collect().rows()
    if not unread:
        return
    folder = file.parent / UNREAD
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = folder / file.name
    kept.unlink(missing_ok=True)
    kept.touch(mode=0o600)
    with file.open("rb") as source, kept.open("ab") as into:
        for offset, length in unread:
            source.seek(offset)
            into.write(source.read(length) + b"\n")
    for written in (kept, folder, file.parent):  # once the log is gone, they stand nowhere else
        sync(written)


def _write_lines(log: Path, spans: Path, events: Path) -> None:
    """The same log makes the same lines, and so the same batches."""
    for path in (spans, events):
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
    with spans.open("ab") as into_spans, events.open("ab") as into_events:
        for frame in frames(log):
            into = into_events if frame.kind == "events" else into_spans
            into.writelines(line + b"\n" for line in _lines(frame))


def _lines(frame: Frame) -> Iterable[bytes]:
    if frame.kind == "traces" or frame.kind == "logs":
        return otlp_lines.lines(frame.body, frame.kind)
    return (frame.body,)


def main(folder: str, spans: str) -> None:
    """Drains the logs whose paths come in, one after the other, as the only one in this workspace."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server ends this process, by closing its input
    workspace = LiveWorkspace(folder, spans)
    with workspace.lease(f"capture of {spans}", "capture", wait_s=WAIT_S):
        os.sync()  # what a killed one has appended, for a batch that is now completed
        for line in sys.stdin:
            answer = _answer(workspace, Path(line.rstrip("\n")), spans)
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


def _answer(workspace: Workspace, log: Path, spans: str) -> dict[str, object]:
    try:
        report = drain(workspace, log, spans)
    except FileNotFoundError:
        return {"gone": True}  # the ingest of a killed capture was still at it
    except (ClwError, OSError) as error:
        return {"error": str(error)}
    return {name: getattr(report, name) for name in COUNTS} | {"why": dict(report.quarantined_why)}


if __name__ == "__main__":
    main(*sys.argv[1:])
