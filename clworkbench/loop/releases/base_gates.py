"""Gates of another branch: a change is judged by what its base asks, so that it cannot loosen its own gates."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from clworkbench.settings import Settings, load_settings
from clworkbench.workspace import Workspace

SECTIONS = ("gates", "evals", "model")
"""What decides alone who is held against whom, on what, and by which rule."""

NAMED = ("endpoints", "judges")
"""Tables of which a change may add to those of its base, and can change none."""


class JudgedByBase(Workspace):
    """A workspace whose settings are its own but for what judges: that stands in another branch's `clw.toml`.

    `SECTIONS` are the base's whole, `NAMED` its own and what the change adds to them.

    Raises:
        SettingsError: the base's file is missing, or says something that means nothing.
    """

    def __init__(self, folder: Path, base: Path) -> None:
        super().__init__(folder)
        self.base = load_settings(base)
        self.base_name = base.name

    @cached_property
    def own(self) -> Settings:
        """What the workspace's own `clw.toml` says."""
        return super().settings

    @property
    def settings(self) -> Settings:
        """What its own `clw.toml` says, and the base's on what judges."""
        judging = {name: getattr(self.base, name) for name in SECTIONS}
        judging |= {name: {**_table(self.own, name), **_table(self.base, name)} for name in NAMED}
        return msgspec.structs.replace(self.own, **judging)


def _table(settings: Settings, name: str) -> Mapping[str, object]:
    table: Mapping[str, object] = getattr(settings, name)
    return table


def base_findings(workspace: Workspace) -> list[tuple[str, str]]:
    """A finding where a change edits what it is judged by."""
    if not isinstance(workspace, JudgedByBase):
        return []
    edited = [f"[{name}]" for name in SECTIONS if getattr(workspace.own, name) != getattr(workspace.base, name)]
    for name in NAMED:
        own, base = _table(workspace.own, name), _table(workspace.base, name)
        edited += [f"[{name}.{each}]" for each in base if own.get(each) != base[each]]
    if not edited:
        return []
    said = f"clw.toml differs from the base's {workspace.base_name} in {', '.join(edited)}: the base's judged"
    return [("gates_edited", said)]
