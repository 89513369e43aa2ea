"""A record of one call, such as `clw train`: the call as code and what it showed, ready to be run again."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from clworkbench.records import notebooks
from clworkbench.records.notebooks import Cell
from clworkbench.records.outputs import RESULT
from clworkbench.records.record import seal
from clworkbench.workspace import Workspace
from clworkbench.workspace.artefacts import draft
from clworkbench.workspace.catalog import as_moment, now


class Shown(Protocol):
    """What a verb of the package gives back: an artefact's manifest, and two faces."""

    @property
    def manifest(self) -> dict[str, object]:
        """Of the artefact that the call made, or found."""
        ...

    def _repr_html_(self) -> str: ...


def keep_call(
    workspace: Workspace, verb: str, *words: str, began: datetime, shown: Shown, options: Mapping[str, object]
) -> Path | None:
    """Writes what `clw.VERB(workspace, *words, **options)` showed as an executed notebook into `records/`.

    It shows numbers and names, and no texts of production.

    Args:
        workspace: on which it ran.
        verb: the name of the function in the package.
        words: what it was given by position.
        began: when; what was made before is found, not made again, when the record is reproduced.
        shown: what it gave back.
        options: what it was given by name; None is what was left out.

    Returns:
        The record's folder, or None where nothing new was made: the artefact was there.
    """
    if as_moment(str(shown.manifest["created"])) < began:
        return None
    given = {name: value for name, value in options.items() if value is not None}
    source = notebooks.as_text(_notebook(verb, words, given, shown))
    stem = f"{verb}-{str(shown.manifest['id']).partition(':')[2]}"
    folder = workspace.folder / "records" / f"{stem}-{began:%Y%m%dT%H%M%S%fZ}"
    about = {
        "settings": {"WORKSPACE": str(workspace.folder), **{name: str(value) for name, value in given.items()}},
        "texts": False,
        "withheld": 0,
        "seconds": round((now() - began).total_seconds(), 1),
    }
    rules = (workspace.folder / "clw.toml").read_bytes()
    with draft(folder) as partial:
        (partial / f"{stem}.ipynb").write_text(source)
        _write_page(partial / f"{stem}.html", source)
        seal(workspace, partial, f"{stem}.ipynb", source.encode(), began, rules, about)
    return folder


def _notebook(verb: str, words: tuple[str, ...], given: Mapping[str, object], shown: Shown) -> dict[str, object]:
    arguments = ", ".join(["workspace", *map(repr, words), *(f"{name}={value!r}" for name, value in given.items())])
    setup = "import clworkbench as clw\n\nworkspace = clw.Workspace(WORKSPACE)"
    faces = {"text/html": shown._repr_html_(), "text/plain": repr(shown)}
    result = {"output_type": "execute_result", "execution_count": 3, "metadata": {}, "data": faces}
    made = notebooks.composed(
        [
            Cell("markdown", f"# clw {verb} {' '.join(words)}\n\nWritten by the command, as it was called."),
            Cell("code", 'WORKSPACE = "."'),
            Cell("code", setup),
            Cell("code", f"clw.{verb}({arguments})"),
        ]
    )
    cells = made["cells"]
    assert isinstance(cells, list)
    cells[-1] |= {"metadata": {"tags": [RESULT]}, "execution_count": 3, "outputs": [result]}
    return made


def _write_page(path: Path, text: str) -> None:
    """The same as a page, where the packages that draw one are installed."""
    try:
        import nbformat

        from clworkbench.records.page import page

        node = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        path.write_text(page(node, title=path.stem))
    except ModuleNotFoundError:
        return
