"""Langfuse: traces as its pages and API give them, and the rows of its exports: observations, scores and traces."""

import re
from functools import partial

from clworkbench.signals.langfuse import scores as langfuse_scores
from clworkbench.signals.langfuse.observations import OPERATIONS, PARENT, Context, observation, trace_row
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.units import read_unit
from clworkbench.signals.values import Unreadable, filled, kind_of, nested

CAMEL = frozenset(
    {
        *("traceId", "projectId", "parentObservationId", "startTime", "endTime", "statusMessage"),
        *("completionStartTime", "createdAt", "updatedAt", "userId", "sessionId", "providedModelName"),
        *("internalModelId", "modelId", "modelParameters", "usageDetails", "costDetails", "totalCost"),
        *("usagePricingTierName", "usagePricingTierId", "promptId", "promptName", "promptVersion"),
        *("timeToFirstToken", "traceName", "toolCalls", "toolCallNames", "toolDefinitions", "observationId"),
        *("datasetRunId", "dataType", "stringValue", "longStringValue", "configId", "queueId"),
        *("authorUserId", "executionTraceId", "inputPrice", "outputPrice", "totalPrice", "evaluatorId"),
        *("evaluationRuleId", "isRootObservation", "promptTokens", "completionTokens", "totalTokens"),
    }
)
"""The names that exports write in snake case."""
SNAKE = re.compile(r"_([a-z])")


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    if isinstance(record.get("trace"), dict) and isinstance(record.get("observations"), list):
        return "a JSON object with a trace and its observations"
    if isinstance(page := record.get("data"), list) and page and isinstance(page[0], dict) and "meta" in record:
        inner = _kind(_camel(page[0]))
        return inner and f"a page of Langfuse's API, its first record {inner}"
    kind = _kind(_camel(record))
    return kind and f"{kind} of Langfuse"


def read(record: Row, rows: Rows) -> None:
    """Reads a trace with all it holds, a page of records, or one row of an export.

    Each observation is an interaction, each score and correction a feedback row. A trace is a row of its own only
    where it has no observations in the record (the file `traces/` of an export): its input and output are the
    workflow's. What a trace says of its users, session, release, environment and tags stands on each of its rows; the
    rest of it in the `attributes` of its root. Latency is the time between start and end: Langfuse writes `latency` in
    seconds or in milliseconds, by the age of the export.

    Raises: Unreadable for an object of no known shape.
    Source: https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields; observations of a
        trace's page are those at the top level, the trace's own list lacks inputs and outputs.
    """
    if isinstance(record.get("trace"), dict):
        return _trace(record["trace"], record.get("observations"), rows)
    if isinstance(page := record.get("data"), list):
        for at, item in enumerate(page):
            read_unit(item, rows, _one, place=f"data[{at}]")
        return rows.skip("a page without records") if not page else None
    return _one(record, rows)


def _camel(record: Row) -> Row:
    """The record under the API's names: the exports write the same in snake case."""
    renamed = {}
    for name, value in record.items():
        camel = SNAKE.sub(lambda found: found[1].upper(), name) if "_" in name else name
        renamed[camel if camel in CAMEL else name] = value
    return renamed


def _kind(record: Row) -> str | None:
    """What a record is, by its keys, in words."""
    kind = str(record.get("type")).upper()
    if "traceId" in record and ("startTime" in record or "endTime" in record) and kind in OPERATIONS:
        return "an observation"
    target = record.keys() & {"traceId", "observationId", "sessionId", "subject"}
    if target and "name" in record and str(record.get("dataType")).upper() in langfuse_scores.TYPES:
        return "a score"
    if "timestamp" in record and {"userId", "sessionId", "release"} <= record.keys() and "id" in record:
        return "a trace"
    return None


def _one(record: Row, rows: Rows) -> None:
    item = _camel(record)
    kind = _kind(item)
    if kind == "an observation":
        return _add_observation(item, rows, context=Context())
    if kind == "a score":
        return langfuse_scores.read_score(item, rows)
    if kind == "a trace" or isinstance(item.get("observations"), list):
        return _trace(item, None, rows)
    raise Unreadable("none of Langfuse's traces, observations and scores")


def _trace(given: object, listed: object, rows: Rows) -> None:
    """Reads a trace's observations, scores and corrections; the trace itself where it has none of the first."""
    if not isinstance(given, dict):
        raise Unreadable(f"trace: {kind_of(given)}, where an object is wanted")
    trace = _camel(given)
    own = _objects(trace, "observations")
    observations = _observations(listed, own, rows)
    scores = [*_objects(trace, "scores"), *_objects(trace, "corrections")]
    context = Context(
        *(trace.get(name) for name in ("userId", "sessionId", "release", "environment", "name", "tags", "id"))
    )
    if not observations and (not scores or trace.get("input") or trace.get("output")):
        read_unit(trace, rows, _add_trace, place="trace")
    _note_nested(observations, rows)
    roots = [at for at, item in enumerate(observations) if isinstance(item, dict) and not _camel(item).get(PARENT)]
    for at, item in enumerate(observations):
        beyond = _beyond(trace, item) if at == (roots[0] if roots else 0) else None
        read_unit(item, rows, partial(_add_observation, context=context, beyond=beyond), place=f"observations[{at}]")
    for at, item in enumerate(scores):
        read_unit(item, rows, partial(_add_score, context=context), place=f"scores[{at}]")


def _note_nested(observations: list[object], rows: Rows) -> None:
    """Says where a model's call stands inside another: some frameworks are traced twice, and each is a row."""
    known = [_camel(item) for item in observations if isinstance(item, dict)]
    calls = {str(item.get("id")) for item in known if item.get("type") == "GENERATION"}
    for item in known:
        if item.get("type") == "GENERATION" and item.get(PARENT) and str(item[PARENT]) in calls:
            rows.note("generation inside another generation, each a row", "one")


def _add_trace(trace: Row, rows: Rows) -> None:
    rows.add(trace_row(trace, rows))


def _add_observation(item: Row, rows: Rows, *, context: Context, beyond: Row | None = None) -> None:
    rows.add(observation(_camel(item), context, rows, beyond))


def _add_score(item: Row, rows: Rows, *, context: Context) -> None:
    score = _camel(item)
    if not any(score.get(name) for name in ("traceId", "observationId", "sessionId", "subject", "datasetRunId")):
        score["traceId"] = context.trace_id
    langfuse_scores.read_score(score, rows)


def _objects(trace: Row, name: str) -> list[object]:
    """A list of objects that the trace holds; a list of ids stays where it is."""
    value = nested(trace.get(name))
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unreadable(f"trace.{name}: {kind_of(value)}, where a list is wanted")
    if value and all(isinstance(item, str) for item in value):
        return []
    trace.pop(name)
    return value


def _observations(listed: object, own: list[object], rows: Rows) -> list[object]:
    """The observations that carry inputs and outputs, and those that only the trace's own list has."""
    if listed is not None and not isinstance(listed, list):
        raise Unreadable(f"observations: {kind_of(listed)}, where a list is wanted")
    if listed is None:
        return own
    known = {item.get("id") for item in listed if isinstance(item, dict) and isinstance(item.get("id"), str)}
    only = [
        item
        for item in own
        if isinstance(item, dict) and isinstance(own_id := item.get("id"), str) and own_id not in known
    ]
    for _ in only:
        rows.note("observation only in the trace's own list, which lacks inputs and outputs", "one")
    return [*listed, *only]


def _beyond(trace: Row, root: object) -> Row:
    """What a trace says beyond what its rows carry; its input and output only where the root has others."""
    carried = ("id", "userId", "sessionId", "release", "environment", "tags", "name", "projectId")
    same = [side for side in ("input", "output") if isinstance(root, dict) and root.get(side) == trace.get(side)]
    kept = {key: value for key, value in trace.items() if key not in carried and key not in same}
    if "metadata" in kept:
        kept["metadata"] = nested(kept["metadata"])
    return filled(kept)
