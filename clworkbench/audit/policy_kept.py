"""Whether a training set's rows keep the policy that its manifest records, and the one of today."""

from collections.abc import Mapping

import msgspec
import polars as pl
from polars.exceptions import PanicException, PolarsError

from clworkbench.audit import taught, trusted
from clworkbench.audit.check import Check, failed, passed
from clworkbench.audit.origins import REBUILD, SetManifest
from clworkbench.audit.whole import RESTORE, some
from clworkbench.errors import ClwError
from clworkbench.policy.exclusion import excluded
from clworkbench.policy.marks import KEYED
from clworkbench.policy.redaction import MESSAGE_COLUMNS, redact
from clworkbench.policy.sampling import sampled
from clworkbench.schemas import MESSAGES, TRAINING_ROWS, TrainingKind
from clworkbench.settings import PolicySettings
from clworkbench.slices.slice import holds_in
from clworkbench.training_sets.descent import asking
from clworkbench.training_sets.texts import conversation, normalised
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import sha256_json

TIERS = {"auto": ["presidio", "patterns"], "presidio": ["presidio"], "patterns": ["patterns"]}
"""By what the policy says of texts that leave: which second tiers keep it."""

RATE_DOUBT = 0.0001
"""Shares of drawn signals are called wrong where right ones would be so far off once in 10,000 sets."""


def checks(workspace: Workspace, rows: pl.DataFrame, said: SetManifest) -> list[Check]:
    """The policy is recorded; no row is excluded, unredacted, not drawn, of too low quality, or above a cap."""
    recorded, policy = _recorded(said)
    if policy is None:
        return [recorded]
    slices = _slices(said)
    found = _signals(workspace, rows, said)
    ids = rows.select("row_id", interaction_id="signal_ids").explode("interaction_id", empty_as_null=False)
    behind = found.join(ids, on="interaction_id", how="inner", maintain_order="left")
    own = _own(rows, found)
    texts = _texts(rows, said.rows_kind)
    today = workspace.settings
    return [
        recorded,
        _kept(behind, said),
        none_excluded("excluded", behind, policy, slices),
        none_excluded("today's policy", behind, today.policy, today.slices),
        texts_kept(rows.select("row_id").hstack(texts), policy),
        _withdrawn(workspace, behind),
        nothing_found(workspace, texts.with_columns(rows["tools"], conversation_id=rows["group"]), policy),
        _second_tier(texts, policy, said),
        _sampled(workspace, behind, policy),
        _rates(workspace, found, policy),
        trusted.quality(workspace, own, found, policy, said),
        taught.right_way_round(workspace, rows, found, said),
        *_caps(own, policy, said),
    ]


def _signals(workspace: Workspace, rows: pl.DataFrame, said: SetManifest) -> pl.DataFrame:
    """The signals as they were known when the set was built, and those of its rows that are dated later than that."""
    found = workspace.signals(as_of=said.known_at, event_time=said.event_time)
    named = rows["signal_ids"].explode(empty_as_null=False).drop_nulls().unique()
    missing = named.filter(~named.is_in(found["interaction_id"].implode()))
    if missing.is_empty():
        return found
    late = workspace.signals().filter(pl.col("interaction_id").is_in(missing.implode()))
    return pl.concat([found, late], how="vertical_relaxed")


def _own(rows: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Each row beside the signal whose answer it is: the first of those that said the same."""
    told = ("user_key", "started_at", "confidence", "improvement_origin")
    outcomes = [name for name in found.columns if name.startswith("outcome_")]
    signals = found.select("interaction_id", *told, *outcomes)
    firsts = rows.with_columns(interaction_id=pl.col("signal_ids").list.first())
    return firsts.join(signals, on="interaction_id", how="inner", maintain_order="left")


def _recorded(said: SetManifest) -> tuple[Check, PolicySettings | None]:
    """The policy as the manifest has it."""
    plain = said.settings.get("policy")
    try:
        policy = msgspec.convert(plain, PolicySettings)
    except msgspec.ValidationError as error:
        return failed("policy", 1, f"none that this version reads: {error}. {REBUILD}."), None
    if said.policy_sha256 is None:
        return passed("policy", 1, "its hash is not recorded: an older version made the set"), policy
    right = said.policy_sha256 == sha256_json(plain)
    found = "recorded, with its hash" if right else f"its hash is not that of the policy in the manifest. {RESTORE}."
    return Check("policy", right, 1, found), policy


def _slices(said: SetManifest) -> Mapping[str, str]:
    """The slices that the set was built with, as its manifest has them."""
    slices = said.settings.get("slices", {})
    return {name: str(text) for name, text in slices.items()} if isinstance(slices, Mapping) else {}


def _kept(behind: pl.DataFrame, said: SetManifest) -> Check:
    """The condition that the set was built with keeps every signal behind its rows."""
    condition = said.settings.get("where")
    if condition is None:
        return passed("where", behind.height, "no condition was set")
    try:
        kept = holds_in(behind, str(condition), _slices(said), where="where")
    except (ClwError, PolarsError, PanicException) as error:
        return failed("where", 1, f"{error}")
    wrong = behind["row_id"].filter(~kept).n_unique()
    if wrong:
        return failed("where", wrong, f"{wrong:,} rows rest on signals that {condition!r} does not keep. {REBUILD}.")
    return passed("where", behind.height, f"{condition!r} keeps every signal behind the rows")


def none_excluded(name: str, behind: pl.DataFrame, policy: PolicySettings, slices: Mapping[str, str]) -> Check:
    """No signal behind a row is one that a rule keeps out."""
    if not policy.exclude:
        return passed(name, behind.height, "no rule excludes anything")
    unknown = [rule.name for rule in policy.exclude if rule.slice is not None and rule.slice not in slices]
    if unknown:
        return failed(name, len(unknown), f"rule {some(unknown)}: its slice is no longer in [slices]. {REBUILD}.")
    try:
        by = excluded(behind, policy.exclude, slices)
    except (ClwError, PolarsError, PanicException) as error:
        return failed(name, 1, f"{error}")
    wrong = behind["row_id"].filter(by.is_not_null()).n_unique()
    if wrong:
        rules = ", ".join(f"{rule} ({n:,})" for rule, n in by.drop_nulls().value_counts(sort=True).iter_rows())
        return failed(name, wrong, f"{wrong:,} rows rest on signals that are excluded by {rules}. {REBUILD}.")
    return passed(name, behind.height, f"{len(policy.exclude)} rules, and none excludes a signal behind the rows")


def texts_kept(texts: pl.DataFrame, policy: PolicySettings) -> Check:
    """No text of the rows, whoever wrote it, holds what a rule excludes by its pattern alone."""
    by_pattern = tuple(r for r in policy.exclude if r.pattern is not None and r.where is r.slice is r.source is None)
    if not by_pattern:
        return passed("excluded texts", texts.height, "no rule excludes by a pattern alone")
    return none_excluded("excluded texts", texts, msgspec.structs.replace(policy, exclude=by_pattern), {})


def _withdrawn(workspace: Workspace, behind: pl.DataFrame) -> Check:
    """No signal behind a row was reported again as one that a rule keeps out of the tables."""
    gone = workspace.refused(behind["interaction_id"].unique())
    wrong = behind.filter(pl.col("interaction_id").is_in(list(gone)))["row_id"].n_unique()
    if wrong:
        return failed("withdrawn", wrong, f"{wrong:,} rows rest on signals that a rule keeps out by now. {REBUILD}.")
    return passed("withdrawn", behind.height, "no signal behind the rows was kept out when it was reported again")


def _texts(rows: pl.DataFrame, kind: TrainingKind) -> pl.DataFrame:
    """The texts of rows in columns that are named as those of `schemas.INTERACTIONS`."""
    talks = [name for name, dtype in TRAINING_ROWS[kind].items() if dtype == MESSAGES]
    texts = rows.select(pl.col(name).alias(known) for name, known in zip(talks, MESSAGE_COLUMNS, strict=False))
    return texts.with_columns(rows["expected"].alias("comment")) if kind == "prompts" else texts


def _second_tier(texts: pl.DataFrame, policy: PolicySettings, said: SetManifest) -> Check:
    """What left was looked at by what the policy demands, and carries no mark that tells two conversations alike."""
    name = "second tier"
    engine = None if said.leaving is None else said.leaving.get("engine")
    plain = said.settings.get("policy")
    if said.leaving is None and isinstance(plain, Mapping) and "leaving" not in plain:
        return passed(name, 0, "not recorded: an older version made the set, which had no second tier")
    demanded = ["off"] if policy.redaction == "off" else TIERS[policy.leaving]
    if engine not in demanded:
        return failed(name, 1, f"the policy demands {' or '.join(demanded)}, and {engine} is recorded. {REBUILD}.")
    message = pl.element().struct.field("content").str.contains(KEYED).any()
    talks = [pl.col(name).list.eval(message).list.any() for name in texts.columns if name != "comment"]
    plain = [pl.col(name).str.contains(KEYED) for name in texts.columns if name == "comment"]
    n = 0 if engine == "off" else texts.filter(pl.any_horizontal(*talks, *plain)).height
    if n:
        return failed(name, n, f"{n:,} rows carry marks of the tables, which were to be numbered anew. {REBUILD}.")
    taken = said.leaving.get("taken") if said.leaving else None
    counts = (
        ", ".join(f"{n} {kind}" for kind, n in taken.items()) if isinstance(taken, Mapping) and taken else "nothing"
    )
    return passed(name, texts.height, f"{engine} looked at what left, and took out {counts}")


def nothing_found(workspace: Workspace, texts: pl.DataFrame, policy: PolicySettings) -> Check:
    """The patterns find nothing in texts that stand in columns named as those of `schemas.INTERACTIONS`."""
    if policy.redaction == "off":
        return passed("redaction", 0, "switched off by the policy: not looked for")
    found = redact(texts, workspace.pseudonyms).counts
    if found:
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in found.items())
        return failed("redaction", sum(found.values()), f"{kinds} stand in the rows. {REBUILD}.")
    return passed("redaction", texts.height, "no pattern finds anything in the texts of the rows")


def _sampled(workspace: Workspace, behind: pl.DataFrame, policy: PolicySettings) -> Check:
    """Every signal behind a row was drawn."""
    try:
        drawn = sampled(behind, policy.sample, workspace.pseudonyms)["drawn"]
    except ClwError as error:
        return failed("sampling", 1, f"{error}")
    wrong = behind["row_id"].filter(~drawn).n_unique()
    if wrong:
        return failed("sampling", wrong, f"{wrong:,} rows rest on signals that were not drawn. {REBUILD}.")
    return passed("sampling", behind.height, "every signal behind the rows is drawn by the key")


def _rates(workspace: Workspace, found: pl.DataFrame, policy: PolicySettings) -> Check:
    """Of all signals, each stratum was drawn at its rate, as far as chance allows.

    Conversations are drawn whole, so that they are what is counted.
    """
    name = "sampling rates"
    if policy.sample == PolicySettings().sample:
        return passed(name, found.height, "all signals may be used")
    try:
        drawn = sampled(found, policy.sample, workspace.pseudonyms)
    except ClwError as error:
        return failed(name, 1, f"{error}")
    units = drawn.with_columns(unit=pl.coalesce("conversation_id", "interaction_id")).unique(["stratum", "unit"])
    strata = units.group_by("stratum").agg(
        n=pl.len(), drawn=pl.col("drawn").sum(), rate=pl.col("inclusion_probability").first()
    )
    off = off_rate(strata)
    said = ", ".join(
        f"{s}: {d:,} of {n:,} at {r:g}" for s, n, d, r in strata.sort("n", descending=True).head(3).iter_rows()
    )
    if off.height:
        return failed(
            name, off.height, f"{off.height} strata are off their rate ({said}): is it the same key? {RESTORE}."
        )
    return passed(name, strata.height, f"each stratum is at its rate ({said})")


def off_rate(strata: pl.DataFrame) -> pl.DataFrame:
    """Strata of which fewer or more were drawn than chance allows, all of them taken together.

    Args:
        strata: one row for each: `n`, `drawn`, `rate` (0 to 1).

    Source: the exact binomial test (Clopper and Pearson 1934), the level shared out among strata and sides.
    """
    from scipy.stats import binom

    n, drawn, rate = (strata[name].to_numpy() for name in ("n", "drawn", "rate"))
    least = RATE_DOUBT / 2 / max(strata.height, 1)
    off = (binom.cdf(drawn, n, rate) < least) | (binom.sf(drawn.astype(float) - 1, n, rate) < least)
    return strata.filter(pl.Series(off, dtype=pl.Boolean))


def _caps(own: pl.DataFrame, policy: PolicySettings, manifest: SetManifest) -> list[Check]:
    """No user, no text and no burst weighs more than it may."""
    caps = policy.caps
    found = asking(own, manifest.rows_kind).with_columns(said=normalised(conversation(pl.col("prompt"))))
    per = {"user": ("user_key", caps.per_user), "text": ("said", caps.per_text)}
    checks = []
    for what, (column, most) in per.items():
        counts = found.drop_nulls(column).group_by(column).len("n")
        over = counts.filter(pl.col("n") > most) if most else counts.clear()
        highest = counts.select(pl.col("n").max().fill_null(0)).item()
        allowed = (
            f"no cap; the highest has {highest:,} rows"
            if most is None
            else f"the highest has {highest:,} rows of {most:,}"
        )
        said = (
            f"{over.height:,} above {most:,} rows, the highest has {highest:,}. {REBUILD}." if over.height else allowed
        )
        checks.append(Check(f"cap: {what}", over.is_empty(), over.height or counts.height, said))
    gaps = (
        found.unique("interaction_id")
        .drop_nulls(["user_key", "started_at"])
        .sort("started_at")
        .select(pl.col("started_at").diff().over("user_key"))
    )
    close = gaps.filter(pl.col("started_at") < caps.burst).height if caps.burst else 0
    said = f"{close:,} rows follow another of their user within {caps.burst}. {REBUILD}." if close else "no burst"
    return [*checks, Check("cap: burst", close == 0, close or found.height, said)]
