"""Suites: frozen examples read from a file, checked, in an order that does not depend on the file's."""

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl

from clworkbench.errors import SourceError
from clworkbench.schemas import MESSAGE, SUITE, in_suite
from clworkbench.scorers.names import scorer

FORM = 'Each line is one example: {"input": "…" or a list of messages, "expected": "…", "slices": ["…"], "group": "…"}.'


def read_suite(path: Path) -> pl.DataFrame:
    """The examples of a suite, checked and in canonical order.

    `input` is a list of messages, or text, which becomes a user's message; `expected` is text, or any JSON, kept as
    text; `example_id` (or `id`), `slices`, `group`, `signal_ids` and `inclusion` may be left out. One bad example
    refuses the file: a suite that lost examples would measure something else under the same name.

    Args:
        path: JSON lines (`.jsonl`, `.ndjson`), or Parquet with the columns of `schemas.SUITE`.

    Raises:
        SourceError: the file is missing, empty or of another kind, or an example is not of that form.
    """
    if not path.is_file():
        raise SourceError(f"suite {path}: no such file. Name a .jsonl or .parquet file.")
    if path.suffix == ".parquet":
        return canonical(_checked(_from_parquet(path), str(path)))
    if path.suffix in (".jsonl", ".ndjson"):
        return canonical(_checked(_from_lines(path), str(path)))
    raise SourceError(f"suite {path}: a file of kind {path.suffix!r}; a suite is .jsonl or .parquet.\n{FORM}")


def canonical(suite: pl.DataFrame) -> pl.DataFrame:
    """The suite in the order of its ids, with the columns and types of `schemas.SUITE`."""
    return in_suite(suite).sort("example_id")


def ungradable(suite: pl.DataFrame, scorers: Sequence[str]) -> pl.DataFrame:
    """Examples whose own gold answer does not get full marks, so that no model's answer to them says anything.

    Returns:
        One row for each such example and scorer: `example_id`, `scorer`, `gold_score` (null where not even 0), and
        `reason`, where the scorer says one. None where the scorer knows no full marks.
    """
    empty = pl.DataFrame(
        schema={"example_id": pl.String, "scorer": pl.String, "gold_score": pl.Float64, "reason": pl.String}
    )
    return pl.concat([empty, *(_ungradable(suite, name) for name in scorers)])


def _ungradable(suite: pl.DataFrame, name: str) -> pl.DataFrame:
    grader = scorer(name)
    examples = suite if grader.scaled else suite.clear()
    marks = grader.on_gold(examples["expected"], examples["input"])
    scored = examples.select("example_id", scorer=pl.lit(name), gold_score=marks.score, reason=marks.error)
    return scored.filter(~marks.gradable)


def _from_lines(path: Path) -> pl.DataFrame:
    rows = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(_example(line, f"suite {path}, line {number}"))
    return pl.DataFrame(rows, schema=SUITE)


def _example(line: bytes, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
        json.dumps(record, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where}: not JSON in UTF-8 ({error}). Mend or remove the line.\n{FORM}") from error
    if not isinstance(record, dict) or "input" not in record or "expected" not in record:
        found = sorted(record) if isinstance(record, dict) else type(record).__name__
        raise SourceError(f"{where}: no 'input' and 'expected' in {found}.\n{FORM}")
    expected = record["expected"]
    example = {
        "input": _messages(record["input"], where),
        "expected": expected if isinstance(expected, str | None) else json.dumps(expected, sort_keys=True),
        "slices": _texts(record.get("slices"), "slices", where),
        "signal_ids": _texts(record.get("signal_ids"), "signal_ids", where),
        "group": _text(record.get("group"), "group", where),
        "inclusion": _probability(record.get("inclusion"), where),
    }
    given = _text(record.get("example_id", record.get("id")), "example_id", where)
    return example | {"example_id": given or _content_id(example)}


def _messages(value: object, where: str) -> list[dict[str, object]]:
    listed = [{"role": "user", "content": value}] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        raise SourceError(f"{where}: 'input' is neither text nor a list of messages.\n{FORM}")
    fields = {field.name for field in MESSAGE.fields}
    for message in listed:
        is_message = isinstance(message, dict) and isinstance(message.get("role"), str)
        if not is_message or not isinstance(message.get("content"), str | None):
            raise SourceError(
                f"{where}: a message of 'input' has no 'role' and 'content' in text: {str(message)[:80]}."
            )
    return [{name: message.get(name) for name in fields} for message in listed]


def _texts(value: object, name: str, where: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SourceError(f"{where}: {name!r} is no list of texts: {str(value)[:80]}.")
    return value


def _text(value: object, name: str, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise SourceError(f"{where}: {name!r} is no text: {str(value)[:80]}.")


def _probability(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
        return float(value)
    raise SourceError(f"{where}: 'inclusion' is no probability above 0, and up to 1: {str(value)[:80]}.")


def _content_id(example: dict[str, Any]) -> str:
    content = json.dumps([example["input"], example["expected"]], sort_keys=True)
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _from_parquet(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(path)
        optional = [pl.lit(None, SUITE["inclusion"]).alias("inclusion")] if "inclusion" not in frame.columns else []
        return frame.with_columns(optional).select(list(SUITE)).cast(SUITE)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise SourceError(f"suite {path}: not a suite in Parquet ({reason}). Its columns are {list(SUITE)}.") from error


def _checked(suite: pl.DataFrame, where: str) -> pl.DataFrame:
    if suite.is_empty():
        raise SourceError(f"suite {where}: no examples in it.\n{FORM}")
    twice = suite.filter(pl.col("example_id").is_duplicated())["example_id"].unique(maintain_order=True)
    if len(twice):
        raise SourceError(f"suite {where}: {len(twice)} ids stand twice, {twice[0]!r} first. Each example stands once.")
    bad = suite.filter(pl.col("example_id").is_null() | pl.col("input").is_null() | (pl.col("input").list.len() == 0))
    if bad.height:
        raise SourceError(f"suite {where}: {bad.height} of {suite.height} examples have no id or no input.")
    drawn = suite["inclusion"]
    if 0 < drawn.null_count() < suite.height or not drawn.drop_nulls().is_between(0, 1, closed="right").all():
        raise SourceError(
            f"suite {where}: 'inclusion' is no probability above 0, and up to 1, for each example, or it is given for "
            f"{drawn.count()} of {suite.height} only. Give it for all of them, or for none."
        )
    return suite.with_columns(pl.col("slices", "signal_ids").fill_null([]))
