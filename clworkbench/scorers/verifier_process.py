"""Runs a verifier: a program of its own, which reads one example a line and answers each with a line.

It imports nothing of the package, so that it starts at once, and its answers have a channel of their own: what a
verifier prints goes nowhere, and what it reads is empty. It is started by `scorers.apart`.
"""

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

LONGEST = 300
"""Characters of an exception's own words that are kept."""


def main() -> None:
    """Answers `{"ready": …}` or `{"cannot": why}`, then for each `[output, expected]` its score or an error."""
    examples, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for own in (0, 1, 2):
        os.dup2(nowhere, own)

    def say(answer: dict[str, object]) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")

    sys.dont_write_bytecode = True
    source, name = sys.argv[1:3]
    sys.path.insert(0, os.path.dirname(source) if source.endswith(".py") else os.getcwd())
    try:
        function = getattr(loaded(source), name)
    except BaseException as error:  # noqa: BLE001 (a person's code may raise anything, SystemExit too)
        say({"cannot": in_words(error)})
        return
    say({"ready": True, "expected_is_answer": bool(getattr(function, "expected_is_answer", True))})
    for line in examples:
        say(graded(function, *json.loads(line)))


def loaded(source: str) -> ModuleType:
    """The module of a file, or of that name."""
    if not source.endswith(".py"):
        return importlib.import_module(source)
    spec = importlib.util.spec_from_file_location("verifier", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["verifier"] = module
    spec.loader.exec_module(module)
    return module


def graded(function: Callable[[str, str | None], Any], output: str, expected: str | None) -> dict[str, object]:
    """`score`, or `error` in words."""
    try:
        value = function(output, expected)
        score = None if value is None or isinstance(value, str | bytes) else float(value)
        if score is None or not 0 <= score <= 1:
            return {"error": f"returned {storable(repr(value))}; a score is True, False or a number from 0 to 1"}
    except BaseException as error:  # noqa: BLE001 (a person's code may raise anything, SystemExit too)
        return {"error": in_words(error)}
    return {"score": score}


def storable(text: str) -> str:
    """The beginning of a text, without halves of surrogate pairs, which no table takes."""
    return text[:LONGEST].encode("utf-8", "replace").decode()


def in_words(error: BaseException) -> str:
    """What was raised, and where in the person's own file."""
    told = storable(" ".join(str(error).split()))
    frame, line = error.__traceback__, None
    while frame is not None:
        if frame.tb_frame.f_code.co_filename != __file__:
            line = frame.tb_lineno
        frame = frame.tb_next
    if isinstance(error, SystemExit):
        return f"called exit ({told or 0})" + (f", line {line}" if line else "")
    where = f" (line {line})" if line and not isinstance(error, SyntaxError) else ""
    return f"{type(error).__name__}: {told}{where}" if told else f"{type(error).__name__}{where}"


if __name__ == "__main__":
    main()
