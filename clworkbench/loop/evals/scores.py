"""Scores of other harnesses: brought in once, and held against each other by the same gates as our own."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from clworkbench.audit.withdrawn import in_words, withdrawal
from clworkbench.display.html import html_table
from clworkbench.display.progress import Advance, silent
from clworkbench.display.text import short
from clworkbench.errors import ArtefactError, EvidenceError, ModelError
from clworkbench.evals.imported import ScoreFormat, read_scores
from clworkbench.evals.report import EvalReport, summary
from clworkbench.files import sha256_file
from clworkbench.loop.evals.model import Evaluation, champion, evaluate, resolve
from clworkbench.loop.leaving import door
from clworkbench.loop.releases.rules import gates_sha256, hashed_with, suites
from clworkbench.releases.pairs import with_suite
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import stable_id

SUITE = "suite:"

LONGEST = 200
"""Characters of a model's name, and bytes of a suite's, which names a folder."""


@dataclass(frozen=True, repr=False)
class ImportedScores:
    """What a file of another harness brought.

    Attributes:
        manifest: of the evaluation that keeps it.
        report: the means, overall and by slice.
        scores: rows of scores.
        left_out: records of the file that are no score: `place`, `reason`.
        known: whether they were there already.
    """

    manifest: dict[str, object]
    report: EvalReport
    scores: int
    left_out: pl.DataFrame
    known: bool

    def __repr__(self) -> str:
        return f"ImportedScores({self.report!r})"

    def _repr_html_(self) -> str:
        reasons = self.left_out["reason"].value_counts(sort=True).iter_rows()
        lost = html_table(("left out", "n"), list(reasons)) if self.left_out.height else ""
        return self.report._repr_html_() + lost

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw scores import --json`."""
        return {
            "model": self.report.model,
            "suite": self.report.suite,
            "examples": self.report.n,
            "scores": self.scores,
            "known": self.known,
            "left_out": dict(self.left_out["reason"].value_counts(sort=True).iter_rows()),
            "metrics": self.report.as_dict()["metrics"],
        }


def import_scores(
    workspace: Workspace,
    path: str | Path,
    *,
    form: ScoreFormat = "auto",
    model: str | None = None,
    suite: str | None = None,
) -> ImportedScores:
    """Brings in what another harness scored; the same file again adds nothing, another one takes its place.

    Args:
        workspace: where the scores go.
        path: a log or results of tau2-bench, Inspect or lm-evaluation-harness, or rows in JSONL, Parquet or CSV.
        form: which of these; told by what the file holds when `auto`.
        model: whose scores they are: a name of your own, or a run's or release's id; what the file says when None.
        suite: what was measured: a name of your own, or that of a frozen suite whose examples have these ids; what the
            file says when None.

    Raises:
        SourceError: the file is not there, or of none of these kinds.
        EvidenceError: model or suite are said nowhere, nothing in it is a score, or a score stands there twice.
            The very file was withdrawn.
        ArtefactError: the model is said to be a run or a release that is not there.
    """
    path = Path(path)
    found = read_scores(path, form)
    name = _model(workspace, model or found.model, path)
    on = _suite(workspace, suite or found.suite, path)
    if found.rows.is_empty():
        raise EvidenceError(f"scores {path}: none of {found.left_out.height} records is a score. Try another --format.")
    asked: dict[str, object] = {"imported": {"sha256": sha256_file(path)}}
    key = stable_id("eval", name, SUITE + on, asked)
    artefact = f"eval:{on}-{key[:10]}"
    if taken_back := withdrawal(workspace, artefact):
        raise EvidenceError(
            f"scores {path}: this very file was {in_words(taken_back)}.\n"
            "Import a mended file; or, if it was withdrawn by mistake, this one under another name: --model NAME."
        )
    rows = found.rows.with_columns(model=pl.lit(name), suite=pl.lit(on))
    with workspace.lease(artefact, "scores import", wait_s=600):
        known = workspace.catalog.is_committed(key)
        if not known:
            clean = door(workspace).clear(rows, ("output", "error"))
            sha256 = gates_sha256(workspace, hashed_with(workspace, [SUITE + on]), [rows])
            detail = {"model": name, "suite": SUITE + on, "gates_sha256": sha256, "file": path.name}
            workspace.write_batch(key, "eval", {"scores": clean}, detail=detail)
        kept = workspace.scan("scores").filter(pl.col("batch_id") == key).collect()
        report = summary(kept)
        about = {"model": name, "suite": on, "asked": asked, "batch_id": key, **report.as_dict()}
        about["gates_sha256"] = workspace.catalog.batches(batch_id=key)[0].detail["gates_sha256"]
        parents = [each for each in (SUITE + on, name) if workspace.catalog.artefact(each)]
        manifest = workspace.publish(artefact, parents=parents, config=asked, about=about)
    return ImportedScores(manifest, report, kept.height, found.left_out, known)


def _model(workspace: Workspace, name: str | None, path: Path) -> str:
    if not name:
        raise EvidenceError(f"scores {path}: it does not say which model was scored. Name it: --model NAME.")
    if len(name) > LONGEST or not name.isprintable():
        raise EvidenceError(f"scores {path}: {short(name, 40)} names no model. Name it in a line: --model NAME.")
    ours = name.startswith(("run:", "release:")) or workspace.catalog.artefact(f"run:{name}") is not None
    return resolve(workspace, name).name if ours else name


def _suite(workspace: Workspace, name: str | None, path: Path) -> str:
    if not name:
        raise EvidenceError(f"scores {path}: it does not say what was measured. Name it: --suite NAME.")
    name = name.removeprefix(SUITE)
    try:
        return str(workspace.find("suite", name)["id"]).removeprefix(SUITE)
    except ArtefactError:
        plain = re.sub(r"[^\w.@+=-]+", "-", name).strip(".-")
    if not plain or len(plain.encode()) > LONGEST:
        raise EvidenceError(
            f"scores {path}: {short(name, 40)!r} cannot name a suite. Use up to {LONGEST} letters, digits, ., _ and -."
        )
    return plain


def brought_in(workspace: Workspace) -> list[dict[str, object]]:
    """The evaluations that were imported and not withdrawn since, the oldest first."""
    found = workspace.catalog.artefacts("eval")
    brought = [held for held in found if isinstance(asked := held.get("asked"), dict) and "imported" in asked]
    return [held for held in brought if withdrawal(workspace, str(held["id"])) is None]


def imported(workspace: Workspace, model: str) -> dict[str, dict[str, object]]:
    """The newest imported evaluation of a model on each suite, by the suite's id."""
    theirs = [manifest for manifest in brought_in(workspace) if manifest["model"] == model]
    return {SUITE + str(manifest["suite"]): manifest for manifest in theirs}


def known_as(workspace: Workspace, name: str) -> str:
    """What scores call a model: a name under which some were imported stands for itself.

    Raises:
        ModelError: no scores were imported under it, and it leads to no model.
        ArtefactError: no such run or release.
    """
    if imported(workspace, name):
        return name
    try:
        return resolve(workspace, name).name
    except ModelError as error:
        raise ModelError(f"{error}\nOr bring its scores in: `clw scores import PATH --model {name}`.") from error


def opponents(workspace: Workspace, challenger: str, against: str | None) -> list[str]:
    """What scores call the challenger, and the champion: the model that production serves when None.

    Raises:
        EvidenceError: both are the same model.
    """
    names = [known_as(workspace, name) for name in (challenger, against or champion(workspace))]
    if names[0] == names[1]:
        raise EvidenceError(f"{names[0]}: cannot be held against itself. Name another challenger, or --against.")
    return names


def is_local(workspace: Workspace, model: str) -> bool:
    """Whether a name leads to weights, so that the model can be asked here."""
    try:
        resolve(workspace, model)
    except (ModelError, ArtefactError):
        return False
    return True


def measured_on(workspace: Workspace, models: list[str], suite: str | None) -> list[str]:
    """The suites on which these models are held against each other.

    Models that can be asked here are measured on the suites of `[evals]`; where one cannot, on all suites for which
    both have imported scores: frozen ones, or else those of names of one's own.

    Raises:
        EvidenceError: there is none.
    """
    brought = {model: imported(workspace, model) for model in models}
    foreign = [model for model in models if not is_local(workspace, model)]
    named = SUITE + suite.removeprefix(SUITE) if suite else None
    if named and any(named in suites_of for suites_of in brought.values()):
        return [named]
    if not foreign:
        return suites(workspace, suite)
    common = set.intersection(*(_can(workspace, model, foreign, brought[model]) for model in models))
    wanted = sorted(each for each in common if suite is None or each.partition("@")[0] == str(named).partition("@")[0])
    if wanted:
        return [each for each in wanted if workspace.catalog.artefact(each)] or wanted
    has = "; ".join(f"{model} on {', '.join(sorted(on)) or 'nothing'}" for model, on in brought.items())
    raise EvidenceError(
        f"gate: no {named or 'suite'} on which both models were scored. Imported: {has}.\n"
        "Bring scores in with `clw scores import PATH --model NAME --suite NAME`, the same suite for both."
    )


class Measurable(NamedTuple):
    """Suites at hand: their ids, their examples with `slices`, and imported scores where examples are elsewhere."""

    suites: list[str]
    examples: pl.DataFrame
    imported: pl.DataFrame | None


def measurable(workspace: Workspace, suite: str | None = None) -> Measurable:
    """The suites on which models can be compared: frozen ones, or else those on which scores were imported.

    Raises:
        ArtefactError: there is none.
    """
    named = SUITE + suite.removeprefix(SUITE) if suite else None
    ids = sorted({SUITE + str(manifest["suite"]) for manifest in brought_in(workspace)})
    wanted = [each for each in ids if named in (None, each) and not workspace.catalog.artefact(each)]
    if not wanted or (suite is None and workspace.catalog.artefacts("suite")):
        frozen = suites(workspace, suite)
        return Measurable(frozen, pl.concat([workspace.rows(name) for name in frozen]), None)
    batches = [held["batch_id"] for held in brought_in(workspace) if SUITE + str(held["suite"]) in wanted]
    scores = workspace.scan("scores").filter(pl.col("batch_id").is_in(batches)).collect()
    examples = scores.group_by("suite", "example_id").agg(
        pl.col("slices").explode(keep_nulls=False, empty_as_null=False).unique()
    )
    return Measurable(wanted, examples.with_columns(slices=with_suite()), scores)


def _can(workspace: Workspace, model: str, foreign: list[str], brought: dict[str, dict[str, object]]) -> set[str]:
    there = set() if model in foreign else {str(each["id"]) for each in workspace.catalog.artefacts("suite")}
    return there | set(brought)


def scored(workspace: Workspace, model: str, suite: str, advance: Advance = silent) -> Evaluation:
    """A model's scores on a suite: those that were imported, else its answers are scored here."""
    manifest = imported(workspace, model).get(suite)
    if manifest is None:
        return evaluate(workspace, model, suite, advance=advance)
    rows = workspace.scan("scores").filter(pl.col("batch_id") == manifest["batch_id"]).collect()
    return Evaluation(manifest, rows, cached=True)
