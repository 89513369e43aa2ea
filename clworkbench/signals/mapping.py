"""Any CSV, JSONL or Parquet file through a mapping from its columns to our fields."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from clworkbench.errors import SettingsError, SourceError
from clworkbench.schemas import FEEDBACK_KINDS, INTERACTIONS, ORIGINS, TARGET_KINDS
from clworkbench.settings import Source
from clworkbench.signals.feedback import feedback_row, identified, target_of
from clworkbench.signals.messages import Message, conversation
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Fields, Unreadable, encoded, nested, sha256_of

MADE = frozenset({"interaction_id", "source", "source_id", "user_key", "attributes", "raw_sha256", "batch_id"})
INTERACTION_FIELDS = ("id", "user", *(name for name in INTERACTIONS if name not in MADE))
FEEDBACK_FIELDS = (
    *("id", "target", "target_kind", "name", "kind", "score", "value", "improvement", "comment", "origin", "actor"),
    *("at", "weight", "explicit"),
)
TEXTS = (
    *("trace_id", "parent_id", "conversation_id", "app", "environment", "provider", "model", "model_version"),
    *("release_id", "finish_reason", "error"),
)
CLOSED = {"target_kind": TARGET_KINDS, "kind": FEEDBACK_KINDS, "origin": ORIGINS}
PEEK = 1000


@dataclass(frozen=True)
class Plan:
    """A mapping that was checked: which column gives which field, what is constant, and what a row is."""

    source: Source
    columns: Mapping[str, str]
    constants: Mapping[str, object]

    def suits(self, names: list[str]) -> tuple[int, ...]:
        """How many of the mapped columns a header with these names has, and how many names."""
        return sum(reachable(column, names) for column in self.columns), len(names)


def plan(source: Source) -> Plan:
    """Checks a source's mapping; raises SettingsError with the fields that there are."""
    fields = INTERACTION_FIELDS if source.record == "interaction" else FEEDBACK_FIELDS
    where = f"source {source.name!r} in clw.toml"
    if not source.columns:
        raise SettingsError(
            f'{where}: a mapping needs columns, e.g. columns = {{ "<column>" = "{fields[0]}" }}.\n'
            f"Fields of record = {source.record!r}: {', '.join(fields)}."
        )
    for given in [*source.columns.values(), *source.constants]:
        if given not in fields:
            close = get_close_matches(given, fields, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise SettingsError(
                f"{where}: no field {given!r}.{hint}\nFields of record = {source.record!r}: {', '.join(fields)}."
            )
    present = [*source.columns.values(), *source.constants]
    if twice := sorted({field for field in present if present.count(field) > 1}):
        raise SettingsError(f"{where}: more than one column or constant gives {', '.join(twice)}. Leave one of them.")
    _check_needed(source, set(present), where)
    for name, words in CLOSED.items():
        if name in source.constants and source.constants[name] not in words:
            raise SettingsError(f"{where}: {name} = {source.constants[name]!r} is none of {', '.join(words)}.")
    return Plan(source, dict(source.columns), dict(source.constants))


def _check_needed(source: Source, present: set[str], where: str) -> None:
    if source.record == "feedback" and (missing := {"target", "name"} - present):
        raise SettingsError(
            f"{where}: feedback needs {' and '.join(sorted(missing))}. Map a column to it under columns, "
            "or set it under constants."
        )
    if source.record == "interaction" and not present & {"input", "output"}:
        raise SettingsError(f"{where}: an interaction needs input or output. Map a column to one of them.")


def read(record: Row, rows: Rows, mapped: Plan) -> None:
    """Reads one object, or one row of a table; raises Unreadable for values that cannot be what they are mapped to."""
    given: Row = dict(mapped.constants)
    for column, field in mapped.columns.items():
        holder, key = place_of(record, column)
        value = holder.pop(key, None)
        if value is not None and value != "" and value == value:  # a NaN is a gap
            given[field] = value
    # What the row says, not its bytes: saved with other separators it is the same row, under another mapping another.
    said = {name: value for name, value in record.items() if value is not None and value != ""}
    digest = sha256_of([mapped.source.record, mapped.source.target_source, given, said])
    fields = Fields(given, rows.note)
    if mapped.source.record == "feedback":
        rows.add(None, [_feedback(fields, record, digest, rows)])
    else:
        rows.add(_interaction(fields, record, digest, rows))


def place_of(record: Row, column: str) -> tuple[Row, str]:
    """The object that holds a column, and its key there; a dotted name reaches into objects, also into JSON texts."""
    if column in record:
        return record, column
    head, dot, rest = column.partition(".")
    while dot:
        inner = nested(record.get(head))
        if isinstance(inner, dict):
            record[head] = inner
            return place_of(inner, rest)
        step, dot, rest = rest.partition(".")
        head = f"{head}.{step}"
    return record, column


def _interaction(fields: Fields, left: Row, digest: str, rows: Rows) -> Row:
    own_id = fields.text("id")
    user = fields.text("user")
    tools, parameters = nested(fields.raw("tools")), nested(fields.raw("parameters"))
    row: Row = {name: fields.text(name) for name in TEXTS}
    row |= {
        "source_id": own_id,
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "operation": fields.text("operation") or "chat",
        "started_at": fields.moment("started_at"),
        "updated_at": fields.moment("updated_at"),
        "input": _said(fields.raw("input"), "user", rows),
        "output": _said(fields.raw("output"), "assistant", rows),
        "tools": None if tools is None else encoded(tools),
        "parameters": None if parameters is None else encoded(parameters),
        "raw_sha256": digest,
    }
    row |= {name: fields.number(name) for name in ("latency_ms", "cost_usd")}
    row |= {name: fields.share(name) for name in ("confidence", "propensity")}
    row |= {name: fields.integer(name) for name in ("n_input_tokens", "n_output_tokens")}
    row["attributes"] = rows.attributes({**fields.rest, **left})
    row["interaction_id"] = rows.identity(own_id, digest)
    return row


def _said(value: object, role: str, rows: Rows) -> list[Message] | None:
    if isinstance(value, bool | int | float):
        value = str(value)
    return None if value is None else conversation(value, rows.note, role=role)


def _feedback(fields: Fields, left: Row, digest: str, rows: Rows) -> Row:
    own_id, target = fields.text("id"), fields.text("target")
    if not target:
        raise Unreadable("feedback that names no target")
    kind = fields.raw("target_kind") or "interaction"
    if kind not in TARGET_KINDS:
        raise Unreadable(f"target_kind is none of {', '.join(TARGET_KINDS)}")
    extra = {name: value for name, value in left.items() if value is not None and value != ""}
    for name, value in extra.items():
        fields.rest.setdefault(f"column {name}" if name in FEEDBACK_FIELDS else name, value)
    row = feedback_row(fields, rows, target_id=target_of(target, str(kind), rows), target_kind=str(kind))
    own = (own_id,) if own_id else (target, str(row["name"]), digest, str(rows.occurrence(digest)))
    return identified(row, rows, digest, *own)


def check_columns(found: Iterable[str], mapped: Plan, path: Path, *, every: bool) -> None:
    """Raises SourceError when mapped columns are not among those found.

    Args:
        found: the file's columns.
        mapped: the mapping.
        path: named in the message.
        every: all mapped columns must be there; else (JSONL, where a key may be left out) one is enough.
    """
    names = list(found)
    missing = [column for column in mapped.columns if not reachable(column, names)]
    if not missing or (not every and len(missing) < len(mapped.columns)):
        return
    lines = [f"{path}: no column {', '.join(map(repr, missing))} among {', '.join(map(repr, names[:40]))}."]
    for column in missing:
        if close := get_close_matches(column, names, 1):
            lines.append(f"Did you mean {close[0]!r} for {column!r}?")
    lines.append(f"Mend columns of source {mapped.source.name!r} in clw.toml.")
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        lines.append("If the header stands further down, set skip_lines to the number of lines before it.")
    raise SourceError("\n".join(lines))


def reachable(column: str, names: list[str]) -> bool:
    """Whether a column, or the object that a dotted one reaches into, is among these names."""
    pieces = column.split(".")
    return any(".".join(pieces[:n]) in names for n in range(1, len(pieces) + 1))
