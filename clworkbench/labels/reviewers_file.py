"""Labels from a file that reviewers fill in: CSV or JSON lines, written here, read back and checked row by row."""

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import polars as pl

from clworkbench.errors import SourceError
from clworkbench.labels.improvements import BadRow, check_unicode, improvement
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.redaction import redact, redact_text
from clworkbench.schemas import LABELS

COLUMNS = ("interaction_id", "question", "value", "improvement", "annotator", "status", "at")
STATUSES = ("submitted", "discarded", "draft")
REJECTED = pl.Schema({"line": pl.Int64, "reason": pl.String})
CELL = 32_000
"""Characters of a text that are shown: a spreadsheet's cell holds 32,767."""

_FORMULA = r"^'*[=+\-@\t\r]"
"""What a spreadsheet would run as a formula; a quote before it is doubled, so that reading can undo it."""


class LabelsRead(NamedTuple):
    """What a reviewers' file says.

    Attributes:
        labels: rows of `schemas.LABELS` without `batch_id`, in the file's order.
        rejected: `line` and `reason` of each row that says nothing usable.
        unanswered: rows that nobody has filled in.
    """

    labels: pl.DataFrame
    rejected: pl.DataFrame
    unanswered: int


def candidates_file(candidates: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """What a reviewer fills in, to be written as CSV.

    Args:
        candidates: rows of `schemas.CANDIDATES`.
        signals: as `signals.view.signals` gives them.

    Returns:
        One row for each candidate, the most urgent first: `interaction_id`, `reasons`, `text`, `answer`, and `value`
        (e.g. correct, wrong), `improvement` (a better answer), `annotator`, `status` (submitted when left empty;
        discarded, draft), to be filled in. A cell that a spreadsheet would run as a formula starts with a quote.
    """
    shown = pl.col("text", "answer").str.slice(0, CELL)
    rows = (
        candidates.sort("priority", "candidate_id", descending=[True, False])
        .select("interaction_id", reasons=pl.col("reasons").list.join(", "))
        .join(signals.select("interaction_id", shown), on="interaction_id", how="left", maintain_order="left")
        .with_columns(pl.lit("").alias(name) for name in ("value", "improvement", "annotator", "status"))
    )
    text = pl.col(pl.String)
    return rows.with_columns(pl.when(text.str.contains(_FORMULA)).then(pl.format("'{}", text)).otherwise(text))


def read_labels(
    path: Path,
    known: Collection[str] | pl.Series,
    pseudonyms: Pseudonyms,
    *,
    source: str = "reviewers",
    redacted: bool = True,
) -> LabelsRead:
    """Read what reviewers filled in.

    Columns: `interaction_id`; `value` or `improvement` (text, or messages as JSON) or both; and where they are there
    `question` (default `answer`), `annotator`, `status` (`submitted`, the default, `discarded`, `draft`), `at` (ISO
    8601, UTC unless it says otherwise). Others are passed over. A bad row is left out with its line and the reason.

    A label's id is made of all that the row says, so the same row again is the same label, and a changed answer a new
    one; of one annotator's answers to a question the latest `at` counts, and among undated ones the last committed.

    Args:
        path: a CSV (comma, semicolon or tab; UTF-8) or JSON lines.
        known: the interaction ids that there are.
        pseudonyms: makes the ids and `annotator_key`.
        source: what the labels' `source` says.
        redacted: takes personal data out of values and improvements, as policy asks by default.

    Raises:
        SourceError: the file is missing, empty, not UTF-8, or without a column that must be there.
    """
    ids = set(known)
    labels: list[dict[str, object]] = []
    rejected: list[tuple[int, str]] = []
    unanswered = 0
    for line, row in _rows(path):
        try:
            label = _label(row, ids, pseudonyms)
        except BadRow as reason:
            rejected.append((line, str(reason)))
            continue
        if label is None:
            unanswered += 1
        else:
            labels.append({**label, "source": source})
    schema = {name: dtype for name, dtype in LABELS.items() if name != "batch_id"}
    frame = pl.DataFrame(labels, schema=schema).unique("label_id", keep="first", maintain_order=True)
    if redacted:
        frame = (
            redact(frame.drop("value"), pseudonyms)
            .frame.with_columns(redact_text(frame["value"], pseudonyms))
            .select(list(schema))
        )
    return LabelsRead(frame, pl.DataFrame(rejected, schema=REJECTED, orient="row"), unanswered)


_Row = Mapping[str, object] | str
"""A row by column name; a string is the reason why it is none."""


def _rows(path: Path) -> Iterator[tuple[int, _Row]]:
    """Each row with the line it starts on."""
    text = _text(path)
    if text.lstrip()[0] in "{[":
        rows = list(_json_rows(text))
        columns = sorted({name for _, row in rows if not isinstance(row, str) for name in row})
    else:
        columns, rows = _csv_rows(text, path)
    for needed in (("interaction_id",), ("value", "improvement")):
        if not set(needed) & set(columns):
            raise SourceError(
                f"{path}: no column {' or '.join(needed)} among {columns}.\n"
                f"Name the columns {', '.join(COLUMNS)}; the first, and value or improvement, must be there."
            )
    yield from rows


def _text(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SourceError(f"{path}: not there.\n`clw select --out {path.name}` writes a file to fill in.") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}.\nGive a CSV or a file of JSON lines.") from None
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}).\nSave it as 'CSV UTF-8'."
        ) from None
    if not text.strip():
        raise SourceError(f"{path}: it is empty.\nIts first line names the columns: {', '.join(COLUMNS)}.")
    return text


def _json_rows(text: str) -> Iterator[tuple[int, _Row]]:
    for n, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield n, "not JSON"
            continue
        yield n, row if isinstance(row, dict) else "not a JSON object"


def _csv_rows(text: str, path: Path) -> tuple[list[str], list[tuple[int, _Row]]]:
    first = text.lstrip().split("\n", 1)[0]
    csv.field_size_limit(2**31 - 1)  # Python's own limit, 128 KiB, is less than one long text.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    rows: list[tuple[int, _Row]] = []
    columns: list[str] = []
    line = 1
    try:
        for cells in reader:
            if not columns:
                columns = [cell.strip().lower() for cell in cells]
            elif any(cells):
                rows.append((line, _csv_row(columns, cells)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise SourceError(f"{path}: line {line} is no CSV: {error}.\nSave it again as 'CSV UTF-8'.") from None
    return columns, rows


def _csv_row(columns: list[str], cells: list[str]) -> _Row:
    if len(cells) < len(columns) or any(cells[len(columns) :]):
        return f"{len(cells)} cells under {len(columns)} columns"
    return {name: re.sub(r"^'(?='*[=+\-@\t\r])", "", cell) for name, cell in zip(columns, cells, strict=False)}


def _label(row: _Row, known: set[str], pseudonyms: Pseudonyms) -> dict[str, object] | None:
    """The label that a row says, None where nobody has filled it in."""
    if isinstance(row, str):
        raise BadRow(row)
    interaction_id = _word(row, "interaction_id") or ""
    if interaction_id not in known:
        raise BadRow(f"no interaction '{interaction_id[:40]}'")
    value, better = _word(row, "value"), improvement(row.get("improvement"))
    status, at = _word(row, "status"), _time(row.get("at"))
    if status is not None and status not in STATUSES:
        raise BadRow(f"status '{status[:40]}' is none of {', '.join(STATUSES)}")
    if value is None and better is None:
        if status == "submitted":
            raise BadRow("submitted with neither value nor improvement")
        if status != "discarded":
            return None
    question, annotator = _word(row, "question") or "answer", _word(row, "annotator")
    status = status or "submitted"
    said = json.dumps([value, better, status, at.isoformat() if at else None], sort_keys=True)
    return {
        "label_id": pseudonyms.id("label", interaction_id, question, annotator or "", said),
        "interaction_id": interaction_id,
        "question": question,
        "value": value,
        "improvement": better,
        "annotator_key": None if annotator is None else pseudonyms.user(annotator),
        "status": status,
        "at": at,
    }


def _word(row: Mapping[str, object], name: str) -> str | None:
    """A cell as text, None where it is empty; what is no text in JSON lines (true, 4) is written as JSON."""
    cell = row.get(name)
    text = cell if isinstance(cell, str | None) else json.dumps(cell, ensure_ascii=False)
    if text is None or not text.strip():
        return None
    check_unicode(text, name)
    return text.strip().lower() if name == "status" else text.strip()


def _time(cell: object) -> datetime | None:
    if cell is None or cell == "":
        return None
    try:
        at = datetime.fromisoformat(str(cell).strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRow(f"at '{str(cell)[:40]}' is no time such as 2026-11-01T12:00:00Z") from None
