"""The token that senders show: made on the first start, kept beside the workspace's key, never in the workspace."""

import os
import secrets
from pathlib import Path

from clworkbench.errors import WorkspaceError
from clworkbench.workspace import Workspace
from clworkbench.workspace.key import key_path

LEAST = 32


def token_path(workspace: Workspace) -> Path:
    """Where the token of a workspace lies: in the user's config folder (`CLW_CONFIG` moves it)."""
    key = key_path(str(workspace.catalog.meta("workspace_id")))
    return key.parent.parent / "tokens" / f"{key.stem}.token"


def token(workspace: Workspace) -> str:
    """The workspace's token; the first call makes it, in a file with mode 0600.

    Raises:
        WorkspaceError: the file holds none, or others may read it.
    """
    path = token_path(workspace)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _kept(path)
    made = secrets.token_urlsafe(LEAST)
    with os.fdopen(descriptor, "w") as file:
        file.write(made + "\n")
    return made


def _kept(path: Path) -> str:
    if path.stat().st_mode & 0o077:
        raise WorkspaceError(
            f"{path}: others may read the token.\nRun `chmod 600 {path}`, or delete it: it is made anew."
        )
    kept = path.read_text().strip()
    if len(kept) < LEAST:
        raise WorkspaceError(f"{path}: no token in it. Delete it: `clw capture` makes a new one.")
    return kept
