"""Leaving records out of a serialised message, held against the real protobuf decoder."""

import tracemalloc

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as some
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from clworkbench.serving.wire import MOST_FIELDS, NotProtobuf, TooManyFields, check_size, pruned
from tests.serving.requests_of_spans import export

PATH = (1, 2, 2)


def test_nothing_left_out_is_the_same_message():
    body = export(1, 2, 300).SerializeToString()
    assert pruned(body, PATH, lambda _: True) == body


def test_a_record_left_out_is_gone_and_lengths_still_fit():
    body = export(1, 2, 3).SerializeToString()
    rest = pruned(body, PATH, lambda record: Span.FromString(record).span_id[-1] != 2)
    assert ExportTraceServiceRequest.FromString(rest) == export(1, 3)


@pytest.mark.parametrize("body", [b"\x0a", b"\x0a\x05ab", b"\xff" * 11, b"\x0b", b"\x09abc", b"not protobuf"])
def test_bytes_that_are_no_message_are_told(body):
    with pytest.raises(NotProtobuf):
        pruned(body, PATH, lambda _: True)


@given(some.binary(max_size=200))
def test_any_bytes_end_as_they_were_or_in_words(body):
    try:
        kept = pruned(body, PATH, lambda _: True)
    except NotProtobuf:
        return
    assert pruned(kept, PATH, lambda _: True) == kept


def held_in(inner: bytes, *tags: int) -> bytes:
    """Messages in messages, each the field with that tag of the one around it, from the innermost out."""
    head = bytearray()
    for tag in tags:
        length, lead = len(inner) + len(head), [tag]
        while length > 0x7F:
            lead.append(length & 0x7F | 0x80)
            length >>= 7
        head[:0] = bytes([*lead, length])
    return bytes(head) + inner


def lists_in_lists(n: int, inner: bytes) -> bytes:
    """A request with one attribute of one span: a list in a list in a list, n of them."""
    return held_in(inner, *[0x0A, 0x2A] * n, 0x12, 0x4A, 0x12, 0x12, 0x0A)


def test_a_request_is_counted_without_copies_of_what_is_nested():
    body = lists_in_lists(40, b"\x3a\x80\x80\x80\x02" + bytes(4 << 20))
    tracemalloc.start()
    check_size(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ExportTraceServiceRequest.FromString(body).ByteSize() == len(body)
    assert peak < len(body) / 10


def test_fields_as_deep_as_protobuf_decodes_are_counted():
    tiny = b"\x0a\x00" * (MOST_FIELDS + 1)
    ExportTraceServiceRequest.FromString(lists_in_lists(47, tiny[:2]))
    with pytest.raises(TooManyFields):
        check_size(lists_in_lists(47, tiny))


def test_what_is_nested_deeper_than_protobuf_decodes_is_not_looked_at():
    tiny = b"\x0a\x00" * (MOST_FIELDS + 1)
    with pytest.raises(DecodeError):
        ExportTraceServiceRequest.FromString(lists_in_lists(52, tiny[:2]))
    check_size(lists_in_lists(52, tiny))
