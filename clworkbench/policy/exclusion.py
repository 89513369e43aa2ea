"""Exclusion: which rows a rule of the policy keeps out, and which rule it was."""

from collections.abc import Mapping, Sequence

import polars as pl
from polars.exceptions import PolarsError

from clworkbench import expressions
from clworkbench.errors import SettingsError
from clworkbench.schemas import MESSAGES
from clworkbench.settings import ExclusionRule

MESSAGE_TEXTS = ("content", "name", "parts")
ROW_TEXTS = ("error", "comment", "value", "attributes")


def excluded(frame: pl.DataFrame, rules: Sequence[ExclusionRule], slices: Mapping[str, str]) -> pl.Series:
    """The first rule that excludes each row.

    Args:
        frame: signals, or rows of `schemas.INTERACTIONS`.
        rules: all conditions of a rule must hold; where one is unknown (null), it does not.
        slices: `[slices]` of clw.toml, by name.

    Returns:
        `excluded_by`: a rule's name, or null, for each row in order.

    Raises:
        ExpressionError: a rule's expression cannot be read, or fails on these rows.
        SettingsError: a rule's pattern is no regular expression.
    """
    first = pl.Series("excluded_by", [None], dtype=pl.String).new_from_index(0, frame.height)
    for rule in reversed(rules):
        first = first.set(matches(frame, rule, slices), rule.name)
    return first


def matches(frame: pl.DataFrame, rule: ExclusionRule, slices: Mapping[str, str]) -> pl.Series:
    """In which rows all conditions of one rule hold; arguments and errors as for `excluded`."""
    place = f"policy.exclude.{rule.name}"
    found = pl.repeat(value=True, n=frame.height, eager=True)
    if rule.source is not None:
        found &= (frame["source"] == rule.source).fill_null(value=False)
    conditions = [(rule.where, place), (slices.get(rule.slice or ""), f"slices.{rule.slice}")]
    for text, named in conditions:
        if text is not None:
            found &= expressions.holds(frame, text, where=named)
    if rule.pattern is not None:
        found &= _speaks_of(frame, rule.pattern, place)
    return found


def _speaks_of(frame: pl.DataFrame, pattern: str, place: str) -> pl.Series:
    """Whether any text of a row matches: its messages, their tool calls, its error, comment, value and attributes."""
    said = [_in_messages(name, pattern) for name, dtype in frame.schema.items() if dtype == MESSAGES]
    said += [pl.col(name).str.contains(pattern) for name in ROW_TEXTS if name in frame.columns]
    try:
        found = frame.select(said=pl.any_horizontal(said))["said"]
    except PolarsError as error:
        reason = str(error).partition("\n\nThis error")[0].strip()
        raise SettingsError(
            f"[{place}] pattern = {pattern!r}: not a regular expression: {reason}\n"
            "Mend it, or put a backslash before what is meant literally."
        ) from None
    return found.fill_null(value=False)


def _in_messages(column: str, pattern: str) -> pl.Expr:
    message = pl.element().struct
    texts = [message.field(name).str.contains(pattern) for name in MESSAGE_TEXTS]
    arguments = pl.element().struct.field("arguments").str.contains(pattern)
    calls = message.field("tool_calls").list.eval(arguments).list.any()
    return pl.col(column).list.eval(pl.any_horizontal(*texts, calls)).list.any()
