"""Two records or two artefacts, held against each other: settings, data, results, environment."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from clworkbench.display.html import html_table
from clworkbench.records.outputs import cells, differing
from clworkbench.records.reproduce import read_record
from clworkbench.workspace import Workspace
from clworkbench.workspace.folder import FOLDERS

DATA = ("artefacts", "tables", "batches", "parents", "rows_sha256", "rows", "workspace", "training_set", "suite")
ENVIRONMENT = ("environment", "packages", "python", "platform", "code_version")
NAMES = ("id", "created", "files", "source_sha256", "clw_toml_sha256", "config_sha256", "seconds", "kind", "notebook")
"""What differs between any two, and says nothing."""
RESULTS = (
    *("metrics", "slices", "decision", "gates", "findings", "scores", "measured"),
    *("loss", "cost", "steps", "tokens", "adapter", "history", "log"),
    *("dropped", "splits", "waterfall"),
)
"""How the keys of manifests begin that say what came out."""


class Change(NamedTuple):
    """One line of a comparison: under which heading, what, and how it stands on both sides."""

    heading: str
    what: str
    first: str
    second: str


@dataclass(frozen=True, repr=False)
class Diff:
    """What differs between two records or artefacts."""

    first: str
    second: str
    changes: list[Change]

    def __repr__(self) -> str:
        return f"Diff({self.first}, {self.second}: {len(self.changes)} changes)"

    def _repr_html_(self) -> str:
        rows = self.changes or [Change("", "nothing differs", "", "")]
        return html_table(("", "", self.first, self.second), rows)

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw diff --json`."""
        return {"first": self.first, "second": self.second, "changes": [each._asdict() for each in self.changes]}

    def lines(self) -> list[str]:
        """The answer for a person."""
        told = [f"{self.first} → {self.second}: {len(self.changes) or 'no'} changes"]
        heading = ""
        for each in self.changes:
            told += [each.heading] if each.heading != heading else []
            heading = each.heading
            told.append(f"  {each.what}: {each.first} → {each.second}")
        return told


def diff(workspace: Workspace, first: str | Path, second: str | Path) -> Diff:
    """Holds two records (folders) or two artefacts (`run:ID`, `suite:NAME@VERSION`, …) against each other.

    Raises:
        NotebookError: a folder holds no whole record.
        ArtefactError: there is no such artefact.
    """
    a, b = _manifest(workspace, str(first)), _manifest(workspace, str(second))
    one, two = (dict(_flat(each)) for each in (a, b))
    changes = [
        Change(_heading(key), key, one.get(key, "none"), two.get(key, "none"))
        for key in sorted({*one, *two})
        if one.get(key) != two.get(key)
    ]
    if a.get("kind") == b.get("kind") == "record":
        places = tuple(str(each["settings"].get("WORKSPACE", "")) for each in (a, b))  # type: ignore[attr-defined]
        shown = (_cells(Path(first), a), _cells(Path(second), b))
        changes += [Change("results", d.what, d.first, d.second) for d in differing(*shown, places)]
    order = ("settings", "data", "results", "environment")
    return Diff(str(first), str(second), sorted(changes, key=lambda each: order.index(each.heading)))


def _manifest(workspace: Workspace, name: str) -> dict[str, object]:
    kind, colon, rest = name.partition(":")
    if colon and kind in FOLDERS:
        return workspace.find(kind, rest)
    return read_record(Path(name))


def _cells(record: Path, manifest: Mapping[str, object]) -> list[dict[str, object]]:
    folder = record if record.is_dir() else record.parent
    return cells(folder / f"{Path(str(manifest['notebook'])).stem}.ipynb")


def _flat(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each fact under its dotted name; lists stay whole."""
    for key, each in value.items():
        if not prefix and key in NAMES:
            continue
        if isinstance(each, Mapping) and each:
            yield from _flat(each, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", each if isinstance(each, str) else json.dumps(each, ensure_ascii=False, default=str)


def _heading(key: str) -> str:
    top = key.partition(".")[0]
    if top in DATA:
        return "data"
    if top in ENVIRONMENT:
        return "environment"
    return "results" if top.startswith(RESULTS) else "settings"
