"""Where signals come from, and how outcomes are read off feedback."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

import msgspec

Scalar = str | int | float | bool
FORMAT_NAMES = (
    "auto",
    *sorted(file.stem for file in Path(__file__).parents[1].glob("signals/formats/[!_]*.py")),
    "mapping",
)
"""What a source's `format` may be: each module in signals/formats is one."""


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where signals come from. `columns` (column to field) and `constants` (field to value) make a mapping.

    Attributes:
        name: the source's name, part of every id made from it.
        format: one of `FORMAT_NAMES`; `mapping` reads any table through `columns`.
        paths: glob patterns, relative to the workspace; `clw cycle` reads them.
        record: what a mapped row is.
        target_source: the source whose ids a mapped feedback row names; its own name when None.
        skip_lines: lines of a CSV to leave out before its header.
    """

    name: str
    format: str = "auto"
    paths: tuple[str, ...] = ()
    record: Literal["interaction", "feedback"] = "interaction"
    columns: dict[str, str] = msgspec.field(default_factory=dict)
    constants: dict[str, Scalar] = msgspec.field(default_factory=dict)
    target_source: str | None = None
    skip_lines: int = 0


class OutcomeRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an outcome is read off feedback; rules stand in order of precedence.

    Attributes:
        negative: names of feedback that make the signal negative; with `within`, only if in time.
        positive: names of feedback that make it positive.
        score: name of a feedback whose score decides by its sign (0 says nothing), or by one of the last two.
        within: with it, a signal settles once the source's watermark has passed `started_at + within`:
            negative if a negative came in time, else positive; a rule that names only positives, the other way
            round. Without it, as soon as an event is there.
        source: whose watermark settles it; when None, all sources that ever reported such an event.
        good_from: scores from here on (-1 to 1) are good, all below bad; for ratings from 0 to 1.
        bad_from: scores from here on are bad, all below good; for ratings of harm, such as toxicity.
    """

    name: str
    negative: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    score: str | None = None
    within: timedelta | None = None
    source: str | None = None
    good_from: float | None = None
    bad_from: float | None = None
