"""The Vercel AI SDK's `ai.*` attributes: what a span of `generateText`, `streamText`, `embed` and their like says."""

from collections.abc import Mapping

from clworkbench.signals.dialects.flattened import gather
from clworkbench.signals.messages import Message
from clworkbench.signals.rows import Row
from clworkbench.signals.shapes.framework_messages import unpacked
from clworkbench.signals.shapes.framework_payloads import said, tool_said
from clworkbench.signals.shapes.framework_responses import read_messages
from clworkbench.signals.values import Fields, Note, encoded, nested, text_of

CALLS = {"doGenerate": "chat", "doStream": "chat", "doEmbed": "embeddings", "doRerank": "rerank"}
WRAPPERS = {"embed": "invoke_workflow", "embedMany": "invoke_workflow", "rerank": "invoke_workflow"}
SESSION = ("sessionId", "session_id", "conversationId", "conversation_id", "threadId", "thread_id", "chatId")
METADATA = "ai.telemetry.metadata"
SETTINGS = "ai.settings."


def operation(attributes: Mapping[str, object], _events: list[Row]) -> str | None:
    """The operation of a span, by `ai.operationId`; None for a span that the SDK did not write.

    The inner span (`ai.generateText.doGenerate`) is the model's call. The outer one (`ai.generateText`), which holds
    one or more of them and the tool calls between, is the agent's step, so that no call counts twice: its text and
    its tokens are those of the calls in it. `ai.toolCall` is a tool's run.
    """
    name = attributes.get("ai.operationId")
    if not isinstance(name, str) or not name.startswith("ai."):
        return None
    _, _, rest = name.partition(".")
    if rest == "toolCall":
        return "execute_tool"
    step, _, call = rest.partition(".")
    return CALLS.get(call) or WRAPPERS.get(step, "invoke_agent")


def columns(attributes: Fields, _events: list[Row], note: Note) -> Row:
    """The columns that a span of the AI SDK fills; what it takes leaves `attributes`.

    An object that was generated is the answer's content, as JSON. Embeddings stay in `attributes`. The names of
    versions 3 to 6 are read.

    Source: https://ai-sdk.dev/docs/ai-sdk-core/telemetry#collected-data
    """
    gather(attributes, METADATA)
    input_, output = _sides(attributes, note)
    asked, answered = attributes.text("ai.model.id"), attributes.text("ai.response.model")
    parameters = {
        name.removeprefix(SETTINGS): attributes.rest.pop(name)
        for name in sorted(attributes.rest)
        if name.startswith(SETTINGS)
    }
    choice = nested(attributes.raw("ai.prompt.toolChoice"))
    if choice is not None:
        parameters["toolChoice"] = choice
    return {
        "conversation_id": _session(attributes),
        "provider": attributes.text("ai.model.provider"),
        "model": asked or answered,
        "model_version": answered,
        "input": input_,
        "output": output,
        "tools": _tools(attributes),
        "parameters": encoded(parameters) if parameters else None,
        "n_input_tokens": attributes.integer("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
        "n_output_tokens": attributes.integer("ai.usage.outputTokens", "ai.usage.completionTokens"),
        "finish_reason": attributes.text("ai.response.finishReason", "ai.finishReason"),
    }


def _sides(attributes: Fields, note: Note) -> tuple[list[Message] | None, list[Message] | None]:
    if (name := attributes.raw("ai.toolCall.name")) is None:
        return _input(attributes, note), _output(attributes, note)
    given, result = attributes.raw("ai.toolCall.args", "ai.toolCall.input"), attributes.raw("ai.toolCall.result")
    asked, answered = tool_said(given, result, note, name=name, call_id=attributes.raw("ai.toolCall.id"))
    return asked.messages, answered.messages


def _input(attributes: Fields, note: Note) -> list[Message] | None:
    """The prompt as the provider got it, else as the caller gave it, else the texts to embed."""
    for name in ("ai.prompt.messages", "ai.prompt"):
        if (given := attributes.raw(name)) is not None:
            read = said(given, note, role="user")
            attributes.raw("ai.prompt.format")
            if read.left:
                attributes.rest[name] = read.left
            return read.messages
    values = attributes.raw("ai.values", "ai.value")
    texts = [unpacked(value) for value in (values if isinstance(values, list) else [values]) if value is not None]
    return [Message("user", text_of(text)) for text in texts] or None


def _output(attributes: Fields, note: Note) -> list[Message] | None:
    """The answer: reasoning, text or object, and the calls that the model asked for, as one message."""
    text = attributes.raw("ai.response.text", "ai.result.text")
    whole = attributes.raw("ai.response.object", "ai.result.object")
    reasoning = attributes.raw("ai.response.reasoning")
    calls = nested(attributes.rest.get("ai.response.toolCalls") or attributes.rest.get("ai.result.toolCalls"))
    parts: list[object] = [{"type": "reasoning", "text": reasoning}] if reasoning else []
    shown = whole if text in (None, "") else text
    if shown is not None:
        parts.append({"type": "text", "text": text_of(shown)})
    message: Row = {"role": "assistant", "content": parts}
    if isinstance(calls, list) and all(isinstance(call, dict) for call in calls):
        message["toolCalls"] = calls
        for name in ("ai.response.toolCalls", "ai.result.toolCalls"):
            attributes.rest.pop(name, None)
    if not parts and not message.get("toolCalls"):
        return None if text is None else [Message("assistant", "")]
    return read_messages([message], note, "assistant").messages


def _tools(attributes: Fields) -> str | None:
    """The tools' definitions: a list of objects, each of which may be JSON text."""
    tools = nested(attributes.raw("ai.prompt.tools"))
    if tools is None:
        return None
    return encoded([nested(tool) for tool in tools] if isinstance(tools, list) else tools)


def _session(attributes: Fields) -> str | None:
    metadata = attributes.rest.get(METADATA)
    if not isinstance(metadata, dict):
        return None
    return next((value for name in SESSION if isinstance(value := metadata.get(name), str) and value), None)
