"""Argilla's filters as SQL conditions on a row `d` of a dataset's records in the side file."""

import json
import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.search_engine.base import (
    AndFilter,
    Filter,
    MetadataFilterScope,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SuggestionFilterScope,
    TermsFilter,
)

from .rows import Index

Value = str | int | float
COLUMNS = {"id": "record_id", "external_id": "external_id", "status": "status"}
TIMES = ("inserted_at", "updated_at")
PENDING = "pending"

SINGLE = "CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE j.value END"
"""One value of `json_each`; SQLite shows a JSON Boolean as 0 or 1."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_MOMENT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)?(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?)?)?)?(Z|[+-]\d\d(?::?\d\d)?)?"
)


class Condition(NamedTuple):
    """SQL that is true or false for a row, and the values of its question marks."""

    sql: str
    values: list[Value]


def condition(filter: Filter, index: Index, *, few: bool) -> Condition:
    """What a filter asks of `d`.

    Args:
        filter: as Argilla's routes build it.
        index: the dataset's tables.
        few: whether `d` runs over few rows (a text search): then each is looked up; otherwise the other side of a
            relation is read once, whole.

    Raises:
        UnprocessableEntityError: a filter that cannot be read, in words.
    """
    if isinstance(filter, AndFilter):
        parts = [condition(each, index, few=few) for each in filter.filters]
        return joined("AND", parts)
    scope = filter.scope
    if isinstance(scope, RecordFilterScope):
        return _record(filter, str(getattr(scope.property, "value", scope.property)))
    if isinstance(scope, MetadataFilterScope):
        plus = "+" if few else ""  # keeps SQLite from going through all values of this name for each row
        asked, name = compared(f"{plus}j.value", filter), f"{plus}j.name = ?"
        return _related(f"{index.meta} j", ("j.key", "key"), [name], [scope.metadata_property], asked, few=few)
    if isinstance(scope, SuggestionFilterScope):
        return _suggestion(filter, scope, index, few=few)
    if isinstance(scope, ResponseFilterScope):
        return _response(filter, scope, few=few)
    raise UnprocessableEntityError(f"The search cannot filter by {type(scope).__name__}.")


def joined(operator: str, parts: Sequence[Condition]) -> Condition:
    """Conditions joined by AND or OR."""
    return Condition(
        f" {operator} ".join(f"({part.sql})" for part in parts), [v for part in parts for v in part.values]
    )


def compared(value: str, filter: TermsFilter | RangeFilter) -> Condition:
    """An SQL value against the terms or bounds of a filter; bounds that are numbers compare with numbers only."""
    if isinstance(filter, TermsFilter):
        terms = [str(getattr(term, "value", term)) for term in filter.values]
        wanted: list[Value] = [*terms, *(number for term in terms if (number := _number(term)) is not None)]
        return Condition(f"{value} IN ({', '.join('?' * len(wanted))})", wanted)
    parts = []
    for sign, bound in ((">=", filter.ge), ("<=", filter.le)):
        if bound is not None:
            number = _number(bound)
            kinds = "('text')" if number is None else "('integer', 'real')"
            parts.append(
                Condition(f"{value} {sign} ? AND typeof({value}) IN {kinds}", [bound if number is None else number])
            )
    return joined("AND", parts)


def question_path(question: str) -> str:
    """Where a response's `values` hold the answer to a question."""
    return f"$.{json.dumps(question)}.value"


def suggestion_value(scope: SuggestionFilterScope) -> tuple[str, str]:
    """Tables and SQL value of a suggestion's property, over suggestions `s`."""
    if scope.property in ("agent", "type"):
        return "truth.suggestions s", f"s.{scope.property}"
    column = "score" if scope.property == "score" else "value"
    return f"truth.suggestions s, json_each(s.{column}) j", SINGLE


QUESTION = "s.question_id = (SELECT id FROM truth.questions WHERE dataset_id = ? AND name = ?)"


def _record(filter: TermsFilter | RangeFilter, name: str) -> Condition:
    if name in TIMES:
        return _times(filter, f"d.{name}")
    column = f"d.{COLUMNS[name]}"
    if isinstance(filter, TermsFilter):
        terms = [str(getattr(term, "value", term)) for term in filter.values]
        found: list[Value] = [term.replace("-", "").lower() if name == "id" else term for term in terms]
        return Condition(f"{column} IN ({', '.join('?' * len(found))})", found)
    parts = []
    for sign, bound in ((">=", filter.ge), ("<=", filter.le)):
        if bound is not None:
            parts.append(Condition(f"{column} {sign} ?", [str(bound).replace("-", "") if name == "id" else str(bound)]))
    return joined("AND", parts)


def _times(filter: TermsFilter | RangeFilter, column: str) -> Condition:
    if isinstance(filter, TermsFilter):
        times = [moment(term) for term in filter.values]
        return Condition(f"{column} IN ({', '.join('?' * len(times))})", [*times])
    parts = []
    if filter.ge is not None:
        parts.append(Condition(f"{column} >= ?", [moment(filter.ge)]))
    if filter.le is not None:
        parts.append(Condition(f"{column} <= ?", [moment(filter.le, latest=True)]))
    return joined("AND", parts)


def moment(value: Value, *, latest: bool = False) -> str:
    """A time as Argilla's database writes it (UTC).

    Args:
        value: an ISO date or time, or a year; a number: milliseconds since 1970.
        latest: what is left out of the time of day means its last microsecond, not its first.

    Raises:
        UnprocessableEntityError: no time.

    Source: Elasticsearch, format `strict_date_optional_time||epoch_millis`; range query, "Missing date components".
    """
    found = _MOMENT.fullmatch(str(value)) if isinstance(value, str) else None
    number = _number(value)
    try:
        if found:
            return _written(found, latest=latest)
        if number is not None:
            return f"{datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=number):%Y-%m-%d %H:%M:%S.%f}"
    except (ValueError, OverflowError):
        pass
    raise UnprocessableEntityError("A date to filter by is neither an ISO date nor milliseconds since 1970.")


def _written(found: re.Match[str], *, latest: bool) -> str:
    year, month, day, *clock, fraction, zone = found.groups()
    hour, minute, second = (
        int(given) if given else (last if latest else 0) for given, last in zip(clock, (23, 59, 59), strict=True)
    )
    micros = int(fraction[:6].ljust(6, "0")) if fraction else (999_999 if latest else 0)
    at = datetime(int(year), int(month or 1), int(day or 1), hour, minute, second, micros, tzinfo=_zone(zone))
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _zone(written: str | None) -> timezone:
    if written in (None, "Z"):
        return UTC
    digits = str(written)[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-ahead if str(written)[0] == "-" else ahead)


def _suggestion(
    filter: TermsFilter | RangeFilter, scope: SuggestionFilterScope, index: Index, *, few: bool
) -> Condition:
    tables, value = suggestion_value(scope)
    asked = compared(value, filter)
    joins, values = ("s.record_id", "record_id"), [index.dataset_id, scope.question]
    return _related(tables, joins, [QUESTION], values, asked, few=few)


def _response(filter: TermsFilter | RangeFilter, scope: ResponseFilterScope, *, few: bool) -> Condition:
    mine, user = (["p.user_id = ?"], [scope.user.id.hex]) if scope.user else ([], [])
    joins = ("p.record_id", "record_id")
    if scope.question:
        tables = 'truth.responses p, json_each(p."values", ?) j'
        values = [question_path(scope.question), *user]
        return _related(tables, joins, mine, values, compared(SINGLE, filter), few=few)
    if scope.property != "status" or not isinstance(filter, TermsFilter):
        raise UnprocessableEntityError("Responses are filtered by their status or by a question's value.")
    statuses = [str(getattr(status, "value", status)) for status in filter.values]
    parts = []
    if PENDING in statuses:
        anyone = _related("truth.responses p", joins, mine, user, Condition("1", []), few=few)
        parts.append(Condition(f"NOT {anyone.sql}", anyone.values))
    given: list[Value] = [status for status in statuses if status != PENDING]
    if given:
        asked = Condition(f"p.status IN ({', '.join('?' * len(given))})", given)
        parts.append(_related("truth.responses p", joins, mine, user, asked, few=few))
    return joined("OR", parts)


def _related(
    tables: str, joins: tuple[str, str], clauses: Iterable[str], values: Sequence[Value], asked: Condition, *, few: bool
) -> Condition:
    """Whether some row of `tables` belongs to `d` and is as asked; `joins`: its column, and that of `d`."""
    foreign, own = joins
    where = " AND ".join([*clauses, f"({asked.sql})"])
    if few:
        sql = f"EXISTS (SELECT 1 FROM {tables} WHERE {foreign} = d.{own} AND {where})"
    else:
        sql = f"d.{own} IN (SELECT {foreign} FROM {tables} WHERE {where})"
    return Condition(sql, [*values, *asked.values])


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return None
    number = float(value)
    return number if math.isfinite(number) else None
