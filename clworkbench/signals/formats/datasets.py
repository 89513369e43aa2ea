"""Rows of data sets as they are shared for training and evaluation: prompts, answers, pairs, ratings and trees."""

import re
from collections.abc import Callable
from typing import NamedTuple

from clworkbench.signals.feedback import feedback_row, identified, target_of, told_with
from clworkbench.signals.messages import Message, conversation, messages
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes import chat, message_trees, revisions
from clworkbench.signals.shapes.chat import Turns
from clworkbench.signals.shapes.pairs import preferred
from clworkbench.signals.values import Fields, Unreadable, as_bool, encoded, kind_of, nested, sha256_of

SPEAKERS = {
    **dict.fromkeys(("human", "user", "customer", "prompter"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bot", "model", "agent", "bing", "bard"), "assistant"),
    **dict.fromkeys(("tool", "function", "function_response", "observation", "ipython", "action"), "tool"),
    **dict.fromkeys(("system", "system_prompt"), "system"),
}
"""What data sets call who speaks. An `action` is what ABCD's agents did in their system, and its result."""
PROMPT_ALONE = frozenset({"prompt", "id", "key"})
CHECKED_BY = frozenset({"instruction_id_list", "solution", "reward_model", "verifier", "test_cases"})
"""Beside a prompt, what shows that it is one to be answered and checked, and no log whose answer has another name."""
HH_TURN = re.compile(r"\n\n(Human|Assistant): ?")


class Shape(NamedTuple):
    """What a row comes down to: its messages, the better answer where there is one, and feedback told with it."""

    turns: Turns
    better: list[Message] | None = None
    said: Row | None = None


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    shape = next((shape for shape in SHAPES if shape.suits(record)), None)
    if shape is None or shape.name == "messages":
        return None
    if shape.name == "prompt" and not (record.keys() <= PROMPT_ALONE or record.keys() & CHECKED_BY):
        return None
    return f"a row with {shape.name}"


def read(record: Row, rows: Rows) -> None:
    """Reads one row; of a tree each answer counts as a record, of a session of revisions each revision.

    - `chosen` and `rejected` (texts, or messages that may begin with the prompt; with or without `prompt`): the
      answer that lost is the interaction, the other the improvement in its feedback, of kind `preference`.
    - `prompt` and `completion` (or `response`); with a Boolean `label` (KTO) that is feedback, 1 or -1.
    - `instruction`, `input`, `output` (Alpaca): instruction and input are one message, one blank line between.
    - `conversations` (ShareGPT: `from`, `value`), `messages`, and turns as pairs of speaker and text (ABCD).
    - trees with ranked replies (`shapes.message_trees`), sessions of revision (`shapes.revisions`).
    - questions and prompts without answers (BFCL's `question` and `function`, IFEval, prompt-only sets): an
      interaction without output, which is no signal; `ground_truth` by id is feedback on it, in `value`.

    Scores, categories and all else stay in `attributes`. Who labelled is not told: `origin` is null. Texts with one
    label (banking77) and tables of one's own (CFPB complaints) have no conversation: a mapping tells them better.

    Raises: Unreadable for a row of none of these shapes, or with a part that is no text and no messages.
    Source: TRL, dataset formats, https://huggingface.co/docs/trl/dataset_formats; ShareGPT and Alpaca as Axolotl and
    LLaMA-Factory read them; BFCL, https://github.com/ShishirPatil/gorilla; ABCD, https://github.com/asappresearch/abcd
    """
    for units in (message_trees, revisions):
        if units.why(record):
            units.read(record, rows)
            return None
    digest = sha256_of(record)
    reader = next((shape.read for shape in SHAPES if shape.suits(record)), None)
    if reader is None:
        raise Unreadable("a row of none of the known shapes: no messages, no prompt, no instruction")
    if "ground_truth" in record and not QUESTION.suits(record):
        return rows.add(None, [_truth(record, digest, rows)])
    shape = reader(record, rows)
    if "tools" not in record and isinstance(tools := nested(record.get("function")), list):
        record["tools"] = tools
        del record["function"]
    own = next((record[name] for name in ("id", "convo_id", "key") if _is_id(record.get(name))), None)
    row = chat.call({**record, "id": own}, shape.turns, rows, digest)
    feedback = [] if shape.better is None else [preferred(row, shape.better, rows)]
    if shape.said is not None:
        feedback.append(told_with(row, shape.said, rows, str(shape.said["name"]), origin=None))
    return rows.add(row, feedback)


def _is_id(value: object) -> bool:
    return (isinstance(value, str) and value != "") or (isinstance(value, int) and not isinstance(value, bool))


def _truth(record: Row, digest: str, rows: Rows) -> Row:
    fields = Fields(record, rows.note)
    own_id = fields.text("id")
    if own_id is None:
        raise Unreadable("ground_truth without the id of its question")
    said: Row = {"name": "ground_truth", "kind": "correction", "value": fields.raw("ground_truth"), **record}
    target = target_of(own_id, "interaction", rows)
    feedback = feedback_row(Fields(said, rows.note), rows, target_id=target, target_kind="interaction", origin=None)
    return identified(feedback, rows, digest, own_id, "ground_truth")


def _pair(record: Row, rows: Rows) -> Shape:
    given = record.pop("prompt", None)
    won, lost = (_told(record.pop(name, None), name, rows) for name in ("chosen", "rejected"))
    before = [] if given is None else conversation(given, rows.note)
    shared = next((at for at, (a, b) in enumerate(zip(won, lost, strict=False)) if a != b), min(len(won), len(lost)))
    if shared == min(len(won), len(lost)):
        shared -= 1
    if won[:shared]:
        before = won[:shared] if len(won[:shared]) >= len(before) else before
    return Shape(Turns(before, lost[shared:]), won[shared:])


def _told(value: object, name: str, rows: Rows) -> list[Message]:
    """An answer, or a whole talk; Anthropic's HH has the talk in one text."""
    if isinstance(value, str) and (turns := HH_TURN.split(value))[1:]:
        said = zip(turns[1::2], turns[2::2], strict=True)
        return [Message("user" if who == "Human" else "assistant", text.strip()) for who, text in said]
    found = conversation(value, rows.note, role="assistant") if value is not None else []
    if not found:
        raise Unreadable(f"{name}: no answer")
    return found


def _completed(record: Row, rows: Rows) -> Shape:
    before = conversation(record.pop("prompt"), rows.note)
    answer = record.pop("completion", None) if "completion" in record else record.pop("response", None)
    said: Row | None = None
    if "label" in record and (isinstance(record["label"], bool) or str(record["label"]).lower() in ("true", "false")):
        said = {"name": "label", "kind": "rating", "score": as_bool(record.pop("label"))}
    system = record.pop("system", None) or record.pop("system_prompt", None)
    before = [Message("system", system), *before] if isinstance(system, str) else before
    return Shape(Turns(before, None if answer is None else _told(answer, "completion", rows)), None, said)


def _instructed(record: Row, rows: Rows) -> Shape:
    asked = [record.pop(name, None) for name in ("instruction", "input")]
    text = "\n\n".join(part for part in asked if isinstance(part, str) and part)
    answer = record.pop("output", None)
    if not text:
        raise Unreadable("instruction: no text")
    return Shape(Turns([Message("user", text)], None if answer is None else _told(answer, "output", rows)))


def _shared(record: Row, rows: Rows) -> Shape:
    """ShareGPT's turns, and turns in pairs; what a talk holds after the last answer stays beside it."""
    name = next(name for name in ("conversations", "conversation", "original") if name in record)
    given = nested(record.pop(name))
    if not isinstance(given, list):
        raise Unreadable(f"{name}: {kind_of(given)}, where a list is wanted")
    system = record.pop("system", None)
    first = [{"role": "system", "content": system}] if isinstance(system, str) and system else []
    return Shape(chat.split([*first, *(_turn(at, turn) for at, turn in enumerate(given))], rows))


def _turn(at: int, turn: object) -> dict[str, object]:
    if isinstance(turn, list) and len(turn) == 2:
        turn = {"from": turn[0], "value": turn[1]}
    if not isinstance(turn, dict):
        raise Unreadable(f"turn {at} is {kind_of(turn)}, not an object")
    who = turn.get("from") or turn.get("role")
    if not isinstance(who, str):
        raise Unreadable(f"turn {at} does not say who speaks")
    said = turn.get("value") if turn.get("value") is not None else turn.get("content")
    extra = {key: value for key, value in turn.items() if key not in ("from", "role", "value", "content")}
    return {**extra, "role": SPEAKERS.get(who.lower(), who), "content": said if said is None else _text(said)}


def _text(said: object) -> object:
    return said if isinstance(said, str | list) else encoded(said)


def _asked(record: Row, rows: Rows) -> Shape:
    question = nested(record.pop("question"))
    turns = question if isinstance(question, list) else [question]
    if turns and all(isinstance(turn, list) for turn in turns):
        if len(turns) > 1:
            rows.note("a question of several turns without the answers between", f"{len(turns)} turns")
        turns = [message for turn in turns if isinstance(turn, list) for message in turn]
    return Shape(Turns(messages(turns, rows.note), None))


def _talk(record: Row, rows: Rows) -> Shape:
    return Shape(chat.split(record.pop("messages"), rows))


class Known(NamedTuple):
    """A shape: what it is called, what rows have it, and what reads it."""

    name: str
    suits: Callable[[Row], bool]
    read: Callable[[Row, Rows], Shape]


def _holds(*names: str) -> Callable[[Row], bool]:
    return lambda record: all(name in record for name in names)


def _is_sharegpt(record: Row) -> bool:
    turns = nested(record.get("conversations", record.get("conversation", record.get("original"))))
    first = turns[0] if isinstance(turns, list) and turns else None
    if isinstance(first, dict):
        return ("from" in first and "value" in first) or ("role" in first and "conversations" in record)
    return isinstance(first, list) and len(first) == 2 and str(first[0]).lower() in SPEAKERS


QUESTION = Known("question and function", _holds("question", "function"), _asked)
SHAPES = (
    Known("a tree of messages", lambda record: message_trees.why(record) is not None, _talk),
    Known("a session of revisions", lambda record: revisions.why(record) is not None, _talk),
    Known("chosen and rejected", _holds("chosen", "rejected"), _pair),
    Known("prompt and completion", _holds("prompt", "completion"), _completed),
    Known("prompt and response", _holds("prompt", "response"), _completed),
    Known("instruction and output", _holds("instruction", "output"), _instructed),
    Known("conversations", _is_sharegpt, _shared),
    QUESTION,
    Known("id and ground_truth", lambda record: {"id", "ground_truth"} == record.keys(), _talk),
    Known("messages", _holds("messages"), _talk),
    Known("prompt", _holds("prompt"), _completed),
)
