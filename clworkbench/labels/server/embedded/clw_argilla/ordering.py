"""Argilla's sorts as SQL: missing values last, ties by the order in which records came."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

from argilla_server.search_engine.base import (
    MetadataFilterScope,
    Order,
    RecordFilterScope,
    ResponseFilterScope,
    SuggestionFilterScope,
)

from .conditions import COLUMNS, QUESTION, SINGLE, Condition, Value, question_path, suggestion_value
from .rows import Index

PRIME = 4294967291  # the largest below 2 ** 32


def ordered(sort: Sequence[Order], index: Index) -> Condition:
    """The ORDER BY of a list of sorts over rows `d`.

    Of several values in one record the least counts when ascending and the greatest when descending; of several
    people's ratings the mean.
    """
    terms, values = [], []
    for order in sort:
        descending = str(getattr(order.order, "value", order.order)) == "desc"
        expression = _expression(order, index, "max" if descending else "min")
        terms.append(f"{expression.sql} {'DESC' if descending else 'ASC'} NULLS LAST")
        values += expression.values
    return Condition(", ".join([*terms, "d.key"]), values)


def shuffled(user_id: UUID | str) -> Condition:
    """An order that looks random, differs from person to person and stays the same for each, over a rebuild too."""
    digest = hashlib.blake2b(str(user_id).encode(), digest_size=8).digest()
    step, start = int.from_bytes(digest[:4]) % (2**30 - 1) + 1, int.from_bytes(digest[4:])
    return Condition("(d.spot * ? + ?) % ?, d.key", [step, start, PRIME])


def _expression(order: Order, index: Index, pick: str) -> Condition:
    scope = order.scope
    if isinstance(scope, RecordFilterScope):
        name = str(getattr(scope.property, "value", scope.property))
        return Condition(f"d.{COLUMNS.get(name, name)}", [])
    if isinstance(scope, MetadataFilterScope):
        sql = f"(SELECT {pick}(j.value) FROM {index.meta} j WHERE j.key = d.key AND +j.name = ?)"
        return Condition(sql, [scope.metadata_property])
    if isinstance(scope, SuggestionFilterScope):
        tables, value = suggestion_value(scope)
        sql = f"(SELECT {pick}({value}) FROM {tables} WHERE s.record_id = d.record_id AND {QUESTION})"
        return Condition(sql, [index.dataset_id, scope.question])
    return _response(scope, pick)


def _response(scope: ResponseFilterScope, pick: str) -> Condition:
    mine, user = (" AND p.user_id = ?", [scope.user.id.hex]) if scope.user else ("", [])
    if not scope.question:
        return Condition(
            f"(SELECT {pick}(p.status) FROM truth.responses p WHERE p.record_id = d.record_id{mine})", user
        )
    value = f"CASE WHEN max(typeof({SINGLE})) IN ('integer', 'real') THEN avg(j.value) ELSE {pick}({SINGLE}) END"
    tables = 'truth.responses p, json_each(p."values", ?) j'
    values: list[Value] = [question_path(scope.question), *user]
    return Condition(f"(SELECT {value} FROM {tables} WHERE p.record_id = d.record_id{mine})", values)
