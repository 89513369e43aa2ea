"""Logs of Inspect: one sample for each example and epoch, with the scores of each scorer.

Source: Inspect's log format, version 2 (`.json`, or `.eval`, a zip of a header and a file for each sample;
inspect.aisi.org.uk/eval-logs.html).
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from clworkbench.errors import SourceError
from clworkbench.evals.harnesses.rows import HarnessScores, gathered, number, slices, text, whole

LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Correct, partially correct, incorrect, no answer."""

WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""What Inspect's own metrics take for numbers as well, in any case."""

ZSTD = 93
"""How recent versions pack samples; Python's `zipfile` reads it from 3.14 on."""

READ = ("id", "epoch", "scores", "output", "error", "limit", "model_usage", "metadata")
"""Fields of a sample that are read: all its messages and events, by far the most of it, are let go at once."""

LARGEST = 1 << 30
"""Bytes that one member of a log may unpack to."""


def is_inspect(document: object) -> bool:
    """Whether a JSON document is a log."""
    return isinstance(document, dict) and isinstance(document.get("eval"), dict) and "status" in document


def unpacked(path: Path) -> dict[str, Any]:
    """The log that an `.eval` file holds, as its JSON form would be, samples with `READ` only.

    Raises:
        SourceError: it is no zip, holds no header, or a member that is damaged or too large.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as packed:
            names = packed.namelist()
            if "header.json" not in names:
                raise SourceError(f"{path}: no header.json in it: the run has not ended, or it is no log of Inspect.")
            header = _member(packed, file, "header.json", path)
            samples = []
            for name in sorted(name for name in names if name.startswith("samples/") and name.endswith(".json")):
                sample = _member(packed, file, name, path)
                samples.append({field: sample[field] for field in READ if field in sample})
            return {**header, "samples": samples}
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, struct.error, zlib.error) as error:
        raise SourceError(f"{path}: cannot be unpacked ({error}). `inspect log convert --to json` may help.") from error


def _member(packed: zipfile.ZipFile, file: IO[bytes], name: str, path: Path) -> dict[str, Any]:
    told = packed.getinfo(name)
    if told.file_size > LARGEST:
        raise SourceError(f"{path}: {name} unpacks to more than 1 GB. Convert the log to JSON and shorten it.")
    try:
        found = json.loads(_unzstd(file, told) if told.compress_type == ZSTD else packed.read(name))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: {name} is no JSON ({error}). Fetch the log again.") from error
    return found if isinstance(found, dict) else {}


def _unzstd(file: IO[bytes], told: zipfile.ZipInfo) -> bytes:
    """A member that is packed with zstd, up to the size that it says it has.

    Raises:
        OSError: it is damaged.

    Source: APPNOTE.TXT 6.3.10, 4.3.7 (the local header: 30 bytes, then the name and the extra field) and 4.4.5.
    """
    import pyarrow as pa

    file.seek(told.header_offset)
    in_name, in_extra = struct.unpack("<HH", file.read(30)[26:])
    file.seek(in_name + in_extra, 1)
    with pa.CompressedInputStream(pa.BufferReader(file.read(told.compress_size)), "zstd") as inner:
        return bytes(inner.read(told.file_size))


def read(document: object, place: str) -> HarnessScores:
    """The scores of a log's samples: `C`, `P`, `I` and `N` as 1, 0.5, 0 and 0, each value of a dictionary by itself.

    Words and digits count as in Inspect's metrics (`WORDS`); anything else, lists too, is no number and not graded,
    where Inspect takes it for 0. Metadata that sorts samples makes slices.

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
    """A row for each scorer; a sample that failed has one for each that others have, as it may have failed before."""
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
    for name in sorted(scorers) if row["termination"] == "error" else sorted(scores):
        score = _graded(scores.get(name))
        why = None if score is not None else "the scorer gave no number"
        yield row | {"scorer": text(name), "score": score, "error": row["error"] or why}


def _graded(value: object) -> float | None:
    """Source: Inspect's `value_to_float`."""
    if not isinstance(value, str):
        return number(value)
    known = LETTERS.get(value, WORDS.get(value.lower()))
    if known is not None:
        return known
    try:
        return number(float(value))
    except ValueError:
        return None


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
    reason = text(first.get("stop_reason")) if isinstance(first, Mapping) else None
    # What Inspect says where a provider did not: nobody knows that it ended badly.
    return None if reason == "unknown" else reason


def _tokens(sample: Mapping[str, Any], kind: str) -> int | None:
    usage = sample.get("model_usage")
    used = usage.values() if isinstance(usage, Mapping) else ()
    counts = [whole(each.get(kind)) for each in used if isinstance(each, Mapping)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
