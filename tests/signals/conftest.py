"""Writes a file of records and reads it whole."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from clworkbench.settings import Source
from tests.signals.whole import Whole, read_whole


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., Whole]:
    """Writes records (objects, or bytes as they stand), one a line, and reads them."""

    def write_and_read(*records: object, source: Source | None = None, name: str = "log.jsonl") -> Whole:
        lines = [r if isinstance(r, bytes) else msgspec.json.encode(r) for r in records]
        path = tmp_path / name
        path.write_bytes(b"\n".join(lines) + b"\n")
        return read_whole(path, source or Source("desk"))

    return write_and_read
