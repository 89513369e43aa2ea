"""A request to OpenAI's API and its response, or the response alone: chat, completions, Responses and embeddings."""

from typing import NamedTuple

from clworkbench.signals.messages import Message, messages
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes import chat, responses
from clworkbench.signals.shapes.chat import Turns
from clworkbench.signals.values import Unreadable, as_object, encoded, kind_of, nested

SENT_ONLY = frozenset({"model", "user", "metadata", "tools", "safety_identifier"})


class Exchange(NamedTuple):
    """What was asked and answered: a record as `chat.call` wants it, its messages, and columns to set beside them."""

    record: Row
    turns: Turns
    columns: Row


def exchange(request: object, response: object, record: Row, rows: Rows) -> Exchange:
    """Joins a request and its response.

    Args:
        request: the body sent, its messages alone, or None where only the response was logged, which is noted.
        response: the body received, a message, a Responses `output` list, or a batch's `{status_code, body}`.
        record: what stood beside the two.
        rows: takes the notes.

    Raises:
        Unreadable: a request or response of another shape.
    """
    request, answer = nested(request), nested(response)
    status = answer.get("status_code") if isinstance(answer, dict) else None
    sent = {"messages": request} if isinstance(request, list) else _body(request, "request")
    received = _received(answer)
    error = received.pop("error", None) or record.pop("error", None)
    if not error and isinstance(status, int) and status >= 400:
        error = f"status {status}"
    joined: Row = {key: value for key, value in sent.items() if key in SENT_ONLY | chat.PARAMETERS}
    left = {key: value for key, value in sent.items() if key not in joined}
    if request is None:
        rows.note("no request in the record, so no input", "a response alone")
        left = {"messages": []}
    turns, columns, own = _turns(left, received, rows)
    if request is None:
        turns, left = turns._replace(before=turns.before or None), {}
    if left:
        joined["request"] = left
    own["response_model"] = received.pop("model", None)
    for more in (received, record):
        joined |= {key: value for key, value in more.items() if key not in joined and key != "object"}
    own_id = record.get("id") or received.get("id") or record.get("custom_id")
    return Exchange(joined | own | {"id": own_id, "error": error}, turns, columns)


def _body(value: object, name: str) -> Row:
    if isinstance(value, dict) and "body" in value:
        value = value["body"]
    return as_object(value, name)


def _received(answer: object) -> Row:
    """A response's body, also where only its message, its text or its items were kept."""
    if isinstance(answer, str):
        return {"choices": [{"message": {"role": "assistant", "content": answer}}]}
    if isinstance(answer, dict) and "role" in answer:
        return {"choices": [{"message": answer}]}
    if isinstance(answer, dict) and answer.keys() == {"text"}:
        return _received(answer["text"])
    if isinstance(answer, list):
        return {"output": answer}
    return _body(answer, "response")


def _turns(sent: Row, received: Row, rows: Rows) -> tuple[Turns, Row, Row]:
    """The messages, the columns that the kind of call decides, and what the record gets; takes them out of both."""
    if "embedding" in str(received.get("object")) or _is_embedding(received):
        return _embedded(sent, rows)
    if "choices" not in received and ("output" in received or ("input" in sent and "messages" not in sent)):
        return _responded(sent, received, rows)
    choices = received.pop("choices", None) or []
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise Unreadable("response.choices is not a list of objects")
    first: Row = choices[0] if choices else {}
    own = {key: first.get(key) for key in ("finish_reason", "logprobs")} | {"other_choices": choices[1:] or None}
    if "prompt" in sent or "text" in first:
        answer = messages(first["text"], rows.note, role="assistant") if first.get("text") is not None else None
        before = _prompt(sent.pop("prompt", None), rows)
        return Turns(before, answer), {"operation": "text_completion"}, own
    said = first.get("message")
    answer = None if said is None else messages([said], rows.note)
    return Turns(_asked(sent, rows), answer), {}, own


def _asked(sent: Row, rows: Rows) -> list[Message]:
    given = nested(sent.pop("messages", None))
    if not isinstance(given, list):
        raise Unreadable(f"request.messages: {kind_of(given)}, where a list is wanted")
    return messages(given, rows.note)


def _prompt(prompt: object, rows: Rows) -> list[Message] | None:
    if isinstance(prompt, list) and all(isinstance(piece, str) for piece in prompt):
        return [Message("user", piece) for piece in prompt]
    if isinstance(prompt, list) and not all(isinstance(piece, dict) for piece in prompt):
        rows.note("a prompt of token numbers, kept as JSON", "prompt")
        return messages([{"role": "user", "content": encoded(prompt)}], rows.note)
    return None if prompt is None else messages(prompt, rows.note)


def _is_embedding(received: Row) -> bool:
    data = received.get("data")
    return isinstance(data, list) and any("embedding" in item for item in data if isinstance(item, dict))


def _embedded(sent: Row, rows: Rows) -> tuple[Turns, Row, Row]:
    given = sent.pop("input", None) or sent.pop("messages", None)
    return Turns(_prompt(given, rows), None), {"operation": "embeddings"}, {}


def _responded(sent: Row, received: Row, rows: Rows) -> tuple[Turns, Row, Row]:
    """A turn of the Responses API; instructions are a system message before it."""
    instructions = sent.pop("instructions", None) or received.pop("instructions", None)
    before = [Message("system", instructions)] if isinstance(instructions, str) else []
    if isinstance(instructions, list):
        before = responses.from_items(instructions, rows.note, role="system")
    given = sent.pop("input", None) or sent.pop("messages", None)
    known = given is not None
    before += responses.from_items(given, rows.note) if known else []
    output = received.pop("output", None)
    answer = responses.from_items(output, rows.note, role="assistant") if output is not None else None
    previous = sent.pop("previous_response_id", None) or received.pop("previous_response_id", None)
    if previous:
        rows.note("input goes on from an earlier response, whose turns stand there", "previous_response_id")
    held = sent.pop("conversation", None) or received.pop("conversation", None)
    own: Row = {"finish_reason": responses.finish(received)}
    if conversation := held.get("id") if isinstance(held, dict) else held:
        own["conversation_id"] = conversation
    columns: Row = {"parent_id": previous} if isinstance(previous, str) else {}
    return Turns(before if known or before else None, answer or None), columns, own
