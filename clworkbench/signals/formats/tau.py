"""tau-bench and tau2-bench results: an agent's runs on tasks, each with its reward."""

from collections.abc import Mapping
from functools import partial

from clworkbench.signals.feedback import told_with
from clworkbench.signals.formats.trajectories import began
from clworkbench.signals.gaps import FREE
from clworkbench.signals.messages import Message, messages
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.units import read_unit
from clworkbench.signals.values import Fields, Unreadable, as_number, as_object, encoded, kind_of, nested, sha256_of

TOLD = ("cost", "usage", "timestamp", "errors", "error", "turn_idx", "requestor")
"""What tau2 notes beside each message; `attributes` keeps it by the message's place."""
FINISHED = {"user_stop": "stop", "agent_stop": "stop", "max_steps": "length"}
SUCCESS = 1 - 1e-6
SPEAKERS = ("user", "assistant", "tool", "system")


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    if "simulations" in record and ("tasks" in record or "info" in record):
        return "an object with simulations and tasks"
    if "traj" in record and "reward" in record:
        return "an object with traj and reward"
    if "reward_info" in record and "messages" in record and "task_id" in record:
        return "an object with task_id, messages and reward_info"
    if record.keys() == {"messages_display"}:
        return "an object with messages_display"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads one run of tau-bench, or one file of tau2-bench with all its simulations; each run counts as a record.

    A run is one row. `input` is what the agent was given before it first acted (policy, greeting, the user's first
    words), `output` everything from its first act on: its messages, tool calls and their results, the user's further
    words. A row for each of its turns, with all that was said before as input, would hold the same talk 6 to 10 times
    (measured on the published files), and its parts could not be paired; so, runs of one task have one prompt, and
    one that won and one that lost make a pair, one that won is a whole example to learn, and one reward is one signal.
    Hence `operation` is chat and the reward is feedback on the interaction: `task_success`, kind outcome, 1 where the
    reward is 1 and else -1, as the benchmarks count success; `value` is the reward.

    `conversation_id` is the simulation's id; tau-bench gives none, and does not name its model. `attributes` keeps
    the task, trial, seed, `reward_info` with its checks, models and settings, and `turns`: by the place of a message
    in the talk, what it cost, used, and when. In tau2 the agent's system prompt is not in the file: its policy, and a
    ticket where nobody asks, stand in for it, which is noted; so is an `agent_cost` of 0 where there were tokens.
    The users of both are simulated.

    Raises: Unreadable for an object of none of these shapes.
    Source: https://github.com/sierra-research/tau-bench and https://github.com/sierra-research/tau2-bench (MIT)
    """
    if "simulations" not in record:
        reader = _display if "messages_display" in record else _run if "traj" in record else _simulation
        return reader(record, rows)
    runs = nested(record.pop("simulations"))
    if not isinstance(runs, list):
        raise Unreadable(f"simulations: {kind_of(runs)}, where a list is wanted")
    info, tasks = as_object(record.get("info"), "info"), nested(record.pop("tasks", None))
    by_id = {str(task.get("id")): task for task in tasks if isinstance(task, dict)} if isinstance(tasks, list) else {}
    if not runs:
        rows.skip("a file without simulations")
    for at, run in enumerate(runs):
        read_unit(run, rows, partial(_simulation, info=info, tasks=by_id), place=f"simulations[{at}]")
    return None


def _run(record: Row, rows: Rows) -> None:
    """One run of tau-bench."""
    digest = sha256_of(record)
    said = messages(nested(record.pop("traj", None)), rows.note)
    info = as_object(record.pop("info", None), "info")
    if not (info.get("model") or record.get("model")):
        rows.note("model not named in the file", "tau-bench")
    task = info.get("task")
    error = info.get("error")
    row: Row = {"user_key": _user(task, rows), "error": error if isinstance(error, str) else None}
    reward = record.pop("reward", None)
    record["info"] = info
    return _add(row, said, reward, record, digest, rows)


def _user(task: object, rows: Rows) -> str | None:
    user = task.get("user_id") if isinstance(task, dict) else None
    return rows.pseudonyms.user(user) if isinstance(user, str) else None


def _display(record: Row, rows: Rows) -> None:
    """A transcript in one text, as the few-shot files have it: `user: …`, `assistant: …`, `tool: …` at line starts."""
    digest = sha256_of(record)
    shown = record.pop("messages_display", None)
    if not isinstance(shown, str):
        raise Unreadable(f"messages_display: {kind_of(shown)}, where a text is wanted")
    said: list[Message] = []
    for line in shown.split("\n"):
        speaker, colon, text = line.partition(": ")
        if colon and speaker in SPEAKERS:
            said.append(Message(speaker, text))
        elif said:
            said[-1] = said[-1]._replace(content=f"{said[-1].content}\n{line}")
        else:
            raise Unreadable("messages_display does not begin with a speaker")
    rows.note("a transcript without its tool calls: only their results are told", "assistant: None")
    said = [one._replace(content=None) if one[:2] == ("assistant", "None") else one for one in said]
    return _add({}, said, None, record, digest, rows)


def _add(row: Row, said: list[Message], reward: object, left: Row, digest: str, rows: Rows) -> None:
    """Ends a run with its row and, where it has a reward, the feedback."""
    start = began(said)
    own_id = row.get("source_id")
    row |= {
        "operation": "chat",
        "input": said[:start],
        "output": said[start:] or None,
        "attributes": rows.attributes(left),
        "raw_sha256": digest,
        "interaction_id": rows.identity(str(own_id) if own_id else None, digest),
    }
    rows.add(row, [] if reward is None else [_success(as_number(reward), row, rows)])


def _success(reward: float, row: Row, rows: Rows) -> Row:
    said: Row = {"name": "task_success", "kind": "outcome", "score": reward >= SUCCESS, "value": reward}
    said["at"] = row.pop("ended_at", None)
    return told_with(row, said, rows, "task_success", origin="system")


def _simulation(run: Row, rows: Rows, info: Row | None = None, tasks: Mapping[str, Row] | None = None) -> None:
    """One simulation of tau2-bench; `info` and `tasks` are what its file says of all."""
    digest = sha256_of(run)
    shared: Row = {} if info is None else {"info": info, "task": (tasks or {}).get(str(run.get("task_id")))}
    fields = Fields(run, rows.note)
    info = info or {}
    agent, environment = (as_object(info.get(name), f"info.{name}") for name in ("agent_info", "environment_info"))
    given = nested(fields.raw("messages"))
    if not isinstance(given, list):
        raise Unreadable(f"messages: {kind_of(given)}, where a list is wanted")
    talk = [turn for item in given for turn in _flat(item)]
    said = messages([_spoken(turn) for turn in talk], rows.note)
    reward = as_object(run.get("reward_info"), "reward_info").get("reward")
    started_at, ended_at = fields.moment("start_time", "timestamp"), fields.moment("end_time")
    seconds = fields.number("duration")
    ended = run.get("termination_reason")
    finished = FINISHED.get(ended) if isinstance(ended, str) else None
    used = [turn["usage"] for turn in talk if turn.get("role") == "assistant" and isinstance(turn.get("usage"), dict)]
    row: Row = {
        "source_id": (own_id := fields.text("id")),
        "conversation_id": own_id,
        "app": Fields(environment, rows.note).text("domain_name"),
        "started_at": started_at,
        "latency_ms": None if seconds is None else seconds * 1000,
        "model": Fields(agent, rows.note).text("llm"),
        "parameters": encoded(agent.pop("llm_args")) if agent.get("llm_args") else None,
        "n_input_tokens": _sum(used, "prompt_tokens"),
        "n_output_tokens": _sum(used, "completion_tokens"),
        "cost_usd": fields.number("agent_cost"),
        "finish_reason": finished,
        "error": ended if isinstance(ended, str) and finished is None else None,
        "ended_at": ended_at,
    }
    if row["cost_usd"] == 0 and row["n_input_tokens"]:
        rows.note(FREE, "agent_cost 0")
    before = _given(environment.pop("policy", None), shared.get("task"), said, rows)
    turns = {str(at): told for at, turn in enumerate(talk, len(before)) if (told := _told(turn))}
    rest = {**shared, "info": {**info, "agent_info": agent, "environment_info": environment}}
    return _add(row, [*before, *said], reward, {**rest, **run, "turns": turns}, digest, rows)


def _flat(item: object) -> list[Row]:
    """A message; the results of several calls, which tau2 puts into one, each by itself."""
    if not isinstance(item, dict):
        raise Unreadable(f"a message is {kind_of(item)}, not an object")
    several = item.get("tool_messages")
    return [inner for inner in several if isinstance(inner, dict)] if isinstance(several, list) else [item]


def _spoken(turn: Row) -> Row:
    """A message in OpenAI's words; a tool's carries the id of its call as `id`."""
    kept = {key: turn[key] for key in ("role", "content", "tool_calls", "name", "reasoning") if key in turn}
    return kept | ({"tool_call_id": turn.get("id")} if turn.get("role") == "tool" else {})


def _told(turn: Row) -> Row:
    told = {key: turn[key] for key in TOLD if turn.get(key) not in (None, [], {}, False)}
    raw = turn.get("raw_data")
    if isinstance(raw, dict) and (raw := {key: value for key, value in raw.items() if key != "message"}):
        told["raw_data"] = raw
    return told


def _sum(used: list[object], name: str) -> int | None:
    counts = [one.get(name) for one in used if isinstance(one, dict)]
    whole = [count for count in counts if isinstance(count, int) and not isinstance(count, bool) and abs(count) < 2**40]
    return sum(whole) if whole else None


def _given(policy: object, task: object, said: list[Message], rows: Rows) -> list[Message]:
    """What the agent was told beforehand, as far as the file tells it."""
    if any(message.role == "system" for message in said):
        return []
    before = [Message("system", policy)] if isinstance(policy, str) and policy else []
    ticket = task.get("ticket") if isinstance(task, dict) else None
    if isinstance(ticket, str) and ticket and not any(message.role == "user" for message in said):
        before.append(Message("user", ticket))
    if before:
        rows.note("the agent's system prompt is not in the file: its policy stands in for it", "policy")
    return before
