"""What is compared between two windows, and its test: columns, texts, and slices of clw.toml."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from clworkbench import expressions
from clworkbench.similarity.embeddings import HASHED, embed
from clworkbench.slices.attributes import expanded
from clworkbench.slices.cuts import Codes, Cut, cut
from clworkbench.slices.evidently_tests import Tested, categorical, numeric
from clworkbench.slices.slice import Slice
from clworkbench.slices.text_drift import apart, told_apart, topics

ENOUGH = 50
"""Conversations of a window below which nothing is tested."""

TEXTS = 2_000
"""Texts of a window that are read."""

READ = 2_000
"""Characters of a text that are read."""

TEXT = "text"
LENGTH = "length(text)"


@dataclass(frozen=True, eq=False)
class Looked:
    """Something that was tested.

    Attributes:
        name: what it is called.
        kind: column, text, topic or slice.
        test: by which it was tested.
        tested: what the test says.
        rows: over which signals of those drawn.
        codes: the number of the part that each row is in; None where there are no parts.
        parts: the expression of each part; None where none selects it.
        words: what each part is called.
    """

    name: str
    kind: str
    test: str
    tested: Tested
    rows: pl.DataFrame
    codes: Codes | None = None
    parts: tuple[str | None, ...] = ()
    words: tuple[str, ...] = ()


def looked(
    drawn: pl.DataFrame, columns: Sequence[str], slices: Sequence[Slice], model: str, skipped: dict[str, str]
) -> Iterator[Looked]:
    """Each column, what a text is made of, and each slice, tested between the windows.

    Args:
        drawn: signals with `is_now`, one of each conversation.
        columns: as `drift.drift` takes them.
        slices: of clw.toml.
        model: of the vectors of texts.
        skipped: gets what cannot be tested, and why.
    """
    for name in expanded(drawn, columns):
        if name == TEXT:
            yield from _of_texts(drawn, model, skipped)
            continue
        sql = expressions.name_in_sql(name)
        values = drawn.select(expressions.parse(sql, drawn.columns).alias(name))[name]
        yield from _of_column(name, values, sql, drawn, skipped)
    for one in slices:
        inside = one.holds(drawn)
        if inside.n_unique() == 1:
            skipped[f"slice {one}"] = "the same in every row"
            continue
        codes = inside.cast(pl.Int64).to_numpy()
        yield _categorical(f"slice {one}", "slice", drawn, Cut(codes, (None, one.expression)), ("all others", str(one)))


def _of_column(
    name: str, values: pl.Series, sql: str, drawn: pl.DataFrame, skipped: dict[str, str], kind: str = "column"
) -> Iterator[Looked]:
    is_now = drawn["is_now"].to_numpy()
    made = cut(values, sql, is_now)
    if isinstance(made, str):
        skipped[name] = made
        return
    if made.numbers is None:
        yield _categorical(name, kind, drawn, made)
        return
    known = ~np.isnan(made.numbers)
    if (~known).sum() > 0:
        nulls = Cut((~known).astype(np.int64), (f"{sql} is not null", f"{sql} is null"))
        yield _categorical(f"{name} is null", kind, drawn, nulls)
    sides = made.numbers[known & ~is_now], made.numbers[known & is_now]
    if min(map(len, sides)) < ENOUGH:
        skipped[name] = f"not enough data: fewer than {ENOUGH} values in a window"
        return
    yield Looked(name, kind, "kolmogorov-smirnov", numeric(*sides), drawn, made.codes, made.parts, _words(made.parts))


def _categorical(name: str, kind: str, drawn: pl.DataFrame, made: Cut, words: tuple[str, ...] = ()) -> Looked:
    is_now = drawn["is_now"].to_numpy()
    tested = categorical(made.codes[~is_now], made.codes[is_now])
    return Looked(name, kind, "chi-square", tested, drawn, made.codes, made.parts, words or _words(made.parts))


def _words(parts: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(part if part is not None else "all rarer values" for part in parts)


def _of_texts(drawn: pl.DataFrame, model: str, skipped: dict[str, str]) -> Iterator[Looked]:
    spoken = drawn.filter(pl.col(TEXT).str.strip_chars().str.len_chars() > 0)
    yield from _of_column(LENGTH, drawn[TEXT].str.len_chars().cast(pl.Int64), LENGTH, drawn, skipped, "text")
    rows = pl.concat([_some(spoken.filter(pl.col("is_now") == side)) for side in (False, True)])
    is_now = rows["is_now"].to_numpy()
    if min(int(is_now.sum()), int((~is_now).sum())) < ENOUGH:
        skipped[TEXT] = f"not enough data: fewer than {ENOUGH} texts in a window"
        return
    texts = rows[TEXT].str.head(READ)
    if texts.n_unique() == 1:
        skipped[TEXT] = "the same in every row"
        return
    worded = embed(texts, HASHED)
    yield Looked("text: wording", "text", "domain classifier", told_apart(worded.vectors, is_now), rows)
    meant = worded if model == HASHED else embed(texts, model)
    yield Looked("text: vectors", "text", "mean discrepancy", apart(meant.vectors, is_now), rows)
    topic = topics(texts, meant)
    if topic.n_unique() > 1:
        names = topic.drop_nulls().unique().sort().to_list()
        codes = topic.replace_strict(names, range(len(names)), default=len(names), return_dtype=pl.Int64)
        made = Cut(codes.to_numpy(), (None,) * (len(names) + 1))
        yield _categorical("text: topics", "topic", rows, made, (*names, "no topic"))


def _some(rows: pl.DataFrame) -> pl.DataFrame:
    """At most 2,000 rows, spread evenly."""
    return rows[np.unique(np.linspace(0, rows.height - 1, min(rows.height, TEXTS)).astype(np.int64))]
