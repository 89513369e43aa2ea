"""A record: the executed notebook with its settings, the versions of all it read, and the environment it ran in."""

import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from clworkbench.errors import NotebookError
from clworkbench.files import sha256_file
from clworkbench.records import notebooks
from clworkbench.records.notebooks import Setting
from clworkbench.records.page import page
from clworkbench.records.texts import without_texts
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import MANIFEST, draft
from clworkbench.workspace.catalog import now

if TYPE_CHECKING:
    from nbformat import NotebookNode

WAIT_S = 600.0
"""How long a record waits while rows are forgotten."""


@dataclass(frozen=True)
class Record:
    """A record's folder and its manifest."""

    folder: Path
    manifest: dict[str, object]

    def as_dict(self) -> dict[str, object]:
        """The answer of `clw record --json`."""
        return {"record": str(self.folder), **self.manifest}


def record(
    workspace: Workspace,
    notebook: Path,
    *,
    given: Mapping[str, str] | None = None,
    texts: bool = False,
    out: Path | None = None,
) -> Record:
    """Executes a notebook on a workspace and keeps what it showed.

    Its settings `WORKSPACE` and `TEXTS`, where it has them, are set to this workspace and to `texts`.

    Args:
        workspace: what the notebook reads.
        notebook: a marimo notebook (`.py`) or a JupyterLab one (`.ipynb`) with a settings cell.
        given: other settings, as text.
        texts: whether production's texts may stand in the record; outputs that quote them are left out otherwise.
        out: where the record's folder goes; `records/` in the workspace when None.

    Raises:
        NotebookError: the notebook cannot be read or set, or a cell failed; nothing is written then.
    """
    source, known = _read(notebook)
    own: dict[str, Setting] = {"WORKSPACE": os.path.relpath(workspace.folder), "TEXTS": texts}
    settings = known | {name: value for name, value in own.items() if name in known}
    settings |= notebooks.parsed(given or {}, known, str(notebook))
    began, created, rules = time.monotonic(), now(), (workspace.folder / "clw.toml").read_bytes()
    folder = (out or workspace.folder / "records") / f"{notebook.stem}-{created:%Y%m%dT%H%M%S%fZ}"
    # Not while rows are forgotten: what it had read of them would be written afterwards.
    with workspace.lease(f"record {folder.name}", "record", wait_s=WAIT_S), draft(folder) as partial:
        executed = execute(notebooks.prepared(source, settings, str(notebook)), notebook)
        withheld = 0 if texts else without_texts(executed, workspace)
        about = {
            "settings": settings,
            "texts": texts,
            "withheld": withheld,
            "seconds": round(time.monotonic() - began, 1),
        }
        (partial / f"{notebook.stem}.ipynb").write_text(as_file(executed))
        (partial / f"{notebook.stem}.html").write_text(page(executed, title=notebook.stem))
        manifest = seal(workspace, partial, notebook.name, notebook.read_bytes(), created, rules, about)
    return Record(folder, manifest)


def _read(notebook: Path) -> tuple[dict[str, object], dict[str, Setting]]:
    """A notebook as JupyterLab has it, and its settings."""
    try:
        text = notebook.read_text()
    except FileNotFoundError as error:
        raise NotebookError(f"{notebook}: not there. Name a notebook, .py or .ipynb.") from error
    except (IsADirectoryError, UnicodeDecodeError) as error:
        raise NotebookError(f"{notebook}: not a file of text. Name a notebook, .py or .ipynb.") from error
    source = notebooks.read(text, str(notebook))
    return source, notebooks.parameters(source, str(notebook))


def execute(prepared: dict[str, object], notebook: Path) -> "NotebookNode":
    """Runs all cells in a fresh kernel, in the folder at hand.

    Raises:
        NotebookError: a cell failed, the kernel died, or packages for it are missing.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, DeadKernelError
        from traitlets.config import Config
    except ModuleNotFoundError as error:
        raise NotebookError(f"records need {error.name}. Install it: pip install 'clworkbench[notebooks]'.") from error
    node: NotebookNode = nbformat.reads(notebooks.as_text(prepared), as_version=4)  # type: ignore[no-untyped-call]
    resources = {"metadata": {"path": str(Path.cwd())}}
    # Between processes of one user, where the system can: no port is opened.
    config = Config({"KernelManager": {"transport": "ipc"}}) if os.name == "posix" else Config()
    client = NotebookClient(
        node, timeout=None, kernel_name="python3", resources=resources, record_timing=False, config=config
    )
    # The figure's data alone: the page brings plotly's script once, not with every figure.
    environment = os.environ | {"PLOTLY_RENDERER": "plotly_mimetype"}
    try:
        client.execute(env=environment)
    except CellExecutionError as error:
        number = next(i for i, cell in enumerate(node.cells, 1) if _failed(cell))
        raise NotebookError(
            f"{notebook}: cell {number} failed: {error.ename}: {error.evalue}\n"
            "No record was written. Mend the cell or its settings, then record again."
        ) from error
    except DeadKernelError as error:
        raise NotebookError(
            f"{notebook}: its kernel died, often for want of memory. No record was written; try a smaller workspace."
        ) from error
    return node


def as_file(executed: "NotebookNode") -> str:
    """An executed notebook as it stands in its file."""
    import nbformat

    return str(nbformat.writes(executed)) + "\n"  # type: ignore[no-untyped-call]


def _failed(cell: Mapping[str, object]) -> bool:
    outputs = cell.get("outputs")
    return isinstance(outputs, list) and any(output["output_type"] == "error" for output in outputs)


def seal(
    workspace: Workspace,
    folder: Path,
    notebook: str,
    source: bytes,
    created: datetime,
    rules: bytes,
    about: Mapping[str, object],
) -> dict[str, object]:
    """Writes what a record was made from, and in what environment, beside its notebook; returns the manifest.

    Args:
        workspace: after it ran.
        folder: with the executed notebook and its page.
        notebook: the name of its source.
        source: the bytes of that.
        created: when it began.
        rules: the bytes of the `clw.toml` of then, which are kept too.
        about: `settings`, `texts`, `withheld`, `seconds`.
    """
    (folder / "clw.toml").write_bytes(rules)
    manifest = {
        "kind": "record",
        "notebook": notebook,
        "source_sha256": sha256(source).hexdigest(),
        "created": created.isoformat(),
        "workspace": workspace.catalog.meta("workspace_id"),
        "clw_toml_sha256": sha256(rules).hexdigest(),
        **environment(),
        **made_of(workspace),
        **about,
        "files": {path.name: sha256_file(path) for path in sorted(folder.iterdir())},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def made_of(workspace: Workspace) -> dict[str, object]:
    """What the workspace holds once the notebook has run: `artefacts` (hash by id), `tables` (rows), `batches`."""
    artefacts = workspace.catalog.artefacts()
    return {
        "artefacts": {
            str(m["id"]): m["rows_sha256"] or m.get("adapter_sha256") or m["config_sha256"] for m in artefacts
        },
        "tables": workspace.counts(),
        "batches": workspace.catalog.committed().height,
    }


def environment() -> dict[str, object]:
    """What else decides a result: `python`, `platform`, `packages` (version by name)."""
    return {
        "python": platform.python_version(),
        "platform": sys.platform,
        "packages": dict(sorted((each.name.lower(), each.version) for each in distributions())),
    }
