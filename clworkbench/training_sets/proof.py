"""The proof that nothing leaks: held-out texts looked for in plain Python, without the code that dropped them."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from math import ceil
from typing import NamedTuple

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.training_sets.leakage import LEAKS
from clworkbench.training_sets.pieces import (
    ANSWERS,
    COMMON,
    COMMON_LEAST,
    NEAR,
    QUOTED_WORDS,
    TELLING_CHARS,
    TELLING_WORDS,
    prompted,
)

Talk = Sequence[Mapping[str, str | None]]
_Anchored = dict[str, list[tuple[str, str | None]]]
"""Phrases and their examples, by one of each phrase's words."""

WORD = re.compile(r"[^\W_]+")
NUMBER = re.compile(r"\d+")
SAMPLE_ROWS, SAMPLE_OWN = 100_000, 2_000
"""So many rows are looked at closely (what 1 row of 10,000 shows is then met with a probability of 0.99995), and held
against so many of their own holdout."""

CLOSELY = ("leak_near_duplicate", "leak_quoted")
"""The kinds that are looked for in that sample; all others are in all rows."""

RUN = 5
"""Characters of the runs by which near-duplicates are compared."""


class Found(NamedTuple):
    """A row that shows what is held out: which one, of which example, and how (one of `LEAKS`)."""

    row_id: str
    example_id: str | None
    kind: str


def search(
    rows: pl.DataFrame,
    examples: pl.DataFrame,
    *,
    cut: datetime | None = None,
    pseudonyms: Pseudonyms | None = None,
    own: pl.DataFrame | None = None,
) -> list[Found]:
    """All that still leaks, looked for by other means than `leakage.leaks`, which says what each kind means.

    Plain Python over words, sets and strings; what finds leaks and what proves that none is left share their limits and
    no code. It takes time in proportion to the letters of the rows: 100,000 short rows and 2,000 examples some 6 CPU
    seconds. In larger sets, near-duplicates and quotes are looked for in the first `SAMPLE_ROWS` rows by id (ids are
    keyed hashes: a random sample), and of `own` in the first `SAMPLE_OWN`; all else in all rows, of all examples.

    Args:
        rows: training rows of any kind of set.
        examples: rows of suites.
        cut: rows of the split `train` (all, where there is no split) must be from before it.
        pseudonyms: makes keys of the groups that name users.
        own: the set's own held-out rows as examples; only rows of the split `train` are held against them.

    Returns:
        One for each row and kind of leak, with the first example that was met; in the order of the rows by id.
    """
    held, rows = _Held(examples, pseudonyms), prompted(rows).sort("row_id", maintain_order=True)
    theirs = None if own is None or own.is_empty() else _Held(own.sort("example_id"), None, most=SAMPLE_OWN)
    answers = [name for name in ANSWERS if name in rows.columns]
    message = pl.element().struct
    told = pl.struct(role=message.field("role"), content=message.field("content"))
    slim = rows.select(name for name in (*_NAMED, *answers) if name in rows.columns)
    slim = slim.with_columns(pl.col("prompt", *answers).list.eval(told))
    found = []
    for number, row in enumerate(slim.iter_rows(named=True)):
        learned = row.get("split", "train") == "train"
        kinds: dict[str, str | None] = {}
        for side in (held, theirs if learned else None):
            if side is not None:
                kinds = side.shown_by(row, [row[name] for name in answers], closely=number < SAMPLE_ROWS) | kinds
        if cut is not None and learned and (row["at"] is None or row["at"] >= cut):
            kinds["leak_later"] = None
        found += [Found(row["row_id"], kinds[kind], kind) for kind in LEAKS if kind in kinds]
    return found


_NAMED = ("row_id", "prompt", "group", "signal_ids", "at", "split")


class _Held:
    """What examples would give away, by what it is looked for with."""

    def __init__(self, examples: pl.DataFrame, pseudonyms: Pseudonyms | None, *, most: int | None = None) -> None:
        self.raw: dict[str, str | None] = {}
        self.said: dict[str, str | None] = {}
        self.questions: dict[str, str | None] = {}
        self.requests: dict[str, str | None] = {}
        self.phrases: _Anchored = defaultdict(list)
        self.answers: _Anchored = defaultdict(list)
        self.kin: dict[str, str | None] = {}
        self.seen: dict[str, str | None] = {}
        expects: dict[str, dict[str | None, str | None]] = defaultdict(dict)
        for example in examples.iter_rows(named=True):
            name = example.get("example_id")
            question = self._hold(example["input"], name)
            expects[_plain(example.get("expected"))].setdefault(question, name)
            for own in (example.get("group"), *(example.get("signal_ids") or ())):
                if own is not None:
                    self.kin.setdefault(own, name)
            if example.get("group") is not None and pseudonyms is not None:
                self.kin.setdefault(pseudonyms.user(example["group"]), name)
        some = islice(self.questions.items(), most)
        _anchor(self.phrases, {text: own for text, own in some if _n(text) >= QUOTED_WORDS})
        lone = {text: next(iter(by.values())) for text, by in expects.items() if len(by) == 1}
        _anchor(self.answers, {text: own for text, own in lone.items() if _n(text) >= QUOTED_WORDS})
        self.questions = {text: own for text, own in self.questions.items() if _tells(text)}
        self.requests = dict(islice(self.requests.items(), most))
        self._spell()

    def _hold(self, talk: Talk, name: str | None) -> str | None:
        """Takes in what an example asks; returns its last question."""
        users = [said["content"] for said in talk or () if said["role"] == "user" and said["content"] is not None]
        self.raw.setdefault(_whole(talk), name)
        self.said.setdefault(_plain(_whole(talk)), name)
        for text in {_plain(users[-1]), _plain("\n".join(users))} if users else ():
            if len(text) >= TELLING_CHARS:
                self.requests.setdefault(text, name)
        if not users:
            return None
        self.questions.setdefault(_plain(users[-1]), name)
        return _plain(users[-1])

    def _spell(self) -> None:
        """The runs of letters of all requests but those of a template, and which requests have each."""
        runs = {text: _runs(text) for text in self.requests}
        often = Counter(run for own in runs.values() for run in own)
        least = max(COMMON_LEAST, int(COMMON * len(runs)) + 1)
        self.template = {run for run, n in often.items() if n >= least}
        self.runs = {text: (own, own - self.template) for text, own in runs.items()}
        self.having: dict[str, list[str]] = defaultdict(list)
        for text, (_, own) in self.runs.items():
            for run in own:
                self.having[run].append(text)
        self.n_having = {run: len(texts) for run, texts in self.having.items()}

    def shown_by(self, row: Mapping[str, object], answers: Sequence[Talk], *, closely: bool) -> dict[str, str | None]:
        """What a row gives away: kinds, each with an example."""
        prompt: Talk = row["prompt"] or ()  # type: ignore[assignment]
        kinds = self._kin_of(row)
        if (whole := _plain(_whole(prompt))) and whole in self.said:
            kinds["leak_exact" if _whole(prompt) in self.raw else "leak_normalised"] = self.said[whole]
        users = [said["content"] for said in prompt if said["role"] == "user" and said["content"] is not None]
        answered = [said for talk in answers for said in talk or ()]
        later = [said["content"] for said in answered if said["role"] == "user" and said["content"] is not None]
        for text in (*users, *later):
            if (plain := _plain(text)) in self.questions:
                kinds["leak_normalised"] = self.questions[plain]
        if not closely:
            return kinds
        for text in {*users, *later, "\n".join(users)}:
            if (like := self._nearest(text)) is not None:
                kinds["leak_near_duplicate"] = self.requests[like]
        for said in prompt:
            kinds |= self._quoted(said["content"], (self.phrases, self.answers))
        for said in answered:
            kinds |= self._quoted(said["content"], (self.phrases,))
        return kinds

    def _kin_of(self, row: Mapping[str, object]) -> dict[str, str | None]:
        """What a row's conversation, user or signals have in common with an example."""
        ids = row.get("signal_ids")
        own = [row.get("group"), *(ids if isinstance(ids, list) else ())]
        return next(({"leak_group": self.kin[str(one)]} for one in own if one in self.kin), {})

    def _nearest(self, text: str) -> str | None:
        if text not in self.seen:
            self.seen[text] = next(self._like(_plain(text)), None)
        return self.seen[text]

    def _like(self, plain: str) -> Iterator[str]:
        """The requests that are nearly this text: of its runs, more must be theirs than may be missing."""
        runs = _runs(plain)
        own = runs - self.template
        theirs = own & self.having.keys()
        spare = len(own) - ceil(NEAR * len(own) - 1e-9) + 1 - (len(own) - len(theirs))
        if spare <= 0:
            return
        rarest = sorted(theirs, key=self.n_having.__getitem__)[:spare]
        tried = {text for run in rarest for text in self.having[run]}
        for text in tried:
            whole, particular = self.runs[text]
            alike = _alike(particular, own) and _alike(whole, runs)
            if alike and sorted(NUMBER.findall(text)) == sorted(NUMBER.findall(plain)):
                yield text

    def _quoted(self, text: str | None, places: Sequence[_Anchored]) -> dict[str, str | None]:
        if not text or not any(places):
            return {}
        framed = f" {_plain(text)} "
        words = set(framed.split())
        for place in places:
            for word in words & place.keys():
                for phrase, example in place[word]:
                    if phrase in framed:
                        return {"leak_quoted": example}
        return {}


def _anchor(place: _Anchored, phrases: Mapping[str, str | None]) -> None:
    """Puts each phrase under the one of its words that fewest of them have."""
    often = Counter(word for phrase in phrases for word in set(phrase.split()))
    for phrase, example in phrases.items():
        place[min(phrase.split(), key=lambda word: (often[word], -len(word)))].append((f" {phrase} ", example))


def _whole(talk: Talk) -> str:
    said = (message["content"] for message in talk or () if message["role"] != "system")
    return "\n".join(text for text in said if text is not None)


@lru_cache(1_000)
def _plain(text: str | None) -> str:
    return " ".join(WORD.findall(unicodedata.normalize("NFKC", text or "").lower()))


def _n(plain: str) -> int:
    return len(plain.split())


def _tells(plain: str) -> bool:
    return _n(plain) >= TELLING_WORDS or len(plain) >= TELLING_CHARS


def _runs(plain: str) -> set[str]:
    framed = f" {plain} ".ljust(RUN)
    return {framed[place : place + RUN] for place in range(len(framed) - RUN + 1)}


def _alike(one: set[str], other: set[str]) -> bool:
    shared = len(one & other)
    return shared > 0 and shared / (len(one) + len(other) - shared) >= NEAR
