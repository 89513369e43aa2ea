"""Notebooks: one marimo source, its JupyterLab copy, and settings that can be replaced from outside.

`python -m clworkbench.records.notebooks notebooks` writes the copies anew.
"""

import ast
import copy
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clworkbench.errors import NotebookError
from clworkbench.files import write_atomically

Setting = str | int | float | bool | None
"""What a setting may be: a plain constant."""

MARIMO = "import marimo as mo"


@dataclass(frozen=True)
class Cell:
    """One cell: Python, or Markdown."""

    kind: Literal["code", "markdown"]
    text: str


def cells(source: str, place: str) -> list[Cell]:
    """The cells of a marimo notebook in the order in which they stand, without what only marimo needs.

    Args:
        source: the text of a `.py` file that marimo wrote.
        place: names it in errors.

    Raises:
        NotebookError: it is no such notebook.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise NotebookError(f"{place}: not Python ({error.msg}, line {error.lineno}). Mend that line.") from error
    found = [_cell(node, source) for node in tree.body if isinstance(node, ast.FunctionDef) and _is_cell(node)]
    if not found:
        raise NotebookError(f"{place}: no cell of a marimo notebook in it. Make one with `marimo edit {place}`.")
    return [cell for cell in found if cell.text]


def _is_cell(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator).startswith("app.cell") for decorator in node.decorator_list)


def _cell(node: ast.FunctionDef, source: str) -> Cell:
    body = [each for each in node.body if not isinstance(each, ast.Return)]
    if not body:
        return Cell("code", "")
    if len(body) == 1 and (text := _markdown(body[0])) is not None:
        return Cell("markdown", text)
    lines = source.splitlines()
    returns = [each.lineno - 1 for each in node.body if isinstance(each, ast.Return)]
    first, last = body[0].lineno - 1, (returns or [node.end_lineno or 0])[-1]
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    kept = textwrap.dedent("\n".join(lines[first:last])).splitlines()
    return Cell("code", "\n".join(line for line in kept if line != MARIMO).strip("\n"))


def _markdown(statement: ast.stmt) -> str | None:
    """The text of `mo.md("...")`, where a cell is nothing else."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "mo.md" or len(call.args) != 1:
        return None
    text = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
    return textwrap.dedent(text).strip() if isinstance(text, str) else None


def constants(text: str) -> dict[str, Setting]:
    """The plain constants that a cell assigns."""
    return {name: value.value for name, value in _assigned(text).items()}  # type: ignore[misc]


def _assigned(text: str) -> dict[str, ast.Constant]:
    return {
        ast.unparse(node.targets[0]): node.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }


def with_settings(text: str, given: Mapping[str, Setting]) -> str:
    """The text of a settings cell, or of a whole marimo notebook, with other values; what else stands there stays."""
    lines = text.splitlines(keepends=True)
    for name, node in _assigned(text).items():
        if name in given:
            line = lines[node.lineno - 1].encode()
            changed = line[: node.col_offset] + repr(given[name]).encode() + line[node.end_col_offset :]
            lines[node.lineno - 1] = changed.decode()
    return "".join(lines)


def jupyter(source: str, place: str) -> dict[str, object]:
    """The same notebook for JupyterLab (nbformat 4.5), without outputs; the second cell is tagged `parameters`.

    Raises:
        NotebookError: it is no notebook of marimo's, or its second cell holds no settings.
    """
    found = cells(source, place)
    if len(found) < 2 or found[1].kind != "code" or not constants(found[1].text):
        raise NotebookError(f"{place}: its second cell holds no settings. Write plain constants there, e.g. SEED = 0.")
    return composed(found)


def composed(found: Sequence[Cell]) -> dict[str, object]:
    """Cells as a notebook for JupyterLab, without outputs; the second one is tagged `parameters`."""
    return {
        "cells": [_jupyter_cell(number, cell) for number, cell in enumerate(found)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _jupyter_cell(number: int, cell: Cell) -> dict[str, object]:
    plain: dict[str, object] = {
        "cell_type": cell.kind,
        "id": f"cell-{number}",
        "metadata": {"tags": ["parameters"]} if number == 1 else {},
        "source": cell.text.splitlines(keepends=True),
    }
    return plain if cell.kind == "markdown" else {**plain, "execution_count": None, "outputs": []}


def read(text: str, place: str) -> dict[str, object]:
    """A notebook as JupyterLab has it, from the text of a `.py` or an `.ipynb`.

    Raises:
        NotebookError: it is neither.
    """
    if not place.endswith(".ipynb"):
        return jupyter(text, place)
    try:
        notebook = json.loads(text)
    except ValueError as error:
        raise NotebookError(f"{place}: not valid JSON ({error}). Restore the notebook.") from error
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4 or not isinstance(notebook.get("cells"), list):
        raise NotebookError(f"{place}: not a notebook of format 4. Save it anew in JupyterLab.")
    return notebook


def parameters(notebook: Mapping[str, object], place: str) -> dict[str, Setting]:
    """The settings in the cell that is tagged `parameters`.

    Raises:
        NotebookError: there is no such cell.
    """
    return constants(_source(_parameters_cell(notebook, place)))


def _parameters_cell(notebook: Mapping[str, object], place: str) -> dict[str, object]:
    found = notebook["cells"]
    assert isinstance(found, list)
    for cell in found:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            assert isinstance(cell, dict)
            return cell
    raise NotebookError(f"{place}: no cell is tagged 'parameters'. Tag the one with the settings (property inspector).")


def _source(cell: Mapping[str, object]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)  # type: ignore[arg-type]


def prepared(notebook: dict[str, object], given: Mapping[str, Setting], place: str) -> dict[str, object]:
    """A copy of a notebook with these settings and without outputs."""
    fresh = copy.deepcopy(notebook)
    cell = _parameters_cell(fresh, place)
    cell["source"] = with_settings(_source(cell), given)
    found = fresh["cells"]
    assert isinstance(found, list)
    for each in found:
        if each["cell_type"] == "code":
            each |= {"outputs": [], "execution_count": None}
    return fresh


def parsed(given: Mapping[str, str], known: Mapping[str, Setting], place: str) -> dict[str, Setting]:
    """Settings given as text, each of the type that it has in the notebook.

    Raises:
        NotebookError: the notebook has no such setting, or it is of another type.
    """
    found: dict[str, Setting] = {}
    for name, text in given.items():
        if name not in known:
            raise NotebookError(f"{place}: no setting {name!r}. Its settings are {', '.join(known)}.")
        found[name] = _value(name, text, known[name])
    return found


def _value(name: str, text: str, now: Setting) -> Setting:
    if isinstance(now, str):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    wanted = (int, float) if type(now) is float else type(now)
    if now is not None and (not isinstance(value, wanted) or isinstance(value, bool) != isinstance(now, bool)):
        kind = {bool: "True or False", int: "a whole number", float: "a number"}[type(now)]
        raise NotebookError(f"{name}={text}: {name} is {kind} in the notebook, now {now!r}. Give it such a value.")
    if not isinstance(value, str | int | float | bool | None):
        raise NotebookError(f"{name}={text}: a setting is a text, a number, True, False or None.")
    return value


def as_text(notebook: Mapping[str, object]) -> str:
    """A notebook as it stands in its file."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def write_copy(source: Path) -> Path:
    """Writes the JupyterLab copy of a marimo notebook into `jupyter/` beside it; returns its path."""
    place = source.parent / "jupyter" / f"{source.stem}.ipynb"
    place.parent.mkdir(exist_ok=True)
    write_atomically(place, as_text(jupyter(source.read_text(), str(source))))
    return place


if __name__ == "__main__":
    for each in sorted(Path(sys.argv[1]).glob("*.py")):
        write_copy(each)
