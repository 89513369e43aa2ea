"""Scores of other harnesses from their files: Inspect, lm-evaluation-harness, tau2-bench, or plain rows."""

import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from clworkbench.errors import EvidenceError, SourceError
from clworkbench.evals.harnesses import inspect_log, lm_eval, plain, tau2
from clworkbench.evals.harnesses.rows import HarnessScores

ScoreFormat = Literal["auto", "tau2", "inspect", "lm-eval", "jsonl"]
SCORE_FORMATS: tuple[str, ...] = get_args(ScoreFormat)

KEY = ("example_id", "scorer", "repetition")

TABLES = (".parquet", ".csv")


def read_scores(path: Path, form: ScoreFormat = "auto") -> HarnessScores:
    """The scores in a file; `auto` tells the harness by what the file holds.

    `jsonl` also reads Parquet and CSV with these columns, by the file's ending.

    Raises:
        SourceError: the file is not there, or not of that harness.
        EvidenceError: an example is scored twice by one scorer and repetition.
    """
    if not path.is_file():
        raise SourceError(f"scores {path}: no such file. Name a log or a file of results.")
    found = _read(path, form)
    twice = found.rows.filter(found.rows.select(KEY).is_duplicated())
    if twice.height:
        first = ", ".join(f"{name} {value!r}" for name, value in zip(KEY, twice.select(KEY).row(0), strict=True))
        raise EvidenceError(
            f"scores {path}: {twice.height} rows have the example, scorer and repetition of another, e.g. {first}.\n"
            "Keep one row for each, or number them by `repetition`."
        )
    return found


def _read(path: Path, form: ScoreFormat) -> HarnessScores:
    place = f"scores {path}"
    if path.suffix in TABLES and form in ("auto", "jsonl"):
        return plain.read(_table(path), place)
    if path.suffix == ".eval" or form == "inspect":
        return inspect_log.read(inspect_log.unpacked(path) if path.suffix == ".eval" else _document(path), place)
    if form == "tau2":
        return tau2.read(_document(path), place)
    if form == "auto" and path.suffix == ".json":
        document = _document(path)
        if not tau2.is_tau2(document) and not inspect_log.is_inspect(document):
            raise SourceError(
                f"{place}: neither a result of tau2-bench nor a log of Inspect. Write rows as .jsonl, one a line."
            )
        return tau2.read(document, place) if tau2.is_tau2(document) else inspect_log.read(document, place)
    left = _lines(path)
    head = list(islice(left, 10))
    lines = chain(head, left)
    if form == "lm-eval" or (form == "auto" and any(lm_eval.is_lm_eval(record) for _, record in head)):
        return lm_eval.read(lines, path)
    return plain.read(lines, place)


def _document(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SourceError(f"scores {path}: no JSON ({error}). Is the file whole?") from error


def _lines(path: Path) -> Iterator[tuple[str, object]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield f"line {number}", json.loads(line)
                except (ValueError, RecursionError):
                    yield f"line {number}", None


def _table(path: Path) -> Iterator[tuple[str, object]]:
    try:
        if path.suffix == ".csv":
            rows = pl.read_csv(path, schema_overrides={"example_id": pl.String}, infer_schema_length=None)
        else:
            rows = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise SourceError(f"scores {path}: cannot be read ({reason}). Is the file whole?") from error
    yield from ((f"row {at}", row) for at, row in enumerate(rows.iter_rows(named=True), start=1))
