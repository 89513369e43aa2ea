"""The formats that signals come in, and how a file shows by its content which one it is."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from clworkbench.errors import SettingsError, SourceError
from clworkbench.signals.containers import Container, container
from clworkbench.signals.formats import (
    argilla,
    datasets,
    datawizz,
    langfuse,
    langsmith,
    litellm,
    mlflow,
    openai,
    otlp,
    phoenix,
    tau,
    tensorzero,
    trajectories,
)
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Unreadable, decoded

LOOKED_AT = 50


class Format(NamedTuple):
    """A format: what a record of it looks like, and what reads one.

    Attributes:
        why: what makes an object a record of this format, in words; None for any other.
        read: turns one object, which it may take apart, into rows; raises Unreadable for one that it cannot read.
        read_raw: the same from the record's bytes, where that is faster or they are no JSON.
        why_raw: what makes bytes that are no JSON a record of this format.
    """

    why: Callable[[Row], str | None]
    read: Callable[[Row, Rows], None]
    read_raw: Callable[[bytes, Rows], None] | None = None
    why_raw: Callable[[bytes], str | None] | None = None


FORMATS: dict[str, Format] = {
    "otlp": Format(otlp.why, otlp.read, otlp.read_raw, otlp.why_raw),
    "mlflow": Format(mlflow.why, mlflow.read),
    "phoenix": Format(phoenix.why, phoenix.read),
    "tensorzero": Format(tensorzero.why, tensorzero.read),
    "langfuse": Format(langfuse.why, langfuse.read),
    "langsmith": Format(langsmith.why, langsmith.read),
    "litellm": Format(litellm.why, litellm.read),
    "argilla": Format(argilla.why, argilla.read),
    "datawizz": Format(datawizz.why, datawizz.read),
    "tau": Format(tau.why, tau.read),
    "trajectories": Format(trajectories.why, trajectories.read),
    "datasets": Format(datasets.why, datasets.read),
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


def detect(path: Path, *, skip_lines: int = 0) -> Detection:
    """Which format a file is in, by its first records.

    Raises: SourceError for a folder, an empty file or one of no known format, with what was found and the way out.
    """
    found = _looked_into(path, FORMATS, skip_lines)
    if isinstance(found, Detection):
        return found
    raise SourceError(_unknown(path, found))


def named(path: Path, name: str, *, skip_lines: int = 0) -> Detection:
    """The format `name`, and what in the file speaks for it; raises SourceError for a file that cannot be read."""
    found = _looked_into(path, {name: FORMATS[name]}, skip_lines)
    return found if isinstance(found, Detection) else Detection(name, f"it was said so; what is there: {found}")


def _looked_into(path: Path, formats: Mapping[str, Format], skip_lines: int) -> Detection | str:
    """The first of these formats that a file's first records have, or what they are instead."""
    holds = container(path, skip_lines=skip_lines)
    found = None
    for item in islice(holds.items(), LOOKED_AT):
        try:
            record = item.row if item.raw is None else decoded(item.raw)
        except (Unreadable, RecursionError):
            if holds.kind == "frames" and (told := _binary(item.raw or b"", formats)):
                return told
            found = found or (
                "a line that is not JSON" if (item.raw or b"")[:1] in b"{[" else "lines that are not JSON"
            )
            continue
        if isinstance(record, list) and record:
            record = record[0]
        if isinstance(record, dict):
            for name, known in formats.items():
                if reason := known.why(record):
                    return Detection(name, reason)
            found = found or _keys(record, holds)
        else:
            found = found or item.fault or "JSON, but no objects"
    return found or ("blank lines only" if holds.kind == "lines" else "no records")


def _binary(raw: bytes, formats: Mapping[str, Format]) -> Detection | None:
    for name, known in formats.items():
        if known.why_raw and (reason := known.why_raw(raw)):
            return Detection(name, reason)
    return None


def _keys(record: Row, holds: Container) -> str:
    names = ", ".join(map(repr, list(record)[:12]))
    return (
        f"a table ({holds.kind}) with the columns {names}" if holds.is_table else f"JSON objects with the keys {names}"
    )


def _unknown(path: Path, found: str) -> str:
    return (
        f"{path}: {found}, which is none of the formats {', '.join(FORMATS)}.\n"
        'If it is a table of your own, `clw ingest --draft-mapping FILE` proposes a source with format = "mapping" for '
        "clw.toml. If it is one of these formats nevertheless, name it with --source."
    )
