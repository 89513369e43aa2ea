"""Agreement in a workspace: labels, what was asked, known answers and slices, joined and measured."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from clworkbench.errors import LabelError
from clworkbench.labels.adjudication import GOLD, Adjudicated, adjudicated
from clworkbench.labels.agreement import SETS
from clworkbench.labels.agreement import agreement as measure
from clworkbench.labels.agreement_report import AgreementReport
from clworkbench.loop.slices import slice_names
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
    labels = _latest(workspace.read("labels", as_of=as_of), as_of)
    if name is not None:
        labels = _of_set(workspace, labels, name)
    signals = workspace.signals(as_of=as_of).join(labels, on="interaction_id", how="semi")
    about = signals.select("interaction_id", slices=slice_names(workspace, signals), n_chars=_chars())
    beside = labels.join(about, on="interaction_id", how="left", maintain_order="left")
    report = measure(beside, asked_now(workspace, as_of=as_of), experts=expert_keys(workspace), levels=levels)
    return report.with_texts(signals.select("interaction_id", "text", "answer")) if texts else report


def asked_now(workspace: Workspace, *, as_of: datetime | None = None) -> pl.DataFrame:
    """What annotators were asked, the latest state of each question about each signal."""
    rows = workspace.read("asked", as_of=as_of).sort("seq", maintain_order=True)
    return rows.unique("ask_id", keep="last", maintain_order=True)


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


def _latest(answers: pl.DataFrame, as_of: datetime | None) -> pl.DataFrame:
    """Each annotator's latest answer to each question in each set: what somebody says twice is compared in both."""
    if as_of is not None:
        answers = answers.filter(pl.col("at").is_null() | (pl.col("at") <= as_of))
    one = ["interaction_id", "question", "annotator_key", "source"]
    return answers.sort("at", "seq", nulls_last=False).unique(one, keep="last", maintain_order=True)


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


def _chars() -> pl.Expr:
    """How long the text is in which spans are marked."""
    return pl.col("answer").str.len_chars().cast(pl.Int64)
