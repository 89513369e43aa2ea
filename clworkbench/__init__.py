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
    from clworkbench.loop.agreement import agreement
    from clworkbench.loop.alerts import alerts
    from clworkbench.loop.annotators import annotators
    from clworkbench.loop.answers import pull
    from clworkbench.loop.ask import push
    from clworkbench.loop.capture import ingest
    from clworkbench.loop.compare import compare
    from clworkbench.loop.convert import build
    from clworkbench.loop.cycle import cycle
    from clworkbench.loop.data import choose, freeze_suite, import_labels
    from clworkbench.loop.draw import draw_suite
    from clworkbench.loop.drift import drift
    from clworkbench.loop.estimate import estimated
    from clworkbench.loop.explore import explore, find
    from clworkbench.loop.export import export
    from clworkbench.loop.forgetting import forgetting
    from clworkbench.loop.govern import forget, measure_redaction, plan_forget
    from clworkbench.loop.judge_agreement import judge_agreement
    from clworkbench.loop.lesson import lesson
    from clworkbench.loop.look import look, losses, selected
    from clworkbench.loop.model import evaluate
    from clworkbench.loop.pick import pick
    from clworkbench.loop.policy import explain_policy
    from clworkbench.loop.recency import recency
    from clworkbench.loop.repeated import repeated
    from clworkbench.loop.replay import replay
    from clworkbench.loop.report import report
    from clworkbench.loop.run_estimate import forecast
    from clworkbench.loop.scores import import_scores
    from clworkbench.loop.ship import drill, gate, power, release, rollback
    from clworkbench.loop.should_train import should_train
    from clworkbench.loop.slices import discover
    from clworkbench.loop.slices import save as save_slice
    from clworkbench.loop.slices import slices as rates
    from clworkbench.loop.status import status
    from clworkbench.loop.suites import suites
    from clworkbench.loop.train import train
    from clworkbench.loop.trainable import dataset, token_statistics
    from clworkbench.loop.turns import turns
    from clworkbench.loop.withdraw import withdraw_scores
    from clworkbench.signals.drafting import draft_mapping
    from clworkbench.workspace import Workspace

_HOMES = {
    "Workspace": "workspace",
    "ingest": "loop.capture",
    "draft_mapping": "signals.drafting",
    "choose": "loop.data",
    "rates": "loop.slices:slices",
    "discover": "loop.slices",
    "drift": "loop.drift",
    "should_train": "loop.should_train",
    "alerts": "loop.alerts",
    "save_slice": "loop.slices:save",
    "repeated": "loop.repeated",
    "explore": "loop.explore",
    "find": "loop.explore",
    "pick": "loop.pick",
    "import_labels": "loop.data",
    "annotators": "loop.annotators",
    "push": "loop.ask",
    "pull": "loop.answers",
    "agreement": "loop.agreement",
    "estimated": "loop.estimate",
    "freeze_suite": "loop.data",
    "draw_suite": "loop.draw",
    "recency": "loop.recency",
    "build": "loop.convert",
    "dataset": "loop.trainable",
    "token_statistics": "loop.trainable",
    "forecast": "loop.run_estimate",
    "train": "loop.train",
    "replay": "loop.replay",
    "forgetting": "loop.forgetting",
    "suites": "loop.suites",
    "evaluate": "loop.model",
    "compare": "loop.compare",
    "export": "loop.export",
    "power": "loop.ship",
    "import_scores": "loop.scores",
    "withdraw_scores": "loop.withdraw",
    "judge_agreement": "loop.judge_agreement",
    "gate": "loop.ship",
    "drill": "loop.ship",
    "report": "loop.report",
    "release": "loop.ship",
    "rollback": "loop.ship",
    "cycle": "loop.cycle",
    "status": "loop.status",
    "trace": "lineage",
    "look": "loop.look",
    "selected": "loop.look",
    "losses": "loop.look",
    "turns": "loop.turns",
    "lesson": "loop.lesson",
    "explain_policy": "loop.policy",
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
