"""The audit of a training set: every rule that it was built by, looked at again in its rows."""

from collections import Counter
from collections.abc import Mapping

import msgspec
import polars as pl

from clworkbench.audit import origins, policy_kept
from clworkbench.audit.check import Check, failed, passed
from clworkbench.audit.origins import REBUILD, SetManifest
from clworkbench.audit.whole import RESTORE, rows_of, some, whole
from clworkbench.errors import ArtefactError, ClwError
from clworkbench.schemas import MESSAGES, SUITE, TRAINING_ROWS
from clworkbench.training_sets.descent import asking, own_group
from clworkbench.training_sets.holdout import FORWARD, as_examples
from clworkbench.training_sets.leakage import LEAKS, leaks
from clworkbench.training_sets.planted import planted
from clworkbench.training_sets.proof import search
from clworkbench.training_sets.split import with_split
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import sha256_json


def training_set(workspace: Workspace, artefact_id: str) -> list[Check]:
    """All checks of a training set; where the folder is not whole, nothing further is looked at."""
    checks, manifest = whole(workspace, artefact_id)
    if manifest is None:
        return checks
    said = _shaped(manifest)
    if isinstance(said, Check):
        return [*checks, said]
    more, rows = rows_of(workspace, manifest, TRAINING_ROWS[said.rows_kind], added=("tools",))
    checks += more
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
        _ = said.known_at, said.cut
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
    """No held-out example among the rows: neither of the suites known then, nor of those since, nor its own."""
    asked = asking(rows, said.rows_kind)
    rows = _by_group(workspace, asked)
    there = [str(manifest["id"]) for manifest in workspace.catalog.artefacts("suite")]
    since = [suite for suite in there if suite not in said.checked_against]
    # What was held out was not taught: a suite may be drawn from it later.
    learned = asked.filter(pl.col("split") == "train")["row_id"]
    taught = rows.filter(pl.col("row_id").is_in(learned.implode()))
    return [
        _held_out(workspace, rows, said.checked_against, "leak"),
        _held_out(workspace, taught, since, "leak: suites frozen since"),
        _own_holdout(workspace, asked, said),
        _would_be_found(workspace, asked),
    ]


def _by_group(workspace: Workspace, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows, and again those that rest on several signals, by the group of each."""
    several = rows.filter(pl.col("signal_ids").list.len() > 1).select("row_id", interaction_id="signal_ids")
    if several.is_empty():
        return rows
    behind = several.explode("interaction_id", empty_as_null=False)
    known = workspace.scan("interactions").select("interaction_id", "conversation_id", "user_key")
    mine = known.join(behind.lazy(), on="interaction_id").select("row_id", group=own_group()).unique().collect()
    bare = mine.with_columns(prompt=pl.lit([], MESSAGES)).select("row_id", "prompt", "group")
    return pl.concat([rows, bare], how="diagonal")


def _held_out(workspace: Workspace, rows: pl.DataFrame, suites: list[str], name: str) -> Check:
    if not suites:
        return passed(name, 0, "no such suite")
    try:
        examples = pl.concat([pl.DataFrame(schema=SUITE), *(workspace.rows(suite) for suite in suites)])
    except (ArtefactError, pl.exceptions.PolarsError) as error:
        return failed(name, 1, f"a suite cannot be read: {error}")
    if leaking := _leaking(workspace, rows, examples):
        return failed(name, len(leaking), f"{_said(leaking, some(suites))}. {REBUILD}.")
    return passed(name, rows.height, f"no row stands in {some(suites)} ({examples.height:,} examples)")


def _own_holdout(workspace: Workspace, rows: pl.DataFrame, said: SetManifest) -> Check:
    """What the set itself holds out does not stand among what it teaches."""
    name, own = "leak: its own holdout", as_examples(rows)
    if "holdout_rows" not in (said.leakage or {}):
        return passed(name, 0, "not recorded: an older version made the set, which looked for leaks into suites alone")
    train = rows.filter(pl.col("split") == "train")
    if leaking := _leaking(workspace, train, own):
        return failed(name, len(leaking), f"{_said(leaking, 'the holdout')}. {REBUILD}.")
    return passed(name, own.height, f"no training row stands among the {own.height:,} held-out ones")


def _leaking(workspace: Workspace, rows: pl.DataFrame, examples: pl.DataFrame) -> dict[str, str]:
    """The rows that show an example, each with the kind of leak, by both searches."""
    proof = {found.row_id: found.kind for found in search(rows, examples, pseudonyms=workspace.pseudonyms)}
    found = rows.select("row_id", leak=leaks(rows, examples, workspace.pseudonyms)).drop_nulls("leak")
    return proof | dict(found.iter_rows())


def _said(leaking: Mapping[str, str], where: str) -> str:
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(Counter(leaking.values()).items()))
    return f"{len(leaking):,} rows stand in {where} ({kinds}): {some(sorted(leaking))}"


def _would_be_found(workspace: Workspace, rows: pl.DataFrame) -> Check:
    """The search for leaks can fail: one of each kind is planted beside the set's rows, and is found."""
    missed = planted(as_examples(rows.with_columns(split=pl.lit("planted"))), workspace.pseudonyms)
    if missed:
        return failed("leak: planted", len(missed), f"not told from clean rows: {some(missed)}. Update clworkbench.")
    return passed("leak: planted", len(LEAKS), "a leak of each kind was planted and found by both searches")


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
    cut = said.cut
    ahead = pl.col("split") == FORWARD if cut else pl.lit(value=False)
    late = (pl.col("at") >= cut).fill_null(pl.col("split") == "train") if cut else pl.lit(value=False)
    moved = rows.filter(~ahead & (late | (pl.lit(again["split"]) != pl.col("split")))).height
    since = f", and all from {cut} on" if cut else ""
    hashed = f"is what the key makes of {holdout:.0%} held out{since}"
    return [
        Check("groups", both == 0, both or sides.height, one_side),
        Check("split", moved == 0, moved or rows.height, hashed if not moved else f"{moved:,} rows moved. {REBUILD}."),
    ]
