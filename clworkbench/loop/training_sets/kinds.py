"""Kinds: what each kind of training set is made of, read from the workspace."""

from datetime import datetime
from typing import NamedTuple

import polars as pl

from clworkbench.labels.latest import SETS
from clworkbench.loop.evals.scoring import scoring
from clworkbench.schemas import TrainingKind
from clworkbench.scorers.verifier import pinned
from clworkbench.training_sets.descent import BuiltSet, Rules
from clworkbench.training_sets.preference import build_preference
from clworkbench.training_sets.prompts import build_prompts
from clworkbench.training_sets.reward import build_reward
from clworkbench.training_sets.sft import build_sft
from clworkbench.training_sets.statements import Opinions, ratings
from clworkbench.training_sets.unpaired import build_unpaired
from clworkbench.workspace import Workspace


class Known(NamedTuple):
    """Signals and labels as they were known.

    Attributes:
        signals: one row for each answer.
        labels: one answer of each annotator; `counts` says which decide.
        as_of: when; None for all.
        event_time: by the events' dates, not by when they were committed.
    """

    signals: pl.DataFrame
    labels: pl.DataFrame
    as_of: datetime | None = None
    event_time: bool = False


def made_of(workspace: Workspace, kind: TrainingKind, known: Known, examples: pl.DataFrame, rules: Rules) -> BuiltSet:
    """The rows of a kind; see the module of that name in `training_sets`."""
    signals, labels, key = known.signals, known.labels, workspace.pseudonyms
    match kind:
        case "sft":
            return build_sft(signals, labels, examples, rules, key)
        case "unpaired":
            return build_unpaired(signals, labels, examples, rules, key)
        case "prompts":
            with scoring(workspace):
                verifier = pinned(workspace.settings.training.verifier)
                return build_prompts(signals, labels, examples, rules, key, verifier=verifier)
        case "preference":
            return build_preference(signals, _opinions(workspace, known), examples, rules, key)
        case "reward":
            opinions = _opinions(workspace, known)
            return build_reward(signals, opinions, ratings(opinions, _best(workspace)), examples, rules, key)


def _opinions(workspace: Workspace, known: Known) -> Opinions:
    """What was said about answers: labels, what annotators were shown, and feedback."""
    # What stood on a card does not change when it is taken back: an answer to it stays one.
    asked = workspace.asked(as_of=None if known.event_time else known.as_of)
    shown = asked.select("interaction_id", "options", source=pl.format(SETS + "{}", "dataset"))
    voices = workspace.voices(as_of=known.as_of, event_time=known.event_time)
    return Opinions(known.labels, shown, voices)


def _best(workspace: Workspace) -> dict[str, int]:
    """By source of labels, the highest of its ratings."""
    return {f"{SETS}{asked.name}": asked.ratings for asked in workspace.settings.labels.ask}
