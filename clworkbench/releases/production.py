"""What paired scores say of production: each drawn example counted by the inverse of its chance of being drawn."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from clworkbench.releases.findings import Finding
from clworkbench.releases.pairs import LOWER_IS_BETTER, Pairs, in_slice
from clworkbench.releases.protocol import Gate
from clworkbench.releases.report import PRODUCTION
from clworkbench.statistics.weighted import Drawn, weighted_difference, weighted_mean

DRAWN = pl.Schema({"suite": pl.String, "example_id": pl.String, "unit": pl.String, "inclusion": pl.Float64})
"""One row for each example that was drawn from production: the conversation (`unit`) that it was drawn with, and the
chance at which that was drawn (above 0, to 1)."""


def drawn_of(suites: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """How the examples of suites (`schemas.SUITE`, by the name that scores give them) were drawn: `DRAWN`."""
    unit = pl.coalesce("group", "example_id")
    found = [
        rows.drop_nulls("inclusion").select("example_id", "inclusion", suite=pl.lit(name), unit=unit)
        for name, rows in suites.items()
    ]
    return pl.concat([pl.DataFrame(schema=DRAWN), *(rows.select(list(DRAWN)) for rows in found)])


def conversations(examples: pl.DataFrame) -> pl.DataFrame:
    """What gates count: a row for each conversation that was drawn, with the slices of its examples, and each other.

    Args:
        examples: `slices`, and of suites `group` and `inclusion`.
    """
    if "inclusion" not in examples.columns or not examples["inclusion"].count():
        return examples
    one = examples.filter(pl.col("inclusion").is_not_null()).with_columns(pl.coalesce("group", "example_id"))
    slices = pl.col("slices").explode(keep_nulls=False, empty_as_null=False).unique().sort()
    units = one.group_by("group", maintain_order=True).agg(slices)
    return pl.concat([examples.filter(pl.col("inclusion").is_null()).select("slices"), units.select("slices")])


def production(gates: Sequence[Gate], pairs: Mapping[str, Pairs], target: str | None) -> pl.DataFrame:
    """Each gate's difference over the traffic that each drawn suite stands for: `report.PRODUCTION`.

    Args:
        gates: what is asked.
        pairs: by metric.
        target: the target slice.
    """
    rows = []
    for gate in gates:
        inside = pairs[gate.metric].frame.filter(in_slice(gate.slice, target)).drop_nulls("inclusion")
        for (suite,), part in inside.group_by("suite", maintain_order=True):
            rows.append({"name": gate.name, "suite": suite, **_weighed(part)})
    return pl.DataFrame(rows, schema=PRODUCTION)


def _weighed(part: pl.DataFrame) -> dict[str, object]:
    clusters = (part["unit"].rank("dense").to_numpy() - 1).astype(np.intp)
    how = Drawn(part["inclusion"].to_numpy(), clusters)
    before, after = part["champion"].to_numpy(), part["challenger"].to_numpy()
    found = weighted_difference(after - before, how)
    low, high = found.interval
    return {
        "n": found.n,
        "n_effective": found.n_effective,
        "champion": weighted_mean(before, how).mean,
        "challenger": weighted_mean(after, how).mean,
        "difference": found.mean,
        "low": low,
        "high": high,
    }


def contradictions(gates: pl.DataFrame, over_traffic: pl.DataFrame) -> list[Finding]:
    """A finding for each gate that is met on its examples, while over production the difference is worse than it asks.

    Args:
        gates: `report.GATES`.
        over_traffic: `report.PRODUCTION`.
    """
    sign = pl.when(pl.col("metric").is_in(sorted(LOWER_IS_BETTER))).then(-1.0).otherwise(1.0)
    both = over_traffic.join(gates.select("name", "metric", "margin", "verdict"), on="name", maintain_order="left")
    worse = both.filter(pl.col("verdict") == "met", sign * pl.col("difference") < -pl.col("margin").fill_null(0.0))
    return [
        Finding(
            "production",
            f"gate {row['name']!r} is met on its examples, but over the traffic that {row['suite']} was drawn from the "
            f"difference is {row['difference']:+.3f}: look at its slices",
        )
        for row in worse.to_dicts()
    ]
