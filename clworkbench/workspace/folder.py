"""The workspace as a folder: opening it, reading what counts, writing what shall count."""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from clworkbench.errors import ArtefactError, LeaseError, WorkspaceError
from clworkbench.files import told_when_full, write_atomically
from clworkbench.labels.latest import latest, one_each
from clworkbench.policy.pseudonyms import Pseudonyms
from clworkbench.schemas import KEYS, in_suite
from clworkbench.settings import ExclusionRule, Settings, load_settings, settings_dict, template
from clworkbench.signals import view
from clworkbench.workspace import artefacts, leases, tombstones
from clworkbench.workspace.catalog import Catalog, as_moment, now
from clworkbench.workspace.delta_log import told_when_broken
from clworkbench.workspace.key import load_key, make_key
from clworkbench.workspace.known import HALVES, KnownRows
from clworkbench.workspace.tables import Tables

FOLDERS = {
    "training_set": "training_sets",
    "suite": "suites",
    "run": "runs",
    "eval": "evals",
    "gate": "gates",
    "release": "releases",
    "withdrawal": "withdrawals",
    "judge": "judges",
}

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}"
"""What an artefact may be called: it becomes part of a folder's name."""

PUBLISH_WAIT_S = 60.0
"""How long a set or a suite that is to be published waits for a forget, or for another one."""

UNFIT = frozenset("%[]")
"""Characters that deltalake 1.6 takes for parts of an address."""

GITIGNORE = """\
# Data, texts and the catalog stay out of git; clw.toml goes in.
catalog.db*
tables/
training_sets/
suites/
runs/
evals/
gates/
releases/
withdrawals/
judges/
records/
spool/
argilla/
"""


class Workspace:
    """A workspace folder. Only committed batches and sealed artefacts are ever shown.

    Raises:
        WorkspaceError: the folder is no workspace, is of another version, or its key is missing or another's.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        if not (self.folder / "catalog.db").is_file():
            raise WorkspaceError(
                f"{self.folder}: no workspace here (no catalog.db).\n"
                f"Make one with `clw init {folder}`, or name another with --workspace DIR or CLW_WORKSPACE."
            )
        self.catalog = Catalog.open(self.folder / "catalog.db")
        self.tables = Tables(self.folder / "tables")
        self._stones: tuple[tuple[object, ...], tombstones.Tombstones] | None = None

    def __repr__(self) -> str:
        return f"Workspace({str(self.folder)!r})"

    @classmethod
    def create(cls, folder: str | Path, *, settings: str | None = None, key: bytes | None = None) -> "Workspace":
        """Makes a workspace; `settings` is the text of `clw.toml` (a commented template when None).

        An existing `clw.toml` or `.gitignore` is kept as it is.
        """
        folder = Path(folder)
        if unfit := UNFIT & set(str(folder.resolve())):
            raise WorkspaceError(
                f"{folder}: a workspace's path cannot hold {' or '.join(sorted(unfit))}.\n"
                "Delta Lake would read an address. Choose another folder; blanks and letters of any alphabet are fine."
            )
        if (folder / "catalog.db").exists():
            raise WorkspaceError(
                f"{folder}: a workspace is there already. See it with `clw status --workspace {folder}`."
            )
        with told_when_full("the workspace", folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in {"clw.toml": settings or template(), ".gitignore": GITIGNORE}.items():
                if not (folder / name).exists():
                    write_atomically(folder / name, text)
            Tables(folder / "tables").create()
            workspace_id = secrets.token_hex(8)
            pseudonyms = make_key(workspace_id, key)
            partial = folder / f".catalog.{os.getpid()}.partial"
            meta = {"workspace_id": workspace_id, "key_fingerprint": pseudonyms.fingerprint}
            Catalog.create(partial, meta).close()
            partial.replace(folder / "catalog.db")
        return cls(folder)

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """The workspace's key at work."""
        return load_key(str(self.catalog.meta("workspace_id")), str(self.catalog.meta("key_fingerprint")))

    @property
    def settings(self) -> Settings:
        """What `clw.toml` says now."""
        return load_settings(self.folder / "clw.toml")

    @property
    def policy_sha256(self) -> str:
        """The hash of `[policy]` as it stands now; each artefact names the one it was made under."""
        return artefacts.sha256_json(settings_dict(self.settings.policy))

    @property
    def ingest_rules(self) -> tuple[ExclusionRule, ...]:
        """The exclusion rules that keep records out of the tables."""
        return tuple(rule for rule in self.settings.policy.exclude if rule.at == "ingest")

    def refused(self, ids: Iterable[str]) -> set[str]:
        """Those among these interactions that the present rules kept out of the tables; what others did is lifted."""
        return self.catalog.refused(ids, self._ingest_rules_id())

    def refuse(self, ids: Iterable[str]) -> None:
        """Notes interactions that the present rules kept out of the tables."""
        self.catalog.refuse(ids, self._ingest_rules_id())

    def _ingest_rules_id(self) -> str:
        return stable_id("refused", [settings_dict(rule) for rule in self.ingest_rules])

    @contextmanager
    def lease(self, name: str, verb: str, *, wait_s: float = 0.0) -> Iterator[None]:
        """Holds what only one process may do at a time."""
        with leases.lease(self.catalog, name, verb, wait_s=wait_s):
            yield

    # tables

    def scan(self, table: str, *, as_of: datetime | str | None = None) -> pl.LazyFrame:
        """The rows of a table that count, with `seq` (commit order); with `as_of`, as committed by then.

        A record that was reported again with other content has a row for each version; `signals` takes the latest.

        Raises:
            WorkspaceError: there is no such table.
        """
        if table not in KEYS:
            raise WorkspaceError(f"no table {table!r}. There: {', '.join(KEYS)}.")
        return self.tables.scan(table, self.catalog.committed(None if as_of is None else as_moment(as_of)))

    def read(self, table: str, *, as_of: datetime | str | None = None) -> pl.DataFrame:
        """`scan`, collected; begun again where `clw forget` took the files away meanwhile."""
        with told_when_broken(self.folder / "tables" / table):
            try:
                return self.scan(table, as_of=as_of).collect()
            except FileNotFoundError:
                return self.scan(table, as_of=as_of).collect()

    def signals(self, *, as_of: datetime | str | None = None, event_time: bool = False) -> pl.DataFrame:
        """The signals: one row for each model answer, with its feedback and outcomes as known at `as_of`.

        Args:
            as_of: batches committed and events dated by then (also as ISO 8601, UTC without a zone); all when None.
            event_time: goes by the events' dates alone, for backfills and simulations.
        """
        as_of = None if as_of is None else as_moment(as_of)
        committed_by = None if event_time else as_of
        interactions = self.read("interactions", as_of=committed_by)
        feedback = self.read("feedback", as_of=committed_by)
        marks = self.watermarks(interactions, feedback, as_of=committed_by)
        return view.signals(interactions, feedback, self.settings.outcomes, marks, as_of=as_of)

    def watermarks(
        self, interactions: pl.DataFrame, feedback: pl.DataFrame, *, as_of: datetime | None = None
    ) -> dict[str, datetime]:
        """How far each source has been read: its latest event, or what `clw ingest --read-until` said.

        An event from the future is a wrong clock and settles nothing: events count up to now, or `as_of`.
        """
        events = pl.concat(
            [interactions.select("source", at="started_at"), feedback.select("source", at="at")]
        ).drop_nulls()
        past = events.filter(pl.col("at") <= (as_of or now()))
        marks = dict(past.group_by("source").agg(pl.col("at").max()).iter_rows())
        for source, until in self.catalog.watermarks(as_of).items():
            marks[source] = max(until, marks.get(source, until))
        return marks

    def voices(self, *, as_of: datetime | None = None, event_time: bool = False) -> pl.DataFrame:
        """Feedback with the answer that each is about (`interaction_id`), as known at `as_of`; else as the table."""
        committed_by = None if event_time else as_of
        feedback = self.read("feedback", as_of=committed_by)
        about = view.attributed(self.read("interactions", as_of=committed_by), feedback, as_of=as_of)
        latest = feedback.sort("seq", maintain_order=True).unique("feedback_id", keep="last", maintain_order=True)
        return latest.join(about.drop_nulls(), on="feedback_id")

    def labels(
        self, *, as_of: datetime | None = None, event_time: bool = False, source: str | None = None
    ) -> pl.DataFrame:
        """One answer of each annotator to each question about each signal, as known at `as_of`; and known answers.

        In each source the latest counts; where several have one, the latest that is submitted. What is known (source
        `gold`) stands beside what the same annotator answered. With `source`, the labels of that one alone.
        """
        answers = self.read("labels", as_of=None if event_time else as_of)
        if source is not None:
            answers = answers.filter(pl.col("source") == source)
        return one_each(latest(answers, by=as_of))

    def asked(
        self, dataset: str | None = None, *, as_of: datetime | None = None, ids: Iterable[str] | None = None
    ) -> pl.DataFrame:
        """What annotators were asked: the latest row of `asked` for each question set, or for one, and each signal.

        With `ids`, about these interactions alone. Those of an interrupted push (`pushing`) are among them, and those
        that were taken back (`undone`).
        """
        rows = self.read("asked", as_of=as_of)
        if dataset is not None:
            rows = rows.filter(pl.col("dataset") == dataset)
        if ids is not None:
            rows = rows.filter(pl.col("interaction_id").is_in(list(ids)))
        return rows.sort("seq", maintain_order=True).unique("ask_id", keep="last", maintain_order=True)

    def counts(self) -> dict[str, int]:
        """Rows that count, by table."""
        return {name: int(self.scan(name).select(pl.len()).collect().item()) for name in KEYS}

    def write_batch(
        self,
        batch_id: str,
        kind: str,
        frames: Mapping[str, pl.DataFrame],
        *,
        source: str | None = None,
        detail: Mapping[str, object] | None = None,
        known: KnownRows | None = None,
        settle: Callable[[Mapping[str, pl.DataFrame]], object] | None = None,
    ) -> dict[str, pl.DataFrame]:
        """Adds rows to several tables as one batch that counts whole or not at all.

        Rows whose key is committed already are left out, and so are those that an earlier, killed try at the same
        batch has written: the same call again completes it. `known` hands in the committed keys of the source, under
        its lease; those of the batch are added to it. `settle` gets the rows that the batch brings: what it writes into
        the catalog stands if, and only if, they count.

        Returns:
            The rows that this batch brings, by table.
        """
        retried = self.catalog.begin_batch(batch_id, kind, source)
        fresh = {}
        with told_when_full("a batch of rows", self.folder):
            for table, frame in frames.items():
                frame = frame.with_columns(batch_id=pl.lit(batch_id))
                fresh[table] = known.fresh(table, frame) if known else self._uncommitted(table, frame)
                missing = fresh[table]
                if retried:
                    mine = pl.DataFrame({"batch_id": [batch_id], "seq": [0]})
                    missing = _without(missing, self.tables.keys(table, mine), table)
                self.tables.append(table, missing)
            self.tables.sync()
            counts = {table: rows.height for table, rows in fresh.items()}
            with self.catalog.transaction():
                self.catalog.commit_batch(batch_id, kind, source=source, detail=detail, counts=counts)
                if settle:
                    settle(fresh)
        if known:
            known.add_batch(fresh, self.catalog.batches(batch_id=batch_id)[0].seq)
        return fresh

    def _uncommitted(self, table: str, frame: pl.DataFrame) -> pl.DataFrame:
        keys = self.tables.keys(table, self.catalog.committed())
        return _without(frame.unique(KEYS[table], keep="first", maintain_order=True), keys, table)

    def known_rows(self, source: str) -> KnownRows:
        """The keys of a source's rows; none are held before `catch_up`."""
        return KnownRows(source)

    def catch_up(self, known: KnownRows) -> None:
        """Takes in the keys of what was committed since; call it under the source's lease."""
        later = self.catalog.query(
            "select batch_id, seq, counts from batches where seq > ? and (source is null or source = ?) order by seq",
            known.seq,
            known.source,
        )
        if later:
            schema = {"batch_id": pl.String, "seq": pl.Int64, "counts": pl.String}
            batches = pl.DataFrame(later, schema=schema, orient="row")
            for table, halves in HALVES.items():
                brought = batches.filter(pl.col("counts").str.json_path_match(f"$.{table}") != "0")
                if brought.height:
                    found = self.tables.keys(table, brought.select("batch_id", "seq"), known.source, halves)
                    known.add(table, found)
            known.seq = batches["seq"][-1]

    def compact(self, tables: Iterable[str]) -> None:
        """Joins the small files of tables that have many, unless somebody else is at it; call it under a lease."""
        if many := [table for table in tables if self.tables.has_many_files(table)]:
            with suppress(LeaseError), self.lease("compact", "ingest"), told_when_full("a table", self.folder):
                for table in many:
                    self.tables.compact(table)

    @property
    def forgetting(self) -> int | None:
        """The number of a forget that was begun and has no certificate yet."""
        rows = self.catalog.query("select number from forgets where sha256 is null")
        return int(str(rows[0][0])) if rows else None

    def without_forgotten(self, table: str, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parts rows that may be kept from those that were forgotten, so that no export brings them back.

        An interaction that is refused for its user, trace, conversation or date is noted by its id from then on, so
        that feedback on it is refused as well: part the interactions of a batch first.

        Args:
            table: a table's name, or `training_set`, `suite`.
            frame: rows with that table's columns, `batch_id` aside.

        Returns:
            The rows that may be kept, in their order, and the others.
        """
        (mark,) = self.catalog.query("select count(*), max(rowid) from tombstones")
        if mark[0] == 0:
            return frame, frame.clear()
        if self._stones is None or self._stones[0] != mark:
            self._stones = mark, tombstones.load(self.catalog)
        about = {name: source.target_source or name for name, source in self.settings.sources.items()}
        gone = tombstones.forgotten(self._stones[1], table, frame, self.pseudonyms, about)
        refused = frame.filter(gone)
        if table == "interactions":
            known = self._stones[1].ids["interaction"].to_frame("interaction_id")
            ids = refused.join(known, on="interaction_id", how="anti")
            with self.catalog.transaction() as db:
                stones = (tombstones.Tombstone("interaction", own) for own in ids["interaction_id"].unique())
                tombstones.bury(db, tombstones.REFUSED_LATER, stones)
        return frame.filter(~gone), refused

    def sweep(self, kind: str, source: str | None = None) -> int:
        """Deletes rows of batches that were begun and never committed; call it under the lease. Returns how many."""
        pending = list(self.catalog.pending(kind, source))
        if pending:
            self.tables.sweep(pending)
            self.catalog.forget_pending(pending)
        return len(pending)

    # artefacts

    def artefact_folder(self, artefact_id: str) -> Path:
        """Where an artefact lies: `kind:name@version` lies in the kind's folder."""
        kind, _, name = artefact_id.partition(":")
        return self.folder / FOLDERS[kind] / name

    def publish_rows(
        self,
        kind: str,
        name: str,
        frame: pl.DataFrame,
        *,
        parents: Sequence[str] = (),
        config: object = None,
        about: Mapping[str, object] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> dict[str, object]:
        """Freezes a frame as `rows.parquet` under a version made by its content; the same rows are a no-op.

        Raises:
            ArtefactError: the name cannot be a folder's, or some rows were forgotten meanwhile.
            LeaseError: somebody forgets, and has not ended within a minute.
        """
        if not re.fullmatch(NAME, name):
            raise ArtefactError(
                f"{name!r} cannot be a name: letters, digits, '-', '_' and '.' only, a letter or digit first."
            )
        rows_sha256 = artefacts.sha256_rows(frame)
        artefact_id = f"{kind}:{name}@{rows_sha256[: artefacts.VERSION_DIGITS]}"

        def write(folder: Path) -> None:
            frame.write_parquet(folder / "rows.parquet", statistics=False)

        forgets = leases.holds(self.catalog, leases.WHOLE)  # and makes a set again: nobody else is at work
        verb = "build" if kind == "training_set" else kind
        with nullcontext() if forgets else self.lease("publish", verb, wait_s=PUBLISH_WAIT_S):
            if not (gone := self.without_forgotten(kind, frame)[1]).is_empty():
                again = "A forget was interrupted: end it with `clw forget`, then make" if self.forgetting else "Make"
                raise ArtefactError(f"{name}: {gone.height} of its rows were forgotten meanwhile. {again} it again.")
            return self.publish(
                artefact_id,
                write,
                parents=parents,
                config=config,
                rows_sha256=rows_sha256,
                about=about,
                files=files,
            )

    def publish(
        self,
        artefact_id: str,
        write: Callable[[Path], object] | None = None,
        *,
        parents: Sequence[str] = (),
        config: object = None,
        rows_sha256: str = "",
        about: Mapping[str, object] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> dict[str, object]:
        """Writes an artefact's folder whole, or finds that it is there; returns its manifest.

        Args:
            artefact_id: `kind:name` or `kind:name@version`.
            write: puts its files into the folder it is given.
            parents: ids of what it was made from.
            config: the settings it was made with; their hash goes into the manifest.
            rows_sha256: hash of its canonical rows, where it has rows.
            about: what else the manifest shall say.
            files: texts to write beside them, by file name.
        """
        folder = self.artefact_folder(artefact_id)
        if artefacts.read_manifest(folder) is None:
            with artefacts.draft(folder) as partial:
                if write:
                    write(partial)
                for name, text in (files or {}).items():
                    (partial / name).write_text(text)
                artefacts.seal(
                    partial,
                    kind=artefact_id.partition(":")[0],
                    artefact_id=artefact_id,
                    parents=parents,
                    config=config,
                    rows_sha256=rows_sha256,
                    about={"policy_sha256": self.policy_sha256, **(about or {})},
                )
        return self._register(folder)

    def seal_run(
        self, run_id: str, *, parents: Sequence[str], config: object, about: Mapping[str, object]
    ) -> dict[str, object]:
        """Seals a run's folder, which training filled in place so that a killed run can go on."""
        folder = self.artefact_folder(run_id)
        if artefacts.read_manifest(folder) is None:
            artefacts.seal(
                folder,
                kind="run",
                artefact_id=run_id,
                parents=parents,
                config=config,
                rows_sha256="",
                about={"policy_sha256": self.policy_sha256, **about},
            )
        return self._register(folder)

    def _register(self, folder: Path) -> dict[str, object]:
        manifest = artefacts.read_manifest(folder)
        if manifest is None:
            raise ArtefactError(f"{folder}: no manifest; it was not written whole. Run the same command again.")
        parents = manifest["parents"]
        assert isinstance(parents, list)
        self.catalog.add_artefact(manifest, str(folder.relative_to(self.folder)), [str(p) for p in parents])
        return manifest

    def reindex(self) -> int:
        """Rebuilds the catalog's copy of manifests and edges from the folders; returns how many artefacts there are."""
        manifests = [p for kind in FOLDERS.values() for p in (self.folder / kind).glob(f"[!.]*/{artefacts.MANIFEST}")]
        found = [(artefacts.read_manifest(path.parent), path.parent) for path in manifests]
        with self.catalog.transaction() as db:
            db.execute("delete from artefacts")
            db.execute("delete from edges")
            for _, folder in sorted(found, key=lambda pair: str((pair[0] or {}).get("created"))):
                self._register(folder)
        return len(found)

    def find(self, kind: str, name: str) -> dict[str, object]:
        """The manifest of `name@version`, or of the newest version of `name`.

        A version of which something was forgotten is answered by the one made in its place.

        Raises:
            ArtefactError: there is none; says which there are.
        """
        name = name.removeprefix(f"{kind}:")
        manifests = self.catalog.artefacts(kind)
        for manifest in reversed(manifests):
            full = str(manifest["id"]).removeprefix(f"{kind}:")
            if name in (full, full.partition("@")[0]):
                return manifest
        if heir := self.catalog.heir(f"{kind}:{name}"):
            return self.find(kind, heir)
        there = ", ".join(str(m["id"]).removeprefix(f"{kind}:") for m in manifests[-8:]) or "none yet"
        raise ArtefactError(f"no {kind.replace('_', ' ')} {name!r} in {self.folder}. There: {there}.")

    def rows(self, artefact_id: str) -> pl.DataFrame:
        """The frozen rows of a training set or suite.

        Raises:
            ArtefactError: a file is missing or was changed since it was written.
        """
        kind = artefact_id.partition(":")[0]
        if kind not in ("training_set", "suite"):
            raise ArtefactError(f"{artefact_id!r} has no rows. Name training_set:NAME@VERSION or suite:NAME@VERSION.")
        artefact_id = str(self.find(kind, artefact_id)["id"])
        folder = self.artefact_folder(artefact_id)
        manifest = artefacts.read_manifest(folder)
        if manifest is None or (wrong := artefacts.tampered(folder, manifest)):
            what = "no manifest" if manifest is None else f"changed or missing: {', '.join(wrong)}"
            raise ArtefactError(f"{artefact_id}: {what}, in {folder}.\nBuild it again; artefacts are never edited.")
        rows = pl.read_parquet(folder / "rows.parquet")
        return in_suite(rows) if kind == "suite" else rows


def _without(frame: pl.DataFrame, keys: pl.DataFrame, table: str) -> pl.DataFrame:
    """The rows whose key is not among `keys`, in their order."""
    return frame.join(keys, on=list(KEYS[table]), how="anti", nulls_equal=True, maintain_order="left")


def stable_id(*parts: object) -> str:
    """A short id made from the inputs of a step: the same inputs, the same id."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
