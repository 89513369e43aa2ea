"""A judge at work: cases go to its endpoint, grades come as they arrive; an unreadable reply is asked once more."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from clworkbench.models.endpoint import Endpoint, Failed, Reply
from clworkbench.scorers.judge import Case, Judge, Message

UNREADABLE = "the judge's reply gives no grade, also when asked again"
CUT = "the judge's reply was cut before its grade, also when asked again: raise max_new_tokens"


class Verdict(NamedTuple):
    """What came of one case.

    Attributes:
        grade: on the judge's scale; None where there is none.
        error: why there is none; None where there is one.
        later: why it can be asked later: the endpoint was `unavailable`, or it was not sent (`unasked`); else None.
    """

    grade: int | None
    error: str | None = None
    later: Literal["unavailable", "unasked"] | None = None


def graded(
    endpoint: Endpoint,
    judge: Judge,
    cases: Sequence[Case],
    *,
    limit_usd: float | None = None,
    paid: Callable[[float], None] = lambda _usd: None,
) -> Iterator[tuple[int, Verdict]]:
    """Verdicts as they arrive, each with the place of its case; every case has one in the end.

    A reply that cannot be read is asked once more, with what was wrong. What is then no grade is none, never the best
    or the worst one.

    Args:
        endpoint: where the judge's model answers.
        judge: what it is asked.
        cases: what is graded.
        limit_usd: what all of it may cost.
        paid: told what each reply cost, as soon as it is there (`Endpoint.counted_usd`).

    Raises:
        EndpointError: there is a limit, and nobody says what a token costs.
    """
    asked: list[Sequence[Message]] = [judge.asks(case) for case in cases]
    again: dict[int, list[dict[str, object]]] = {}
    spent = 0.0
    for place, reply in _replies(endpoint, judge, asked, limit_usd):
        cost_usd = endpoint.counted_usd(reply, asked[place], judge.max_new_tokens)
        paid(cost_usd)
        spent += cost_usd
        if isinstance(reply, Reply) and judge.grade(reply.text) is None:
            again[place] = judge.asks_again(asked[place], reply.text)
        else:
            yield place, _verdict(judge, reply)
    left = None if limit_usd is None else max(0.0, limit_usd - spent)
    places = list(again)
    for at, reply in _replies(endpoint, judge, [again[place] for place in places], left):
        paid(endpoint.counted_usd(reply, again[places[at]], judge.max_new_tokens))
        yield places[at], _verdict(judge, reply)


def _replies(
    endpoint: Endpoint, judge: Judge, asked: Sequence[Sequence[Message]], limit_usd: float | None
) -> Iterator[tuple[int, Reply | Failed]]:
    seeds = [judge.seed] * len(asked)
    return endpoint.each(asked, max_new_tokens=judge.max_new_tokens, seeds=seeds, limit_usd=limit_usd)


def _verdict(judge: Judge, reply: Reply | Failed) -> Verdict:
    if isinstance(reply, Failed):
        return Verdict(None, f"the judge gave no answer: {reply.why}", None if reply.kind == "refused" else reply.kind)
    grade = judge.grade(reply.text)
    if grade is None:
        return Verdict(None, CUT if reply.finish_reason == "length" else UNREADABLE)
    return Verdict(grade)
