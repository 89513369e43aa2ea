"""What a file is made of, whatever it says: JSON lines, JSON documents, CSV, Parquet and Arrow, plain or packed."""

import csv
import gzip
import io
import mmap
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple, cast

import msgspec
import polars as pl
from polars import selectors

from clworkbench.errors import SourceError
from clworkbench.signals import frames
from clworkbench.signals.values import canonical

BOM = b"\xef\xbb\xbf"
PARQUET = b"PAR1"
ARROW = (b"ARROW1", b"\xff\xff\xff\xff")
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
FOREIGN = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7z"}
LFS = b"version https://git-lfs"

LONGEST_RECORD = 64 << 20
"""Bytes of one record of JSON; what is longer is quarantined unread."""

PIECE = 1 << 20
MOST_UNPACKED, MOST_RATIO = 64 << 20, 200
"""A packed file may become so large, and so many times its size where that is more: a bomb stops there."""

MOST_IN_MEMORY = 128 << 20
"""Bytes of a JSON document that is held in memory; of a larger one a copy is mapped."""

ROWS_A_CHUNK = 20_000
ROWS_A_BATCH = 250
MAX_FIELD = 16 << 20
Delimiter = Callable[[list[str]], tuple[int, ...]]
"""How well the names of a header suit; the delimiter of a CSV file is the one whose header suits best."""


class Item(NamedTuple):
    """One record as it stands in a file.

    Attributes:
        offset: its first byte, in a table the number of its row; of a packed file, in what it unpacks to.
        length: its bytes, in a table 1.
        stop: the byte or row after it.
        raw: its JSON, None for the row of a table.
        row: the row of a table.
        weight: bytes of the row, about.
        fault: why it cannot be read, where it cannot; it has neither `raw` nor `row` then.
        digest: SHA-256 of its bytes, where it has no `raw`.
    """

    offset: int
    length: int
    stop: int
    raw: bytes | None = None
    row: dict[str, object] | None = None
    fault: str | None = None
    digest: str = ""
    weight: int = 0


class Container(NamedTuple):
    """How a file holds its records: the name of the kind, and its records from the first on.

    Attributes:
        kind: lines, document, frames, parquet, arrow or csv.
        items: gives the records; each call begins anew.
        can_be_cut: whether lines can be read from any one on: plain lines of a file that is not packed.
    """

    kind: str
    items: Callable[[], Iterator[Item]]
    can_be_cut: bool = False

    @property
    def is_table(self) -> bool:
        """Whether a record is a row, and offsets count rows."""
        return self.kind in ("parquet", "arrow", "csv")


def container(path: Path, *, skip_lines: int = 0, suits: Delimiter | None = None) -> Container:
    """Looks into a file and tells what it is made of.

    Args:
        path: a file; packed with gzip or zstd it is unpacked while it is read.
        skip_lines: lines above the header of a CSV file.
        suits: which header suits best where a CSV file's delimiter is in question; the longest when None.

    Raises:
        SourceError: a folder, an empty file, one that cannot be opened, or packed in a way that is not read.
    """
    head = _head(path)
    if head.startswith(PARQUET):
        return Container("parquet", lambda: _parquet(path))
    if head.startswith(ARROW):
        return Container("arrow", lambda: _arrow(path))
    if read_frames := frames.reader(head, _size(path)):
        return Container("frames", lambda: _frames(path, read_frames))
    start = head.removeprefix(BOM).lstrip()
    if _is_document(start):
        return Container("document", lambda: _document(path))
    if start[:1] in (b"{", b"") or path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return Container("lines", lambda: lines(path), can_be_cut=not _is_packed(path))
    suits = suits or (lambda names: (len(names),))
    return Container("csv", lambda: _csv(path, skip_lines, suits))


def opened(path: Path) -> BinaryIO:
    """A file's bytes, unpacked where it is packed with gzip or zstd.

    Raises:
        SourceError: it cannot be opened; while reading: it is damaged, or unpacks to far more than a log would.
    """
    try:
        file = path.open("rb", buffering=PIECE)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Is the path right?") from error
    if _is_packed(path):
        mark = file.read(4)
        file.seek(0)
        size = path.stat().st_size
        return cast(
            BinaryIO, io.BufferedReader(Unpacked(path, file, mark, max(MOST_UNPACKED, size * MOST_RATIO)), PIECE)
        )
    return file


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith((GZIP, ZSTD))


class Unpacked(io.RawIOBase):
    """What a packed file holds, as long as it is no bomb."""

    def __init__(self, path: Path, file: BinaryIO, mark: bytes, most: int) -> None:
        import pyarrow as pa

        self._path, self._file, self._most, self._given = path, file, most, 0
        packed_by_gzip = mark.startswith(GZIP)
        self._inner = gzip.GzipFile(fileobj=file) if packed_by_gzip else pa.CompressedInputStream(file, "zstd")
        self._read = self._inner.read1 if packed_by_gzip else self._inner.read  # read1 gives what came before a damage

    def readable(self) -> bool:
        """True: it is there to be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fills the buffer with what comes next."""
        try:
            piece = self._read(len(buffer))
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(
                f"{self._path}: packed, and damaged after {self._given:,} bytes of what it holds ({error}).\n"
                "Was it copied whole? Get it again."
            ) from error
        self._given += len(piece)
        if self._given > self._most:
            raise SourceError(
                f"{self._path}: unpacks to more than {self._most:,} bytes, {MOST_RATIO} times its size.\n"
                "If it is what it says, unpack it first."
            )
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Closes the file as well."""
        self._inner.close()
        self._file.close()
        super().close()


def _head(path: Path) -> bytes:
    """The first bytes of what a file holds, unpacked."""
    if path.is_dir():
        raise SourceError(f"{path} is a folder. Name files in it, e.g. {path}/*.jsonl.")
    with opened(path) as file:
        head = file.read(PIECE)
    if not head:
        raise SourceError(f"{path} is empty: there is nothing to read. Has it been written yet?")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(f"{path} is UTF-16. Save it as UTF-8.")
    if head.startswith(LFS):
        raise SourceError(f"{path} is a Git LFS pointer, not the file itself. Get it with: git lfs pull")
    for mark, name in FOREIGN.items():
        if head.startswith(mark):
            raise SourceError(f"{path} is packed with {name}. Unpack it first.")
    return head


def _size(path: Path) -> int | None:
    """How many bytes a file holds; None for a packed one, which nobody knows beforehand."""
    return None if _is_packed(path) else path.stat().st_size


def _is_document(start: bytes) -> bool:
    """Whether this is the beginning of one JSON value over many lines, or of a list."""
    first, ended, rest = start.partition(b"\n")
    following = rest.lstrip()
    if start.startswith(b"["):
        return not following or _is_open(first)
    goes_on = bool(ended and following) and not following.startswith(b"{")
    return start.startswith(b"{") and goes_on and _is_open(first)


def _is_open(line: bytes) -> bool:
    """Whether a line is the beginning of a JSON value that goes on below it."""
    try:
        msgspec.json.decode(line.strip(), type=msgspec.Raw)
    except msgspec.DecodeError as error:
        return "truncated" in str(error)
    return False


def lines(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Item]:
    """The lines of a file that are not blank, from the byte `start` on, which begins one, to the byte `stop`."""
    with opened(path) as file:
        if start:
            file.seek(start)
        offset = start
        most = LONGEST_RECORD + 1
        while line := file.readline(most if stop is None else min(most, stop - offset)):
            at, offset = offset, offset + len(line)
            if len(line) > LONGEST_RECORD and not line.endswith(b"\n"):
                hashed = sha256(line)
                while piece := file.readline(PIECE if stop is None else min(PIECE, stop - offset)):
                    offset += len(piece)
                    hashed.update(piece)
                    if piece.endswith(b"\n"):
                        break
                yield _too_long("line", at, offset - at, offset, hashed.hexdigest())
                continue
            if at == 0 and line.startswith(BOM):
                at, line = len(BOM), line[len(BOM) :]
            raw = line.rstrip(b"\r\n")
            if raw.strip():
                yield Item(at, len(raw), offset, raw)


def _too_long(what: str, offset: int, length: int, stop: int, digest: str) -> Item:
    return Item(offset, length, stop, fault=f"a {what} of {length} bytes, more than {LONGEST_RECORD}", digest=digest)


def _frames(path: Path, read_frames: frames.Reader) -> Iterator[Item]:
    with opened(path) as file:
        for frame in read_frames(file, LONGEST_RECORD):
            offset, length, stop, raw, fault, digest = frame
            yield Item(offset, length, stop, raw, None, fault, digest)


def _document(path: Path) -> Iterator[Item]:
    """The elements of a JSON list, or the one object that the file is."""
    whole = memoryview(_held(path))
    view = whole[len(BOM) :] if whole[: len(BOM)] == BOM else whole
    try:
        if bytes(view[:PIECE]).lstrip().startswith(b"["):
            pieces = msgspec.json.decode(view, type=list[msgspec.Raw])
        else:
            pieces = [msgspec.json.decode(view, type=msgspec.Raw)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(
            f"{path}: one JSON value, and not a valid one ({error}).\nIs the file whole? Write or download it again."
        ) from error
    for piece in pieces:
        offset = _place(whole, piece)
        length = memoryview(piece).nbytes
        if length > LONGEST_RECORD:
            yield _too_long("record", offset, length, offset + length, sha256(piece).hexdigest())
        else:
            yield Item(offset, length, offset + length, bytes(piece).strip())


def _held(path: Path) -> mmap.mmap | bytes:
    """A file's bytes: in memory, or, where they are many, in a copy of our own that nobody writes while it is read."""
    with opened(path) as file:
        held = file.read(MOST_IN_MEMORY)
        if len(held) < MOST_IN_MEMORY:
            return held
        with TemporaryFile() as copy:
            copy.write(held)
            shutil.copyfileobj(file, copy, PIECE)
            copy.flush()
            return mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)


def _place(view: memoryview, piece: msgspec.Raw) -> int:
    """Where in the buffer a raw piece lies, which shares its memory."""
    import numpy as np

    starts = [np.frombuffer(buffer, np.uint8).__array_interface__["data"][0] for buffer in (view, memoryview(piece))]
    return int(starts[1] - starts[0])


def _parquet(path: Path) -> Iterator[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield from _rows(file.iter_batches(batch_size=ROWS_A_BATCH))
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"{path}: not a Parquet file that can be read ({error}). Write it again.") from error


def _arrow(path: Path) -> Iterator[Item]:
    """An Arrow file, or a stream, as `datasets` keeps one on disk."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            if _head(path).startswith(ARROW[0]):
                reader = pa.ipc.open_file(source)
                yield from _rows(reader.get_batch(at) for at in range(reader.num_record_batches))
            else:
                yield from _rows(pa.ipc.open_stream(source))
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"{path}: not an Arrow file that can be read ({error}). Write it again.") from error


def _rows(batches: Iterable[object]) -> Iterator[Item]:
    at = 0
    for batch in batches:
        frame = cast(pl.DataFrame, pl.from_arrow(batch)).with_columns(selectors.decimal().cast(pl.Float64))
        for row in frame.iter_rows(named=True):
            said = canonical(row)
            yield Item(at, 1, at + 1, row=row, digest=sha256(said).hexdigest(), weight=len(said))
            at += 1


class Tap:
    """Hands a CSV reader its lines and remembers those of the row at hand, so that the row's bytes can be hashed."""

    def __init__(self, given: Iterable[bytes]) -> None:
        self._lines = iter(given)
        self.taken: list[bytes] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.taken.append(line)
            yield line.decode("utf-8", "surrogateescape")

    def row(self) -> bytes:
        """The bytes taken since the last call, without the last line end."""
        raw = b"".join(self.taken).rstrip(b"\r\n")
        self.taken.clear()
        return raw


def _csv(path: Path, skip_lines: int, suits: Delimiter) -> Iterator[Item]:
    """The rows of a CSV file; one with more or fewer fields than the header, or no UTF-8, has a fault."""
    csv.field_size_limit(MAX_FIELD)
    with opened(path) as file:
        for _ in islice(file, skip_lines):
            pass
        first = file.readline(MAX_FIELD).removeprefix(BOM)
        text = first.decode("utf-8", "replace")
        tap = Tap(_after(first, file))
        try:
            delimiter = max(",;\t|", key=lambda mark: suits(next(csv.reader([text], delimiter=mark), [])))
            reader = csv.reader(tap, delimiter=delimiter, strict=True)
            header = next(reader, [])
        except csv.Error as error:
            raise SourceError(f"{path}: the header cannot be read ({error}). Is skip_lines right?") from error
        if twice := sorted({name for name in header if name and header.count(name) > 1}):
            raise SourceError(f"{path}: more than one column is named {twice[0]!r}. Rename one in the file.")
        tap.row()
        yield from _csv_rows(reader, tap, header)


def _after(first: bytes, file: BinaryIO) -> Iterator[bytes]:
    yield first
    while line := file.readline(MAX_FIELD):
        yield line


def _csv_rows(reader: Iterator[list[str]], tap: Tap, header: list[str]) -> Iterator[Item]:
    at = 0
    while True:
        fault = None
        fields: list[str] = []
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = f"not valid CSV: {error}"
        raw = tap.row()
        if not fields and not fault:
            continue
        fault = fault or _fault(fields, raw, header)
        row: dict[str, object] | None = None if fault else dict(zip(header, fields, strict=True))
        yield Item(at, 1, at + 1, row=row, fault=fault, digest=sha256(raw).hexdigest(), weight=len(raw))
        at += 1


def _fault(fields: list[str], raw: bytes, header: list[str]) -> str | None:
    if len(fields) != len(header):
        return f"a row of {len(fields)} fields under a header of {len(header)}"
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"not valid UTF-8 at byte {error.start}"
    return None
