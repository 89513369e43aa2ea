"""Scores as plain rows: `example_id`, `score`, what else a score has, and fields that sort examples into slices."""

from collections.abc import Iterable, Mapping
from typing import Any

from clworkbench.errors import SourceError
from clworkbench.evals.harnesses.rows import ROWS, HarnessScores, gathered, number, slices, text, whole

TEXTS = ("scorer", "output", "termination", "error")
COUNTS = ("repetition", "n_input_tokens", "n_output_tokens")
NUMBERS = ("latency_ms", "cost_usd", "confidence")
ASIDE = ("model", "suite")


def read(records: Iterable[tuple[str, object]], place: str) -> HarnessScores:
    """The rows that have an `example_id` and a `score` (a number, true or false, or null where it was not graded).

    Fields named as the columns of scores are these; `slices` is a list of names; any other field makes slices where
    it sorts examples (`rows.slices`).

    Args:
        records: each record's place and fields.
        place: the file, for messages.

    Raises:
        SourceError: no record is a score.
    """
    rows: list[dict[str, object]] = []
    left_out: list[tuple[str, str]] = []
    sorting: dict[str, dict[str, object]] = {}
    said: dict[str, set[str]] = {name: set() for name in ASIDE}
    for where, record in records:
        wrong = _wrong(record)
        if wrong or not isinstance(record, Mapping):
            left_out.append((where, wrong or "no fields"))
            continue
        row = _row(record)
        rows.append(row)
        sorting.setdefault(str(row["example_id"]), {}).update(
            {name: value for name, value in record.items() if name not in (*ROWS, *ASIDE) and value is not None}
        )
        for name in ASIDE:
            said[name] |= {value} if isinstance(value := record.get(name), str) else set()
    if not rows:
        raise SourceError(f"{place}: no record has an 'example_id' and a 'score'. Each line is one score.")
    named = slices(sorting)
    full = [row | {"slices": sorted({*_listed(row), *named[str(row["example_id"])]})} for row in rows]
    only = {name: next(iter(values)) if len(values) == 1 else None for name, values in said.items()}
    return gathered(full, left_out, model=only["model"], suite=only["suite"])


def _wrong(record: object) -> str | None:
    if not isinstance(record, Mapping):
        return "no JSON object"
    if not isinstance(record.get("example_id"), str | int) or isinstance(record.get("example_id"), bool):
        return "no example_id"
    if "score" not in record:
        return "no score"
    if record["score"] is not None and number(record["score"]) is None:
        return "score is no finite number"
    return None


def _row(record: Mapping[str, Any]) -> dict[str, object]:
    return {
        "example_id": text(str(record["example_id"])),
        "score": number(record["score"]),
        "slices": record.get("slices"),
        **{name: text(record.get(name)) for name in TEXTS},
        **{name: whole(record.get(name)) for name in COUNTS},
        **{name: number(record.get(name)) for name in NUMBERS},
    }


def _listed(row: Mapping[str, object]) -> list[str]:
    given = row["slices"]
    if isinstance(given, str):
        return [given]
    return [str(name) for name in given if isinstance(name, str)] if isinstance(given, list) else []
