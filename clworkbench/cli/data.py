"""`clw ingest`, `select`, `build` and `lineage`: verbs about data."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clworkbench.cli.label import label
from clworkbench.cli.suite import recency, suite
from clworkbench.cli.verb import Answer, Moment, answers, known_at, workspace_option
from clworkbench.display.text import short

if TYPE_CHECKING:
    from clworkbench.loop.signals.ingest_report import IngestReport
    from clworkbench.schemas import TrainingKind
    from clworkbench.workspace import Workspace

KINDS = ("sft", "preference", "unpaired", "reward", "prompts")
"""`schemas.TRAINING_KINDS`, which would bring polars into `clw --help`."""

MANY = 12
"""Files, reasons or kinds of which each still gets a line of its own."""


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--source", default="auto", show_default=True, help="A source declared in clw.toml, or a format's name.")
@click.option("--read-until", type=Moment(), help="All events up to then have been read: settles a quiet feed.")
@click.option("--dry-run", is_flag=True, help="Show the first records as they would be kept; write nothing.")
@click.option("--draft-mapping", is_flag=True, help="Propose a mapping for PATH, a table of your own; write nothing.")
@workspace_option
@answers
def ingest(
    paths: tuple[str, ...],
    source: str,
    read_until: datetime | None,
    dry_run: bool,
    draft_mapping: bool,
    workspace: str,
) -> Answer:
    """Read files (or folders of files) into the tables: nothing lost, nothing double.

    Formats are told by content, each file by itself: traces of OpenTelemetry, OpenAI-style logs, exports of the tracing
    tools (docs/sources.md lists them), as JSON lines, JSON documents, CSV, Parquet or Arrow, also packed with gzip or
    zstd. Your own table is read through a mapping in clw.toml, which --draft-mapping proposes. records = new + known +
    skipped + quarantined. Reading the same file again adds nothing, and of one that has grown only the new is read.
    """
    from clworkbench.display.progress import progress_bar
    from clworkbench.loop.signals import capture
    from clworkbench.workspace import Workspace

    if draft_mapping:
        return _draft(paths)
    place = Workspace(workspace)
    if dry_run and len(paths) > 1:
        raise click.UsageError("--dry-run shows one file. Look at one after the other.")
    if dry_run:
        return _preview(place, paths[0], source)
    with progress_bar("ingest") as advance:
        report = capture.ingest(place, paths, source, read_until=read_until, advance=advance)
    return report.as_dict(), [*_each_file(report), *_counts(report)]


def _each_file(report: "IngestReport") -> list[str]:
    """How each file was read, and why so; of many files, by format."""
    lines = [f"  left out    {file}: {found}" for file, found in report.left_out.items()]
    if len(report.files) > MANY:
        formats = Counter(file.detection.format for file in report.files)
        return [f"  {n:,} files read as {name}" for name, n in formats.most_common()] + lines
    return [
        f"  {Path(f.file).name}: read as {f.detection.format} ({f.detection.reason}), {f.records:,} records"
        for f in report.files
    ] + lines


def _counts(report: "IngestReport") -> list[str]:
    quarantined = [
        f"  quarantined {n:,}: {why}" + (f" (first: {report.places[why]})" if why in report.places else "")
        for why, n in report.quarantined_why.most_common(MANY)
    ]
    if (others := len(report.quarantined_why) - MANY) > 0:
        quarantined.append(f"  quarantined and for {others} reasons more (--json has all)")
    from clworkbench.signals.view import said_of_no_signals

    unmatched = [f"  unmatched   {report.unmatched:,} feedback rows: what they are about is not here"]
    return [
        f"{report.records:,} records = {report.new:,} new + {report.known:,} known"
        f" + {report.skipped:,} skipped + {report.quarantined:,} quarantined",
        *(f"  skipped     {n:,}: {why}" for why, n in report.skipped_why.items()),
        *quarantined,
        *(f"  redacted    {n:,} {kind}" for kind, n in report.redacted.items()),
        *(f"  fidelity    {item.count:,}: {item.kind}, e.g. {item.example}" for item in report.fidelity[:MANY]),
        *(
            [f"  fidelity    and {more} kinds more (--json has all)"]
            if (more := len(report.fidelity) - MANY) > 0
            else []
        ),
        *(unmatched if report.unmatched else []),
        *(f"  no answer   {said}" for said in said_of_no_signals(report.unanswered)),
        "rows added: " + (", ".join(f"{table} {n:,}" for table, n in report.tables.items() if n) or "none"),
    ]


def _draft(paths: tuple[str, ...]) -> Answer:
    from clworkbench.signals.drafting import draft_mapping as guess

    if len(paths) != 1:
        raise click.UsageError("--draft-mapping takes one file. Draft one mapping after the other.")
    found = guess(paths[0])
    lines = [
        "# A guess from names and values. Put it into clw.toml, mend it, and look at it with:",
        f"#   clw ingest {paths[0]} --source {found.source.name} --dry-run",
        *repr(found).splitlines(),
        *(f"#   {n:,} not: {why}" for why, n in found.quarantined.items()),
    ]
    columns = [{"column": c.name, "field": found.source.columns.get(c.name), "filled": c.filled} for c in found.columns]
    shown = {"source": found.source.name, "record": found.source.record, "toml": found.toml(), "columns": columns}
    return shown | {"read": found.read, "quarantined": dict(found.quarantined)}, lines


def _preview(workspace: "Workspace", path: str, source: str) -> Answer:
    from clworkbench.loop.signals.capture import preview

    chunk = preview(workspace, path, source)
    shown = {
        "interactions": chunk.interactions.drop("record"),
        "feedback": chunk.feedback.drop("record"),
        "quarantine": chunk.quarantine,
    }
    lines = ["Nothing was written. The first records would be kept as:"]
    for table, frame in shown.items():
        for number, row in enumerate(frame.head(3).iter_rows(named=True), 1):
            lines.append(f"{table} {number}")
            lines += [f"  {name:<16} {short(value)}" for name, value in row.items() if value not in (None, [], "")]
    return {name: frame.to_dicts() for name, frame in shown.items()}, lines


@click.command()
@click.option("--n", type=click.IntRange(min=1), help="How many; [candidates] n when left out.")
@click.option("--out", type=click.Path(path_type=Path), help="Write them as a CSV that reviewers fill in.")
@known_at
@workspace_option
@answers
def select(n: int | None, out: Path | None, as_of: datetime | None, event_time: bool, workspace: str) -> Answer:
    """Select the signals that deserve a person's attention, each with its reasons.

    Reasons, in the order of [candidates] quotas: held_for_review (by the policy), label_conflict, human_override
    (somebody corrected it), repeated_failure (others that say nearly the same failed too), failure, disagreement
    (another model answered otherwise), drifted_slice (only where clw.toml names it), low_confidence (the lowest tenth),
    novelty (unlike what was learned), your own in [candidates.reasons], and random, so that what nobody thought of is
    seen too. What was labelled or drawn before, duplicates, and what is over a user's cap are taken out first. Each
    signal left is drawn with a known chance, by its first reason: `clw label estimate` weighs labels by it. The same
    selection again names the same signals.
    """
    from clworkbench.loop.data import choose, write_candidates
    from clworkbench.workspace import Workspace

    place = Workspace(workspace)
    found = choose(place, n, as_of=as_of, event_time=event_time)
    lines = found.lines()
    if out:
        write_candidates(place, found, out)
        lines.append(f"Fill in value (accept or reject) or improvement in {out}, then `clw label import {out}`.")
    return {**found.as_dict(), "file": str(out) if out else None}, lines


@click.command()
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(KINDS), default="sft", show_default=True)
@click.option(
    "--where", metavar="EXPR", help="Only signals for which this SQL expression is true; a slice's name is one."
)
@click.option("--learned-by", metavar="RUN", help="Rows this run has learned are replayed, not new.")
@click.option("--tokens", is_flag=True, help="Tell how long its rows are for the tokenizer of [model] base.")
@known_at
@workspace_option
@answers
def build(
    name: str | None,
    kind: "TrainingKind",
    where: str | None,
    learned_by: str | None,
    tokens: bool,
    as_of: datetime | None,
    event_time: bool,
    workspace: str,
) -> Answer:
    """Build a training set NAME from what production and reviewers said about answers; prints the waterfall.

    --kind says what its rows are for: sft (accepted, corrected and labelled answers), preference (of two answers the
    better one, for DPO), unpaired (answers that were wanted and that were not, for KTO), reward (whole dialogues in
    pairs, with margins where answers were rated) or prompts (with what a sampled answer is verified with, for GRPO).
    Rows that stand in a suite are dropped and counted. The same inputs give the same version.
    """
    from clworkbench.loop.training_sets.convert import build as make
    from clworkbench.workspace import Workspace

    place = Workspace(workspace)
    made = make(
        place,
        name,
        kind=kind,
        where=where,
        learned_by=learned_by,
        as_of=as_of,
        event_time=event_time,
    )
    if not tokens:
        return made.as_dict(), made.lines()
    from clworkbench.loop.training_sets.trainable import token_statistics

    told = token_statistics(place, made.id)
    return made.as_dict() | {"tokens": told.as_dict()}, [*made.lines(), *told.lines()]


@click.command()
@click.argument("id")
@click.option("--all", "whole", is_flag=True, help="Every id, not a few of each kind.")
@workspace_option
@answers
def lineage(id: str, whole: bool, workspace: str) -> Answer:
    """Show what ID was made from, down to the source's records, and what was made from it.

    ID is a release, gate, eval, run, training set or suite, a signal's id, or the source's own id of a signal.
    """
    from clworkbench.lineage import trace
    from clworkbench.workspace import Workspace

    found = trace(Workspace(workspace), id)
    return found.as_dict(), found.lines(2**31) if whole else found.lines()


VERBS = [ingest, select, label, build, suite, recency, lineage]
