"""Answers that models gave, kept by what was asked: what is asked again unchanged costs nothing. May be deleted."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from clworkbench.errors import ArtefactError
from clworkbench.files import told_when_full
from clworkbench.workspace.erasing import vacuum_catalog

PLACE = ("cache", "answers.db")

AT_ONCE = 500
"""Values in one statement."""

SCHEMA = """
create table if not exists answers (
    model text not null, prompt text not null, repetition integer not null, example_id text not null,
    answer blob not null, primary key (model, prompt, repetition)) without rowid
"""


class Kept(NamedTuple):
    """One answer: of which model and settings, to what, and for which example it was asked first."""

    model: str
    prompt: str
    repetition: int
    example_id: str
    answer: dict[str, object]


class Answers:
    """The answers of one workspace, in a file of their own.

    It holds texts of models, redacted as the tables are; `forget` takes out those of examples that go.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder.joinpath(*PLACE)

    def known(self, model: str, prompts: Iterable[str]) -> dict[tuple[str, int], dict[str, object]]:
        """The answers to these prompts, by prompt and repetition."""
        if not self.path.is_file():
            return {}
        found: dict[tuple[str, int], dict[str, object]] = {}
        with self._open() as db:
            for some in _in_pieces(prompts):
                sql = f"select prompt, repetition, answer from answers where model = ? and prompt in ({_marks(some)})"
                for prompt, repetition, answer in db.execute(sql, (model, *some)):
                    found[prompt, repetition] = msgspec.json.decode(answer)
        return found

    def keep(self, rows: Sequence[Kept]) -> None:
        """Adds answers, all or none; those that are there stay.

        Raises:
            ArtefactError: the disk is full.
        """
        if not rows:
            return
        with told_when_full("answers", self.path.parent):
            self.path.parent.mkdir(exist_ok=True)
            (self.path.parent / ".gitignore").write_text("*\n")
            with self._open() as db:
                values = [(*row[:4], msgspec.json.encode(row.answer)) for row in rows]
                db.executemany("insert or ignore into answers values (?, ?, ?, ?, ?)", values)

    def count(self, examples: Iterable[str]) -> int:
        """How many answers `forget` would take out."""
        if not self.path.is_file():
            return 0
        with self._open() as db:
            found = (
                db.execute(f"select count(*) from answers where example_id in ({_marks(some)})", some).fetchone()[0]
                for some in _in_pieces(examples)
            )
            return sum(map(int, found))

    def forget(self, examples: Iterable[str]) -> int:
        """Takes out the answers that were given to examples, off the disk as well; returns how many."""
        if not self.path.is_file():
            return 0
        with self._open() as db:
            count = sum(
                db.execute(f"delete from answers where example_id in ({_marks(some)})", some).rowcount
                for some in _in_pieces(examples)
            )
        # Also when none is found: a killed forget may have deleted them, and not cleared the file's free pages.
        vacuum_catalog(self.path)
        return count

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30)) as db, _told_when_broken(self.path), db:
            db.execute("pragma secure_delete = on")
            db.execute(SCHEMA)
            yield db


@contextmanager
def _told_when_broken(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        # Other words (busy, no room) are told elsewhere; these it also has for a quota that is used up.
        if not any(words in str(error) for words in ("disk I/O error", "readonly", "unable to open")):
            raise
        raise ArtefactError(
            f"{path}: cannot be read or written ({error}). What was kept stays.\n"
            "Look at the room on that disk and at your rights there, then run the same command again."
        ) from error
    except sqlite3.DatabaseError as error:
        raise ArtefactError(
            f"{path}: not a file of answers that can be read ({error}).\n"
            "Delete it: only answers are lost that models can give again; scores stay."
        ) from error


def _in_pieces(values: Iterable[str]) -> Iterator[list[str]]:
    each = list(dict.fromkeys(values))
    return (each[at : at + AT_ONCE] for at in range(0, len(each), AT_ONCE))


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))
