"""How fast a run's own probe and runs like it were, to refuse what cannot be paid before anything is loaded."""

import json
from collections.abc import Iterator, Mapping

from clworkbench.audit.forecast import Forecast, first_exceeded, forecast, refusal
from clworkbench.audit.limits import refuse_spent, standings
from clworkbench.audit.prices import usd_per_hour
from clworkbench.loop.runs.asked import AskedRun
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now

LATEST = 5
"""Past runs that are looked at, the latest."""

ALIKE = ("batch_size", "rank", "max_tokens", "generations")
"""Settings that decide how long a step takes."""

MACHINE = ("cpu", "device", "threads", "dtype", "rows_at_once", "processes")
"""What of a run's environment decides how long a step takes."""


def refuse_too_dear(workspace: Workspace, asked: AskedRun) -> None:
    """Looks at the limits, at what a probe of this very run said, and at past runs before anything is loaded.

    Raises:
        BudgetError: nothing is left, or the steps that are left would go above a limit: at the pace that this run's
            probe had when it was refused before, or even at that of the fastest run like it.
    """
    settings = workspace.settings.budget
    limits = standings(workspace, "train", settings, run=asked.run)
    refuse_spent("train", limits)
    if not limits:
        return
    left = asked.settings.steps - steps_so_far(workspace, asked)
    for expected, step_s in _paces(workspace, asked):
        if limit := first_exceeded(limits, left * step_s, expected.usd_per_hour):
            raise refusal(expected, limit)


def _paces(workspace: Workspace, asked: AskedRun) -> Iterator[tuple[Forecast, float]]:
    """What is known of the run's pace, each with the seconds of a step that decide."""
    if (probed := probed_forecast(workspace, asked)) is not None:
        yield probed, probed.step_s
    if (past := past_forecast(workspace, asked)) is not None:
        yield past, past.fastest_s


def keep_probe(workspace: Workspace, asked: AskedRun, probed: Forecast) -> None:
    """Notes how long the run's first steps took here, so that a refused run is not probed anew by each retry."""
    took = {"step_s": probed.step_s, "fastest_s": probed.fastest_s, "slowest_s": probed.slowest_s}
    looked_at = f"{probed.looked_at} on {now():%Y-%m-%d at %H:%M} UTC"
    told = took | {"tokens_a_step": probed.tokens_a_step, "looked_at": looked_at, "on": _here(asked)}
    workspace.catalog.note(_PROBE + asked.run, json.dumps(told))


def probed_forecast(workspace: Workspace, asked: AskedRun) -> Forecast | None:
    """What the run would take by a probe that was timed on this machine; None where there was none."""
    noted = workspace.catalog.meta(_PROBE + asked.run)
    if noted is None:
        return None
    told = json.loads(noted)
    if told.pop("on") != _here(asked):
        return None
    return Forecast(steps=asked.settings.steps, usd_per_hour=usd_per_hour(workspace.settings.budget), **told)


_PROBE = "probe:"


def _here(asked: AskedRun) -> dict[str, object]:
    """This machine, as far as it decides how long a step takes."""
    from clworkbench.runs.presets import environment, layout

    found = environment(layout(asked.settings.machine, asked.settings.batch_size))
    return {name: found[name] for name in MACHINE}


def past_forecast(workspace: Workspace, asked: AskedRun) -> Forecast | None:
    """What the run would take at the pace of past ones: by the same method, on the same base, settings and machine."""
    like = [manifest for manifest in workspace.catalog.artefacts("run") if _alike(manifest, asked)]
    if not like:
        return None
    here = _here(asked)
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


def steps_so_far(workspace: Workspace, asked: AskedRun) -> int:
    """The steps behind the run's last whole checkpoint; 0 where it did not begin."""
    from clworkbench.runs.checkpoints import steps_done

    return min(asked.settings.steps, steps_done(workspace.artefact_folder(asked.run) / "checkpoints"))
