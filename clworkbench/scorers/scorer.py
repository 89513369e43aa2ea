"""What a scorer is: how it grades, what a right answer to it looks like, and where it finds what its name speaks of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from clworkbench.errors import ClwError
from clworkbench.models.names import ModelSpec, base_spec


class Graded(NamedTuple):
    """Scores of outputs, in their order.

    Attributes:
        score: Float64; null where the scorer cannot grade.
        error: text; why it cannot, where it knows.
    """

    score: pl.Series
    error: pl.Series


class OnGold(NamedTuple):
    """Scores of the right answers themselves.

    Attributes:
        score: as `Graded` has it.
        error: likewise.
        gradable: whether the right answer has full marks, or, where nobody can say which that is, a score at all.
    """

    score: pl.Series
    error: pl.Series
    gradable: pl.Series


Grade = Callable[[pl.Series, pl.Series, pl.Series | None], Graded]
"""From outputs, expected answers and, where a scorer reads them, inputs (lists of messages)."""


def the_answer_itself(expected: pl.Series) -> pl.Series:
    """What is right where `expected` is an answer."""
    return expected


def nobody_can_say(expected: pl.Series) -> pl.Series:
    """Nulls, where `expected` tells what is asked of an answer and not the answer."""
    return pl.Series("gold", [None] * len(expected), dtype=pl.String)


@dataclass(frozen=True)
class Scorer:
    """Grades outputs: called with outputs and expected answers, it gives their scores.

    Attributes:
        name: what scores, gates and settings call it.
        grade: 1 is right, 0 wrong (a null output too), null what cannot be graded.
        gold: from what is expected to what a model would write that answers so; null where nobody can say.
        content: the hash of what it grades with besides its name, such as a verifier's file or a model's weights.
        reads_input: it needs the prompts as well.
        scaled: its scores are 0 to 1; without that no answer has full marks, and a margin in points says nothing.
    """

    name: str
    grade: Grade
    gold: Callable[[pl.Series], pl.Series] = the_answer_itself
    content: Callable[[], str] | None = None
    reads_input: bool = False
    scaled: bool = True

    def __call__(self, outputs: pl.Series, expected: pl.Series, inputs: pl.Series | None = None) -> pl.Series:
        """Scores alone, of `graded`."""
        return self.graded(outputs, expected, inputs).score

    def graded(self, outputs: pl.Series, expected: pl.Series, inputs: pl.Series | None = None) -> Graded:
        """Scores, and why some are null.

        Args:
            outputs: what the model wrote.
            expected: what the example expects.
            inputs: what it was asked: lists of `schemas.MESSAGE`.

        Raises:
            ClwError: the scorer reads inputs and there are none, or what it grades with cannot be used.
        """
        if self.reads_input and inputs is None:
            raise ClwError(f"scorer {self.name!r}: reads the prompt too, so it grades suites and verifies no rows.")
        if outputs.is_empty():
            return Graded(pl.Series("score", [], dtype=pl.Float64), pl.Series("error", [], dtype=pl.String))
        return self.grade(outputs.cast(pl.String), expected.cast(pl.String), inputs)

    def on_gold(self, expected: pl.Series, inputs: pl.Series | None = None) -> OnGold:
        """How it grades the right answers: where it cannot, no model's answer says anything. As `graded`."""
        gold = self.gold(expected)
        score, error = self.graded(gold, expected, inputs)
        gradable = (score == 1) | (gold.is_null() & score.is_not_null())
        return OnGold(score, error, gradable.fill_null(value=False))


def plain(
    name: str,
    score: Callable[[pl.Series, pl.Series], pl.Series],
    gold: Callable[[pl.Series], pl.Series] = the_answer_itself,
) -> Scorer:
    """A scorer of outputs and expected answers that says no more than the score."""

    def grade(outputs: pl.Series, expected: pl.Series, _inputs: pl.Series | None) -> Graded:
        return Graded(score(outputs, expected), pl.Series("error", [None] * len(outputs), dtype=pl.String))

    return Scorer(name, grade, gold)


@dataclass(frozen=True)
class Place:
    """Where scorers find what their names speak of.

    Attributes:
        folder: the workspace's, in which the files of verifiers and schemas are.
        model: what the name of a reward model stands for.
        trusted: the verifiers whose code may run, by name: those that `clw.toml` names. Any when None.
        judge: the scorer of a judge, by the judge's name; None where there is no endpoint to ask.
    """

    folder: Path = Path()
    model: Callable[[str], ModelSpec] = base_spec
    trusted: frozenset[str] | None = None
    judge: Callable[[str], Scorer] | None = None

    def file(self, name: str, where: str) -> Path:
        """A file within the folder.

        Raises:
            ClwError: it is not there, or not within.
        """
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise ClwError(f"{where}: {name!r} is not within the workspace's folder. Put the file beside clw.toml.")
        if not path.is_file():
            raise ClwError(f"{where}: no file {name!r} in {self.folder.resolve()}. Put it there, beside clw.toml.")
        return path


_PLACE: ContextVar[Place] = ContextVar("place", default=Place())  # noqa: B039 (a Place is frozen)


def here() -> Place:
    """Where scorers are looked up now: the current folder, unless `within` says another."""
    return _PLACE.get()


@contextmanager
def within(place: Place) -> Iterator[None]:
    """In this block, scorers' names are looked up in that place."""
    token = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(token)
