"""Where alerts go, against a real server: redirects, errors, drips and floods; files that cannot be written."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clworkbench.errors import AlertError
from clworkbench.loop.alerts import sinks
from clworkbench.loop.alerts.alert import Alert, Message

AT = datetime(2026, 3, 10, 9, tzinfo=UTC)
SECRET = "T0PS3CRET"


def message(says: str = "failures in slice refunds: 31% [26%, 37%] of 210", slice_: str = "refunds") -> Message:
    alert = Alert("refunds_fail", "rate", "critical", slice_, says, AT, "f" * 16, 0.31, 0.26, {"n": 210}, "clw budget")
    return Message("alert", alert, AT)


class Hook(BaseHTTPRequestHandler):
    """Answers as its path says, and keeps what it was sent."""

    got: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).got.append((self.path, body))
        with suppress(OSError):
            getattr(self, self.path.split("/")[1])()

    def moved(self) -> None:
        self.send_response(302)
        self.send_header("Location", f"/ok/{SECRET}")
        self.end_headers()

    def error(self) -> None:
        self.send_error(500, f"no {SECRET}")

    def gone(self) -> None:
        self.send_error(404)

    def flood(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(2000):
            self.wfile.write(b"x" * 100_000)

    def drip(self) -> None:
        for _ in range(100):
            self.wfile.write(b"H")
            time.sleep(0.1)

    def noise(self) -> None:
        self.wfile.write(b"\x00\x01 no http at all\r\n\r\n")

    def mute(self) -> None:
        time.sleep(2)

    def ok(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    do_GET = do_POST

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hook]]:
    handler = type("Own", (Hook,), {"got": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    running = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    running.start()
    handler.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield handler
    finally:
        server.shutdown()
        server.server_close()


def test_a_webhook_gets_what_slack_takes(hook, monkeypatch):
    monkeypatch.setenv("HOOK", f" {hook.address}/ok/{SECRET}\n")
    sinks.post("HOOK", message())
    [(path, body)] = hook.got
    told = json.loads(body)
    assert path == f"/ok/{SECRET}"
    assert told["text"] == "ALERT refunds_fail (critical): failures in slice refunds: 31% [26%, 37%] of 210"
    assert [block["type"] for block in told["blocks"]] == ["section", "context"]
    assert "next: clw budget" in told["blocks"][1]["elements"][0]["text"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("moved", "answered 302, a redirect; none is followed"),
        ("error", "answered 500"),
        ("gone", "answered 404"),
        ("noise", "no web server"),
    ],
)
def test_an_answer_that_is_not_yes_is_a_failure_without_the_address(hook, monkeypatch, path, says):
    monkeypatch.setenv("HOOK", f"{hook.address}/{path}/{SECRET}")
    with pytest.raises(AlertError, match=says) as error:
        sinks.post("HOOK", message())
    assert SECRET not in str(error.value)
    assert "127.0.0.1" not in str(error.value)
    assert len(hook.got) == 1


def test_a_flood_is_not_read(hook, monkeypatch):
    monkeypatch.setenv("HOOK", f"{hook.address}/flood")
    began = time.monotonic()
    sinks.post("HOOK", message())
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("path", ["mute", "drip"])
def test_a_server_that_says_nothing_or_drips_is_given_up(hook, monkeypatch, path):
    monkeypatch.setenv("HOOK", f"{hook.address}/{path}")
    monkeypatch.setattr(sinks, "STEP_S", 0.3)
    monkeypatch.setattr(sinks, "WHOLE_S", 0.6)
    began = time.monotonic()
    with pytest.raises(AlertError, match="no answer within"):
        sinks.post("HOOK", message())
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    "address",
    [
        f"http://hooks.example.com/{SECRET}", f"ftp://x/{SECRET}", f"file:///etc/{SECRET}", SECRET, "https://",
        f"http://localhost.example.com:80/{SECRET}", f"http://127.0.0.1@evil.example:80/{SECRET}",
        f"https://[{SECRET}", f"http://localhost:x/{SECRET}", f"https://a b/{SECRET}", f"https://ä.example/{SECRET}",
    ],
)  # fmt: skip
def test_what_is_no_https_address_is_refused_before_anything_is_sent_and_not_shown(monkeypatch, address):
    monkeypatch.setenv("HOOK", address)
    with pytest.raises(AlertError, match="no https address") as error:
        sinks.post("HOOK", message())
    assert SECRET not in str(error.value)
    assert "example" not in str(error.value)


def test_an_unknown_host_a_closed_port_and_an_unset_variable_are_told_in_words(monkeypatch):
    monkeypatch.setenv("HOOK", f"https://nowhere.invalid/{SECRET}")
    with pytest.raises(AlertError, match=r"not known here|cannot be reached") as error:
        sinks.post("HOOK", message())
    assert "invalid" not in str(error.value)
    monkeypatch.setenv("HOOK", "http://127.0.0.1:1/")
    with pytest.raises(AlertError, match="refused"):
        sinks.post("HOOK", message())
    monkeypatch.delenv("HOOK")
    with pytest.raises(AlertError, match="HOOK is not set"):
        sinks.post("HOOK", message())


def test_hostile_names_are_escaped_as_slack_wants_and_kept_short():
    hostile = "<!channel> & <https://evil.example|click> \x1b[31m\u202e" + "<" * 9_000
    told = message(f"failures in slice {hostile}").slack()
    texts = [told["text"], told["blocks"][0]["text"]["text"], told["blocks"][1]["elements"][0]["text"]]
    for text in texts:
        assert len(text) <= 3000
        assert "<" not in text
        assert ">" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;" in texts[0]
    assert told["blocks"][0]["text"]["verbatim"] is True


def test_a_file_gets_a_line_for_each_message_and_one_cut_off_by_a_kill_is_ended_first(tmp_path):
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b'{"kind": "al')
    sinks.append(path, message())
    sinks.append(path, message("x" * 50))
    first, second, third = path.read_text().splitlines()
    assert first == '{"kind": "al'
    assert json.loads(second)["figures"] == {"n": 210}
    assert json.loads(third)["says"] == "x" * 50
    sinks.append(tmp_path / "new.jsonl", message())
    assert (tmp_path / "new.jsonl").stat().st_mode & 0o077 == 0


def test_a_file_that_cannot_be_written_is_told_in_words(tmp_path):
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    for name in ("missing/alerts.jsonl", "folder.jsonl", "pipe.jsonl"):
        with pytest.raises(AlertError, match=r"^file "):
            sinks.append(tmp_path / name, message())


def test_a_line_for_which_there_is_no_room_is_taken_back(tmp_path):
    code = """
import resource, sys
from pathlib import Path
from clworkbench.errors import AlertError
from clworkbench.loop.alerts import sinks
from tests.loop.alerts.test_sinks import message
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
sinks.append(path, message())
size = path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, size + 40))
try:
    sinks.append(path, message())
except AlertError as error:
    print(error)
assert path.stat().st_size == size, path.stat().st_size
"""
    words = [sys.executable, "-c", code, str(tmp_path / "a.jsonl")]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("file a.jsonl: ")
