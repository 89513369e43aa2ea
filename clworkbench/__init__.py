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
    from clworkbench.lineage import trace
    from clworkbench.loop.capture import ingest
    from clworkbench.loop.cycle import cycle
    from clworkbench.loop.data import build, choose, freeze_suite, import_labels
    from clworkbench.loop.lesson import lesson
    from clworkbench.loop.look import look, losses, selected
    from clworkbench.loop.model import evaluate, train
    from clworkbench.loop.ship import gate, power, release, rollback
    from clworkbench.loop.status import status
    from clworkbench.loop.turns import turns
    from clworkbench.signals.drafting import draft_mapping
    from clworkbench.workspace import Workspace

_HOMES = {
    "Workspace": "workspace",
    "ingest": "loop.capture",
    "draft_mapping": "signals.drafting",
    "choose": "loop.data",
    "import_labels": "loop.data",
    "freeze_suite": "loop.data",
    "build": "loop.data",
    "train": "loop.model",
    "evaluate": "loop.model",
    "power": "loop.ship",
    "gate": "loop.ship",
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
}

__all__ = [
    "Workspace",
    "build",
    "choose",
    "cycle",
    "draft_mapping",
    "evaluate",
    "freeze_suite",
    "gate",
    "import_labels",
    "ingest",
    "lesson",
    "look",
    "losses",
    "power",
    "release",
    "rollback",
    "selected",
    "status",
    "trace",
    "train",
    "turns",
]


def __getattr__(name: str) -> object:
    """Loads a verb when it is first asked for, so that `import clworkbench` costs nearly nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'clworkbench' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"clworkbench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
