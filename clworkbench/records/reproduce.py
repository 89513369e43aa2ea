"""A record is run again, on the workspace as it stood then, and what it shows and makes is held against it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clworkbench.display.html import html_table
from clworkbench.errors import NotebookError
from clworkbench.files import sha256_file
from clworkbench.records import notebooks
from clworkbench.records.outputs import Difference, cells, differing
from clworkbench.records.record import WAIT_S, environment, execute, made_of
from clworkbench.records.texts import without_texts
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import MANIFEST, tampered
from clworkbench.workspace.catalog import as_moment, micros
from clworkbench.workspace.rewind import rewound


@dataclass(frozen=True, repr=False)
class Reproduced:
    """A record, run again.

    Attributes:
        record: its folder.
        differences: what came out otherwise: `what`, `first` (as recorded), `second` (now).
        may: reasons that are known, in words: another environment, forgotten rows.
    """

    record: Path
    differences: list[Difference]
    may: list[str]

    @property
    def same(self) -> bool:
        """Whether all that it showed and made came out again."""
        return not self.differences

    def __repr__(self) -> str:
        return f"Reproduced({self.record.name}: {'the same' if self.same else f'{len(self.differences)} differences'})"

    def _repr_html_(self) -> str:
        rows = [*self.differences, *(("why it may", why, "") for why in self.may)]
        return html_table((self.record.name, "recorded", "now"), rows or [("all cells and artefacts", "the same", "")])

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw reproduce --json`."""
        differences = [{"what": d.what, "recorded": d.first, "now": d.second} for d in self.differences]
        return {"record": str(self.record), "same": self.same, "differences": differences, "may": self.may}

    def lines(self) -> list[str]:
        """The answer for a person."""
        if self.same:
            told = [f"The same: {self.record.name} shows and makes what it did."]
        else:
            told = [f"Not the same: {len(self.differences)} differences from {self.record.name}."]
        for each in self.differences:
            told += [each.what, f"  recorded  {each.first}", f"  now       {each.second}"]
        return [*told, *(f"why it may: {why}" for why in self.may)]


def read_record(folder: Path) -> dict[str, object]:
    """The manifest of a record whose files are as they were written.

    Raises:
        NotebookError: the folder holds no record, or a file in it was changed.
    """
    path = (folder if folder.is_dir() else folder.parent) / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NotebookError(f"{folder}: no record there ({error}). Name a folder that `clw record` wrote.") from error
    if not isinstance(manifest, dict) or manifest.get("kind") != "record":
        raise NotebookError(f"{path}: no record's manifest. Name a folder that `clw record` wrote.")
    if wrong := tampered(path.parent, manifest):
        raise NotebookError(
            f"{path.parent}: changed or missing since it was recorded: {', '.join(wrong)}.\n"
            "It is no evidence any more. Restore it from a backup, or record the notebook again."
        )
    return manifest


def reproduce(workspace: Workspace, record: Path) -> Reproduced:
    """Runs a record again in a fresh process, on a copy of the workspace as it stood when the record began.

    The workspace itself is not touched. Artefacts that the notebook made are made again, and their hashes compared;
    of what cells show, durations, random ids and widgets do not count.

    Raises:
        NotebookError: it is no record, was changed, is of another workspace, or a cell fails now.
    """
    folder = record if record.is_dir() else record.parent
    manifest = read_record(folder)
    if manifest["workspace"] != workspace.catalog.meta("workspace_id"):
        raise NotebookError(f"{folder}: a record of another workspace. Name its own with --workspace DIR.")
    stored = folder / f"{Path(str(manifest['notebook'])).stem}.ipynb"
    source = {"cells": cells(stored), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    began = as_moment(str(manifest["created"]))
    kept = folder / "clw.toml"
    settings = (kept if kept.exists() else workspace.folder / "clw.toml").read_bytes()
    # Not while rows are forgotten: the copy would keep them.
    with (
        workspace.lease(f"reproduce {folder.name}", "reproduce", wait_s=WAIT_S),
        rewound(workspace, at=began, settings=settings) as again,
    ):
        known = notebooks.parameters(source, str(stored))
        place = os.path.relpath(again.folder)
        given = {"WORKSPACE": place} if "WORKSPACE" in known else {}
        executed = execute(notebooks.prepared(source, given, str(stored)), stored)
        if not manifest["texts"]:
            without_texts(executed, again)
        places = (str(known.get("WORKSPACE", "")), str(workspace.folder), place, str(again.folder))
        found = differing(cells(stored), executed.cells, places) + _made(manifest, made_of(again))
    return Reproduced(folder, found, _reasons(workspace, manifest, micros(began)))


def _made(recorded: Mapping[str, object], now: Mapping[str, object]) -> list[Difference]:
    """Artefacts and rows that differ."""
    return [
        Difference(f"{kind[:-1]} {name}", str(first.get(name, "none")), str(second.get(name, "none")))
        for kind in ("artefacts", "tables")
        for first, second in [(_mapping(recorded[kind]), _mapping(now[kind]))]
        for name in sorted({*first, *second})
        if first.get(name) != second.get(name)
    ]


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _reasons(workspace: Workspace, manifest: Mapping[str, object], began: int) -> list[str]:
    """What is known to be other than it was."""
    here = environment()
    why = [f"{key} was {manifest[key]}, is {here[key]}" for key in ("python", "platform") if manifest[key] != here[key]]
    was, now = _mapping(manifest["packages"]), _mapping(here["packages"])
    moved = [f"{name} {was.get(name, 'none')} → {now.get(name, 'none')}" for name in sorted({*was, *now})
             if was.get(name) != now.get(name)]  # fmt: skip
    if moved:
        more = f" and {len(moved) - 8} more" if len(moved) > 8 else ""
        why.append(f"packages changed: {', '.join(moved[:8])}{more}")
    (forgets,) = workspace.catalog.query("select count(*) from forgets where begun_at > ?", began)[0]
    if forgets:
        why.append(f"rows were forgotten since ({forgets} times `clw forget`): they do not come back")
    if manifest["clw_toml_sha256"] != sha256_file(workspace.folder / "clw.toml"):
        why.append("clw.toml has changed since; the one of then was used")
    return why
