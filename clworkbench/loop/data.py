"""Select, label, build, freeze: from signals to candidates, labels, training sets and suites."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from clworkbench import expressions
from clworkbench.candidates.select import DEFAULT, Selection, select
from clworkbench.display.html import html_table
from clworkbench.errors import ArtefactError, EvidenceError, ExpressionError, ModelError
from clworkbench.evals.suites import read_suite
from clworkbench.files import write_atomically
from clworkbench.labels.reviewers_file import candidates_file, read_labels
from clworkbench.loop.model import resolve
from clworkbench.policy.redaction import redact, redact_text
from clworkbench.schemas import ACCEPT_WORDS, REJECT_WORDS, SUITE
from clworkbench.settings import settings_dict
from clworkbench.training_sets.leakage import proof
from clworkbench.training_sets.sft import BuiltSet, SftRules, build_sft
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import now
from clworkbench.workspace.folder import stable_id

WAIT_S = 600.0
UNSETTLED = "no settled, corrected or labelled signal to learn from"


@dataclass(frozen=True, repr=False)
class Build:
    """A published training set: its manifest, and how it came about."""

    manifest: dict[str, object]
    built: BuiltSet

    @property
    def id(self) -> str:
        """`training_set:name@version`."""
        return str(self.manifest["id"])

    def __repr__(self) -> str:
        made = self.built
        return f"Build({self.id}: {made.frame.height:,} rows, {made.n_new:,} new, from {made.n_signals:,} signals)"

    def _repr_html_(self) -> str:
        lost = [(f"dropped: {reason.replace('_', ' ')}", n) for reason, n in self.built.dropped.items() if n]
        rows = [("signals", self.built.n_signals), *lost, *self.built.splits.items()]
        return html_table(("rows", "n"), rows, caption=self.id)

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw build --json`."""
        return {
            "id": self.id.removeprefix("training_set:"),
            "kind": "sft",
            "rows": self.built.frame.height,
            "splits": self.built.splits,
            "dropped": self.built.dropped,
            "signals": self.built.n_signals,
            "new": self.built.n_new,
            "sha256": self.manifest["rows_sha256"],
        }


def choose(
    workspace: Workspace, n: int | None = None, *, as_of: datetime | None = None, event_time: bool = False
) -> Selection:
    """Selects the signals that deserve a person's attention and keeps them as candidates, with their reasons.

    What a person has labelled already is not chosen again.
    """
    settings = workspace.settings.candidates
    known_at = as_of or now()
    with workspace.lease("select", "select", wait_s=WAIT_S):
        workspace.sweep("select")
        found = workspace.signals(as_of=as_of, event_time=event_time)
        labels = workspace.labels(as_of=as_of, event_time=event_time)
        open_ones = found.join(labels, on="interaction_id", how="anti", maintain_order="left")
        n = settings.n if n is None else n
        quotas = settings.quotas or DEFAULT
        selection = select(open_ones, n=n, pseudonyms=workspace.pseudonyms, as_of=known_at, quotas=quotas)
        batch_id = stable_id("select", selection.frame["candidate_id"].sort().to_list())
        if not workspace.catalog.is_committed(batch_id):
            detail = {"as_of": known_at.isoformat(), "by_reason": selection.by_reason}
            workspace.write_batch(batch_id, "select", {"candidates": selection.frame}, detail=detail)
    return selection


def write_candidates(workspace: Workspace, selection: Selection, path: Path) -> None:
    """Writes a selection as a CSV that reviewers fill in.

    Raises:
        ArtefactError: the file is there already: somebody may be filling it in.
    """
    if path.exists():
        raise ArtefactError(f"{path}: there already, and somebody may be filling it in. Name another file.")
    write_atomically(path, candidates_file(selection.frame, workspace.signals()).write_csv())


def import_labels(workspace: Workspace, path: str | Path, *, source: str = "reviewers") -> dict[str, object]:
    """Reads what reviewers filled in, and counts its rows by what became of them; the same file again adds nothing.

    An answer is accepted or rejected in `value` (`schemas.ACCEPT_WORDS`, `REJECT_WORDS`), or bettered in `improvement`.
    """
    path = Path(path)
    known = workspace.scan("interactions").select("interaction_id").unique().collect()["interaction_id"]
    redacted = workspace.settings.policy.redaction != "off"
    found = read_labels(path, known, workspace.pseudonyms, source=source, redacted=redacted)
    unclear = (
        (pl.col("question") == "answer")
        & pl.col("improvement").is_null()
        & ~pl.col("value").str.to_lowercase().is_in((*ACCEPT_WORDS, *REJECT_WORDS))
    ).fill_null(value=False)
    labels, left_out = found.labels.filter(~unclear), found.labels.filter(unclear).height
    batch_id = stable_id("labels", source, labels["label_id"].sort().to_list())
    fresh = 0
    with workspace.lease("label", "label import", wait_s=WAIT_S):
        workspace.sweep("labels")
        if not workspace.catalog.is_committed(batch_id):
            detail = {"file": path.name}
            written = workspace.write_batch(batch_id, "labels", {"labels": labels}, source=source, detail=detail)
            fresh = written["labels"].height
    why = dict(found.rejected["reason"].value_counts().iter_rows())
    if left_out:
        why[f"value is none of {', '.join((*ACCEPT_WORDS, *REJECT_WORDS))}, and no improvement is given"] = left_out
    return {
        "new": fresh,
        "known": labels.height - fresh,
        "unanswered": found.unanswered,
        "rejected": found.rejected.height + left_out,
        "rejected_why": why,
    }


def freeze_suite(workspace: Workspace, name: str, path: str | Path) -> dict[str, object]:
    """Freezes a file of examples as a suite; the same examples again are the same version."""
    path = Path(path)
    frame = read_suite(path)
    if workspace.settings.policy.redaction != "off":
        frame = _redacted_suite(workspace, frame)
    about = {
        "examples": frame.height,
        "slices": dict(sorted(frame["slices"].explode().drop_nulls().value_counts().iter_rows())),
        "file": path.name,
    }
    return workspace.publish_rows("suite", name, frame, about=about)


def held_out(workspace: Workspace) -> pl.DataFrame:
    """The examples of all suites: nothing that stands in one may be learned."""
    suites = [workspace.rows(str(manifest["id"])) for manifest in workspace.catalog.artefacts("suite")]
    return pl.concat([pl.DataFrame(schema=SUITE), *suites])


def build(
    workspace: Workspace,
    name: str | None = None,
    *,
    as_of: datetime | None = None,
    event_time: bool = False,
    where: str | None = None,
    learned_by: str | None = None,
) -> Build:
    """Builds a training set from what is known at `as_of`; the same inputs give the same version.

    Args:
        workspace: where the signals are.
        name: the set's name; `[training] name` when None.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.
        where: an expression over signals that keeps only some; `[training] where` when None.
        learned_by: id of a run: rows of its training set count as learned and are replayed as `[training] replay`
            says.

    Raises:
        EvidenceError: nothing is left to learn from.
        ArtefactError: a held-out example still stands in the set.
    """
    settings = workspace.settings.training
    name = name or settings.name
    found = workspace.signals(as_of=as_of, event_time=event_time)
    condition = where or settings.where
    parents = training_sets_of(workspace, learned_by)
    rules = SftRules(
        where=_condition(condition, found) if condition else None,
        holdout=settings.holdout,
        replay=settings.replay,
        learned=[row for parent in parents for row in workspace.rows(parent)["row_id"]],
        draw=name,
    )
    examples = held_out(workspace)
    labels = workspace.labels(as_of=as_of, event_time=event_time)
    made = build_sft(found, labels, examples, rules, workspace.pseudonyms)
    left = proof(made.frame, examples)
    _check(made, left, name, learned_by)
    config = {
        "training": settings_dict(settings),
        "where": condition,
        "policy": settings_dict(workspace.settings.policy),
    }
    about = {
        "as_of": as_of.isoformat() if as_of else None,
        "event_time": event_time,
        "signals": made.n_signals,
        "dropped": made.dropped,
        "splits": made.splits,
        "rules": dict(sorted(made.frame["rule"].value_counts().iter_rows())),
        "n_new": made.n_new,
        "leakage": {"examples": examples.height, "found": len(left)},
        "checked_against": [str(manifest["id"]) for manifest in workspace.catalog.artefacts("suite")],
        "settings": config,
    }
    manifest = workspace.publish_rows("training_set", name, made.frame, parents=parents, config=config, about=about)
    return Build(manifest, made)


def _check(made: BuiltSet, left: list[str], name: str, learned_by: str | None) -> None:
    """Refuses a set from which there is nothing to learn, or in which a held-out example still stands."""
    if learned_by and not made.n_new and made.dropped["not_replayed"]:
        raise EvidenceError(
            f"{name}: 0 rows that {learned_by} has not learned already ({made.dropped['not_replayed']} it has).\n"
            "Wait for new signals to settle, or build without --learned-by."
        )
    if not made.splits.get("train"):
        lost = ", ".join(f"{n} {reason}" for reason, n in made.dropped.items() if n) or "there are no signals"
        raise EvidenceError(f"{name}: {UNSETTLED}: of {made.n_signals} signals, {lost}.\nSee them with `clw status`.")
    if left:
        raise ArtefactError(
            f"{name}: {len(left)} rows still stand in a suite, the first {left[0]}. Nothing was written."
        )


def _condition(text: str, signals: pl.DataFrame) -> pl.Expr:
    """An expression that is known to give true or false on these signals."""
    expression = expressions.parse(text, signals.columns)
    try:
        kept = signals.select(kept=expression)["kept"]
    except pl.exceptions.PolarsError as error:
        raise ExpressionError(f"where: {text!r} fails on these signals: {error}. Mend the expression.") from error
    if kept.dtype != pl.Boolean:
        raise ExpressionError(f"where: {text!r} gives {kept.dtype}, not true or false. Compare it with something.")
    return expression


def training_sets_of(workspace: Workspace, model: str | None) -> list[str]:
    """The training set a run (or a release) was trained on, and those its parents were.

    Raises:
        ArtefactError: no such run or release.
        ModelError: another model than a run or a release.
    """
    if model is None:
        return []
    spec = resolve(workspace, model)
    if spec.adapter is None:
        raise ModelError(
            f"{model}: not a run or a release, so it has learned nothing from here. `clw status` lists runs."
        )
    sets: list[str] = []
    todo = [spec.name]
    while todo:
        parents = workspace.catalog.parents(todo.pop())
        sets += [p for p in parents if p.startswith("training_set:")]
        todo += [p for p in parents if p.startswith("run:")]
    return sets


def _redacted_suite(workspace: Workspace, frame: pl.DataFrame) -> pl.DataFrame:
    """A suite is asked of models as production would ask: redacted alike."""
    clean = redact(frame, workspace.pseudonyms).frame
    return clean.with_columns(expected=redact_text(frame["expected"], workspace.pseudonyms))
