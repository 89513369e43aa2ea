"""Flattened attributes put together again: `a.0.b` back to objects in lists."""

from collections.abc import Callable, Iterable

from clworkbench.signals.messages import Message, messages
from clworkbench.signals.rows import Row
from clworkbench.signals.values import Fields, Note, Unreadable, nested

MOST_PARTS = 24


def taken(fields: Fields, prefix: str) -> list[object]:
    """The list that stands under `prefix`, whole or flattened as `prefix.<index>.<key>`; it leaves `fields`.

    An item's own keys may be dotted, too: `{"message.role": "user"}` is `{"message": {"role": "user"}}`. Indices only
    tell the order. What is null is left out. Empty where nothing stands there.
    """
    found: dict[str, object] = {}
    start = f"{prefix}."
    for name in [name for name in fields.rest if name.startswith(start)]:
        index, _, key = name.removeprefix(start).partition(".")
        if _is_index(index):
            _insert(found, [index, *key.split(".", MOST_PARTS)] if key else [index], tree(fields.rest.pop(name)))
    whole = nested(fields.rest.get(prefix))
    if isinstance(whole, list) and not found:
        del fields.rest[prefix]
        return [tree(item) for item in whole if item is not None]
    return _items(found) if found else []


def taken_messages(fields: Fields, prefix: str, message: Callable[[object], Row], note: Note) -> list[Message] | None:
    """The messages that stand under `prefix`, each item made one by `message`; None where none stands there.

    Items that cannot be read stay in `fields`, which is noted.
    """
    items = taken(fields, prefix)
    try:
        return messages([message(item) for item in items], note) or None
    except Unreadable as error:
        note("messages kept in attributes only", str(error))
        fields.rest[prefix] = items
        return None


def gather(fields: Fields, name: str) -> None:
    """Puts what stands under `name` and under `name.<key>` together in one object.

    Whoever keys identities sees them then by their names.
    """
    rest, start = fields.rest, f"{name}."
    parts = {key.removeprefix(start): rest.pop(key) for key in list(rest) if key.startswith(start)}
    whole = nested(rest.get(name))
    if isinstance(whole, dict):
        rest[name] = whole | parts
    elif parts:
        rest[name] = parts if whole is None else parts | {name: whole}


def tree(value: object) -> object:
    """A value in which dotted keys have become objects, and objects keyed by indices lists."""
    if isinstance(value, list):
        return [tree(item) for item in value]
    if not isinstance(value, dict):
        return value
    found: dict[str, object] = {}
    for name, inner in value.items():
        if inner is not None:
            _insert(found, str(name).split(".", MOST_PARTS), tree(inner))
    return _lists(found)


def flat(value: Row, prefix: str = "") -> Iterable[tuple[str, object]]:
    """An object's leaves (texts, numbers, lists) under dotted keys; nulls are left out."""
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from flat(inner, f"{prefix}{name}.")
        elif inner is not None:
            yield f"{prefix}{name}", inner


def _is_index(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _insert(found: dict[str, object], path: list[str], value: object) -> None:
    """Puts a value where its path leads; where something else stands in the way, under the rest of the path."""
    at = found
    for depth, name in enumerate(path[:-1]):
        inner = at.setdefault(name, {})
        if not isinstance(inner, dict):
            at[".".join(path[depth:])] = value
            return
        at = inner
    at[path[-1]] = value


def _lists(found: object) -> object:
    if not isinstance(found, dict):
        return found
    if found and all(_is_index(name) for name in found):
        return _items(found)
    return {name: _lists(inner) for name, inner in found.items()}


def _items(found: dict[str, object]) -> list[object]:
    return [_lists(found[name]) for name in sorted(found, key=lambda name: (len(name), name))]
