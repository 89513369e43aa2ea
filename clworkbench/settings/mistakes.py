"""What msgspec finds wrong in a `clw.toml`, as a person reads it: the place by its names, and the way out."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec


class _Place(NamedTuple):
    """Where something is wrong: the names that lead there, and the type that is wanted."""

    names: list[str]
    kind: Any

    @property
    def said(self) -> str:
        return ".".join(self.names) or "the top level"


def in_words(message: str, raw: Mapping[str, Any], wanted: type[msgspec.Struct]) -> str:
    """The words of msgspec, with the place by name and what may stand there.

    Args:
        message: of a `msgspec.ValidationError`, e.g. ``Invalid enum value 'x' - at `$.labels.ask[0].asks[1]` ``.
        raw: what was read, in the form that was checked.
        wanted: what it was checked against.
    """
    what, _, path = message.partition(" - at ")
    place = _place(path.strip("`").removeprefix("$"), raw, wanted)
    unknown = re.search(r"unknown field `(.+)`", what)
    if unknown:
        return f"[{place.said}] no such key {unknown[1]!r}. {_keys(unknown[1], place.kind)}"
    there = f" There: {', '.join(map(str, place.kind.values))}." if what.startswith("Invalid enum value") else ""
    return f"[{place.said}] {what}.{there}"


def _keys(wrong: str, kind: Any) -> str:
    words = [field.encode_name for field in kind.fields]
    close = get_close_matches(wrong, words, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"There: {', '.join(words)}. (Or is its [table] commented out?)"


def _place(path: str, raw: Any, wanted: type[msgspec.Struct]) -> _Place:
    kind: Any = msgspec.inspect.type_info(wanted)
    names: list[str] = []
    for step in re.findall(r"[^.\[\]]+|\[.*?\]", path):
        kind = _struct(kind, raw)
        if not step.startswith("["):
            names.append(step)
            kind = next(field.type for field in kind.fields if field.encode_name == step)
            raw = raw.get(step) if isinstance(raw, Mapping) else None
            continue
        kind = getattr(kind, "item_type", None) or getattr(kind, "value_type", None) or kind.item_types[0]
        name, raw = _item(step.strip("[]"), raw, kind)
        names += [name] if name else []
    return _Place(names, _struct(kind, raw))


def _struct(kind: Any, raw: Any) -> Any:
    """What a type that may be None is otherwise; of several kinds of table, the one that the tag of this one names."""
    parts = [part for part in getattr(kind, "types", ()) if not isinstance(part, msgspec.inspect.NoneType)]
    tagged = [part for part in parts if isinstance(raw, Mapping) and getattr(part, "tag_field", None) in raw]
    return next((part for part in tagged if part.tag == raw[part.tag_field]), parts[0]) if parts else kind


def _item(step: str, raw: Any, kind: Any) -> tuple[str | None, Any]:
    """The name of a table in a list or under a key that msgspec leaves out, and what it holds."""
    if isinstance(raw, Mapping):
        wrong = [name for name, value in raw.items() if not _fits(value, kind)]
        return (wrong[0], raw[wrong[0]]) if wrong else (None, None)
    held = raw[int(step)] if step.isdigit() and isinstance(raw, Sequence) and int(step) < len(raw) else None
    return (str(held["name"]), held) if isinstance(held, Mapping) and "name" in held else (None, held)


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, msgspec.inspect.StrType):
        return isinstance(value, str)
    if isinstance(kind, msgspec.inspect.FloatType | msgspec.inspect.IntType):
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        return numeric and all(holds(value, bound) for holds, bound in _bounds(kind))
    if not isinstance(kind, msgspec.inspect.StructType):
        return False
    try:
        msgspec.convert(value, kind.cls)
    except msgspec.ValidationError:
        return False
    return True


def _bounds(kind: Any) -> list[tuple[Callable[[float, float], bool], float]]:
    pairs = ((operator.ge, kind.ge), (operator.gt, kind.gt), (operator.le, kind.le), (operator.lt, kind.lt))
    return [(holds, bound) for holds, bound in pairs if bound is not None]
