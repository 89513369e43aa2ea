"""Messages that a framework printed instead of encoding them: `role='user' content='hi' tool_calls=None …`."""

import ast
import re

from clworkbench.signals.rows import Row

SAID = re.compile(r"(?:\w*Message\()?(?=(?:role|content)=)")
FIELD = re.compile(r"[\s,]*(\w+)=")
STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
BARE = re.compile(r"[^\s,()\[\]{}'\"<]*")
CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">"}
KEPT = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "tool_name", "reasoning_content"})
LONGEST = 4 << 20


def message_in(text: str) -> Row | None:
    """The message whose Python representation this is, as an object; None for any other text.

    Only what makes a message is taken: role, content, name, tool calls and their ids, reasoning. Nothing is evaluated
    but literals, and a text that is not such a list of fields from end to end is none.
    """
    start = SAID.match(text)
    if start is None or len(text) > LONGEST:
        return None
    found: Row = {}
    at = start.end()
    while field := FIELD.match(text, at):
        value, at = _value(text, field.end())
        if field[1] in KEPT and value is not None:
            found[field[1]] = value
    if not isinstance(found.get("role"), str) or text[at:].strip(" )"):
        return None
    if "tool_name" in found:
        found.setdefault("name", found.pop("tool_name"))
    return found


def _value(text: str, at: int) -> tuple[object, int]:
    """What stands after `key=`, and where it ends; a value that is no literal is None."""
    if string := STRING.match(text, at):
        return _literal(string[0]), string.end()
    end = at
    if bare := BARE.match(text, at):
        end = bare.end()
    if end < len(text) and text[end] in CLOSING:
        end = _closed(text, end)
    return _literal(text[at:end]), max(end, at + 1)


def _closed(text: str, at: int) -> int:
    """Where the bracket that opens at `at` closes, strings inside it left out of account."""
    open_: list[str] = []
    while at < len(text):
        if string := STRING.match(text, at):
            at = string.end()
            continue
        mark = text[at]
        if mark in CLOSING and not (mark == "<" and open_ and open_[-1] == ">"):
            open_.append(CLOSING[mark])
        elif open_ and mark == open_[-1]:
            open_.pop()
        at += 1
        if not open_:
            return at
    return at


def _literal(written: str) -> object:
    try:
        return ast.literal_eval(written)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
