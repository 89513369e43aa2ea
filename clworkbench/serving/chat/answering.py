"""From a request to the end of its answer: asked of the engine, watched, written down, and only then told as done."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace

import msgspec
from starlette.types import Receive

from clworkbench.errors import ModelError
from clworkbench.models.engine import Ask, Engine, EngineClosed, EngineFull, Piece, PromptTooLong, Ticket, UnknownModel
from clworkbench.serving.bodies import Refused
from clworkbench.serving.chat.errors import Wrong
from clworkbench.serving.chat.record import SHADOW, Answer
from clworkbench.serving.spool import Spool, SpoolFull, SpoolUnwritable

FULL = "the spool is full until ingest has caught up: come again later"


class Answering:
    """Asks the engine and tells pieces in the server's own thread."""

    def __init__(self, engine: Engine, spool: Spool) -> None:
        self._engine, self._spool = engine, spool
        self._beside: set[asyncio.Task[None]] = set()

    def begin(self, answer: Answer) -> "Growing":
        """Has the engine answer.

        Raises:
            Wrong: it does not take the request.
        """
        growing = Growing(answer)
        growing.ticket = self._submit(answer, growing.tell)
        return growing

    def shadow(self, answer: Answer, model: str) -> None:
        """Has another model answer the same, for nobody to see; what becomes of it is written down."""
        drawn = replace(answer.drawn, model=model, arm="challenger")
        beside = Answer(
            answer.chat, answer.messages, answer.conversation, drawn, SHADOW, answer.id, answer.began, answer.trace
        )
        try:
            growing = self.begin(beside)
        except Refused as no:
            beside.take(Piece("", 0, 0, None, "error", no.why))
            self._later(self.keep(beside))
            return
        self._later(self._to_the_end(growing))

    async def _to_the_end(self, growing: "Growing") -> None:
        async for _ in growing.pieces():
            pass
        with contextlib.suppress(Refused):  # nobody is told: the spool is full, and those who are sent answers hear it
            await self.keep(growing.answer)

    async def keep(self, answer: Answer) -> None:
        """Writes the answer down; returns once it is on the disk.

        Raises:
            Refused: the spool is full, or cannot be written.
        """
        try:
            await self._spool.add("json", answer.line())
        except SpoolFull:
            raise Wrong(FULL, status=503, retry_after_s=5) from None
        except SpoolUnwritable as error:
            why = f"the answer could not be written down ({error}), and nothing is answered that is not"
            raise Wrong(why, status=503, retry_after_s=30) from None

    def keep_later(self, answer: Answer) -> None:
        """Writes down what nobody waits for any more."""
        self._later(self.keep(answer))

    async def drained(self) -> None:
        """Waits for what is answered beside requests."""
        while self._beside:
            await asyncio.gather(*self._beside, return_exceptions=True)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        async def quietly() -> None:
            with contextlib.suppress(Refused):
                await work

        task = asyncio.create_task(quietly())
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def _submit(self, answer: Answer, tell: Callable[[Piece], None]) -> Ticket:
        chat = answer.chat
        ask = Ask(
            answer.messages,
            answer.drawn.model,
            chat.limit,
            # OpenAI's own default is 1; here an answer is as it was measured, unless the client asks for chance.
            temperature=chat.temperature or 0.0,
            top_p=chat.top_p or 1.0,
            seed=chat.seed,
            stop=chat.stops,
            tools=msgspec.json.encode(chat.tools).decode() if chat.tools else None,
        )
        try:
            return self._engine.submit(ask, tell)
        except PromptTooLong as error:
            raise Wrong(str(error), param="messages", code="context_length_exceeded") from None
        except UnknownModel as error:
            raise Wrong(str(error), status=404, param="model", code="model_not_found") from None
        except EngineFull as error:
            raise Wrong(str(error), status=429, code="rate_limit_exceeded", retry_after_s=1) from None
        except EngineClosed as error:
            raise Wrong(str(error), status=503, retry_after_s=5) from None
        except ModelError as error:
            raise Wrong(str(error), param="messages") from None


class Growing:
    """An answer while it comes."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.ticket: Ticket | None = None
        self._pieces: asyncio.Queue[Piece] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def tell(self, piece: Piece) -> None:
        """Called in the engine's thread."""
        with contextlib.suppress(RuntimeError):  # the server has ended, and its loop with it
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

    async def pieces(self) -> AsyncIterator[Piece]:
        """All pieces, the last one with its `finish`."""
        while True:
            piece = await self._pieces.get()
            self.answer.take(piece)
            yield piece
            if piece.finish is not None:
                return

    def cancel(self) -> None:
        """Nobody waits for the answer any more."""
        if self.ticket is not None:
            self.ticket.cancel()


async def gone(receive: Receive) -> None:
    """Returns when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def finish_reason(piece: Piece) -> str:
    """In OpenAI's words."""
    return "length" if piece.finish == "length" else "stop"


def usage(piece: Piece) -> dict[str, int]:
    """Tokens of prompt and answer."""
    n_in, n_out = piece.n_input_tokens, piece.n_output_tokens
    return {"prompt_tokens": n_in, "completion_tokens": n_out, "total_tokens": n_in + n_out}
