"""What all verbs share: the workspace's option, `--json`, and errors in words with exit status 2."""

import functools
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import click

from clworkbench.display.text import visible
from clworkbench.errors import BudgetError, ClwError, WorkspaceError

Answer = tuple[dict[str, object], Sequence[str]]
"""What a verb found: for scripts, and as lines for a person."""

Function = TypeVar("Function", bound=Callable[..., object])


class InOrder(click.Group):
    """Lists its commands in the order in which one uses them: as they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names."""
        del ctx
        return list(self.commands)


class Moment(click.ParamType[datetime]):
    """A point in time: ISO 8601, UTC where no zone is given."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parses the text, or fails in words."""
        from clworkbench.workspace.catalog import as_moment

        try:
            return as_moment(value if isinstance(value, datetime) else str(value))
        except WorkspaceError as error:
            self.fail(str(error), param, ctx)


@dataclass(frozen=True)
class No:
    """An answer that is 'no': exit status 1."""

    answer: Answer


def workspace_option(function: Function) -> Function:
    """Adds `--workspace`."""
    return click.option(
        "--workspace",
        metavar="DIR",
        default=lambda: os.environ.get("CLW_WORKSPACE", "."),
        show_default="CLW_WORKSPACE, or the folder at hand",
        help="The workspace to work in.",
    )(function)


def answers(function: Callable[..., Answer | No]) -> Callable[..., None]:
    """Adds `--json` and prints what the verb found; 'no' exits with 1, and so does a budget that is spent."""

    @click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON object on standard output.")
    @functools.wraps(function)
    def run(as_json: bool, **options: object) -> None:
        try:
            found = function(**options)
        except BudgetError as error:
            found = No(({"why": str(error)}, [visible(str(error))]))
        payload, lines = found.answer if isinstance(found, No) else found
        click.echo(json.dumps(payload, default=str, ensure_ascii=False) if as_json else "\n".join(lines))
        if isinstance(found, No):
            raise click.exceptions.Exit(1)

    return run


def said(record: Path | None) -> dict[str, object]:
    """Where the record of this call lies, for scripts; nothing where none was written."""
    return {} if record is None else {"record": str(record)}


def recorded(record: Path | None) -> list[str]:
    """The same for a person."""
    return [] if record is None else [f"Recorded: {record}; `clw reproduce` on it runs this again."]


def known_at(function: Function) -> Function:
    """Adds `--as-of` and `--event-time`."""
    event_time = click.option(
        "--event-time", is_flag=True, help="Go by the events' own dates, not by when they were committed."
    )
    as_of = click.option("--as-of", type=Moment(), help="Only what was known by then.")
    return as_of(event_time(function))


def say(line: str) -> None:
    """A line for the person, never for the script."""
    click.echo(visible(line), err=True)


def in_words(error: ClwError) -> str:
    """An error as a person reads it."""
    return f"clw: {visible(str(error))}"
