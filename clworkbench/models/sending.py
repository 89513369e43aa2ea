"""What the requests of one piece of work share: whether it goes on, until when all wait, and what they cost."""

import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from clworkbench.models.completion import Failed, Reply

GIVEN_UP_AFTER = 3
"""So many requests in a row that found no answer, each tried to the end: nobody is there."""


class Request(NamedTuple):
    """What is sent, and what it costs if its answer is as long as it may be."""

    body: dict[str, object]
    expected_usd: float


class Sending:
    """Shared by the threads that send."""

    def __init__(self, limit_usd: float | None = None) -> None:
        self.limit_usd = limit_usd
        self._lock, self._stopped = threading.Condition(), threading.Event()
        self._why, self._usd, self._aside_usd = "", 0.0, 0.0
        self._on_their_way, self._in_a_row, self._not_before = 0, 0, 0.0

    def next_of(self, waiting: Iterator[tuple[int, Request]]) -> tuple[int, Request] | None:
        """The next request with its place; None where there is none."""
        with self._lock:
            return next(waiting, None)

    def stop(self, why: str) -> None:
        """Nothing more is sent; the first reason counts."""
        with self._lock:
            self._why = self._why or why
            self._stopped.set()
            self._lock.notify_all()

    def reserve(self, usd: float) -> str | None:
        """Why a request that may cost so much is not sent; None where it may be, and what it may cost is put aside.

        What others put aside is mostly more than they cost: their price is waited for before one is refused.
        """
        self._stopped.wait(max(0.0, self._not_before - time.monotonic()))
        with self._lock:
            self._lock.wait_for(lambda: self._stopped.is_set() or self._fits(usd) or not self._on_their_way)
            if not self._stopped.is_set() and not self._fits(usd):
                self.stop(
                    f"the next request may cost {usd:.2g} USD, and {self._usd:.2g} of {self.limit_usd:g} are spent"
                )
            if self._stopped.is_set():
                return self._why
            self._aside_usd += usd
            self._on_their_way += 1
            return None

    def _fits(self, usd: float) -> bool:
        return self.limit_usd is None or self._usd + self._aside_usd + usd <= self.limit_usd

    def settle(self, reply: Reply | Failed, reserved_usd: float) -> None:
        """Notes what a request cost; one that broke may have been paid for, and counts as dear as it could be."""
        with self._lock:
            self._on_their_way -= 1
            self._aside_usd = self._aside_usd - reserved_usd if self._on_their_way else 0.0
            self._usd += _cost_usd(reply, reserved_usd)
            is_lost = isinstance(reply, Failed) and reply.kind != "refused"
            self._in_a_row = self._in_a_row + 1 if is_lost else 0
            if isinstance(reply, Failed) and is_lost and (reply.everywhere or self._in_a_row >= GIVEN_UP_AFTER):
                self.stop(reply.why)
            self._lock.notify_all()

    def wait(self, seconds: float, *, together: bool) -> bool:
        """Waits; whether the work still goes on. `together`: the others send nothing new meanwhile."""
        if together:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + seconds)
        return not self._stopped.wait(seconds)


def _cost_usd(reply: Reply | Failed, at_most: float) -> float:
    if isinstance(reply, Failed):
        return 0.0 if reply.kind == "refused" else at_most
    return at_most if reply.cost_usd is None else reply.cost_usd
