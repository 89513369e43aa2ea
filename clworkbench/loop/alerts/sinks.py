"""Where alerts go: standard output, a file, a webhook; each fails by itself, in words and without secrets."""

import http.client
import json
import os
import socket
import ssl
import stat
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from clworkbench.display.text import visible
from clworkbench.errors import AlertError
from clworkbench.loop.alerts.alert import Message

HERE = ("localhost", "127.0.0.1", "::1")
"""Hosts to which an address without TLS may lead."""

STEP_S = 5.0
"""How long a connection, or a piece of an answer, may take."""

WHOLE_S = 10.0
"""How long all of it may take: a name server and a server that drips are given up then."""


def send(sink: str, message: Message, folder: Path) -> None:
    """Sends a message to a place of `[alerts] to`.

    Args:
        sink: as clw.toml names it.
        message: what to say.
        folder: the workspace, to which a file's path is relative.

    Raises:
        AlertError: it did not get there, or nobody knows whether it did.
    """
    kind, _, where = sink.partition(":")
    match kind:
        case "file":
            append(folder / where, message)
        case "webhook":
            post(where, message)
        case _:
            write(message)


def write(message: Message) -> None:
    """Writes to standard output, and has it out before it returns.

    Raises:
        AlertError: nobody reads it, or there is no room.
    """
    try:
        sys.stdout.write("".join(visible(line) + "\n" for line in message.lines()))
        sys.stdout.flush()
    except OSError as error:
        raise AlertError(f"stdout: {error.strerror or 'closed'}.") from None


def append(path: Path, message: Message) -> None:
    """Adds a line of JSON to a file, whole or not at all; one that was cut off by a kill is ended first.

    Raises:
        AlertError: it cannot be written.
    """
    line = json.dumps(message.as_dict(), default=str, ensure_ascii=False).encode() + b"\n"
    try:
        # Opening a pipe would wait for its reader; what is no plain file is refused once it is open.
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        with open(opened, "r+b", buffering=0) as file:
            _append(file, line)
    except OSError as error:
        raise AlertError(
            f"file {path.name}: {error.strerror or error}. Check the path in [alerts] to, your rights, and the room."
        ) from None


def _append(file: "IO[bytes]", line: bytes) -> None:
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        raise OSError(0, "not a plain file")
    before = file.seek(0, os.SEEK_END)
    if before:
        file.seek(before - 1)
        line = line if file.read(1) == b"\n" else b"\n" + line
    try:
        if file.write(line) != len(line):
            raise OSError(0, "no room for the whole line")
        os.fsync(file.fileno())
    except OSError:
        file.truncate(before)
        raise


def post(variable: str, message: Message) -> None:
    """Posts to the address that an environment variable holds; neither it nor what a server says is ever shown.

    Raises:
        AlertError: the variable or the address is no good, nothing was there, or the answer was not yes.
    """
    request = urllib.request.Request(
        _address(variable),
        data=json.dumps(message.slack(), ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "clworkbench"},
    )
    said: list[str | None] = []
    thread = threading.Thread(target=lambda: said.append(_asked(request)), daemon=True)
    thread.start()
    thread.join(WHOLE_S)
    why = said[0] if said else f"no answer within {WHOLE_S:g} s"
    if why is not None:
        raise AlertError(f"webhook {variable}: {why}.")


def _address(variable: str) -> str:
    """The address, checked.

    Raises:
        AlertError: it is not set, is no address, or would be sent in the open.
    """
    address = os.environ.get(variable, "").strip()
    if not address:
        raise AlertError(f"webhook {variable}: the environment variable {variable} is not set. Set it to the address.")
    try:
        parts = urlsplit(address)
        host, secure = parts.hostname, parts.scheme == "https"
        plain = parts.scheme == "http" and host in HERE and parts.port is not None
    except ValueError:
        host, secure, plain = None, False, False
    if not host or not (secure or plain) or not address.isascii() or not address.isprintable() or " " in address:
        raise AlertError(
            f"webhook {variable}: what {variable} holds is no https address (http only to this machine, with a port)."
        )
    return address


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead anywhere: it is an answer that is not yes."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:  # fmt: skip
        """Follows none."""


def _asked(request: urllib.request.Request) -> str | None:
    """Asks once; returns why it failed, in words of ours, or None. Of an answer only its status is read."""
    proxies: dict[str, str] | None = {} if request.type == "http" else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _NoRedirect)
    try:
        with opener.open(request, timeout=STEP_S) as answer:
            return None if 200 <= answer.status < 300 else f"answered {answer.status}"
    except urllib.error.HTTPError as error:
        with error:
            led = ", a redirect; none is followed" if 300 <= error.code < 400 else ""
            return f"answered {error.code}{led}"
    except urllib.error.URLError as error:
        return _why(error.reason)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _why(error)


def _why(reason: object) -> str:
    """Why nothing was there, without the address that such errors quote."""
    match reason:
        case TimeoutError():
            return f"no answer within {STEP_S:g} s"
        case socket.gaierror():
            return "its host name is not known here"
        case ssl.SSLCertVerificationError():
            return "its certificate does not hold"
        case ssl.SSLError():
            return "no secure connection"
        case ConnectionRefusedError():
            return "the connection was refused"
        case http.client.HTTPException():
            return "what answered is no web server"
        case _:
            return "it cannot be reached"
