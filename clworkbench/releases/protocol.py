"""Gates: what a challenger is asked to show before it ships."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Literal

from clworkbench.errors import SettingsError

RESERVED = ("all", "rest")


@dataclass(frozen=True)
class Gate:
    """One thing asked of a challenger.

    Attributes:
        name: what the report calls it; no two gates share one.
        metric: a scorer's name, or `cost_usd`, `n_output_tokens`, `abnormal_termination`, `latency_ms`.
        slice: `all`, a slice's name, or `rest` (all examples outside the target slice, pooled).
        asks: `better` (superiority) or `not_worse` by more than the margin (non-inferiority).
        margin: how much worse is allowed, in the metric's unit; 0 for `better`.
        required: whether it must be met to promote; a guard can only block.
        relative: whether the margin is a share of the champion's mean.
    """

    name: str
    metric: str
    slice: str
    asks: Literal["better", "not_worse"]
    margin: float
    required: bool
    relative: bool = False


def defaults(metric: str, slices: Sequence[str], target: str | None) -> tuple[Gate, ...]:
    """The gates of a workspace that names none.

    Required: better on the target slice and not worse by 5 points on the rest; without a target, better on all.
    Guards: each slice (10 points), abnormal terminations (10 points), mean cost and mean length (+50 %).

    Args:
        metric: the primary metric.
        slices: names of the suite's slices.
        target: the slice that the challenger is meant to mend.
    """
    required = [Gate(f"{metric} better on all", metric, "all", "better", 0.0, required=True)]
    if target is not None:
        required = [
            Gate(f"{metric} better on {target}", metric, target, "better", 0.0, required=True),
            Gate(f"{metric} not worse on the rest", metric, "rest", "not_worse", 0.05, required=True),
        ]
    guards = [
        Gate(f"{metric} not worse on {name}", metric, name, "not_worse", 0.10, required=False)
        for name in sorted(set(slices) - set(RESERVED))
    ]
    guards += [
        Gate("terminations", "abnormal_termination", "all", "not_worse", 0.10, required=False),
        Gate("cost", "cost_usd", "all", "not_worse", 0.50, required=False, relative=True),
        Gate("length", "n_output_tokens", "all", "not_worse", 0.50, required=False, relative=True),
    ]
    return (*required, *guards)


def canonical(gates: Sequence[Gate]) -> str:
    """The gates as JSON that is equal for equal gates in any order: what a hash of them is taken of."""
    check(gates)
    ordered = sorted((asdict(gate) | {"margin": float(gate.margin)} for gate in gates), key=lambda g: g["name"])
    return json.dumps(ordered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def check(gates: Sequence[Gate]) -> None:
    """Refuses gates that mean nothing.

    Raises:
        SettingsError: no gate at all, none required, two of one name, or a margin that cannot be one.
    """
    if not any(gate.required for gate in gates):
        raise SettingsError(
            f"gates: none of {len(gates)} is required, so any challenger would pass.\n"
            "Set required = true for what a release must show."
        )
    seen: set[str] = set()
    for gate in gates:
        if gate.name in seen:
            raise SettingsError(f"gates: {gate.name!r} stands there twice. Give each gate its own name.")
        seen.add(gate.name)
        _check_margin(gate)


def _check_margin(gate: Gate) -> None:
    if gate.asks not in ("better", "not_worse"):
        raise SettingsError(f"gate {gate.name!r}: asks = {gate.asks!r}. Write 'better' or 'not_worse'.")
    if not isfinite(gate.margin) or gate.margin < 0:
        raise SettingsError(
            f"gate {gate.name!r}: margin = {gate.margin}. Write how much worse is allowed, e.g. 0.05; 0 or more."
        )
    if gate.asks == "better" and gate.margin:
        raise SettingsError(
            f"gate {gate.name!r} asks for better with a margin of {gate.margin}: better means better than 0.\n"
            "Leave the margin out, or ask for not_worse."
        )
