"""Argilla records, nested or flattened: what was shown to reviewers, and each answer that they submitted."""

from collections.abc import Iterator
from typing import NamedTuple

from clworkbench.schemas import ACCEPT_WORDS, REJECT_WORDS
from clworkbench.signals.feedback import feedback_row, identified
from clworkbench.signals.messages import are_messages, conversation
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes.chat import Turns, split
from clworkbench.signals.values import Fields, Unreadable, as_object, as_text, kind_of, nested, sha256_of

RESPONSES = ".responses"
PROMPTS = ("messages", "chat", "conversation", "prompt", "instruction", "question", "query", "input", "text", "context")
ANSWERS = ("response", "answer", "completion", "output", "generation", "prediction", "reply")
CORRECTIONS = ("correction", "corrected", "improvement", "improved", "edited", "edit", "rewrite", "better")
COMMENTS = ("comment", "feedback", "note", "explanation", "rationale", "reason")
"""Words by which a field, or a question, is known for what it holds."""


class Given(NamedTuple):
    """One answer of one reviewer to one question."""

    question: str
    value: object
    user: str | None
    status: str | None


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    for name in record:
        if name.endswith(RESPONSES) and (f"{name}.users" in record or f"{name}.status" in record):
            return "columns <question>.responses and .users"
    if "fields" in record and "responses" in record and ("suggestions" in record or "_server_id" in record):
        return "an object with fields, responses and suggestions"
    if "_server_id" in record and "status" in record:
        return "an object with _server_id"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads one record: what was shown as an interaction, and each submitted response as feedback on it.

    A field that is a chat is split at its last answer; else the first field known for a prompt by its name
    (`PROMPTS`, or else the first text, which is noted as guessed) is `input` and the first known for an answer
    (`ANSWERS`) `output`. All other fields, metadata, suggestions and vectors stay in `attributes`.

    Responses come from reviewers, whose ids are pseudonymised. A question known for a correction gives the
    improvement, one for comments the comment; the words for accepted and rejected (`schemas`), and true and false,
    give a score; ratings and labels stand in `value`, for the record does not tell their scale. Drafts and discarded
    responses are left out and noted; so is that a nested export does not tell a response's status. Where the source
    has a `target_source`, records are known to show its interactions: then only feedback on those is read.

    Raises: Unreadable for fields or responses of another shape.
    Source: Argilla 2, Record.to_dict and DatasetRecords.to_list; https://docs.argilla.io
    """
    digest = sha256_of(record)
    own_id = Fields(dict(record), rows.note).text("id")
    responses = list(_responses(record))
    if not any(given.status for given in responses) and responses:
        rows.note("responses without a status, taken as submitted", "a nested export")
    kept = [given for given in responses if given.status in (None, "submitted")]
    for given in responses:
        if given not in kept:
            rows.note("a response that was not submitted, left out", str(given.status))
    if rows.source.target_source and own_id:
        target = rows.pseudonyms.id(rows.source.target_source, own_id)
        interaction = None
        if not kept:
            return rows.skip("a record without a submitted response")
    else:
        interaction = _interaction(record, own_id, digest, rows)
        target = str(interaction["interaction_id"])
    return rows.add(interaction, [_feedback(given, target, digest, rows) for given in kept])


def _interaction(record: Row, own_id: str | None, digest: str, rows: Rows) -> Row:
    flat = "fields" not in record
    shown = record if flat else as_object(record.pop("fields"), "fields")
    turns, used = _turns(shown, rows)
    left = {key: value for key, value in record.items() if key not in ("id", *(used if flat else ()))}
    metadata = as_object(record.get("metadata"), "metadata")
    told = Fields(dict(record if flat else metadata), rows.note)
    user = told.text("user_id", "user")
    row: Row = {
        "source_id": own_id,
        "conversation_id": told.text("conversation_id", "session_id", "thread_id"),
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "app": told.text("app"),
        "operation": "chat",
        "started_at": told.moment("started_at", "inserted_at", "created_at"),
        "model": told.text("model", "model_name"),
        "input": turns.before,
        "output": turns.answer,
        "raw_sha256": digest,
    }
    if not flat and (others := {key: value for key, value in shown.items() if key not in used}):
        left["fields"] = others
    if turns.after:
        left["messages_after"] = turns.after
    row["attributes"] = rows.attributes(left)
    row["interaction_id"] = rows.identity(own_id, digest)
    return row


def _turns(shown: Row, rows: Rows) -> tuple[Turns, tuple[str, ...]]:
    """What was asked and answered, and the names of the fields that tell it."""
    for name, value in shown.items():
        chat = nested(value)
        if are_messages(chat):
            return _with_answer(split(chat, rows), name, shown, rows)
    prompt = next((name for name in PROMPTS if isinstance(shown.get(name), str)), None)
    if prompt is None:
        named = {*ANSWERS, "id", "status", "_server_id"}
        texts = [
            name for name, value in shown.items() if isinstance(value, str) and name not in named and "." not in name
        ]
        if not texts:
            return _with_answer(Turns(None, None), None, shown, rows)
        prompt = texts[0]
        rows.note("no field known for a prompt by its name, the first text taken", "a guess")
    return _with_answer(Turns(conversation(shown[prompt], rows.note), None), prompt, shown, rows)


def _with_answer(turns: Turns, prompt: str | None, shown: Row, rows: Rows) -> tuple[Turns, tuple[str, ...]]:
    used = () if prompt is None else (prompt,)
    name = next((name for name in ANSWERS if isinstance(shown.get(name), str) and shown[name]), None)
    if turns.answer is not None or name is None:
        return turns, used
    return turns._replace(answer=conversation(shown[name], rows.note, role="assistant")), (*used, name)


def _responses(record: Row) -> Iterator[Given]:
    """Takes the responses out of a record: nested by question, as the server lists them, or in columns."""
    if "responses" in record:
        responses = nested(record.pop("responses"))
        if isinstance(responses, list):
            for response in responses:
                yield from _from_server(response)
        else:
            for question, several in as_object(responses, "responses").items():
                yield from _of_question(question, several)
        return
    for name in [name for name in record if name.endswith(RESPONSES)]:
        values, users, statuses = (
            _column(record.pop(key, None), key) for key in (name, f"{name}.users", f"{name}.status")
        )
        for at, value in enumerate(values):
            user, status = (column[at] if at < len(column) else None for column in (users, statuses))
            yield Given(name.removesuffix(RESPONSES), value, _id(user), status if isinstance(status, str) else None)


def _column(value: object, name: str) -> list[object]:
    value = nested(value)
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise Unreadable(f"{name}: {kind_of(value)}, where a list is wanted")
    return value


def _of_question(question: str, several: object) -> Iterator[Given]:
    for response in _column(several, "responses"):
        if not isinstance(response, dict):
            raise Unreadable(f"a response is {kind_of(response)}, not an object")
        status = response.get("status")
        user = _id(response.get("user_id"))
        yield Given(question, nested(response.get("value")), user, status if isinstance(status, str) else None)


def _from_server(response: object) -> Iterator[Given]:
    if not isinstance(response, dict):
        raise Unreadable(f"a response is {kind_of(response)}, not an object")
    status = response.get("status")
    for question, said in as_object(response.get("values"), "responses.values").items():
        value = said.get("value") if isinstance(said, dict) else said
        yield Given(question, value, _id(response.get("user_id")), status if isinstance(status, str) else None)


def _id(value: object) -> str | None:
    return None if value is None or isinstance(value, bool | list | dict) else as_text(value)


def _feedback(given: Given, target: str, digest: str, rows: Rows) -> Row:
    said: Row = {"name": given.question, "kind": "rating", "actor": given.user, **_words(given)}
    fields = Fields(said, rows.note)
    row = feedback_row(fields, rows, target_id=target, target_kind="interaction", origin="reviewer")
    own = (target, given.question, given.user or "")
    return identified(row, rows, digest, *own)


def _words(given: Given) -> Row:
    """What a response says, as fields of feedback."""
    value, question = given.value, given.question.lower()
    if isinstance(value, str) and any(word in question for word in CORRECTIONS):
        return {"kind": "correction", "improvement": value}
    if isinstance(value, str) and any(word in question for word in COMMENTS):
        return {"kind": "comment", "comment": value}
    word = str(value).strip().lower()
    if word in (*ACCEPT_WORDS, "true") or word in (*REJECT_WORDS, "false"):
        return {"score": word in (*ACCEPT_WORDS, "true"), "value": value}
    ranked = isinstance(value, list) and all(isinstance(item, dict) and "rank" in item for item in value)
    return {"kind": "preference" if ranked and value else "rating", "value": value}
