"""What is counted over a dataset: progress, and the values of a metadata property."""

from argilla_server.search_engine.base import (
    FloatMetadataMetrics,
    IntegerMetadataMetrics,
    MetadataMetrics,
    TermsMetrics,
)

from . import side, sync


def progress(dataset_id: str) -> dict[str, int]:
    """Records in all (`total`) and by status."""
    index = sync.checked(dataset_id)
    rows = side.connection().execute(f"SELECT status, count(*) FROM {index.doc} GROUP BY status").fetchall()
    return {"total": sum(n for _, n in rows), **dict(rows)}


def progress_of(dataset_id: str, user_id: str) -> dict[str, int]:
    """A person's responses in all (`total`) and by status."""
    index = sync.checked(dataset_id)
    rows = side.connection().execute(
        f"SELECT p.status, count(*) FROM truth.responses p CROSS JOIN {index.doc} d ON d.record_id = p.record_id "
        "WHERE p.user_id = ? GROUP BY p.status",
        (user_id,),
    )
    counted = dict(rows.fetchall())
    return {"total": sum(counted.values()), **counted}


def metrics(dataset_id: str, name: str, kind: str) -> MetadataMetrics:
    """Of terms: how many values, and each with its records, most frequent first; of numbers: least and greatest."""
    index = sync.checked(dataset_id)
    conn = side.connection()
    if kind == "terms":
        rows = conn.execute(
            f"SELECT CAST(value AS TEXT), count(*) FROM {index.meta} WHERE name = ? GROUP BY 1 ORDER BY 2 DESC, 1",
            (name,),
        ).fetchall()
        values = [TermsMetrics.TermCount(term=term, count=n) for term, n in rows]
        return TermsMetrics(total=sum(n for _, n in rows), values=values)
    low, high = conn.execute(
        f"SELECT min(value), max(value) FROM {index.meta} WHERE name = ? AND typeof(value) != 'text'", (name,)
    ).fetchone()
    if kind == "integer":
        return IntegerMetadataMetrics(min=low, max=high)
    return FloatMetadataMetrics(min=low, max=high)
