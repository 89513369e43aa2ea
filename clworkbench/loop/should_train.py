"""Is it worth training now? What there is to learn, what it may bring, what it costs, whether outcomes got worse."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import polars as pl

from clworkbench.audit.budget import allow, budget
from clworkbench.errors import BudgetError, ClwError, EvidenceError
from clworkbench.loop import weighed
from clworkbench.loop.advice import DECIDES, NEITHER, STOPS, Advice, Evidence
from clworkbench.loop.evals.model import champion, resolve
from clworkbench.loop.labels.waiting import waiting
from clworkbench.loop.runs.begun import Begun, begun
from clworkbench.loop.runs.past_runs import PastRuns, expected_hours, past_runs, trained_like_now
from clworkbench.loop.signals.settling import outcomes_since, unsettled
from clworkbench.loop.slices.drift import drift
from clworkbench.loop.training_sets.convert import drafted
from clworkbench.statistics.learning_curve import SIZES, LearningCurve, learning_curve
from clworkbench.training_sets.descent import BuiltSet
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import VERSION_DIGITS, sha256_rows


class Learnable(NamedTuple):
    """What could be learned now.

    Attributes:
        new: rows that the champion has not learned.
        kept: all rows that the policy leaves of the signals, those that are not replayed among them.
        why: in words, why there are none; empty where there are some.
        tried: a run that has learned just these rows; None where none has.
        begun: a run of just these rows that stopped on its way; None where there is none.
    """

    new: int = 0
    kept: int = 0
    why: str = ""
    tried: str | None = None
    begun: Begun | None = None


@dataclass(frozen=True)
class Serving:
    """The champion: `name` as it is called, its `run`, and when it was released; the last two None for a base."""

    name: str
    run: str | None
    since: datetime | None


def should_train(workspace: Workspace, *, as_of: datetime | None = None, event_time: bool = False) -> Advice:
    """Whether it is worth training now, with the evidence for and against; nothing is written.

    No where anything stops it (too few new rows, rows that a run has learned, a budget that does not suffice); else yes
    where outcomes are shown worse, where past runs leave room for a gain of `[training] min_gain`, or where nobody can
    tell yet; else no.

    Args:
        workspace: whose signals.
        as_of: only what was known by then; all when None. Runs, releases and the budget are those of now.
        event_time: goes by the events' dates, not by when they were committed.

    Raises:
        ArtefactError: a held-out example still stands in what would be learned.
        ExpressionError: `[training] where` or a rule of the policy cannot be read.
    """
    serving = present_champion(workspace)
    try:
        draft = drafted(workspace, as_of=as_of, event_time=event_time, learned_by=serving.run)
    except EvidenceError as error:
        learnable = Learnable(why=str(error).partition("\n")[0].rstrip("."))
    else:
        version = f"training_set:{draft.name}@{sha256_rows(draft.built.frame)[:VERSION_DIGITS]}"
        tried, stopped = learned_already(workspace, version, serving.run), begun(workspace, version, serving.run)
        learnable = learnable_of(draft.built)._replace(tried=tried, begun=stopped)
    found = workspace.signals(as_of=as_of, event_time=event_time)
    return Asked(workspace, serving, found, learnable, as_of, event_time=event_time).advice()


def learnable_of(made: BuiltSet) -> Learnable:
    """What a set that was built offers."""
    return Learnable(made.n_new, made.frame.height + made.dropped.get("not_replayed", 0))


def present_champion(workspace: Workspace) -> Serving:
    """The model that production serves now."""
    name = champion(workspace)
    if not name.startswith("release:"):
        return Serving(name, None, None)
    return Serving(name, resolve(workspace, name).name, workspace.catalog.champions()[-1][1])


def learned_already(workspace: Workspace, training_set: str, parent: str | None) -> str | None:
    """The latest run that learned this very set, from this parent, with the settings of today; None without any."""
    for manifest in reversed(workspace.catalog.artefacts("run")):
        parents = workspace.catalog.parents(str(manifest["id"]))
        came_from = [name for name in parents if name.startswith("run:")]
        same = training_set in parents and came_from == ([parent] if parent else [])
        if same and trained_like_now(workspace, manifest):
            return str(manifest["id"])
    return None


class Asked:
    """The question, put to a workspace once."""

    def __init__(
        self,
        workspace: Workspace,
        serving: Serving,
        found: pl.DataFrame,
        learnable: Learnable,
        as_of: datetime | None,
        *,
        event_time: bool,
    ) -> None:
        self._workspace, self._serving, self._found, self._learnable = workspace, serving, found, learnable
        self._as_of, self._event_time = as_of, event_time
        self._past: PastRuns | None = None
        self._curve: LearningCurve | None = None

    def advice(self) -> Advice:
        """The answer, with all evidence."""
        return self._of([*self._first(), *self._costly()])

    def short(self) -> Advice:
        """The same answer, by no more than it takes: what costs time is looked at only while nothing decides."""
        evidence = list(self._first())
        if not any(one.weight == STOPS or one.weight >= DECIDES for one in evidence):
            for one in self._costly():
                evidence.append(one)
                if one.weight >= DECIDES:
                    break
        return self._of(evidence)

    def _of(self, evidence: list[Evidence]) -> Advice:
        learned = self._past.learned if self._past and self._curve else None
        return Advice(tuple(evidence), self._curve, learned, learned + self._learnable.new if learned else None)

    def _first(self) -> Iterator[Evidence]:
        """What is known at once: who serves, what is new, what is on the way, and what a run may cost."""
        settings = self._workspace.settings
        if self._learnable.begun is not None:
            yield weighed.of_begun(self._learnable.begun)
            yield self._budget()
            return
        if self._serving.run is None:
            yield weighed.of_first(self._serving.name, len(self._workspace.catalog.artefacts("run")))
        pending = unsettled(self._found, settings.outcomes)
        new, kept, why, tried, _ = self._learnable
        brings = weighed.on_the_way(pending, kept)
        least, name = settings.training.min_new_rows, self._serving.name
        if tried is not None:
            yield weighed.of_tried(tried, new)
        else:
            yield weighed.of_rows(new, least, name, why=why, on_the_way=brings)
        yield from weighed.of_pending(pending, brings, rules=bool(settings.outcomes))
        yield self._budget()

    def _budget(self) -> Evidence:
        try:
            allow(self._workspace, "train")
            allow(self._workspace, "eval")
        except BudgetError as error:
            return weighed.no_budget(str(error).replace("\n", " "))
        price, hours = self._workspace.settings.budget.usd_per_hour, expected_hours(self._workspace)
        if self._learnable.begun and "train" in hours:
            hours["train"] *= self._learnable.begun.left
        return weighed.of_budget(budget(self._workspace), hours, price)

    def _costly(self) -> Iterator[Evidence]:
        """What takes a look at past runs, outcomes and texts, the cheap first."""
        if self._serving.run is not None:
            yield self._gain(self._serving.run)
            assert self._serving.since is not None
            change = outcomes_since(self._found, self._serving.name, self._serving.since)
            yield weighed.of_outcomes(change, self._serving.name)
            yield self._drift(self._serving.run)
        drawn = self._workspace.scan("candidates").select(pl.col("interaction_id").unique()).collect()
        said = self._workspace.labels()["interaction_id"]
        unlabelled = drawn.filter(~pl.col("interaction_id").is_in(said.implode())).height
        yield from weighed.of_labels(waiting(self._workspace), drawn.height, unlabelled)

    def _gain(self, run: str) -> Evidence:
        self._past = past_runs(self._workspace, run)
        if len({each.rows for each in self._past.runs}) >= SIZES and self._past.learned:
            self._curve = learning_curve(self._past.runs)
        return weighed.of_gain(self._past, self._curve, self._learnable.new, self._workspace.settings.training.min_gain)

    def _drift(self, run: str) -> Evidence:
        """Against what the champion learned: the newest set may hold the very signals that are looked at."""
        sets = [name for name in self._workspace.catalog.parents(run) if name.startswith("training_set:")]
        against = sets[0] if sets else None
        try:
            report = drift(self._workspace, against, as_of=self._as_of, event_time=self._event_time)
        except ClwError as error:
            return Evidence("drift", f"drift was not looked at: {error}".replace("\n", " "), NEITHER)
        return weighed.of_drift(report)
