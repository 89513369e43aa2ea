"""`clw label status` asks one server only, and whatever answers there is told in words."""

import socket
import threading

import pytest

from clworkbench.errors import LabelError
from clworkbench.labels.place import Address
from clworkbench.labels.server import process
from clworkbench.labels.server.look import look
from tests.labels.test_argilla import OWNER, VERSION, answering, said


def test_a_redirect_to_another_server_is_told_and_not_followed():
    with answering(VERSION) as (other, heard):
        sends_on = (302, {"location": f"{other}/api/v1/me"}, b"")
        with answering(sends_on) as (url, _), pytest.raises(LabelError, match=f"sends on to {other}"):
            look(Address(url, "the-key"))
    assert heard == []


def test_the_own_servers_readiness_is_asked_of_nobody_else():
    with answering(said({})) as (other, heard), answering((302, {"location": other}, b"")) as (url, asked):
        assert not process._answers(int(url.rpartition(":")[2]))
    assert (asked, heard) == (["GET /api/v1/status"], [])


@pytest.mark.parametrize("answer", [said({}), said([]), said({"items": [{"id": "a"}]}), (200, {}, b"\xff\xfe")])
def test_an_answer_without_what_is_asked_for_is_told_in_words(answer):
    with answering(VERSION, OWNER, answer) as (url, _), pytest.raises(LabelError, match="not as Argilla does"):
        look(Address(url, "the-key"))


def test_what_speaks_no_http_is_told_in_words():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.recv(999)
                    connection.sendall(b"hello garbage\r\n\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        port = server.getsockname()[1]
        with pytest.raises(LabelError, match="the connection broke"):
            look(Address(f"http://127.0.0.1:{port}", "the-key"))
        assert process._answers(port) is False
        thread.join()
