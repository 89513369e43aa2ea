"""What people are asked, and where their answers come from."""

from typing import Literal, get_args

import msgspec

from clworkbench.settings.bounds import Positive, Share

Ask = Literal["accept", "rate", "prefer", "rank", "correct", "choose", "spans", "comment"]
ASKS: tuple[str, ...] = get_args(Ask)
"""accept or reject the answer; rate it; prefer one of several; rank them; correct it; choose among `options`; mark
spans of `span_labels`; comment freely."""


class QuestionSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What people are asked about a candidate: one data set of the annotators' server.

    Attributes:
        name: the data set's name there, `[labels.ask.NAME]`.
        asks: the questions, in order; one at least must be required, and only `comment` never is.
        where: an expression over signals; only candidates that it keeps are asked about. None keeps all.
        options: what `choose` offers: intents, actions.
        several: whether `choose` takes more than one option.
        span_labels: what `spans` marks.
        ratings: `rate` is from 1 to so many.
        guidelines: a Markdown file that annotators see, relative to the workspace.
        team: the workspace of the annotators' server: only its members see these records.
        overlap: how many annotators answer each record.
        gold: share of records with a known answer, mixed in unmarked.
        experts: annotators whose answer decides where others disagree.
    """

    name: str
    asks: tuple[Ask, ...] = ("accept", "correct", "comment")
    where: str | None = None
    options: tuple[str, ...] = ()
    several: bool = False
    span_labels: tuple[str, ...] = ()
    ratings: Positive = 5
    guidelines: str | None = None
    team: str = "annotators"
    overlap: Positive = 1
    gold: Share = 0.0
    experts: tuple[str, ...] = ()


REVIEW = QuestionSet("review")
"""What is asked where `clw.toml` says nothing else."""


class LabelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where people's answers come from.

    Attributes:
        file: what reviewers filled in.
        wanted: a cycle waits for labels before it trains.
        ask: the question sets.
    """

    file: str | None = None
    wanted: bool = False
    ask: tuple[QuestionSet, ...] = (REVIEW,)
