"""OTLP's values in the ways in which emitters write them: any spelling in, one value out."""

import base64
import binascii
from collections.abc import Callable

from clworkbench.signals.rows import Row
from clworkbench.signals.values import Unreadable, as_integer, as_number, kind_of

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUS = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
NOT_FINITE = ("NaN", "Infinity", "-Infinity")


def either(record: Row, *names: str) -> object:
    """The value under the first of these names that is there."""
    for name in names:
        if (value := record.get(name)) is not None:
            return value
    return None


def objects(value: object, name: str) -> list[Row]:
    """A list of objects, empty for None; raises Unreadable for anything else."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Unreadable(f"{name} is not a list of objects")
    return value


def plain(value: object) -> object:
    """An OTLP AnyValue as a plain value; raises Unreadable for what is none."""
    if not isinstance(value, dict):
        if value is None:
            return None
        raise Unreadable(f"an attribute's value is {kind_of(value)}, not an object")
    for kind, inner in value.items():
        if kind == "stringValue" or kind == "boolValue":
            return inner
        if reader := VALUES.get(kind):
            return reader(inner)
    return value or None


def _list(value: object) -> object:
    return [plain(item) for item in objects(value.get("values") if isinstance(value, dict) else value, "arrayValue")]


def _map(value: object) -> object:
    return attributes_of(value.get("values") if isinstance(value, dict) else value)


def _double(value: object) -> object:
    return value if value in NOT_FINITE else as_number(value)


VALUES: dict[str, Callable[[object], object]] = {
    "intValue": as_integer,
    "int_value": as_integer,
    "doubleValue": _double,
    "double_value": _double,
    "arrayValue": _list,
    "array_value": _list,
    "kvlistValue": _map,
    "kvlist_value": _map,
    "string_value": lambda value: value,
    "bool_value": lambda value: value,
    "bytesValue": lambda value: value,
    "bytes_value": lambda value: value,
}


def attributes_of(pairs: object) -> Row:
    """A list of OTLP key-value pairs as one object; an object (as some emitters write it) as it stands."""
    if pairs is None:
        return {}
    if isinstance(pairs, dict):
        return dict(pairs)
    try:
        read = {pair["key"]: plain(pair.get("value")) for pair in pairs}  # type: ignore[attr-defined]
    except (TypeError, KeyError, AttributeError):
        raise Unreadable("attributes are not a list of keys with values") from None
    if not {type(key) for key in read} <= {str}:
        raise Unreadable("an attribute's key is not a text")
    return read


def identifier(value: object, n_bytes: int) -> str | None:
    """A trace or span id in hex, also from base64; None where it is missing or all zeros."""
    if type(value) is not str or not value.strip("0"):
        return None
    if len(value) == 2 * n_bytes:
        return value.lower()
    if len(value) == 4 * -(-n_bytes // 3):
        try:
            return base64.b64decode(value, validate=True).hex()
        except binascii.Error:
            return value
    return value


def nanoseconds(value: object, name: str) -> int | None:
    """A time in ns since 1970, None where there is none; raises Unreadable, naming the field."""
    if type(value) is str and value.isdecimal() and len(value) < 19:
        return int(value) or None
    if value is None or value == "":
        return None
    try:
        number = as_integer(value)
    except Unreadable as error:
        raise Unreadable(f"{name}: {error}") from None
    if number < 0:
        raise Unreadable(f"{name}: a negative time")
    return number or None


def status_of(value: object) -> Row:
    """A span's status, its code as a number; empty where nothing was set."""
    if not value or not isinstance(value, dict):
        return {}
    status = dict(value)
    code = status.get("code")
    if isinstance(code, str):
        status["code"] = STATUS.get(code, code)
    return {key: inner for key, inner in status.items() if inner not in (None, "", 0)}


def kind_number(value: object) -> object:
    """A span's kind as a number where its name is known."""
    name = value.removeprefix("SPAN_KIND_") if isinstance(value, str) else ""
    return KINDS.index(name) if name in KINDS else value


def inner_records(value: object, name: str) -> list[Row]:
    """Events or links, their attributes as objects and their times and ids in one spelling."""
    found: list[Row] = []
    for item in objects(value, name):
        one: Row = {key: inner for key, inner in item.items() if key != "attributes"}
        at = either(one, "timeUnixNano", "time_unix_nano")
        if (at := nanoseconds(at, "timeUnixNano")) is not None:
            one.pop("time_unix_nano", None)
            one["timeUnixNano"] = at
        for key, snake, n_bytes in (("traceId", "trace_id", 16), ("spanId", "span_id", 8)):
            if key in one or snake in one:
                own = one.pop(snake, None)
                one[key] = identifier(one.get(key) or own, n_bytes)
        if "attributes" in item:
            one["attributes"] = attributes_of(item["attributes"])
        found.append(one)
    return found
