"""Roles, contents and tool calls of real traces against what Langfuse itself makes of them, message by message."""

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from clworkbench.settings import Source
from tests.signals.whole import read_whole

DIFFERENCES = {
    ("agno-2025-06-11", "ca136de468e156c9", "input"): "read from a Python representation",
    ("agno-2025-06-11", "b38a82eaa62b551e", "input"): "read from a Python representation",
    ("agno-2025-06-11", "6581e147aec6793a", "output"): "a list that is no messages",
    ("crewai-2025-07-11", "0dd92fffb354f15b", "output"): "an object that is no message",
    ("vercel-aisdk-2025-11-17", "e9bb8c191e1e4706", "output"): "an object that is no message",
    ("pydantic-ai-2025-06-06", "5cb389a3bdd21a6e", "output"): "a choice's message",
    ("pydantic-ai-tools-2025-06-06", "5cb389a3bdd21a6e", "output"): "a choice's message",
}
"""The sides that differ, by the row of the table in docs/conformance.md that gives the reason."""


class Heard(NamedTuple):
    """What is compared of a message."""

    role: object
    content: object
    tool_calls: tuple[tuple[object, object, object], ...]
    tool_call_id: object


def expected(message: dict[str, object]) -> Heard:
    calls = message.get("tool_calls") or []
    assert isinstance(calls, list)
    role = "assistant" if message.get("role") == "model" else message.get("role")
    said = tuple((call["id"], call["name"], call["arguments"]) for call in calls)
    return Heard(role, message.get("content"), said, message.get("tool_call_id"))


def read(message: dict[str, object], like: Heard | None) -> Heard:
    """Our message; its content as the JSON value that it is, where the expected one is such a value."""
    content = message["content"]
    if like is not None and isinstance(like.content, list | dict):
        content = json.loads(str(content))
    calls = message["tool_calls"] or []
    assert isinstance(calls, list)
    said = tuple((call["id"], call["name"], call["arguments"]) for call in calls)
    return Heard(message["role"], content, said, message["tool_call_id"])


class Compared(NamedTuple):
    same: Counter[str]
    different: dict[tuple[str, str, str], list[tuple[Heard | None, Heard | None]]]


@pytest.fixture(scope="module")
def compared(shared_data: Path) -> Compared:
    same: Counter[str] = Counter()
    different: dict[tuple[str, str, str], list[tuple[Heard | None, Heard | None]]] = {}
    for path in sorted((shared_data / "langfuse_framework_traces").glob("*.trace.json")):
        name = path.name.removesuffix(".trace.json")
        golden = json.loads(path.with_name(f"{name}.chatml.json").read_text())
        rows = {row["source_id"]: row for row in read_whole(path, Source("l")).interactions.to_dicts()}
        for own_id, sides in golden.items():
            for side, normalised in sides.items():
                if not normalised["success"]:
                    continue
                wanted = [expected(message) for message in normalised["data"]]
                ours = rows[own_id][side] or []
                longest = max(len(wanted), len(ours))
                for at in range(longest):
                    like = wanted[at] if at < len(wanted) else None
                    found = read(ours[at], like) if at < len(ours) else None
                    if found == like:
                        same[name] += 1
                    else:
                        different.setdefault((name, own_id, side), []).append((like, found))
    return Compared(same, different)


def test_every_message_that_langfuse_normalised_is_the_same_but_for_the_listed_sides(compared: Compared) -> None:
    assert set(compared.different) == set(DIFFERENCES)
    assert compared.same.total() == 61


def test_no_listed_side_differs_in_a_message_of_which_langfuse_read_a_role_or_a_content(compared: Compared) -> None:
    """What differs is only what Langfuse kept as plain JSON: it has neither role nor content there."""
    for pairs in compared.different.values():
        for wanted, _ in pairs:
            assert wanted is None or wanted == Heard(None, None, (), None)


def test_the_listed_sides_say_more_than_langfuse_read(compared: Compared) -> None:
    for pairs in compared.different.values():
        assert any(found is not None and found.role and (found.content or found.tool_calls) for _, found in pairs)


def test_each_listed_difference_has_its_reason_in_the_table() -> None:
    table = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text()
    for reason in set(DIFFERENCES.values()):
        assert f"| {reason}" in table, reason
