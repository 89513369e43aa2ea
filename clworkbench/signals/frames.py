"""Binary records one after another in a file: each with its length before it, or the fields of a protobuf message."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import BinaryIO, NamedTuple

ZSTD = b"\x28\xb5\x2f\xfd"
FIELD_1 = b"\n"
"""The tag of a protobuf message's first field, where that is a message itself."""

PREFIX = 4
PIECE = 1 << 20


class Frame(NamedTuple):
    """A record, or what is wrong with it.

    Attributes:
        offset: its first byte in the file, after its length.
        length: its bytes in the file.
        stop: the byte after it.
        raw: its bytes, unpacked.
        fault: why there are none.
        digest: SHA-256 of its bytes in the file, where there is a fault.
    """

    offset: int
    length: int
    stop: int
    raw: bytes | None = None
    fault: str | None = None
    digest: str = ""


def is_framed(head: bytes) -> bool:
    """Whether a file with this beginning holds records with their length before them, in four bytes, big-endian.

    Source: the OpenTelemetry collector's file exporter, "File Format",
        https://github.com/open-telemetry/opentelemetry-collector-contrib/tree/main/exporter/fileexporter
    """
    length = int.from_bytes(head[:PREFIX])
    first = head[PREFIX : PREFIX + 4]
    return head[:1] < b"\x09" and length > 0 and (first.startswith((FIELD_1, b"{")) or first == ZSTD)


def is_message(head: bytes, whole: int | None) -> bool:
    """Whether a file with this beginning, of so many bytes, is a protobuf message made of its field 1 alone."""
    at = n = 0
    while head[at : at + 1] == FIELD_1:
        size, length = _varint(head, at + 1)
        if not size:
            break
        at += 1 + size + length
        n += 1
    ends_well = at >= len(head) if whole is None else at == whole or len(head) <= at < whole
    return ends_well and n > 0 and min(head) < 9


def framed(file: BinaryIO, longest: int) -> Iterator[Frame]:
    """The records of a file that `is_framed`, those that are packed with zstd unpacked."""
    offset = 0
    while prefix := file.read(PREFIX):
        length = int.from_bytes(prefix)
        offset += len(prefix)
        frame = _frame(file, offset, length if len(prefix) == PREFIX else PREFIX, longest)
        yield frame if frame.raw is None else _unpacked(frame, frame.raw, longest)
        offset = frame.stop


def fields(file: BinaryIO, longest: int) -> Iterator[Frame]:
    """The fields of a file that `is_message`; each is a message like the whole one."""
    offset = 0
    while head := file.read(1):
        size, length, lead = 0, 0, head
        while len(lead) < 11 and (byte := file.read(1)):
            lead += byte
            if byte[0] < 0x80:
                size, length = _varint(lead, 1)
                break
        if head != FIELD_1 or not size:
            rest = lead + file.read()
            fault = "bytes that are no field of a message of OTLP"
            yield Frame(offset, len(rest), offset + len(rest), fault=fault, digest=sha256(rest).hexdigest())
            return
        found = _frame(file, offset + len(lead), length, longest)
        raw = None if found.raw is None else lead + found.raw
        yield found._replace(offset=offset, length=found.stop - offset, raw=raw)
        offset = found.stop


def _frame(file: BinaryIO, offset: int, length: int, longest: int) -> Frame:
    if length <= longest:
        raw = file.read(length)
        if len(raw) == length:
            return Frame(offset, length, offset + length, raw)
        n, digest, fault = len(raw), sha256(raw).hexdigest(), f"cut off: {len(raw)} of its {length} bytes are there"
    else:
        n, digest = _passed_over(file, length)
        fault = f"a record of {length} bytes, more than {longest}"
    return Frame(offset, n, offset + n, fault=fault, digest=digest)


def _passed_over(file: BinaryIO, length: int) -> tuple[int, str]:
    """How many of the next bytes were there, and their hash."""
    hashed, left = sha256(), length
    while left and (piece := file.read(min(left, PIECE))):
        hashed.update(piece)
        left -= len(piece)
    return length - left, hashed.hexdigest()


def _unpacked(frame: Frame, raw: bytes, longest: int) -> Frame:
    if not raw.startswith(ZSTD):
        return frame
    import pyarrow as pa

    digest = sha256(raw).hexdigest()
    try:
        inner = pa.CompressedInputStream(pa.BufferReader(raw), "zstd").read(longest + 1)
    except OSError:
        return frame._replace(raw=None, fault="packed with zstd, and damaged", digest=digest)
    if len(inner) > longest:
        fault = f"packed with zstd, and unpacks to more than {longest} bytes"
        return frame._replace(raw=None, fault=fault, digest=digest)
    return frame._replace(raw=inner)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """How many bytes a protobuf varint takes, and its value; 0 bytes where none is whole."""
    value = 0
    for size in range(10):
        byte = data[at + size : at + size + 1]
        if not byte:
            return 0, 0
        value |= (byte[0] & 0x7F) << (7 * size)
        if byte[0] < 0x80:
            return size + 1, value
    return 0, 0


Reader = Callable[[BinaryIO, int], Iterator[Frame]]


def reader(head: bytes, whole: int | None) -> Reader | None:
    """What reads the records of a file with this beginning, of so many bytes if known; None for one of another kind."""
    if is_framed(head):
        return framed
    return fields if is_message(head, whole) else None
