"""One search: text, filters and sorts, or the nearest vectors, over a dataset's tables."""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple
from uuid import UUID

import numpy as np
from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.search_engine.base import Filter, Order, SearchResponseItem, SearchResponses, TextQuery

from . import ordering, query, side, sync, vectors
from .conditions import Condition, Value, condition, joined
from .fuzzy import spellings
from .rows import Index


class Source(NamedTuple):
    """Which rows `d` are asked for.

    `scored`: a text is sought, so rows have a score. `plain`: nothing else is asked, so the full-text table alone can
    count them.
    """

    tables: str
    where: Condition
    scored: bool
    plain: bool


def search(
    dataset_id: str,
    text: TextQuery | str | None,
    filter: Filter | None,
    sort: Sequence[Order] | None,
    offset: int,
    limit: int,
    user_id: UUID | str | None,
) -> SearchResponses:
    """A page of the records that are asked for, and how many there are in all.

    The order is that of `sort`; else the best match first; else each person's own; else that in which records came.
    """
    index = sync.checked(dataset_id)
    with side.reading() as conn:
        source = sources(conn, index, text, filter)
        counted, page = statements(index, source, sort, user_id)
        total = conn.execute(counted.sql, counted.values).fetchone()[0]
        rows = conn.execute(page.sql, [*page.values, limit, offset]).fetchall() if total > offset and limit else []
    items = [SearchResponseItem(record_id=UUID(record_id), score=score) for record_id, score in rows]
    return SearchResponses(items=items, total=total)


def similar(
    dataset_id: str,
    space: str,
    vector: Sequence[float],
    but: str | None,
    text: TextQuery | str | None,
    filter: Filter | None,
    k: int,
    threshold: float | None,
) -> SearchResponses:
    """The `k` records with the nearest vectors, without record `but`; `total` is how many were found, as there."""
    index = sync.checked(dataset_id)
    with side.reading() as conn:
        allowed = None
        if text is not None or filter is not None:
            source = sources(conn, index, text, filter)
            keys = conn.execute(f"SELECT d.key FROM {source.tables} WHERE {source.where.sql}", source.where.values)
            allowed = np.array([key for (key,) in keys], dtype=np.int64)
        own = conn.execute(f"SELECT key FROM {index.doc} WHERE record_id = ?", (but,)).fetchone()
        near = vectors.nearest(conn, side.birth(), space, vector, k, allowed, own and own[0])
        marks = ", ".join("?" * len(near))
        rows = conn.execute(f"SELECT key, record_id FROM {index.doc} WHERE key IN ({marks})", [key for key, _ in near])
        ids = dict(rows.fetchall())
    found = [(ids[key], score) for key, score in near if key in ids and (threshold is None or score >= threshold)]
    items = [SearchResponseItem(record_id=UUID(record_id), score=score) for record_id, score in found]
    return SearchResponses(items=items, total=len(near))


def sources(conn: sqlite3.Connection, index: Index, text: TextQuery | str | None, filter: Filter | None) -> Source:
    """Where the rows asked for come from.

    The full-text table comes first and CROSS JOIN keeps it there: SQLite's planner would run through all records.
    """
    tables, parts = f"{index.doc} d", []
    found = None if text is None else _match(conn, index, text)
    scored = found is not None and not found.absent
    if found is not None and scored:
        tables = f"{index.fts} CROSS JOIN {index.doc} d ON d.key = {index.fts}.rowid"
        parts.append(Condition(f"{index.fts} MATCH ?", [found.expression]))
    elif found is not None:
        there = f"SELECT rowid FROM {index.fts} WHERE {index.fts} MATCH ?"
        parts.append(Condition(f"d.key NOT IN ({there})", [found.expression]))
    if filter is not None:
        parts.append(condition(filter, index, few=scored))
    return Source(tables, joined("AND", parts) if parts else Condition("1", []), scored, scored and filter is None)


def statements(
    index: Index, source: Source, sort: Sequence[Order] | None, user_id: UUID | str | None
) -> tuple[Condition, Condition]:
    """The statements that count the rows and that read a page of them (a limit and an offset come last)."""
    counted_in = index.fts if source.plain else source.tables
    counted = Condition(f"SELECT count(*) FROM {counted_in} WHERE {source.where.sql}", source.where.values)
    score = f"-bm25({index.fts})" if source.scored else "1.0"
    if sort:
        order = ordering.ordered(sort, index)
    elif source.scored:
        order = Condition("2 DESC, d.key", [])
    elif user_id is not None:
        order = ordering.shuffled(user_id)
    else:
        order = Condition("d.key", [])
    asked = f"FROM {source.tables} WHERE {source.where.sql}"
    values: list[Value] = [*source.where.values, *order.values]
    return counted, Condition(f"SELECT d.record_id, {score} {asked} ORDER BY {order.sql} LIMIT ? OFFSET ?", values)


def _match(conn: sqlite3.Connection, index: Index, text: TextQuery | str) -> query.Match:
    asked = TextQuery(q=text) if isinstance(text, str) else text
    columns = list(index.columns.values())
    if asked.field:
        columns = [index.columns[asked.field]] if asked.field in index.columns else []
    if not columns:
        return query.Match(query.NOTHING)
    try:
        match = query.parse(asked.q, columns, partial(spellings, conn, index))
    except query.QueryTooLarge as error:
        raise UnprocessableEntityError(str(error)) from error
    if match is None:
        return query.Match(query.NOTHING)
    return match._replace(expression=f"{columns[0]} : ({match.expression})") if asked.field else match
