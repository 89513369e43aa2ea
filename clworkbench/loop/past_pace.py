"""How fast runs like the next one were, to refuse what cannot be paid before anything is loaded."""

from collections.abc import Mapping

from clworkbench.audit.forecast import Forecast, first_exceeded, forecast, refusal
from clworkbench.audit.limits import refuse_spent, standings
from clworkbench.audit.prices import usd_per_hour
from clworkbench.loop.run_asked import AskedRun
from clworkbench.workspace import Workspace

LATEST = 5
"""Past runs that are looked at, the latest."""

ALIKE = ("batch_size", "rank", "max_tokens", "generations", "max_new_tokens")
"""Settings that decide how long a step takes."""

MACHINE = ("cpu", "device", "threads", "dtype", "rows_at_once", "processes")
"""What of a run's environment decides how long a step takes."""


def refuse_too_dear(workspace: Workspace, asked: AskedRun) -> None:
    """Looks at the limits and at past runs before anything is loaded.

    Raises:
        BudgetError: nothing is left, or at the pace of the fastest run like this one the steps that are left would
            still go above a limit.
    """
    settings = workspace.settings.budget
    limits = standings(workspace, "train", settings, run=asked.run)
    refuse_spent("train", limits)
    if not limits or (expected := past_forecast(workspace, asked)) is None:
        return
    rest_s = (asked.settings.steps - _done(workspace, asked)) * expected.fastest_s
    if limit := first_exceeded(limits, rest_s, expected.usd_per_hour):
        raise refusal(expected, limit)


def past_forecast(workspace: Workspace, asked: AskedRun) -> Forecast | None:
    """What the run would take at the pace of past ones: by the same method, on the same base, settings and machine."""
    like = [manifest for manifest in workspace.catalog.artefacts("run") if _alike(manifest, asked)]
    if not like:
        return None
    from clworkbench.runs.presets import environment, layout

    here = environment(layout(asked.settings.machine, asked.settings.batch_size))
    paces = [pace for manifest in like if _on(manifest, here) and (pace := _pace(manifest))][-LATEST:]
    if not paces:
        return None
    looked_at = (
        "steps of the last run like this one" if len(paces) == 1 else f"steps of {len(paces)} runs like this one"
    )
    price = usd_per_hour(workspace.settings.budget)
    return forecast(asked.settings.steps, paces, looked_at, usd_per_hour=price)


def _alike(manifest: Mapping[str, object], asked: AskedRun) -> bool:
    said, wanted = manifest.get("settings"), asked.config["settings"]
    if not isinstance(said, Mapping) or not isinstance(wanted, Mapping):
        return False
    same = all(manifest.get(key) == asked.config[key] for key in ("method", "base_sha256"))
    return same and all(said.get(key) == wanted.get(key) for key in ALIKE)


def _on(manifest: Mapping[str, object], here: Mapping[str, object]) -> bool:
    there = manifest.get("environment")
    return isinstance(there, Mapping) and all(there.get(key) == here.get(key) for key in MACHINE)


def _pace(manifest: Mapping[str, object]) -> float | None:
    seconds, steps = manifest.get("seconds"), manifest.get("steps")
    if not isinstance(seconds, int | float) or not isinstance(steps, int) or steps < 1:
        return None
    return seconds / steps


def _done(workspace: Workspace, asked: AskedRun) -> int:
    from clworkbench.runs.checkpoints import steps_done

    return min(asked.settings.steps, steps_done(workspace.artefact_folder(asked.run) / "checkpoints"))
