"""The explorer in both front ends: a filter is moved, signals are marked, and the next cell reads them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clworkbench.loop.signals.explore import find
from clworkbench.records import notebooks
from clworkbench.workspace import Workspace
from tests.browser.front_ends import CHROMIUM, jupyterlab, marimo
from tests.browser.test_front_ends import LAB_CELLS, LAB_READY, Watched, watched
from tests.loop.made_talks import HOSTILE, make_talks

playwright = pytest.importorskip("playwright.sync_api")
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
    # Explore
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
    [f"{len(explorer.selected)} marked", *explorer.rows["source_id"].sort()[:3]]
    return


if __name__ == "__main__":
    app.run()
'''


def photographed(page, place: Path, name: str) -> None:
    page.wait_for_timeout(300)  # for the picture alone
    page.get_by_test_id("clw-explorer").screenshot(path=place / f"{name}.png")


def used(page, place: Path, front_end: str) -> None:
    """What an analyst does: filter, read, mark, filter again."""
    status, rows = page.get_by_test_id("clw-status"), page.get_by_test_id("clw-row")
    expect(status).to_have_text("60 of 60 signals.", timeout=90_000)
    expect(rows).to_have_count(20)
    photographed(page, place, f"{front_end}-whole")
    page.get_by_test_id("clw-slice").select_option("money")
    expect(status).to_have_text("20 of 60 signals.")
    page.get_by_test_id("clw-text").fill("TWICE 3")
    expect(status).to_have_text("5 of 60 signals.")  # 3, 30, 33, 36, 39
    rows.first.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    detail = page.get_by_test_id("clw-detail")
    expect(detail).to_contain_text("look_up")
    expect(detail).to_contain_text('{"order": "<b>7</b>"}')
    expect(detail.get_by_text(f"answer 3 {HOSTILE}", exact=True)).to_be_visible()
    expect(detail).to_contain_text("thumbs")
    expect(detail).to_contain_text("turn 2 of 2")
    photographed(page, place, f"{front_end}-detail")
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(rows.last).to_be_focused()
    page.keyboard.press("Space")
    expect(status).to_have_text("5 of 60 signals, 1 marked.")
    page.get_by_test_id("clw-where").fill("colour = 1")
    page.get_by_test_id("clw-where").press("Enter")
    expect(page.get_by_test_id("clw-error")).to_contain_text("no column 'colour'")
    page.get_by_test_id("clw-where").fill("")
    page.get_by_test_id("clw-where").press("Enter")
    expect(page.get_by_test_id("clw-error")).to_be_hidden()


def filtered_again(page) -> None:
    """What the new filter does not find is no longer marked, and that is said."""
    page.get_by_test_id("clw-text").fill("twice 30")
    status = page.get_by_test_id("clw-status")
    expect(status).to_have_text("1 of 60 signals. 1 marked signal is not among them and no longer marked.")
    page.get_by_test_id("clw-clear").click()
    expect(status).to_have_text("60 of 60 signals.")
    page.get_by_test_id("clw-next").click()
    expect(page.get_by_test_id("clw-page")).to_have_text("page 2 of 3")
    page.get_by_test_id("clw-values").select_option(label="m<i>1</i>")
    expect(status).to_have_text("30 of 60 signals.")
    expect(page.get_by_test_id("clw-code")).to_contain_text("model in ('m<i>1</i>')")


def mapped(page, place: Path, front_end: str) -> None:
    """An area of the map is drawn with the pointer and with keys; it is a filter, and stands in the code."""
    status, code = page.get_by_test_id("clw-status"), page.get_by_test_id("clw-code")
    page.get_by_test_id("clw-clear").click()
    expect(status).to_have_text("60 of 60 signals.")
    page.get_by_test_id("clw-map-box").locator("summary").click()
    expect(page.get_by_test_id("clw-map-said")).to_contain_text("60 signals by what the user said last")
    chart = page.get_by_test_id("clw-map")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 - 4, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()
    expect(page.get_by_test_id("clw-area")).to_be_visible()
    expect(code).to_contain_text("area=(")
    drawn = status.text_content()
    assert drawn != "60 of 60 signals."
    page.get_by_test_id("clw-map-colour").select_option("bad")
    photographed(page, place, f"{front_end}-map")
    chart.press("Escape")
    expect(status).to_have_text("60 of 60 signals.")
    for _ in range(9):
        chart.press("ArrowUp")
        chart.press("ArrowRight")
    for _ in range(9):
        chart.press("Shift+ArrowDown")
        chart.press("Shift+ArrowLeft")
    expect(page.get_by_test_id("clw-map-here")).to_contain_text("signal")
    chart.press("Enter")
    expect(page.get_by_test_id("clw-area")).to_be_visible()
    expect(status).to_have_text("60 of 60 signals.")


def kept(page, place: Path, front_end: str) -> None:
    """The filters become a slice and the marked a candidate by a click; what cannot be is told in words."""
    said, name, save = (page.get_by_test_id(f"clw-{part}") for part in ("kept", "name", "save"))
    name.fill("told")
    save.click()
    expect(said).to_contain_text("no expression tells an area of the map")
    page.get_by_test_id("clw-area").click()
    page.get_by_test_id("clw-text").fill("twice 30")
    expect(page.get_by_test_id("clw-status")).to_have_text("1 of 60 signals.")
    name.fill("money")
    save.click()
    expect(said).to_contain_text("there is a slice 'money' already")
    name.fill("told")
    save.click()
    expect(said).to_contain_text("stands in clw.toml.")
    expect(page.get_by_test_id("clw-slice").locator("option")).to_have_text(["all signals", "money", "told"])
    page.get_by_test_id("clw-mark-all").click()
    expect(page.get_by_test_id("clw-status")).to_have_text("1 of 60 signals, 1 marked.")
    page.get_by_test_id("clw-pick").click()
    expect(said).to_have_text("Candidates: 1 new, 0 known before.")
    expect(page.get_by_test_id("clw-code")).to_contain_text("clw.pick(workspace, [")
    photographed(page, place, f"{front_end}-kept")


def dark(page, place: Path, front_end: str, into_the_dark: Callable[[], object]) -> None:
    into_the_dark()
    photographed(page, place, f"{front_end}-dark")


def test_in_jupyterlab_a_filter_and_a_mark_reach_the_next_cell_and_a_still_picture_stays(
    watched: Watched, tmp_path, monkeypatch
):
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
        used(page, tmp_path, "jupyterlab")
        expect(page.locator("[class^=clw-still]")).to_be_hidden()
        page.evaluate(
            """async () => {
            const panel = window.jupyterapp.shell.currentWidget;
            panel.content.activeCellIndex = panel.content.widgets.length - 1;
            await window.jupyterapp.commands.execute('notebook:run-cell');
            await panel.context.save();
        }"""
        )
        expect(page.get_by_text("['1 marked', 'chat-3']")).to_be_visible()
        saved = (tmp_path / "it.ipynb").read_text()
        filtered_again(page)
        mapped(page, tmp_path, "jupyterlab")
        kept(page, tmp_path, "jupyterlab")
        theme = "window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })"
        dark(page, tmp_path, "jupyterlab", lambda: page.evaluate(f"async () => {{ await {theme}; }}"))
        assert watched.wrong == []
    outputs = [output for cell in json.loads(saved)["cells"] for output in cell.get("outputs", [])]
    still = "".join("".join(each["data"].get("text/html", "")) for each in outputs if "data" in each)
    assert "5 of 60 signals, 1 marked" in still
    assert "<script>" not in still


def test_in_marimo_a_filter_and_a_mark_run_the_next_cell(watched: Watched, tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = make_talks(tmp_path / "w")
    (tmp_path / "explored.py").write_text(notebooks.with_settings(SOURCE, {"WORKSPACE": str(workspace.folder)}))
    page = watched.page
    with marimo(tmp_path, "explored.py") as url:
        page.goto(f"{url}/?file=explored.py")
        used(page, tmp_path, "marimo")
        expect(page.get_by_text("1 marked", exact=True)).to_be_visible()
        expect(page.get_by_text("chat-3", exact=True)).to_be_visible()
        filtered_again(page)
        mapped(page, tmp_path, "marimo")
        kept(page, tmp_path, "marimo")
        dark(
            page,
            tmp_path,
            "marimo",
            lambda: page.evaluate(
                "() => { document.body.classList.add('dark'); document.documentElement.style.colorScheme = 'dark'; }"
            ),
        )
        wrong = list(watched.wrong)
    assert wrong == []
    assert Workspace(workspace.folder).settings.slices["told"].startswith("regexp_like(text, 'twice 30', 'i')")
    assert Workspace(workspace.folder).read("candidates").height == 1
    assert find(workspace, "text LIKE '%twice 3 %'")["source_id"].to_list() == ["chat-3"]
