"""Where Argilla is: what is set is checked once, and neither key nor password is ever shown."""

import pytest

from clworkbench.errors import LabelError
from clworkbench.labels.argilla import connect
from clworkbench.labels.place import Address, address, team
from tests.labels.test_argilla import OWNER, VERSION, answering

URL = "https://argilla.example.org"


def test_a_key_with_a_line_break_behind_it_is_taken_without(tmp_path):
    assert address(tmp_path, {"ARGILLA_API_URL": URL, "ARGILLA_API_KEY": "the-key\r\n"}).api_key == "the-key"


@pytest.mark.parametrize("key", ["zq\nzq", "zq\rzq", "zq zq", "zq\x7fzq", "zqézq", "zq\x00zq"])
def test_a_key_that_no_header_can_hold_is_refused_in_words_without_showing_it(key):
    with pytest.raises(LabelError, match=r"other characters than a key has.*\nCopy it") as told:
        team({"ARGILLA_API_URL": URL, "ARGILLA_API_KEY": key})
    assert "zq" not in str(told.value)


def test_user_and_password_in_the_address_log_in_and_are_shown_nowhere():
    with answering(VERSION, OWNER) as (url, _):
        given = url.replace("://", "://ann:p%40ss@")
        place = team({"ARGILLA_API_URL": f"{given}/api/v1?token=hidden#top", "ARGILLA_API_KEY": "the-key"})
        assert (place.url, place.login) == (url, ("ann", "p@ss"))
        with connect(place) as argilla:
            shown = repr((place, argilla, argilla.url))
            asked = argilla.http.get("/").request
    assert asked.headers["authorization"] == "Basic YW5uOnBAc3M="  # ann:p@ss
    assert not any(secret in shown for secret in ("p@ss", "p%40ss", "the-key", "hidden", "ann"))


@pytest.mark.parametrize(
    "url",
    ["http://u:hun/ter@host", "http://u:x@hunter@ho st", "u:hunter@host", "http://u:hunter@host:1x", "u:hunt/er@h"],
)
def test_an_address_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(LabelError, match="ARGILLA_API_URL") as told:
        team({"ARGILLA_API_URL": url, "ARGILLA_API_KEY": "k"})
    assert "hun" not in str(told.value)


def test_a_password_with_an_at_sign_is_cut_off_whole():
    place = team({"ARGILLA_API_URL": "https://u:x@hunter@host:8443/base/", "ARGILLA_API_KEY": "k"})
    assert (place.url, place.login) == ("https://host:8443/base", ("u", "x@hunter"))


def test_no_team_is_meant_where_both_are_empty():
    assert team({"ARGILLA_API_URL": " ", "ARGILLA_API_KEY": ""}) is None


def test_a_request_that_cannot_be_written_does_not_show_the_key():
    """What httpx says of it quotes the header."""
    with answering(VERSION, OWNER) as (url, _), connect(Address(url, "the-key")) as argilla:
        argilla.http.headers["X-Argilla-Api-Key"] = "the-key\n"
        with pytest.raises(LabelError) as told:
            argilla.call("GET", "me", dict, tries=1)
    assert "the-key" not in str(told.value)
