"""A chat completion as it is asked for: read, checked, and with what is not offered refused in words."""

import math
from typing import Annotated, Any

import msgspec

from clworkbench.models.chat import Message
from clworkbench.serving.chat.errors import Wrong

MOST_MESSAGES = 2_000
ROLES = ("system", "developer", "user", "assistant", "tool")
NOT_OFFERED = (
    *("logprobs", "top_logprobs", "logit_bias", "functions", "function_call"),
    *("audio", "prediction", "web_search_options"),
)
"""Fields that change an answer and that this server cannot honour: to pass over them would be a lie."""


class _Stream(msgspec.Struct):
    include_usage: bool = False


class _Format(msgspec.Struct):
    type: str = "text"


class Chat(msgspec.Struct):
    """The fields of a request that are honoured; others are passed over, but for `NOT_OFFERED`.

    Source: https://platform.openai.com/docs/api-reference/chat/create
    """

    model: str
    messages: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=MOST_MESSAGES)]
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    n: int | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: _Stream | None = None
    tools: list[dict[str, Any]] | None = None
    response_format: _Format | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None

    @property
    def limit(self) -> int | None:
        """Tokens of the answer at most; None where nobody says."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end the answer."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


def read(raw: bytes) -> Chat:
    """The request.

    Raises:
        Wrong: it is none, or asks for what is not offered here.
    """
    try:
        given = msgspec.json.decode(raw)
        chat = msgspec.convert(given, Chat)
    except msgspec.ValidationError as error:
        raise Wrong(str(error), param=_place(str(error))) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Wrong(f"the body is no JSON that can be read: {str(error)[:160]}") from None
    for name in NOT_OFFERED:
        if given.get(name):
            raise Wrong(f"{name} is not offered here: leave it out.", param=name, code="unsupported_parameter")
    if chat.n not in (None, 1):
        raise Wrong("n: one answer for each request is offered here. Ask again for another.", param="n")
    if chat.response_format and chat.response_format.type != "text":
        raise Wrong(
            "response_format: only text is offered here.", param="response_format", code="unsupported_parameter"
        )
    if len(chat.stops) > 4:
        raise Wrong("stop: four texts at most.", param="stop")
    for name in ("temperature", "top_p"):
        value = getattr(chat, name)
        if value is not None and not math.isfinite(value):
            raise Wrong(f"{name} is no number.", param=name)
    return chat


def _place(error: str) -> str | None:
    """The field that an error of msgspec names: `- at `$.messages[0]``."""
    _, _, path = error.partition("`$.")
    return path.rstrip("`") or None


def messages(chat: Chat) -> list[Message]:
    """The messages as rows of the MESSAGE type.

    Raises:
        Wrong: one is no message of text, with its place.
    """
    return [_message(each, f"messages[{number}]") for number, each in enumerate(chat.messages)]


def _message(given: dict[str, Any], place: str) -> Message:
    role = given.get("role")
    if role not in ROLES:
        raise Wrong(f"{place}.role: {str(role)[:40]!r}. One of {', '.join(ROLES)}.", param=f"{place}.role")
    made: dict[str, object] = {"role": "system" if role == "developer" else role, "content": _text(given, place)}
    if calls := given.get("tool_calls"):
        made["tool_calls"] = _calls(calls, f"{place}.tool_calls")
    for name in ("tool_call_id", "name"):
        if (value := given.get(name)) is not None:
            made[name] = str(value)
    return made


def _text(given: dict[str, Any], place: str) -> str | None:
    content = given.get("content")
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(p, dict) and p.get("type") == "text" for p in content):
        return "".join(str(part.get("text", "")) for part in content)
    raise Wrong(f"{place}.content: text is read here, no pictures, sounds or files.", param=f"{place}.content")


def _calls(given: object, place: str) -> list[dict[str, object]]:
    found = []
    for call in given if isinstance(given, list) else [given]:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(call, dict) or not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise Wrong(f"{place}: a call has an id and a function with its name and arguments.", param=place)
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments or {}).decode()
        found.append({"id": call.get("id"), "name": function["name"], "arguments": text})
    return found
