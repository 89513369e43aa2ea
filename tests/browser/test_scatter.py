"""The map as points in both front ends: a lasso marks signals in the explorer, and the next cell reads them."""

import json
from pathlib import Path

import pytest

from clworkbench.records import notebooks
from tests.browser.front_ends import CHROMIUM, jupyterlab, marimo
from tests.browser.test_front_ends import LAB_CELLS, LAB_READY, Watched, watched
from tests.loop.made_talks import make_talks

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("jscatter", reason="jupyter-scatter is not installed: pip install 'clworkbench[map]'")
expect = playwright.expect
__all__ = ["watched"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}"),
]

SOURCE = '''\
import marimo

app = marimo.App(width="medium")


@app.cell
def _(mo):
    mo.md(r"""
    # Points
    """)
    return


@app.cell
def _():
    WORKSPACE = "w"
    return (WORKSPACE,)


@app.cell
def _():
    import marimo as mo

    import clworkbench as clw

    return clw, mo


@app.cell
def _(WORKSPACE, clw):
    explorer = clw.explore(clw.Workspace(WORKSPACE), group_by="model", texts=True)
    explorer
    return (explorer,)


@app.cell
def _(explorer):
    points = explorer.scatter()
    points
    return (points,)


@app.cell
def _(explorer, points):
    (points, f"{len(explorer.selected)} marked")[1]
    return


if __name__ == "__main__":
    app.run()
'''


def lassoed(page, place: Path, front_end: str) -> None:
    """The pointer draws a lasso around all points; the explorer says how many are marked."""
    status = page.get_by_test_id("clw-status")
    expect(status).to_have_text("60 of 60 signals.", timeout=90_000)
    canvas = page.locator("canvas").first
    expect(canvas).to_be_visible(timeout=30_000)
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(2000)  # jupyter-scatter takes no lasso before its points stand
    box = canvas.bounding_box()
    page.screenshot(path=place / f"{front_end}-points.png")
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.04)]
    page.mouse.move(box["x"] + box["width"] * 0.02, box["y"] + box["height"] * 0.02)
    page.mouse.down()
    for across, down in corners:
        page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down, steps=10)
    page.mouse.up()
    expect(status).to_have_text("60 of 60 signals, 60 marked.")
    page.wait_for_timeout(500)  # for the picture alone
    page.screenshot(path=place / f"{front_end}-lasso.png")


def test_in_jupyterlab_a_lasso_marks_signals(watched: Watched, tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = make_talks(tmp_path / "w")
    made = notebooks.prepared(notebooks.jupyter(SOURCE, "it.py"), {"WORKSPACE": str(workspace.folder)}, "")
    (tmp_path / "it.ipynb").write_text(json.dumps(made))
    page = watched.page
    with jupyterlab(tmp_path) as url:
        page.goto(f"{url}/lab/tree/it.ipynb")
        page.wait_for_function("() => window.jupyterapp && window.jupyterapp.shell.currentWidget", timeout=60_000)
        page.wait_for_function(LAB_READY, timeout=60_000)
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        done = f"() => {{ const s = ({LAB_CELLS})(); return s.kernel === 'idle' && s.counts.every(c => c); }}"
        page.wait_for_function(done, timeout=60_000)
        assert page.evaluate(LAB_CELLS)["errors"] == []
        lassoed(page, tmp_path, "jupyterlab")
        page.evaluate(
            """async () => {
            const panel = window.jupyterapp.shell.currentWidget;
            panel.content.activeCellIndex = panel.content.widgets.length - 1;
            await window.jupyterapp.commands.execute('notebook:run-cell');
        }"""
        )
        expect(page.get_by_text("'60 marked'")).to_be_visible()
    assert watched.wrong == []


def test_in_marimo_a_lasso_runs_the_next_cell(watched: Watched, tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = make_talks(tmp_path / "w")
    (tmp_path / "points.py").write_text(notebooks.with_settings(SOURCE, {"WORKSPACE": str(workspace.folder)}))
    page = watched.page
    with marimo(tmp_path, "points.py") as url:
        page.goto(f"{url}/?file=points.py")
        lassoed(page, tmp_path, "marimo")
        expect(page.get_by_text("'60 marked'", exact=True)).to_be_visible()
        wrong = list(watched.wrong)
    assert wrong == []
