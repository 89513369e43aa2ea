"""Sessions of text revision: a model's edits of a document, each accepted or rejected by a person (IteraTeR R3)."""

from functools import partial

from clworkbench.signals.feedback import told_with
from clworkbench.signals.messages import Message
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.units import read_unit
from clworkbench.signals.values import Fields, Unreadable, kind_of, sha256_of

DEPTH = "rev_depth_"
DRAWN = ("doc_chunks", "edit_idx_to_doc_chunk_idx", "curr_annot_index")
"""How the session's page drew the edits, made anew from them."""
DECISIONS = {"accept": 1, "reject": -1}


def why(record: Row) -> str | None:
    """What makes an object a session, or None."""
    inner = record.get(f"{DEPTH}0")
    return f"an object with {DEPTH}0 and a document" if isinstance(inner, dict) and "doc" in inner else None


def read(record: Row, rows: Rows) -> None:
    """Reads a session: each revision counts as a record; the text before the first is skipped.

    `input` is the document before, `output` the document as the model revised it. Each edit that a person decided on
    is `edit` feedback, 1 or -1, the edit in `value`; the document with the accepted edits alone is the improvement of
    one `reviewed` correction where it differs from the model's. The session does not say when, nor by whom.

    Source: IteraTeR, R3; https://github.com/vipulraheja/IteraTeR (Apache-2.0)
    """
    depths = [name for name in record if name.startswith(DEPTH)]
    session = {name: value for name, value in record.items() if name not in depths}
    for name in depths:
        read_unit(record[name], rows, partial(_stage, name=name, session=session), place=f"{name[:20]}")


def _stage(stage: Row, rows: Rows, *, name: str, session: Row) -> None:
    digest, document = sha256_of([name, stage]), stage.get("doc")
    if not isinstance(document, dict):
        raise Unreadable("a stage without a document")
    if "after_revision" not in document:
        return rows.skip("the text before its first revision")
    fields = Fields(dict(document), rows.note)
    before, after = (_text(fields.raw(key), key) for key in ("before_revision", "after_revision"))
    reviewed, edits = fields.raw("after_human_evaluation"), fields.raw("edit_actions")
    own_id = fields.text("doc_id")
    left = {key: value for key, value in stage.items() if key not in ("doc", *DRAWN)}
    row: Row = {
        "conversation_id": own_id,
        "operation": "chat",
        "input": [Message("user", before)],
        "output": [Message("assistant", after)],
        "attributes": rows.attributes({**session, **left, **fields.rest, "revision": name.removeprefix(DEPTH)}),
        "raw_sha256": digest,
        "interaction_id": rows.identity(None, digest),
    }
    found = [_edit(at, edit, row, rows) for at, edit in enumerate(edits if isinstance(edits, list) else [])]
    if isinstance(reviewed, str) and reviewed != after:
        said: Row = {"name": "reviewed", "improvement": reviewed}
        found.append(told_with(row, said, rows, "reviewed", origin="reviewer"))
    return rows.add(row, found)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"{name}: {kind_of(value)}, where a text is wanted")
    return value


def _edit(at: int, edit: object, row: Row, rows: Rows) -> Row:
    if not isinstance(edit, dict):
        raise Unreadable(f"edit {at} is {kind_of(edit)}, not an object")
    value = {key: inner for key, inner in edit.items() if key != "representation"}
    decided = DECISIONS.get(str(value.get("accept_or_reject")).lower())
    said: Row = {"name": "edit", "kind": "rating", "score": decided, "value": value}
    return told_with(row, said, rows, f"edit{at}", origin="reviewer")
