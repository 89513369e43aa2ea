"""Posted events: where their ids and times are found, and how much of them is looked at."""

import tracemalloc

import msgspec
import pytest

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.serving.bodies import JSON, LINES, Refused
from clworkbench.serving.events import MOST_VALUES, event_source, lines
from clworkbench.settings import Source

KEY = Pseudonyms(bytes(32))
EVENT = {"target": "t:s", "name": "thumbs", "score": 1}


def source(**columns: str) -> Source:
    named = {name.replace("__", "."): field for name, field in columns.items()}
    return event_source(Source("feedback", format="mapping", record="feedback", columns=named), "otlp")


def made(event: dict[str, object], **columns: str) -> tuple[dict[str, object], str]:
    """The event as it is kept, and its id."""
    body, ids = lines(msgspec.json.encode(event), JSON, source(**columns), KEY)
    return msgspec.json.decode(body), ids[0]


def test_an_id_and_a_time_in_an_object_stay_as_they_are():
    event = EVENT | {"meta": {"id": "e-1", "time": "2026-03-01T10:00:00Z"}}
    assert made(event, meta__id="id", meta__time="at") == (event, "e-1")


def test_those_in_a_json_text_are_found_too():
    event = EVENT | {"meta": '{"id": 7, "time": "2026-03-01T10:00:00Z"}'}
    kept, own_id = made(event, meta__id="id", meta__time="at")
    assert (kept["meta"], own_id) == ({"id": 7, "time": "2026-03-01T10:00:00Z"}, "7")
    assert "meta.id" not in kept


def test_missing_ones_are_put_into_the_object_that_is_there():
    kept, own_id = made(EVENT | {"meta": {"app": "desk", "id": ""}}, meta__id="id", meta__time="at")
    assert kept["meta"]["id"] == own_id
    assert kept["meta"].keys() == {"app", "id", "time"}
    assert kept.keys() == {*EVENT, "meta"}


def test_missing_ones_where_no_object_is_leave_what_stands_there():
    kept, own_id = made(EVENT | {"meta": "none"}, meta__id="id", meta__time="at")
    assert (kept["meta"], kept["meta.id"]) == ("none", own_id)


@pytest.mark.parametrize("own_id", [{"a": 1}, ["a"], True])
def test_an_id_that_is_no_text_is_refused(own_id):
    with pytest.raises(Refused, match=r"event 1: id: .*, where a text is wanted"):
        made(EVENT | {"id": own_id})


def test_a_number_is_told_as_the_id_that_ingest_makes_of_it():
    assert made(EVENT | {"id": 7.0})[1] == "7"


@pytest.mark.parametrize(
    ("media", "piece"), [(JSON, b"{},"), (JSON, b"[],"), (JSON, b"1,"), (LINES[0], b"{}\n"), (LINES[0], b"\r")]
)
def test_a_body_of_millions_of_values_is_refused_before_it_is_decoded(media, piece):
    body = b"[" * (media == JSON) + piece * (MOST_VALUES + 1) + b"{}" + b"]" * (media == JSON)
    tracemalloc.start()
    with pytest.raises(Refused) as told:
        lines(body, media, source(), KEY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told.value.status == 413
    assert peak < 1 << 20
