"""The workspace's key: made once, kept outside the workspace, never replaced in silence."""

import os
import secrets
from pathlib import Path

import platformdirs

from clworkbench.errors import WorkspaceError
from clworkbench.policy.pseudonyms import Pseudonyms

KEY_BYTES = 32


def key_path(workspace_id: str) -> Path:
    """Where the key of a workspace lies in the user's config folder (`CLW_CONFIG` moves it)."""
    folder = os.environ.get("CLW_CONFIG") or platformdirs.user_config_dir("clworkbench")
    return Path(folder) / "keys" / f"{workspace_id}.key"


def make_key(workspace_id: str, key: bytes | None = None) -> Pseudonyms:
    """The key for a new workspace: from `CLW_KEY`, or `key`, or random; the latter two are stored with mode 0600."""
    if given := _from_environment():
        return given
    key = key or secrets.token_bytes(KEY_BYTES)
    path = key_path(workspace_id)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.hex())
    return Pseudonyms(key)


def load_key(workspace_id: str, fingerprint: str) -> Pseudonyms:
    """The key of an existing workspace.

    Raises:
        WorkspaceError: it is missing, or it is not the key that the catalog knows.
    """
    path = key_path(workspace_id)
    place = "CLW_KEY" if os.environ.get("CLW_KEY") else str(path)
    pseudonyms = _from_environment() or _from_file(path)
    if pseudonyms is None:
        raise WorkspaceError(
            f"no key for this workspace at {path}, and CLW_KEY is not set.\n"
            "Ids made with another key would not match: restore the key file, or set CLW_KEY to it (64 hex digits)."
        )
    if pseudonyms.fingerprint != fingerprint:
        raise WorkspaceError(
            f"the key in {place} is not this workspace's "
            f"(fingerprint {pseudonyms.fingerprint}, wanted {fingerprint}).\n"
            "Restore the right key file, or set CLW_KEY to the right key."
        )
    return pseudonyms


def _from_environment() -> Pseudonyms | None:
    text = os.environ.get("CLW_KEY")
    return _parse(text, "CLW_KEY") if text else None


def _from_file(path: Path) -> Pseudonyms | None:
    return _parse(path.read_text(), str(path)) if path.exists() else None


def _parse(text: str, place: str) -> Pseudonyms:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise WorkspaceError(f"{place}: not a key. A key is {2 * KEY_BYTES} hex digits.")
    return Pseudonyms(key)
