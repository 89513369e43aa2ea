"""Pull: what annotators answered in Argilla comes back as labels; nothing twice, nothing lost."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import LabelError
from clworkbench.labels.answered import DataSet, answered, by_interaction, by_record, data_set, usernames
from clworkbench.labels.answers import (
    KEY,
    SUBMITTED,
    UNRESOLVED,
    WITHDRAWN,
    Json,
    Reader,
    answers,
    withdrawn,
)
from clworkbench.labels.argilla import Argilla, address, connect
from clworkbench.loop.agreement import agreement
from clworkbench.loop.data import WAIT_S, keep_labels
from clworkbench.loop.pulled import Pulled, Total
from clworkbench.settings import QuestionSet
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now
from clworkbench.workspace.folder import stable_id

WHOLE_EVERY = timedelta(days=1)
"""How often all records are read from Argilla's database, whatever its search index holds."""


def pull(
    workspace: Workspace,
    name: str | None = None,
    *,
    at: datetime | None = None,
    whole: bool = False,
    advance: Advance = silent,
) -> Pulled:
    """Brings back what people answered since, and takes back what they took back.

    A set in which nobody did anything since is not read again. An answer that was changed, discarded, made a draft
    again or deleted is a new row of `labels`, and the latest counts. A record, a data set or an account that was
    deleted in Argilla withdraws nothing. Each new submitted label costs `usd_per_label` of `[budget]`.

    Args:
        workspace: whose question sets and labels.
        name: one of `[labels.ask]`; all when None.
        at: the labels' time, for simulations; else Argilla's own.
        whole: reads every record again, from Argilla's database and not by its search.
        advance: told of the progress.

    Raises:
        LabelError: no such set, or Argilla cannot be reached. What was committed before stays; again is safe.
    """
    found = bring(workspace, name, at=at, whole=whole, advance=advance)
    return replace(found, agreement=agreement(workspace, name))


def bring(
    workspace: Workspace,
    name: str | None = None,
    *,
    at: datetime | None = None,
    whole: bool = False,
    advance: Advance = silent,
) -> Pulled:
    """`pull` without measuring the agreement."""
    sets, total, notes = question_sets(workspace, name), Total(), list[str]()
    with workspace.lease("label", "label pull", wait_s=WAIT_S):
        workspace.sweep("labels")
        with connect(address(workspace.folder)) as argilla:
            for asked in sets:
                if (found := data_set(argilla, asked.name, asked.team)) is None:
                    notes += _not_there(workspace, asked, total)
                    continue
                reading = _Reading.of(workspace, argilla, found, at)
                reading.read_news(total, whole=whole, advance=advance)
        workspace.compact(["labels"])
    return total.pulled(notes)


def pull_records(workspace: Workspace, touched: Mapping[str, Collection[str]]) -> Pulled:
    """Brings back what stands in these records now, as `pull` does for all.

    Args:
        workspace: whose question sets and labels.
        touched: Argilla's ids of records, by the name of their question set; other sets are passed over.

    Raises:
        LabelError: as `pull`.
    """
    total = Total()
    with workspace.lease("label", "label pull", wait_s=WAIT_S):
        workspace.sweep("labels")
        with connect(address(workspace.folder)) as argilla:
            for asked in workspace.settings.labels.ask:
                ids = touched.get(asked.name)
                if ids and (found := data_set(argilla, asked.name, asked.team)):
                    _Reading.of(workspace, argilla, found, None).take(by_record(argilla, found, sorted(ids)), total)
        workspace.compact(["labels"])
    return total.pulled(())


def question_sets(workspace: Workspace, name: str | None) -> Sequence[QuestionSet]:
    """The question sets of `[labels.ask]`, or the one of this name.

    Raises:
        LabelError: there is none of that name; says which there are.
    """
    sets = workspace.settings.labels.ask
    chosen = [each for each in sets if name in (None, each.name)]
    if not chosen:
        raise LabelError(
            f"no question set {name!r}. There: {', '.join(each.name for each in sets)}.\n"
            f"Declare [labels.ask.{name}] in clw.toml."
        )
    return chosen


def _not_there(workspace: Workspace, asked: QuestionSet, total: Total) -> list[str]:
    """What to say of a set whose data set is not in Argilla; its labels stay."""
    n = _latest(workspace, _source(asked.name)).filter(pl.col("status") == SUBMITTED).height
    total.counts["gone"] += n
    where = f"no data set {asked.name!r} stands in Argilla (workspace {asked.team!r})"
    if n:
        return [f"{where}: it was deleted, and its {n:,} labels stay"]
    return [f"{where}: nothing was asked yet; `clw label push` does"]


def _source(name: str) -> str:
    return f"argilla/{name}"


def _latest(workspace: Workspace, source: str) -> pl.DataFrame:
    """The latest label of each key that came from this source; of what it says, a hash (`said`) alone."""
    rows = workspace.scan("labels").filter(pl.col("source") == source)
    said = pl.struct("value", "improvement").hash()
    found = rows.select("label_id", *KEY, "status", "at", "source", "candidate_id", "seq", said=said).collect()
    return found.sort("at", "seq", nulls_last=False).unique(list(KEY), keep="last", maintain_order=True)


def _state(workspace: Workspace, source: str) -> dict[str, object]:
    """What was noted when this set was last read to its end; empty where it never was."""
    rows = workspace.catalog.query(
        "select detail from batches where kind = 'labels' and source = ?"
        " and json_extract(detail, '$.state') is not null order by seq desc limit 1",
        source,
    )
    found = json.loads(str(rows[0][0])) if rows else {}
    return found if isinstance(found, dict) else {}


@dataclass
class _Reading:
    """One data set being read.

    Attributes:
        known: the latest labels of this set before.
        accounts_gone: `annotator_key` of accounts that are in Argilla no more.
        state: what was noted when it was last read to its end.
        seen: interactions whose record was read.
        is_unresolved: whether an answer waits for what its options stand for; the set is read again once more is noted.
    """

    workspace: Workspace
    argilla: Argilla
    found: DataSet
    reader: Reader
    asked: pl.DataFrame
    known: pl.DataFrame
    accounts_gone: frozenset[str]
    state: dict[str, object]
    seen: set[str] = field(default_factory=set)
    is_unresolved: bool = False

    @classmethod
    def of(cls, workspace: Workspace, argilla: Argilla, found: DataSet, at: datetime | None) -> "_Reading":
        source = _source(found.name)
        state = _state(workspace, source)
        annotators, gone = _annotators(workspace, argilla, state.get("annotators"))
        redacted = workspace.settings.policy.redaction != "off"
        asked = workspace.read("asked").filter(pl.col("dataset") == found.name).sort("seq")
        return cls(
            workspace=workspace,
            argilla=argilla,
            found=found,
            reader=Reader(source, found.questions, annotators, workspace.pseudonyms, redacted, at),
            asked=asked.unique("ask_id", keep="last", maintain_order=True),
            known=_latest(workspace, source),
            accounts_gone=gone,
            state=state,
        )

    def read_news(self, total: Total, *, whole: bool, advance: Advance) -> None:
        """Reads the set, unless it stands as it stood when it was last read."""
        read_at = self.state.get("whole_at")
        late = read_at is not None and now() - datetime.fromisoformat(str(read_at)) > WHOLE_EVERY
        whole = whole or late
        stands = self.state.get("state") == self.found.state and self.state.get("waits") in (None, self.asked.height)
        if stands and not whole:
            return
        n = 0
        for records, of in answered(self.argilla, self.found, whole=whole):
            self.take(records, total)
            n += len(records)
            advance(n, of, self.found.name)
        standing = self.known.filter(pl.col("status") != WITHDRAWN)["interaction_id"]
        missing = sorted(set(standing) - self.seen)
        for records in by_interaction(self.argilla, self.found, missing):
            self.take(records, total)
        total.counts["gone"] += self.known.filter(
            pl.col("status") == SUBMITTED, ~pl.col("interaction_id").is_in(list(self.seen))
        ).height
        self._note(now().isoformat() if whole or read_at is None else str(read_at))

    def take(self, records: Sequence[Json], total: Total) -> None:
        """Adds what these records say that is not known, and withdraws what they say no more."""
        records = [each for each in records if each.get("external_id") not in self.seen]
        ids = pl.Series("interaction_id", [str(each.get("external_id")) for each in records], dtype=pl.String)
        self.seen.update(ids)
        read = answers(records, self.asked.join(ids.to_frame(), on="interaction_id", how="semi"), self.reader)
        total.left_out.update(read.left_out)
        self.is_unresolved |= any(UNRESOLVED in reason for reason in read.left_out)
        labels = self._ours(read.labels, total)
        before = self.known.select(*KEY, was="status", said="said")
        both = labels.with_columns(say=pl.struct("value", "improvement").hash()).join(
            before, on=list(KEY), how="left", maintain_order="left"
        )
        same = (pl.col("was") == pl.col("status")) & (pl.col("say") == pl.col("said"))
        news = both.filter(~same.fill_null(value=False)).select(labels.columns)
        gone = self._no_more_said(records, read.heard, total)
        self._keep(pl.concat([news, gone]), before, total)

    def _ours(self, labels: pl.DataFrame, total: Total) -> pl.DataFrame:
        """The labels about interactions that there are, with their candidate also where it was not noted yet."""
        unasked = labels.select("interaction_id").unique().join(self.asked, on="interaction_id", how="anti")
        if unasked.is_empty():
            return labels
        there = self.workspace.scan("interactions").select("interaction_id")
        known = there.join(unasked.lazy(), on="interaction_id", how="semi").unique().collect()
        strange = unasked.join(known, on="interaction_id", how="anti")
        kept = labels.join(strange, on="interaction_id", how="anti", maintain_order="left")
        if kept.height < labels.height:
            total.left_out["about no interaction of this workspace"] += labels.height - kept.height
        candidates = self.workspace.read("candidates").sort("seq").select("interaction_id", chosen="candidate_id")
        latest = candidates.unique("interaction_id", keep="last", maintain_order=True)
        return (
            kept.join(latest, on="interaction_id", how="left", maintain_order="left")
            .with_columns(pl.coalesce("candidate_id", "chosen").alias("candidate_id"))
            .drop("chosen")
        )

    def _no_more_said(self, records: Sequence[Json], heard: pl.DataFrame, total: Total) -> pl.DataFrame:
        """What withdraws the labels that these records bear out no more.

        A record that is younger than the label was pushed again after the one with the answer was deleted.
        """
        schema = {"interaction_id": pl.String, "made_at": pl.String}
        made = pl.DataFrame(
            [(str(each.get("external_id")), str(each.get("inserted_at"))) for each in records], schema, orient="row"
        )
        made_at = pl.col("made_at").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
        committed = self.workspace.catalog.query("select seq, committed_at from batches where kind = 'labels'")
        times = pl.DataFrame(committed, schema={"seq": pl.Int64, "committed_at": pl.Int64}, orient="row")
        missing = (
            self.known.filter(pl.col("status") != WITHDRAWN)
            .join(made, on="interaction_id")
            .join(heard, on=list(KEY), how="anti")
            .join(times, on="seq")
            .filter(made_at <= pl.from_epoch("committed_at", "us"))
        )
        kept = pl.col("annotator_key").is_in(list(self.accounts_gone))
        total.counts["gone"] += missing.filter(kept, pl.col("status") == SUBMITTED).height
        at = self.reader.at or self.found.active_at
        return withdrawn(missing.filter(~kept), at=at, pseudonyms=self.workspace.pseudonyms)

    def _keep(self, labels: pl.DataFrame, before: pl.DataFrame, total: Total) -> None:
        labels, refused = self.workspace.without_forgotten("labels", labels)
        if refused.height:
            total.left_out["about what was forgotten"] += refused.height
        if labels.is_empty():
            return
        batch_id = stable_id("labels", self.reader.source, labels["label_id"].sort().to_list())
        detail = {"dataset": self.found.name}
        written = keep_labels(self.workspace, batch_id, labels, source=self.reader.source, detail=detail)
        now_is, counted = pl.col("status"), (pl.col("was") == SUBMITTED).fill_null(value=False)
        cases = {
            "new": (now_is == SUBMITTED) & ~counted,
            "changed": (now_is == SUBMITTED) & counted,
            "withdrawn": (now_is != SUBMITTED) & counted,
            "drafts": now_is == "draft",
            "discarded": now_is == "discarded",
        }
        became = written.join(before, on=list(KEY), how="left")
        total.counts.update(became.select(case.sum().alias(name) for name, case in cases.items()).row(0, named=True))

    def _note(self, whole_at: str) -> None:
        """Notes that the set was read to its end, as it stood when that began."""
        annotators = {own: key for own, key in self.reader.annotators.items() if key}
        waits = self.asked.height if self.is_unresolved else None
        noted = {"state": self.found.state, "whole_at": whole_at, "waits": waits, "annotators": annotators}
        if noted != {name: self.state.get(name) for name in noted}:
            batch_id = stable_id("labels", self.reader.source, noted, now())
            self.workspace.catalog.commit_batch(
                batch_id, "labels", source=self.reader.source, detail={"dataset": self.found.name, **noted}
            )


def _annotators(workspace: Workspace, argilla: Argilla, noted: object) -> tuple[dict[str, str], frozenset[str]]:
    """The key of each account, the first that it had where it was renamed; and the keys of those that are gone."""
    before = {str(own): str(key) for own, key in noted.items()} if isinstance(noted, dict) else {}
    there = usernames(argilla)
    if there is None:
        return before, frozenset()
    keys = {own: workspace.pseudonyms.user(name) for own, name in there.items()} | before
    return keys, frozenset(before[own] for own in before if own not in there)
