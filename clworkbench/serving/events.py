"""App events: feedback as applications post it, checked the way ingest reads it, so that a bad one is told at once."""

from datetime import UTC, datetime
from uuid import uuid4

import msgspec

from clworkbench.errors import SettingsError
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.serving.bodies import LINES, Refused
from clworkbench.settings import Source
from clworkbench.signals import mapping
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.values import Unreadable, as_text, canonical, decoded, kind_of

SOURCE = "feedback"
MOST_EVENTS = 10_000
MOST_VALUES = 200 * MOST_EVENTS
"""In one body: two bytes make a value, which takes fifty in memory."""

MARKS = (b"{", b"[", b",", b"\n", b"\r")
"""No value of JSON, and no line, comes without one of these before it, but for the first."""


def event_source(declared: Source | None, spans: str) -> Source:
    """The source of posted events: `[sources.feedback]` of `clw.toml` where there is one, with our own field names.

    Args:
        declared: what `clw.toml` says of it, if anything.
        spans: the source whose ids the events name, where it does not say.

    Raises:
        SettingsError: it is declared as something else than a mapping of feedback.
    """
    source = declared or Source(SOURCE, format="mapping", record="feedback")
    if source.format not in ("mapping", "auto") or source.record != "feedback":
        raise SettingsError(
            f"[sources.{SOURCE}] in clw.toml is what `clw capture` reads posted events as, and it is none.\n"
            'Give it format = "mapping" and record = "feedback", or another name.'
        )
    given = {*source.columns.values(), *source.constants}
    columns = {name: name for name in mapping.FEEDBACK_FIELDS if name not in given} | source.columns
    source = msgspec.structs.replace(
        source, format="mapping", columns=columns, target_source=source.target_source or spans
    )
    mapping.plan(source)
    return source


def lines(body: bytes, media: str, source: Source, pseudonyms: Pseudonyms) -> tuple[bytes, list[str]]:
    """The events of a body as JSON lines, and their ids; an event without an id or a time is given one.

    Raises:
        Refused: one of them cannot be read; nothing of the body is kept then.
    """
    plan = mapping.plan(source)
    columns = {field: column for column, field in plan.columns.items()}
    made: list[bytes] = []
    ids: list[str] = []
    for number, event in enumerate(_events(body, media), 1):
        if not isinstance(event, dict):
            raise Refused(400, f"event {number}: {kind_of(event)}, not an object")
        given = plan.constants.get("id")
        if "id" in columns:
            given = _given(event, columns["id"], uuid4().hex)
        if "at" in columns:
            _given(event, columns["at"], datetime.now(UTC).isoformat())
        try:
            ids.append(_own_id(given))
            made.append(canonical(event))
            mapping.read(event, Rows(source, pseudonyms, "request"), plan)
        except Unreadable as error:
            raise Refused(400, f"event {number}: {error}") from None
        except RecursionError:
            raise Refused(400, f"event {number}: nested too deeply to be read") from None
    if not made:
        raise Refused(400, "no event in the body")
    return b"\n".join(made), ids


def _own_id(given: object) -> str:
    try:
        return as_text(given)
    except Unreadable as error:
        raise Unreadable(f"id: {error}") from None


def _given(event: Row, column: str, otherwise: str) -> object:
    """What stands in a column, found as `mapping.read` finds it; where nothing does, `otherwise` is put there."""
    holder, key = mapping.place_of(event, column)
    if holder.get(key) in (None, ""):
        holder[key] = otherwise
    return holder[key]


def _events(body: bytes, media: str) -> list[object]:
    if sum(body.count(mark) for mark in MARKS) > MOST_VALUES:
        raise Refused(413, f"more than {MOST_VALUES:,} values in one body: send smaller batches")
    try:
        if media in LINES:
            events: list[object] = [decoded(line) for line in body.splitlines() if line.strip()]
        else:
            given = decoded(body)
            events = given if isinstance(given, list) else [given]
    except (Unreadable, RecursionError) as error:
        raise Refused(400, f"{error}. Send one JSON object, a list of them, or JSON lines as {LINES[0]}") from None
    if len(events) > MOST_EVENTS:
        raise Refused(413, f"{len(events):,} events in one body: send at most {MOST_EVENTS:,}")
    return events
