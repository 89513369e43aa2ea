"""Samples of lm-evaluation-harness: one line for each document and filter, with its metrics.

Source: what `lm_eval --log_samples` writes, `samples_<task>_<time>.jsonl`
(github.com/EleutherAI/lm-evaluation-harness).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from clworkbench.errors import SourceError
from clworkbench.evals.harnesses.rows import HarnessScores, gathered, number, text

NAMED = re.compile(r"samples_(?P<task>.+?)_\d{4}-\d{2}-\d{2}T[\d.:-]+")

NO_METRICS = {
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "doc_hash", "prompt_hash",
    "target_hash", "metrics",
}  # fmt: skip


NO_NUMBER = "no metric that is a number"


def is_lm_eval(record: object) -> bool:
    """Whether a line is a sample."""
    return isinstance(record, dict) and "doc_id" in record and ("filtered_resps" in record or "resps" in record)


def read(lines: Iterable[tuple[str, object]], path: Path) -> HarnessScores:
    """The metrics of a file's samples, each a scorer: `acc`, or `exact_match,strict-match` where a filter has a name.

    Args:
        lines: each line's place and JSON.
        path: the file; its name tells the task.

    Raises:
        SourceError: no line is a sample, or none has a metric that is a number.
    """
    rows: list[dict[str, object]] = []
    left_out: list[tuple[str, str]] = []
    for place, record in lines:
        if not isinstance(record, dict) or not is_lm_eval(record):
            left_out.append((place, "no doc_id and responses"))
            continue
        found = list(_rows(record))
        rows += found
        if not found:
            left_out.append((place, NO_NUMBER))
    if not rows and any(reason == NO_NUMBER for _, reason in left_out):
        raise SourceError(
            f"scores {path}: no sample has a metric that is a number, as where a metric is one of all samples together "
            "(perplexity). Score by another metric."
        )
    if not rows:
        raise SourceError(f"scores {path}: no line is a sample of lm-evaluation-harness. Try --format auto.")
    task = NAMED.match(path.name)
    return gathered(rows, left_out, suite=task["task"] if task else None)


def _rows(record: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    filtered = record.get("filter")
    suffix = f",{filtered}" if isinstance(filtered, str) and filtered != "none" else ""
    answers = record.get("filtered_resps")
    answer = answers[0] if isinstance(answers, list) and len(answers) == 1 else answers
    for metric in _metrics(record):
        score = number(record.get(metric))
        if score is not None:
            yield {
                "example_id": text(str(record["doc_id"])),
                "scorer": text(metric + suffix),
                "score": score,
                "output": text(answer),
            }


def _metrics(record: Mapping[str, Any]) -> list[str]:
    """The names of a sample's metrics: those that it lists, or all that hold a number."""
    listed = record.get("metrics")
    if isinstance(listed, list):
        return [name for name in listed if isinstance(name, str)]
    return sorted(name for name in set(record) - NO_METRICS if number(record[name]) is not None)
