"""What learned from rows that go: runs, evaluations, gates and releases, named because weights forget nothing."""

from collections.abc import Mapping

from clworkbench.workspace import Workspace

Tainted = dict[str, object]
"""`id`, `kind`, `by` (the training sets and suites through which rows reached it), `clean_parent`."""


def tainted(workspace: Workspace, sets: Mapping[str, tuple[int, int]]) -> list[Tainted]:
    """All that was made of such sets, each with its nearest ancestor that knows nothing of their rows.

    A run is reached by rows of the split `train` alone, an evaluation by the suite that it was measured on too.

    Args:
        workspace: where.
        sets: training sets and suites with such rows: how many, and how many of them are learned from.
    """
    reached: dict[str, set[str]] = {}
    for artefact, (_, learned) in sets.items():
        if artefact.startswith("suite:") or learned:
            for name in _names(workspace, artefact):
                _follow(workspace, name, artefact, reached)
    found: list[Tainted] = []
    for node in sorted(reached):
        clean = _clean(workspace, node, set(reached))
        found.append({"id": node, "kind": node.partition(":")[0], "by": sorted(reached[node]), "clean_parent": clean})
    return found


def _names(workspace: Workspace, artefact: str) -> list[str]:
    """An artefact and those in whose place it stands: what was made of them learned the same rows."""
    names = [artefact]
    for name in names:
        names += [str(row[0]) for row in workspace.catalog.query("select id from replaced where heir = ?", name)]
    return names


def _follow(workspace: Workspace, node: str, artefact: str, reached: dict[str, set[str]]) -> None:
    for child in workspace.catalog.children(node):
        if child.startswith(("training_set:", "suite:")) or artefact in reached.get(child, set()):
            continue  # a set made later holds such rows only where it is named itself
        reached.setdefault(child, set()).add(artefact)
        _follow(workspace, child, artefact, reached)


def _clean(workspace: Workspace, node: str, dirty: set[str]) -> str | None:
    """The nearest ancestor that is not reached: of a release the one that served before, of a run what it started from.

    None where nothing tells it.
    """
    kind = node.partition(":")[0]
    manifest = workspace.catalog.artefact(node) or {}
    key = {"release": "replaces", "eval": "model", "gate": "challenger"}.get(kind)
    if key:
        before = manifest.get(key)
    else:
        runs = [parent for parent in workspace.catalog.parents(node) if parent.startswith("run:")]
        before = runs[0] if runs else manifest.get("base")
    if not isinstance(before, str):
        return None
    return _clean(workspace, before, dirty) if before in dirty else before
