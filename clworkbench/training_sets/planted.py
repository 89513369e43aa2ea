"""A proof that can fail: a leak of each kind is planted among rows that are clean, and has to be found."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import SUITE, TRAINING_ROWS
from clworkbench.training_sets.holdout import as_examples
from clworkbench.training_sets.leakage import LEAKS, leaks
from clworkbench.training_sets.pieces import QUOTED_WORDS, questions
from clworkbench.training_sets.proof import CLOSELY, SAMPLE_OWN, SAMPLE_ROWS, Found, search

CLEAN = "clean"
"""The planted row that shows nothing, and must not be found."""

OWN = "The parcel that I sent to my sister last week came back to me today, and nobody can tell me why that happened."
"""Asked where no example is long enough to change one word of it."""

AT = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = datetime(2025, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Proved:
    """What the search for leaks came to.

    Attributes:
        examples: of suites, that all rows were held against.
        holdout_rows: of the set itself, that its training rows were held against.
        rows: of the set, that were looked at.
        cut: training rows are from before it; None where nothing is held out by time.
        found: what still leaks.
        missed: planted leaks that were not found, as `kind by whom`; empty when the search can be believed.
    """

    examples: int
    holdout_rows: int
    cut: datetime | None
    found: tuple[Found, ...]
    missed: tuple[str, ...]
    rows: int = 0

    @property
    def ok(self) -> bool:
        """Nothing leaks, and what was planted was found."""
        return not self.found and not self.missed

    def as_dict(self) -> dict[str, object]:
        """What the manifest keeps."""
        kinds = [found.kind for found in self.found]
        return {
            "examples": self.examples,
            "holdout_rows": self.holdout_rows,
            "cut": self.cut.isoformat() if self.cut else None,
            "rows": self.rows,
            "looked_at_closely": {
                "kinds": list(CLOSELY),
                "rows": min(self.rows, SAMPLE_ROWS),
                "holdout_rows": min(self.holdout_rows, SAMPLE_OWN),
            },
            "found": len({found.row_id for found in self.found}),
            "checked": {kind: kinds.count(kind) for kind in LEAKS},
            "planted": {kind: not any(who.startswith(f"{kind} ") for who in self.missed) for kind in (*LEAKS, CLEAN)},
        }

    def __str__(self) -> str:
        """What is wrong, with the first rows; nothing where all is well."""
        first = [
            f"row {found.row_id} shows {found.example_id or 'its time'} ({found.kind})" for found in self.found[:3]
        ]
        more = [f"and {len(self.found) - 3:,} more"] if len(self.found) > 3 else []
        wrong = [f"a planted leak was not told from clean rows: {', '.join(self.missed)}"] if self.missed else []
        return "; ".join([*first, *more, *wrong])


def proved(
    rows: pl.DataFrame, examples: pl.DataFrame, pseudonyms: Pseudonyms, *, cut: datetime | None = None
) -> Proved:
    """Holds a set against the suites and against its own held-out rows, and plants leaks to see that it can fail.

    Args:
        rows: all rows of a training set of any kind.
        examples: all examples of suites (schema `SUITE`).
        pseudonyms: makes the keys of users.
        cut: from when on all is held out.
    """
    own = as_examples(rows)
    found = search(rows, examples, cut=cut, pseudonyms=pseudonyms, own=own)
    missed = planted(pl.concat([examples, own]), pseudonyms)
    return Proved(examples.height, own.height, cut, tuple(found), tuple(missed), rows.height)


def planted(examples: pl.DataFrame, pseudonyms: Pseudonyms) -> list[str]:
    """Plants a leak of each kind, made of an example, beside a clean row, and searches.

    Returns:
        What is wrong, as `kind by leaks` or `kind by proof`: planted leaks that were missed, and the clean row where
        it was found. Empty when both searches tell all of them apart.
    """
    question, near = next(_changed(questions(examples).drop_nulls()))
    said = {
        "leak_exact": question,
        "leak_normalised": f"¿{question.title()}?!",
        "leak_near_duplicate": near,
        "leak_quoted": f"Somebody else once wrote to us: {question}, and then went away.",
        "leak_group": "Something quite different",
        "leak_later": "Another matter altogether",
        CLEAN: "Nothing of that",
    }
    example = {"example_id": "planted", "input": [_said("user", question)], "group": "a planted group"}
    held = pl.DataFrame([example], schema=SUITE)
    rows = pl.DataFrame([_row(kind, text) for kind, text in said.items()], schema=TRAINING_ROWS["sft"])
    named = dict(zip(rows["row_id"], leaks(rows, held, pseudonyms, cut=AT), strict=True))
    proofs = {(found.row_id, found.kind) for found in search(rows, held, cut=AT, pseudonyms=pseudonyms)}
    missed = [f"{kind} by leaks" for kind in LEAKS if named[kind] != kind]
    missed += [f"{kind} by proof" for kind in LEAKS if (kind, kind) not in proofs]
    missed += [f"{CLEAN} by leaks"] if named[CLEAN] is not None else []
    return missed + ([f"{CLEAN} by proof"] if any(row == CLEAN for row, _ in proofs) else [])


def _changed(asked: pl.Series) -> Iterator[tuple[str, str]]:
    """Questions in which a word can be changed so that they stay nearly the same, each with itself so changed."""
    lengths = asked.str.len_chars().is_between(100, 2_000) & (asked.str.count_matches(" ") >= QUOTED_WORDS)
    for question in [*asked.filter(lengths).head(20), OWN.lower().replace(",", "").rstrip(".")]:
        words = question.split()
        short = [place for place, word in enumerate(words) if word.isascii() and word.isalpha() and len(word) <= 4]
        for place in short[len(short) // 2 :][:1]:
            yield question, " ".join([*words[:place], "x" + words[place][1:] + "q", *words[place + 1 :]])


def _row(kind: str, text: str) -> dict[str, object]:
    talk = [_said("user", text)]
    if kind == "leak_quoted":
        talk = [_said("user", "What did they say?"), _said("assistant", text), _said("user", "I see.")]
    group, at = ("a planted group" if kind == "leak_group" else kind), (AT if kind == "leak_later" else BEFORE)
    return {"row_id": kind, "prompt": talk, "completion": [_said("assistant", "Yes.")], "group": group, "at": at} | {
        "split": "train",
        "signal_ids": [],
    }


def _said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}
