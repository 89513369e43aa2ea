"""Answers from an endpoint: within the budget, kept as they arrive, and in words when it stops answering."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

from clworkbench.audit.budget import Meter
from clworkbench.audit.limits import Standing, number, or_wait
from clworkbench.errors import BudgetError, EndpointError
from clworkbench.models.endpoint import Endpoint, Failed, Reply
from clworkbench.models.sending import Sending
from clworkbench.settings import EndpointSettings

AT_ONCE = 16
"""Replies that are handed on together."""

HELD_S = 2.0
"""No reply waits longer for others."""

PROBE = 8
"""Replies after which the price of the rest is foreseen."""

Batch = list[tuple[int, dict[str, object]]]


def from_endpoint(
    settings: EndpointSettings,
    name: str,
    inputs: Sequence[Sequence[Mapping[str, object]]],
    *,
    max_new_tokens: int,
    temperature: float,
    meter: Meter,
    has_answered: bool,
    take: Callable[[Batch], None],
) -> None:
    """Asks for answers and hands them on as they arrive, some at a time; what has arrived is handed on in any case.

    Args:
        settings: of the endpoint.
        name: what the user calls it.
        inputs: messages.
        max_new_tokens: where an answer is cut.
        temperature: of the sampling.
        meter: books what replies cost.
        has_answered: it is known to have answered before: a request that it refuses now says something of that request.
        take: gets the place of each input, and what `evals.evaluate.ANSWERS` holds of its answer.

    Raises:
        BudgetError: the limits of `[budget]` allow no more of it.
        EndpointError: it stopped answering, or never did.
    """
    endpoint = Endpoint(settings)
    purse = _Purse(endpoint, name, inputs, max_new_tokens, meter)
    sending = Sending(purse.limit_usd)
    replies = endpoint.each(inputs, max_new_tokens=max_new_tokens, temperature=temperature, sending=sending)
    handing = _Handing(purse, sending, take)
    refused: Batch = []
    missing: list[Failed] = []
    with closing(replies):
        try:
            for place, reply in replies:
                if isinstance(reply, Reply):
                    handing.over(place, reply, wanted=len(inputs) - len(refused))
                elif reply.kind == "refused":
                    refused.append((place, _refused(reply)))
                else:
                    missing.append(reply)
        finally:
            handing.rest()
    if missing and handing.stopped_by is not None:
        raise handing.stopped_by
    if refused and not has_answered and not purse.n_paid:
        raise EndpointError(f"{name}: it refuses what it is asked: {refused[0][1]['error']}. Check [endpoints].")
    take(refused)
    if missing:
        purse.refuse_foreseen()
        purse.explain(missing)


class _Handing:
    """Replies on their way to whoever keeps them; what was sent before the budget ended is still taken and booked."""

    def __init__(self, purse: "_Purse", sending: Sending, take: Callable[[Batch], None]) -> None:
        self._purse, self._sending, self._take = purse, sending, take
        self._held: Batch = []
        self._since = time.monotonic()
        self.stopped_by: BudgetError | None = None

    def over(self, place: int, reply: Reply, *, wanted: int) -> None:
        """Takes a reply, one of so many that are wanted."""
        self._held.append((place, _answer(reply)))
        self._purse.paid(place, reply)
        if len(self._held) < AT_ONCE and time.monotonic() - self._since < HELD_S:
            return
        try:
            self.rest()
        except BudgetError as error:
            self.stopped_by = error
            self._sending.stop("the budget allows no more")
        if self._purse.foresees_too_much(wanted):
            self._sending.stop("the budget allows no more")

    def rest(self) -> None:
        """Hands on what is held; it is in the ledger before."""
        some, self._held, self._since = self._held, [], time.monotonic()
        self._purse.note()
        self._take(some)


class _Purse:
    """What an endpoint may cost, and has cost."""

    def __init__(
        self,
        endpoint: Endpoint,
        name: str,
        inputs: Sequence[Sequence[Mapping[str, object]]],
        max_new_tokens: int,
        meter: Meter,
    ) -> None:
        self._name, self._meter, self._n = name, meter, len(inputs)
        self._endpoint, self._inputs, self._max_new_tokens = endpoint, inputs, max_new_tokens
        self._costs: list[float] = []
        self._foreseen: tuple[float, str] | None = None
        self._limits = [limit for limit in meter.limits() if limit.name == "usd"]
        self.limit_usd = min((limit.left for limit in self._limits), default=None)
        prompts = sum(endpoint.expected_usd(messages, 0) or 0.0 for messages in inputs)
        self._refuse_above(prompts, f"{self._n} prompts alone cost about {number(prompts)} USD")

    @property
    def n_paid(self) -> int:
        """How many replies came."""
        return len(self._costs)

    def paid(self, place: int, reply: Reply) -> None:
        """Books a reply; one whose tokens nobody counted as dear as it could be."""
        self._costs.append(self._endpoint.counted_usd(reply, self._inputs[place], self._max_new_tokens))
        self._meter.buy(self._costs[-1])

    def note(self) -> None:
        """Writes into the ledger what was booked."""
        self._meter.note()

    def foresees_too_much(self, wanted: int) -> bool:
        """Whether the first replies, looked at once, say that all that are wanted cost more than is left."""
        if self._foreseen is None and self.n_paid >= PROBE:
            spent = sum(self._costs)
            whole = spent / self.n_paid * wanted
            said = f"{self.n_paid} answers cost {number(spent)} USD, so that all {wanted} cost {number(whole)} USD"
            self._foreseen = whole, said
        return self._foreseen is not None and self._exceeded(self._foreseen[0]) is not None

    def refuse_foreseen(self) -> None:
        """Raises where too much was foreseen."""
        if self._foreseen is not None:
            self._refuse_above(*self._foreseen)

    def _refuse_above(self, usd: float, said: str) -> None:
        if (limit := self._exceeded(usd)) is not None:
            raise BudgetError(
                f"eval: {self._name}: {said}. That is above {limit.place} in clw.toml: {limit} are spent.\n"
                f"{len(self._costs)} of {self._n} are answered and kept. Ask fewer repetitions, lower max_new_tokens, "
                f"or raise the limit there{or_wait(limit)}."
            )

    def _exceeded(self, usd: float) -> Standing | None:
        return next((limit for limit in self._limits if usd > limit.left), None)

    def explain(self, missing: Sequence[Failed]) -> None:
        """Raises for answers that did not come."""
        kept = f"{self._n - len(missing)} of {self._n} are answered and kept; the same command goes on from there."
        spent = next((limit for limit in self._limits if limit.left == self.limit_usd), None)
        tried = [failed.why for failed in missing if failed.kind == "unavailable"]
        if spent is not None and not tried:
            raise BudgetError(
                f"eval: {self._name}: {missing[0].why}: {spent.place} in clw.toml.\n"
                f"{kept} Raise the limit there{or_wait(spent)}."
            )
        raise EndpointError(f"{self._name}: {(tried or [missing[0].why])[-1]}.\n{kept}".replace("..\n", ".\n"))


def _answer(reply: Reply) -> dict[str, object]:
    return {
        "output": _said(reply),
        "n_input_tokens": reply.prompt_tokens,
        "n_output_tokens": reply.completion_tokens,
        "termination": reply.finish_reason,
        "confidence": None,
        "error": None,
        "latency_ms": reply.latency_ms,
        "cost_usd": reply.cost_usd,
    }


def _said(reply: Reply) -> str:
    """The text, and after it the calls as models write them into theirs."""
    calls = [
        f"<tool_call>{json.dumps({'name': call['name'], 'arguments': call['arguments']})}</tool_call>"
        for call in reply.tool_calls
    ]
    return "\n".join([*([reply.text] if reply.text or not calls else []), *calls])


def _refused(failed: Failed) -> dict[str, object]:
    nothing = dict.fromkeys(
        ("output", "n_input_tokens", "n_output_tokens", "confidence", "latency_ms", "cost_usd"), None
    )
    return {**nothing, "termination": "error", "error": failed.why}
