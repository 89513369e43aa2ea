"""The formats that signals come in, and how a file shows by its content which one it is."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from clworkbench.errors import SettingsError, SourceError
from clworkbench.signals import openai_logs, otlp, tensorzero
from clworkbench.signals.rows import Rows
from clworkbench.signals.values import Unreadable, decoded

BOM = b"\xef\xbb\xbf"
LOOKED_AT = 50
LONGEST_HEAD = 4 << 20
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"BZh": "bzip2"}
PARQUET = b"PAR1"


class Format(NamedTuple):
    """A format of JSON lines: what an object of it looks like, and what reads a line."""

    why: Callable[[dict[str, object]], str | None]
    read_line: Callable[[bytes, Rows], None]


FORMATS: dict[str, Format] = {
    "otlp": Format(otlp.why, otlp.read_line),
    "tensorzero": Format(tensorzero.why, tensorzero.read_line),
    "openai": Format(openai_logs.why, openai_logs.read_line),
}
"""In the order in which they are tried."""

NAMES = ("auto", *FORMATS, "mapping")


class Detection(NamedTuple):
    """Which format a file is in, and what showed it."""

    format: str
    reason: str


def checked_format(name: str) -> str:
    """The format's name, or SettingsError with the names that there are."""
    if name in NAMES:
        return name
    close = get_close_matches(name.lower(), NAMES, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise SettingsError(f"no format {name!r}.{hint}\nFormats: {', '.join(NAMES)}.")


def checked_file(path: Path) -> bytes:
    """The first bytes of a file; raises SourceError for what is no file, is empty, or is packed."""
    if path.is_dir():
        raise SourceError(f"{path} is a folder. Name files in it, e.g. {path}/*.jsonl.")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}. Is the path right?") from error
    if not head:
        raise SourceError(f"{path} is empty: there is nothing to read. Has it been written yet?")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError(f"{path} is UTF-16. Save it as UTF-8.")
    for mark, name in PACKED.items():
        if head.startswith(mark):
            raise SourceError(f"{path} is packed with {name}. Unpack it first.")
    return head


def refuse_parquet(path: Path, head: bytes) -> None:
    """Raises SourceError where a Parquet file stands in place of lines."""
    if head.startswith(PARQUET):
        raise SourceError(_unknown(path, "a Parquet file"))


def checked_lines(path: Path) -> None:
    """Raises SourceError for a Parquet file, and for one JSON value over many lines."""
    head = checked_file(path)
    refuse_parquet(path, head)
    start = head.removeprefix(BOM).lstrip()
    if start.startswith(b"[") or (start.startswith(b"{") and start[1:].lstrip(b" \t\r").startswith(b"\n")):
        raise SourceError(
            f"{path}: one JSON value over many lines, or one list, where one object a line is wanted.\n"
            f"Rewrite it, e.g. with: jq -c 'if type == \"array\" then .[] else . end' {path.name}"
        )


def detect(path: Path) -> Detection:
    """Which format a file is in, by its first records.

    Raises: SourceError for a folder, an empty file or one of no known format, with what was found and the way out.
    """
    checked_lines(path)
    first = None
    for line in _first_lines(path):
        try:
            record = decoded(line)
        except (Unreadable, RecursionError):
            first = first or ("a line that is not JSON" if line[:1] in b"{[" else "lines that are not JSON")
            continue
        if isinstance(record, dict):
            for name, known in FORMATS.items():
                if reason := known.why(record):
                    return Detection(name, reason)
            first = first or f"JSON objects with the keys {', '.join(map(repr, list(record)[:12]))}"
        else:
            first = first or "JSON, but no objects"
    raise SourceError(_unknown(path, first or "blank lines only"))


def _first_lines(path: Path) -> list[bytes]:
    lines: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        while len(lines) < LOOKED_AT and size < LONGEST_HEAD:
            line = file.readline(LONGEST_HEAD)
            if not line:
                break
            size += len(line)
            line = line.removeprefix(BOM).strip()
            if line:
                lines.append(line)
    return lines


def _unknown(path: Path, found: str) -> str:
    return (
        f"{path}: {found}, which is none of the formats {', '.join(FORMATS)}.\n"
        'If its columns can be mapped, declare it in clw.toml: a source with format = "mapping" and '
        'columns = { "<column>" = "<field>" }. If it is one of these formats nevertheless, name it.'
    )
