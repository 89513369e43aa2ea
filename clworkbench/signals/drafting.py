"""A first mapping for a table that nobody described: which column is probably which field, and what speaks for it."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice
from pathlib import Path

import msgspec

from clworkbench.errors import SourceError
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.settings import Scalar, Source
from clworkbench.signals.containers import container
from clworkbench.signals.reading import read
from clworkbench.signals.rows import Row
from clworkbench.signals.values import Unreadable, as_number, as_time, decoded, nested, shape_of

LOOKED_AT = 500
DEEPEST = 3

TIME = (
    "timestamp",
    "created_at",
    "createdat",
    "created",
    "started_at",
    "start_time",
    "time",
    "datetime",
    "date",
    "when",
)
INTERACTION = {
    "id": ("id", "uuid", "request_id", "log_id", "inference_id", "record_id", "message_id", "ticket_id", "key"),
    "input": ("input", "prompt", "question", "query", "user_message", "request", "instruction", "text", "message"),
    "output": ("output", "completion", "response", "answer", "reply", "generation", "assistant_message", "prediction"),
    "conversation_id": (
        "conversation_id",
        "session_id",
        "thread_id",
        "chat_id",
        "dialog_id",
        "conversation",
        "session",
    ),
    "trace_id": ("trace_id", "trace"),
    "user": ("user", "user_id", "customer", "customer_id", "email", "end_user", "username", "client"),
    "started_at": TIME,
    "latency_ms": ("latency_ms", "duration_ms", "response_time_ms", "elapsed_ms"),
    "model": ("model", "model_name", "deployment", "engine", "model_id"),
    "model_version": ("model_version", "response_model"),
    "provider": ("provider", "vendor"),
    "release_id": ("release_id", "release"),
    "app": ("app", "application", "service", "product"),
    "environment": ("environment", "env", "stage"),
    "n_input_tokens": ("n_input_tokens", "prompt_tokens", "input_tokens", "tokens_in"),
    "n_output_tokens": ("n_output_tokens", "completion_tokens", "output_tokens", "tokens_out"),
    "cost_usd": ("cost_usd", "cost", "total_cost", "price_usd"),
    "confidence": ("confidence", "probability"),
    "propensity": ("propensity",),
    "finish_reason": ("finish_reason", "stop_reason"),
    "tools": ("tools", "functions"),
    "parameters": ("parameters", "model_parameters", "params"),
    "error": ("error", "exception", "error_message"),
}
FEEDBACK = {
    "target": (
        *("target", "target_id", "inference_id", "interaction_id", "request_id", "message_id", "run_id", "trace_id"),
        *("ticket", "ticket_id", "conversation_id", "session_id"),
    ),
    "id": ("id", "feedback_id", "uuid", "event_id", "score_id"),
    "name": ("name", "metric", "metric_name", "signal_name", "event", "event_name", "event_type", "key", "type"),
    "score": ("score", "rating", "vote", "thumbs", "thumb", "reward", "stars", "label"),
    "value": ("value",),
    "improvement": ("improvement", "correction", "corrected", "edited", "edited_answer", "better_answer", "expected"),
    "comment": ("comment", "note", "notes", "reason", "explanation", "rationale", "qualitative_feedback"),
    "actor": ("actor", "annotator", "reviewer", "rated_by", "author", "user", "user_id", "agent"),
    "origin": ("origin",),
    "weight": ("weight",),
    "at": ("at", *TIME, "reopened_at", "rated_at"),
}
"""For each field the names under which tables have it, the likeliest first."""

WORDS = {
    "id": ("ticket", "id", "number", "no"),
    "target": ("ticket", "target"),
    "started_at": ("at", "ts", "time", "date", "timestamp", "datetime"),
    "at": ("at", "ts", "time", "date", "timestamp", "datetime"),
    "user": ("customer", "user", "email", "visitor", "client"),
    "actor": ("by", "agent", "reviewer", "annotator"),
    "input": ("question", "prompt", "query", "narrative", "complaint"),
    "output": ("answer", "reply", "response", "completion"),
    "improvement": ("fix", "corrected", "correction", "edited"),
}
"""Words that a name may hold beside others, where no column has a name of those above."""
LIKE_TEXT = 30
"""Characters of a column's values, in the mean, from which it may be what somebody wrote."""

ABOUT_ANSWERS = ("score", "improvement")
TIMES, NUMBERS, SHARES = ("started_at", "at"), ("latency_ms", "cost_usd", "score"), ("confidence", "propensity")
COUNTS = ("n_input_tokens", "n_output_tokens")


@dataclass(frozen=True)
class Column:
    """A column: its dotted name, the share of rows that have it, and an outline of a value (never a text itself)."""

    name: str
    filled: float
    distinct: bool
    outline: str
    values: tuple[object, ...]


@dataclass(frozen=True, repr=False)
class Draft:
    """A mapping that was guessed from a file's first records.

    Attributes:
        source: as it would be declared.
        columns: what the file has; those without a field in `source.columns` would stay in `attributes`.
        read, quarantined: of the records looked at, how many it reads, and how many not, by reason.
    """

    source: Source
    columns: Sequence[Column]
    read: int
    quarantined: Mapping[str, int]

    def __repr__(self) -> str:
        tried = self.read + sum(self.quarantined.values())
        return f"{self.toml()}# Of the first {tried:,} records it reads {self.read:,}."

    def _repr_html_(self) -> str:
        return f"<pre style='overflow-x:auto'>{escape(repr(self))}</pre>"

    def toml(self) -> str:
        """What to put into `clw.toml`, with what speaks for each line."""
        said = self.source
        wide = max(len(column.name) for column in self.columns) + 2
        mapped = [c for c in self.columns if c.name in said.columns]
        left = [c for c in self.columns if c.name not in said.columns]
        lines = [f"[sources.{said.name}]", 'format = "mapping"', f'record = "{said.record}"']
        lines += [f"paths = [{json.dumps(path)}]" for path in said.paths]
        if said.record == "feedback":
            lines.append('# target_source = "…"       # the source whose ids stand in the column of the target')
        if said.constants:
            lines.append("constants = { " + ", ".join(f'{k} = "{v}"' for k, v in said.constants.items()) + " }")
        lines += ["", f"[sources.{said.name}.columns]"]
        for column in mapped:
            key, field = json.dumps(column.name, ensure_ascii=False), f'"{said.columns[column.name]}"'
            lines.append(f"{key:<{wide}} = {field:<20} # {_told(column)}")
        if left:
            lines.append("# Not mapped; their values would be kept beside the columns:")
            lines += [
                f"# {json.dumps(column.name, ensure_ascii=False)}".ljust(wide + 26) + f"# {_told(column)}"
                for column in left
            ]
        return "\n".join(lines) + "\n"


def draft_mapping(path: str | Path) -> Draft:
    """Guesses a mapping for a CSV, Parquet, Arrow or JSON file from its first 500 records, and tries it on them.

    Names decide, and values have a veto: what is to be a time must read as one, what is to be a number as a number.

    Raises:
        SourceError: the file cannot be read, holds no objects, or no column of it is like any field.
    """
    path = Path(path)
    records = _first_records(path)
    columns = _columns(records)
    name = re.sub(r"\W+", "_", path.name.partition(".")[0]).strip("_").lower() or "table"
    source = _guessed(columns, name, path)
    if source.record == "interaction" and not {"input", "output"} & set(source.columns.values()):
        source = _with_longest(source, columns, path)
    read_, quarantined = _tried(path, source, len(records))
    return Draft(source, columns, read_, quarantined)


def _first_records(path: Path) -> list[Row]:
    records: list[Row] = []
    faults = 0
    for item in islice(container(path).items(), LOOKED_AT):
        faults += item.fault is not None
        try:
            record = item.row if item.raw is None else decoded(item.raw)
        except (Unreadable, RecursionError):
            continue
        if isinstance(record, dict):
            records.append(record)
    if faults and faults >= len(records) / 2:
        raise SourceError(
            f"{path}: {faults} of the first {faults + len(records)} rows do not fit under its first line.\n"
            "Does the header stand further down? Remove what is above it, or write a mapping with skip_lines."
        )
    if not records:
        raise SourceError(f"{path}: no records with named columns to guess from.")
    return records


def _columns(records: Sequence[Row]) -> list[Column]:
    values: dict[str, list[object]] = {}
    for record in records:
        for name, value in _leaves(record, "", DEEPEST):
            values.setdefault(name, []).append(value)
    found = []
    for name, given in values.items():
        there = [value for value in given if value not in (None, "") and value == value]  # a NaN is a gap
        distinct = len(there) > 1 and len({str(value) for value in there}) == len(there)
        outline = shape_of(there[0]) if there else "always empty"
        found.append(Column(name, len(there) / len(records), distinct, outline, tuple(there)))
    return found


def _leaves(record: Row, before: str, deep: int) -> list[tuple[str, object]]:
    """Each value with its dotted name; an object counts as its parts, a list as one value."""
    found: list[tuple[str, object]] = []
    for key, value in record.items():
        inner = nested(value)
        if isinstance(inner, dict) and inner and deep and "role" not in inner:
            found += _leaves(inner, f"{before}{key}.", deep - 1)
        else:
            found.append((f"{before}{key}", value))
    return found


def _guessed(columns: Sequence[Column], name: str, path: Path) -> Source:
    interaction, feedback = (_matched(columns, names) for names in (INTERACTION, FEEDBACK))
    there = set(interaction.values())
    judges = set(feedback.values()) & set(ABOUT_ANSWERS)
    if "target" in feedback.values() and "output" not in there and (judges or "input" not in there):
        constants: dict[str, Scalar] = {} if "name" in feedback.values() else {"name": name}
        return Source(name, "mapping", (str(path),), "feedback", columns=feedback, constants=constants)
    return Source(name, "mapping", (str(path),), columns=interaction)


def _matched(columns: Sequence[Column], names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Column to field: each field goes to the column whose name is the likeliest for it and whose values can be it."""
    candidates = []
    for field, known in names.items():
        for place, column in enumerate(columns):
            whole, last = _plain(column.name), _plain(column.name.rpartition(".")[2])
            rank = next((at for at, word in enumerate(known) if word in (whole, last)), None)
            if rank is None:
                parts = last.split("_")
                rank = next((100 + at for at, word in enumerate(WORDS.get(field, ())) if word in parts), None)
            if rank is not None and column.values and _fits(field, column):
                candidates.append((rank, last != whole, place, column.name, field))
    found: dict[str, str] = {}
    for _, _, _, column_name, field in sorted(candidates):
        if column_name not in found and field not in found.values():
            found[column_name] = field
    return {column.name: found[column.name] for column in columns if column.name in found}


def _with_longest(source: Source, columns: Sequence[Column], path: Path) -> Source:
    """The source with the longest texts as its input."""
    longest = max((c for c in columns if c.name not in source.columns), key=_mean_length, default=None)
    if longest is None or _mean_length(longest) < LIKE_TEXT:
        raise SourceError(
            f"{path}: none of the columns {', '.join(repr(c.name) for c in columns[:40])} is named like an input, an "
            "output or feedback, and none holds long texts.\n"
            "Write the mapping by hand: docs/sources.md lists the fields."
        )
    return msgspec.structs.replace(source, columns={**source.columns, longest.name: "input"})


def _mean_length(column: Column) -> float:
    texts = [value for value in column.values if isinstance(value, str)]
    return sum(map(len, texts)) / len(texts) if texts else 0.0


def _plain(name: str) -> str:
    """A name in lower case with underscores: `createdAt`, `Created At` and `created-at` are one."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")


def _fits(field: str, column: Column) -> bool:
    if field == "id":
        return column.distinct or len(column.values) == 1
    if field in TIMES:
        return _all(lambda value: as_time(value, lambda *_: None) is not None, column)
    if field == "score":
        return _all(lambda value: str(value).lower() in ("true", "false") or abs(as_number(value)) <= 1, column)
    if field in SHARES:
        return _all(lambda value: 0 <= as_number(value) <= 1, column)
    if field in COUNTS or field in NUMBERS:
        return _all(lambda value: as_number(value) >= 0, column)
    return True


def _all(holds: Callable[[object], bool], column: Column) -> bool:
    """Whether something holds for nearly all values: a few are always broken."""
    good = 0
    for value in column.values:
        try:
            good += holds(value)
        except Unreadable:
            continue
    return good >= 0.95 * len(column.values)


def _tried(path: Path, source: Source, n: int) -> tuple[int, dict[str, int]]:
    """What the mapping makes of the file's first chunk, up to about the records that were looked at."""
    chunk = next(read(path, source, Pseudonyms(bytes(32)), chunk_bytes=1 << 20))
    reasons = chunk.quarantine.head(n)["reason"].value_counts(sort=True)
    return chunk.records - chunk.quarantine.height, dict(reasons.iter_rows())


def _told(column: Column) -> str:
    shape = column.outline.removeprefix("a text written like ")
    return f"{column.filled:.0%} filled" + (", all different" if column.distinct else "") + f": {shape}"
