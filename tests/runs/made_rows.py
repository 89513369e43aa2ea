"""Rows of each kind of training set, few and small, for a model that learns in seconds."""

import polars as pl

from clworkbench.runs.settings import Machine
from clworkbench.schemas import MESSAGES

MACHINE = Machine(threads=1, checkpoint_every=2)
QUICK = {"steps": 6, "batch_size": 4, "learning_rate": 1e-2, "max_tokens": 64, "machine": MACHINE}

PAIRS = [
    ("where is my card", "card_arrival"),
    ("i was charged twice", "charged_twice"),
    ("cancel the transfer", "cancel_transfer"),
    ("what is the exchange rate today", "exchange_rate"),
    ("give me a refund", "refund"),
    ("my balance is wrong", "balance"),
    ("my card has not arrived", "card_arrival"),
    ("please cancel it", "cancel_transfer"),
]
WORSE = "no idea"


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def rows_of(**columns: list[object]) -> pl.DataFrame:
    """Rows with their messages in the tables' form."""
    messages = {name: MESSAGES for name in ("prompt", "completion", "chosen", "rejected") if name in columns}
    return pl.DataFrame(columns, schema_overrides=messages, strict=False)


def completions() -> pl.DataFrame:
    return rows_of(prompt=[asked(q) for q, _ in PAIRS], completion=[said(a) for _, a in PAIRS])


def preferences() -> pl.DataFrame:
    right, wrong = [said(a) for _, a in PAIRS], [said(WORSE)] * len(PAIRS)
    return rows_of(prompt=[asked(q) for q, _ in PAIRS], chosen=right, rejected=wrong)


def unpaired() -> pl.DataFrame:
    prompts = [asked(q) for q, _ in PAIRS] * 2
    answers = [said(a) for _, a in PAIRS] + [said(WORSE)] * len(PAIRS)
    return rows_of(prompt=prompts, completion=answers, label=[True] * len(PAIRS) + [False] * len(PAIRS))


def dialogues() -> pl.DataFrame:
    right = [asked(q) + said(a) for q, a in PAIRS]
    return rows_of(chosen=right, rejected=[asked(q) + said(WORSE) for q, _ in PAIRS])


def prompts() -> pl.DataFrame:
    names = ["exact_match"] * len(PAIRS)
    return rows_of(prompt=[asked(q) for q, _ in PAIRS], verifier=names, expected=[a for _, a in PAIRS])
