"""The engine: a thread that reads prompts, adds a token to each answer, and lets requests in and out in between."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from random import Random

from clworkbench.models.chat import prompt_tokens
from clworkbench.models.engine.asking import Ask, OnPiece
from clworkbench.models.engine.batch import Batch, begin, go_on
from clworkbench.models.engine.held import Held
from clworkbench.models.engine.refusals import EngineClosed, EngineFull, PromptTooLong, UnknownModel
from clworkbench.models.engine.row import Row
from clworkbench.models.engine.text import GrowingText
from clworkbench.models.generate import stop_tokens
from clworkbench.models.load import first_line
from clworkbench.models.names import ModelSpec
from clworkbench.models.sampling import Sampling
from clworkbench.models.torch_setup import DType

PROMPT_TOKENS_AT_ONCE = 4096
"""Padded tokens of prompts read between two tokens of the others: they wait as long."""

DEFAULT_LIMIT = 1024
"""Tokens of an answer whose length nobody named."""


class Ticket:
    """A request that was taken."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.n_input_tokens = len(row.prompt)

    def cancel(self) -> None:
        """Nobody waits for the answer any more; its last piece says `cancelled`, unless it was told before."""
        self._row.cancelled = True


class Engine:
    """Answers requests to several models on one base, all in one batch.

    Args:
        specs: the models.
        batch: requests answered together, at most.
        waiting: requests that may wait beside them.
        dtype: of the weights.
        threads: of torch, on the CPU.
        cache: where converted weights are kept.

    Raises:
        ModelError: as `Held`.
    """

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        *,
        batch: int = 32,
        waiting: int = 512,
        dtype: DType = "bfloat16",
        threads: int | None = None,
        cache: Path | None = None,
    ) -> None:
        self._held = Held(specs, dtype=dtype, threads=threads, cache=cache)
        self._ends = stop_tokens(self._held.loaded)
        self._longest_token = max(map(len, self._held.loaded.tokenizer.get_vocab()))
        self._most, self._room = batch, waiting
        self._rendering = threading.Lock()
        self._wake = threading.Condition()
        self._waiting: deque[Row] = deque()
        self._tasks: deque[tuple[Callable[[], None], Future[None]]] = deque()
        self._batches: list[Batch] = []
        self._wanted = self._held.models
        self._closing = False
        self._ended: str | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def models(self) -> list[str]:
        """The models that a request may ask for."""
        return list(self._wanted)

    @property
    def context(self) -> int | None:
        """Tokens of prompt and answer together; None where the base does not say."""
        return self._held.context

    @property
    def load(self) -> int:
        """Requests that are being answered, or wait."""
        return len(self._waiting) + sum(len(batch.rows) for batch in self._batches)

    def submit(self, ask: Ask, on_piece: OnPiece) -> Ticket:
        """Takes a request; returns at once.

        Args:
            ask: what is asked.
            on_piece: told of each piece of the answer, the last one always, in the engine's thread.

        Raises:
            UnknownModel: no such model is held.
            PromptTooLong: prompt and answer exceed the context.
            EngineFull: as many requests wait as may.
            EngineClosed: the engine has ended.
            ModelError: the base's chat template refuses the messages.
        """
        row = self._row(ask, on_piece)
        with self._wake:
            # Asked within the lock: a model may be swapped away while its prompt is rendered.
            if ask.model not in self._wanted:
                raise UnknownModel(f"no model {ask.model!r} here. There: {', '.join(self._wanted)}.")
            if self._closing or self._ended is not None:
                raise EngineClosed(f"the engine has ended: {self._ended or 'it was closed'}")
            if len(self._waiting) >= self._room:
                raise EngineFull(f"{len(self._waiting):,} requests wait already. Come again later.")
            self._waiting.append(row)
            self._wake.notify()
        return Ticket(row)

    def swap(self, specs: Sequence[ModelSpec]) -> None:
        """Holds these models from now on; requests that were taken before end with the model they began with.

        Raises:
            ModelError: as `Held`; nothing has changed then.
            EngineClosed: the engine has ended.
        """
        self._held.checked(specs)
        done: Future[None] = Future()
        with self._wake:
            if self._closing or self._ended is not None:
                raise EngineClosed(f"the engine has ended: {self._ended or 'it was closed'}")
            self._tasks.append((lambda: self._hold(specs), done))
            self._wake.notify()
        done.result()

    def close(self) -> None:
        """Ends the engine; answers on their way are cancelled."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _row(self, ask: Ask, on_piece: OnPiece) -> Row:
        tokenizer = self._held.loaded.tokenizer
        self._check_size(ask)
        with self._rendering:
            prompt = prompt_tokens(tokenizer, ask.messages, ask.tools)
        room = self.context or len(prompt) + (ask.max_new_tokens or DEFAULT_LIMIT)
        wanted = ask.max_new_tokens or max(1, min(DEFAULT_LIMIT, room - len(prompt)))
        if len(prompt) + wanted > room:
            raise PromptTooLong(len(prompt), wanted, room)
        sampling = Sampling(Random(ask.seed), ask.temperature, ask.top_p)
        return Row(ask.model, prompt, wanted, sampling, self._ends, GrowingText(tokenizer, ask.stop), on_piece)

    def _check_size(self, ask: Ask) -> None:
        """Refuses what must be too long before it is made into tokens: ten million characters take half a minute."""
        said = sum(len(str(message.get("content") or "")) for message in ask.messages)
        at_least = said // self._longest_token
        if self.context is not None and at_least > self.context:
            raise PromptTooLong(at_least, ask.max_new_tokens or 1, self.context)

    # in the engine's own thread

    def _run(self) -> None:
        why = "it failed; its log says how"
        try:
            while self._next():
                self._step()
            why = "it was closed"
        finally:
            self._end(why)

    def _next(self) -> bool:
        """Waits until there is something to do; whether the engine goes on."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._batches or self._tasks or self._closing)
            return not self._closing

    def _step(self) -> None:
        while self._tasks:
            task, done = self._tasks.popleft()
            try:
                task()
            except ValueError as error:
                done.set_exception(error)
            else:
                done.set_result(None)
        for rows in self._arrivals():
            self._begin(rows)
        for batch in self._batches:
            self._tried(lambda batch=batch: go_on(self._held, batch), batch.rows)  # type: ignore[misc]
            batch.leave()
        self._batches = [batch for batch in self._batches if batch.rows]
        self._let_go()

    def _arrivals(self) -> Iterator[list[Row]]:
        """Those that may begin now, in the order of their arrival, as many as are read at once."""
        free = self._most - sum(len(batch.rows) for batch in self._batches)
        rows: list[Row] = []
        width = 0
        while free > len(rows) and self._waiting:
            row = self._waiting[0]
            width = max(width, len(row.prompt))
            if rows and width * (len(rows) + 1) > PROMPT_TOKENS_AT_ONCE:
                break
            self._waiting.popleft()
            if row.cancelled:
                row.end("cancelled")
            else:
                rows.append(row)
        if rows:
            yield rows

    def _begin(self, rows: list[Row]) -> None:
        for row in rows:
            row.adapter = self._held.adapter(row.model)
        made: list[Batch] = []
        self._tried(lambda: made.append(begin(self._held, rows)), rows)
        for batch in made:
            batch.leave()
            if not batch.rows:
                continue
            if self._batches and batch.joins:
                self._batches[0].join(batch)
            else:
                self._batches.append(batch)

    def _tried(self, step: Callable[[], None], rows: Sequence[Row]) -> None:
        """A step that fails, for want of memory or by a broken adapter, ends its own rows and no others."""
        try:
            step()
        except (RuntimeError, ValueError, MemoryError, IndexError) as error:
            for row in rows:
                row.end("error", first_line(error))

    def _hold(self, specs: Sequence[ModelSpec]) -> None:
        self._held.add(specs)
        with self._wake:
            self._wanted = [spec.name for spec in specs]

    def _let_go(self) -> None:
        """Drops models that are wanted no more, once nothing is answered by them."""
        surplus = [name for name in self._held.models if name not in self._wanted]
        if surplus:
            with self._wake:
                waiting = {row.model for row in self._waiting}
            busy = waiting | {row.model for batch in self._batches for row in batch.rows}
            self._held.drop([name for name in surplus if name not in busy])

    def _end(self, why: str) -> None:
        with self._wake:
            self._ended = why
            rows = [*(row for batch in self._batches for row in batch.rows), *self._waiting]
            tasks = list(self._tasks)
        for row in rows:
            row.end("cancelled")
        for _, done in tasks:
            done.set_exception(EngineClosed(f"the engine has ended: {why}"))
