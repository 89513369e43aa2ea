"""Small frames of scores for the tests of gates."""

from collections.abc import Sequence

import polars as pl


def scores(
    values: Sequence[float | None],
    *,
    model: str = "champion",
    slices: Sequence[Sequence[str]] | None = None,
    scorer: str = "exact",
    **columns: Sequence[object],
) -> pl.DataFrame:
    """One row for each value: examples e0, e1, … of suite s, ended normally, 10 tokens and 0.01 USD each."""
    n = len(values)
    frame = {
        "model": [model] * n,
        "suite": ["s"] * n,
        "example_id": [f"e{i}" for i in range(n)],
        "slices": [list(names) for names in slices] if slices is not None else [[] for _ in range(n)],
        "scorer": [scorer] * n,
        "repetition": [0] * n,
        "score": list(values),
        "termination": ["stop"] * n,
        "n_output_tokens": [10] * n,
        "cost_usd": [0.01] * n,
    }
    return pl.DataFrame(frame | {name: list(given) for name, given in columns.items()}, strict=False)


def split(wins: int, losses: int, both: int, neither: int = 0) -> tuple[list[float], list[float]]:
    """Champion's and challenger's successes with so many examples of each kind."""
    champion = [0.0] * wins + [1.0] * losses + [1.0] * both + [0.0] * neither
    challenger = [1.0] * wins + [0.0] * losses + [1.0] * both + [0.0] * neither
    return champion, challenger
