"""Trace export requests: the regular spans of each are read at once, all others one by one, in their order."""

from clworkbench.signals.otlp.regular import Regular, regular
from clworkbench.signals.otlp.requests import Origin, spans
from clworkbench.signals.otlp.spans import NESTED, origins_of, quarantine_part, read_span
from clworkbench.signals.rows import Rows
from clworkbench.signals.values import Unreadable

FEW = 8
"""Spans of a request below which it is sooner done to read them one by one."""

NO_MODEL = "not a GenAI span"


def read_spans(raw: bytes, rows: Rows) -> None:
    """Reads a trace export request; each span is a record of its own.

    Raises: Unreadable for a line that is no such request, before any of its spans was read.
    """
    found = spans(raw, origins_of(rows))
    together = regular(found, rows) if len(found) >= FEW else Regular({}, [], range(len(found)))
    start = 0
    for number in together.others:
        rows.add_many(*together.between(start, number), number - start, NO_MODEL)
        _read_alone(number, *found[number], raw, rows)
        start = number + 1
    rows.add_many(*together.between(start, len(found)), len(found) - start, NO_MODEL)


def _read_alone(number: int, origin: Origin, span: object, raw: bytes, rows: Rows) -> None:
    try:
        read_span(origin, span, rows)
    except Unreadable as error:
        quarantine_part("span", number, str(error), raw, rows)
    except RecursionError:
        quarantine_part("span", number, NESTED, raw, rows)
