"""One request over HTTP: sent once, read within its time and size, and what became of it in words without secrets."""

import http.client
import io
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from typing import IO, NamedTuple

MOST_BYTES = 16 << 20
"""An answer that is longer is not read to its end."""


class Answered(NamedTuple):
    """What a server answered: `headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Broken(NamedTuple):
    """No whole answer came.

    Attributes:
        why: in words of ours.
        again: whether the same request may go well later.
    """

    why: str
    again: bool


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answered | Broken:
    """Posts JSON and reads what comes back; no redirect is followed, for it would carry the key elsewhere.

    Args:
        url: http goes past any proxy: it leads to this machine, or to one of the same net.
        body: JSON.
        headers: beside the content's type.
        timeout_s: for all of it.
    """
    until = time.monotonic() + timeout_s
    request = urllib.request.Request(
        url, data=body, headers={"Content-Type": "application/json", "User-Agent": "clworkbench", **headers}
    )
    proxies: dict[str, str] | None = {} if request.type == "http" else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _NoRedirect)
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return _read(answer, answer.status, answer.headers, until, timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            return _read(error, error.code, error.headers, until, timeout_s)
    except urllib.error.URLError as error:
        return _broken(error.reason, timeout_s)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _broken(error, timeout_s)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:  # fmt: skip
        """Follows none: the redirect itself is the answer."""


def _read(answer: IO[bytes], status: int, headers: Message, until: float, timeout_s: float) -> Answered | Broken:
    """A server that drips is given up at the end of its time, one that pours at the end of its room."""
    found = io.BytesIO()
    # `read1` hands over what is there; `read` would wait for each piece to be full.
    read = getattr(answer, "read1", answer.read)
    try:
        while piece := read(1 << 16):
            found.write(piece)
            if found.tell() > MOST_BYTES:
                return Broken(f"its answer is longer than {MOST_BYTES >> 20} MiB", again=False)
            if time.monotonic() > until:
                return Broken(f"no whole answer within {timeout_s:g} s", again=True)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _broken(error, timeout_s)
    wanted = headers.get("Content-Length", "")
    if wanted.isdecimal() and found.tell() < int(wanted):
        return Broken("the connection broke in the middle of its answer", again=True)
    return Answered(status, {name.lower(): value for name, value in headers.items()}, found.getvalue())


def _broken(reason: object, timeout_s: float) -> Broken:
    """Why nothing whole came, without the address and the headers that such errors quote."""
    match reason:
        case TimeoutError():
            return Broken(f"no answer within {timeout_s:g} s", again=True)
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return Broken("its host name cannot be looked up now", again=True)
        case socket.gaierror():
            return Broken("its host name is not known here", again=False)
        case ssl.SSLCertVerificationError():
            return Broken("its certificate does not hold", again=False)
        case ssl.SSLError():
            return Broken("no secure connection", again=True)
        case ConnectionRefusedError():
            return Broken("the connection was refused", again=True)
        case http.client.IncompleteRead() | ConnectionError():
            return Broken("the connection broke in the middle of its answer", again=True)
        case http.client.HTTPException() | ValueError():
            return Broken("what answered is no web server", again=True)
        case _:
            return Broken("it cannot be reached", again=True)
