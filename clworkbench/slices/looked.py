"""What is compared between two windows, and its test: columns, texts, and slices of clw.toml."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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

SPREAD = 50
"""Characters that a standard deviation of lengths counts for at least: a shift of fewer than 5 is no drift."""


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
        of_past: the signals, with `part`, that tell the outcomes of parts without an expression; None where `rows` do.
    """

    name: str
    kind: str
    test: str
    tested: Tested
    rows: pl.DataFrame
    codes: Codes | None = None
    parts: tuple[str | None, ...] = ()
    words: tuple[str, ...] = ()
    of_past: pl.DataFrame | None = None


def looked(
    drawn: pl.DataFrame,
    columns: Sequence[str],
    slices: Sequence[Slice],
    model: str,
    skipped: dict[str, str],
    past: pl.DataFrame | None = None,
) -> Iterator[Looked]:
    """Each column, what a text is made of, and each slice, tested between the windows.

    Args:
        drawn: signals with `is_now`, one of each conversation.
        columns: as `drift.drift` takes them.
        slices: of clw.toml.
        model: of the vectors of texts.
        skipped: gets what cannot be tested, and why.
        past: the signals that outcomes before are taken from, one of each conversation; None for those of `drawn`.
    """
    for name in expanded(drawn, columns):
        if name == TEXT:
            yield from _of_texts(drawn, model, skipped, past)
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
    made = cut(values, sql, measured=name == LENGTH)
    if isinstance(made, str):
        skipped[name] = made
        return
    if made.numbers is None:
        yield _categorical(name, kind, drawn, made)
        return
    known, is_now = ~np.isnan(made.numbers), drawn["is_now"].to_numpy()
    if (~known).sum() > 0:
        of = TEXT if name == LENGTH else sql
        nulls = Cut((~known).astype(np.int64), (f"{of} is not null", f"{of} is null"))
        yield _categorical(f"{TEXT if name == LENGTH else name} is null", kind, drawn, nulls)
    sides = made.numbers[known & ~is_now], made.numbers[known & is_now]
    if min(map(len, sides)) < ENOUGH:
        skipped[name] = f"not enough data: fewer than {ENOUGH} values in a window"
        return
    words, codes = _words(made.parts, name), made.codes[known]
    rows = drawn.filter(pl.Series(known))
    tested = numeric(*sides, at_least=SPREAD if name == LENGTH else 0)
    yield Looked(name, kind, "kolmogorov-smirnov", tested, rows, codes, made.parts, words)


def _categorical(name: str, kind: str, drawn: pl.DataFrame, made: Cut, words: tuple[str, ...] = ()) -> Looked:
    is_now = drawn["is_now"].to_numpy()
    tested = categorical(made.codes[~is_now], made.codes[is_now])
    return Looked(name, kind, "chi-square", tested, drawn, made.codes, made.parts, words or _words(made.parts, name))


def _words(parts: Sequence[str | None], name: str) -> tuple[str, ...]:
    """What each part is called: its expression, but for the long one of what is none of the frequent values."""
    rarer, none_of = f"{name}: all rarer values", f"{expressions.name_in_sql(name)} not in ("
    return tuple(rarer if part is None or part.startswith(none_of) else part for part in parts)


def _of_texts(drawn: pl.DataFrame, model: str, skipped: dict[str, str], past: pl.DataFrame | None) -> Iterator[Looked]:
    yield from _of_column(LENGTH, drawn[TEXT].str.len_chars().cast(pl.Int64), LENGTH, drawn, skipped, "text")
    rows = pl.concat([_spoken(drawn.filter(pl.col("is_now") == side)) for side in (False, True)])
    is_now = rows["is_now"].to_numpy()
    if min(int(is_now.sum()), int((~is_now).sum())) < ENOUGH:
        skipped[TEXT] = f"not enough data: fewer than {ENOUGH} texts in a window"
        return
    beside = rows.clear() if past is None else _spoken(past)
    texts, n = pl.concat([rows[TEXT], beside[TEXT]]).str.head(READ), rows.height
    if texts.head(n).n_unique() == 1:
        skipped[TEXT] = "the same in every row"
        return
    worded = embed(texts, HASHED)
    yield Looked("text: wording", "text", "domain classifier", told_apart(worded.vectors[:n], is_now), rows)
    meant = worded if model == HASHED else embed(texts, model)
    yield Looked("text: vectors", "text", "mean discrepancy", apart(meant.vectors[:n], is_now), rows)
    topic = topics(texts, meant)
    if topic.head(n).n_unique() > 1:
        names = topic.drop_nulls().unique().sort().to_list()
        codes = topic.replace_strict(names, range(len(names)), default=len(names), return_dtype=pl.Int64)
        made = Cut(codes.head(n).to_numpy(), (None,) * (len(names) + 1))
        found = _categorical("text: topics", "topic", rows, made, (*names, "no topic"))
        both = pl.concat([rows.filter("is_now"), beside])
        part = pl.concat([codes.head(n).filter(rows["is_now"]), codes.tail(beside.height)])
        yield found if past is None else replace(found, of_past=both.with_columns(part=part))


def _spoken(rows: pl.DataFrame) -> pl.DataFrame:
    """At most 2,000 rows with a text, spread evenly."""
    rows = rows.filter(pl.col(TEXT).str.strip_chars().str.len_chars() > 0)
    return rows[np.unique(np.linspace(0, rows.height - 1, min(rows.height, TEXTS)).astype(np.int64))]
