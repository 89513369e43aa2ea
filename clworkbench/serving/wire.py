"""Protobuf's wire format: how many fields a request has, and how to leave unreadable records out of it."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5


MOST_FIELDS = 1_000_000
"""In one request: two bytes make a field, which takes a hundred in memory, and a gzip bomb is made of them."""

MOST_LEVELS = 100
"""Of messages in messages; protobuf's own decoders refuse what is nested deeper."""

MESSAGES: dict[str, dict[int, str]] = {
    "request": {1: "group"},
    "group": {1: "entity", 2: "scoped"},
    "scoped": {1: "scope", 2: "record"},
    "entity": {1: "pair"},
    "scope": {3: "pair"},
    "record": {5: "value", 6: "pair", 9: "pair", 11: "event", 13: "link"},
    "event": {3: "pair"},
    "link": {4: "pair"},
    "pair": {2: "value"},
    "value": {5: "list", 6: "map"},
    "list": {1: "value"},
    "map": {1: "pair"},
}
"""Which fields of OTLP's messages hold messages; `record` is a span or a log record, whose numbers do not collide."""


class NotProtobuf(Exception):
    """Bytes that follow no wire format."""


class TooManyFields(Exception):
    """A request with more than `MOST_FIELDS` fields."""


class Field(NamedTuple):
    """A field as it stands in a message: from `start` to `stop`, what it holds from `inner` on."""

    number: int
    kind: int
    start: int
    inner: int
    stop: int


def pruned(message: bytes, path: tuple[int, ...], readable: Callable[[bytes], bool]) -> bytes:
    """The message without the records at the end of `path` that are not readable; all else stays, byte for byte.

    Args:
        message: a serialised message.
        path: numbers of the fields that lead to the records, from the outermost in.
        readable: asked of each record.

    Raises: NotProtobuf where a field is cut off or of no known kind.
    Source: https://protobuf.dev/programming-guides/encoding/
    """
    kept = bytearray()
    for field in _fields(message, 0, len(message)):
        held = message[field.inner : field.stop]
        if field.number != path[0] or field.kind != LENGTH_DELIMITED:
            kept += message[field.start : field.stop]
        elif len(path) > 1:
            inner = pruned(held, path[1:], readable)
            kept += _varint(field.number << 3 | LENGTH_DELIMITED) + _varint(len(inner)) + inner
        elif readable(held):
            kept += message[field.start : field.stop]
    return bytes(kept)


def check_size(request: bytes) -> None:
    """Counts the fields of a serialised export request, before anybody decodes it into many times its size.

    Raises: TooManyFields; bytes that are no protobuf are left to the decoder.
    Source: opentelemetry-proto 1.9, trace.proto, logs.proto, common.proto
    """
    if len(request) <= 2 * MOST_FIELDS:
        return
    n = 0
    todo = [(0, len(request), "request", 1)]
    while todo:
        start, stop, kind, level = todo.pop()
        inner = MESSAGES[kind] if level <= MOST_LEVELS else {}
        try:
            for field in _fields(request, start, stop):
                n += 1
                if n > MOST_FIELDS:
                    raise TooManyFields(f"more than {MOST_FIELDS:,} fields")
                if field.number in inner and field.kind == LENGTH_DELIMITED and field.inner < field.stop:
                    todo.append((field.inner, field.stop, inner[field.number], level + 1))
        except NotProtobuf:
            continue


def _fields(message: bytes, at: int, end: int) -> Iterator[Field]:
    """The fields that stand from one byte to another."""
    while at < end:
        start = at
        tag, at = _read_varint(message, at, end)
        number, kind = tag >> 3, tag & 7
        inner = at
        if kind == VARINT:
            _, at = _read_varint(message, at, end)
        elif kind == LENGTH_DELIMITED:
            length, inner = _read_varint(message, at, end)
            at = inner + length
        elif kind in (FIXED32, FIXED64):
            at += 4 if kind == FIXED32 else 8
        else:
            raise NotProtobuf(f"a field of kind {kind} at byte {start}")
        if number == 0:
            raise NotProtobuf(f"a field without a number at byte {start}")
        if at > end:
            raise NotProtobuf(f"a field that is cut off at byte {start}")
        yield Field(number, kind, start, inner, at)


def _read_varint(message: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise NotProtobuf("a number that is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise NotProtobuf("a number of more than ten bytes")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
