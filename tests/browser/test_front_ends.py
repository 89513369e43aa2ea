"""Both front ends open each notebook, run every cell, and show it without an error or a look outside."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from clworkbench.records import notebooks
from tests.browser.front_ends import ARGUMENTS, CHROMIUM, jupyterlab, marimo
from tests.notebooks.places import as_parameters, end_server, only_reads, place_for
from tests.tiny_workspace import HOSTILE

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}"),
]

SOURCES = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))
RUN_MS = 180_000
"""How long a notebook's cells may take: one of them waits for a server, and whoever runs this may run more."""

MATHJAX = "mathjax"
"""Every figure of plotly's asks a CDN for it in marimo, and draws well without."""

LAB_READY = """async () => {
    const lab = window.jupyterapp;
    await lab.restored;
    const panel = lab.shell.currentWidget;
    if (!panel || !panel.context) return false;
    await panel.context.ready;
    await panel.context.sessionContext.ready;
    await panel.context.sessionContext.session.kernel.info;
    return true;
}"""
LAB_CELLS = """() => {
    const panel = window.jupyterapp.shell.currentWidget;
    const cells = Array.from(panel.content.widgets).filter(cell => cell.model.type === 'code');
    return {
        kernel: panel.context.sessionContext.session.kernel.status,
        counts: cells.map(cell => cell.model.executionCount),
        errors: cells.flatMap(cell => cell.model.outputs.toJSON()).filter(o => o.output_type === 'error'),
    };
}"""
BUSY = "status => ['queued', 'running', 'stale'].includes(status)"
MARIMO_CELLS = """() => Array.from(document.querySelectorAll('[data-testid=cell-status]')).map(e => e.dataset.status)"""
TO_THE_TOP = "() => document.querySelectorAll('*').forEach(e => { e.scrollTop = 0; })"
TALLEST = "() => Math.max(...Array.from(document.querySelectorAll('*')).map(e => e.scrollHeight))"


class Watched:
    """A page, and what it said and asked for that it should not have."""

    def __init__(self, page) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("request", lambda request: self.asked(request.url))
        page.on("console", self.said)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on(
            "dialog", lambda dialog: (self.wrong.append(f"production's text ran: {dialog.message}"), dialog.dismiss())
        )

    def asked(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")) and MATHJAX not in url.lower():
            self.wrong.append(f"asked for {url}")

    def said(self, message) -> None:
        if message.type == "error" and MATHJAX not in message.location["url"].lower():
            self.wrong.append(f"{message.text} ({message.location['url']})")


@pytest.fixture
def watched() -> Iterator[Watched]:
    with (
        playwright.sync_playwright() as drive,
        drive.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
    ):
        yield Watched(browser.new_page(viewport={"width": 1300, "height": 1000}))


each_notebook = pytest.mark.parametrize("source", as_parameters(SOURCES), ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def ended_server(tmp_path: Path) -> Iterator[None]:
    yield
    end_server(tmp_path)


def photographed(page, place: Path) -> None:
    """The whole notebook, not only what the window holds."""
    page.set_viewport_size({"width": 1300, "height": page.evaluate(TALLEST) + 200})
    page.evaluate(TO_THE_TOP)
    page.wait_for_timeout(1500)  # for the picture alone: figures grow with the window
    page.screenshot(path=place)
    assert place.stat().st_size > 50_000


@each_notebook
def test_jupyterlab_opens_it_and_runs_every_cell(source, watched, tiny_workspace, tmp_path):
    place = str(place_for(source, tiny_workspace, tmp_path))
    made = notebooks.prepared(notebooks.jupyter(source.read_text(), source.name), {"WORKSPACE": place}, "")
    (tmp_path / "it.ipynb").write_text(json.dumps(made))
    n_code = sum(cell["cell_type"] == "code" for cell in made["cells"])
    page = watched.page
    with jupyterlab(tmp_path) as url:
        page.goto(f"{url}/lab/tree/it.ipynb")
        page.wait_for_function("() => window.jupyterapp && window.jupyterapp.shell.currentWidget", timeout=60_000)
        page.wait_for_function(LAB_READY, timeout=60_000)
        page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        done = f"() => {{ const s = ({LAB_CELLS})(); return s.kernel === 'idle' && s.counts.every(c => c); }}"
        page.wait_for_function(done, timeout=RUN_MS)
        state = page.evaluate(LAB_CELLS)
        assert (state["counts"], state["errors"]) == (list(range(1, n_code + 1)), [])
        n_figures = sum(".plot" in "".join(cell["source"]) for cell in made["cells"])
        expect(page.locator(".jp-OutputArea .js-plotly-plot")).to_have_count(n_figures, timeout=30_000)
        if only_reads(source):
            expect(page.get_by_text(HOSTILE.strip()).first).to_be_visible()
        photographed(page, tmp_path / "jupyterlab.png")
    assert watched.wrong == []


@each_notebook
def test_marimo_opens_it_and_runs_every_cell(source, watched, tiny_workspace, tmp_path):
    place = str(place_for(source, tiny_workspace, tmp_path))
    text = notebooks.with_settings(source.read_text(), {"WORKSPACE": place})
    (tmp_path / "it.py").write_text(text)
    page = watched.page
    with marimo(tmp_path, "it.py") as url:
        page.goto(url)
        n = text.count("@app.cell")
        # marimo 0.25 shows prose without running it, as out of date; then "run all stale cells" runs it too.
        opened = f"() => {{ const s = ({MARIMO_CELLS})(); return s.length === {n} && !s.some({BUSY}); }}"
        page.wait_for_function(opened, timeout=RUN_MS)
        # A widget's cell that runs again while its script still loads loses the script: it must stand before.
        expect(page.get_by_test_id("clw-explorer")).to_have_count(text.count("clw.explore("), timeout=30_000)
        page.keyboard.press("Control+Shift+R")
        done = f"() => ({MARIMO_CELLS})().every(status => status === 'idle')"
        page.wait_for_function(done, timeout=RUN_MS)
        assert page.locator(".marimo-error, [data-testid=cell-error]").count() == 0
        expect(page.locator(".js-plotly-plot")).to_have_count(text.count(".plot"), timeout=30_000)
        if only_reads(source):
            expect(page.get_by_text(HOSTILE.strip()).first).to_be_visible()
        photographed(page, tmp_path / "marimo.png")
        wrong = list(watched.wrong)
    assert wrong == []
