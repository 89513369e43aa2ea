"""Leaving records out of a serialised message, held against the real protobuf decoder."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from clworkbench.serving.wire import NotProtobuf, pruned
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
