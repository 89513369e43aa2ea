"""GenAI spans of today's conventions, column by column: many at once, each value of the type that is asked for.

It reads what `genai.columns` reads, for spans whose names `asks_for` knows; a span with a value of another type is odd,
and left to `genai.columns`.
"""

from collections.abc import Sequence, Set
from types import NoneType
from typing import NamedTuple

from clworkbench.signals.dialects import genai
from clworkbench.signals.dialects.genai_messages import written
from clworkbench.signals.messages import Message, finish_reason
from clworkbench.signals.rows import Row
from clworkbench.signals.values import encoded, nested

OPERATION = "gen_ai.operation.name"
MESSAGES = frozenset({"gen_ai.input.messages", "gen_ai.output.messages"})
TOOL_TEXTS = frozenset({genai.TOOL_ARGUMENTS, genai.TOOL_RESULT, genai.QUERY})
PLAIN = frozenset(name for name, _, _ in genai.PLAIN)
OLDER = genai.ODD - PLAIN
OLDER_TEXTS = ("gen_ai.prompt", "gen_ai.completion")

Columns = dict[str, list[object]]
Texts = list[list[Message] | None]


class Asked(NamedTuple):
    """What the names of a span's attributes ask for, beyond what every span's do.

    Attributes:
        parameters: the names of the request's parameters, in the order in which they are written.
        tool_texts: whether its texts are those of a tool or a retrieval.
    """

    parameters: tuple[str, ...]
    tool_texts: bool


def asks_for(names: Set[str]) -> Asked | None:
    """What is to be read of a span with attributes of these names; None for another than today's conventions."""
    if OPERATION not in names or not OLDER.isdisjoint(names):
        return None
    tool_texts = not TOOL_TEXTS.isdisjoint(names)
    if (tool_texts and not MESSAGES.isdisjoint(names)) or any(name.startswith(OLDER_TEXTS) for name in names):
        return None
    parameters = sorted(name for name in names - PLAIN if name.startswith(genai.REQUEST))
    return Asked(tuple(parameters), tool_texts)


def columns(spans: Sequence[Row], asked: Sequence[Asked]) -> tuple[Columns, set[int]]:
    """The columns of `schemas.INTERACTIONS` that spans fill, and the numbers of the odd ones among them.

    Args:
        spans: the attributes of each; what the columns take leaves them.
        asked: what is to be read of each.
    """
    odd: set[int] = set()
    found: Columns = {"operation": [one.pop(OPERATION) for one in spans]}
    odd.update(number for number, name in enumerate(found["operation"]) if type(name) is not str or not name)
    reasons = [one.pop("gen_ai.response.finish_reasons", None) for one in spans]
    found["input"], found["output"], said = _texts(spans, asked, odd)  # type: ignore[assignment]
    found["finish_reason"] = [
        (None if named is None else finish_reason(nested(named))) or reason
        for named, reason in zip(reasons, said, strict=True)
    ]
    for name, column, kind in genai.PLAIN:
        found[column] = values = _taken(spans, name, kind, odd)
        if "" in values:
            odd.update(number for number, value in enumerate(values) if value == "")
    tools = [one.pop("gen_ai.tool.definitions", None) for one in spans]
    found["tools"] = [told if told is None or isinstance(told, str) else encoded(told) for told in tools]
    found["parameters"] = [_parameters(one, its.parameters) for one, its in zip(spans, asked, strict=True)]
    found["model"] = [name or other for name, other in zip(found["model"], found["model_version"], strict=True)]
    return found, odd


def _taken(spans: Sequence[Row], name: str, kind: type, odd: set[int]) -> list[object]:
    """An attribute's values, None where there is none; those of another type make their span odd."""
    values = [one.pop(name, None) for one in spans]
    if not set(map(type, values)) <= {kind, NoneType}:
        wrong = [number for number, value in enumerate(values) if type(value) is not kind and value is not None]
        odd.update(wrong)
        for number in wrong:
            values[number] = None
    return values


def _parameters(span: Row, names: tuple[str, ...]) -> str | None:
    return encoded({name[len(genai.REQUEST) :]: span.pop(name) for name in names}) if names else None


def _texts(spans: Sequence[Row], asked: Sequence[Asked], odd: set[int]) -> tuple[Texts, Texts, list[str | None]]:
    """Input, output and the finish reason that the output names."""
    given, _ = _messages(spans, "gen_ai.input.messages", odd)
    answered, reasons = _messages(spans, "gen_ai.output.messages", odd)
    for number, one in enumerate(asked):
        if one.tool_texts:
            if type(spans[number].get(genai.TOOL_RESULT, "")) is not str:
                odd.add(number)
            else:
                given[number], answered[number] = genai.tool_texts(spans[number])
    for number, said in enumerate(_taken(spans, "gen_ai.system_instructions", str, odd)):
        if said:
            system, noted = genai.instructions_in(said)
            if noted or not system:
                odd.add(number)
            else:
                given[number] = system + (given[number] or [])
    return given, answered, reasons


def _messages(spans: Sequence[Row], name: str, odd: set[int]) -> tuple[Texts, list[str | None]]:
    texts: Texts = []
    reasons: list[str | None] = []
    for number, value in enumerate(_taken(spans, name, str, odd)):
        read, reason = None, None
        if value:
            if (found := written(value)) is None:  # type: ignore[arg-type]
                odd.add(number)
            else:
                read, reason = found
        texts.append(read)
        reasons.append(reason)
    return texts, reasons
