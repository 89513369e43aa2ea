"""Filters of an explorer: what was clicked together, as data and as one expression over signals."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from math import isfinite
from typing import get_args

import polars as pl

from clworkbench import expressions
from clworkbench.errors import ExpressionError
from clworkbench.slices import slice as slice_

Value = str | bool | int | float | None

OUTCOMES = {"good": "outcome = true", "bad": "outcome = false", "pending": "outcome is null"}
"""The states of an outcome, each as an expression."""

SAID = ("text", "answer")
"""Where a text is looked for."""

_META = re.compile(r"[\\.+*?()|\[\]{}^$#&~-]")
"""What a pattern would not take as it stands. An expression may not hold `(select` even so: a bracket gets its code."""


@dataclass(frozen=True)
class Filters:
    """Conditions that a signal meets all of; an empty one asks nothing.

    Attributes:
        slice: the name of one of `[slices]`.
        outcome: states of the outcome, any of which will do: good, bad, pending.
        values: by column or attribute, the values of which any will do; None is no value. Of a list it is a member.
        text: stands in what the user said last or in the answer, in small or capital letters.
        since: the first day (UTC), as `2026-03-01`.
        until: the last day (UTC), which still counts.
        where: a further expression.
        area: of the map of what was said: from x up to x, from y up to y. No expression tells it.
    """

    slice: str = ""
    outcome: tuple[str, ...] = ()
    values: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    text: str = ""
    since: str = ""
    until: str = ""
    where: str = ""
    area: tuple[float, ...] = ()

    @classmethod
    def of(cls, state: Mapping[str, object]) -> "Filters":
        """Filters as `state` gives them.

        Raises:
            ExpressionError: there is no such filter, or a value is none that it takes.
        """
        names = [each.name for each in fields(cls)]
        if unknown := [name for name in state if name not in names]:
            raise ExpressionError(f"filters: no filter {unknown[0]!r}. There are {', '.join(names)}.")
        texts = {name: _text(name, state.get(name)) for name in ("slice", "text", "where")}
        days = {name: _day(name, state.get(name)) for name in ("since", "until")}
        outcome = _listed("outcome", state.get("outcome"))
        if wrong := [each for each in outcome if each not in OUTCOMES]:
            raise ExpressionError(f"filters: outcome {wrong[0]!r} is none of {', '.join(OUTCOMES)}.")
        columns = state.get("values") or {}
        if not isinstance(columns, Mapping):
            raise ExpressionError(f"filters: values {columns!r} is no table. Write a list of values for each column.")
        values = {str(name): _values(str(name), of_column) for name, of_column in columns.items() if of_column}
        area = _area(state.get("area"))
        return cls(outcome=tuple(str(each) for each in outcome), values=values, area=area, **texts, **days)

    def state(self) -> dict[str, object]:
        """The filters as JSON can hold them, without the empty ones."""
        told: dict[str, object] = {each.name: getattr(self, each.name) for each in fields(self)}
        told |= {"outcome": list(self.outcome), "area": list(self.area)}
        told |= {"values": {name: list(some) for name, some in self.values.items()}}
        return {name: value for name, value in told.items() if value}

    def sql(self, schema: pl.Schema, slices: Mapping[str, str] | None = None) -> str:
        """All of it but the area as one expression over signals, empty where nothing is asked.

        Args:
            schema: of the signals.
            slices: the expressions of `[slices]`, to hold the slice's as well; without them it is left out.

        Raises:
            ExpressionError: the further expression cannot be read, or names a column that is not there.
            SettingsError: there is no slice of that name.
        """
        parts = [slice_.named(slices, self.slice).expression] if slices is not None and self.slice else []
        parts += [" or ".join(OUTCOMES[each] for each in self.outcome)]
        parts += [_any_of(name, some, schema) for name, some in self.values.items()]
        parts += [_said(self.text, schema) if self.text else "", *self._days()]
        if self.where:
            expressions.parse(self.where, schema.names())
            parts.append(self.where)
        asked = [part for part in parts if part]
        return asked[0] if len(asked) == 1 else " and ".join(f"({part})" for part in asked)

    def _days(self) -> list[str]:
        """The moments at which the days begin and end."""
        since = f"started_at >= timestamp '{self.since} 00:00:00'" if self.since else ""
        after = date.fromisoformat(self.until) + timedelta(days=1) if self.until else ""
        return [since, f"started_at < timestamp '{after} 00:00:00'" if after else ""]


def _any_of(name: str, values: tuple[Value, ...], schema: pl.Schema) -> str:
    column, dtype = expressions.name_in_sql(name), schema.get(name)
    literals = [_literal(value) for value in values if value is not None]
    if isinstance(dtype, pl.List):
        parts = [f"array_contains({column}, {each})" for each in literals]
    else:
        parts = [f"{column} in ({', '.join(literals)})"] if literals else []
    return " or ".join([*parts, *([f"{column} is null"] if None in values else [])])


def _said(text: str, schema: pl.Schema) -> str:
    """Found in any column that holds what was said; in none where there is no such column."""
    pattern = _META.sub(r"\\\g<0>", text).replace(r"\(", r"\x28").replace("'", "''")
    columns = [name for name in SAID if name in schema]
    return " or ".join(f"regexp_like({name}, '{pattern}', 'i')" for name in columns) or "false"


def _literal(value: Value) -> str:
    if isinstance(value, str):
        return expressions.text_in_sql(value)
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _text(name: str, value: object) -> str:
    if value is None or isinstance(value, str):
        return (value or "").strip() if name != "text" else value or ""
    raise ExpressionError(f"filters: {name} {value!r} is no text.")


def _day(name: str, value: object) -> str:
    text = _text(name, value)
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        raise ExpressionError(f"filters: {name} {text[:40]!r} is no day. Write it as 2026-03-31.") from None
    if day is not None and not 1 < day.year < date.max.year:
        raise ExpressionError(f"filters: {name} {text!r} lies outside the calendar. Write it as 2026-03-31.")
    return day.isoformat() if day else ""


def _area(value: object) -> tuple[float, ...]:
    found = _listed("area", value)
    if not found:
        return ()
    numbers = tuple(float(each) for each in found if isinstance(each, int | float) and isfinite(each))
    if len(numbers) != len(found) or len(found) != 4 or numbers[0] >= numbers[1] or numbers[2] >= numbers[3]:
        raise ExpressionError(f"filters: area {value!r} is none. Write four numbers: from x to x, from y to y.")
    return numbers


def _listed(name: str, value: object) -> list[object]:
    if value is None or isinstance(value, list | tuple):
        return list(value or ())
    raise ExpressionError(f"filters: {name} {value!r} is no list.")


def _values(name: str, value: object) -> tuple[Value, ...]:
    found: list[Value] = []
    for each in _listed(f"values of {name}", value):
        if not isinstance(each, get_args(Value)) or (isinstance(each, float) and not isfinite(each)):
            raise ExpressionError(f"filters: {each!r} among the values of {name!r} is neither text nor number.")
        found.append(each)
    return tuple(found)
