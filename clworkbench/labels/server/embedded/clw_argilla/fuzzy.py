"""Words of a dataset that are spelled nearly like a word that is searched."""

import sqlite3

from .rows import Index

MOST = 10
"""Spellings that are searched, the nearest and most frequent; Argilla asks Elasticsearch for as many."""


def spellings(conn: sqlite3.Connection, index: Index, word: str, edits: int) -> list[str]:
    """Indexed words within `edits` edits of `word`, nearest first; the first letter must be right."""
    terms = f"temp.terms_{index.dataset_id}"
    conn.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS {terms} USING fts5vocab('main', '{index.fts}', 'row')")
    rows = conn.execute(
        f"SELECT term, doc FROM {terms} WHERE term >= ? AND term < ? AND length(term) BETWEEN ? AND ?",
        (word[0], word[0] + "\U0010ffff", len(word) - edits, len(word) + edits),
    )
    near = [(distance, -n, term) for term, n in rows if (distance := distance_within(word, term, edits)) is not None]
    return [term for _, _, term in sorted(near)[:MOST]]


def distance_within(a: str, b: str, most: int) -> int | None:
    """Letters to add, take out or change between two words (Levenshtein); None where they are more than `most`."""
    above = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != other)))
        if min(row) > most:
            return None
        above = row
    return above[-1] if above[-1] <= most else None
