"""The audit of a training set: every rule that it was built by, looked at again in its rows."""

from collections.abc import Mapping

import msgspec
import polars as pl

from clworkbench.audit import origins, policy_kept
from clworkbench.audit.check import Check, failed, passed
from clworkbench.audit.origins import REBUILD, SetManifest
from clworkbench.audit.whole import RESTORE, rows_of, some, whole
from clworkbench.errors import ArtefactError, ClwError
from clworkbench.schemas import SUITE, TRAINING_ROWS
from clworkbench.training_sets.leakage import leaks, proof
from clworkbench.training_sets.split import with_split
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import sha256_json


def training_set(workspace: Workspace, artefact_id: str) -> list[Check]:
    """All checks of a training set; where the folder is not whole, nothing further is looked at."""
    checks, manifest = whole(workspace, artefact_id)
    if manifest is None:
        return checks
    more, rows = rows_of(workspace, manifest, TRAINING_ROWS["sft"])
    checks += more
    said = _shaped(manifest)
    if isinstance(said, Check):
        return [*checks, said]
    if not all(check.ok for check in checks):
        return checks
    return [
        *checks,
        _settings(said),
        *origins.lineage(workspace, rows),
        origins.in_time(workspace, rows, said),
        *origins.waterfall(rows, said),
        *_leaks(workspace, rows, said),
        *_split(workspace, rows, said),
        *policy_kept.checks(workspace, rows, said),
    ]


def _shaped(manifest: Mapping[str, object]) -> SetManifest | Check:
    try:
        said = msgspec.convert(manifest, SetManifest)
        _ = said.known_at
    except (msgspec.ValidationError, ClwError) as error:
        return failed("manifest's form", 1, f"{error}. {RESTORE}.")
    return said


def _settings(said: SetManifest) -> Check:
    right = sha256_json(said.settings) == said.config_sha256
    found = (
        "have the hash in the manifest" if right else f"do not have the hash that the manifest gives them. {RESTORE}."
    )
    return Check("settings", right, len(said.settings), found)


def _leaks(workspace: Workspace, rows: pl.DataFrame, said: SetManifest) -> list[Check]:
    """No held-out example among the rows: neither of the suites known then, nor of those frozen since."""
    there = [str(manifest["id"]) for manifest in workspace.catalog.artefacts("suite")]
    since = [suite for suite in there if suite not in said.checked_against]
    return [
        _held_out(workspace, rows, said.checked_against, "leak"),
        _held_out(workspace, rows, since, "leak: suites frozen since"),
    ]


def _held_out(workspace: Workspace, rows: pl.DataFrame, suites: list[str], name: str) -> Check:
    if not suites:
        return passed(name, 0, "no such suite")
    try:
        examples = pl.concat([pl.DataFrame(schema=SUITE), *(workspace.rows(suite) for suite in suites)])
    except (ArtefactError, pl.exceptions.PolarsError) as error:
        return failed(name, 1, f"a suite cannot be read: {error}")
    found = leaks(rows, examples, workspace.pseudonyms)
    leaking = {*rows["row_id"].filter(found.is_not_null()), *proof(rows, examples)}
    if leaking:
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in found.drop_nulls().value_counts().iter_rows())
        said = f"{len(leaking):,} rows stand in {some(suites)} ({kinds or 'by the proof'}): {some(sorted(leaking))}"
        return failed(name, len(leaking), f"{said}. {REBUILD}.")
    return passed(name, rows.height, f"no row stands in {some(suites)} ({examples.height:,} examples)")


def _split(workspace: Workspace, rows: pl.DataFrame, said: SetManifest) -> list[Check]:
    """The split is what the workspace's key makes of the groups, and no group stands on both sides."""
    sides = rows.group_by("group").agg(pl.col("split").n_unique())
    both = sides.filter(pl.col("split") > 1).height
    one_side = "each group stands on one side" if not both else f"{both:,} groups stand on both sides. {REBUILD}."
    training = said.settings.get("training")
    holdout = training.get("holdout") if isinstance(training, Mapping) else None
    if not isinstance(holdout, int | float):
        return [failed("split", 1, f"the manifest gives no holdout share. {REBUILD}.")]
    again = with_split(rows.drop("split"), holdout=float(holdout), salt=workspace.pseudonyms.split_salt)
    moved = rows.filter(again["split"] != rows["split"]).height
    hashed = f"is what the key makes of {holdout:.0%} held out"
    return [
        Check("groups", both == 0, both or sides.height, one_side),
        Check("split", moved == 0, moved or rows.height, hashed if not moved else f"{moved:,} rows moved. {REBUILD}."),
    ]
