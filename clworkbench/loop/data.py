"""Select, label, build, freeze: from signals to candidates, labels, training sets and suites."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl

from clworkbench.audit.budget import allow
from clworkbench.candidates.reasons import reasons_of
from clworkbench.candidates.select import Selection, select
from clworkbench.errors import ArtefactError
from clworkbench.evals.suites import read_suite, ungradable
from clworkbench.files import write_atomically
from clworkbench.labels.reviewers_file import candidates_file, read_labels
from clworkbench.loop.candidates.evidence import asks_for_drift, drawn_before, evidence, known
from clworkbench.loop.evals.scoring import scoring
from clworkbench.loop.leaving import door
from clworkbench.loop.slices.drift import Drifted, drifted_signals, newest_set
from clworkbench.loop.slices.slices import declared, with_slices
from clworkbench.policy.redaction import redact
from clworkbench.schemas import ACCEPT_WORDS, REJECT_WORDS, as_frozen
from clworkbench.settings import JUDGE
from clworkbench.slices.slice import Slice, versions
from clworkbench.workspace import Workspace
from clworkbench.workspace.catalog import Batch, as_moment, now
from clworkbench.workspace.folder import stable_id

WAIT_S = 600.0


def choose(
    workspace: Workspace,
    n: int | None = None,
    *,
    as_of: datetime | None = None,
    event_time: bool = False,
    beside: pl.DataFrame | None = None,
) -> Selection:
    """Selects the signals that deserve a person's attention and keeps them as candidates, with their reasons.

    What was labelled, or drawn by an earlier selection, is not drawn again; where an answer was withdrawn, or where
    answers differ, it may be. Where nothing changed since a selection of as many, it is the same one.

    Args:
        workspace: whose signals.
        n: how many; `[candidates] n` when None.
        as_of: only what was known by then; all when None.
        event_time: goes by the events' dates, not by when they were committed.
        beside: more columns by `interaction_id` that reasons may name. One called `drifted_slice` (Boolean) takes the
            place of what `drift` finds, which is looked for only where clw.toml names it.

    Raises:
        SettingsError: `[candidates]` makes no sense.
        ExpressionError: a reason cannot be read, or names what is not there.
    """
    settings = workspace.settings.candidates
    reasons, quotas = reasons_of(settings.reasons, settings.quotas)
    as_of = None if as_of is None else as_moment(as_of)
    known_at, n = as_of or now(), settings.n if n is None else n
    with workspace.lease("select", "select", wait_s=WAIT_S):
        workspace.sweep("select")
        found = known(workspace, as_of=as_of, event_time=event_time, beside=beside)
        inputs = found.inputs(workspace, n)
        same = next((b for b in workspace.catalog.batches(kind="select") if b.detail.get("inputs") == inputs), None)
        until = datetime.fromisoformat(str(same.detail["as_of"])) if same else known_at
        drawn, turn = drawn_before(workspace, found, until)
        learned = _learned(workspace, same, as_of, event_time=event_time)

        def drift(rows: pl.DataFrame) -> Drifted:
            return drifted_signals(workspace, rows, learned, as_of=as_of, event_time=event_time)

        rows, rests_on, silent = evidence(
            workspace, found.rows.with_columns(drawn), reasons, quotas, learned,
            drift if asks_for_drift(settings) else None,
        )  # fmt: skip
        selection = select(
            rows, n=n, pseudonyms=workspace.pseudonyms, as_of=known_at, quotas=quotas, reasons=reasons,
            per_user=settings.per_user, duplicates=settings.duplicates, turn=turn,
        )  # fmt: skip
        if "drawn" in rows.columns:
            selection = _weighed_by_sample(selection, rows)
        selection = replace(
            selection,
            n_signals=found.n_signals,
            taken_out=found.dropped | selection.taken_out,
            labelled=_with_labels(selection.labelled, found.labels),
            rests_on=rests_on,
            silent=selection.silent | {name: why for name, why in silent.items() if name in selection.silent},
        )
        selection = _of_its_own(workspace, selection, same, inputs)
        batch_id = stable_id("select", selection.frame["candidate_id"].sort().to_list())
        if selection.frame.height and not workspace.catalog.is_committed(batch_id):
            how: dict[str, object] = {"as_of": known_at.isoformat(), "by_reason": selection.by_reason}
            by_name = [Slice(*reason) for reason in reasons.items()]
            how |= {"reasons": versions(by_name), "slices": versions(declared(workspace))}
            detail = how | {"inputs": inputs, "learned": learned, "taken_out": selection.taken_out}
            detail |= {"signals": selection.n_signals, "rests_on": rests_on}
            workspace.write_batch(batch_id, "select", {"candidates": selection.frame}, detail=detail)
    return selection


def _of_its_own(workspace: Workspace, selection: Selection, same: Batch | None, inputs: str) -> Selection:
    """The same selection, with other ids for what another one drew for the same reasons: an id stands for one row.

    Two draw the same where the later one is of an earlier day, or where an answer was withdrawn.
    """
    others = workspace.scan("candidates").filter(pl.col("batch_id") != (same.batch_id if same else ""))
    taken = others.select("candidate_id").unique().collect()["candidate_id"]
    ids = selection.frame["candidate_id"]
    own = pl.Series(workspace.pseudonyms.ids(f"candidate of {inputs}", ids), dtype=pl.String)
    other = pl.when(ids.is_in(taken.implode())).then(own).otherwise(ids)
    return replace(selection, frame=selection.frame.with_columns(candidate_id=other))


def _learned(workspace: Workspace, same: Batch | None, as_of: datetime | None, *, event_time: bool) -> str | None:
    """The training set that the same selection was held against where it is still there, else the newest."""
    noted = same.detail.get("learned") if same else None
    there = [str(manifest["id"]) for manifest in workspace.catalog.artefacts("training_set")]
    return str(noted) if noted in there else newest_set(workspace, as_of, event_time=event_time)


def _with_labels(labelled: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """What was said of those that need no label: one row for each answer."""
    said = labels.filter(pl.col("status") == "submitted").select("interaction_id", "question", "value")
    return labelled.join(said, left_on="label_of", right_on="interaction_id", how="left", maintain_order="left")


def _weighed_by_sample(selection: Selection, sampled: pl.DataFrame) -> Selection:
    """The same selection, its chances of inclusion those of being sampled and then selected."""
    rates = sampled.select("interaction_id", rate="inclusion_probability")
    both = pl.col("inclusion_probability") * pl.col("rate")
    frame = selection.frame.join(rates, on="interaction_id", how="left", maintain_order="left")
    return replace(selection, frame=frame.with_columns(inclusion_probability=both).drop("rate"))


def write_candidates(workspace: Workspace, selection: Selection, path: Path) -> None:
    """Writes a selection as a CSV that reviewers fill in.

    Raises:
        ArtefactError: the file is there already: somebody may be filling it in.
        BudgetError: nothing is left to ask people for labels with.
    """
    allow(workspace, "label")
    if path.exists():
        raise ArtefactError(f"{path}: there already, and somebody may be filling it in. Name another file.")
    with workspace.lease("select", "select", wait_s=WAIT_S):  # a `clw forget` waits for it, and then finds the file
        chosen = workspace.signals().join(selection.frame, on="interaction_id", how="semi", maintain_order="left")
        shown = door(workspace).clear(chosen, ("text", "answer"))
        write_atomically(path, candidates_file(selection.frame, shown).write_csv())


def import_labels(workspace: Workspace, path: str | Path, *, source: str = "reviewers") -> dict[str, object]:
    """Reads what reviewers filled in, and counts its rows by what became of them; the same file again adds nothing.

    Each new submitted label costs `usd_per_label` of `[budget]`, spent under `label`; what people have done already is
    imported and counted also where nothing was left.

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
            fresh = keep_labels(workspace, batch_id, labels, source=source, detail={"file": path.name}).height
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


def keep_labels(
    workspace: Workspace, batch_id: str, labels: pl.DataFrame, *, source: str, detail: Mapping[str, object]
) -> pl.DataFrame:
    """Commits labels as one batch with what its new ones cost (`usd_per_label` each, if they count); returns those."""
    price = workspace.settings.budget.usd_per_label

    def settle(fresh: Mapping[str, pl.DataFrame]) -> None:
        if usd := price * fresh["labels"].filter(pl.col("status") == "submitted").height:
            workspace.catalog.spend("label", batch_id, 0.0, usd)

    brought = workspace.write_batch(batch_id, "labels", {"labels": labels}, source=source, detail=detail, settle=settle)
    return brought["labels"]


def freeze_suite(workspace: Workspace, name: str, path: str | Path) -> dict[str, object]:
    """Freezes a file of examples as a suite; the same examples again are the same version.

    Examples that name the signals they came from are in the slices of clw.toml that hold these, too; the manifest keeps
    which version each slice had, and how many examples each scorer of `[evals]` cannot grade.
    """
    path = Path(path)
    frame = read_suite(path)
    if workspace.settings.policy.redaction != "off":
        # No name may stand in its ids either; those of signals are opaque.
        ids = redact(frame.select(source_id="example_id"), workspace.pseudonyms).frame
        frame = frame.with_columns(ids.select(example_id="source_id"))
    return keep_suite(workspace, name, frame, {"file": path.name})


def keep_suite(
    workspace: Workspace, name: str, examples: pl.DataFrame, more: Mapping[str, object]
) -> dict[str, object]:
    """Freezes examples (`schemas.SUITE`) with their slices and with texts as they may leave; returns the manifest."""
    leaving = door(workspace)
    frame, asked = with_slices(workspace, examples)
    if workspace.settings.policy.redaction != "off":
        # A suite is asked of models as they are trained: with texts as they may leave.
        groups = redact(frame.select(conversation_id="group"), workspace.pseudonyms).frame
        frame = frame.with_columns(groups.select(group="conversation_id"))
        frame = leaving.clear(frame, ("input", "expected"))
    asking_nobody = [name for name in workspace.settings.evals.scorers if not name.startswith(JUDGE)]
    with scoring(workspace):
        blind = ungradable(frame, asking_nobody)
    about = {
        "leaving": leaving.as_dict(),
        "examples": frame.height,
        "slices": dict(sorted(frame["slices"].explode().drop_nulls().value_counts().iter_rows())),
        "slice_versions": versions(asked),
        "ungradable": dict(sorted(blind["scorer"].value_counts().iter_rows())),
        "ungradable_because": _reasons(blind),
        **more,
    }
    return workspace.publish_rows("suite", name, as_frozen(frame), about=about)


def _reasons(blind: pl.DataFrame) -> dict[str, str]:
    """By scorer, the reason that it gives most often, where it gives any."""
    told = blind.drop_nulls("reason").group_by("scorer", "reason").len()
    first = told.sort(["scorer", "len", "reason"], descending=[False, True, False]).unique("scorer", keep="first")
    return dict(first.sort("scorer").select("scorer", "reason").iter_rows())
