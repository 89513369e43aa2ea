"""Production's texts are kept out of a record: outputs that quote them are left out."""

from collections.abc import Iterator
from html import unescape
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from nbformat import NotebookNode

COLUMNS = ("text", "answer", "improvement_text")
SHORTEST = 16
"""Texts shorter than this are words, such as the name of an intent, and say nothing about anybody."""
LONGEST = 24
"""So many characters of a text are looked for: frames cut long ones after thirty."""
AT_ONCE = 50_000
NOTE = "(left out: this output quotes production; `clw record --texts` keeps it)"


def without_texts(executed: "NotebookNode", workspace: Workspace) -> int:
    """Replaces outputs that quote a signal's texts by a note; returns how many."""
    outputs = [(cell, i, output) for cell in executed.cells for i, output in enumerate(cell.get("outputs", []))]
    shown = pl.Series([_plain(" ".join(_strings(output))) for _, _, output in outputs], dtype=pl.String)
    quotes = shown.is_null()
    for some in _phrases(workspace).to_frame("phrase").iter_slices(AT_ONCE):
        quotes = quotes | shown.str.contains_any(some["phrase"].implode())
    for (cell, i, output), hit in zip(outputs, quotes, strict=True):
        if hit:
            cell.outputs[i] = type(output)(output_type="display_data", metadata={}, data={"text/plain": NOTE})
    return int(quotes.sum())


def _phrases(workspace: Workspace) -> pl.Series:
    """The beginnings of all texts that production reported, white space made plain."""
    signals = workspace.signals()
    texts = pl.concat([signals[column].alias("phrase") for column in COLUMNS])
    plain = texts.drop_nulls().str.replace_all(r"[\s⏎]+", " ").str.strip_chars()
    return plain.filter(plain.str.len_chars() >= SHORTEST).str.head(LONGEST).unique().sort()


def _plain(text: str) -> str:
    return " ".join(unescape(text).replace("⏎", " ").split())


def _strings(value: object) -> Iterator[str]:
    """All text in an output, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
