"""The formats that signals come in, and how a file shows by its content which one it is."""

from collections.abc import Callable
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from clworkbench.errors import SettingsError, SourceError
from clworkbench.signals.containers import Container, container
from clworkbench.signals.formats import openai, otlp, tensorzero
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Unreadable, decoded

LOOKED_AT = 50


class Format(NamedTuple):
    """A format: what a record of it looks like, and what reads one.

    Attributes:
        why: what makes an object a record of this format, in words; None for any other.
        read: turns one object, which it may take apart, into rows; raises Unreadable for one that it cannot read.
        read_raw: the same from the record's JSON bytes, where that is faster.
    """

    why: Callable[[Row], str | None]
    read: Callable[[Row, Rows], None]
    read_raw: Callable[[bytes, Rows], None] | None = None


FORMATS: dict[str, Format] = {
    "otlp": Format(otlp.why, otlp.read, otlp.read_raw),
    "tensorzero": Format(tensorzero.why, tensorzero.read),
    "openai": Format(openai.why, openai.read),
}
"""In the order in which they are tried: the more particular first."""

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


def detect(path: Path) -> Detection:
    """Which format a file is in, by its first records.

    Raises: SourceError for a folder, an empty file or one of no known format, with what was found and the way out.
    """
    holds = container(path)
    found = None
    for item in islice(holds.items(), LOOKED_AT):
        try:
            record = item.row if item.raw is None else decoded(item.raw)
        except (Unreadable, RecursionError):
            found = found or (
                "a line that is not JSON" if (item.raw or b"")[:1] in b"{[" else "lines that are not JSON"
            )
            continue
        if isinstance(record, dict):
            for name, known in FORMATS.items():
                if reason := known.why(record):
                    return Detection(name, reason)
            found = found or _keys(record, holds)
        else:
            found = found or item.fault or "JSON, but no objects"
    raise SourceError(_unknown(path, found or ("blank lines only" if holds.kind == "lines" else "no records")))


def _keys(record: Row, holds: Container) -> str:
    names = ", ".join(map(repr, list(record)[:12]))
    return (
        f"a table ({holds.kind}) with the columns {names}" if holds.is_table else f"JSON objects with the keys {names}"
    )


def _unknown(path: Path, found: str) -> str:
    return (
        f"{path}: {found}, which is none of the formats {', '.join(FORMATS)}.\n"
        'If its columns can be mapped, declare it in clw.toml: a source with format = "mapping" and '
        'columns = { "<column>" = "<field>" }. If it is one of these formats nevertheless, name it.'
    )
