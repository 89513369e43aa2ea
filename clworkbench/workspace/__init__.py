"""The workspace: the only place where tables and artefacts are read and written, and what counts is decided."""

from clworkbench.workspace.artefacts import Manifest
from clworkbench.workspace.folder import Workspace

__all__ = ["Manifest", "Workspace"]
