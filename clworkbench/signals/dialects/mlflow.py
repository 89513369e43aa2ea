"""MLflow's own attributes, `mlflow.*`: what a span of MLflow's tracing says, in a trace or exported as OTLP."""

from collections.abc import Mapping

from clworkbench.signals.rows import Row
from clworkbench.signals.shapes.chat import PARAMETERS
from clworkbench.signals.shapes.framework_payloads import documents, said, tool_said
from clworkbench.signals.shapes.framework_responses import model_of, tokens_of, without
from clworkbench.signals.values import Fields, Note, Unreadable, decoded, encoded

OPERATIONS = {
    "CHAT_MODEL": "chat",
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "CHAIN": "invoke_workflow",
    "WORKFLOW": "invoke_workflow",
    "TASK": "invoke_workflow",
    "RETRIEVER": "retrieval",
    "RERANKER": "rerank",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluate",
    "UNKNOWN": "invoke_workflow",
}
"""Span types in the words of `gen_ai.operation.name`; any other type keeps its own."""


def operation(attributes: Mapping[str, object], _events: list[Row]) -> str | None:
    """The operation of a span, by its type; None for a span that has none of MLflow's types."""
    kind = attributes.get("mlflow.spanType")
    if not isinstance(kind, str):
        return None
    kind = kind.strip('"') or "UNKNOWN"
    return OPERATIONS.get(kind, kind.lower())


def columns(attributes: Fields, _events: list[Row], note: Note) -> Row:
    """The columns that a span of MLflow fills; what it takes leaves `attributes`.

    Every value of an attribute is JSON text. Input and output are read as the request and the response of a model's API
    where they are such, else kept as they are. A text that is a function's only argument is what the user said; the
    argument's name stays. A tool's input is the call that a model would have made.

    Source: https://mlflow.org/docs/latest/genai/tracing/concepts/span
    """
    for name in [name for name in attributes.rest if name.startswith("mlflow.")]:
        attributes.rest[name] = unpacked(attributes.rest[name])
    kind = attributes.rest.pop("mlflow.spanType", None)
    attributes.raw("mlflow.traceRequestId")
    usage, cost = attributes.rest.get("mlflow.chat.tokenUsage"), attributes.rest.get("mlflow.llm.cost")
    counted = Fields(dict(usage) if isinstance(usage, dict) else {}, note)
    n_input_tokens = counted.integer("input_tokens", "prompt_tokens")
    n_output_tokens = counted.integer("output_tokens", "completion_tokens")
    tools = attributes.raw("mlflow.chat.tools")
    model = attributes.text("mlflow.llm.model")
    row = _said(attributes, OPERATIONS.get(str(kind)), note)
    return row | {
        "provider": attributes.text("mlflow.llm.provider"),
        "model": row.get("model") or model,
        "model_version": row.get("model_version") or model,
        "tools": encoded(tools) if tools else row.get("tools"),
        "n_input_tokens": row.get("n_input_tokens") if n_input_tokens is None else n_input_tokens,
        "n_output_tokens": row.get("n_output_tokens") if n_output_tokens is None else n_output_tokens,
        "cost_usd": Fields(dict(cost), note).number("total_cost") if isinstance(cost, dict) else None,
    }


def unpacked(value: object) -> object:
    """What a text of JSON says; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return decoded(value)
    except Unreadable:
        return value


def _said(attributes: Fields, operation: str | None, note: Note) -> Row:
    """Input and output, and what a request and a response tell beside them."""
    given, result = attributes.raw("mlflow.spanInputs"), attributes.raw("mlflow.spanOutputs")
    if operation == "execute_tool":
        asked, answer = tool_said(given, result, note, name=attributes.text("mlflow.spanFunctionName"))
        return {"input": asked.messages, "output": answer.messages}
    row = _asked(given, attributes, note)
    if operation == "retrieval" and isinstance(result, list):
        return row | {"output": documents(result)}
    if operation == "embeddings":
        attributes.rest["mlflow.spanOutputs"] = result
        return row
    answer = said(result, note, role="assistant")
    attributes.rest["mlflow.spanOutputs"] = answer.left
    response = result if isinstance(result, dict) else {}
    answered_by = model_of(response)
    row |= {"output": answer.messages, "finish_reason": answer.finish_reason, **tokens_of(response, note)}
    return row | {"model": row["model"] or answered_by, "model_version": answered_by}


def _asked(given: object, attributes: Fields, note: Note) -> Row:
    """A request's messages, model, tools and parameters; else the one text that was given, else all as JSON."""
    if isinstance(given, dict) and len(given) == 1 and isinstance(text := next(iter(given.values())), str):
        read, left = said(text, note, role="user"), {}
        attributes.rest["mlflow.spanInputs"] = list(given)
    else:
        read = said(given, note, role="user")
        attributes.rest["mlflow.spanInputs"] = left = without(read.left, "tools")
    model = left.pop("model") if isinstance(left.get("model"), str) else None
    parameters = {name: left.pop(name) for name in sorted((PARAMETERS | {"logprobs"}) & left.keys())}
    return {
        "input": read.messages,
        "model": model,
        "tools": encoded(read.tools) if read.tools else None,
        "parameters": encoded(parameters) if parameters else None,
    }
