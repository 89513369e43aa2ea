"""What a span says a model did, in whichever dialect it says so: each is asked in turn."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from clworkbench.signals.dialects import genai, mlflow, openinference, openllmetry, vercel
from clworkbench.signals.rows import Row
from clworkbench.signals.values import Fields, Note, encoded, nested, text_of


class Dialect(NamedTuple):
    """A way in which spans say what a model did.

    Attributes:
        operation: the operation, in OpenTelemetry's words, that attributes and events tell of in this dialect; None
            where they tell of none. It alters nothing, and costs little: it is asked of every span there is.
        columns: the columns of `schemas.INTERACTIONS` that it fills; what it takes leaves attributes and events.
    """

    operation: Callable[[Mapping[str, object], list[Row]], str | None]
    columns: Callable[[Fields, list[Row], Note], Row]


DIALECTS: dict[str, Dialect] = {
    "openinference": Dialect(openinference.operation, openinference.columns),
    "vercel": Dialect(vercel.operation, vercel.columns),
    "gen_ai": Dialect(genai.operation, genai.columns),
    "openllmetry": Dialect(openllmetry.operation, openllmetry.columns),
    "mlflow": Dialect(mlflow.operation, mlflow.columns),
}
"""In the order in which they are asked: where a span speaks several, the first that fills a column wins."""

FAILED = frozenset({"ERROR", "STATUS_CODE_ERROR", "2"})

MARKS = frozenset({openinference.KIND, openllmetry.KIND, "ai.operationId", "llm.request.type", "mlflow.spanType"})
"""The attributes by one of which a span shows that it speaks another dialect than `gen_ai`."""


def operation(attributes: Mapping[str, object], events: list[Row]) -> str | None:
    """The operation that a span records, by the first dialect that knows; None for a span that is none of a model's."""
    if MARKS.isdisjoint(attributes):
        return genai.operation(attributes, events)
    for dialect in DIALECTS.values():
        if name := dialect.operation(attributes, events):
            return name
    return None


def columns(fields: Fields, events: list[Row], note: Note) -> Row:
    """The columns that a span fills, by all the dialects that it speaks; what they take leaves `fields` and `events`.

    Parameters that only one of them names are all kept.
    """
    if MARKS.isdisjoint(fields.rest):
        return genai.columns(fields, events, note) if genai.operation(fields.rest, events) else {}
    spoken = [dialect for dialect in DIALECTS.values() if dialect.operation(fields.rest, events)]
    row = spoken[0].columns(fields, events, note) if spoken else {}
    for dialect in spoken[1:]:
        more = dialect.columns(fields, events, note)
        given = [nested(said) for one in (more, row) if (said := one.get("parameters")) is not None]
        row = more | {name: value for name, value in row.items() if value is not None}
        if len(given) == 2:
            row["parameters"] = encoded(
                {name: value for one in given if isinstance(one, dict) for name, value in one.items()}
            )
    return row


def failure(code: object, message: object, events: list[Row]) -> str | None:
    """What went wrong in a span: its status's message, else its exception's; None where its status is no error."""
    if str(code) not in FAILED:
        return None
    for event in events:
        told = event.get("attributes")
        if not message and isinstance(told, dict):
            message = told.get("exception.message") or told.get("exception.type")
    return text_of(message) if message else "error"
