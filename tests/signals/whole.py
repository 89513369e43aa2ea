"""Reads whole files in tests of the readers."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.settings import Source
from clworkbench.signals.reading import Fidelity, read

KEY = Pseudonyms(b"k" * 32)


class Whole(NamedTuple):
    interactions: pl.DataFrame
    feedback: pl.DataFrame
    quarantine: pl.DataFrame
    records: int
    skipped: Counter[str]
    fidelity: list[Fidelity]
    spans: list[tuple[int, int]]


def read_whole(path: Path, source: Source, chunk_bytes: int = 32 << 20) -> Whole:
    chunks = list(read(path, source, KEY, chunk_bytes=chunk_bytes))
    skipped: Counter[str] = Counter()
    for chunk in chunks:
        skipped.update(chunk.skipped)
    return Whole(
        pl.concat([chunk.interactions for chunk in chunks]),
        pl.concat([chunk.feedback for chunk in chunks]),
        pl.concat([chunk.quarantine for chunk in chunks]),
        sum(chunk.records for chunk in chunks),
        skipped,
        [noted for chunk in chunks for noted in chunk.fidelity],
        [(chunk.start, chunk.stop) for chunk in chunks],
    )
