"""A chat endpoint on this machine that speaks OpenAI's wire, and misbehaves on request."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChatServer:
    """`requests` holds what was asked, in order; `keys` the Authorization headers; `busiest` the most at one time.

    `behave` gets (number of the request from 0, its body) and returns one of the answers below.
    """

    def __init__(self, behave: Callable[[int, dict[str, Any]], "Answer"]) -> None:
        self.behave = behave
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.at: list[float] = []
        self.busy = self.busiest = 0
        self.lock = threading.Lock()
        self.url = ""


class Answer:
    """Status, headers and body, as they are sent; `seconds` before the body, `cut` bytes of it only."""

    def __init__(
        self, body: object, status: int = 200, *, headers: dict[str, str] | None = None, seconds: float = 0.0,
        cut: int | None = None, kind: str = "application/json",
    ) -> None:  # fmt: skip
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers, self.seconds, self.cut, self.kind = status, headers or {}, seconds, cut, kind


def said(text: str, *, prompt: int = 10, completion: int = 5, finish: str = "stop", **message: Any) -> Answer:
    """A chat completion as OpenAI's API reference shows it."""
    return Answer(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
            ],
            "usage": {
                "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion
            },
        }
    )  # fmt: skip


def failing(status: int, message: str = "no", code: str | None = None, **headers: str) -> Answer:
    """An error as OpenAI's API words it; `Retry_After='1'` becomes that header."""
    error = {"error": {"message": message, "type": "x", "code": code}}
    return Answer(error, status, headers={name.replace("_", "-"): value for name, value in headers.items()})


@contextlib.contextmanager
def chat_server(behave: Callable[[int, dict[str, Any]], Answer]) -> Iterator[ChatServer]:
    """Serves on a free port of 127.0.0.1 until the end of the block."""
    chat = ChatServer(behave)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with chat.lock:
                number = len(chat.requests)
                chat.requests.append(body)
                chat.keys.append(self.headers.get("Authorization"))
                chat.paths.append(self.path)
                chat.at.append(time.monotonic())
                chat.busy += 1
                chat.busiest = max(chat.busiest, chat.busy)
            try:
                answer = chat.behave(number, body)
                time.sleep(answer.seconds)
            finally:
                # Before the client has it: it may send the next request at once.
                with chat.lock:
                    chat.busy -= 1
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.answer(answer)

        def answer(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut])

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    chat.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()


def nobody_there() -> str:
    """An address of this machine where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
