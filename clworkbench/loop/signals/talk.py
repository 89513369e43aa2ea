"""A conversation as the explorer shows it: who said what, with tool calls, and what was said about it later."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite

import polars as pl

LONGEST = 20_000
"""Characters of a text that go to a browser."""

MESSAGES = 200
FEEDBACK = 100

FACTS = (
    "interaction_id", "started_at", "outcome", "outcome_rule", "app", "environment", "source", "provider", "model",
    "model_version", "release_id", "latency_ms", "n_input_tokens", "n_output_tokens", "cost_usd", "confidence",
    "finish_reason", "error",
)  # fmt: skip


def talk(signal: Mapping[str, object], feedback: pl.DataFrame, *, turns: Sequence[str]) -> dict[str, object]:
    """One signal, as JSON.

    Args:
        signal: a row of the signals.
        feedback: rows of `schemas.FEEDBACK` with `seq` that are about it, every version.
        turns: the ids of all signals of its conversation, by time.

    Returns:
        `messages` (what went in and came out: `role`, `name`, `text`, `calls` of tools), `left_out` (the number of
        messages before the first of 200), `feedback` (by time; the last 100), `facts`, `turns`.
    """
    output = _messages(signal.get("output"), is_output=True)
    said = [*_messages(signal.get("input"), is_output=False), *output]
    latest = feedback.sort("seq", maintain_order=True).unique("feedback_id", keep="last", maintain_order=True)
    return {
        "messages": said[-MESSAGES:],
        "left_out": max(0, len(said) - MESSAGES),
        "feedback": [_said(row) for row in latest.sort("at", nulls_last=False).tail(FEEDBACK).iter_rows(named=True)],
        "facts": {name: _plain(signal[name]) for name in FACTS if signal.get(name) is not None},
        "turns": list(turns),
    }


def _messages(found: object, *, is_output: bool) -> list[dict[str, object]]:
    if not isinstance(found, list):
        return []
    return [
        {
            "role": each["role"] or "",
            "name": each["name"] or "",
            "text": _cut(each["content"]),
            "calls": [
                {"name": call["name"] or "", "arguments": _cut(call["arguments"])}
                for call in each["tool_calls"] or []
                if call is not None
            ],
            "answer": is_output,
        }
        for each in found
        if each is not None
    ]


def _said(row: Mapping[str, object]) -> dict[str, object]:
    improvement = row["improvement"]
    better = [str(each["content"]) for each in improvement if each and each["content"]] if improvement else []  # type: ignore[attr-defined]
    told = {name: _plain(row[name]) for name in ("name", "kind", "score", "origin", "at")}
    return {
        **told,
        "value": _cut(row["value"]),
        "comment": _cut(row["comment"]),
        "improvement": _cut("\n".join(better)),
    }


def _plain(value: object) -> object:
    if isinstance(value, float) and not isfinite(value):
        return None
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else value


def _cut(text: object) -> str:
    if text is None:
        return ""
    whole = str(text)
    left = len(whole) - LONGEST
    return whole if left <= 0 else f"{whole[:LONGEST]}… ({left:,} characters more)"
