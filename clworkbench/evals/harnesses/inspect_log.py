"""Logs of Inspect: one sample for each example and epoch, with the scores of each scorer.

Source: Inspect's log format, version 2 (`.json`, or `.eval`, a zip of a header and a file for each sample;
inspect.aisi.org.uk/eval-logs.html).
"""

import json
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from clworkbench.errors import SourceError
from clworkbench.evals.harnesses.rows import HarnessScores, gathered, number, slices, text, whole

LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Correct, partially correct, incorrect, no answer."""

LARGEST = 1 << 30
"""Bytes that one member of a log may unpack to."""


def is_inspect(document: object) -> bool:
    """Whether a JSON document is a log."""
    return isinstance(document, dict) and isinstance(document.get("eval"), dict) and "status" in document


def unpacked(path: Path) -> dict[str, Any]:
    """The log that an `.eval` file holds, as its JSON form would be.

    Raises:
        SourceError: it is no zip, holds no header, or a member that is damaged or too large.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
            if "header.json" not in names:
                raise SourceError(f"{path}: no header.json in it: the run has not ended, or it is no log of Inspect.")
            samples = [name for name in names if name.startswith("samples/") and name.endswith(".json")]
            header = _member(packed, "header.json", path)
            return {**header, "samples": [_member(packed, name, path) for name in sorted(samples)]}
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise SourceError(f"{path}: cannot be unpacked ({error}). `inspect log convert --to json` may help.") from error


def _member(packed: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any]:
    if packed.getinfo(name).file_size > LARGEST:
        raise SourceError(f"{path}: {name} unpacks to more than 1 GB. Convert the log to JSON and shorten it.")
    try:
        found = json.loads(packed.read(name))
    except ValueError as error:
        raise SourceError(f"{path}: {name} is no JSON ({error}). Fetch the log again.") from error
    return found if isinstance(found, dict) else {}


def read(document: object, place: str) -> HarnessScores:
    """The scores of a log's samples: `C`, `P`, `I` and `N` as 1, 0.5, 0 and 0, each value of a dictionary by itself.

    Metadata that sorts samples makes slices.

    Args:
        document: the log as JSON.
        place: the file, for messages.

    Raises:
        SourceError: it is no log.
    """
    if not isinstance(document, dict) or not is_inspect(document):
        raise SourceError(f"{place}: no 'eval' and 'status' in it, so no log of Inspect. Try --format auto.")
    samples = document.get("samples")
    kept: list[Mapping[str, Any]] = []
    left_out: list[tuple[str, str]] = []
    for at, sample in enumerate(samples if isinstance(samples, list) else []):
        if isinstance(sample, Mapping) and isinstance(sample.get("id"), str | int):
            kept.append(sample)
        else:
            left_out.append((f"samples[{at}]", "no id"))
    told = {str(sample["id"]): sample["metadata"] for sample in kept if isinstance(sample.get("metadata"), Mapping)}
    named = slices(told)
    scorers = {name for sample in kept for name in _scores(sample)}
    rows = [
        {**row, "slices": named.get(str(row["example_id"]), [])} for sample in kept for row in _rows(sample, scorers)
    ]
    about = document["eval"]
    return gathered(rows, left_out, model=text(about.get("model")), suite=text(about.get("task")))


def _rows(sample: Mapping[str, Any], scorers: Collection[str]) -> Iterator[dict[str, object]]:
    """A row for each scorer; a sample that failed before it was scored has one for each that others have."""
    output = sample["output"] if isinstance(sample.get("output"), Mapping) else {}
    failed = sample.get("error")
    row = {
        "example_id": text(str(sample["id"])),
        "repetition": (whole(sample.get("epoch")) or 1) - 1,
        "output": text(output.get("completion")),
        "termination": _ended(sample, output),
        "error": text(failed.get("message")) if isinstance(failed, Mapping) else None,
        "n_input_tokens": _tokens(sample, "input_tokens"),
        "n_output_tokens": _tokens(sample, "output_tokens"),
    }
    scores = _scores(sample)
    for name in sorted(scorers) if row["termination"] == "error" and not scores else sorted(scores):
        value = scores.get(name)
        score = LETTERS.get(value) if isinstance(value, str) else number(value)
        why = None if score is not None else "the scorer gave no number"
        yield row | {"scorer": text(name), "score": score, "error": row["error"] or why}


def _scores(sample: Mapping[str, Any]) -> dict[str, object]:
    """The values of a sample's scores by scorer; a dictionary's by scorer and key."""
    found: dict[str, object] = {}
    scores = sample.get("scores")
    for scorer, score in scores.items() if isinstance(scores, Mapping) else ():
        value = score.get("value") if isinstance(score, Mapping) else score
        inner = value.items() if isinstance(value, Mapping) else ()
        found |= {f"{scorer}.{key}": each for key, each in inner} if inner else {scorer: value}
    return found


def _ended(sample: Mapping[str, Any], output: Mapping[str, Any]) -> str | None:
    limit = sample.get("limit")
    if sample.get("error") is not None:
        return "error"
    if isinstance(limit, Mapping):
        return f"limit:{limit.get('type')}"
    choices = output.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    return text(first.get("stop_reason")) if isinstance(first, Mapping) else None


def _tokens(sample: Mapping[str, Any], kind: str) -> int | None:
    usage = sample.get("model_usage")
    used = usage.values() if isinstance(usage, Mapping) else ()
    counts = [whole(each.get(kind)) for each in used if isinstance(each, Mapping)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
