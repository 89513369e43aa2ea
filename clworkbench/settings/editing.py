"""Adds a line to a `clw.toml` and leaves all else as it stands: comments, order, blanks."""

import json
import re
import tomllib

from clworkbench.errors import SettingsError

_HEADER = re.compile(r"\s*\[\s*slices\s*\]\s*(?:#.*)?$")
_ANY_HEADER = re.compile(r"\s*\[")
_KEY = re.compile(r"\s*(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|[A-Za-z0-9_-]+)\s*=")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


def with_slice(text: str, name: str, expression: str, *, place: str = "clw.toml", replace: bool = False) -> str:
    """The text of a `clw.toml` with one more of `[slices]`, or with another expression for it.

    Args:
        text: TOML.
        name: letters, digits, `-` and `_`.
        expression: what it holds.
        place: names the file in errors.
        replace: whether a slice of that name may get another expression.

    Raises:
        SettingsError: the name is none, or is taken; the text is not TOML; or `[slices]` is written in a way that is
            not safe to edit, which is found by reading the new text back.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(f"slice {name[:80]!r}: a name holds letters, digits, - and _ only. Choose another.")
    before = _read(text, place)
    slices = before.get("slices", {})
    if not isinstance(slices, dict):
        raise SettingsError(f"{place}: slices is no table. Write [slices], a line for each: name = 'expression'.")
    if slices.get(name) == expression:
        return text
    if name in slices and not replace:
        raise SettingsError(
            f"{place}: there is a slice {name!r} already: {slices[name]!r}.\nChoose another name, or --replace it."
        )
    line = f"{name} = {_quoted(expression)}"
    after = _edited(text, name, line)
    wanted = {**before, "slices": {**slices, name: expression}}
    if after is None or not _says(after, wanted):
        raise SettingsError(
            f"{place}: its slices are written in a way that is not safe to edit.\nAdd it by hand under [slices]: {line}"
        )
    return after


def _edited(text: str, name: str, line: str) -> str | None:
    """The text with the line in its place; None where there is no such place."""
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    headers = [at for at, each in enumerate(lines) if _HEADER.match(each.rstrip("\r\n"))]
    if not headers:
        apart = "" if not text else end if text.endswith("\n") else end * 2
        return f"{text}{apart}[slices]{end}{line}{end}"
    first = headers[0] + 1
    last = next((at for at in range(first, len(lines)) if _ANY_HEADER.match(lines[at])), len(lines))
    keys = [at for at in range(first, last) if _KEY.match(lines[at])]
    own = [at for at in keys if _key(lines[at]) == name]
    if own:
        lines[own[0]] = line + end
    else:
        at = keys[-1] + 1 if keys else first
        if not lines[at - 1].endswith("\n"):
            lines[at - 1] += end
        lines.insert(at, line + end)
    return "".join(lines)


def _key(line: str) -> str | None:
    try:
        return next(iter(tomllib.loads(line)), None)
    except tomllib.TOMLDecodeError:
        return None


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes, and DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read(text: str, place: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{place}: not TOML: {error}. Mend that line.") from error


def _says(text: str, wanted: dict[str, object]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False
