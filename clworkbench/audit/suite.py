"""The audit of a suite: frozen examples that are whole, redacted, and of no excluded signal."""

from collections.abc import Mapping

import polars as pl

from clworkbench.audit.check import Check, failed, passed
from clworkbench.audit.policy_kept import none_excluded, nothing_found, texts_kept
from clworkbench.audit.whole import RESTORE, rows_of, whole
from clworkbench.schemas import SUITE
from clworkbench.workspace import Workspace


def suite(workspace: Workspace, artefact_id: str) -> list[Check]:
    """The checks of a suite; where the folder is not whole, nothing further is looked at."""
    checks, manifest = whole(workspace, artefact_id)
    if manifest is None:
        return checks
    more, rows = rows_of(workspace, manifest, SUITE, added=("inclusion",))
    checks += more
    if not all(check.ok for check in checks):
        return checks
    texts = rows.select("input", comment="expected", conversation_id="group")
    redaction = nothing_found(workspace, texts, workspace.settings.policy)
    return [*checks, _counts(rows, manifest), redaction, _signals(workspace, rows), _texts(workspace, rows)]


def _counts(rows: pl.DataFrame, manifest: Mapping[str, object]) -> Check:
    slices = dict(rows["slices"].explode().drop_nulls().value_counts().iter_rows())
    if (manifest.get("examples"), manifest.get("slices")) == (rows.height, slices):
        return passed("counts", rows.height, f"examples, in {len(slices)} slices, as the manifest says")
    return failed("counts", 1, f"the manifest says {manifest.get('examples')} examples in other slices. {RESTORE}.")


def _signals(workspace: Workspace, rows: pl.DataFrame) -> Check:
    """No signal that an example came from is excluded by the policy of today."""
    ids = rows.select("example_id", interaction_id="signal_ids").explode("interaction_id", empty_as_null=False)
    if ids.is_empty():
        return passed("excluded signals", 0, "its examples came from no signals")
    behind = workspace.signals().join(ids, on="interaction_id").rename({"example_id": "row_id"})
    today = workspace.settings
    return none_excluded("excluded signals", behind, today.policy, today.slices)


def _texts(workspace: Workspace, rows: pl.DataFrame) -> Check:
    """No example holds what a rule excludes by its pattern alone."""
    return texts_kept(rows.select("input", row_id="example_id", comment="expected"), workspace.settings.policy)
