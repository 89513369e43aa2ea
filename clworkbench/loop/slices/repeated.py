"""Repeated failures of a workspace: its signals grouped by what was said, and how each group fares."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ClwError
from clworkbench.loop.look import slice_of
from clworkbench.loop.slices.topics import clustered
from clworkbench.similarity.minhash import near_duplicates
from clworkbench.slices.failures import Failures, repeated_failures
from clworkbench.workspace import Workspace

LONGEST_DAYS = 36_500

By = Literal["duplicates", "clusters"]


def repeated(
    workspace: Workspace,
    slice: str | None = None,
    *,
    by: By = "duplicates",
    model: str | None = None,
    k: int | None = None,
    days: float = 7,
    cache: Path | None = None,
    as_of: datetime | None = None,
    event_time: bool = False,
    texts: bool = False,
    advance: Advance = silent,
) -> Failures:
    """What users say again and again and goes wrong.

    Args:
        workspace: where the signals are.
        slice: one of `[slices]`; all signals when None.
        by: `duplicates` are texts that are the same but for numbers, redacted values and a word or so; `clusters` are
            about the same thing, and are made of one text for each group of duplicates.
        model: of the embeddings, for clusters, as `similarity.embeddings.embed` takes it; when None, its default, or
            hashed n-grams for more than 20,000 different texts.
        k: how many clusters; chosen when None.
        days: how long the last window is, which is held against all before.
        cache: a folder outside of the workspace that keeps embeddings; none are kept when None. `clw forget` does not
            reach it: empty it when somebody is forgotten.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.
        texts: shows what was said in each group's example.
        advance: told how far it is.

    Raises:
        SettingsError: clw.toml has no such slice.
        ModelError: there is no such model of embeddings.
        ClwError: `k` is more than there are texts, the days are no length of time, or the cache lies in the workspace.
    """
    if not 0 < days <= LONGEST_DAYS:
        raise ClwError(f"days: {days:g} is not above 0 and at most {LONGEST_DAYS:,}. Ask for e.g. 7: the last week.")
    if cache is not None and cache.resolve().is_relative_to(workspace.folder.resolve()):
        raise ClwError(
            f"cache: {cache} lies in the workspace, where `clw forget` leaves nothing; it does not reach vectors.\n"
            "Name a folder outside of it, and empty that when somebody is forgotten."
        )
    found = workspace.signals(as_of=as_of, event_time=event_time)
    if slice is not None:
        found = found.filter(slice_of(workspace, found, slice))
    groups = near_duplicates(found["text"], advance=advance)["group"]
    said = "near-duplicates"
    if by == "clusters":
        groups, said = clustered(found["text"], groups, model, k, cache, advance)
    rows = found.select("interaction_id", group=groups)
    return repeated_failures(found, rows, window=timedelta(days=days), grouped_by=said, texts=texts)
