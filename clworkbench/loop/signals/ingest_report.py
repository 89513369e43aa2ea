"""What became of every record of an ingest, in all and file by file."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.signals.reading import Chunk, Detection, Fidelity
from clworkbench.signals.view import lacks_answer

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WORDS = ("new", "known", "skipped", "quarantined")


@dataclass(repr=False)
class Counts:
    """What became of records: `records` = `new` + `known` + `skipped` + `quarantined`.

    Attributes:
        source: the source's name; several, of an ingest of several.
        skipped_why: records left out on purpose, by reason.
        quarantined_why: records that could not be read, by reason.
        tables: rows added, by table.
        redacted: personal values replaced, by kind.
        batch_ids: the batches that were committed.
        lost: what could not be carried over in full, by its kind.
        places: where the first record stands that was quarantined, by reason.
        unanswered: interactions added that have no answer, and so are no signals.
    """

    source: str
    records: int = 0
    new: int = 0
    known: int = 0
    skipped: int = 0
    quarantined: int = 0
    skipped_why: Counter[str] = field(default_factory=Counter)
    quarantined_why: Counter[str] = field(default_factory=Counter)
    tables: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)
    batch_ids: list[str] = field(default_factory=list)
    lost: dict[str, Fidelity] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    unanswered: int = 0

    def __repr__(self) -> str:
        parts = ", ".join(f"{getattr(self, name):,} {name}" for name in WORDS)
        return f"{type(self).__name__}({self.source}: {self.records:,} records = {parts})"

    @property
    def fidelity(self) -> list[Fidelity]:
        """What could not be carried over in full, the most frequent first."""
        return sorted(self.lost.values(), key=lambda item: -item.count)

    def note(self, lost: Iterable[Fidelity]) -> None:
        """Adds to what could not be carried over in full."""
        for item in lost:
            before = self.lost.get(item.kind)
            self.lost[item.kind] = item if before is None else before._replace(count=before.count + item.count)

    def add(self, other: "Counts") -> None:
        """Adds what became of other records."""
        for name in ("records", *WORDS, "unanswered"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("skipped_why", "quarantined_why", "tables", "redacted"):
            getattr(self, name).update(getattr(other, name))
        self.batch_ids += other.batch_ids
        self.note(other.lost.values())
        self.places = other.places | self.places

    def add_chunk(self, chunk: Chunk, fresh: Mapping[str, pl.DataFrame]) -> None:
        """Adds a chunk of which the rows `fresh` were written; a record is new when any of its rows is."""
        new = {record for table in ("interactions", "feedback") if table in fresh for record in fresh[table]["record"]}
        left_out = sum(chunk.skipped.values()) + chunk.quarantine.height
        self.records += chunk.records
        self.new += len(new)
        self.known += chunk.records - len(new) - left_out
        self.skipped += sum(chunk.skipped.values())
        self.quarantined += chunk.quarantine.height
        self.skipped_why.update(chunk.skipped)
        left = chunk.quarantine.with_columns(pl.col("reason").str.replace(r" at byte \d+", ""))
        self.quarantined_why.update(left["reason"].to_list())
        for file, offset, reason in left.select("file", "offset", "reason").iter_rows():
            self.places.setdefault(reason, f"{file}, from {offset:,}")
        self.tables.update({table: rows.height for table, rows in fresh.items()})
        if "interactions" in fresh:
            self.unanswered += int(fresh["interactions"].select(lacks_answer().sum()).item())
        self.note(chunk.fidelity)

    def add_known(self, counted: Mapping[str, object]) -> None:
        """Adds a file, or its beginning, that was read before: all its records are known, but for what was left out."""
        records, skipped, quarantined = (int(str(counted[k])) for k in ("records", "skipped", "quarantined"))
        self.records += records
        self.skipped += skipped
        self.quarantined += quarantined
        self.known += records - skipped - quarantined
        for mine, theirs in ((self.skipped_why, "skipped_why"), (self.quarantined_why, "quarantined_why")):
            mine.update(counted[theirs])  # type: ignore[call-overload]
        self.note(Fidelity(**item) for item in counted["fidelity"])  # type: ignore[attr-defined]

    def as_dict(self) -> dict[str, object]:
        """The counts as plain values."""
        return {
            **{name: getattr(self, name) for name in ("source", "records", *WORDS)},
            **{name: dict(getattr(self, name)) for name in ("skipped_why", "quarantined_why", "tables", "redacted")},
            "batch_ids": self.batch_ids,
            "places": self.places,
            "unanswered": self.unanswered,
            "fidelity": [item._asdict() for item in self.fidelity],
        }


@dataclass(repr=False)
class FileReport(Counts):
    """What became of one file's records, and how it was read: its format, and why that one.

    Attributes:
        damage: why the rest of it could not be read, where that is so.
    """

    file: str = ""
    damage: str = ""
    detection: Detection = field(default_factory=lambda: Detection("", ""))

    def as_dict(self) -> dict[str, object]:
        """The counts, the file, its `format` and `why`."""
        how = {"file": self.file, "format": self.detection.format, "why": self.detection.reason}
        return how | super().as_dict()


@dataclass(repr=False)
class IngestReport(Counts):
    """What became of all records, and of each file's.

    Attributes:
        files: each file's own counts.
        left_out: files in a folder that are of no known format, and what was found in them.
        unmatched: new feedback rows whose target is not here (yet).
    """

    files: list[FileReport] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    unmatched: int = 0

    def _repr_html_(self) -> str:
        parts = " + ".join(f"{getattr(self, name):,} {name}" for name in WORDS)
        return f"<p>{self.records:,} records = {parts}</p>" + self._files_html() + self._why_html() + self._lost_html()

    def _names(self) -> list[str]:
        """The files' names, below the folder that they share."""
        paths = [Path(file.file).resolve() for file in self.files]
        shared = os.path.commonpath([path.parent for path in paths]) if paths else "."
        return [str(path.relative_to(shared)) for path in paths]

    def _files_html(self) -> str:
        rows = [
            (
                name,
                f.source,
                f.detection.format,
                f.detection.reason,
                *(getattr(f, word) for word in ("records", *WORDS)),
            )
            for name, f in zip(self._names(), self.files, strict=True)
        ]
        rows += [(Path(path).name, "", "left out", found, *[None] * 5) for path, found in self.left_out.items()]
        return html_table(("file", "source", "read as", "because it is", "records", *WORDS), rows)

    def _why_html(self) -> str:
        rows = [("skipped", n, why) for why, n in self.skipped_why.items()]
        first = {why: f"; first in {Path(place).name}" for why, place in self.places.items()}
        rows += [("quarantined", n, why + first.get(why, "")) for why, n in self.quarantined_why.items()]
        rows += [("redacted", n, kind) for kind, n in self.redacted.items()]
        rows += [("no answer", self.unanswered, "interactions that are no signals")] if self.unanswered else []
        rows += [("unmatched", self.unmatched, "feedback about what is not here")] if self.unmatched else []
        return html_table(("left aside or replaced", "n", "what"), rows) if rows else ""

    def _lost_html(self) -> str:
        """What could not be carried over in full, file by file."""
        rows = [
            (name, item.count, item.kind, item.example)
            for name, file in zip(self._names(), self.files, strict=True)
            for item in file.fidelity
        ]
        return (
            html_table(("fidelity: file", "n", "what could not be carried over in full", "e.g."), rows) if rows else ""
        )

    def plot(self) -> "Figure":
        """A bar for each file: how many of its records are new, known, skipped and quarantined."""
        from clworkbench.display.figures import parts_figure

        counts = [{word: getattr(file, word) for word in WORDS} for file in self.files]
        frame = pl.DataFrame(counts).insert_column(0, pl.Series("file", self._names()))
        return parts_figure(frame, "file", title=f"What became of {self.records:,} records")

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw ingest --json`."""
        files = [{k: v for k, v in file.as_dict().items() if k not in ("batch_ids", "places")} for file in self.files]
        return super().as_dict() | {"unmatched": self.unmatched, "left_out": self.left_out, "files": files}
