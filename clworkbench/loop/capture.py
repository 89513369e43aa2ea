"""Ingest: files of a source into the tables, nothing lost, nothing double, every record accounted for."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import SourceError
from clworkbench.files import sha256_of_beginnings
from clworkbench.loop.inbox import find_files, find_source
from clworkbench.loop.ingest_report import FileReport, IngestReport
from clworkbench.policy.redaction import redact
from clworkbench.settings import Source, settings_dict
from clworkbench.signals.cores import read_on_cores
from clworkbench.signals.reading import BY_CONTENT, Chunk, Detection, can_grow, read, recognised
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id

READING_VERSION = 2
"""Raised when readers change what they make of the same bytes, so that known files are read again."""

WAIT_S = 3600.0
"""How long an ingest waits for another one of the same source."""

INGESTED = ("interactions", "feedback", "quarantine")


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
        SourceError: a file named by itself is of no known format, or all of a folder's are; one among others of a
            folder is left out and reported.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    by_source, left_out = _by_source(workspace, given, source)
    report = IngestReport(", ".join(declared.name for declared, _ in by_source), left_out=left_out)
    total = sum(file.stat().st_size for _, files in by_source for file in files)
    done = 0
    for declared, files in by_source:
        with workspace.lease(f"ingest {declared.name}", "ingest", wait_s=WAIT_S):
            for file in files:
                read_file = _ingest_file(workspace, file, declared, partial(_advance, advance, done, total, file.name))
                report.add(read_file)
                report.files.append(read_file)
                done += file.stat().st_size
            workspace.sweep("ingest", declared.name)
        if read_until:
            workspace.catalog.note_watermark(declared.name, read_until)
    if report.tables["feedback"]:
        report.unmatched = _unmatched(workspace, report.batch_ids)
    return report


def _by_source(
    workspace: Workspace, given: Sequence[str | Path], name: str
) -> tuple[list[tuple[Source, list[Path]]], dict[str, str]]:
    """The files of each source, and those of folders that are of no known format, with what was found in them."""
    files: dict[str, list[Path]] = {}
    sources: dict[str, Source] = {}
    left_out: dict[str, str] = {}
    for path in given:
        for file in find_files([path]):
            try:
                source = find_source(workspace.settings, name, file)
            except SourceError as error:
                if file == Path(path):
                    raise
                left_out[str(file)] = str(error).partition(", which is none")[0].removeprefix(f"{file}: ")
                continue
            sources[source.name] = source
            files.setdefault(source.name, []).append(file)
    if not files:
        first, found = next(iter(left_out.items()))
        raise SourceError(f"{first}: {found}\nNone of the {len(left_out)} files there is of a known format.")
    return [(sources[source], found) for source, found in files.items()], left_out


def preview(workspace: Workspace, path: str | Path, source: str = "auto", *, n: int = 5) -> Chunk:
    """The first records of a file as they would be read and kept; nothing is written."""
    file = find_files([path])[0]
    declared = find_source(workspace.settings, source, file)
    first = next(read(file, declared, workspace.pseudonyms, chunk_bytes=1 << 16))
    kept = _redacted(workspace, first, Counter())
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


def _ingest_file(workspace: Workspace, file: Path, source: Source, at: Callable[[int], None]) -> FileReport:
    """Reads one file, chunk by chunk; a chunk is a batch, so that a killed ingest goes on where it was.

    A file known by its hash is not parsed again, and of one that has grown only what is new.
    """
    shape = {key: value for key, value in settings_dict(source).items() if key != "paths"}
    reading = stable_id(READING_VERSION, shape, workspace.settings.policy.redaction)
    size = file.stat().st_size
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
    _ingest_chunks(workspace, file, source, (sha256, reading, start), counts, at)
    goes_on = BY_CONTENT not in counts.lost and can_grow(file)
    told = counts.as_dict() | {"bytes": size, "can_grow": goes_on}
    workspace.catalog.note_file(source.name, sha256, reading, str(file.resolve()), told)
    return counts


def _shorter(workspace: Workspace, source: Source, file: Path, reading: str) -> list[tuple[str, dict[str, object]]]:
    """Earlier readings of a file at this place from whose end one can go on."""
    before = workspace.catalog.read_before(source.name, str(file.resolve()), reading)
    return [(sha256, told) for sha256, told in before if told.get("can_grow")]


def _ingest_chunks(
    workspace: Workspace,
    file: Path,
    source: Source,
    bytes_: tuple[str, str, int],
    counts: FileReport,
    at: Callable[[int], None],
) -> None:
    sha256, reading, start = bytes_
    committed = workspace.catalog.committed()
    known = {table: workspace.tables.keys(table, committed, source.name) for table in INGESTED}
    for chunk in read_on_cores(file, source, workspace.pseudonyms, start=start):
        batch_id = stable_id("ingest", source.name, sha256, reading, chunk.start, chunk.stop)
        if workspace.catalog.is_committed(batch_id):
            counts.add_chunk(chunk, {})
            continue
        where = {"file": file.name, "sha256": sha256, "start": chunk.start, "stop": chunk.stop}
        frames = _redacted(workspace, chunk, counts.redacted)
        fresh = workspace.write_batch(batch_id, "ingest", frames, source=source.name, detail=where, known=known)
        for table, rows in fresh.items():
            known[table] = pl.concat([known[table], rows.select(known[table].columns)])
        counts.batch_ids.append(batch_id)
        counts.add_chunk(chunk, fresh)
        at(chunk.stop)


def _advance(advance: Advance, before: int, total: int, name: str, at: int) -> None:
    advance(before + at, total, name)


def _unmatched(workspace: Workspace, batch_ids: Sequence[str]) -> int:
    """How many feedback rows of these batches name an interaction, conversation or trace that is not here."""
    wanted = workspace.scan("feedback").filter(pl.col("batch_id").is_in(batch_ids)).select("target_id")
    ids = ("interaction_id", "source_id", "conversation_id", "trace_id")
    there = workspace.scan("interactions").select(pl.concat_list(ids).alias("target_id")).explode("target_id").unique()
    return int(wanted.join(there, on="target_id", how="anti").select(pl.len()).collect().item())


def _redacted(workspace: Workspace, chunk: Chunk, counts: Counter[str]) -> dict[str, pl.DataFrame]:
    """The tables of a chunk as they may be kept; adds what was replaced to `counts`."""
    frames = {"interactions": chunk.interactions, "feedback": chunk.feedback}
    if workspace.settings.policy.redaction != "off":
        for table, frame in frames.items():
            frames[table], found = redact(frame, workspace.pseudonyms)
            counts.update(found)
    return {**frames, "quarantine": chunk.quarantine}
