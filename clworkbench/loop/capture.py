"""Ingest: files of a source into the tables, nothing lost, nothing double, every record accounted for."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from pathlib import Path

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import SettingsError, SourceError
from clworkbench.files import sha256_file
from clworkbench.policy.redaction import redact
from clworkbench.settings import Settings, Source, settings_dict
from clworkbench.signals.reading import Chunk, Fidelity, read
from clworkbench.signals.recognise import FORMATS, detect
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id

READING_VERSION = 1
"""Raised when readers change what they make of the same bytes, so that known files are read again."""

WAIT_S = 3600.0
"""How long an ingest waits for another one of the same source."""

DATA_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".parquet", ".log")
"""What is read of a folder: a licence or a note beside the data is no data."""

INGESTED = ("interactions", "feedback", "quarantine")


@dataclass(repr=False)
class IngestReport:
    """What became of every record: `records` = `new` + `known` + `skipped` + `quarantined`.

    Attributes:
        skipped_why: records left out on purpose, by reason.
        quarantined_why: records that could not be read, by reason.
        tables: rows added, by table.
        redacted: personal values replaced, by kind.
        fidelity: what could not be carried over in full.
        places: where the first record stands that was quarantined, by reason.
        unmatched: new feedback rows whose target is not here (yet).
    """

    source: str
    records: int = 0
    new: int = 0
    known: int = 0
    skipped: int = 0
    quarantined: int = 0
    skipped_why: Counter[str] = field(default_factory=Counter)
    quarantined_why: Counter[str] = field(default_factory=Counter)
    tables: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)
    batch_ids: list[str] = field(default_factory=list)
    fidelity: list[Fidelity] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    unmatched: int = 0

    def __repr__(self) -> str:
        parts = ", ".join(f"{getattr(self, name):,} {name}" for name in ("new", "known", "skipped", "quarantined"))
        return f"IngestReport({self.source}: {self.records:,} records = {parts})"

    def _repr_html_(self) -> str:
        rows = [(name, getattr(self, name), "") for name in ("records", "new", "known", "skipped", "quarantined")]
        rows += [("skipped", n, why) for why, n in self.skipped_why.items()]
        rows += [("quarantined", n, f"{why}; first in {self.places[why]}") for why, n in self.quarantined_why.items()]
        rows += [("redacted", n, kind) for kind, n in self.redacted.items()]
        return html_table(("records", "n", ""), rows, caption=f"source {self.source}")

    def add(self, other: "IngestReport") -> None:
        """Adds what became of another file's records."""
        for name in ("records", "new", "known", "skipped", "quarantined"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("skipped_why", "quarantined_why", "tables", "redacted"):
            getattr(self, name).update(getattr(other, name))
        self.batch_ids += other.batch_ids
        self.fidelity += other.fidelity
        self.places = other.places | self.places

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw ingest --json`."""
        return {
            "source": self.source,
            "records": self.records,
            "new": self.new,
            "known": self.known,
            "skipped": self.skipped,
            "quarantined": self.quarantined,
            "skipped_why": dict(self.skipped_why),
            "quarantined_why": dict(self.quarantined_why),
            "tables": dict(self.tables),
            "redacted": dict(self.redacted),
            "batch_ids": self.batch_ids,
            "places": self.places,
            "unmatched": self.unmatched,
            "fidelity": [item._asdict() for item in self.fidelity],
        }


def find_source(settings: Settings, name: str, file: Path) -> Source:
    """The source declared as `name` in `clw.toml`, or, for a format's name, a source so named.

    `auto` that nobody declared is the source of the format that `file` is recognised as, so that the same file read by
    its format's name is the same source.

    Raises:
        SettingsError: neither.
    """
    if name in settings.sources:
        return settings.sources[name]
    formats = list(FORMATS)
    if name == "auto":
        name = detect(file).format
    if name in formats:
        return Source(name=name, format=name)
    there = [*settings.sources, "auto", *formats]
    close = get_close_matches(name, there, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise SettingsError(
        f"no source {name!r} in clw.toml, and no format of that name.{hint}\n"
        f"There: {', '.join(there)}. Declare it as [sources.{name}] in clw.toml."
    )


def find_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files that paths name; a folder stands for the data files in it (by `DATA_SUFFIXES`) that are not empty.

    Raises:
        SourceError: a path leads nowhere, or a folder holds no data file.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise SourceError(f"{path}: not there. Name a file, or a folder of files.")
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in DATA_SUFFIXES and holds_something(p))
        if not inside:
            raise SourceError(
                f"{path}: a folder without data files ({', '.join(DATA_SUFFIXES)}).\n"
                "Name the folder that holds them, or the files themselves."
            )
        files += inside
    return files


def holds_something(path: Path) -> bool:
    """Whether it is a file with a byte in it: rotated logs leave empty ones behind, and those say nothing."""
    return path.is_file() and path.stat().st_size > 0


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
        source: a source declared in `clw.toml`, or a format's name.
        read_until: all events up to then have been read: a quiet feed settles outcomes all the same.
        advance: progress, in bytes.
    """
    files = find_files([paths] if isinstance(paths, str | Path) else paths)
    declared = find_source(workspace.settings, source, files[0])
    report = IngestReport(declared.name)
    total = sum(file.stat().st_size for file in files)
    done = 0
    with workspace.lease(f"ingest {declared.name}", "ingest", wait_s=WAIT_S):
        for file in files:
            _ingest_file(workspace, file, declared, report, partial(_advance, advance, done, total, file.name))
            done += file.stat().st_size
        workspace.sweep("ingest", declared.name)
    if read_until:
        workspace.catalog.note_watermark(declared.name, read_until)
    if report.tables["feedback"]:
        report.unmatched = _unmatched(workspace, report.batch_ids)
    return report


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


def _ingest_file(
    workspace: Workspace, file: Path, source: Source, report: IngestReport, at: Callable[[int], None]
) -> None:
    """Reads one file, chunk by chunk; a chunk is a batch, so that a killed ingest goes on where it was."""
    sha256 = sha256_file(file)
    shape = {key: value for key, value in settings_dict(source).items() if key != "paths"}
    reading = stable_id(READING_VERSION, shape, workspace.settings.policy.redaction)
    if counted := workspace.catalog.known_file(source.name, sha256, reading):
        _count_known_file(report, counted)
        return
    counts = IngestReport(source.name)
    committed = workspace.catalog.committed()
    known = {table: workspace.tables.keys(table, committed, source.name) for table in INGESTED}
    for chunk in read(file, source, workspace.pseudonyms):
        batch_id = stable_id("ingest", source.name, sha256, reading, chunk.start, chunk.stop)
        if workspace.catalog.is_committed(batch_id):
            _count(counts, chunk, {})
            continue
        where = {"file": file.name, "sha256": sha256, "start": chunk.start, "stop": chunk.stop}
        frames = _redacted(workspace, chunk, counts.redacted)
        fresh = workspace.write_batch(batch_id, "ingest", frames, source=source.name, detail=where, known=known)
        for table, rows in fresh.items():
            known[table] = pl.concat([known[table], rows.select(known[table].columns)])
        counts.batch_ids.append(batch_id)
        _count(counts, chunk, fresh)
        at(chunk.stop)
    workspace.catalog.note_file(source.name, sha256, reading, str(file), counts.as_dict())
    report.add(counts)


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


def _count(counts: IngestReport, chunk: Chunk, fresh: Mapping[str, pl.DataFrame]) -> None:
    """A record is new when any of its rows is."""
    new = {record for table in ("interactions", "feedback") if table in fresh for record in fresh[table]["record"]}
    left_out = sum(chunk.skipped.values()) + chunk.quarantine.height
    counts.records += chunk.records
    counts.new += len(new)
    counts.known += chunk.records - len(new) - left_out
    counts.skipped += sum(chunk.skipped.values())
    counts.quarantined += chunk.quarantine.height
    counts.skipped_why.update(chunk.skipped)
    left = chunk.quarantine.with_columns(pl.col("reason").str.replace(r" at byte \d+", ""))
    counts.quarantined_why.update(left["reason"].to_list())
    for file, offset, reason in left.select("file", "offset", "reason").iter_rows():
        counts.places.setdefault(reason, f"{file}, from {offset:,}")
    counts.tables.update({table: rows.height for table, rows in fresh.items()})
    counts.fidelity += chunk.fidelity


def _count_known_file(report: IngestReport, counted: Mapping[str, object]) -> None:
    """All records of a file read before are known, but for what was left out then."""
    was = IngestReport(report.source, skipped_why=Counter(), quarantined_why=Counter())
    was.records, was.skipped, was.quarantined = (int(str(counted[k])) for k in ("records", "skipped", "quarantined"))
    was.known = was.records - was.skipped - was.quarantined
    for mine, theirs in ((was.skipped_why, "skipped_why"), (was.quarantined_why, "quarantined_why")):
        mine.update(counted[theirs])  # type: ignore[call-overload]
    report.add(was)
