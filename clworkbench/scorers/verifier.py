"""Verifiers in plain Python: a person's own function, in a file beside `clw.toml` or a module that is installed."""

import hashlib
import re
import sys
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path

import polars as pl

from clworkbench.errors import ClwError
from clworkbench.files import sha256_file
from clworkbench.scorers.apart import Apart
from clworkbench.scorers.scorer import Graded, Place, Scorer, here, nobody_can_say

FORM = (
    "Write python:checks.py:is_right, for the function `def is_right(output: str, expected: str | None) -> bool` in "
    "checks.py beside clw.toml, or python:package.module:is_right."
)
PIN = re.compile(r"@([0-9a-f]{12})$")


def verifier(name: str) -> Scorer:
    """A function's own score of an output: `python:checks.py:is_right`, or with `@` and its file's SHA-256 behind it.

    It runs in a process of its own, 5 s an example. What it prints goes nowhere; an example on which it raises, takes
    too long, ends its process or returns no number from 0 to 1 is not graded, and its error is kept.

    Raises:
        ClwError: there is no such file or module, the name has another form, `clw.toml` does not name it, or it was
            changed since its name was pinned.
    """
    place = here()
    pinned = PIN.search(name)
    plain_name = name[: pinned.start()] if pinned else name
    source, function = _parts(plain_name)
    if place.trusted is not None and plain_name not in place.trusted:
        raise ClwError(
            f"scorer {name!r}: not in clw.toml, and code runs only where [evals] scorers or [training] verifier name "
            "it. Look at the code first."
        )
    file = place.file(source, f"scorer {name!r}") if source.endswith(".py") else _module_file(source, place, name)
    sha256 = sha256_file(file)
    if pinned and not sha256.startswith(pinned[1]):
        raise ClwError(
            f"scorer {name!r}: {file.name} was changed since: its SHA-256 is {sha256[:12]}… now. Build the training "
            "set again, or bring the old file back."
        )
    apart = Apart(name, str(file) if source.endswith(".py") else source, function, place.folder.resolve())
    expected_is_answer = cache(apart.expected_is_answer)

    def grade(outputs: pl.Series, expected: pl.Series, _inputs: pl.Series | None) -> Graded:
        return apart.graded(outputs, expected)

    def gold(expected: pl.Series) -> pl.Series:
        return expected if expected_is_answer() else nobody_can_say(expected)

    return Scorer(name, grade, gold, content=lambda: hashlib.sha256(f"{function} {sha256}".encode()).hexdigest())


def pinned(name: str) -> str:
    """A verifier's name with the hash of its file behind it, so that rows which bear it mean that content only.

    Other scorers' names stay as they are.

    Raises:
        ClwError: as for `verifier`.
    """
    if not name.startswith("python:") or PIN.search(name):
        return name
    source, _ = _parts(name)
    place = here()
    file = place.file(source, f"scorer {name!r}") if source.endswith(".py") else _module_file(source, place, name)
    return f"{name}@{sha256_file(file)[:12]}"


def _parts(name: str) -> tuple[str, str]:
    source, _, function = name.removeprefix("python:").rpartition(":")
    dotted = source.endswith(".py") or all(part.isidentifier() for part in source.split("."))
    if not source or not dotted or not function.isidentifier():
        raise ClwError(f"scorer {name!r}: no file or module and function. {FORM}")
    return source, function


def _module_file(module: str, place: Place, name: str) -> Path:
    """The file of a module, found without importing it or what it stands in."""
    path: list[str] | None = [str(place.folder.resolve()), *sys.path]
    parts = module.split(".")
    spec = None
    for at in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:at]), path) if path is not None else None
        path = list(spec.submodule_search_locations or []) if spec is not None else None
    if spec is None or not spec.has_location or spec.origin is None:
        raise ClwError(f"scorer {name!r}: no module {module!r} in Python source. {FORM}")
    return Path(spec.origin)
