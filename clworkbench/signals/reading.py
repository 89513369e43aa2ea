"""From a file to frames: records in, one chunk of interactions, feedback and quarantine after another out."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path

from clworkbench.errors import SourceError
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.settings import Source
from clworkbench.signals import mapping
from clworkbench.signals.containers import ROWS_A_CHUNK, Container, Item, container, lines
from clworkbench.signals.recognise import FORMATS, Detection, Format, checked_format, detect, named
from clworkbench.signals.rows import BY_CONTENT, Chunk, Fidelity, Rows
from clworkbench.signals.units import read_unit
from clworkbench.signals.values import Unreadable, decoded, kind_of

__all__ = ["BY_CONTENT", "Chunk", "Detection", "Fidelity", "detect", "read"]


HEAVIEST = 32 << 20
"""Bytes of rows of a table after which a chunk ends."""


def read(
    path: Path,
    source: Source,
    pseudonyms: Pseudonyms,
    *,
    chunk_bytes: int = 32 << 20,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Chunk]:
    """Reads a file in chunks that are the same each time it is read.

    Args:
        path: JSON lines, one JSON document, CSV, Parquet or Arrow; also packed with gzip or zstd.
        source: its `format` says how to read the file; `auto` takes the mapping where there is one, else what
            `detect` finds.
        pseudonyms: makes ids and user keys; no raw user name leaves the reader but inside texts.
        chunk_bytes: a chunk ends with the record in which it has reached a multiple of this; in a table, of
            `ROWS_A_CHUNK` rows.
        start: where an earlier reading of a file of lines ended (`can_grow`): what stands before is passed over.
        stop: where the reading of a file of lines ends, though more may have been written since.

    Raises:
        SettingsError: an unknown format, or a mapping that means nothing.
        SourceError: a file that cannot be read at all. A record that cannot be read is quarantined.
    """
    form, holds = _looked_at(path, source)
    rows = Rows(source, pseudonyms, path.as_posix())
    step = ROWS_A_CHUNK if holds.is_table else chunk_bytes
    items = lines(path, start, stop) if holds.can_be_cut else holds.items()
    return _chunks(items, rows, partial(_read, form=form), step, start)


def read_range(path: Path, source: Source, pseudonyms: Pseudonyms, start: int, stop: int) -> Chunk:
    """The one chunk that the lines from the byte `start` to the byte `stop` make; raises as `read` does."""
    form, _ = _looked_at(path, source)
    rows = Rows(source, pseudonyms, path.as_posix())
    with rare_collections():
        for item in lines(path, start, stop):
            rows.at(item.offset, item.length)
            _read(item, rows, form)
        return rows.chunk(start, stop)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Within it Python looks for cyclic garbage rarely: rows hold none, and looking takes a tenth of the reading."""
    before = gc.get_threshold()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _looked_at(path: Path, source: Source) -> tuple[Format, Container]:
    """What reads the records of this file, and what holds them."""
    name = recognised(path, source).format
    if name != "mapping":
        return FORMATS[name], container(path, skip_lines=source.skip_lines)
    mapped = mapping.plan(source)
    holds = container(path, skip_lines=source.skip_lines, suits=mapped.suits)
    if there := _first_keys(holds):
        mapping.check_columns(there, mapped, path, every=holds.is_table)
    return Format(lambda _: None, partial(mapping.read, mapped=mapped)), holds


def recognised(path: Path, source: Source) -> Detection:
    """Which format a file of this source is read as, and why.

    Raises:
        SettingsError: an unknown format.
        SourceError: a file of no known format.
    """
    name = checked_format(source.format)
    if name == "mapping" or (name == "auto" and source.columns):
        return Detection("mapping", f"source {source.name} in clw.toml maps its columns")
    if name == "auto":
        return detect(path, skip_lines=source.skip_lines)
    return named(path, name, skip_lines=source.skip_lines)


def can_grow(path: Path, size: int) -> bool:
    """Whether more could be written after these bytes of a file: plain lines, the last of them ended."""
    if not container(path).can_be_cut:
        return False
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _first_keys(holds: Container) -> list[str]:
    """The keys that the first records have; all rows of a table have the same."""
    keys: dict[str, None] = {}
    for item in islice(holds.items(), mapping.PEEK):
        if keys and holds.is_table:
            break
        try:
            record = item.row if item.raw is None else decoded(item.raw)
        except (Unreadable, RecursionError):
            continue
        if isinstance(record, dict):
            keys |= dict.fromkeys(record)
    return list(keys)


def _chunks(
    items: Iterator[Item], rows: Rows, read_item: Callable[[Item, Rows], None], step: int, start: int
) -> Iterator[Chunk]:
    stop, weight = start, 0
    with rare_collections():
        try:
            for item in items:
                rows.at(item.offset, item.length)
                read_item(item, rows)
                stop, weight = item.stop, weight + item.weight
                if stop // step > start // step or weight > HEAVIEST:
                    yield rows.chunk(start, stop)
                    start, weight = stop, 0
        except SourceError:
            if rows.records:  # what came before the damage counts
                yield rows.chunk(start, stop)
            raise
        if rows.records or not stop:
            yield rows.chunk(start, stop)


def _read(item: Item, rows: Rows, form: Format) -> None:
    if item.fault:
        return rows.quarantine(item.fault, item.digest)
    try:
        if item.raw is not None and form.read_raw:
            return form.read_raw(item.raw, rows)
        record = item.row if item.raw is None else decoded(item.raw)
        if isinstance(record, list) and record and all(isinstance(one, dict) for one in record):
            for at, one in enumerate(record):  # a line that is a batch
                read_unit(one, rows, form.read, place=f"[{at}]")
            return None
        if not isinstance(record, dict):
            raise Unreadable(f"{kind_of(record)}, not an object")
        return form.read(record, rows)
    except Unreadable as error:
        reason = str(error)
    except RecursionError:
        reason = "nested too deeply to be read"
    return rows.quarantine(reason, item.digest or sha256(item.raw or b"").hexdigest())
