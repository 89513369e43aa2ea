"""Answers to a suite's examples: those that are kept are taken, the others asked for and kept batch by batch."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple, TypeVar

import polars as pl

from clworkbench.audit.budget import Meter
from clworkbench.audit.limits import refuse_spent
from clworkbench.display.progress import Advance
from clworkbench.evals.evaluate import ANSWERS
from clworkbench.loop.evals.remote import from_endpoint
from clworkbench.models.chat import chat_messages
from clworkbench.models.names import ModelSpec
from clworkbench.policy.redaction import redact_text
from clworkbench.settings import EndpointSettings
from clworkbench.workspace import Workspace
from clworkbench.workspace.answers import Answers, Kept
from clworkbench.workspace.folder import stable_id

LOOK_EVERY_S = 10.0
"""How often the budget is looked at while a model answers."""


@dataclass(frozen=True)
class Asking:
    """Who is asked, and how.

    Attributes:
        spec: the model.
        endpoint: where it answers, if not here.
        weights: what makes its answers its own: hashes of base and adapter, or the endpoint's address and model.
        max_new_tokens: where an answer is cut.
        temperature: of the sampling; 0 takes the likeliest token.
        repetitions: how often each example is asked.
        batch_size: examples at a time.
    """

    spec: ModelSpec
    endpoint: EndpointSettings | None
    weights: Mapping[str, object]
    max_new_tokens: int
    temperature: float
    repetitions: int
    batch_size: int

    @property
    def key(self) -> str:
        """The same model asked in the same way has the same."""
        return stable_id("answers", dict(self.weights), self.max_new_tokens, self.temperature)

    def as_dict(self) -> dict[str, object]:
        """What identifies scores, beside model, suite and scorers."""
        sampled = {"temperature": self.temperature} if self.temperature else {}
        several = {"repetitions": self.repetitions} if self.repetitions > 1 else {}
        return {"max_new_tokens": self.max_new_tokens, **self.weights, **sampled, **several}


class Question(NamedTuple):
    """One prompt to be asked once; `prompt` is the hash of its messages, `example_id` whose it is."""

    prompt: str
    repetition: int
    example_id: str
    messages: Sequence[Mapping[str, object]]

    @property
    def seed(self) -> int:
        """Of the sampling: each repetition of a prompt has its own."""
        return int.from_bytes(blake2b(f"{self.prompt} {self.repetition}".encode(), digest_size=6).digest())


class Answered(NamedTuple):
    """`frame`: `evals.evaluate.ANSWERS`; `known`: how many of its rows nobody had to ask for."""

    frame: pl.DataFrame
    known: int


def answered(workspace: Workspace, asking: Asking, examples: pl.DataFrame, meter: Meter, advance: Advance) -> Answered:
    """A model's answers to examples, each repetition its own row.

    What arrives is kept at once, in batches: a killed call has lost the last of them, and the same call goes on. All of
    it is redacted before anybody grades or keeps it, as the tables are: an answer is graded alike the second time, and
    a judge elsewhere never sees more than is kept.

    Args:
        workspace: where answers are kept; one process at a time asks the same model in the same way.
        asking: who is asked, and how.
        examples: `schemas.SUITE`.
        meter: of what it costs.
        advance: progress, in answers.

    Raises:
        BudgetError: what may be spent is spent, or would not do; what was answered is kept.
        EndpointError: an endpoint does not answer; what it answered is kept.
    """
    store = Answers(workspace.folder)
    asked = [
        Question(prompt_sha(messages), repetition, example, messages)
        for example, messages in examples.select("example_id", "input").iter_rows()
        for repetition in range(asking.repetitions)
    ]
    # Redacted once more: `[policy] redaction` may have been off when they were kept.
    found = dict(_redacted(workspace, [*store.known(asking.key, (question.prompt for question in asked)).items()]))
    missing = {(q.prompt, q.repetition): q for q in reversed(asked) if (q.prompt, q.repetition) not in found}
    waiting = [*missing.values()][::-1]
    known, before = len(asked) - len(waiting), len(found)
    looked = time.monotonic()

    def take(some: Some) -> None:
        nonlocal looked
        some = _redacted(workspace, some)
        store.keep([Kept(asking.key, *q[:3], answer) for q, answer in some if answer["output"] is not None])
        found.update({(question.prompt, question.repetition): answer for question, answer in some})
        advance(known + len(found) - before, len(asked), "")
        if time.monotonic() - looked >= LOOK_EVERY_S:
            refuse_spent("eval", meter.limits())
            looked = time.monotonic()

    if waiting:
        take([])
        _ask(workspace, asking, waiting, meter, take, has_answered=bool(found))
    rows = [{"example_id": q.example_id, "repetition": q.repetition, **found[q.prompt, q.repetition]} for q in asked]
    return Answered(pl.DataFrame(rows, schema=ANSWERS), known)


def prompt_sha(messages: Sequence[Mapping[str, object]]) -> str:
    """What was asked, as a hash: the model's own hash stands for how its template renders it."""
    text = json.dumps(chat_messages(messages), sort_keys=True)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


Key = TypeVar("Key")
Answer = dict[str, object]
Some = list[tuple[Question, Answer]]
"""Questions with their answers (`ANSWERS`, less the first two columns), one batch of them."""


def _ask(
    workspace: Workspace,
    asking: Asking,
    waiting: Sequence[Question],
    meter: Meter,
    take: Callable[[Some], None],
    *,
    has_answered: bool,
) -> None:
    inputs = [question.messages for question in waiting]
    if asking.endpoint is None:
        _ask_weights(workspace, asking, waiting, take)
        return
    from_endpoint(
        asking.endpoint,
        asking.spec.name,
        inputs,
        max_new_tokens=asking.max_new_tokens,
        temperature=asking.temperature,
        meter=meter,
        has_answered=has_answered,
        take=lambda batch: take([(waiting[place], answer) for place, answer in batch]),
    )


def _ask_weights(
    workspace: Workspace, asking: Asking, waiting: Sequence[Question], take: Callable[[Some], None]
) -> None:
    from clworkbench.models.generate import generate_each
    from clworkbench.models.load import load

    settings = workspace.settings.model
    for places, rows in generate_each(
        load(asking.spec, dtype=settings.dtype, threads=settings.threads),
        [question.messages for question in waiting],
        max_new_tokens=asking.max_new_tokens,
        batch_size=asking.batch_size,
        temperature=asking.temperature,
        seeds=[question.seed for question in waiting],
    ):
        answers = rows.with_columns(cost_usd=pl.lit(None, pl.Float64)).to_dicts()
        take([(waiting[place], answer) for place, answer in zip(places, answers, strict=True)])


def _redacted(workspace: Workspace, some: "list[tuple[Key, Answer]]") -> "list[tuple[Key, Answer]]":
    """By the patterns of ingest, unless redaction is off."""
    if not some or workspace.settings.policy.redaction == "off":
        return some
    texts = {
        name: redact_text(pl.Series(name, [answer[name] for _, answer in some], dtype=pl.String), workspace.pseudonyms)
        for name in ("output", "error")
    }
    clean = zip(texts["output"], texts["error"], strict=True)
    return [
        (key, answer | {"output": output, "error": error})
        for (key, answer), (output, error) in zip(some, clean, strict=True)
    ]
