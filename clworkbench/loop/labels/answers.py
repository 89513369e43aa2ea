"""Pull: what annotators answered in Argilla comes back as labels; nothing twice, nothing lost."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.labels.answered import by_record, data_set
from clworkbench.labels.answers import SUBMITTED
from clworkbench.labels.argilla import address, connect
from clworkbench.loop.data import WAIT_S
from clworkbench.loop.labels.accounts import Accounts
from clworkbench.loop.labels.agreement import agreement
from clworkbench.loop.labels.asked import question_sets
from clworkbench.loop.labels.pulled import Pulled, Total
from clworkbench.loop.labels.reading import Reading, known_labels, source_of
from clworkbench.settings import QuestionSet
from clworkbench.workspace import Workspace


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
    with connect(address(workspace.folder)) as argilla:
        accounts = Accounts.of(workspace, argilla)
        for asked in sets:
            if (found := data_set(argilla, asked.name, asked.team)) is None:
                notes += _not_there(workspace, asked, total)
                continue
            reading = Reading.of(workspace, argilla, found, accounts, at=at)
            reading.read_news(total, whole=whole, advance=advance)
    return _compacted(workspace, total.pulled(notes))


def pull_records(workspace: Workspace, touched: Mapping[str, Collection[str]]) -> Pulled:
    """Brings back what stands in these records now, as `pull` does for all.

    Args:
        workspace: whose question sets and labels.
        touched: Argilla's ids of records, by the name of their question set; other sets are passed over.

    Raises:
        LabelError: as `pull`.
    """
    total = Total()
    with connect(address(workspace.folder)) as argilla:
        accounts = Accounts.of(workspace, argilla)
        for asked in workspace.settings.labels.ask:
            ids = touched.get(asked.name)
            if ids and (found := data_set(argilla, asked.name, asked.team)):
                records = by_record(argilla, found, sorted(ids))
                about = [str(each.get("external_id")) for each in records]
                reading = Reading.of(workspace, argilla, found, accounts, ids=about)
                reading.take(records, total)
                reading.withdraw(total)
    return _compacted(workspace, total.pulled(()))


def _compacted(workspace: Workspace, found: Pulled) -> Pulled:
    if found.is_news:
        with workspace.lease("label", "label pull", wait_s=WAIT_S):
            workspace.compact(["labels"])
    return found


def _not_there(workspace: Workspace, asked: QuestionSet, total: Total) -> list[str]:
    """What to say of a set whose data set is not in Argilla; its labels stay."""
    n = known_labels(workspace, source_of(asked.name)).filter(pl.col("status") == SUBMITTED).height
    total.counts["gone"] += n
    where = f"no data set {asked.name!r} stands in Argilla (workspace {asked.team!r})"
    if n:
        return [f"{where}: it was deleted, and its {n:,} labels stay"]
    return [f"{where}: nothing was asked yet; `clw label push` does"]
