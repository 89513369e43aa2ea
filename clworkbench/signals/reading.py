"""From a file to frames: lines or rows in, one chunk of interactions, feedback and quarantine after another out."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.settings import Source
from clworkbench.signals import mapping, tables
from clworkbench.signals.formats import (
    BOM,
    FORMATS,
    PARQUET,
    Detection,
    checked_file,
    checked_format,
    checked_lines,
    detect,
    refuse_parquet,
)
from clworkbench.signals.rows import Chunk, Fidelity, Rows
from clworkbench.signals.values import Unreadable, decoded

__all__ = ["Chunk", "Detection", "Fidelity", "detect", "read"]

LONGEST_LINE = 64 << 20
PIECE = 1 << 20


class Line(NamedTuple):
    """A line without its end; `raw` is None for one too long to be held in memory."""

    offset: int
    length: int
    stop: int
    raw: bytes | None
    digest: str


def read(path: Path, source: Source, pseudonyms: Pseudonyms, *, chunk_bytes: int = 32 << 20) -> Iterator[Chunk]:
    """Reads a file in chunks that are the same each time it is read.

    Args:
        path: a file of JSON lines (any format), a CSV or a Parquet file (a mapping).
        source: its `format` says how to read the file; `auto` takes the mapping where there is one, else what
            `detect` finds.
        pseudonyms: makes ids and user keys; no raw user name leaves the reader but inside texts.
        chunk_bytes: a chunk of a file of lines ends with the line in which it has reached a multiple of this.

    Raises:
        SettingsError: an unknown format, or a mapping that means nothing.
        SourceError: a file that cannot be read at all. A record that cannot be read is quarantined.
    """
    name = checked_format(source.format)
    mapped = mapping.plan(source) if name == "mapping" or (name == "auto" and source.columns) else None
    head = checked_file(path)
    rows = Rows(source, pseudonyms, path.as_posix())
    if mapped is None:
        refuse_parquet(path, head)
        known = FORMATS[detect(path).format if name == "auto" else name]
        return _line_chunks(path, rows, known.read_line, chunk_bytes)
    if head.startswith(PARQUET):
        return tables.parquet_chunks(path, rows, mapped)
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json") or head.removeprefix(BOM).lstrip().startswith(b"{"):
        checked_lines(path)
        mapping.check_columns(_first_keys(path), mapped, path, every=False)
        return _line_chunks(path, rows, lambda raw, into: mapping.read_line(raw, into, mapped), chunk_bytes)
    return tables.csv_chunks(path, rows, mapped)


def _first_keys(path: Path) -> list[str]:
    """The keys that the first objects of a file of JSON lines have."""
    keys: dict[str, None] = {}
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file)):
            if number == mapping.PEEK:
                break
            try:
                record = decoded(line.raw or b"")
            except (Unreadable, RecursionError):
                continue
            if isinstance(record, dict):
                keys |= dict.fromkeys(record)
    return list(keys)


def _line_chunks(path: Path, rows: Rows, read_line: Callable[[bytes, Rows], None], chunk_bytes: int) -> Iterator[Chunk]:
    start = stop = 0
    with path.open("rb", buffering=PIECE) as file:
        for line in _lines(file):
            _read(line, rows, read_line)
            stop = line.stop
            if stop // chunk_bytes > start // chunk_bytes:
                yield rows.chunk(start, stop)
                start = stop
        if rows.records or stop > start or not stop:
            yield rows.chunk(start, file.tell())


def _read(line: Line, rows: Rows, read_line: Callable[[bytes, Rows], None]) -> None:
    rows.at(line.offset, line.length)
    if line.raw is None:
        rows.quarantine(f"a line of {line.length} bytes, more than {LONGEST_LINE}", line.digest)
        return
    try:
        read_line(line.raw, rows)
    except Unreadable as error:
        rows.quarantine(str(error), sha256(line.raw).hexdigest())
    except RecursionError:
        rows.quarantine("nested too deeply to be read", sha256(line.raw).hexdigest())


def _lines(file: BinaryIO) -> Iterator[Line]:
    """The lines that are not blank."""
    offset = 0
    while line := file.readline(LONGEST_LINE + 1):
        start, offset = offset, offset + len(line)
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            hashed = sha256(line)
            while piece := file.readline(PIECE):
                offset += len(piece)
                hashed.update(piece)
                if piece.endswith(b"\n"):
                    break
            yield Line(start, offset - start, offset, None, hashed.hexdigest())
            continue
        if start == 0 and line.startswith(BOM):
            start, line = len(BOM), line[len(BOM) :]
        raw = line.rstrip(b"\r\n")
        if raw.strip():
            yield Line(start, len(raw), offset, raw, "")
