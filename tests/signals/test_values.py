from datetime import datetime, timedelta, timezone

import pytest

from clworkbench.signals.values import (
    Fields,
    Unreadable,
    as_bool,
    as_integer,
    as_number,
    as_time,
    canonical,
    decoded,
    shape_of,
)

NEW_YEAR_2024_US = 1_704_067_200 * 10**6


def silent(kind: str, example: str) -> None:
    del kind, example


@pytest.mark.parametrize(
    "written",
    [
        1_704_067_200,
        1_704_067_200.0,
        1_704_067_200_000,
        1_704_067_200_000_000,
        1_704_067_200_000_000_000,
        "1704067200",
        "1704067200.0",
        "2024-01-01T00:00:00Z",
        "2024-01-01T01:00:00+01:00",
        "2024-01-01 00:00:00",
        "2024-01-01 00:00:00 UTC",
        "2024-01-01",
        "20240101",
        datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_one_moment_is_read_from_iso_and_from_epochs_of_every_unit(written: object) -> None:
    assert as_time(written, silent) == NEW_YEAR_2024_US


def test_nanoseconds_are_cut_to_microseconds() -> None:
    assert as_time("2024-01-01T00:00:00.123456789Z", silent) == NEW_YEAR_2024_US + 123_456


def test_a_time_without_zone_is_taken_as_utc_and_noted() -> None:
    notes: list[str] = []
    as_time("2024-01-01T00:00:00", lambda kind, _: notes.append(kind))
    as_time("2024-01-01T00:00:00Z", lambda kind, _: notes.append(kind))
    assert notes == ["time without a zone, taken as UTC"]


@pytest.mark.parametrize("written", ["12/31/2024", "next Tuesday", "", "5", -1, 10**30, True, {}, float("nan"), "NaN"])
def test_what_is_no_time_is_refused_without_quoting_it(written: object) -> None:
    with pytest.raises(Unreadable) as refused:
        as_time(written, silent)
    assert "2024" not in str(refused.value)
    assert "Tuesday" not in str(refused.value)


def test_an_american_date_is_refused_by_its_shape() -> None:
    with pytest.raises(Unreadable, match="written like '99/99/9999', where an ISO 8601 or epoch time is wanted"):
        as_time("12/31/2024", silent)


def test_the_shape_of_a_text_shows_no_letter_or_digit_of_it() -> None:
    assert shape_of("Jo4") == "a text written like 'aa9'"
    assert shape_of("") == "an empty text"
    assert shape_of([1]) == "a list"


@pytest.mark.parametrize(("written", "number"), [("0.5", 0.5), (" 7 ", 7.0), (3, 3.0), ("1e3", 1000.0)])
def test_numbers_are_read_from_texts_too(written: object, number: float) -> None:
    assert as_number(written) == number


@pytest.mark.parametrize("written", ["nan", "inf", "1_000", "", "n/a", True, None, [], float("inf"), 10**400])
def test_what_is_no_finite_number_is_refused(written: object) -> None:
    with pytest.raises(Unreadable):
        as_number(written)


def test_whole_numbers_fit_64_bits_or_are_refused() -> None:
    assert as_integer("9223372036854775807") == 2**63 - 1
    assert as_integer(12.0) == 12
    for written in (2**63, "9223372036854775808", 1.5, "99999999999999999999999", "٣x"):
        with pytest.raises(Unreadable):
            as_integer(written)


def test_true_and_false_are_read_from_words() -> None:
    assert [as_bool(word) for word in (True, "Yes", "1", 0, "false")] == [True, True, True, False, False]
    with pytest.raises(Unreadable):
        as_bool("perhaps")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a":', "not valid JSON at byte 5: it ends in the middle"),
        (b'{"a":NaN}', "not valid JSON at byte 5"),
        (b'{"a":"\xff"}', "not valid UTF-8 at byte 6"),
        (b'{"a":1e999}', "not usable JSON: a number too large for any column"),
        (b'{"a":"\\ud800 tail"}', "not valid JSON at byte"),
    ],
)
def test_json_that_cannot_be_read_says_at_which_byte(raw: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decoded(raw)


def test_equal_objects_have_equal_canonical_bytes_whatever_their_order() -> None:
    assert canonical({"b": 1, "a": {"d": 2, "c": 3}}) == b'{"a":{"c":3,"d":2},"b":1}'


def test_a_field_of_the_wrong_type_is_noted_and_stays() -> None:
    notes: list[tuple[str, str]] = []
    fields = Fields({"n": "many", "model": "m"}, lambda kind, example: notes.append((kind, example)))
    assert fields.integer("n") is None
    assert fields.text("model") == "m"
    assert fields.rest == {"n": "many"}
    assert notes == [("n kept in attributes only", "a text written like 'aaaa', where a number is wanted")]


def test_the_first_name_that_has_a_value_counts() -> None:
    fields = Fields({"new": None, "old": "x", "older": "y"}, silent)
    assert fields.text("new", "old", "older") == "x"
    assert fields.rest == {"new": None, "older": "y"}


def test_a_share_outside_0_to_1_stays_in_the_rest() -> None:
    fields = Fields({"confidence": 1.5}, silent)
    assert fields.share("confidence") is None
    assert fields.rest == {"confidence": 1.5}


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31"])
def test_a_time_that_no_log_can_have_is_refused(written: str) -> None:
    with pytest.raises(Unreadable, match="a time before 1970 or after 9999"):
        as_time(written, silent)
