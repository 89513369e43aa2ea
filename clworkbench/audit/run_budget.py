"""A run within its budget: its first steps say what the rest will take, and it stops before it goes above a limit."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress

from clworkbench.audit.budget import NOTED_EVERY_S, Meter
from clworkbench.audit.forecast import Forecast, first_exceeded, forecast, refusal
from clworkbench.audit.limits import Standing, or_wait, refuse_spent
from clworkbench.errors import BudgetError

PROBE = 3
"""Steps that are timed, after the first, which warms up."""


class RunBudget:
    """Watches a training run from step to step.

    Attributes:
        forecast: what the run was expected to take after its first steps; None before.
        step_s: seconds of the last step; None before the second.
    """

    def __init__(self, meter: Meter, run: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.forecast: Forecast | None = None
        self.step_s: float | None = None
        self._meter, self._run, self._clock = meter, run, clock
        self._steps = 0
        self._tokens_before = 0
        self._last: float | None = None
        self._took: list[float] = []
        self._writing = 0.0
        self._looked = clock()
        self._limits: tuple[Standing, ...] = ()
        self._stops_for: Standing | None = None

    def begin(self) -> None:
        """Raises BudgetError where nothing is left for this run, or for any in this month."""
        self._look()
        refuse_spent("train", self._limits)

    def step(self, step: int, steps: int, n_tokens: int | None = None) -> bool:
        """Call it after each step; after the first ones it looks at the rest.

        Args:
            step: how many are done.
            steps: how many there are to be.
            n_tokens: that were read since training began, or went on.

        Returns:
            Whether a checkpoint is to be written now, at which the run then stops: the next step would go above.

        Raises:
            BudgetError: the rest would go above what is left.
        """
        at = self._clock()
        if self._last is None:
            self._tokens_before = n_tokens or 0
        else:
            self.step_s = max(0.0, at - self._last)
            self._took = [*self._took, self.step_s][-PROBE:]
            self._steps += 1
        self._last = at
        if step >= steps:
            return False
        if at - self._looked >= NOTED_EVERY_S or self._steps == PROBE:
            self._look()
        if self._steps == PROBE:
            self._foresee(step, steps, n_tokens)
        upcoming = max(self._took, default=0.0) + self._writing
        since = max(0.0, at - self._looked)
        self._stops_for = first_exceeded(self._limits, since + upcoming, self._meter.usd_per_hour)
        return self._stops_for is not None

    def _foresee(self, step: int, steps: int, n_tokens: int | None) -> None:
        tokens = None if n_tokens is None else (n_tokens - self._tokens_before) / PROBE
        looked_at = f"steps {step - PROBE + 1} to {step}"
        price = self._meter.usd_per_hour
        self.forecast = forecast(steps, self._took, looked_at, usd_per_hour=price, tokens_a_step=tokens)
        rest_s = (steps - step) * self.forecast.step_s
        if limit := first_exceeded(self._limits, rest_s, price):
            raise refusal(self.forecast, limit)

    def checkpoint(self) -> None:
        """Call it after each checkpoint.

        Raises:
            BudgetError: the run stops here, and the same command goes on from here.
        """
        if self._last is not None:
            self._writing = max(0.0, self._clock() - self._last)
            self._last += self._writing
        self._look()
        if limit := self._stops_for:
            raise BudgetError(
                f"train: stopped with a checkpoint before the next step would go above {limit.place} in clw.toml: "
                f"{limit} are spent.\nRaise the limit there{or_wait(limit)}; the same command then goes on from here."
            )
        refuse_spent("train", self._limits)

    def _look(self) -> None:
        # A catalog that is busy for long is no reason to end hours of work: what it said before holds till then.
        with suppress(sqlite3.OperationalError):
            self._limits = self._meter.limits(run=self._run)
            self._looked = self._clock()
