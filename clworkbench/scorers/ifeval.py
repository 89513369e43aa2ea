"""Verifiable instructions by the ids of IFEval: was each thing that the prompt asked of the answer's form done?

Source: Zhou et al. 2023, Instruction-Following Evaluation for Large Language Models (arXiv 2311.07911): the
instructions of table 1 and appendix, and section 2.2 for the strict and the loose reading.
"""

import json
from collections.abc import Callable

import polars as pl

from clworkbench.errors import ClwError
from clworkbench.scorers.ifeval_checks import CHECKS, Check, Kwargs
from clworkbench.scorers.json_answers import parsed
from clworkbench.scorers.scorer import Graded, Scorer, nobody_can_say

FORM = 'expected is a JSON list of instructions, such as [{"id": "punctuation:no_comma", "kwargs": {}}]'


def ifeval(name: str) -> Scorer:
    """1 where an output follows all instructions that its example names.

    `ifeval` reads the output as it is. `ifeval:loose` accepts it too without its first line, its last, or both, and
    each of these without asterisks: an introduction or emphasis is then forgiven.

    Raises:
        ClwError: something else than `loose` stands after the colon.
    """
    if name not in ("ifeval", "ifeval:loose"):
        raise ClwError(f"scorer {name!r}: unknown. Write ifeval (strict) or ifeval:loose.")
    readings = loose if name == "ifeval:loose" else strict

    def grade(outputs: pl.Series, expected: pl.Series, _inputs: pl.Series | None) -> Graded:
        found = [_graded(said, wanted, readings) for said, wanted in zip(outputs, expected, strict=True)]
        score, error = ([each[at] for each in found] for at in (0, 1))
        return Graded(pl.Series("score", score, dtype=pl.Float64), pl.Series("error", error, dtype=pl.String))

    return Scorer(name, grade, nobody_can_say)


def strict(output: str) -> list[str]:
    """The output as it is."""
    return [output]


def loose(output: str) -> list[str]:
    """The output, without its first line, its last, and both; and each of these without asterisks."""
    lines = output.split("\n")
    cut = [lines, lines[1:], lines[:-1], lines[1:-1]]
    plain = [output, *("\n".join(part).strip() for part in cut[1:])]
    return [*plain, *(text.replace("*", "") for text in plain)]


def _graded(
    output: str | None, expected: str | None, readings: Callable[[str], list[str]]
) -> tuple[float | None, str | None]:
    asked = _instructions(expected)
    if isinstance(asked, str):
        return None, asked
    texts = [text for text in readings(output or "") if text.strip()]
    try:
        # Each instruction is tried on some text even where there is none, so that a wrong argument is always told.
        followed = [any(check(text, kwargs) for text in texts or ["x"]) for check, kwargs in asked]
    except (KeyError, TypeError, ValueError) as error:
        return None, f"an argument is missing or of another kind: {error}"
    return float(bool(texts) and all(followed)), None


def _instructions(expected: str | None) -> list[tuple[Check, Kwargs]] | str:
    """Checks and their arguments, or why there are none."""
    listed = parsed(expected)
    if not isinstance(listed, list) or not listed:
        return FORM
    found: list[tuple[Check, Kwargs]] = []
    for each in listed:
        name = each.get("id", each.get("instruction_id")) if isinstance(each, dict) else None
        if not isinstance(each, dict) or not isinstance(name, str):
            return f"{json.dumps(each)[:80]} is no instruction; {FORM}"
        if name not in CHECKS:
            return f"instruction {name!r} is not known here, so this example is not graded"
        kwargs = each.get("kwargs") or {}
        if not isinstance(kwargs, dict):
            return f"the kwargs of {name!r} are no object; {FORM}"
        found.append((CHECKS[name], {key: value for key, value in kwargs.items() if value is not None}))
    return found
