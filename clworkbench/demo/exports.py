"""Made-up exports of a plant shop's assistant, and a workspace to read them into: what the notebook on ingest shows."""

from hashlib import sha256
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

from clworkbench.demo.opening import found
from clworkbench.errors import ClwError
from clworkbench.settings import template
from clworkbench.workspace import Workspace

THUMBS = """
[sources.thumbs]                # what visitors said later
format = "datawizz"
target_source = "openai"        # about answers that the source `openai` reported
"""


class Exports(NamedTuple):
    """What the notebook on ingest reads.

    Attributes:
        traffic: a folder of traces and logs in several formats; the made-up ones have the flaws that real ones have.
        later: what was said days after; the made-up thumbs are about answers of the traffic.
        source_of_later: as which source that is read.
        table: a table of the shop's own, for which there is no format.
    """

    traffic: Path
    later: Path
    source_of_later: str
    table: Path


def exports(folder: str = "", later: str = "") -> Exports:
    """The exports in `folder` and what came `later`; those that come with the package where no folder is named.

    The package's own are synthetic, names and all.
    """
    with as_file(files("clworkbench.demo") / "exports") as here:
        table = here / "traffic" / "helpdesk.csv"
        if folder:
            return Exports(Path(folder), Path(later or folder), "auto", table)
        return Exports(here / "traffic", here / "later" / "thumbs.jsonl", "thumbs", table)


def open_exports(place: str | Path, given: Exports) -> Workspace:
    """Opens a workspace for them, made where there is none; relative places are found as `opening.open_desk` does.

    Raises:
        ClwError: the workspace is not one for made-up exports, and no others were named.
    """
    folder = found(Path(place))
    if not (folder / "catalog.db").exists():
        return Workspace.create(folder, settings=template() + THUMBS, key=sha256(b"demo exports").digest())
    workspace = Workspace(folder)
    if given.source_of_later not in ("auto", *workspace.settings.sources):
        raise ClwError(
            f"{folder}: a workspace of your own, into which made-up exports do not belong.\n"
            "Set FOLDER to exports of your own, or WORKSPACE to a folder that is not there yet."
        )
    return workspace
