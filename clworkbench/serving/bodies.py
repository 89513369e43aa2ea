"""What a request carries: its type checked, its bytes counted while they come in, unpacked within a limit."""

import asyncio
import zlib
from typing import NoReturn

from starlette.requests import Request

PROTOBUF, JSON = "application/x-protobuf", "application/json"
LINES = ("application/x-ndjson", "application/jsonl")
MOST_BYTES = 64 << 20
"""Of one body, packed or unpacked; OpenTelemetry's exporters send no more by themselves."""

MOST_IN_FLIGHT = 256 << 20
PATIENCE_S = 60.0
GZIP = 31
"""zlib's window bits for a gzip stream."""


class Refused(Exception):
    """A request that is not taken: its status, why, and when to come again where that helps."""

    def __init__(self, status: int, why: str, retry_after_s: int | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.retry_after_s = status, why, retry_after_s


class InFlight:
    """Bytes of all requests that are being answered: memory stays bounded however many come at once."""

    def __init__(self, most: int = MOST_IN_FLIGHT) -> None:
        self._most = most
        self.held = 0

    def take(self, n: int) -> None:
        """Counts n bytes more; raises Refused when it were too many."""
        if self.held + n > self._most:
            raise Refused(429, "too many bytes are on their way in at once: come again in a second", 1)
        self.held += n


def media_type(request: Request, *known: str) -> str:
    """The body's type, one of those known; raises Refused for forms, plain text and all else."""
    given = request.headers.get("content-type", "")
    kind, _, parameters = (part.strip().lower() for part in given.partition(";"))
    if kind not in known:
        raise Refused(415, f"Content-Type {kind[:80] or 'is missing'}: send {' or '.join(known)}")
    if "charset" in parameters and "utf-8" not in parameters:
        raise Refused(415, "the body must be UTF-8")
    return kind


class Body:
    """Reads one request's body; as a context manager it gives back what it counted as in flight."""

    def __init__(self, request: Request, in_flight: InFlight) -> None:
        self._request, self._in_flight = request, in_flight
        self._counted = 0

    def __enter__(self) -> "Body":
        return self

    def __exit__(self, *_: object) -> None:
        self._in_flight.held -= self._counted

    def _count(self, n: int) -> None:
        self._in_flight.take(n)
        self._counted += n

    async def read(self) -> bytes:
        """The body, unpacked.

        Raises:
            Refused: too large, packed in another way than gzip, damaged, too slow in coming, or broken off.
        """
        packing = self._request.headers.get("content-encoding", "identity").strip().lower()
        if packing not in ("gzip", "identity", ""):
            raise Refused(415, f"Content-Encoding {packing[:40]}: send gzip, or no packing")
        declared = self._request.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > MOST_BYTES:
            too_large("the body")
        try:
            async with asyncio.timeout(PATIENCE_S):
                body = await self._received()
        except TimeoutError:
            raise Refused(408, f"the body was not here within {PATIENCE_S:.0f} seconds") from None
        return self._unpacked(body) if packing == "gzip" else body

    async def _received(self) -> bytes:
        pieces: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._request.receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "the sender went away before the body was here")
            piece, more = message.get("body", b""), message.get("more_body", False)
            size += len(piece)
            if size > MOST_BYTES:
                too_large("the body")
            self._count(len(piece))
            pieces.append(piece)
        return b"".join(pieces)

    def _unpacked(self, packed: bytes) -> bytes:
        """Unpacks gzip, which may stand in several members one after the other."""
        pieces: list[bytes] = []
        size = 0
        while packed:
            member = zlib.decompressobj(GZIP)
            try:
                piece = member.decompress(packed, MOST_BYTES - size + 1)
            except zlib.error as error:
                raise Refused(400, f"not valid gzip: {error}") from None
            size += len(piece)
            if size > MOST_BYTES:
                too_large("the unpacked body")
            self._count(len(piece))
            if not member.eof:
                raise Refused(400, "not valid gzip: it ends in the middle")
            pieces.append(piece)
            packed = member.unused_data
        return b"".join(pieces)


def too_large(what: str) -> NoReturn:
    """Raises the refusal of what is over the limit."""
    raise Refused(413, f"{what} is larger than {MOST_BYTES:,} bytes: send smaller batches")
