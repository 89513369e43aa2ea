"""The static forest plot: at the right places, bounded, and with nothing of a name coming to life."""

import re
from xml.etree import ElementTree

from clworkbench.releases.forest_svg import LABELS, WIDTH, forest_svg


def row(name: str = "g", difference: float | None = 0.5, **more: object) -> dict[str, object]:
    known = {"low": 0.25, "high": 1.0, "verdict": "met", "asks": "better", "needed": None, "n": 40}
    return {"name": name, "difference": difference, **known} | more


def test_zero_stands_at_the_left_where_all_is_better_and_the_mark_where_the_difference_is():
    svg = forest_svg([row()], title="t")
    drawn = ElementTree.fromstring(svg)
    zero = next(e for e in drawn.iter("line") if e.get("class") == "zero")
    assert float(zero.get("x1")) == LABELS
    mark = next(drawn.iter("circle"))
    middle = LABELS + (WIDTH - LABELS - 24) / 2
    assert float(mark.get("cx")) == middle
    reach = next(e for e in drawn.iter("line") if e.get("class") == "reach")
    assert float(reach.get("x1")) == LABELS + (WIDTH - LABELS - 24) / 4


def test_each_verdict_has_a_shape_of_its_own():
    rows = [row(verdict=verdict) for verdict in ("met", "violated", "open")]
    svg = forest_svg(rows, title="t")
    assert (svg.count("<rect"), svg.count("fill='none'"), svg.count("<circle")) == (1, 1, 2)


def test_an_interval_without_an_end_reaches_the_edge():
    drawn = ElementTree.fromstring(forest_svg([row(low=None), row(low=-1.0)], title="t"))
    reaches = [float(e.get("x1")) for e in drawn.iter("line") if e.get("class") == "reach"]
    assert reaches == [LABELS, LABELS]


def test_hostile_names_are_text_and_long_ones_are_cut():
    svg = forest_svg([row("<script>alert(1)</script>" + "x" * 99)], title="<img src=x>")
    assert "<script" not in svg
    assert "<img" not in svg
    drawn = ElementTree.fromstring(svg)
    assert max(len(e.text) for e in drawn.iter("text")) == 42


def test_nothing_measured_draws_nothing_and_many_rows_are_bounded():
    assert forest_svg([row(difference=None)], title="t") == ""
    assert len(re.findall("<g>", forest_svg([row()] * 500, title="t"))) == 40


def test_all_ties_draw_a_mark_on_the_line():
    drawn = ElementTree.fromstring(forest_svg([row(difference=0.0, low=0.0, high=0.0)], title="t"))
    assert float(next(drawn.iter("circle")).get("cx")) == LABELS


def test_of_a_long_name_the_middle_is_left_out_so_that_names_which_end_otherwise_stay_apart():
    names = [f"json_field:action is not worse in the slice {end}" for end in ("cancel_subscription", "refund_status")]
    drawn = ElementTree.fromstring(forest_svg([row(name) for name in names], title="t"))
    shown = [e.text for e in drawn.iter("text") if e.get("text-anchor") == "end" and "…" in (e.text or "")]
    assert [text.endswith(end) for text, end in zip(shown, ("cancel_subscription", "refund_status"), strict=True)] == [
        True,
        True,
    ]
    assert max(map(len, shown)) <= 42
