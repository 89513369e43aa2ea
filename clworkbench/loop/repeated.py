"""Repeated failures of a workspace: its signals grouped by what was said, and how each group fares."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import polars as pl

from clworkbench.display.progress import Advance, silent
from clworkbench.loop.look import slice_of
from clworkbench.similarity.clusters import clusters
from clworkbench.similarity.embeddings import HASHED, embed
from clworkbench.similarity.minhash import near_duplicates
from clworkbench.slices.failures import Failures, repeated_failures
from clworkbench.workspace import Workspace

MANY = 20_000
"""Texts beyond which a sentence model would take minutes on a CPU."""

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
        cache: a folder that keeps embeddings; none are kept when None. It is no part of the workspace: `clw forget`
            does not reach it.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.
        texts: shows what was said in each group's example.
        advance: told how far it is.

    Raises:
        SettingsError: clw.toml has no such slice.
        ModelError: there is no such model of embeddings.
        ClwError: `k` is more than there are texts.
    """
    found = workspace.signals(as_of=as_of, event_time=event_time)
    if slice is not None:
        found = found.filter(slice_of(workspace, found, slice))
    groups = near_duplicates(found["text"], advance=advance)["group"]
    said = "near-duplicates"
    if by == "clusters":
        groups, said = _clustered(found["text"], groups, model, k, cache, advance)
    rows = found.select("interaction_id", group=groups)
    return repeated_failures(found, rows, window=timedelta(days=days), grouped_by=said, texts=texts)


def _clustered(
    texts: pl.Series, groups: pl.Series, model: str | None, k: int | None, cache: Path | None, advance: Advance
) -> tuple[pl.Series, str]:
    """The cluster of each text, by the example of its group of duplicates."""
    examples = groups.drop_nulls().unique().sort()
    said = texts.gather(examples)
    made = embed(said, HASHED if model is None and len(said) > MANY else model, cache=cache, advance=advance)
    told = clusters(made, k=k)
    by_example = pl.DataFrame({"group": examples, "cluster": told.frame["cluster"]})
    clustered = groups.to_frame("group").join(by_example, on="group", how="left", maintain_order="left")["cluster"]
    return clustered, f"clusters ({made.model}; {told.note})"
