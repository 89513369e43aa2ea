"""What a run will take, from how long single steps took."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from clworkbench.audit.limits import Standing, number, or_wait
from clworkbench.errors import BudgetError


@dataclass(frozen=True)
class Forecast:
    """Steps × what one of them takes; its spread is that of the steps that were looked at.

    Attributes:
        steps: of the whole run.
        step_s: seconds of a step: the median of those looked at.
        fastest_s: the fastest of them.
        slowest_s: the slowest.
        looked_at: what they were, in words.
        tokens_a_step: mean; None where nobody counted them.
        usd_per_hour: what an hour costs here.
    """

    steps: int
    step_s: float
    fastest_s: float
    slowest_s: float
    looked_at: str
    tokens_a_step: float | None
    usd_per_hour: float

    @property
    def seconds(self) -> float:
        """Of all steps."""
        return self.steps * self.step_s

    @property
    def usd(self) -> float:
        """For all steps."""
        return self.seconds / 3600 * self.usd_per_hour

    @property
    def n_tokens(self) -> int | None:
        """That all steps read."""
        return None if self.tokens_a_step is None else round(self.steps * self.tokens_a_step)

    def as_dict(self) -> dict[str, object]:
        """For a manifest, and for `--json`."""
        return {
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "low": round(self.steps * self.fastest_s, 3),
            "high": round(self.steps * self.slowest_s, 3),
            "n_tokens": self.n_tokens,
            "usd": round(self.usd, 6),
            "from": self.looked_at,
        }

    def __str__(self) -> str:
        spread = f"{_seconds(self.fastest_s)} to {_seconds(self.slowest_s)}"
        return (
            f"{self.looked_at} took {_seconds(self.step_s)} each ({spread}), so that {self.steps} steps take "
            f"{number(self.seconds / 3600)} h and {number(self.usd)} USD"
        )


def forecast(
    steps: int,
    took: Sequence[float],
    looked_at: str,
    *,
    usd_per_hour: float,
    tokens_a_step: float | None = None,
) -> Forecast:
    """What so many steps will take, where some took so many seconds each."""
    return Forecast(steps, median(took), min(took), max(took), looked_at, tokens_a_step, usd_per_hour)


def first_exceeded(limits: Sequence[Standing], seconds: float, usd_per_hour: float) -> Standing | None:
    """The first limit that so many seconds more would go above."""
    return next((limit for limit in limits if seconds > limit.seconds(usd_per_hour)), None)


def refusal(expected: Forecast, limit: Standing) -> BudgetError:
    """Why a run is not begun, and what can be done about it."""
    return BudgetError(
        f"train: {expected}. That is above {limit.place} in clw.toml: {limit} are spent.\n"
        f"Take fewer steps, lower max_tokens or batch_size, or raise the limit there{or_wait(limit)}."
    )


def _seconds(value: float) -> str:
    return f"{value:.3g} s"
