"""Coverage: how the traffic that a suite could be drawn from differs from all traffic of its time."""

from collections.abc import Sequence

import polars as pl

COVERAGE = pl.Schema({"what": pl.String, "traffic": pl.Float64, "drawn_from": pl.Float64, "difference": pl.Float64})
"""One row for each share (0 to 1): of all traffic, and of what was drawn from; the largest difference first."""

FEW = 8
"""Values of a column that are told apart; a column with more is left out."""

APART = 0.05
"""A difference of shares (five points) that a reader should know of."""


def coverage(traffic: pl.DataFrame, inside: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
    """Shares of all traffic beside those of the part that was drawn from.

    Args:
        traffic: one row for each signal, with `columns`: Booleans (their share of true where they are
            known), lists of names (each one's
            share), or texts of few values (each one's share).
        inside: which of them were drawn from.
        columns: what is looked at; those with more than eight values are left out.

    Returns:
        `COVERAGE`; nothing where either is empty.
    """
    part = traffic.filter(inside)
    if traffic.is_empty() or part.is_empty():
        return pl.DataFrame(schema=COVERAGE)
    told = [share for name in columns for share in _shares(traffic, part, name)]
    found = pl.DataFrame(
        told, schema={"what": pl.String, "traffic": pl.Float64, "drawn_from": pl.Float64}, orient="row"
    )
    found = found.with_columns(difference=pl.col("drawn_from") - pl.col("traffic"))
    return (
        found.sort(pl.col("difference").abs(), "what", descending=[True, False]).select(list(COVERAGE)).cast(COVERAGE)
    )


def _shares(traffic: pl.DataFrame, part: pl.DataFrame, name: str) -> list[tuple[str, float, float]]:
    both = [_counted(frame[name]) for frame in (traffic, part)]
    values = sorted(both[0])
    if len(values) > FEW or (len(values) < 2 and traffic[name].dtype == pl.String):
        return []
    known = [frame[name].count() if frame[name].dtype == pl.Boolean else frame.height for frame in (traffic, part)]
    if not all(known):
        return []
    return [
        (f"{name} {value}".strip(), both[0][value] / known[0], both[1].get(value, 0) / known[1]) for value in values
    ]


def _counted(values: pl.Series) -> dict[str, int]:
    if values.dtype == pl.Boolean:
        return {"": int(values.sum())}
    flat = values.explode(empty_as_null=False) if isinstance(values.dtype, pl.List) else values.fill_null("(none)")
    return {str(value): int(n) for value, n in flat.drop_nulls().cast(pl.String).value_counts().iter_rows()}


def in_words(shares: pl.DataFrame) -> str:
    """What a reader should know of the part that was drawn from, in one sentence."""
    apart = shares.filter(pl.col("difference").abs() >= APART).head(4)
    if apart.is_empty():
        return "what was drawn from is like all traffic of that time, within 5 points, in all that was compared"
    said = "; ".join(f"{what} {part:.0%} instead of {whole:.0%}" for what, whole, part, _ in apart.iter_rows())
    return f"what was drawn from differs from all traffic of that time: {said}"
