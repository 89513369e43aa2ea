"""A run that was stopped or killed on its way, and that the next cycle goes on with."""

from typing import NamedTuple

from clworkbench.loop.runs.asked import asked_run
from clworkbench.loop.runs.pace import steps_so_far
from clworkbench.workspace import Workspace


class Begun(NamedTuple):
    """A run that is not finished: its last whole checkpoint stands behind `step` of `steps`."""

    run: str
    step: int
    steps: int

    @property
    def left(self) -> float:
        """The share of its steps that is left (0 to 1)."""
        return 1 - self.step / self.steps


def begun(workspace: Workspace, training_set: str, parent: str | None) -> Begun | None:
    """The run that a cycle would train on this set now, where it has a checkpoint but no end.

    Raises:
        ModelError: base or parent are not there or do not fit.
    """
    if not any(workspace.folder.glob("runs/*/checkpoints/checkpoint-*")):
        return None
    if workspace.catalog.artefact(training_set) is None:
        return None
    asked = asked_run(workspace, training_set, parent=parent)
    done = steps_so_far(workspace, asked)
    if not done or workspace.catalog.artefact(asked.run) is not None:
        return None
    return Begun(asked.run, done, asked.settings.steps)
