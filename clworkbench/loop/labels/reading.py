"""Reading a data set of Argilla's: what is news becomes labels, what is said no more is withdrawn."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from clworkbench.display.progress import Advance
from clworkbench.labels.answered import DataSet, answered, by_interaction
from clworkbench.labels.answers import SUBMITTED, UNRESOLVED, WITHDRAWN, Json, Reader, answers, moment, withdrawn
from clworkbench.labels.improvements import BadRow
from clworkbench.labels.latest import KEY, SETS, latest
from clworkbench.labels.rest import Rest
from clworkbench.loop.data import WAIT_S, keep_labels
from clworkbench.loop.labels.accounts import Accounts
from clworkbench.loop.labels.pulled import Total
from clworkbench.schemas import LABELS
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now
from clworkbench.workspace.folder import stable_id

WHOLE_EVERY = timedelta(days=1)
"""How often all records are read from Argilla's database, whatever its search index holds."""

ABOUT = "interaction_id"


def source_of(name: str) -> str:
    """What the labels of a question set have for `source`."""
    return f"{SETS}{name}"


def known_labels(workspace: Workspace, source: str, ids: Collection[str] | None = None) -> pl.DataFrame:
    """The latest label of each key that came from this source; of what it says, a hash (`said`) alone.

    Args:
        workspace: where the labels are.
        source: the labels'.
        ids: only those about these interactions.
    """
    rows = workspace.scan("labels").filter(pl.col("source") == source)
    if ids is not None:
        rows = rows.filter(pl.col(ABOUT).is_in(list(ids)))
    said = pl.struct("value", "improvement").hash()
    return latest(rows.select("label_id", *KEY, "status", "at", "source", "candidate_id", "seq", said=said)).collect()


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
class Reading:
    """One data set being read. Only what is committed needs the lease: nobody waits for a slow server.

    Attributes:
        asked: the latest rows of `asked` of this set, whatever their state.
        known: the latest labels of this set before.
        dated: `seq` and `said_at` of batches of labels whose dates are a simulation's: when they were committed.
        responses: how many each record had that was read, by Argilla's id.
        seen: interactions whose record was read.
        heard: keys of annotators of whom a response was read.
        unsaid: known labels that the records which were read bear out no more.
        is_unresolved: whether an answer waits for what its options stand for; the set is read again once more is noted.
    """

    workspace: Workspace
    argilla: Rest
    found: DataSet
    accounts: Accounts
    reader: Reader
    asked: pl.DataFrame
    known: pl.DataFrame
    dated: pl.DataFrame
    responses: dict[str, int] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    unsaid: list[pl.DataFrame] = field(default_factory=list)
    is_unresolved: bool = False

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        argilla: Rest,
        found: DataSet,
        accounts: Accounts,
        *,
        at: datetime | None = None,
        ids: Collection[str] | None = None,
    ) -> "Reading":
        """A reading of the whole set, or of the records about these interactions (`ids`) alone."""
        source, redacted = source_of(found.name), workspace.settings.policy.redaction != "off"
        return cls(
            workspace=workspace,
            argilla=argilla,
            found=found,
            accounts=accounts,
            reader=Reader(source, found.questions, accounts.keys, workspace.pseudonyms, redacted, at),
            asked=workspace.asked(found.name, ids=ids),
            known=known_labels(workspace, source, ids),
            dated=_dated(workspace),
        )

    def read_news(self, total: Total, *, whole: bool, advance: Advance) -> None:
        """Reads the set, unless it stands as it stood when it was last read."""
        state = _state(self.workspace, self.reader.source)
        read_at = state.get("whole_at")
        late = read_at is not None and now() - datetime.fromisoformat(str(read_at)) > WHOLE_EVERY
        whole = whole or late
        stands = state.get("state") == self.found.state and state.get("waits") in (None, self.asked.height)
        if stands and not whole:
            return
        for records, of in answered(self.argilla, self.found, whole=whole):
            self.take(records, total)
            advance(len(self.responses), of, self.found.name)
        standing = self.known.filter(pl.col("status") != WITHDRAWN)[ABOUT]
        for records in by_interaction(self.argilla, self.found, sorted(set(standing) - self.seen)):
            self.take(records, total)
        self.withdraw(total)
        counted = self.known.filter(pl.col("status") == SUBMITTED)
        total.counts["gone"] += counted.filter(~pl.col(ABOUT).is_in(list(self.seen))).height
        if sum(self.responses.values()) == self.found.n_answered:
            self._note(state, now().isoformat() if whole or read_at is None else str(read_at))

    def take(self, records: Sequence[Json], total: Total) -> None:
        """Adds what these records say that is not known, and remembers what they say no more."""
        records = [each for each in records if each.get("id") not in self.responses]
        given = {str(each["id"]): _responses(each) for each in records}
        self.responses |= {own: len(of) for own, of in given.items()}
        users = {str(response.get("user_id")) for of in given.values() for response in of}
        self.heard |= {self.reader.key_of(user) for user in users}
        ids = pl.Series(ABOUT, [str(each.get("external_id")) for each in records], dtype=pl.String)
        self.seen.update(ids)
        read = answers(records, self.asked.join(ids.to_frame(), on=ABOUT, how="semi"), self.reader)
        total.left_out.update(read.left_out)
        self.is_unresolved |= any(UNRESOLVED in reason for reason in read.left_out)
        labels = _ours(self.workspace, read.labels, self.asked, total)
        before = self.known.select(*KEY, was="status", said="said")
        both = labels.with_columns(say=pl.struct("value", "improvement").hash()).join(
            before, on=list(KEY), how="left", maintain_order="left"
        )
        same = (pl.col("was") == pl.col("status")) & (pl.col("say") == pl.col("said"))
        self.unsaid.append(_no_more_said(self.known, records, read.heard, self.dated))
        self._keep(both.filter(~same.fill_null(value=False)).select(labels.columns), total, users)

    def withdraw(self, total: Total) -> None:
        """Withdraws what the records that were read say no more, but for those whose account may be gone."""
        unsaid = pl.concat([self.known.clear(), *self.unsaid])
        stands = pl.col("annotator_key").is_in(list(self.accounts.standing(self.heard)))
        total.counts["gone"] += unsaid.filter(~stands, pl.col("status") == SUBMITTED).height
        at = self.reader.at or self.found.active_at
        self._keep(withdrawn(unsaid.filter(stands), at=at, pseudonyms=self.workspace.pseudonyms), total)

    def _keep(self, labels: pl.DataFrame, total: Total, users: Collection[str] = ()) -> None:
        """Commits labels, with the keys of those accounts of the users that have none noted yet."""
        if labels.is_empty():
            return
        workspace, source = self.workspace, self.reader.source
        first = {user: self.reader.key_of(user) for user in sorted(users) if user not in self.accounts.noted}
        detail: dict[str, object] = {"dataset": self.found.name}
        detail |= {"annotators": first} if first else {}
        detail |= {"dated": True} if self.reader.at else {}
        with workspace.lease("label", "label pull", wait_s=WAIT_S):
            workspace.sweep("labels")
            labels, refused = workspace.without_forgotten("labels", labels)
            if refused.height:
                total.left_out["about what was forgotten"] += refused.height
            batch_id = stable_id("labels", source, labels["label_id"].sort().to_list())
            if labels.is_empty() or workspace.catalog.is_committed(batch_id):  # by somebody who pulls as well
                return
            written = keep_labels(workspace, batch_id, labels, source=source, detail=detail)
        self.accounts.noted.update(first)
        was = self.known.select(*KEY, was="status")
        total.add(written.join(was, on=list(KEY), how="left"))

    def _note(self, state: dict[str, object], whole_at: str) -> None:
        """Notes that the set was read to its end, as it stood when that began."""
        waits = self.asked.height if self.is_unresolved else None
        noted = {"state": self.found.state, "whole_at": whole_at, "waits": waits}
        if noted != {name: state.get(name) for name in noted}:
            source = self.reader.source
            batch_id = stable_id("labels", source, noted, now())
            detail = {"dataset": self.found.name, **noted}
            self.workspace.catalog.commit_batch(batch_id, "labels", source=source, detail=detail)


def _responses(record: Json) -> list[Json]:
    found = record.get("responses")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _made_at(record: Json) -> datetime | None:
    """When a record came into Argilla; None where it does not say."""
    try:
        return moment(record.get("inserted_at"))
    except BadRow:
        return None


def _ours(workspace: Workspace, labels: pl.DataFrame, asked: pl.DataFrame, total: Total) -> pl.DataFrame:
    """The labels about interactions that there are, with their candidate also where it was not noted yet."""
    unasked = labels.select(ABOUT).unique().join(asked, on=ABOUT, how="anti")
    if unasked.is_empty():
        return labels
    there = workspace.scan("interactions").select(ABOUT)
    known = there.join(unasked.lazy(), on=ABOUT, how="semi").unique().collect()
    strange = unasked.join(known, on=ABOUT, how="anti")
    kept = labels.join(strange, on=ABOUT, how="anti", maintain_order="left")
    if kept.height < labels.height:
        total.left_out["about no interaction of this workspace"] += labels.height - kept.height
    candidates = workspace.scan("candidates").join(unasked.lazy(), on=ABOUT, how="semi").collect().sort("seq")
    chosen = candidates.unique(ABOUT, keep="last", maintain_order=True).select(ABOUT, chosen="candidate_id")
    return (
        kept.join(chosen, on=ABOUT, how="left", maintain_order="left")
        .with_columns(pl.coalesce("candidate_id", "chosen").alias("candidate_id"))
        .drop("chosen")
    )


def _dated(workspace: Workspace) -> pl.DataFrame:
    sql = "select seq, committed_at from batches where kind = 'labels' and json_extract(detail, '$.dated')"
    rows = pl.DataFrame(workspace.catalog.query(sql), schema={"seq": pl.Int64, "committed_at": pl.Int64}, orient="row")
    return rows.select("seq", said_at=pl.from_epoch("committed_at", "us").cast(LABELS["at"]))


def _no_more_said(
    known: pl.DataFrame, records: Sequence[Json], heard: pl.DataFrame, dated: pl.DataFrame
) -> pl.DataFrame:
    """The known labels that these records bear out no more.

    A record that is younger than the label was pushed again after the one with the answer was deleted. Argilla's clock
    tells both times, but for labels that a simulation dated.
    """
    made = pl.DataFrame(
        [(str(each.get("external_id")), made_at) for each in records if (made_at := _made_at(each))],
        schema={ABOUT: pl.String, "made_at": LABELS["at"]},
        orient="row",
    )
    return (
        known.filter(pl.col("status") != WITHDRAWN)
        .join(made, on=ABOUT)
        .join(heard, on=list(KEY), how="anti")
        .join(dated, on="seq", how="left")
        .filter(pl.col("made_at") <= pl.coalesce("said_at", "at"))
        .select(known.columns)
    )
