"""Whether the training sets of a run can be learned by another base: a report, before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from clworkbench.display.html import html_table
from clworkbench.display.progress import Advance, silent
from clworkbench.errors import ModelError
from clworkbench.loop.runs.porting import (
    Check,
    Fit,
    Taught,
    known,
    layers,
    length,
    preferred,
    readable,
    template,
    words,
)
from clworkbench.models.load import Loaded, load
from clworkbench.models.names import base_spec
from clworkbench.models.torch_setup import quiet_transformers
from clworkbench.models.weights import weights
from clworkbench.training_sets.descent import kind_of
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHECKS = pl.Schema(
    {
        "check": pl.String,
        "verdict": pl.String,
        "says": pl.String,
        "training_set": pl.String,
        "n": pl.Int64,
        "of": pl.Int64,
        "old": pl.Float64,
        "new": pl.Float64,
    }
)
"""One row for each thing that was looked at: its verdict (`fits`, `finding`, `refused`), what was found, in which
training set (null: the base itself), and numbers: `n` rows of `of`, and a number under the old base and the new one."""

VERDICTS: dict[Fit, str] = {"fits": "compatible", "finding": "compatible, with findings", "refused": "refused"}


@dataclass(frozen=True, eq=False)
class Compatibility:
    """Whether training sets can be learned by another base.

    Attributes:
        old: the base that they were learned by.
        new: the other base.
        frame: `CHECKS`.
        max_tokens: where rows are to be cut: the new base's context may hold less.
    """

    old: str
    new: str
    frame: pl.DataFrame
    max_tokens: Mapping[str, int]

    @property
    def verdict(self) -> str:
        """`compatible`, `compatible, with findings` or `refused`."""
        found = set(self.frame["verdict"])
        worst: Fit = "refused" if "refused" in found else "finding" if "finding" in found else "fits"
        return VERDICTS[worst]

    @property
    def refused(self) -> bool:
        """Whether some check says that it cannot be trained."""
        return self.verdict == VERDICTS["refused"]

    @property
    def said(self) -> str:
        """The verdict with its reasons."""
        why = self.frame.filter(pl.col("verdict") == ("refused" if self.refused else "finding"))["says"]
        return f"{self.verdict}: {'; '.join(why)}" if len(why) else self.verdict

    def __repr__(self) -> str:
        return f"Compatibility({self.old} → {self.new}: {self.verdict}, {self.frame.height} checks)"

    def _repr_html_(self) -> str:
        told = self.frame.select("check", "verdict", "says", "training_set")
        return html_table(tuple(told.columns), told.iter_rows(), caption=f"{self.old} → {self.new}: {self.verdict}")

    def lines(self) -> list[str]:
        """For a terminal."""
        rows = self.frame.select("verdict", "check", "says", "training_set").iter_rows()
        said = [f"  {verdict:<8} {check:<14} {says}" + (f" [{of}]" if of else "") for verdict, check, says, of in rows]
        return [f"{self.old} → {self.new}: {self.verdict}", *said]

    def as_dict(self) -> dict[str, object]:
        """For JSON, and for the manifest."""
        return {"old": self.old, "new": self.new, "verdict": self.verdict, "checks": self.frame.to_dicts()}


def compatibility(
    workspace: Workspace, runs: Sequence[Mapping[str, object]], base: str, *, advance: Advance = silent
) -> Compatibility:
    """Holds what runs learned from against another base; nothing is trained.

    Args:
        workspace: where their training sets are.
        runs: manifests of runs on one base, the parent before its child.
        base: the other base's name.
        advance: progress, in training sets.

    Raises:
        ModelError: the other base cannot be loaded.
        ArtefactError: a training set is gone.
    """
    from transformers import AutoConfig

    before, folder = str(runs[-1]["base"]), weights(base)
    tokenizer, was = _tokenizer(folder), _tokenizer_of(before)
    checks, limits = template(was, tokenizer), dict[str, int]()
    if any(each.verdict == "refused" for each in checks):
        return _told(before, base, checks, limits)
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    text = config.get_text_config()
    context, n_known = (getattr(text, name, None) for name in ("max_position_embeddings", "vocab_size"))
    checks += [*words(was, tokenizer, n_known), *_head(config.model_type, runs)]
    taught = [_taught(workspace, run) for run in runs]
    for each in taught:
        limits[each.id] = min(each.max_tokens, context or each.max_tokens)
        found, after = readable(each, tokenizer)
        earlier = None if was is None else readable(each, was)[1]
        checks += [*found, *([length(each, earlier, after, limits[each.id])] if after.height else [])]
    if not any(each.verdict == "refused" for each in checks):
        ranks = [int(str(_settings(run)["rank"])) for run in runs]
        checks += _tried(workspace, (before, base), taught, max(ranks) if all(ranks) else 0, advance)
    rates = " and ".join(sorted({str(_settings(run)["learning_rate"]) for run in runs}))
    checks.append(Check("learning rate", "fits", f"{rates}, chosen for {before}; another base may want another"))
    return _told(before, base, checks, limits)


def _told(old: str, new: str, checks: Sequence[Check], limits: Mapping[str, int]) -> Compatibility:
    return Compatibility(old, new, pl.DataFrame(list(checks), schema=CHECKS, orient="row"), limits)


def _settings(run: Mapping[str, object]) -> Mapping[str, object]:
    found = run["settings"]
    assert isinstance(found, Mapping)
    return found


def _taught(workspace: Workspace, run: Mapping[str, object]) -> Taught:
    """What a run learned from, or what stands in its place where rows of it were forgotten."""
    manifest = training_set_of(workspace, run)
    rows = workspace.rows(str(manifest["id"])).filter(pl.col("split") == "train")
    return Taught(str(manifest["id"]), kind_of(manifest), rows, int(str(_settings(run)["max_tokens"])))


def training_set_of(workspace: Workspace, run: Mapping[str, object]) -> Mapping[str, object]:
    """The manifest of the set that a run learned from, or of its heir where rows of it were forgotten.

    Raises:
        ArtefactError: it is gone, and nothing stands in its place.
    """
    parents = run["parents"]
    assert isinstance(parents, list)
    return workspace.find("training_set", next(each for each in parents if each.startswith("training_set:")))


def _head(model_type: str, runs: Sequence[Mapping[str, object]]) -> list[Check]:
    """A reward model needs a head that gives a score, and not every architecture has one."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES as SCORING

    if model_type in SCORING or all(run["method"] != "reward" for run in runs):
        return []
    return [Check("method", "refused", f"no reward model can be made of a {model_type}: it has no head for a score")]


def _tried(
    workspace: Workspace, bases: tuple[str, str], taught: Sequence[Taught], rank: int, advance: Advance
) -> list[Check]:
    """What takes the models themselves: where an adapter stands, and what the bare bases make of the rows."""
    settings = workspace.settings.model
    new = load(base_spec(bases[1]), dtype=settings.dtype, threads=settings.threads)
    old = _loaded(workspace, bases[0])
    checks = [layers(new, rank)]
    if old is None:
        checks.append(Check("old base", "finding", f"{bases[0]} is not there, so that nothing is held against it"))
    for done, each in enumerate(taught, start=1):
        if each.kind in ("preference", "reward"):
            checks.append(preferred(each, old, new))
        elif each.kind in ("sft", "unpaired"):
            checks.append(known(each, old, new))
        advance(done, len(taught), each.id)
    return checks


def _loaded(workspace: Workspace, base: str) -> Loaded | None:
    settings = workspace.settings.model
    try:
        return load(base_spec(base), dtype=settings.dtype, threads=settings.threads)
    except ModelError:
        return None


def _tokenizer_of(base: str) -> "PreTrainedTokenizerBase | None":
    """The old base's tokenizer; None where that base is there no more."""
    try:
        found = _tokenizer(weights(base_spec(base).base))
    except ModelError:
        return None
    return None if found.chat_template is None else found


def _tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    from transformers import AutoTokenizer

    with quiet_transformers():
        try:
            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            first = next(iter(str(error).splitlines()), type(error).__name__)
            raise ModelError(f"model in {folder}: its tokenizer cannot be loaded: {first}") from error
