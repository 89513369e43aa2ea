"""Judging a challenger by the gates, and saying beforehand what a suite could show."""

from collections.abc import Sequence
from dataclasses import asdict

import polars as pl

from clworkbench.releases.findings import Finding, findings
from clworkbench.releases.pairs import LOWER_IS_BETTER, compare, in_slice, pair
from clworkbench.releases.production import contradictions, production
from clworkbench.releases.protocol import Gate, canonical, check, defaults
from clworkbench.releases.report import FINDINGS, GATES, Decision, GateReport, Verdict
from clworkbench.releases.verdicts import Measured, judged, measure, row
from clworkbench.statistics.power import paired_power, pairs_needed, smallest_detectable

__all__ = ["Gate", "GateReport", "canonical", "check", "decide", "defaults", "judge", "plan"]


def judge(
    champion: pl.DataFrame,
    challenger: pl.DataFrame,
    gates: Sequence[Gate],
    *,
    target: str | None = None,
    seed: int = 0,
    drawn: pl.DataFrame | None = None,
) -> GateReport:
    """Compares two models' scores by the gates' protocol.

    No test weighs examples. Those of one conversation that were drawn from production together count as one, so that
    the tests stay valid; beside the verdicts stand the differences over that traffic, weighed by how it was drawn.

    Args:
        champion: scores of the model in place (`schemas.SCORES`), over any suites, scorers and repetitions.
        challenger: scores of the model that would replace it.
        gates: what is asked; each at a one-sided 5 %.
        target: the slice that the challenger is meant to mend; `rest` is all outside it.
        seed: of the sign flips by which scores other than 0 and 1 are tested.
        drawn: `production.DRAWN`: of examples that were drawn from production, how.

    Returns:
        `block` when a gate is shown worse than its margin (Holm over all gates), else `promote` when every required
        gate is met, else `hold`; with every gate's numbers, and findings.

    Raises:
        SettingsError: the gates mean nothing.
        EvidenceError: a frame has no scores' columns, several models, or an example scored twice.
    """
    check(gates)
    comparison = compare(champion, challenger, drawn)
    pairs = {metric: pair(comparison, metric) for metric in sorted({gate.metric for gate in gates})}
    measured = [measure(gate, pairs[gate.metric], comparison, target, seed) for gate in gates]
    verdicts = judged(measured)
    rows = [row(each, verdict) for each, verdict in zip(measured, verdicts, strict=True)]
    judged_gates, over_traffic = pl.DataFrame(rows, schema=GATES), production(gates, pairs, target)
    found = findings(comparison, pairs) + _about_gates(measured) + contradictions(judged_gates, over_traffic)
    return GateReport(
        decision=decide(gates, verdicts),
        gates=judged_gates,
        findings=pl.DataFrame(found, schema=FINDINGS, orient="row"),
        champion=_model(comparison.champion),
        challenger=_model(comparison.challenger),
        production=over_traffic,
    )


def decide(gates: Sequence[Gate], verdicts: Sequence[Verdict]) -> Decision:
    """Block, else promote, else hold, as the verdicts stand."""
    if "violated" in verdicts:
        return "block"
    needed = [verdict for gate, verdict in zip(gates, verdicts, strict=True) if gate.required]
    return "promote" if needed and all(verdict == "met" for verdict in needed) else "hold"


def _about_gates(measured: Sequence[Measured]) -> list[Finding]:
    missing = [Finding("unmeasured", f"gate {m.gate.name!r}: {m.reason}") for m in measured if m.reason]
    tiny = {m.gate.slice: m.n for m in measured if m.evidence is not None and m.n < 30}
    small = [
        Finding("tiny_slice", f"{name!r} has {n} examples: only a very large difference can show there")
        for name, n in tiny.items()
    ]
    return missing + small


def _model(scores: pl.DataFrame) -> str:
    names = scores["model"].drop_nulls().unique().to_list()
    return str(names[0]) if names else "(no scores)"


def plan(
    suite: pl.DataFrame,
    gates: Sequence[Gate],
    *,
    discordant: float = 0.2,
    truly: float = 0.02,
    target: str | None = None,
) -> pl.DataFrame:
    """What a suite could show, before anything is run.

    Args:
        suite: one row for each example, with `slices` (list of names).
        gates: as they will be judged.
        discordant: share of examples that just one of the two models is expected to solve.
        truly: how much better the challenger is supposed to be (0.02: 2 points).
        target: the target slice; `rest` is all outside it.

    Returns:
        One row for each gate: `name`, `metric`, `slice`, `asks`, `required`, `margin`, `n`, `power` (probability that
        the gate is met, if each example is solved or not), `smallest_detectable` (true difference met with
        probability 0.8), `needed` (examples for a power of 0.8). Null for cost, length, latency and terminations.
    """
    check(gates)
    counts = [len(suite.filter(in_slice(gate.slice, target))) for gate in gates]
    rows = [_planned(gate, n, discordant, truly) for gate, n in zip(gates, counts, strict=True)]
    numbers = {"margin": pl.Float64, "n": pl.Int64, "power": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=numbers | {"smallest_detectable": pl.Float64, "needed": pl.Int64})


def _planned(gate: Gate, n: int, discordant: float, truly: float) -> dict[str, object]:
    row = {key: value for key, value in asdict(gate).items() if key != "relative"} | {"n": n}
    nothing: dict[str, object] = {"power": None, "smallest_detectable": None, "needed": None}
    if gate.metric in LOWER_IS_BETTER or gate.relative:
        return row | nothing
    return row | {
        "power": paired_power(n, difference=truly, margin=gate.margin, discordant=discordant),
        "smallest_detectable": smallest_detectable(n, margin=gate.margin, discordant=discordant),
        "needed": pairs_needed(difference=truly, margin=gate.margin, discordant=discordant),
    }
