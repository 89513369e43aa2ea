"""What stands before Argilla: only requests to this machine's own names, of a bounded size, from no foreign page."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 64 << 20
LOCAL = {"127.0.0.1", "localhost", "[::1]"}

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


CONTENT = (
    "default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""What a page may load: nothing from elsewhere, so no font, no image in a text, and no script but the UI's own."""


class TooLarge(Exception):
    """A body went beyond the bound while it was read; Argilla answers that it cannot parse it."""


def content_policy(pages: Iterable[str]) -> bytes:
    """The Content-Security-Policy for the UI's pages: their inline scripts are named by their hashes."""
    inline = {script for page in pages for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)}
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in sorted(inline))
    return CONTENT.format(scripts=" ".join(f"'sha256-{digest}'" for digest in digests)).encode()


def guarded(app: App, pages: Iterable[str] = ()) -> App:
    """The app behind the guard.

    Args:
        app: what answers.
        pages: the HTML that it serves, whose inline scripts may run.
    """
    headers = HEADERS | {b"content-security-policy": content_policy(pages)}

    async def guard(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        given = dict(scope["headers"])
        if host_of(given.get(b"host", b"").decode("latin-1")) not in LOCAL:
            return await refuse(send, 421, "This server answers to 127.0.0.1 and localhost only.")
        if int_of(given.get(b"content-length", b"0")) > MAX_BODY_BYTES:
            return await refuse(send, 413, f"A request may have {MAX_BODY_BYTES >> 20} MiB.")
        return await app(scope, bounded(receive), closing(send, headers))

    return guard


def host_of(header: str) -> str:
    """The name in a Host header, without its port."""
    name = header.lower()
    return name if name.endswith("]") else name.rpartition(":")[0] or name


def int_of(header: bytes) -> int:
    """A length, or one too many where it is none."""
    return int(header) if header.isdigit() else MAX_BODY_BYTES + 1


def bounded(receive: Receive) -> Receive:
    """Reads a body and gives up beyond the bound."""
    seen = 0

    async def read() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            raise TooLarge
        return message

    return read


def closing(send: Send, headers: dict[bytes, bytes]) -> Send:
    """Adds the headers that keep foreign pages out and takes away those that would let them in."""

    async def write(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message["headers"] if not name.startswith(b"access-control-")]
            message = {**message, "headers": [*kept, *headers.items()]}
        await send(message)

    return write


async def refuse(send: Send, status: int, why: str) -> None:
    """Answers without asking Argilla."""
    body = why.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *HEADERS.items()]})
    await send({"type": "http.response.body", "body": body})
