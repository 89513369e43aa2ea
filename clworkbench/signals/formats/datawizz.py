"""Datawizz-style rows: logged inferences, and feedback with a score, a weight and an improvement."""

from clworkbench.signals.feedback import feedback_row, identified, target_of
from clworkbench.signals.rows import Row, Rows
from clworkbench.signals.shapes import chat
from clworkbench.signals.shapes.exchanges import exchange
from clworkbench.signals.values import Fields, Unreadable, as_text, kind_of, nested, sha256_of

SIGNAL = ("signal_name", "signal_source", "signal_type", "qualitative_feedback")
TARGETS = ("inference_log_id", "inference_id", "log_id", "request_id")
URLS = ("url", "feedback_url", "x-feedback-url", "path")
SECRETS = ("x-feedback-token", "feedback_token", "token", "authorization")
ORIGINS = {"user": "user", "system": "system", "operator": "operator", "reviewer": "reviewer"}


def why(record: Row) -> str | None:
    """What makes an object one of this format, or None."""
    inner = nested(record.get("body"))
    held = inner if isinstance(inner, dict) and _url(record) else record
    if name := next((name for name in SIGNAL if name in held), None):
        return f"an object with {name}"
    if ("score" in held or "improvement" in held) and (
        "inference_log_id" in held or "/feedback/" in (_url(record) or "")
    ):
        return "an object with a score and the inference it is about"
    if "meta_tags" in record and ("input" in record or "output" in record):
        return "an object with input, output and meta_tags"
    return None


def read(record: Row, rows: Rows) -> None:
    """Reads one row: a log as an interaction, anything with a signal as feedback.

    The inference that feedback is about is named by a field (`inference_log_id`, `inference_id`, `log_id`,
    `request_id`) or stands at the end of the address that it was sent to (`…/feedback/<id>`; the body may be nested
    in `body`). `signal_source` (user when absent) is `origin`, `signal_type` (explicit when absent) `explicit`,
    `qualitative_feedback` the comment. Without an id of its own, feedback is known by its target and its content, so
    that the same words sent twice are one. Tokens are dropped. A log's `meta_tags` stay in `attributes`, its
    `metadata` may tell more columns (`shapes.chat`).

    Raises: Unreadable for feedback that names no inference, and for a log of another shape.
    Source: Datawizz, feedback API; https://docs.datawizz.ai
    """
    digest = sha256_of(record)
    url = _url(record)
    left = {key: value for key, value in record.items() if key.lower() not in (*SECRETS, "headers", *URLS)}
    if len(left) + (url is not None) < len(record):
        rows.note("headers or a token, left out", "headers")
    if "meta_tags" in left or ("signal_name" not in left and "output" in left):
        return rows.add(_log(left, url, digest, rows))
    body = nested(left.pop("body", None))
    return rows.add(None, [_feedback({**left, **body} if isinstance(body, dict) else left, url, digest, rows)])


def _url(record: Row) -> str | None:
    headers = nested(record.get("headers"))
    for held in (record, headers if isinstance(headers, dict) else {}):
        for key, value in held.items():
            if str(key).lower() in URLS and isinstance(value, str) and value:
                return value
    return None


def _last(url: str | None, folder: str) -> str | None:
    """The last segment of an address that has this folder before it."""
    before, found, rest = (url or "").split("?")[0].rstrip("/").rpartition(f"/{folder}/")
    return rest.rpartition("/")[2] or None if found and (before or rest) else None


def _log(record: Row, url: str | None, digest: str, rows: Rows) -> Row:
    own_id = Fields(record, rows.note).text("id", *TARGETS) or _last(url, "log")
    given, answered = nested(record.pop("input", None)), nested(record.pop("output", None))
    if given is None and answered is None:
        raise Unreadable("a log with neither input nor output")
    request = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if isinstance(answered, int | float):
        raise Unreadable(f"output: {kind_of(answered)}, where a message is wanted")
    told = exchange(request, answered, record, rows)
    return chat.call(told.record | {"id": own_id or told.record["id"]}, told.turns, rows, digest) | told.columns


def _feedback(record: Row, url: str | None, digest: str, rows: Rows) -> Row:
    fields = Fields(record, rows.note)
    target = fields.text(*TARGETS) or _last(url, "feedback")
    if target is None:
        raise Unreadable("feedback that names no inference, by a field or by the address it was sent to")
    own_id = fields.text("id", "feedback_id")
    source, kind = (fields.text(name) for name in ("signal_source", "signal_type"))
    origin = ORIGINS.get((source or "user").lower())
    if origin is None:
        rows.note("signal_source unknown, kept in value", "signal_source")
        record["signal_source"] = source
    record |= {
        "name": fields.text("signal_name"),
        "comment": fields.text("qualitative_feedback"),
        "explicit": (kind or "explicit").lower() != "implicit",
        "at": fields.raw("timestamp", "created_at", "at"),
        "actor": fields.text("user_id", "user"),
    }
    record["improvement"] = nested(record.get("improvement"))
    target_id = target_of(as_text(target), "interaction", rows)
    row = feedback_row(fields, rows, target_id=target_id, target_kind="interaction", origin=origin)
    own = (own_id,) if own_id else (target, "content", digest)
    return identified(row, rows, digest, *own)
