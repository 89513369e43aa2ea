"""A model behind an OpenAI-compatible chat endpoint: asked with patience, several requests at a time."""

import os
import queue
import re
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import repeat

import msgspec

from clworkbench.errors import EndpointError
from clworkbench.models.chat import Message, chat_messages, schemas
from clworkbench.models.completion import Failed, Reply, judged
from clworkbench.models.sending import Request, Sending
from clworkbench.models.wire import Answered, Broken, post
from clworkbench.settings.endpoints import EndpointSettings, fault

__all__ = ["Endpoint", "Failed", "Reply"]

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 120.0
"""An endpoint that asks for more patience is given up; the next command may ask it again."""

BYTES_A_TOKEN = 3
"""English text has more; a request is rather taken for dearer than it is."""


class Endpoint:
    """One OpenAI-compatible chat endpoint.

    Raises:
        EndpointError: the settings name no address, or the variable with the key is not set.
    """

    def __init__(self, settings: EndpointSettings, *, environ: Mapping[str, str] = os.environ) -> None:
        if found := fault(settings):
            raise EndpointError(f"endpoint: {found}")
        self.settings = settings
        self._key = _key(settings, environ)
        self._limit_word = "max_tokens"

    def __repr__(self) -> str:
        return f"Endpoint({self.settings.address}, {self.settings.model})"

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        tools: str | None = None,
        seed: int | None = None,
    ) -> Reply:
        """The model's answer to messages; asked again while the endpoint is busy, as the settings say.

        Args:
            messages: rows of the MESSAGE type.
            max_new_tokens: where the answer is cut.
            temperature: 0 takes the likeliest token.
            tools: the schemas that the model may call, as JSON.
            seed: of the sampling, for endpoints that have one.

        Raises:
            EndpointError: there is no answer.
        """
        body = self._body(messages, max_new_tokens, temperature, tools, seed)
        found = self._asked(body, Sending())
        if isinstance(found, Failed):
            raise EndpointError(f"{self.settings.address}: {found.why}")
        return found

    def many(
        self,
        inputs: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        tools: Sequence[str | None] | None = None,
        seeds: Sequence[int] | None = None,
        limit_usd: float | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Reply | Failed]:
        """Answers to many inputs, in their order; as `each`, with `on_progress` told (done, of how many)."""
        found: list[Reply | Failed] = [Failed("unasked", "")] * len(inputs)
        replies = self.each(
            inputs, max_new_tokens=max_new_tokens, temperature=temperature, tools=tools, seeds=seeds,
            limit_usd=limit_usd,
        )  # fmt: skip
        for done, (place, reply) in enumerate(replies, start=1):
            found[place] = reply
            if on_progress is not None:
                on_progress(done, len(inputs))
        return found

    def each(
        self,
        inputs: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        tools: Sequence[str | None] | None = None,
        seeds: Sequence[int] | None = None,
        limit_usd: float | None = None,
        sending: Sending | None = None,
    ) -> Generator[tuple[int, Reply | Failed], None, None]:
        """Answers as they arrive: each with the place of its input.

        No more is sent once one fails as all would, three in a row find no answer, or what is asked could cost more
        than `limit_usd`; what was not sent is `unasked`. Whoever stops listening stops the sending.

        Args:
            inputs: rows of the MESSAGE type for each answer wanted.
            max_new_tokens: where an answer is cut.
            temperature: 0 takes the likeliest token.
            tools: the schemas that may be called, as JSON, for each input.
            seeds: of the sampling, for each input.
            limit_usd: what all of them may cost.
            sending: in the place of `limit_usd`, of whoever stops the sending and still takes what is on its way.

        Raises:
            EndpointError: there is a limit, and nobody says what a token costs.
        """
        together = sending or Sending(limit_usd)
        if together.limit_usd is not None and self.expected_usd([], max_new_tokens) is None:
            raise EndpointError(
                f"{self.settings.address}: a limit of {together.limit_usd:g} USD cannot be held: no price is known.\n"
                "Set usd_per_million_prompt and usd_per_million_completion (0 where it costs nothing)."
            )
        requests = [
            self._request(messages, max_new_tokens, temperature, asked, seed)
            for messages, asked, seed in zip(
                inputs, tools or repeat(None, len(inputs)), seeds or repeat(None, len(inputs)), strict=True
            )
        ]
        waiting = iter(enumerate(requests))
        arrived: queue.Queue[tuple[int, Reply | Failed]] = queue.Queue()

        def work() -> None:
            while (taken := together.next_of(waiting)) is not None:
                place, request = taken
                arrived.put((place, self._within(together, request)))

        # Daemons: Ctrl-C does not wait for an endpoint that hangs.
        for _ in range(min(self.settings.concurrency, len(inputs))):
            threading.Thread(target=work, daemon=True).start()
        try:
            for _ in inputs:
                yield arrived.get()
        finally:
            together.stop("the work was stopped")

    def expected_usd(self, messages: Sequence[Message], max_new_tokens: int, tools: str | None = None) -> float | None:
        """What a request costs if its answer is as long as it may be; None without prices.

        The prompt's tokens are guessed from its bytes, rather too many than too few.
        """
        prompt, completion = self.settings.usd_per_million_prompt, self.settings.usd_per_million_completion
        if prompt is None or completion is None:
            return None
        n_bytes = len(msgspec.json.encode(chat_messages(messages))) + len((tools or "").encode())
        return (n_bytes / BYTES_A_TOKEN * prompt + max_new_tokens * completion) / 1e6

    def counted_usd(self, reply: Reply | Failed, messages: Sequence[Message], max_new_tokens: int) -> float:
        """What a ledger must count for a request: its price, or the highest it can be where nobody counted its tokens.

        0 without prices, and where there was no reply.
        """
        if isinstance(reply, Failed):
            return 0.0
        return (self.expected_usd(messages, max_new_tokens) or 0.0) if reply.cost_usd is None else reply.cost_usd

    def _within(self, together: Sending, request: Request) -> Reply | Failed:
        if (why := together.reserve(request.expected_usd)) is not None:
            return Failed("unasked", why)
        reply = self._asked(request.body, together)
        together.settle(reply, request.expected_usd)
        return reply

    def _request(
        self, messages: Sequence[Message], max_new_tokens: int, temperature: float, tools: str | None, seed: int | None
    ) -> Request:
        body = self._body(messages, max_new_tokens, temperature, tools, seed)
        return Request(body, self.expected_usd(messages, max_new_tokens, tools) or 0.0)

    def _body(
        self, messages: Sequence[Message], max_new_tokens: int, temperature: float, tools: str | None, seed: int | None
    ) -> dict[str, object]:
        body: dict[str, object] = {
            "model": self.settings.model,
            "messages": chat_messages(messages),
            "max_tokens": max_new_tokens,
            "temperature": temperature,
        }
        if (callable_ := schemas(tools)) is not None:
            body["tools"] = callable_
        return body if seed is None else body | {"seed": seed}

    def _asked(self, body: dict[str, object], together: "Sending") -> Reply | Failed:
        """Asks until there is an answer, or no hope of one."""
        tried = 0
        while True:
            began = time.perf_counter()
            answer = self._posted(body)
            if isinstance(answer, Answered) and self._other_limit_word(answer):
                continue
            found, wait_s = judged(answer, (time.perf_counter() - began) * 1000, self.settings, self._key)
            if wait_s is None or tried == self.settings.retries:
                return found
            tried += 1
            is_told, wait_s = wait_s > 0, wait_s or FIRST_WAIT_S * 2 ** (tried - 1)
            if wait_s > LONGEST_WAIT_S:
                assert isinstance(found, Failed)
                return Failed("unavailable", f"{found.why}; it asks to wait {wait_s:,.0f} s", everywhere=True)
            if not together.wait(wait_s, together=is_told):
                return found

    def _posted(self, body: dict[str, object]) -> Answered | Broken:
        limit = {self._limit_word: body["max_tokens"]}
        sent = {name: value for name, value in body.items() if name != "max_tokens"} | limit
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        url = f"{self.settings.address}/chat/completions"
        return post(url, msgspec.json.encode(sent), key, self.settings.timeout_seconds)

    def _other_limit_word(self, answer: Answered) -> bool:
        """Whether the endpoint wants `max_completion_tokens`, as OpenAI's newer models do: from now on it gets that."""
        if answer.status != 400 or b"max_completion_tokens" not in answer.body or self._limit_word != "max_tokens":
            return False
        self._limit_word = "max_completion_tokens"
        return True


def _key(settings: EndpointSettings, environ: Mapping[str, str]) -> str:
    if settings.key_env is None:
        return ""
    key = environ.get(settings.key_env, "").strip()
    if not key:
        raise EndpointError(
            f"{settings.address}: the environment variable {settings.key_env} is not set. Set it to the key."
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise EndpointError(
            f"{settings.address}: what {settings.key_env} holds has other characters than a key (a space, a line "
            "break, an accent). Copy it there again."
        )
    return key
