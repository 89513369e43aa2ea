"""Runs of agents, each with what came of it: SWE-agent's .traj files, and messages or steps with a reward."""

from collections.abc import Sequence

from clworkbench.signals.feedback import told_with
from clworkbench.signals.messages import Message, messages
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import (
    Fields,
    Note,
    Unreadable,
    as_bool,
    as_number,
    as_object,
    kind_of,
    nested,
    sha256_of,
)

TURNS = ("history", "messages", "trajectory", "steps")
OUTCOMES = ("success", "resolved", "reward", "score")
IDS = ("id", "trajectory_id", "instance_id", "run_id")
SPOKEN = frozenset({"role", "content", "tool_calls", "tool_call_id", "name", "parts", "function_call"})
STEP_TEXTS = ("response", "thought", "observation", "query")


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    held = next((name for name in TURNS if isinstance(nested(record.get(name)), list)), None)
    if held is None:
        return None
    if "trajectory" in record and "history" in record:
        return "an object with trajectory and history"
    info = nested(record.get("info"))
    if isinstance(info, dict) and ("exit_status" in info or "submission" in info):
        return f"an object with {held} and an exit_status"
    outcome = next((name for name in OUTCOMES if _is_outcome(record.get(name))), None)
    return None if outcome is None else f"an object with {held} and {outcome}"


def _is_outcome(value: object) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and value.strip() != "")


def read(record: Row, rows: Rows) -> None:
    """Reads one run.

    A run is one row, as in tau: `input` is what the agent was given before it first acted, `output` all that came
    then, tool results and the user's further words included (`began`). SWE-agent keeps the talk in `history`; of its
    `trajectory`, `attributes` keeps what the talk does not hold. Steps without roles become an assistant message each
    (thought and action, or response) and a user's (the observation).

    `success` and `resolved` are feedback of kind outcome, `reward` and `score` too: 1 is true, and else a number
    stands in `score` where it is from -1 to 1, in `value` where it is not. An exit that was no submission is `error`,
    or `finish_reason` length where a limit ended it.

    Raises: Unreadable for an object without turns.
    Source: SWE-agent, trajectories; https://swe-agent.com/latest/usage/trajectories/
    """
    digest = sha256_of(record)
    fields = Fields(record, rows.note)
    said, steps, start = _said(fields, rows.note)
    info = as_object(fields.raw("info"), "info")
    stats = as_object(info.get("model_stats"), "info.model_stats")
    numbers = Fields(dict(stats), rows.note)
    own_id = fields.text(*IDS)
    user = fields.text("user_id", "user")
    exited = info.get("exit_status")
    row: Row = {
        "source_id": own_id,
        "user_key": None if user is None else rows.pseudonyms.user(user),
        "app": fields.text("app", "environment", "env", "domain"),
        "operation": "chat",
        "started_at": fields.moment("started_at", "start_time", "timestamp", "created_at"),
        "model": fields.text("model", "model_name"),
        "input": said[:start],
        "output": said[start:] or None,
        "n_input_tokens": numbers.integer("tokens_sent", "prompt_tokens", "input_tokens"),
        "n_output_tokens": numbers.integer("tokens_received", "completion_tokens", "output_tokens"),
        "cost_usd": numbers.number("instance_cost", "total_cost"),
        "raw_sha256": digest,
        **_ended(exited),
    }
    row["interaction_id"] = rows.identity(own_id, digest)
    feedback = [_outcome(name, fields.raw(name), row, rows) for name in OUTCOMES if _is_outcome(record.get(name))]
    row["attributes"] = rows.attributes(fields.rest | {"info": info, "steps": steps})
    rows.add(row, feedback)


def began(said: Sequence[Message]) -> int:
    """Where an agent's own part of a talk begins: its first message after the user's first, or its first tool call.

    What stands before is what every run of the same task is given (policy, tools' rules, a canned greeting, the
    request), and so the prompt that runs can be paired by.
    """
    asked = next((at for at, message in enumerate(said) if message.role == "user"), -1)
    acts = (at for at, one in enumerate(said) if one.role == "assistant" and (at > asked or one.tool_calls))
    return next(acts, len(said))


def _said(fields: Fields, note: Note) -> tuple[list[Message], list[object], int]:
    """The talk, of the steps beside it what it does not hold, and where the agent's part begins."""
    talk = next((value for name in TURNS[:2] if isinstance(value := nested(fields.rest.get(name)), list)), None)
    if talk is not None:
        fields.raw(next(name for name in TURNS[:2] if isinstance(nested(fields.rest.get(name)), list)))
        said = messages([_spoken(item) for item in talk], note)
        texts = {message.content for message in said}
        steps = nested(fields.raw(*TURNS[2:]))
        left = [_left(step, texts) for step in steps] if isinstance(steps, list) else []
        return said, [step for step in left if step], began(said)
    steps = nested(fields.raw(*TURNS[2:]))
    if not isinstance(steps, list):
        raise Unreadable("an object without messages, history, trajectory or steps")
    said = [message for at, step in enumerate(steps) for message in _from_step(at, step, note)]
    told = any(isinstance(step, dict) and "role" in step for step in steps)
    first = next((at for at, message in enumerate(said) if message.role == "assistant"), len(said))
    return said, [], began(said) if told else first


def _spoken(item: object) -> object:
    """A message without what SWE-agent notes beside it; a demonstration's mark is kept."""
    if not isinstance(item, dict):
        return item
    kept = {key: value for key, value in item.items() if key in SPOKEN}
    if isinstance(ids := item.get("tool_call_ids"), list) and len(ids) == 1:
        kept.setdefault("tool_call_id", ids[0])
    return kept | ({"is_demo": True} if item.get("is_demo") else {})


def _left(step: object, texts: set[str | None]) -> object:
    if not isinstance(step, dict):
        return step
    return {
        key: value
        for key, value in step.items()
        if not (key in STEP_TEXTS and (not isinstance(value, str) or value in texts or value == ""))
    }


def _from_step(at: int, step: object, note: Note) -> list[Message]:
    if not isinstance(step, dict):
        raise Unreadable(f"steps[{at}] is {kind_of(step)}, not an object")
    if "role" in step:
        return messages([_spoken(step)], note)
    thought = [step.get("response")] if step.get("response") else [step.get("thought"), step.get("action")]
    acted = "\n".join(text for text in thought if isinstance(text, str) and text)
    seen = step.get("observation")
    found = [Message("assistant", acted)] if acted else []
    if seen not in (None, ""):
        found += messages([{"role": "user", "content": seen if isinstance(seen, str) else [{"value": seen}]}], note)
    return found


def _ended(exited: object) -> Row:
    """What an exit status says: SWE-agent's is `submitted`, or names what stopped it."""
    if not isinstance(exited, str) or not exited:
        return {}
    if exited.lower() == "submitted":
        return {"finish_reason": "stop"}
    limited = any(word in exited.lower() for word in ("cost", "context", "limit", "step", "token"))
    return {"finish_reason": "length"} if limited else {"finish_reason": "error", "error": exited}


def _outcome(name: str, value: object, row: Row, rows: Rows) -> Row:
    if name in ("success", "resolved"):
        try:
            value = as_bool(value)
        except Unreadable:
            value = as_number(value)
    return told_with(row, {"name": name, "kind": "outcome", "score": value}, rows, name, origin="system")
