"""CSV and Parquet files, read row by row through a mapping."""

import csv
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path

import polars as pl
from polars import selectors

from clworkbench.errors import SourceError
from clworkbench.signals.mapping import Plan, check_columns, reachable, read_row
from clworkbench.signals.rows import Chunk, Rows
from clworkbench.signals.values import canonical

ROWS_A_CHUNK = 20_000
MAX_FIELD = 16 << 20


def parquet_chunks(path: Path, rows: Rows, mapped: Plan) -> Iterator[Chunk]:
    """Reads a Parquet file in chunks of a fixed number of rows; raises SourceError where it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            check_columns(file.schema_arrow.names, mapped, path, every=True)
            start = 0
            for batch in file.iter_batches(batch_size=ROWS_A_CHUNK):
                frame = pl.DataFrame(pl.from_arrow(batch)).with_columns(selectors.decimal().cast(pl.Float64))
                for at, record in enumerate(frame.iter_rows(named=True), start):
                    rows.at(at, 1)
                    digest = sha256(canonical(record)).hexdigest()
                    read_row(record, digest, rows, mapped)
                yield rows.chunk(start, start + len(frame))
                start += len(frame)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path}: not a Parquet file that can be read ({error}). Write it again.") from error


class Tap:
    """Hands a CSV reader its lines and remembers those of the row at hand, so that the row's bytes can be hashed."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
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


def csv_chunks(path: Path, rows: Rows, mapped: Plan) -> Iterator[Chunk]:
    """Reads a CSV file in chunks of a fixed number of rows.

    The delimiter is the one of comma, semicolon, tab and bar that finds most of the mapped columns. A row with more or
    fewer fields than the header, with broken quoting, or that is no UTF-8 goes to quarantine.
    Raises: SourceError where a mapped column is missing.
    """
    csv.field_size_limit(MAX_FIELD)
    with path.open("rb") as file:
        before = file.tell()
        for _ in islice(file, mapped.source.skip_lines):
            before = file.tell()
        head = file.readline().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        delimiter = max(",;\t|", key=lambda mark: _score(head, mark, mapped))
        file.seek(before + (3 if before == 0 and file_has_mark(path) else 0))
        tap = Tap(file)
        reader = csv.reader(tap, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise SourceError(f"{path}: the header cannot be read ({error}). Is skip_lines right?") from error
        tap.row()
        _check_header(header, mapped, path)
        yield from _csv_chunks(reader, tap, header, rows, mapped)


def file_has_mark(path: Path) -> bool:
    """Whether a file starts with a UTF-8 byte order mark."""
    with path.open("rb") as file:
        return file.read(3) == b"\xef\xbb\xbf"


def _score(head: str, mark: str, mapped: Plan) -> tuple[int, int]:
    names = next(csv.reader([head], delimiter=mark), [])
    return sum(reachable(column, names) for column in mapped.columns), len(names)


def _check_header(header: list[str], mapped: Plan, path: Path) -> None:
    check_columns(header, mapped, path, every=True)
    twice = [column for column in mapped.columns if header.count(column) > 1]
    if twice:
        raise SourceError(f"{path}: more than one column is named {twice[0]!r}. Rename one in the file.")


def _csv_chunks(reader: Iterator[list[str]], tap: Tap, header: list[str], rows: Rows, mapped: Plan) -> Iterator[Chunk]:
    start = at = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            rows.at(at, 1)
            rows.quarantine(f"not valid CSV: {error}", sha256(tap.row()).hexdigest())
        else:
            raw = tap.row()
            if not row:
                continue
            rows.at(at, 1)
            _read_csv_row(row, raw, header, rows, mapped)
        at += 1
        if at - start == ROWS_A_CHUNK:
            yield rows.chunk(start, at)
            start = at
    if at > start:
        yield rows.chunk(start, at)


def _read_csv_row(row: list[str], raw: bytes, header: list[str], rows: Rows, mapped: Plan) -> None:
    digest = sha256(raw).hexdigest()
    if len(row) != len(header):
        rows.quarantine(f"a row of {len(row)} fields under a header of {len(header)}", digest)
        return
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        rows.quarantine(f"not valid UTF-8 at byte {error.start}", digest)
        return
    read_row(dict(zip(header, row, strict=True)), digest, rows, mapped)
