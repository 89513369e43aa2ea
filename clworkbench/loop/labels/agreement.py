"""Agreement in a workspace: labels, what was asked, known answers and slices, joined and measured."""

from collections.abc import Mapping
from datetime import datetime
from html import unescape

import polars as pl

from clworkbench.errors import LabelError
from clworkbench.labels import conversation
from clworkbench.labels.adjudication import Adjudicated, adjudicated
from clworkbench.labels.agreement import agreement as measure
from clworkbench.labels.agreement_report import AgreementReport
from clworkbench.labels.latest import GOLD, SETS, latest
from clworkbench.labels.literal import TEXT, beginning
from clworkbench.loop.leaving import door
from clworkbench.loop.slices.slices import slice_names
from clworkbench.statistics.agreement import Level
from clworkbench.workspace import Workspace


def agreement(
    workspace: Workspace,
    name: str | None = None,
    *,
    as_of: datetime | None = None,
    levels: Mapping[str, Level] | None = None,
    texts: bool = False,
) -> AgreementReport:
    """How far the annotators agree, by question, pair, annotator and slice of clw.toml.

    Args:
        workspace: where the labels are.
        name: a question set, or another source of labels such as `reviewers`; all when None.
        as_of: only what was known by then; all when None.
        levels: by question, how its answers are compared where not as usual: `nominal`, `ordinal`, `interval`.
        texts: whether disagreements show what was asked and answered.

    Raises:
        LabelError: there is no such set, and no labels of such a source.
    """
    labels = latest(workspace.read("labels", as_of=as_of), by=as_of)  # said twice, in two sets, is compared in both
    if name is not None:
        labels = _of_set(workspace, labels, name)
    signals = workspace.signals(as_of=as_of).join(labels, on="interaction_id", how="semi")
    about = signals.select("interaction_id", slices=slice_names(workspace, signals))
    marked = labels.filter(pl.col("question") == "spans").select("interaction_id")
    lengths = _n_chars(workspace, signals.join(marked, on="interaction_id", how="semi"))
    about = about.join(lengths, on="interaction_id", how="left")
    beside = labels.join(about, on="interaction_id", how="left", maintain_order="left")
    report = measure(beside, workspace.asked(as_of=as_of), experts=expert_keys(workspace), levels=levels)
    return report.with_texts(signals.select("interaction_id", "text", "answer")) if texts else report


def expert_keys(workspace: Workspace) -> list[str]:
    """The keys of the experts that clw.toml names."""
    names = {expert for asked in workspace.settings.labels.ask for expert in asked.experts}
    return sorted(workspace.pseudonyms.user(name) for name in names)


def decided(workspace: Workspace, *, as_of: datetime | None = None, event_time: bool = False) -> Adjudicated:
    """The labels that count: what is known, else an expert's (`[labels.ask]`), else the majority's; ties are held back.

    Args:
        workspace: where the labels are.
        as_of: only what was known by then; all when None.
        event_time: goes by the answers' own dates, not by when they were committed.
    """
    labels = workspace.labels(as_of=as_of, event_time=event_time)
    return adjudicated(labels, rule="expert", experts=expert_keys(workspace))


def _of_set(workspace: Workspace, labels: pl.DataFrame, name: str) -> pl.DataFrame:
    """The labels of one question set or source, and the known answers.

    Raises:
        LabelError: there is no such set, and no labels of such a source.
    """
    sources = (name, f"{SETS}{name}")
    sets = [asked.name for asked in workspace.settings.labels.ask]
    if name not in sets and labels.filter(pl.col("source").is_in(sources)).is_empty():
        there = sorted({*sets, *(s.removeprefix(SETS) for s in labels["source"].unique().drop_nulls())} - {GOLD})
        raise LabelError(f"no question set {name!r} in {workspace.folder / 'clw.toml'}. There: {', '.join(there)}.")
    return labels.filter(pl.col("source").is_in((*sources, GOLD)))


def _n_chars(workspace: Workspace, signals: pl.DataFrame) -> pl.DataFrame:
    """How long the text is in which spans are marked, `n_chars`: the answer as a card shows it."""
    cleared = door(workspace).clear(signals.select("interaction_id", "output"), ("output",))
    lengths = [
        (own, len(unescape(beginning(conversation.answer(output), TEXT, own) or conversation.NO_TEXT)))
        for own, output in cleared.iter_rows()
    ]
    return pl.DataFrame(lengths, schema={"interaction_id": pl.String, "n_chars": pl.Int64}, orient="row")
