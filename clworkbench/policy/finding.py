"""Where personal values stand in texts: cheap patterns over the whole column, exact ones only around their matches."""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import polars as pl

from clworkbench.policy.entities import ENTITIES
from clworkbench.policy.entities.entity import HIDDEN, SEEN, Entity
from clworkbench.policy.marks import MARK

FOUND = pl.Schema(
    {"row": pl.UInt32(), "kind": pl.String(), "start": pl.Int64(), "end": pl.Int64(), "value": pl.String()}
)
ROUNDS, ROUNDS_IF_SHORT, SHORT = 4, 32, 2000
"""How often a text is looked at again because a find stood right beside another number; oftener if short."""
_BESIDE = r"[0-9A-Z@+][^\n0-9A-Za-z\[\]]{0,2}\[\]|\]\][^\n0-9A-Za-z\[\]]{0,2}[0-9A-Z@+(]"
_EDGE = "\ufdd0"
"""A code point that Unicode keeps out of texts; a text that holds it is looked at whole."""


class Span(NamedTuple):
    """One personal value in a text: who found it, and from which character to which."""

    entity: Entity
    start: int
    end: int


def found(texts: pl.Series) -> pl.DataFrame:
    """Every personal value in plain texts.

    Args:
        texts: strings; a null holds nothing. JSON is read as it stands, without regard to its keys.

    Returns:
        One row for each value, in order: `row` (0-based), `kind` (`EMAIL`, `PHONE`, ...), `start` and `end`
        (characters, half open), `value`.
    """
    hits = texts.str.contains(may_hold(ENTITIES)).fill_null(value=False).arg_true()
    candidates = texts.gather(hits)
    rows = [
        (row, span.entity.kind, span.start, span.end, text[span.start : span.end])
        for row, text, spans in zip(hits, candidates, spans_of(candidates), strict=True)
        for span in spans
    ]
    return pl.DataFrame(rows, schema=FOUND, orient="row")


def may_hold(entities: Sequence[Entity]) -> str:
    """The pattern without which a text holds none of these."""
    return "|".join([HIDDEN, *dict.fromkeys(f"(?:{entity.prefilter})" for entity in entities)])


def spans_of(texts: pl.Series, entities: Sequence[Entity] = ENTITIES) -> list[list[Span]]:
    """The values in each text, in order and without overlap.

    What is found is blanked before the next entity looks, as it will be once marks stand there; so a marked text holds
    nothing more. Where a find stood right beside another number, which may have hidden it, the text is looked at again.

    Args:
        texts: distinct strings, no nulls.
        entities: what is looked for, in this order.
    """
    search = _Search(_as_seen(texts).to_list())
    rows = list(range(len(texts)))
    for n in range(1, ROUNDS_IF_SHORT + 1):
        rows = search.look(rows, entities)
        if n >= ROUNDS:
            rows = [row for row in rows if len(search.texts[row]) <= SHORT]
        if not rows:
            break
    return [sorted(row, key=_start) if len(row) > 1 else row for row in search.spans]


def _as_seen(texts: pl.Series) -> pl.Series:
    """Texts as the patterns read them, character for character: hidden digits shown, marks blanked."""
    hidden = texts.str.contains(HIDDEN).arg_true()
    if len(hidden):
        shown = texts.gather(hidden).str.replace_many(SEEN)
        texts = texts.clone().scatter(hidden, shown)
    marked = texts.str.contains(MARK).arg_true()
    if len(marked):
        blanked = [re.sub(MARK, lambda m: _blank(len(m[0])), text) for text in texts.gather(marked)]
        texts = texts.clone().scatter(marked, blanked)
    return texts


class _Search:
    """Texts in which one entity after the other looks, and what was found in each."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.spans: list[list[Span]] = [[] for _ in texts]

    def look(self, rows: list[int], entities: Sequence[Entity]) -> list[int]:
        """Look once in these rows; returns those in which a find stood right beside another number."""
        again: set[int] = set()
        for reach, group in groupby(entities, key=lambda entity: entity.reach):
            together = list(group)
            pattern = may_hold(together)
            texts = pl.Series([self.texts[row] for row in rows], dtype=pl.String)
            hits = texts.str.contains(pattern).arg_true()
            windows = _windows(texts.gather(hits), [rows[n] for n in hits], pattern, reach)
            new, left = _find(windows, together)
            beside = pl.Series([left[n] for n in new], dtype=pl.String).str.contains(_BESIDE)
            again.update(windows.rows[n] for n, near in zip(new, beside, strict=True) if near)
            for n, spans in new.items():
                row = windows.rows[n]
                self.spans[row] += spans
                if row in again or together[-1] is not entities[-1]:
                    self.texts[row] = _blanked(self.texts[row], [span[1:] for span in self.spans[row]])
        return list(again)


class _Windows(NamedTuple):
    """Parts of texts: whose, from which character, and what they say."""

    rows: list[int]
    starts: list[int]
    texts: list[str]

    def add(self, row: int, whole: str, start: int, stop: int) -> None:
        self.rows.append(row)
        self.starts.append(start)
        self.texts.append(whole[start:stop])


def _windows(flagged: pl.Series, rows: list[int], pattern: str, reach: int) -> _Windows:
    """The parts of texts around what a pattern matches, disjoint and in order."""
    edged = flagged.str.replace_all(f"(?:{pattern})", f"{_EDGE}${{0}}{_EDGE}")
    windows = _Windows([], [], [])
    for row, whole, text in zip(rows, flagged, edged, strict=True):
        parts = text.split(_EDGE)
        if len(parts) == 3:
            start = len(parts[0])
            stop = start + len(parts[1]) + reach
            start = start - reach if start > reach else 0
        elif len(text) - len(parts) + 1 == len(whole):
            start, stop, at = 0, -1, 0
            for n, part in enumerate(parts):
                if n % 2:
                    if at - reach > stop:
                        if stop >= 0:
                            windows.add(row, whole, start, stop)
                        start = max(0, at - reach)
                    stop = at + len(part) + reach
                at += len(part)
        else:  # the text itself holds the edge
            start, stop = 0, len(whole)
        windows.add(row, whole, start, stop)
    return windows


def _find(windows: _Windows, entities: Sequence[Entity]) -> tuple[dict[int, list[Span]], list[str]]:
    """What is found, by window, with its place in the whole text; and the windows' texts with that blanked."""
    found_in: dict[int, list[Span]] = {}
    texts = windows.texts.copy()
    cheap = pl.Series(texts, dtype=pl.String)
    flags: dict[str, pl.Series] = {}
    for entity in entities:
        if entity.prefilter not in flags:
            flags[entity.prefilter] = cheap.str.contains(entity.prefilter).arg_true()
        hits = flags[entity.prefilter]
        if entity.beside and len(hits):
            hits = hits.filter(cheap.gather(hits).str.contains(entity.beside))
        changed = False
        for n in hits.to_list():
            places = entity.find(texts[n])
            if places:
                changed, offset = True, windows.starts[n]
                texts[n] = _blanked(texts[n], places)
                spans = [Span(entity, start + offset, end + offset) for start, end in places]
                found_in[n] = found_in[n] + spans if n in found_in else spans
        if changed:
            cheap, flags = pl.Series(texts, dtype=pl.String), {}
    return found_in, texts


def _blanked(text: str, places: Sequence[tuple[int, int]]) -> str:
    if len(places) == 1:
        start, end = places[0]
        return f"{text[:start]}{_blank(end - start)}{text[end:]}"
    done, at = [], 0
    for start, end in sorted(places):
        done += [text[at:start], _blank(end - start)]
        at = end
    return "".join([*done, text[at:]])


def _blank(length: int) -> str:
    """As long as what it stands for, with a mark's edges, so that what is beside it is judged as beside a mark."""
    return "[" + "]" * (length - 1)


def _start(span: Span) -> int:
    return span.start
