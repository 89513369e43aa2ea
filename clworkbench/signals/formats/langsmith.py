"""LangSmith: runs and feedback, one by one, in pages and exports, as trees, and as clients send them in batches."""

from collections.abc import Iterator

from clworkbench.signals.langsmith.feedback import is_feedback, read_feedback
from clworkbench.signals.langsmith.runs import OPERATIONS, own_id, run_row
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.units import read_unit
from clworkbench.signals.values import Unreadable, filled, kind_of, nested

PAGES = ("runs", "data", "feedback", "feedbacks")
BATCH = frozenset({"post", "patch"})


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    if record.keys() & BATCH and all(isinstance(record[name], list) for name in record.keys() & BATCH):
        items = [item for name in BATCH & record.keys() for item in _list(record[name])]
        if items and isinstance(items[0], dict) and ("dotted_order" in items[0] or _is_run(items[0])):
            return "a batch of LangSmith runs (post, patch)"
    for name in PAGES:
        page = record.get(name)
        if isinstance(page, list) and page and isinstance(page[0], dict) and (inner := why(page[0])) is not None:
            return inner if _is_run(record) else f"a JSON object with {name}, the first of them {inner}"
    if _is_run(record):
        return "a LangSmith run, known by its run_type"
    if {"run_id", "input_messages", "output_message"} <= record.keys():
        return "a table of LangSmith runs, known by run_id, input_messages and output_message"
    if is_feedback(record) and record.keys() & {"feedback_source", "created_at", "modified_at", "session_id"}:
        return "a row of LangSmith feedback, known by its run and key"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads a run with all below it, a page of runs or feedback, or a client's batch.

    Each run is an interaction, each feedback row a feedback, also where it stands inside a run. In a batch, the update
    (`patch`) of a run that the batch creates (`post`) is joined to it; one that stands alone is a row of what it says.

    Raises: Unreadable for an object of no known shape.
    Source: https://docs.langchain.com/langsmith/run-data-format; batches as the clients send them to `/runs/batch`.
    """
    if not _is_one(record):
        if record.keys() & BATCH:
            items: list[object] = _joined(record, rows)
        else:
            name = next((name for name in PAGES if isinstance(record.get(name), list)), None)
            if name is None:
                raise Unreadable("neither a LangSmith run nor feedback, nor a list of either")
            items = _list(record[name])
        if not items:
            return rows.skip("a page without records")
    else:
        items = [record]
    units = [unit for item in items for unit in _units(item)]
    for at, unit in enumerate(units):
        read_unit(unit, rows, _one, place=f"record {at}" if len(units) > 1 else "")
    return None


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise Unreadable(f"{kind_of(value)}, where a list of runs is wanted")
    return value


def _is_run(record: Row) -> bool:
    return str(record.get("run_type")) in OPERATIONS and bool(
        record.keys() & {"id", "run_id", "dotted_order", "trace_id"}
    )


def _is_one(record: Row) -> bool:
    """Whether it is a run or a feedback row itself, and no list of such."""
    if is_feedback(record) or "run_type" in record or "dotted_order" in record:
        return True
    return "run_id" in record and bool(record.keys() & {"input_messages", "output_message"})


def _joined(record: Row, rows: Rows) -> list[object]:
    """The runs of a batch, each with the updates that the batch has of it."""
    posts = _list(record.get("post") or [])
    runs: dict[str, Row] = {}
    others: list[object] = []
    for item in posts:
        known = own_id(item) if isinstance(item, dict) else None
        if known is None or known in runs or not isinstance(item, dict):
            others.append(item)
        else:
            runs[known] = dict(item)
    for item in _list(record.get("patch") or []):
        known = own_id(item) if isinstance(item, dict) else None
        if known is None or not isinstance(item, dict):
            others.append(item)
        elif known in runs:
            runs[known] = _updated(runs[known], item)
        else:
            rows.note("update of a run that the batch does not create", "one")
            runs[known] = dict(item)
    return [*runs.values(), *others]


def _updated(run: Row, update: Row) -> Row:
    """A run after an update: what the update says counts, what it leaves empty stays."""
    merged = run | filled(update)
    before, after = run.get("extra"), update.get("extra")
    if isinstance(before, dict) and isinstance(after, dict):
        merged["extra"] = before | after
        if isinstance(old := before.get("metadata"), dict) and isinstance(new := after.get("metadata"), dict):
            merged["extra"] = before | after | {"metadata": old | new}
    return merged


def _units(item: object) -> Iterator[object]:
    """An item with the runs below it and the feedback that stands in it, each alone."""
    waiting = [item]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict) or is_feedback(one):
            yield one
            continue
        run = dict(one)
        below, feedback = nested(run.get("child_runs")), nested(run.get("feedback"))
        if isinstance(below, list):
            del run["child_runs"]
            waiting.extend(reversed(below))
        if isinstance(feedback, list) and all(isinstance(said, dict) for said in feedback):
            del run["feedback"]
            target = own_id(run)
            waiting.extend({"run_id": target, "key": None, **said} for said in reversed(feedback))
        yield run


def _one(item: Row, rows: Rows) -> None:
    if is_feedback(item):
        return read_feedback(item, rows)
    return rows.add(run_row(item, rows))
