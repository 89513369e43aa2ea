"""Results of tau2-bench: one simulated conversation for each task and trial, with its reward.

Source: the result files that tau2-bench writes (`data/simulations/*.json`; github.com/sierra-research/tau2-bench).
"""

from collections.abc import Mapping
from typing import Any

from clworkbench.errors import SourceError
from clworkbench.evals.harnesses.rows import HarnessScores, gathered, number, text, whole

SCORER = "reward"


def is_tau2(document: object) -> bool:
    """Whether a JSON document is a result file."""
    return isinstance(document, dict) and isinstance(document.get("simulations"), list) and "info" in document


def read(document: object, place: str) -> HarnessScores:
    """The rewards of a result file's simulations.

    Args:
        document: the file's JSON.
        place: the file, for messages.

    Raises:
        SourceError: it is no result file.
    """
    if not isinstance(document, dict) or not is_tau2(document):
        raise SourceError(f"{place}: no 'info' and 'simulations' in it, so no result of tau2-bench. Try --format auto.")
    rows: list[dict[str, object]] = []
    left_out: list[tuple[str, str]] = []
    for at, simulation in enumerate(document["simulations"]):
        if not isinstance(simulation, Mapping) or not isinstance(simulation.get("task_id"), str | int):
            left_out.append((f"simulations[{at}]", "no task_id"))
        else:
            rows.append(_row(simulation))
    info = document["info"] if isinstance(document["info"], Mapping) else {}
    domain = _of(info, "environment_info", "domain_name")
    suite = f"tau2-{domain}" if isinstance(domain, str) else None
    return gathered(rows, left_out, model=text(_of(info, "agent_info", "llm")), suite=text(suite))


def _row(simulation: Mapping[str, Any]) -> dict[str, object]:
    reward = number(_of(simulation, "reward_info", "reward"))
    return {
        "example_id": text(str(simulation["task_id"])),
        "scorer": SCORER,
        "repetition": whole(simulation.get("trial")),
        "score": reward,
        "termination": text(simulation.get("termination_reason")),
        "error": None if reward is not None else "tau2-bench gave no reward",
        "n_output_tokens": _tokens(simulation.get("messages"), "completion_tokens"),
        "n_input_tokens": _tokens(simulation.get("messages"), "prompt_tokens"),
        "cost_usd": number(simulation.get("agent_cost")),
    }


def _tokens(messages: object, kind: str) -> int | None:
    """Tokens of the agent's messages together; null where none says."""
    told = messages if isinstance(messages, list) else []
    agent = [message for message in told if isinstance(message, Mapping) and message.get("role") == "assistant"]
    counts = [whole(_of(message, "usage", kind)) for message in agent]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _of(record: Mapping[str, Any], outer: str, inner: str) -> object:
    held = record.get(outer)
    return held.get(inner) if isinstance(held, Mapping) else None
