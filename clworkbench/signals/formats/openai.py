"""OpenAI's shapes: chat logs, Responses, requests with responses, batches, stored completions, fine-tuning rows."""

from collections.abc import Sequence
from typing import NamedTuple

from clworkbench.signals.feedback import feedback_row, identified
from clworkbench.signals.messages import Message, are_messages, conversation, messages
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes import chat
from clworkbench.signals.shapes.chat import Turns
from clworkbench.signals.shapes.exchanges import exchange
from clworkbench.signals.shapes.pairs import preferred
from clworkbench.signals.units import read_unit
from clworkbench.signals.values import Fields, Unreadable, as_object, as_text, kind_of, nested, sha256_of

RESPONSES = ("chat.completion", "text_completion", "response")
"""What the API's own answers say that they are, in `object`."""


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    if "messages" in record:
        return "a JSON object with messages"
    if "preferred_output" in record and "non_preferred_output" in record:
        return "a JSON object with preferred_output and non_preferred_output"
    if "response" in record and ("request" in record or "body" in record or "custom_id" in record):
        return "a JSON object with a request and its response"
    if "custom_id" in record and "body" in record:
        return "a JSON object with custom_id and body"
    if record.get("object") in RESPONSES:
        return f"a JSON object that says it is a {record['object']}"
    if record.get("object") == "list" and isinstance(record.get("data"), list):
        return "a page of a list, as the API gives it"
    if _has_messages(record.get("input")) and ("ideal" in record or "output" in record):
        return f"a JSON object whose input is messages, with {'ideal' if 'ideal' in record else 'output'}"
    return None


def _has_messages(value: object) -> bool:
    value = nested(value)
    if isinstance(value, dict):
        value = value.get("messages")
    return are_messages(value)


def read(record: Row, rows: Rows) -> None:
    """Reads one line, or one page of a list.

    - a log with `messages`, which is also the fine-tuning row: the last assistant message is `output`, what stands
      before it `input`. `weight` and, for reinforcement fine-tuning, the reference fields stay in `attributes`.
    - a request with its response (chat completions, completions, Responses; also inside a batch's `body`), and a
      response alone (stored completions, a batch's output file): without `input`, noted. The `input` of a response
      that goes on from another lacks the turns before: `parent_id` is that response's id, and it is noted.
    - a batch's request alone: skipped, nothing happened yet.
    - a preference row (DPO), and OpenPipe's `rejected_message`: the answer that lost is the interaction, the other
      its feedback, of kind `preference`. See `pairs`.
    - an eval's example with `ideal`: no answer, and a `correction` that says what would be one.

    `metadata` and the record's own keys fill the columns as `shapes.chat` says. Feedback in the record itself
    (`feedback`: an object, or several) points at its interaction.

    Raises: Unreadable for a line of another shape.
    Source: OpenAI API reference, chat completions, responses, batch, fine-tuning;
    https://platform.openai.com/docs/api-reference
    """
    if record.get("object") == "list" and isinstance(page := record.get("data"), list):
        return _page(page, bool(record.get("has_more")), rows)
    return _one(record, rows)


def _page(items: list[object], has_more: object, rows: Rows) -> None:
    if has_more:
        rows.note("a page of a list that goes on, the other pages missing", "has_more")
    if not items:
        return rows.skip("an empty page of a list")
    for at, item in enumerate(items):
        read_unit(item, rows, _one, place=f"data[{at}]")
    return None


class Told(NamedTuple):
    """What a line comes down to: a record without its messages, those, more columns, and what would be better."""

    record: Row
    turns: Turns
    columns: Row
    better: list[Message] | None = None
    ideals: Sequence[list[Message]] = ()


def _one(record: Row, rows: Rows) -> None:
    digest = sha256_of(record)
    if "custom_id" in record and "body" in record and record.get("response") is None and not record.get("error"):
        return rows.skip("a batch's request without its response")
    given = nested(record.pop("feedback", None))
    told = _told(record, rows)
    interaction = chat.call(told.record, told.turns, rows, digest) | told.columns
    feedback = _feedback(given, interaction, rows)
    if told.better is not None:
        feedback.append(preferred(interaction, told.better, rows))
    feedback.extend(_ideal(at, ideal, interaction, rows) for at, ideal in enumerate(told.ideals))
    return rows.add(interaction, feedback)


def _told(record: Row, rows: Rows) -> Told:
    if "preferred_output" in record or "non_preferred_output" in record:
        return _dpo(record, rows)
    if "messages" not in record and "ideal" in record:
        return _example(record, rows)
    if "messages" not in record:
        return _exchange(record, rows)
    if record.get("rejected_message") not in (None, "", {}):
        return _openpipe(record, rows)
    return Told(record, chat.split(record.pop("messages"), rows), {})


def _dpo(record: Row, rows: Rows) -> Told:
    prompt = as_object(record.pop("input", None), "input")
    lost, won = (_answer(record.pop(name, None), name, rows) for name in ("non_preferred_output", "preferred_output"))
    before = messages(nested(prompt.pop("messages", None)), rows.note)
    return Told({**prompt, **record}, Turns(before, lost), {}, won)


def _answer(value: object, name: str, rows: Rows) -> list[Message]:
    try:
        answer = messages(nested(value), rows.note, role="assistant")
    except Unreadable as error:
        raise Unreadable(f"{name}: {error}") from None
    if not answer:
        raise Unreadable(f"{name}: no message")
    return answer


def _openpipe(record: Row, rows: Rows) -> Told:
    turns = chat.split(record.pop("messages"), rows)
    if turns.answer is None or turns.after:
        raise Unreadable("a rejected_message, but messages that do not end with the preferred answer")
    lost = _answer(record.pop("rejected_message"), "rejected_message", rows)
    return Told(record, Turns(turns.before, lost), {}, turns.answer)


def _example(record: Row, rows: Rows) -> Told:
    """An eval's example: nothing was answered; one or several answers would be ideal."""
    ideal = nested(record.pop("ideal"))
    several = ideal if isinstance(ideal, list) else [ideal]
    rows.note("an eval's example: no answer, only what would be ideal", "ideal")
    before = conversation(record.pop("input", None), rows.note)
    return Told(record, Turns(before, None), {}, None, [_answer(_words(one), "ideal", rows) for one in several])


def _words(value: object) -> object:
    return as_text(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _ideal(at: int, ideal: list[Message], interaction: Row, rows: Rows) -> Row:
    return preferred(interaction, ideal, rows, str(at), said={"name": "ideal", "kind": "correction", "score": None})


def _exchange(record: Row, rows: Rows) -> Told:
    """A request and its response, or a response alone."""
    if record.get("body") is not None and "request" not in record:
        record["request"] = record.pop("body")
    if why(record) is None:
        raise Unreadable("an object without messages, and without a request and its response")
    if record.get("object") in RESPONSES:
        return Told(*exchange(None, record, {}, rows))
    if "response" not in record:
        return Told(*exchange(record.pop("input"), record.pop("output", None), record, rows))
    return Told(*exchange(record.pop("request", None), record.pop("response"), record, rows))


def _feedback(given: object, interaction: Row, rows: Rows) -> list[Row]:
    """The feedback that stands in the record itself."""
    target = str(interaction["interaction_id"])
    found: list[Row] = []
    items = given if isinstance(given, list) else [] if given in (None, "") else [given]
    for at, item in enumerate(items):
        if not isinstance(item, dict):
            raise Unreadable(f"feedback[{at}] is {kind_of(item)}, not an object")
        digest = sha256_of(item)
        fields = Fields(dict(item), rows.note)
        own_id = fields.text("id")
        try:
            row = feedback_row(fields, rows, target_id=target, target_kind="interaction")
        except Unreadable as error:
            raise Unreadable(f"feedback[{at}]: {error}") from None
        own = (own_id,) if own_id else (target, str(row["name"]), str(at))
        found.append(identified(row, rows, digest, *own))
    return found
