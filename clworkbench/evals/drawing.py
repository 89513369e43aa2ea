"""Drawing a suite: whole conversations by keyed hash, as many from each stratum, with the chance that each had."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import polars as pl

from clworkbench.errors import EvidenceError

ROUNDS = 20
"""So often what had to be refused is replaced; what is refused after that leaves a suite that is smaller."""

STRATA = pl.Schema(
    {
        "stratum": pl.String,
        "signals": pl.Int64,
        "conversations": pl.Int64,
        "looked_at": pl.Int64,
        "drawn": pl.Int64,
        "examples": pl.Int64,
        "inclusion": pl.Float64,
    }
)
"""One row for each stratum: `signals` and `conversations` that could be drawn, conversations that were looked at and
that were drawn, their `examples`, and the chance that each conversation had."""


class Sample(NamedTuple):
    """What was drawn.

    Attributes:
        frame: the rows of the drawn conversations, with `inclusion`.
        strata: `STRATA`.
        refused: how many conversations were looked at and refused, by why.
    """

    frame: pl.DataFrame
    strata: pl.DataFrame
    refused: dict[str, int]


def drawn(rows: pl.DataFrame, n: int, refuse: Callable[[pl.DataFrame], pl.Series]) -> Sample:
    """Draws whole conversations, about n examples of them.

    The conversations of a stratum are looked at in the order of their hashes until enough are found that are not
    refused. All that were looked at had the same chance: their number over that of the stratum's conversations. Those
    that are refused are no part of what the suite stands for.

    Args:
        rows: one row for each signal that has a known answer: `group`, `stratum` (text), `order` (of the group, a keyed
            hash).
        n: examples wanted; each stratum with members has two conversations at least, or its only one.
        refuse: from drawn rows to the reason why each must not stand in a suite, or null.

    Raises:
        EvidenceError: there are more strata than half of n.
    """
    one = rows.group_by("group").agg(pl.col("stratum", "order").first(), size=pl.len()).sort("order", "group")
    groups = {str(name): part for (name,), part in one.group_by("stratum", maintain_order=True)}
    if len(groups) > max(1, n // 2):
        raise EvidenceError(
            f"{n} examples cannot be drawn from {len(groups)} strata: two of each are the least.\n"
            f"Ask for --n {2 * len(groups)}, or stratify by a column of fewer values."
        )
    wanted = _conversations(groups, n)
    refused: dict[str, str] = {}
    for _ in range(ROUNDS):
        taken = {name: _first(part, wanted[name], refused) for name, part in groups.items()}
        if not (more := _refused(rows, taken, refuse)):
            break
        refused |= more
    looked = {name: _reach(part, taken[name], wanted[name]) for name, part in groups.items()}
    kept = {name: part.filter(~pl.col("group").is_in([*refused])) for name, part in taken.items()}
    chance = {name: looked[name] / part.height for name, part in groups.items()}
    chosen = pl.concat([rows.clear().select("group"), *(part.select("group") for part in kept.values())])
    frame = rows.join(chosen, on="group", how="semi", maintain_order="left").with_columns(
        inclusion=pl.col("stratum").replace_strict(chance, return_dtype=pl.Float64)
    )
    told = [
        (name, part["size"].sum(), part.height, looked[name], kept[name].height, kept[name]["size"].sum(), chance[name])
        for name, part in groups.items()
    ]
    why = pl.Series("why", list(refused.values()), dtype=pl.String).value_counts(sort=True)
    strata = pl.DataFrame(told, schema=STRATA, orient="row").sort("stratum")
    return Sample(frame, strata, dict(why.iter_rows()))


def evenly(sizes: Mapping[str, int], n: int) -> dict[str, int]:
    """As many from each, at least one; what a small one cannot give, the larger ones do."""
    found: dict[str, int] = {}
    left = n
    for place, (name, size) in enumerate(sorted(sizes.items(), key=lambda item: (item[1], item[0]))):
        found[name] = min(size, max(1, left // (len(sizes) - place)))
        left -= found[name]
    return found


def _conversations(groups: Mapping[str, pl.DataFrame], n: int) -> dict[str, int]:
    sizes = {name: int(part["size"].sum()) for name, part in groups.items()}
    examples = evenly(sizes, n)
    return {
        name: min(part.height, max(2, round(examples[name] * part.height / sizes[name])))
        for name, part in groups.items()
    }


def _first(groups: pl.DataFrame, wanted: int, refused: Mapping[str, str]) -> pl.DataFrame:
    return groups.with_row_index("place").filter(~pl.col("group").is_in([*refused])).head(wanted)


def _reach(groups: pl.DataFrame, taken: pl.DataFrame, wanted: int) -> int:
    """How many conversations were looked at to find those: all where they are fewer than wanted."""
    return int(taken["place"][-1]) + 1 if taken.height == wanted else groups.height


def _refused(
    rows: pl.DataFrame, taken: Mapping[str, pl.DataFrame], refuse: Callable[[pl.DataFrame], pl.Series]
) -> dict[str, str]:
    chosen = pl.concat([part.select("group") for part in taken.values()])
    looked = rows.join(chosen, on="group", how="semi", maintain_order="left")
    why = (
        looked.select("group", why=refuse(looked)).drop_nulls("why").unique("group", keep="first", maintain_order=True)
    )
    return dict(why.iter_rows())
