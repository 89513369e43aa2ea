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
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._why, self._limit_usd, self._usd = "", limit_usd, 0.0
        self._in_a_row, self._not_before = 0, 0.0

    def next_of(self, waiting: Iterator[tuple[int, Request]]) -> tuple[int, Request] | None:
        """The next request with its place; None where there is none."""
        with self._lock:
            return next(waiting, None)

    def stop(self, why: str) -> None:
        """Nothing more is sent; the first reason counts."""
        with self._lock:
            self._why = self._why or why
        self._stopped.set()

    def reserve(self, usd: float) -> str | None:
        """Why a request that may cost so much is not sent; None where it may be, and what it may cost is put aside."""
        self._stopped.wait(max(0.0, self._not_before - time.monotonic()))
        with self._lock:
            if not self._stopped.is_set() and self._limit_usd is not None and self._usd + usd > self._limit_usd:
                self._why = (
                    f"the next request may cost {usd:.2g} USD, and {self._usd:.2g} of {self._limit_usd:g} are spent"
                )
                self._stopped.set()
            if self._stopped.is_set():
                return self._why
            self._usd += usd
            return None

    def settle(self, reply: Reply | Failed, reserved_usd: float) -> None:
        """Notes what a request cost; one that broke may have been paid for, and what was put aside stays so."""
        with self._lock:
            if isinstance(reply, Reply):
                self._usd += (reserved_usd if reply.cost_usd is None else reply.cost_usd) - reserved_usd
                self._in_a_row = 0
                return
            if reply.kind == "refused":
                self._usd -= reserved_usd
                self._in_a_row = 0
                return
            self._in_a_row += 1
            given_up = reply.everywhere or self._in_a_row >= GIVEN_UP_AFTER
        if given_up:
            self.stop(reply.why)

    def wait(self, seconds: float, *, together: bool) -> bool:
        """Waits; whether the work still goes on. `together`: the others send nothing new meanwhile."""
        if together:
            with self._lock:
                self._not_before = max(self._not_before, time.monotonic() + seconds)
        return not self._stopped.wait(seconds)
