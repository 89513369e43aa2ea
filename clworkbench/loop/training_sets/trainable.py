"""What a trainer gets: a training set as a data set with TRL's columns, and how long its rows are in tokens."""

from typing import TYPE_CHECKING

import polars as pl

from clworkbench.errors import EvidenceError
from clworkbench.loop.evals.model import resolve
from clworkbench.training_sets.descent import kind_of
from clworkbench.training_sets.tokens import TokenStatistics, token_lengths
from clworkbench.training_sets.trl import dataset_of
from clworkbench.workspace import Workspace

if TYPE_CHECKING:
    from datasets import Dataset


def dataset(workspace: Workspace, training_set: str, split: str | None = "train") -> "Dataset":
    """A training set as `datasets.Dataset`, ready for TRL's trainers.

    Args:
        workspace: where the set is.
        training_set: `name` (the newest version), or `name@version`.
        split: its rows; all when None.

    Raises:
        ArtefactError: no such set, or its files were changed.
        EvidenceError: it has no row of that split.
    """
    manifest = workspace.find("training_set", training_set)
    rows = workspace.rows(str(manifest["id"]))
    chosen = rows if split is None else rows.filter(pl.col("split") == split)
    if chosen.is_empty():
        there = ", ".join(f"{n} {name}" for name, n in rows["split"].value_counts().sort("split").iter_rows())
        raise EvidenceError(f"{manifest['id']}: no row of the split {split!r}. There: {there or 'none'}.")
    return dataset_of(chosen, kind_of(manifest))


def token_statistics(workspace: Workspace, training_set: str, model: str | None = None) -> TokenStatistics:
    """How long a training set's rows are for a model's tokenizer, and how many `[training] max_tokens` cuts.

    Args:
        workspace: where the set is.
        training_set: `name` (the newest version), or `name@version`.
        model: whose tokenizer and chat template; `[model] base` when None.

    Raises:
        ArtefactError: no such set, or its files were changed.
        ModelError: the model is not there, or its chat template refuses some messages.
    """
    from clworkbench.models.weights import weights

    manifest = workspace.find("training_set", training_set)
    settings = workspace.settings
    name = model or settings.model.base
    folder = weights(resolve(workspace, name).base)

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    lengths = token_lengths(workspace.rows(str(manifest["id"])), kind_of(manifest), tokenizer)
    return TokenStatistics(str(manifest["id"]), name, settings.training.max_tokens, lengths)
