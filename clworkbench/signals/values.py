"""Values as sources write them: JSON, numbers, times and names, read strictly or refused in words."""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import TypeVar

import msgspec

Value = TypeVar("Value")
Note = Callable[[str, str], None]
"""Takes the kind of a loss and an example of it; never personal text."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
END_US = 253_402_300_800 * 10**6
INT64 = range(-(2**63), 2**63)
PAIR = frozenset({"key", "value"})
NO_ZONE = "time without a zone, taken as UTC"
BYTE = re.compile(r"\(byte (\d+)\)")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="sorted").encode


class Unreadable(ValueError):
    """A record that cannot be read; the text is the quarantine's reason and never quotes the record."""


def decoded(raw: bytes | str) -> object:
    """The value that a JSON text holds; raises Unreadable with the byte at which it goes wrong."""
    try:
        return _decode(raw)
    except UnicodeDecodeError:
        raise Unreadable(_not_utf8(raw)) from None
    except msgspec.DecodeError as error:
        found = BYTE.search(str(error))
        if "truncated" in str(error):
            raise Unreadable(f"not valid JSON at byte {len(raw)}: it ends in the middle") from None
        if "out of range" in str(error):
            raise Unreadable("not usable JSON: a number too large for any column") from None
        raise Unreadable(f"not valid JSON at byte {found[1] if found else 0}") from None


def _not_utf8(raw: bytes | str) -> str:
    try:
        raw.decode() if isinstance(raw, bytes) else raw.encode()
    except UnicodeError as error:
        return f"not valid UTF-8 at byte {getattr(error, 'start', 0)}"
    return "not valid UTF-8 in a text"


def nested(value: object) -> object:
    """What a text that holds a JSON list or object says; any other value as it is."""
    if isinstance(value, str) and value[:1] in "[{" and value:
        try:
            return decoded(value)
        except (Unreadable, RecursionError):
            return value
    return value


def encoded(value: object) -> str:
    """The value as JSON text."""
    return _encode(value).decode()


def canonical(value: object) -> bytes:
    """The value as JSON bytes with sorted keys: equal values give equal bytes."""
    return _canonical(value)


def sha256_of(value: object) -> str:
    """The hash of the value's canonical JSON, in hex: equal values have equal hashes."""
    return sha256(_canonical(value)).hexdigest()


def text_of(value: object) -> str:
    """A text as it stands, any other value as JSON."""
    return value if isinstance(value, str) else encoded(value)


def as_object(value: object, name: str) -> dict[str, object]:
    """A copy of an object, also from its JSON text; nothing is an empty one; raises Unreadable for all else."""
    value = nested(value)
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise Unreadable(f"{name}: {kind_of(value)}, where an object is wanted")
    return dict(value)


def mapped(value: object) -> dict[str, object] | None:
    """An object, as such, as JSON text, or as the list of keys and values that a Parquet map is; else None."""
    value = nested(value)
    if isinstance(value, list) and value and all(isinstance(item, dict) and item.keys() == PAIR for item in value):
        return {str(item["key"]): item["value"] for item in value}
    return dict(value) if isinstance(value, dict) else None


def filled(value: dict[str, object]) -> dict[str, object]:
    """The object but for what it leaves empty."""
    return {key: inner for key, inner in value.items() if inner not in (None, "", [], {})}


def silent(_kind: str, _example: str) -> None:
    """A `Note` that notes nothing: for what is only looked at, and stays where it is."""


def in_utc(note: Note) -> Note:
    """Notes as `note` does, but for the zone that times lack: for sources that are known to write UTC."""
    return lambda kind, example: None if kind == NO_ZONE else note(kind, example)


def milliseconds(start: int | None, end: int | None) -> float | None:
    """How long it took from start to end, both in µs since 1970; None where that cannot be."""
    return None if start is None or end is None or end < start else (end - start) / 1000


def kind_of(value: object) -> str:
    """What a value is, in words that show nothing of it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "an object"
    return f"a {type(value).__name__}"


def shape_of(value: object) -> str:
    """How a value is written, e.g. "written like '99/99/9999'": digits as 9, letters as a, never the text itself."""
    if not isinstance(value, str):
        return kind_of(value)
    outline = "".join("9" if c.isdigit() else "a" if c.isalpha() else c for c in value[:25])
    return f"a text written like {outline!r}" if value else "an empty text"


def as_text(value: object) -> str:
    """A name or id as text; raises Unreadable for what is neither text nor number.

    7.0 is "7": a table with gaps makes floats of ids.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{kind_of(value)}, where a text is wanted")
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value)


def as_number(value: object) -> float:
    """A finite number, also from text; raises Unreadable."""
    if isinstance(value, str) and "_" not in value:
        try:
            value = float(value)
        except ValueError:
            raise Unreadable(f"{shape_of(value)}, where a number is wanted") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"{shape_of(value)}, where a number is wanted")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unreadable("no finite number")
    return number


def as_integer(value: object) -> int:
    """A whole number of 64 bits, also from text; raises Unreadable."""
    if type(value) is not int:
        if isinstance(value, str) and value.isdecimal() and len(value) < 20:
            value = int(value)
        else:
            number = as_number(value)
            if not number.is_integer():
                raise Unreadable("a fraction, where a whole number is wanted")
            value = int(number)
    if value not in INT64:
        raise Unreadable("a whole number of more than 64 bits")
    return value


def as_bool(value: object) -> bool:
    """True or false, also as 0 and 1 or in words; raises Unreadable."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    known = words.get(str(value).strip().lower()) if isinstance(value, str | int) else None
    if known is None:
        raise Unreadable(f"{shape_of(value)}, where true or false is wanted")
    return known


def as_time(value: object, note: Note) -> int:
    """Microseconds since 1970 (UTC) from ISO 8601 or from an epoch in s, ms, µs or ns (told by its size).

    A time without a zone is taken as UTC and noted. Raises Unreadable, e.g. for 12/31/2024, whose order of day
    and month nobody can know.
    """
    if isinstance(value, datetime | date):
        return _from_datetime(value, note)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_epoch(value)
    if not isinstance(value, str):
        raise Unreadable(f"{kind_of(value)}, where a time is wanted")
    written = value.strip().removesuffix(" UTC")
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return _from_epoch_text(written)
    if len(written) < len(value.strip()):
        moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return _from_datetime(moment, note)


def _from_epoch_text(written: str) -> int:
    try:
        number: int | float = int(written) if written.isdecimal() else as_number(written)
    except (Unreadable, ValueError):
        number = 0
    if number < 1e8:
        raise Unreadable(f"{shape_of(written)}, where an ISO 8601 or epoch time is wanted")
    return _from_epoch(number)


def _from_epoch(number: int | float) -> int:
    if not 0 <= number < 1e20:
        raise Unreadable("a number that is no epoch time")
    for limit, per_unit in ((1e11, 10**6), (1e14, 10**3), (1e17, 1)):
        if number < limit:
            return round(number * per_unit)
    return int(number) // 1000


def _from_datetime(moment: datetime | date, note: Note) -> int:
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if moment.tzinfo is None:
        note(NO_ZONE, "9999-99-99 99:99:99")
        moment = moment.replace(tzinfo=UTC)
    read = (moment - EPOCH) // MICROSECOND
    if not 0 <= read < END_US:
        raise Unreadable("a time before 1970 or after 9999")
    return read


class Fields:
    """Takes fields out of a decoded object; what is left in `rest` was not understood and is kept.

    Each method takes the first of several names that has a value, and gives None where none has. A value of the wrong
    type is noted and stays in `rest`.
    """

    def __init__(self, record: dict[str, object], note: Note) -> None:
        self.rest = record
        self._note = note

    def raw(self, *names: str) -> object:
        """The value as it stands, whatever it is."""
        for name in names:
            if (value := self.rest.get(name)) is not None:
                del self.rest[name]
                return value
        return None

    def text(self, *names: str) -> str | None:
        """A name or id; a number is taken as its text."""
        rest = self.rest
        for name in names:
            value = rest.get(name)
            if value is not None and value != "":
                if type(value) is str:
                    del rest[name]
                    return value
                return self._read(names, as_text)
        return None

    def number(self, *names: str) -> float | None:
        """A finite number."""
        return self._read(names, as_number)

    def integer(self, *names: str) -> int | None:
        """A whole number of 64 bits."""
        return self._read(names, as_integer)

    def share(self, name: str) -> float | None:
        """A number from 0 to 1."""
        value = self.rest.get(name)
        number = self._read((name,), as_number)
        if number is None or 0 <= number <= 1:
            return number
        self.rest[name] = value
        self._note(f"{name} outside 0 to 1", "a number")
        return None

    def moment(self, *names: str) -> int | None:
        """A time in µs since 1970; raises Unreadable where one stands that cannot be read."""
        for name in names:
            value = self.rest.get(name)
            if value is not None and value != "":
                try:
                    read = as_time(value, self._note)
                except Unreadable as error:
                    raise Unreadable(f"{name}: {error}") from None
                del self.rest[name]
                return read
        return None

    def _read(self, names: tuple[str, ...], reader: Callable[[object], Value]) -> Value | None:
        rest = self.rest
        for name in names:
            value = rest.get(name)
            if value is not None and value != "":
                try:
                    read = reader(value)
                except Unreadable as error:
                    self._note(f"{name} kept in attributes only", str(error))
                    continue
                del rest[name]
                return read
        return None
