"""The second tier of redaction: Presidio, on all that leaves for annotators and training."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import SettingsError
from clworkbench.policy import json_text
from clworkbench.policy.marks import MARK, mark
from clworkbench.policy.nested import Change, Plan, change_strings
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.policy.recognizers import BESIDE_A_WORD, NAMES, PLAIN, THRESHOLD, Engine, kind_of, load

Leaving = Literal["auto", "presidio", "patterns"]

MARKS = re.compile(MARK + r"|X{2,}|\*{2,}")
"""What the first tier, or somebody before us, has taken out already."""

_PIECE = re.compile(r"(?:\S{1,999}+(?:\s{1,999}+|\Z)){1,2000}+|\S{1,1000}|\s+")
"""What is analysed at once: spaCy's time grows with an unbroken run's square, and it refuses a million characters."""
_BATCH = 64
_REMEMBERED = 500_000


class Span(NamedTuple):
    """Personal data in a text: characters `start` to `end` (exclusive)."""

    kind: str
    start: int
    end: int


class Cleared(NamedTuple):
    """A frame without what the second tier found, and how many of each kind it took out."""

    frame: pl.DataFrame
    counts: dict[str, int]


@dataclass(frozen=True, eq=False)
class SecondTier:
    """Presidio with its recognizers chosen.

    Attributes:
        engine: analyses texts; its `model` finds names.
    """

    engine: Engine = field(repr=False)
    _known: dict[bytes, tuple[Span, ...]] = field(default_factory=dict, repr=False)

    @property
    def model(self) -> str | None:
        """The spaCy model that finds names, with its version; None where none is installed."""
        return self.engine.model

    def __repr__(self) -> str:
        return f"SecondTier({_engine()}, {self.model or 'no model of names'})"

    def as_dict(self) -> dict[str, Any]:
        """What it was, as plain values for manifests."""
        names = sorted(NAMES) if self.model else []
        return {
            "engine": "presidio",
            "version": version("presidio-analyzer"),
            "spacy": version("spacy"),
            "model": self.model,
            "entities": [*names, *sorted(PLAIN)],
            "entities_beside_a_word": sorted(BESIDE_A_WORD),
            "threshold": THRESHOLD,
        }

    def found(self, texts: pl.Series, advance: Advance = silent) -> pl.DataFrame:
        """What the second tier finds in texts, marks left out.

        Returns:
            One row for each find: `row` (in `texts`), `kind`, `start`, `end` (characters), `value`; in order.
        """
        listed = texts.to_list()
        spans = self.spans((text for text in listed if text), advance)
        rows = [
            (row, *span, text[span.start : span.end]) for row, text in enumerate(listed) if text for span in spans[text]
        ]
        schema = {"row": pl.Int64, "kind": pl.String, "start": pl.Int64, "end": pl.Int64, "value": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def spans(self, texts: Iterable[str], advance: Advance = silent) -> dict[str, tuple[Span, ...]]:
        """Each distinct text's finds, in order and without overlaps; a text is analysed once in a tier's life."""
        keys = {text: blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts}
        new = [text for text, key in keys.items() if key not in self._known]
        if len(self._known) + len(new) > _REMEMBERED:
            self._known.clear()
            new = list(keys)
        for at in range(0, len(new), _BATCH):
            batch = new[at : at + _BATCH]
            advance(at, len(new), "texts")
            for text, spans in zip(batch, self._analyse(batch), strict=True):
                self._known[keys[text]] = spans
        advance(len(new), len(new), "texts")
        return {text: self._known[key] for text, key in keys.items()}

    def _analyse(self, texts: Sequence[str]) -> Iterator[tuple[Span, ...]]:
        pieces = [(row, at, piece) for row, text in enumerate(texts) for at, piece in _pieces(text, self.model)]
        found: list[list[Span]] = [[] for _ in texts]
        analyzer = self.engine.analyzer
        batch = analyzer.nlp_engine.process_batch([piece for *_, piece in pieces], "en", batch_size=_BATCH)
        for (row, at, piece), (_, artifacts) in zip(pieces, batch, strict=True):
            for result in analyzer.analyze(
                piece,
                "en",
                entities=None if _has_digit(piece) else list(NAMES),
                nlp_artifacts=artifacts,
                score_threshold=THRESHOLD,
                return_decision_process=True,
            ):
                if kind := kind_of(result, piece[result.start : result.end]):
                    found[row].append(Span(kind, result.start + at, result.end + at))
        return (_apart(spans, text) for spans, text in zip(found, texts, strict=True))


def tier(leaving: Leaving) -> SecondTier | None:
    """The second tier that `[policy] leaving` asks for; None where only patterns are to be used.

    Nothing is downloaded: names are found with a spaCy model where one is installed, and else not at all.

    Raises:
        SettingsError: Presidio is demanded, and not installed; or what is installed cannot be loaded.
    """
    if leaving == "patterns":
        return None
    missing = [name for name in ("presidio_analyzer", "spacy") if find_spec(name) is None]
    if missing and leaving == "auto":
        return None
    if missing:
        raise SettingsError(
            f'[policy] leaving = "presidio": {" and ".join(missing)} is not installed.\n'
            "Install it with `pip install 'clworkbench[privacy]'`, or write leaving = \"patterns\"."
        )
    return _second()


@cache
def _second() -> SecondTier:
    return SecondTier(load())


def described(second: SecondTier | None) -> dict[str, Any]:
    """What looked at the texts that left, as plain values for manifests."""
    return {"engine": "patterns"} if second is None else second.as_dict()


def said(second: SecondTier | None) -> str:
    """A sentence for reports: which second tier was used, and what it cannot find."""
    if second is None:
        return "Patterns only: names of people and places are not looked for. `pip install 'clworkbench[privacy]'`."
    if second.model is None:
        return f"{_engine()}: no spaCy model is installed, so names of people and places are not found."
    return f"{_engine()} with {second.model}: finds names of people and places in English as well as that model does."


def _engine() -> str:
    return f"Presidio {version('presidio-analyzer')}"


def clear(
    frame: pl.DataFrame,
    columns: Sequence[str],
    second: SecondTier,
    pseudonyms: Pseudonyms,
    advance: Advance = silent,
) -> Cleared:
    """Take what the second tier finds out of messages and texts; `[PERSON_1a2b3c4d]` stands in its place.

    A find is the same mark wherever it is met. In messages, roles and ids stay; strings inside JSON (tool arguments,
    parts, contents that are JSON) change, its keys and numbers stay.

    Args:
        frame: any rows.
        columns: columns of text, or of messages (`schemas.MESSAGES`); those that are not there are passed over.
        second: what finds.
        pseudonyms: makes the surrogates.
        advance: is told how many distinct texts are done.

    Returns:
        The frame, rows in order, and the counts by kind: every occurrence counts.
    """
    there = [frame[name] for name in columns if name in frame.columns]
    texts: dict[str, None] = {}

    def look(strings: pl.Series, _: pl.Series) -> pl.Series:
        texts.update(dict.fromkeys(piece for text in strings.drop_nulls().unique() for piece in _plain(text)))
        return strings

    for column in there:
        change_strings(column, _plan(look, column))
    marker = _Marker(second.spans(texts, advance), pseudonyms)
    new = [change_strings(column, _plan(marker.change, column)) for column in there]
    return Cleared(frame.with_columns(new), dict(sorted(marker.counts.items())))


def _plan(change: Change, column: pl.Series) -> Plan:
    if column.dtype == pl.String:
        return change
    return {"content": change, "name": change, "parts": change, "tool_calls": {"arguments": change}}


class _Marker:
    """Puts marks where finds are, and counts them."""

    def __init__(self, spans: Mapping[str, tuple[Span, ...]], pseudonyms: Pseudonyms) -> None:
        self.spans = spans
        self.pseudonyms = pseudonyms
        self.counts: Counter[str] = Counter()

    def change(self, strings: pl.Series, _: pl.Series) -> pl.Series:
        counted = Counter(strings.drop_nulls().to_list())
        new = {text: self.rewrite(text, n) for text, n in counted.items()}
        changed = {text: said for text, said in new.items() if said != text}
        return strings.replace(changed) if changed else strings

    def rewrite(self, text: str, n: int) -> str:
        """A text that occurs so many times; in one that is JSON, strings change and every other byte stays."""
        if not _is_json(text):
            return self._marked(text, n)
        strings = [value for value in json_text.values(text) if value.role == "string"]
        both = ((value, self.rewrite(value.text, n)) for value in strings)
        return json_text.with_values(text, [(value, new) for value, new in both if new != value.text])

    def _marked(self, text: str, n: int) -> str:
        done, at = [], 0
        for kind, start, end in self.spans.get(text, ()):
            self.counts[kind] += n
            surrogate = self.pseudonyms.surrogate(kind, _same(kind, text[start:end]))
            done += [text[at:start], mark(kind, surrogate)]
            at = end
        return "".join([*done, text[at:]])


def _same(kind: str, value: str) -> str:
    """One spelling for a value's many, so that they share a surrogate."""
    if kind in NAMES.values():
        return " ".join(value.split()).casefold()
    return "".join(char for char in value if char.isalnum()).upper()


def _plain(text: str) -> Iterator[str]:
    """A text itself, or the strings of the JSON that it is."""
    if not _is_json(text):
        yield text
        return
    for value in json_text.values(text):
        if value.role == "string":
            yield from _plain(value.text)


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[") and json_text.is_json(text)


def _pieces(text: str, model: str | None) -> Iterator[tuple[int, str]]:
    """A text in parts short enough, with where each begins; without a model, only parts that hold a digit."""
    for run in _PIECE.finditer(text):
        if model or _has_digit(run[0]):
            yield run.start(), run[0]


def _has_digit(text: str) -> bool:
    """Whether anything but names can be in it."""
    return re.search("[0-9]", MARKS.sub("", text)) is not None


def _apart(spans: list[Span], text: str) -> tuple[Span, ...]:
    """Finds without marks and without overlaps: two that overlap become one of the longer one's kind."""
    marks = [match.span() for match in MARKS.finditer(text)]
    done: list[Span] = []
    parts = [part for span in spans for part in _around(span, marks, text)]
    for span in sorted(parts, key=lambda part: (part.start, -part.end)):
        if done and span.start < done[-1].end:
            last = done.pop()
            kind = last.kind if last.end - last.start >= span.end - span.start else span.kind
            span = Span(kind, last.start, max(last.end, span.end))
        done.append(span)
    return tuple(done)


def _around(span: Span, marks: Sequence[tuple[int, int]], text: str) -> Iterator[Span]:
    """The parts of a find that lie outside marks and say something."""
    at = span.start
    for start, end in [*((s, e) for s, e in marks if s < span.end and e > span.start), (span.end, span.end)]:
        part = text[at : max(at, start)]
        bare = part.strip(" \t\r\n.,;:/()-'\"")
        if sum(char.isalnum() for char in bare) > 1:
            left = at + part.index(bare)
            yield Span(span.kind, left, left + len(bare))
        at = max(at, end)
