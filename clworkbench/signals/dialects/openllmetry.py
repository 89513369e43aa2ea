"""OpenLLMetry's own attributes beside OpenTelemetry's: steps of a workflow, and `llm.*` as older versions wrote it."""

from collections.abc import Mapping
from functools import partial

from clworkbench.signals.dialects.flattened import taken, taken_messages
from clworkbench.signals.rows import Row
from clworkbench.signals.shapes.framework_payloads import said, tool_said
from clworkbench.signals.values import Fields, Note, Unreadable, encoded, nested

KIND = "traceloop.span.kind"
STEPS = {"workflow": "invoke_workflow", "task": "invoke_workflow", "agent": "invoke_agent", "tool": "execute_tool"}
CALLS = {"chat": "chat", "completion": "text_completion", "embedding": "embeddings", "rerank": "rerank"}
SAID = (("llm.prompts", "user"), ("llm.completions", "assistant"))
PARAMETERS = ("frequency_penalty", "presence_penalty", "top_k", "chat.stop_sequences")


def operation(attributes: Mapping[str, object], _events: list[Row]) -> str | None:
    """The operation, by the kind of step or of request; None for a span with neither."""
    kind, request = attributes.get(KIND), attributes.get("llm.request.type")
    found = STEPS.get(kind) if isinstance(kind, str) else None
    return found or (CALLS.get(request) if isinstance(request, str) else None)


def columns(attributes: Fields, _events: list[Row], note: Note) -> Row:
    """The columns that OpenLLMetry's own names fill; what it takes leaves `attributes`.

    A step's input and output are messages where they hold some, else JSON. The names before `gen_ai.*`
    (`llm.prompts.N.*`, `llm.completions.N.*`, `llm.usage.*`, `llm.request.*`) are read as well.

    Source: https://github.com/traceloop/semantic-conventions, as opentelemetry-semantic-conventions-ai has them
    """
    input_, output = (taken_messages(attributes, prefix, partial(_message, role=role), note) for prefix, role in SAID)
    kind = attributes.rest.pop(KIND, None)
    sides = ("traceloop.entity.input", "traceloop.entity.output")
    given, result = map(attributes.raw, sides)
    if kind == "tool":
        steps = tool_said(given, result, note, name=attributes.rest.get("traceloop.entity.name"))
    else:
        steps = said(given, note, role="user"), said(result, note, role="assistant")
    attributes.rest |= {name: step.left for name, step in zip(sides, steps, strict=True) if step.left}
    parameters = {name: attributes.raw(f"llm.{name}") for name in PARAMETERS if f"llm.{name}" in attributes.rest}
    tools = taken(attributes, "llm.request.functions")
    attributes.raw("llm.request.type")
    return {
        "input": steps[0].messages or input_,
        "output": steps[1].messages or output,
        "provider": attributes.text("llm.vendor"),
        "model": attributes.text("llm.request.model"),
        "model_version": attributes.text("llm.response.model"),
        "tools": encoded([_tool(tool) for tool in tools]) if tools else None,
        "parameters": encoded(parameters) if parameters else None,
        "n_input_tokens": attributes.integer("llm.usage.prompt_tokens"),
        "n_output_tokens": attributes.integer("llm.usage.completion_tokens"),
        "finish_reason": attributes.text(
            *("gen_ai.response.finish_reason", "llm.response.finish_reason", "llm.response.stop_reason")
        ),
    }


def _message(item: object, role: str) -> Row:
    if not isinstance(item, dict):
        raise Unreadable("a message that is no object")
    content = nested(item.get("content"))
    return {"role": role} | item | {"content": content if isinstance(content, list) else item.get("content")}


def _tool(item: object) -> object:
    """A tool's definition, its parameters as the object that their text holds."""
    if not isinstance(item, dict):
        return item
    return {"type": "function", "function": {name: nested(value) for name, value in item.items()}}
