"""A marimo source as a JupyterLab notebook, and its settings from outside."""

import nbformat
import pytest

from clworkbench.errors import NotebookError
from clworkbench.records import notebooks

SOURCE = '''\
import marimo

app = marimo.App()


@app.cell(hide_code=True)
def _(mo):
    mo.md(r"""
    # Title

    - one
      two
    """)
    return


@app.cell
def _():
    PLACE = "demo"  # a folder
    SEED = 0
    RATE, ON = 0.5, [1]
    SHARE = 0.5
    TEXTS = True
    return PLACE, SEED


@app.cell
def _():
    import marimo as mo

    import polars as pl
    return mo, pl


@app.cell
def _(pl):
    # a reason
    frame = pl.DataFrame(
        {"a": [1]}
    )
    frame
    # the last word
    return (frame,)


@app.cell
def _():
    return


if __name__ == "__main__":
    app.run()
'''

KNOWN = {"PLACE": "demo", "SEED": 0, "SHARE": 0.5, "TEXTS": True}


def test_cells_keep_their_order_and_lose_what_only_marimo_needs():
    assert [(cell.kind, cell.text) for cell in notebooks.cells(SOURCE, "x.py")] == [
        ("markdown", "# Title\n\n- one\n  two"),
        ("code", 'PLACE = "demo"  # a folder\nSEED = 0\nRATE, ON = 0.5, [1]\nSHARE = 0.5\nTEXTS = True'),
        ("code", "import polars as pl"),
        ("code", '# a reason\nframe = pl.DataFrame(\n    {"a": [1]}\n)\nframe\n# the last word'),
    ]


def test_the_copy_is_a_valid_notebook_whose_second_cell_holds_the_parameters():
    made = notebooks.jupyter(SOURCE, "x.py")
    notebook = nbformat.reads(notebooks.as_text(made), as_version=4)
    nbformat.validate(notebook)
    assert [cell.metadata.get("tags") for cell in notebook.cells] == [None, ["parameters"], None, None]
    assert notebooks.parameters(made, "x.py") == KNOWN


def test_settings_are_replaced_and_everything_else_stays():
    text = 'PLACE = "dé"  # a folder\nSEED = 0 # é\nOTHER = 1'
    changed = notebooks.with_settings(text, {"PLACE": 'it\'s "mine"', "SEED": -3})
    assert changed == "PLACE = 'it\\'s \"mine\"'  # a folder\nSEED = -3 # é\nOTHER = 1"


def test_settings_are_replaced_in_a_whole_source():
    changed = notebooks.with_settings(SOURCE, {"SEED": 7})
    assert changed == SOURCE.replace("SEED = 0", "SEED = 7")


def test_preparing_a_notebook_takes_its_outputs_away_and_leaves_the_given_one_alone():
    made = notebooks.jupyter(SOURCE, "x.py")
    made["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "old"}]
    fresh = notebooks.prepared(made, {"SEED": 9}, "x.py")
    assert fresh["cells"][2]["outputs"] == []
    assert "SEED = 9" in fresh["cells"][1]["source"]
    assert made["cells"][2]["outputs"] != []


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"SEED": "3"}, {"SEED": 3}),
        ({"SHARE": "1"}, {"SHARE": 1}),
        ({"TEXTS": "False"}, {"TEXTS": False}),
        ({"PLACE": "3"}, {"PLACE": "3"}),
        ({}, {}),
    ],
)
def test_a_setting_given_as_text_takes_the_type_it_has_in_the_notebook(given, found):
    assert notebooks.parsed(given, KNOWN, "x.py") == found


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"SED": "3"}, "no setting 'SED'. Its settings are PLACE, SEED, SHARE, TEXTS"),
        ({"SEED": "three"}, "SEED is a whole number in the notebook, now 0"),
        ({"SEED": "True"}, "SEED is a whole number"),
        ({"TEXTS": "no"}, "TEXTS is True or False"),
        ({"SHARE": "[1]"}, "SHARE is a number"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused_in_words(given, says):
    with pytest.raises(NotebookError, match=says):
        notebooks.parsed(given, KNOWN, "x.py")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.py", "def (", "not Python"),
        ("x.py", "print(1)", "no cell of a marimo notebook"),
        ("x.py", SOURCE.replace("return PLACE", "return [PLACE]").replace(" = ", " == "), "holds no settings"),
        ("x.ipynb", "{", "not valid JSON"),
        ("x.ipynb", "[]", "not a notebook of format 4"),
        ("x.ipynb", '{"nbformat": 4, "cells": []}', "no cell is tagged 'parameters'"),
    ],
)
def test_what_is_no_notebook_is_refused_in_words(name, text, says):
    with pytest.raises(NotebookError, match=says):
        notebooks.parameters(notebooks.read(text, name), name)
