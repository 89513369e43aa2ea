"""The people of the simulated desk: what customers write, and what operators make of the model's answers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import islice
from random import Random

import polars as pl

TARGET = "billing_cancellation"
"""The intent whose handling a policy changes at the start of week 3, when many more begin to write about it."""

ACTIONS = {
    TARGET: "cancel_now",
    "address_change": "update_address",
    "app_crash": "collect_logs",
    "card_declined": "send_payment_link",
    "change_plan": "switch_plan",
    "charged_twice": "reverse_charge",
    "data_export": "send_archive",
    "delivery_status": "track_parcel",
    "invoice_copy": "send_invoice",
    "password_reset": "send_reset_link",
    "refund_request": "open_refund",
    "two_factor": "reset_codes",
}
"""What an operator does about each intent under the old policy."""

NEW_ACTION = "offer_pause"
POLICY_WEEK = 3
START = datetime(2026, 1, 5, tzinfo=UTC)
"""Monday of week 0, on the desk's own clock."""

LAZY = 0.15
"""Wrong answers that an operator accepts all the same."""

OVERRIDDEN = 0.2
"""Of the wrong answers that an operator sees, those handled by hand, with no better answer written down."""

REOPENED = {True: 0.02, False: 0.8}
"""Tickets that come back within a day, by whether they were handled rightly."""

THUMBS, TRUTHFUL = 0.15, 0.85
OPERATORS = ("Noor", "Pavel", "Imani", "Luz", "Anders")
FIRST = ("anna", "ben", "chidi", "dora", "emre", "fatou", "goran", "hana", "ivo", "june", "kofi", "lena", "marek")
LAST = ("abel", "brook", "costa", "dahl", "ekman", "fox", "garcia", "holm", "ito", "jansen", "kaya", "lund")
CARDS = ("4111 1111 1111 1111", "5555 5555 5555 4444", "3782 822463 10005")
GREETINGS = ("Hi,", "Hello,", "Hello there,", "Good morning,", "Hey team,", "Dear support,")
GOODBYES = ("Thanks!", "Thank you.", "Kind regards", "Best wishes", "Cheers", "Many thanks in advance.")
WEEKDAYS = (1.3, 1.2, 1.1, 1.0, 1.0, 0.7, 0.7)


@dataclass(frozen=True)
class Week:
    """How many write in a week, which share of them about the target, and from which part of the wordings."""

    number: int
    messages: int
    target_share: float
    part: str


@dataclass(frozen=True)
class Message:
    """One customer's message; `intent` is what the customer means, which only the simulation knows."""

    ticket: str
    week: int
    at: datetime
    customer: str
    intent: str
    text: str


@dataclass(frozen=True)
class Ticket:
    """A message and the answer it got. `confidence` is null where nobody told; `answer_id` is that of `clw serve`."""

    message: Message
    served_by: str
    answer: str
    confidence: float | None
    n_input_tokens: int | None
    n_output_tokens: int | None
    answer_id: str | None = None


def wordings() -> pl.DataFrame:
    """All wordings: `intent`, `text`, `style` (plain, typo, indirect, long) and `held_out`."""
    folder = files("clworkbench.demo") / "wordings"
    lines = [line for intent in ACTIONS for line in (folder / f"{intent}.jsonl").read_text("utf-8").splitlines()]
    return pl.DataFrame([json.loads(line) for line in lines])


def cast(
    rows: pl.DataFrame, seed: int, *, history: int = 40, target_history: int = 28, fresh: int = 10
) -> pl.DataFrame:
    """Gives each wording its `part`, which no other one of the story shares.

    `suite` is what the file holds out. Of the others, dealt by seed, `history` is what the first champion learns
    from, `fresh` what is first written in week 4 (the target's last 52, one for each of its messages), `pool` the
    rest, written in weeks 1 to 3.
    """
    dealt = pl.concat([_dealt(intent, seed, part) for (intent,), part in rows.group_by("intent", maintain_order=True)])
    place, is_target = pl.col("place"), pl.col("intent") == TARGET
    n_history = pl.when(is_target).then(target_history).otherwise(history)
    n_fresh = pl.when(is_target).then(pl.lit(FRESH_TARGET)).otherwise(fresh)
    part = (
        pl.when(pl.col("held_out"))
        .then(pl.lit("suite"))
        .when(place < n_history)
        .then(pl.lit("history"))
        .when(place >= pl.col("n") - n_fresh)
        .then(pl.lit("fresh"))
        .otherwise(pl.lit("pool"))
    )
    return dealt.with_columns(part=part).drop("place", "n")


FRESH_TARGET = 52


def _dealt(intent: object, seed: int, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows in a drawn order, those held out last, with `place` and `n` among the others."""
    learnable, held = rows.filter(~pl.col("held_out")), rows.filter("held_out")
    order = list(range(learnable.height))
    Random(f"{seed} deal {intent}").shuffle(order)
    counted = pl.concat([learnable[order], held]).with_row_index("place")
    return counted.with_columns(pl.col("place").cast(pl.Int64), n=pl.lit(learnable.height))


def expected(intent: str, *, new_policy: bool) -> str:
    """The right answer, as JSON."""
    action = NEW_ACTION if new_policy and intent == TARGET else ACTIONS[intent]
    return answer(intent, action)


def answer(intent: str, action: str) -> str:
    """An answer as the model is to write it."""
    return json.dumps({"intent": intent, "action": action})


def history(rows: pl.DataFrame, seed: int) -> list[Ticket]:
    """Week 0: every wording of the history once, answered by an operator, from Monday to Saturday."""
    random = Random(f"{seed} week 0")
    said = list(rows.filter(pl.col("part") == "history").select("intent", "text").iter_rows())
    random.shuffle(said)
    messages = _messages(said, 0, random, days=6)
    return [Ticket(m, "operators", expected(m.intent, new_policy=False), None, None, None) for m in messages]


def written(rows: pl.DataFrame, week: Week, seed: int) -> list[Message]:
    """What customers write in a week, by time: every wording of a side once before any comes again."""
    random = Random(f"{seed} week {week.number}")
    there = rows.filter(pl.col("part") == week.part)
    n_target = round(week.messages * week.target_share)
    sides = [(pl.col("intent") == TARGET, n_target), (pl.col("intent") != TARGET, week.messages - n_target)]
    said = [
        row
        for side, n in sides
        for row in islice(_again_and_again(there.filter(side).select("intent", "text").rows(), random), n)
    ]
    random.shuffle(said)
    return _messages(said, week.number, random, days=7)


def _again_and_again(rows: Sequence[tuple[str, str]], random: Random) -> Iterator[tuple[str, str]]:
    while True:
        yield from random.sample(rows, len(rows))


def _messages(said: Sequence[tuple[str, str]], week: int, random: Random, *, days: int) -> list[Message]:
    weekdays = random.choices(range(days), WEEKDAYS[:days], k=len(said))
    monday = START + timedelta(weeks=week)
    moments = sorted(monday + timedelta(days=day, seconds=random.randrange(7 * 3600, 22 * 3600)) for day in weekdays)
    messages = []
    for number, ((intent, text), at) in enumerate(zip(said, moments, strict=True)):
        customer = f"{random.choice(FIRST)}.{random.choice(LAST)}{random.randrange(100)}@example.com"
        ticket = f"T{week}{number:04d}"
        messages.append(Message(ticket, week, at, customer, intent, _dressed(text, customer, random)))
    return messages


def _dressed(text: str, customer: str, random: Random) -> str:
    """A wording as somebody sends it off: some greet, some sign, some add what redaction is there for."""
    before = [random.choice(GREETINGS)] if random.random() < 0.25 else []
    after = []
    if random.random() < 0.08:
        after.append(f"(Earlier ticket: {random.randrange(10_000, 99_999)})")
    if random.random() < 0.08:
        after.append(f"You can reach me at {customer}.")
    if random.random() < 0.03:
        after.append(f"My card is {random.choice(CARDS)}.")
    if random.random() < 0.25:
        name = customer.partition(".")[0].title()
        after.append(random.choice([random.choice(GOODBYES), name, f"{random.choice(GOODBYES)} {name}"]))
    return " ".join([*before, text, *after])


def is_right(ticket: Ticket) -> bool:
    """Whether the answer's intent and action are those that the policy of its week asks for."""
    wanted = expected(ticket.message.intent, new_policy=ticket.message.week >= POLICY_WEEK)
    try:
        said = json.loads(ticket.answer)
    except ValueError:
        return False
    return bool(said == json.loads(wanted))


def reactions(ticket: Ticket, target: str, seed: int) -> list[dict[str, object]]:
    """The app's events about one ticket.

    Each has `id`, `ticket`, `target`, `name`, `at`, `origin`, `actor`; an edit `improvement`, a thumb `score`.

    An operator accepts a right answer, and now and then a wrong one; else edits it, or handles the ticket by hand. A
    ticket handled wrongly mostly reopens within a day, a right one hardly ever. Some customers thumb, not always
    truthfully, about how the ticket was handled in the end. Every ticket is filed under its topic, whatever the model
    made of it: so the slice does not depend on the answer.
    """
    message = ticket.message
    random = Random(f"{seed} reactions {message.ticket}")
    right = is_right(ticket)
    handled_rightly = right or random.random() >= LAZY
    judged = message.at + timedelta(seconds=random.randrange(120, 1500))
    name = "accepted"
    if not right and handled_rightly:
        name = "overridden" if random.random() < OVERRIDDEN else "edited"
    by_operator = {"at": judged, "origin": "operator", "actor": random.choice(OPERATORS)}
    events: list[dict[str, object]] = [
        {"name": name, **by_operator},
        {"name": f"topic:{message.intent}", **by_operator},
    ]
    if name == "edited":
        events[0]["improvement"] = expected(message.intent, new_policy=message.week >= POLICY_WEEK)
    if random.random() < REOPENED[handled_rightly]:
        at = judged + timedelta(seconds=random.randrange(3600, 23 * 3600))
        events.append({"name": "reopened", "at": at, "origin": "user", "actor": message.customer})
    if random.random() < THUMBS:
        pleased = handled_rightly == (random.random() < TRUTHFUL)
        at = judged + timedelta(seconds=random.randrange(600, 40_000))
        events.append(
            {"name": "thumbs", "at": at, "origin": "user", "actor": message.customer, "score": 1 if pleased else -1}
        )
    same = {"ticket": message.ticket, "target": target}
    return [{"id": f"{message.ticket}-{n}", **same, **event} for n, event in enumerate(events)]
