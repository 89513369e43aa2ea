"""Regular spans, column by column: those of today's conventions, as the collector writes them, many at once.

They give the rows that `spans.read_span` gives of each; it takes three quarters of the time.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import repeat
from typing import Literal, NamedTuple

from clworkbench.signals.dialects import genai, genai_columns
from clworkbench.signals.dialects.genai_columns import Asked
from clworkbench.signals.dialects.spans import MARKS
from clworkbench.signals.otlp.requests import Origin, WrittenSpan, rest_written, written_attributes
from clworkbench.signals.otlp.spans import USER_NAMES, content_digest
from clworkbench.signals.rows import IDENTITIES, Row, Rows
from clworkbench.signals.values import Unreadable, encoded

FAILED = "error.type"
NESTED = frozenset({dict, list})

Columns = Mapping[str, Sequence[object]]


class Regular(NamedTuple):
    """The regular spans of a request.

    Attributes:
        columns: those of `schemas.INTERACTIONS` that they fill.
        at: the number of each in the request.
        others: the numbers of the spans that are to be read one by one; spans that tell nothing of a model are neither.
    """

    columns: Columns
    at: Sequence[int]
    others: Sequence[int]

    def between(self, start: int, stop: int) -> tuple[Columns, Sequence[int]]:
        """The columns of the spans from number `start` to before `stop`, and these spans' numbers, `start` being 0."""
        first, last = bisect_left(self.at, start), bisect_left(self.at, stop)
        if start == 0 and last == len(self.at):
            return self.columns, self.at
        columns = {name: values[first:last] for name, values in self.columns.items()}
        return columns, [number - start for number in self.at[first:last]]


class Names(NamedTuple):
    """What the names of a regular span's attributes tell of it.

    Attributes:
        asked: what is to be read of it.
        user: the name under which it says who the user is.
    """

    asked: Asked
    user: str | None


@dataclass
class Chosen:
    """The spans of a request that are regular as far as names tell, place by place.

    Attributes:
        at: the number of each in the request.
        attributes: of each; what the columns take leaves them.
        odd: the places of those that turn out to be irregular.
    """

    at: list[int] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    spans: list[WrittenSpan] = field(default_factory=list)
    attributes: list[Row] = field(default_factory=list)
    names: list[Names] = field(default_factory=list)
    odd: set[int] = field(default_factory=set)


def regular(found: Sequence[tuple[Origin, object]], rows: Rows) -> Regular:
    """Reads the regular ones among the spans of a request; nothing is noted, and nothing added to `rows`."""
    chosen, others = _chosen(found)
    if not chosen.at:
        return Regular({}, [], others)
    try:
        columns = _columns(chosen, rows)
    except RecursionError:
        return Regular({}, [], sorted(others + chosen.at))
    if not chosen.odd:
        return Regular(columns, chosen.at, others)
    kept = [place for place in range(len(chosen.at)) if place not in chosen.odd]
    return Regular(
        {name: [values[place] for place in kept] for name, values in columns.items()},
        [chosen.at[place] for place in kept],
        sorted(others + [chosen.at[place] for place in chosen.odd]),
    )


@lru_cache(maxsize=1024)
def told_by(names: tuple[str, ...]) -> Names | Literal["nothing", "other"]:
    """What the names of a span's attributes tell: `nothing` of a model, or something `other` than what is regular."""
    there = frozenset(names)
    if MARKS.isdisjoint(there) and genai.DECIDING.isdisjoint(there):
        return "nothing"
    asked = genai_columns.asks_for(there)
    users = there & (USER_NAMES | IDENTITIES)
    if asked is None or not MARKS.isdisjoint(there) or FAILED in there or len(users) > 1 or not users <= USER_NAMES:
        return "other"
    return Names(asked, next(iter(users), None))


def _chosen(found: Sequence[tuple[Origin, object]]) -> tuple[Chosen, list[int]]:
    """The spans that names tell to be regular, and the numbers of the others that may tell of a model."""
    chosen = Chosen()
    others: list[int] = []
    for number, (origin, span) in enumerate(found):
        if type(span) is not WrittenSpan or not _is_plain(span):
            others.append(number)
            continue
        try:
            attributes = written_attributes(span.attributes)
        except (Unreadable, RecursionError):
            others.append(number)
            continue
        names = told_by(tuple(attributes))
        if names == "other":
            others.append(number)
        elif names != "nothing":
            chosen.at.append(number)
            chosen.origins.append(origin)
            chosen.spans.append(span)
            chosen.attributes.append(attributes)
            chosen.names.append(names)
    return chosen, others


def _is_plain(span: WrittenSpan) -> bool:
    """Whether a span has no status, no events and no links, as most have none."""
    return not span.status and (span.events is None or span.events == []) and (span.links is None or span.links == [])


def _columns(chosen: Chosen, rows: Rows) -> Columns:
    """All columns; the hash comes first, since the other columns take their part out of the attributes."""
    spans, attributes, origins = chosen.spans, chosen.attributes, chosen.origins
    trace_ids = _ids([span.traceId for span in spans], 32, chosen.odd)
    span_ids = _ids([span.spanId for span in spans], 16, chosen.odd)
    parents = _ids([span.parentSpanId or span.spanId for span in spans], 16, chosen.odd)
    parent_ids = [one if span.parentSpanId else None for one, span in zip(parents, spans, strict=True)]
    starts = [span.startTimeUnixNano or None for span in spans]
    ends = [span.endTimeUnixNano or None for span in spans]
    rests = [rest_written(span) for span in spans]
    said = zip(trace_ids, span_ids, parent_ids, starts, ends, rests, strict=True)
    content = zip((origin.digest for origin in origins), said, attributes, repeat(()))  # `repeat` never ends
    source_ids = [f"{trace}:{span}" for trace, span in zip(trace_ids, span_ids, strict=True)]
    own: Columns = {
        "raw_sha256": [content_digest(one) for one in content],
        "source_id": source_ids,
        "interaction_id": rows.pseudonyms.ids(rows.source.name, source_ids),
        "trace_id": trace_ids,
        "parent_id": [one and f"{trace}:{one}" for trace, one in zip(trace_ids, parent_ids, strict=True)],
        "app": [origin.app for origin in origins],
        "environment": [origin.environment for origin in origins],
        "started_at": [None if start is None else start // 1000 for start in starts],
        "latency_ms": [_milliseconds(start, end) for start, end in zip(starts, ends, strict=True)],
    }
    of_user = {"user_key": _user_keys(chosen, rows)}
    said_of_model, odd = genai_columns.columns(attributes, [names.asked for names in chosen.names])
    chosen.odd |= odd
    return {**own, **of_user, **said_of_model, "attributes": list(_left(chosen, rests, rows))}


def _ids(written: list[str], n_digits: int, odd: set[int]) -> list[str]:
    """Ids in hex; one of another length, or all zeros, makes its span odd."""
    zeros = "0" * n_digits
    if set(map(len, written)) != {n_digits} or zeros in written:
        odd.update(place for place, one in enumerate(written) if len(one) != n_digits or one == zeros)
    return [one.lower() for one in written]


def _milliseconds(start: int | None, end: int | None) -> float | None:
    return None if start is None or end is None or end < start else (end - start) / 1e6


def _user_keys(chosen: Chosen, rows: Rows) -> list[str | None]:
    keys: list[str | None] = [None] * len(chosen.at)
    for place, (attributes, names) in enumerate(zip(chosen.attributes, chosen.names, strict=True)):
        user = None if names.user is None else attributes.pop(names.user)
        if user and type(user) is str:
            keys[place] = rows.pseudonyms.user(user)
        elif user is not None and user != "":
            chosen.odd.add(place)
    return keys


def _left(chosen: Chosen, rests: list[Row], rows: Rows) -> Iterator[str | None]:
    """What no column holds of each span, as JSON; only nested values can still have identities in them."""
    for left, origin, rest in zip(chosen.attributes, chosen.origins, rests, strict=True):
        is_nested = not NESTED.isdisjoint(map(type, left.values()))
        left |= origin.kept
        left["otel.span"] = rest
        yield rows.attributes(left) if is_nested or not all(left.values()) else encoded(left)
