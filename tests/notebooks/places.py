"""On which workspace a notebook is tried."""

from pathlib import Path

from clworkbench.demo.exports import exports, open_exports
from clworkbench.demo.governed import open_governed

OWN = {
    "01_ingest": lambda place: open_exports(place, exports()),
    "08_govern": open_governed,
}
"""Notebooks that write into a workspace of their own, and what makes it."""


def only_reads(source: Path) -> bool:
    """Whether a notebook says that it leaves a workspace that is there as it was."""
    return "**Writes** nothing" in source.read_text()


def place_for(source: Path, tiny_workspace: Path, tmp_path: Path) -> Path:
    """The workspace that a notebook is tried on; its own where it writes."""
    return tiny_workspace if only_reads(source) else OWN[source.stem](tmp_path / "w").folder
