"""Ingest: files of a source into the tables, nothing lost, nothing double, every record accounted for."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import SourceError
from clworkbench.files import sha256_file, sha256_of_beginnings
from clworkbench.loop.signals.admission import admit
from clworkbench.loop.signals.inbox import by_source
from clworkbench.loop.signals.ingest_report import FileReport, IngestReport
from clworkbench.settings import Source, settings_dict
from clworkbench.signals.cores import read_on_cores
from clworkbench.signals.reading import BY_CONTENT, Chunk, Detection, can_grow, read, recognised
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id
from clworkbench.workspace.known import KnownRows

READING_VERSION = 3
"""Raised when readers change what they make of the same bytes, so that known files are read again."""

WAIT_S = 3600.0
"""How long an ingest waits for another one of the same source."""


def ingest(
    workspace: Workspace,
    paths: str | Path | Sequence[str | Path],
    source: str = "auto",
    *,
    read_until: datetime | None = None,
    advance: Advance = silent,
) -> IngestReport:
    """Reads files into the workspace; the same files again add nothing.

    Args:
        workspace: where to.
        paths: a file or a folder, or several.
        source: a source declared in `clw.toml`, or a format's name; `auto` tells each file's format by its content.
        read_until: all events up to then have been read: a quiet feed settles outcomes all the same.
        advance: progress, in bytes.

    Raises:
        SourceError: a file named by itself cannot be read, or none of a folder's can; one among others is left out and
            reported, and so is the rest of one that is damaged.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    sources, left_out = by_source(workspace, given, source)
    report = IngestReport(", ".join(declared.name for declared, _ in sources), left_out=left_out)
    total = sum(file.stat().st_size for _, files in sources for file in files)
    done = 0
    for declared, files in sources:
        with workspace.lease(f"ingest {declared.name}", "ingest", wait_s=WAIT_S):
            known = workspace.known_rows(declared.name)
            for file in files:
                progress = partial(_advance, advance, done, total, file.name)
                read_file = _ingest_file(workspace, file, declared, known, progress)
                report.add(read_file)
                report.files.append(read_file)
                if read_file.damage:
                    left_out[str(file)] = read_file.damage
                done += file.stat().st_size
            workspace.sweep("ingest", declared.name)
            workspace.compact(table for table, rows in report.tables.items() if rows)
        if read_until:
            workspace.catalog.note_watermark(declared.name, read_until)
    if left_out and not report.records:
        first, found = next(iter(left_out.items()))
        raise SourceError(f"{first}: {found}")
    if report.tables["feedback"]:
        report.unmatched = _unmatched(workspace, report.batch_ids)
    return report


def ingest_log(workspace: Workspace, file: Path, source: str) -> FileReport:
    """Reads a file of lines that is deleted once it is read: it is not noted among the known files.

    Args:
        workspace: where to.
        file: a file of lines; the same one again, after a kill, adds nothing.
        source: a source that is declared.

    Raises:
        SourceError: the file cannot be read.
    """
    declared = workspace.settings.sources[source]
    counts = FileReport(source, file=str(file))
    with workspace.lease(f"ingest {source}", "ingest", wait_s=WAIT_S):
        span = Span(sha256_file(file), _reading(workspace, declared), 0, file.stat().st_size)
        _ingest_chunks(workspace, file, declared, span, workspace.known_rows(source), counts)
        workspace.sweep("ingest", source)
        workspace.compact(table for table, rows in counts.tables.items() if rows)
    return counts


def preview(workspace: Workspace, path: str | Path, source: str = "auto", *, n: int = 5) -> Chunk:
    """The first records of a file as they would be read and kept; nothing is written."""
    declared, [file, *_] = by_source(workspace, [path], source)[0][0]
    first = next(read(file, declared, workspace.pseudonyms, chunk_bytes=1 << 16))
    kept = admit(workspace, first, noting=False).frames
    return Chunk(
        first.start,
        first.stop,
        kept["interactions"].head(n),
        kept["feedback"].head(n),
        first.quarantine.head(n),
        first.records,
        first.skipped,
        first.fidelity,
    )


def _ingest_file(
    workspace: Workspace, file: Path, source: Source, known: KnownRows, at: Callable[[int], None]
) -> FileReport:
    """Reads one file, chunk by chunk; a chunk is a batch, so that a killed ingest goes on where it was.

    A file known by its hash is not parsed again, and of one that has grown only what is new.
    """
    reading = _reading(workspace, source)
    found = file.stat()
    size = found.st_size
    earlier = {int(str(told["bytes"])): (sha256, told) for sha256, told in _shorter(workspace, source, file, reading)}
    hashes = sha256_of_beginnings(file, [size, *earlier])
    sha256 = hashes[size]
    counts = FileReport(source.name, file=str(file))
    if counted := workspace.catalog.known_file(source.name, sha256, reading):
        counts.detection = Detection(str(counted["format"]), str(counted["why"]))
        counts.add_known(counted)
        return counts
    counts.detection = recognised(file, source)
    start = max((n for n, (was, _) in earlier.items() if n < size and hashes.get(n) == was), default=0)
    if start:
        counts.add_known(earlier[start][1])
    try:
        _ingest_chunks(workspace, file, source, Span(sha256, reading, start, size), known, counts, at)
    except SourceError as error:
        counts.damage = str(error).removeprefix(f"{file}: ")
        return counts
    if file.stat().st_mtime_ns != found.st_mtime_ns and sha256_of_beginnings(file, [size]).get(size) != sha256:
        counts.damage = "it was rewritten while it was read. Read it again."
        return counts
    goes_on = BY_CONTENT not in counts.lost and can_grow(file, size)
    told = counts.as_dict() | {"bytes": size, "can_grow": goes_on}
    workspace.catalog.note_file(source.name, sha256, reading, str(file.resolve()), told)
    return counts


def _reading(workspace: Workspace, source: Source) -> str:
    """How files of a source are read, as a short hash: read in another way, the same bytes are read again."""
    shape = {key: value for key, value in settings_dict(source).items() if key != "paths"}
    kept_out = [settings_dict(rule) for rule in workspace.ingest_rules]
    return stable_id(READING_VERSION, shape, workspace.settings.policy.redaction, *kept_out)


def _shorter(workspace: Workspace, source: Source, file: Path, reading: str) -> list[tuple[str, dict[str, object]]]:
    """Earlier readings of a file at this place from whose end one can go on."""
    before = workspace.catalog.read_before(source.name, str(file.resolve()), reading)
    return [(sha256, told) for sha256, told in before if told.get("can_grow")]


class Span(NamedTuple):
    """Which bytes of a file are read: their hash, how they are read (a hash as well), and where from and to."""

    sha256: str
    reading: str
    start: int
    size: int


def _ingest_chunks(
    workspace: Workspace,
    file: Path,
    source: Source,
    span: Span,
    known: KnownRows,
    counts: FileReport,
    at: Callable[[int], None] = lambda _: None,
) -> None:
    workspace.catch_up(known)
    for chunk in read_on_cores(file, source, workspace.pseudonyms, start=span.start, stop=span.size):
        batch_id = stable_id("ingest", source.name, span.sha256, span.reading, chunk.start, chunk.stop)
        if workspace.catalog.is_committed(batch_id):
            counts.add_chunk(chunk, {})
            continue
        where = {"file": file.name, "sha256": span.sha256, "start": chunk.start, "stop": chunk.stop}
        where |= {"records": chunk.records, "quarantined": chunk.quarantine.height}
        admitted = admit(workspace, chunk)
        counts.redacted.update(admitted.redacted)
        fresh = workspace.write_batch(
            batch_id, "ingest", admitted.frames, source=source.name, detail=where, known=known
        )
        counts.batch_ids.append(batch_id)
        counts.add_chunk(admitted.chunk, fresh)
        at(chunk.stop)


def _advance(advance: Advance, before: int, total: int, name: str, at: int) -> None:
    advance(before + at, total, name)


def _unmatched(workspace: Workspace, batch_ids: Sequence[str]) -> int:
    """How many feedback rows of these batches name an interaction, conversation or trace that is not here."""
    wanted = workspace.scan("feedback").filter(pl.col("batch_id").is_in(batch_ids)).select("target_id")
    ids = ("interaction_id", "source_id", "conversation_id", "trace_id")
    there = workspace.scan("interactions").select(pl.concat_list(ids).alias("target_id")).explode("target_id").unique()
    return int(wanted.join(there, on="target_id", how="anti").select(pl.len()).collect().item())
