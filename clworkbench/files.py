"""Files written whole or not at all, hashed, and a full disk said in words, whichever library met it first."""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from clworkbench.errors import ArtefactError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IN_WORDS = tuple(os.strerror(code) for code in FULL)
TORCH_WRITER = "PytorchStreamWriter failed writing"
SQLITE_FULL = "database or disk is full"


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_beginnings(path: Path, sizes: Sequence[int]) -> dict[int, str]:
    """SHA-256, in hex, of a file's first bytes, for each of these sizes that it has; in one pass."""
    found = {}
    hashed, at = hashlib.sha256(), 0
    with path.open("rb") as file:
        for size in sorted(set(sizes)):
            while at < size and (piece := file.read(min(size - at, 1 << 20))):
                hashed.update(piece)
                at += len(piece)
            if at == size:
                found[size] = hashed.hexdigest()
    return found


def write_atomically(path: Path, text: str) -> None:
    """Writes a file so that a reader sees the old one or the new one, whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with told_when_full(path.name, path.parent), partial.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Has a file's bytes, or the names in a folder, on the disk before it returns."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextlib.contextmanager
def told_when_full(what: str, place: Path) -> Iterator[None]:
    """Within it, a write that fails for want of space becomes an `ArtefactError` naming `what` and `place`.

    torch, safetensors, Delta and SQLite write in C++, Rust and C and raise errors of their own, in which only the
    system's words tell that the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _full(what, place) from error
    except Exception as error:
        if not any(words in str(error) for words in (*IN_WORDS, TORCH_WRITER, SQLITE_FULL)):
            raise
        raise _full(what, place) from error


def _full(what: str, place: Path) -> ArtefactError:
    there = next((path for path in (place, *place.parents) if path.exists()), Path("/"))
    free_mb = shutil.disk_usage(there).free / 1e6
    return ArtefactError(
        f"{what}: could not be written to {place}: no room ({free_mb:,.0f} MB free on that disk).\n"
        "Nothing half written counts. Make room, then run the same command again."
    )
