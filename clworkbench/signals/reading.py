"""From a file to frames: records in, one chunk of interactions, feedback and quarantine after another out."""

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.settings import Source
from clworkbench.signals import mapping
from clworkbench.signals.containers import ROWS_A_CHUNK, Container, Item, container
from clworkbench.signals.recognise import FORMATS, Detection, Format, checked_format, detect
from clworkbench.signals.rows import Chunk, Fidelity, Rows
from clworkbench.signals.values import Unreadable, decoded, kind_of

__all__ = ["Chunk", "Detection", "Fidelity", "detect", "read"]


def read(path: Path, source: Source, pseudonyms: Pseudonyms, *, chunk_bytes: int = 32 << 20) -> Iterator[Chunk]:
    """Reads a file in chunks that are the same each time it is read.

    Args:
        path: JSON lines, one JSON document, CSV, Parquet or Arrow; also packed with gzip or zstd.
        source: its `format` says how to read the file; `auto` takes the mapping where there is one, else what
            `detect` finds.
        pseudonyms: makes ids and user keys; no raw user name leaves the reader but inside texts.
        chunk_bytes: a chunk ends with the record in which it has reached a multiple of this; in a table, of
            `ROWS_A_CHUNK` rows.

    Raises:
        SettingsError: an unknown format, or a mapping that means nothing.
        SourceError: a file that cannot be read at all. A record that cannot be read is quarantined.
    """
    name = checked_format(source.format)
    rows = Rows(source, pseudonyms, path.as_posix())
    if name == "mapping" or (name == "auto" and source.columns):
        mapped = mapping.plan(source)
        holds = container(path, skip_lines=source.skip_lines, suits=mapped.suits)
        if there := _first_keys(holds):
            mapping.check_columns(there, mapped, path, every=holds.is_table)
        form = Format(lambda _: None, partial(mapping.read, mapped=mapped))
    else:
        holds = container(path, skip_lines=source.skip_lines)
        form = FORMATS[detect(path).format if name == "auto" else name]
    step = ROWS_A_CHUNK if holds.is_table else chunk_bytes
    return _chunks(holds.items(), rows, partial(_read, form=form), step)


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


def _chunks(items: Iterator[Item], rows: Rows, read_item: Callable[[Item, Rows], None], step: int) -> Iterator[Chunk]:
    start = stop = 0
    for item in items:
        rows.at(item.offset, item.length)
        read_item(item, rows)
        stop = item.stop
        if stop // step > start // step:
            yield rows.chunk(start, stop)
            start = stop
    if rows.records or not stop:
        yield rows.chunk(start, stop)


def _read(item: Item, rows: Rows, form: Format) -> None:
    if item.fault:
        return rows.quarantine(item.fault, item.digest)
    try:
        if item.raw is not None and form.read_raw:
            return form.read_raw(item.raw, rows)
        record = item.row if item.raw is None else decoded(item.raw)
        if not isinstance(record, dict):
            raise Unreadable(f"{kind_of(record)}, not an object")
        return form.read(record, rows)
    except Unreadable as error:
        reason = str(error)
    except RecursionError:
        reason = "nested too deeply to be read"
    return rows.quarantine(reason, item.digest or sha256(item.raw or b"").hexdigest())
