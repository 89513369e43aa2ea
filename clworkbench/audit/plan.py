"""The plan of a forget: what goes, what is made again, what learned from it, and what is left to its owner."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from clworkbench.audit import verify
from clworkbench.audit.annotators import at_annotators, out_of_reach
from clworkbench.audit.asked import Asked
from clworkbench.audit.derived import Derived, derived
from clworkbench.audit.gone import Gone
from clworkbench.audit.scope import Scope, scope
from clworkbench.audit.tainted import Tainted, tainted
from clworkbench.display.html import html_table
from clworkbench.labels.server.erasing import Standing
from clworkbench.policy.redaction import redact
from clworkbench.schemas import TABLES
from clworkbench.workspace import Workspace, erasing
from clworkbench.workspace.catalog import micros
from clworkbench.workspace.tombstones import Tombstone, place_id

Left = dict[str, object]
"""`path` and `why` of a file that a forget must not touch; `source` and `sha256` of an export."""

PURGED = 1
"""Marks tombstones that stand only while the forget runs: for what is too old, its date is enough afterwards."""


@dataclass(frozen=True, repr=False)
class Plan:
    """What a forget does.

    Attributes:
        asked: what was asked.
        scope: the rows.
        gone: their ids.
        rows: how many that count go, by table.
        total: how many there are, by table.
        derived: what was made of them.
        annotators: what of them stands in the annotators' server.
        tainted: what learned from them.
        champion: the model that serves, and whether it is among these.
        left: what stays, for it is its owner's.
        exports: `source` and hash of the files that brought the rows.
    """

    asked: Asked
    scope: Scope
    gone: Gone
    rows: dict[str, int]
    total: dict[str, int]
    derived: Derived
    annotators: Standing
    tainted: list[Tainted]
    champion: dict[str, object]
    left: list[Left] = field(default_factory=list)
    exports: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing goes."""
        return self.scope.is_empty and self.annotators.is_nothing

    @property
    def removed(self) -> dict[str, int]:
        """How many files and records go, by kind."""
        return self.derived.cleared() | self.annotators.counts()

    @property
    def is_all(self) -> bool:
        """Whether no interaction would be left."""
        return 0 < self.rows["interactions"] == self.total["interactions"]

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw forget --dry-run --json`."""
        return {
            "certificate": None,
            "rows": self.rows,
            "rebuilt": [{"from": name, "to": None, "rows": n} for name, (n, _) in self.derived.sets.items()],
            "removed": self.removed,
            "files": self.derived.files(),
            "tainted": self.tainted,
            "champion": self.champion,
            "left": self.left,
        }

    def __repr__(self) -> str:
        sets = f", {len(self.derived.sets)} sets made again" if self.derived.sets else ""
        return f"Plan(forgets {self.rows['interactions']:,} of {self.total['interactions']:,} interactions{sets})"

    def _repr_html_(self) -> str:
        rows = [(f"{table} (rows)", f"{n:,} of {self.total[table]:,}") for table, n in self.rows.items() if n]
        rows += [("made again", f"{name}, without {n:,} rows") for name, (n, _) in self.derived.sets.items()]
        rows += [(f"{kind} at the annotators'", f"{n:,}") for kind, n in self.annotators.counts().items() if n]
        if self.derived.model_answers:
            rows.append(("models' answers (kept)", f"{self.derived.model_answers:,}"))
        rows += [("removed, or cut", path) for path in self.derived.files()]
        rows += [("not unlearned", str(each["id"])) for each in self.tainted]
        rows += [("left to you", f"{each['path']}: {each['why']}") for each in self.left]
        return html_table(("would be forgotten", ""), rows or [("nothing", "no row matches")])


def plan(workspace: Workspace, asked: Asked) -> Plan:
    """Finds out what a forget would do; nothing is changed.

    Raises:
        ForgetError: an id that several sources have.
        ExpressionError: the expression cannot be read, or fails on these rows.
    """
    found = scope(workspace, asked)
    gone = gone_of(workspace, found, asked)
    came_in = _batches(workspace, gone)
    batches = [batch for batch in workspace.catalog.batches() if batch.batch_id in came_in]
    exports = sorted({(str(b.source), str(b.detail["sha256"])) for b in batches if "sha256" in b.detail})
    since = min((batch.committed_at.isoformat() for batch in batches), default=None)
    made = derived(workspace, gone, since)
    rows = {
        table: counting(workspace, table, frame) if frame is not None else 0
        for table, frame in erased(gone, made.examples).items()
    }
    learned = tainted(workspace, made.sets)
    history = workspace.catalog.champions()
    champion = history[-1][0] if history else None
    return Plan(
        asked=asked,
        scope=found,
        gone=gone,
        rows=rows,
        total=workspace.counts(),
        derived=made,
        annotators=at_annotators(workspace, made.cards, gone),
        tainted=learned,
        champion={"model": champion, "tainted": champion in {each["id"] for each in learned}},
        left=[
            *_exports(workspace, exports),
            *_others(workspace, gone, made),
            *out_of_reach(workspace, [*made.cards, *gone.interactions], gone),
        ],
        exports=exports,
    )


def gone_of(workspace: Workspace, found: Scope, asked: Asked) -> Gone:
    """The ids of what goes."""
    secret, names = workspace.pseudonyms, asked.values if asked.by == "user" else ()
    redacted = redact(pl.DataFrame({"conversation_id": names}, schema={"conversation_id": pl.String}), secret).frame
    aliases = tuple(secret.user(name) for name in redacted["conversation_id"])
    interactions = found.interactions["interaction_id"].unique().sort()
    return Gone(interactions, found.feedback, found.labels, found.users, secret, aliases)


def _batches(workspace: Workspace, gone: Gone) -> set[str]:
    """The batches that brought what goes."""
    found: set[str] = set()
    for table, ids in (("interactions", gone.interactions), ("feedback", gone.feedback), ("labels", gone.labels)):
        wanted = ids.to_frame(f"{table.removesuffix('s')}_id")
        found |= {*erasing.standing(workspace.folder / "tables" / table, wanted, "batch_id")["batch_id"]}
    return found


def erased(gone: Gone, examples: dict[str, list[str]]) -> dict[str, pl.DataFrame | None]:
    """By table, the rows to be taken out, by the columns that say which.

    Interactions come first: who reads meanwhile sees none of what was said about those that are gone.
    """
    scores = [(suite, example) for suite, ids in examples.items() for example in ids]
    schema = {"suite": pl.String, "example_id": pl.String}
    frames = {
        "interactions": gone.interactions.to_frame("interaction_id"),
        "feedback": gone.feedback.to_frame("feedback_id"),
        "labels": gone.labels.to_frame("label_id"),
        "candidates": gone.interactions.to_frame("interaction_id"),
        "asked": gone.interactions.to_frame("interaction_id"),
        "scores": pl.DataFrame(scores, schema=schema, orient="row"),
    }
    return {table: frames.get(table) for table in (*frames, *(name for name in TABLES if name not in frames))}


def tombstones(workspace: Workspace, found: Scope, asked: Asked) -> Iterator[Tombstone]:
    """What keeps an export from bringing it back."""
    at, secret = micros(asked.at), workspace.pseudonyms
    if asked.before is None:
        yield from (Tombstone("interaction", own) for own in found.interactions["interaction_id"].unique())
        yield from (Tombstone("feedback", own) for own in found.feedback)
        yield from (Tombstone("label", own) for own in found.labels)
        yield from (Tombstone("user", key, at) for key in found.users)
        places = {"trace": found.traces}
        if asked.by != "where":
            places["conversation"] = found.conversations
        for kind, emptied in places.items():
            for source, own in emptied.iter_rows():
                yield Tombstone(kind, place_id(secret, kind, source, own), at)
    else:
        yield Tombstone("before", secret.id("forgotten before"), micros(asked.before))
        yield from _of_age(workspace, found, asked)


def _of_age(workspace: Workspace, found: Scope, asked: Asked) -> Iterator[Tombstone]:
    """For what is too old by its own date that date is enough; the others (undated, or on such a row) need their id."""
    kinds = {
        "interactions": ("interaction", found.interactions["interaction_id"], "started_at"),
        "feedback": ("feedback", found.feedback, "at"),
        "labels": ("label", found.labels, "at"),
    }
    for table, (kind, ids, date) in kinds.items():
        name = f"{kind}_id"
        rows = erasing.standing(workspace.folder / "tables" / table, ids.to_frame(name), date)
        dated = rows.group_by(name).agg((pl.col(date) < asked.before).fill_null(value=False).all())
        yield from (Tombstone(kind, own, PURGED if old else None) for own, old in dated.iter_rows())


def counting(workspace: Workspace, table: str, gone: pl.DataFrame, as_of: datetime | None = None) -> int:
    """How many rows that count (counted by `as_of`) are among those that go."""
    rows = erasing.standing(workspace.folder / "tables" / table, gone, "batch_id")
    return rows.join(workspace.catalog.committed(as_of), on="batch_id", how="semi").height


def _exports(workspace: Workspace, exports: Iterable[tuple[str, str]]) -> Iterator[Left]:
    """The files that brought the rows, where they still are."""
    for source, sha256 in exports:
        for (path,) in workspace.catalog.query(
            "select path from files where source = ? and sha256 = ?", source, sha256
        ):
            if Path(str(path)).exists():
                yield {
                    "path": str(path),
                    "source": source,
                    "sha256": sha256,
                    "why": "an export that brought such rows. Delete it where you may; reading it brings nothing back.",
                }


def _others(workspace: Workspace, gone: Gone, made: Derived) -> Iterator[Left]:
    """Files in the workspace that are not ours, or not yet read, and may hold such rows."""
    for path in verify.naming(workspace, gone, {*made.sheets, *made.pages}, ours=False):
        yield verify.left(workspace, path)
    for manifest in (workspace.catalog.artefact(name) or {} for name in made.sets):
        if (file := manifest.get("file")) and (workspace.folder / str(file)).exists():
            yield {"path": str(file), "why": f"{manifest['id']} was frozen from it. Delete the examples in it."}
    spool = workspace.folder / "spool"
    if any(path.stat().st_size for path in spool.glob("*.log")):
        yield {"path": "spool", "why": "logs wait there. `clw capture` reads them; what was forgotten stays out."}
    if any((spool / "unread").glob("*")):
        yield {"path": "spool/unread", "why": "lines that could not be read. Look into them, then delete them."}
    if (workspace.folder / "simulation").exists():
        yield {"path": "simulation", "why": "the demo's own tickets, made up. Delete the folder to be rid of them."}
