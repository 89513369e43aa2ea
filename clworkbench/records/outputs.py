"""What the cells of an executed notebook show, made comparable: what differs at each run by nature is masked."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from clworkbench.errors import NotebookError
from clworkbench.records.page import PLOTLY

WIDGET = "application/vnd.jupyter.widget-view+json"
RESULT = "result"
"""The tag of a cell of which the result alone counts, and not what it shows on the way there."""

SHOWN = 160
"""Characters of each side that a difference quotes."""

MASKS = {
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b": "(an id)",
    r"\b0x[0-9a-f]{6,}\b": "(an address)",
    r"\b\d+(?:[.,]\d+)* ?(?:ms|s|seconds?|min|minutes?|h|hours?)\b": "(a time)",
    r"[0-9a-f]{32}\b": "(an id)",
}


class Difference(NamedTuple):
    """One thing that differs: what, and how it stands on both sides."""

    what: str
    first: str
    second: str


def cells(path: Path) -> list[dict[str, object]]:
    """The cells of an executed notebook.

    Raises:
        NotebookError: the file is no notebook.
    """
    try:
        found = json.loads(path.read_text())["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotebookError(f"{path}: not an executed notebook ({error}). Record it again.") from error
    return list(found)


def differing(
    first: Iterable[Mapping[str, object]], second: Iterable[Mapping[str, object]], places: Iterable[str] = ()
) -> list[Difference]:
    """The code cells that show something else, in order; `places` are folders' names that do not count."""
    masked = tuple(sorted({place for place in places if place not in ("", ".")}, key=len, reverse=True))
    sides = ([each for each in side if each["cell_type"] == "code"] for side in (first, second))
    found = []
    for number, (a, b) in enumerate(zip(*sides, strict=False), 1):
        one, two = shows(a, masked), shows(b, masked)
        if one != two:
            found.append(Difference(f"code cell {number}", *_apart(one, two)))
    return found


def shows(cell: Mapping[str, object], masked: Iterable[str] = ()) -> str:
    """All that a cell shows, as text; progress on standard error is no result."""
    outputs = cell.get("outputs")
    assert isinstance(outputs, list)
    kinds = ("execute_result",) if RESULT in _tags(cell) else ("execute_result", "display_data", "stream")
    counts = (each for each in outputs if each["output_type"] in kinds and each.get("name") != "stderr")
    text = "\n".join(map(_face, counts))
    for place in masked:
        text = text.replace(place, "(workspace)")
    for pattern, name in MASKS.items():
        text = re.sub(pattern, name, text)
    return text


def _tags(cell: Mapping[str, object]) -> Sequence[str]:
    about = cell.get("metadata")
    return about.get("tags", []) if isinstance(about, Mapping) else []


def _face(output: Mapping[str, object]) -> str:
    """The richest thing that is data: a figure's numbers before its picture, a table before its text."""
    data = output.get("data")
    if not isinstance(data, Mapping):
        return _joined(output.get("text", ""))
    if WIDGET in data:
        return "(a widget)"
    if PLOTLY in data:
        figure = data[PLOTLY]
        return json.dumps([figure.get("data"), figure.get("layout")], sort_keys=True)
    return _joined(data.get("text/html", data.get("text/markdown", data.get("text/plain", ""))))


def _joined(text: object) -> str:
    return "".join(text) if isinstance(text, list) else str(text)


def _apart(one: str, two: str) -> tuple[str, str]:
    """Both texts from shortly before the place where they part."""
    plain = [" ".join(re.sub(r"<[^>]*>", " ", text).split()) for text in (one, two)]
    if plain[0] == plain[1]:
        plain = [one, two]
    at = next((i for i, (a, b) in enumerate(zip(*plain, strict=False)) if a != b), min(map(len, plain)))
    begin = max(0, at - 40)
    first, second = (text[begin : begin + SHOWN] or "(nothing)" for text in plain)
    return first, second
