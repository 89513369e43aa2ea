"""An executed notebook as one page of HTML that asks nothing from outside."""

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

PLOTLY = "application/vnd.plotly.v1+json"
OUTSIDE = ("require_js_url", "mathjax_url", "mermaid_js_url", "jquery_url")


def page(executed: "NotebookNode", *, title: str) -> str:
    """The page: figures stay alive, plotly's script stands in it once, and formulas stay as they were typed."""
    from nbconvert import HTMLExporter
    from plotly.offline import get_plotlyjs

    drawn = copy.deepcopy(executed)
    figures = 0
    for cell in drawn.cells:
        for output in cell.get("outputs", []):
            if PLOTLY in output.get("data", {}):
                output.data = {"text/html": _figure(output.data[PLOTLY])}
                figures += 1
    exporter = HTMLExporter(**dict.fromkeys(OUTSIDE, ""))  # type: ignore[no-untyped-call]
    text, _ = exporter.from_notebook_node(drawn, resources={"metadata": {"name": title}})
    script = f"<script>{get_plotlyjs()}</script>" if figures else ""
    return str(text).replace('<script src=""></script>', script, 1).replace('<script src=""> </script>', "")


def _figure(figure: dict[str, object]) -> str:
    import plotly.io as pio

    plain = {"data": figure["data"], "layout": figure["layout"]}
    config = {"displayModeBar": False, "responsive": True}
    return str(pio.to_html(plain, include_plotlyjs=False, full_html=False, validate=False, config=config))
