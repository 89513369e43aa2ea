"""clworkbench: continuous learning of language models, driven by evidence.

```python
import clworkbench as clw

workspace = clw.Workspace("workspace")
clw.cycle(workspace)
```
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clworkbench.audit.budget import budget as spent
    from clworkbench.audit.checks import audit as audited
    from clworkbench.lineage import trace
    from clworkbench.loop.alerts.alerts import alerts
    from clworkbench.loop.candidates.pick import pick
    from clworkbench.loop.cycle import cycle
    from clworkbench.loop.data import choose, freeze_suite, import_labels
    from clworkbench.loop.evals.draw import draw_suite
    from clworkbench.loop.evals.judge_agreement import judge_agreement
    from clworkbench.loop.evals.model import evaluate
    from clworkbench.loop.evals.recency import recency
    from clworkbench.loop.evals.scores import import_scores
    from clworkbench.loop.evals.suites import suites
    from clworkbench.loop.evals.withdraw import withdraw_scores
    from clworkbench.loop.govern import forget, measure_redaction, plan_forget
    from clworkbench.loop.labels.agreement import agreement
    from clworkbench.loop.labels.annotators import annotators
    from clworkbench.loop.labels.answers import pull
    from clworkbench.loop.labels.ask import push
    from clworkbench.loop.labels.estimate import estimated
    from clworkbench.loop.lesson import lesson
    from clworkbench.loop.look import look, losses, selected
    from clworkbench.loop.releases.compare import compare
    from clworkbench.loop.releases.counterfactual import counterfactual
    from clworkbench.loop.releases.report import report
    from clworkbench.loop.releases.rollout import rollout, rollouts
    from clworkbench.loop.releases.ship import drill, gate, power, release, rollback
    from clworkbench.loop.runs.estimate import forecast
    from clworkbench.loop.runs.export import export
    from clworkbench.loop.runs.forgetting import forgetting
    from clworkbench.loop.runs.replay import replay
    from clworkbench.loop.runs.train import train
    from clworkbench.loop.should_train import should_train
    from clworkbench.loop.signals.capture import ingest
    from clworkbench.loop.signals.explore import explore, find
    from clworkbench.loop.signals.policy import explain_policy
    from clworkbench.loop.slices.drift import drift
    from clworkbench.loop.slices.repeated import repeated
    from clworkbench.loop.slices.slices import discover
    from clworkbench.loop.slices.slices import save as save_slice
    from clworkbench.loop.slices.slices import slices as rates
    from clworkbench.loop.status import status
    from clworkbench.loop.training_sets.convert import build
    from clworkbench.loop.training_sets.trainable import dataset, token_statistics
    from clworkbench.loop.turns import turns
    from clworkbench.signals.drafting import draft_mapping
    from clworkbench.workspace import Workspace

_HOMES = {
    "Workspace": "workspace",
    "ingest": "loop.signals.capture",
    "draft_mapping": "signals.drafting",
    "choose": "loop.data",
    "rates": "loop.slices.slices:slices",
    "discover": "loop.slices.slices",
    "drift": "loop.slices.drift",
    "should_train": "loop.should_train",
    "alerts": "loop.alerts.alerts",
    "save_slice": "loop.slices.slices:save",
    "repeated": "loop.slices.repeated",
    "explore": "loop.signals.explore",
    "find": "loop.signals.explore",
    "pick": "loop.candidates.pick",
    "import_labels": "loop.data",
    "annotators": "loop.labels.annotators",
    "push": "loop.labels.ask",
    "pull": "loop.labels.answers",
    "agreement": "loop.labels.agreement",
    "estimated": "loop.labels.estimate",
    "freeze_suite": "loop.data",
    "draw_suite": "loop.evals.draw",
    "recency": "loop.evals.recency",
    "build": "loop.training_sets.convert",
    "dataset": "loop.training_sets.trainable",
    "token_statistics": "loop.training_sets.trainable",
    "forecast": "loop.runs.estimate",
    "train": "loop.runs.train",
    "replay": "loop.runs.replay",
    "forgetting": "loop.runs.forgetting",
    "suites": "loop.evals.suites",
    "evaluate": "loop.evals.model",
    "compare": "loop.releases.compare",
    "export": "loop.runs.export",
    "power": "loop.releases.ship",
    "import_scores": "loop.evals.scores",
    "withdraw_scores": "loop.evals.withdraw",
    "judge_agreement": "loop.evals.judge_agreement",
    "gate": "loop.releases.ship",
    "drill": "loop.releases.ship",
    "counterfactual": "loop.releases.counterfactual",
    "report": "loop.releases.report",
    "release": "loop.releases.ship",
    "rollback": "loop.releases.ship",
    "rollout": "loop.releases.rollout",
    "rollouts": "loop.releases.rollout",
    "cycle": "loop.cycle",
    "status": "loop.status",
    "trace": "lineage",
    "look": "loop.look",
    "selected": "loop.look",
    "losses": "loop.look",
    "turns": "loop.turns",
    "lesson": "loop.lesson",
    "explain_policy": "loop.signals.policy",
    "measure_redaction": "loop.govern",
    "plan_forget": "loop.govern",
    "forget": "loop.govern",
    "audited": "audit.checks:audit",
    "spent": "audit.budget:budget",
}
"""Where each verb lives; after a colon its name there, where a package of ours has the verb's own."""

__all__ = [
    "Workspace",
    "agreement",
    "alerts",
    "annotators",
    "audited",
    "build",
    "choose",
    "compare",
    "counterfactual",
    "cycle",
    "dataset",
    "discover",
    "draft_mapping",
    "draw_suite",
    "drift",
    "drill",
    "estimated",
    "evaluate",
    "explain_policy",
    "explore",
    "export",
    "find",
    "forecast",
    "forget",
    "forgetting",
    "freeze_suite",
    "gate",
    "import_labels",
    "import_scores",
    "ingest",
    "judge_agreement",
    "lesson",
    "look",
    "losses",
    "measure_redaction",
    "pick",
    "plan_forget",
    "power",
    "pull",
    "push",
    "rates",
    "recency",
    "release",
    "repeated",
    "replay",
    "report",
    "rollback",
    "rollout",
    "rollouts",
    "save_slice",
    "selected",
    "should_train",
    "spent",
    "status",
    "suites",
    "token_statistics",
    "trace",
    "train",
    "turns",
    "withdraw_scores",
]


def __getattr__(name: str) -> object:
    """Loads a verb when it is first asked for, so that `import clworkbench` costs nearly nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'clworkbench' has no attribute {name!r}; it has {', '.join(__all__)}")
    home, _, own_name = _HOMES[name].partition(":")
    return getattr(import_module(f"clworkbench.{home}"), own_name or name)


def __dir__() -> list[str]:
    return __all__
