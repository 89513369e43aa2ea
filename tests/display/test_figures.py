"""Figures and tables in the house's look: what they draw, and that texts stay texts."""

import pytest

from clworkbench.display.figures import loss_figure, waterfall_figure
from clworkbench.display.html import html_table, percent


def test_a_waterfall_leads_from_all_to_what_is_left_and_leaves_out_rules_that_took_nothing():
    (drawn,) = waterfall_figure(10, {"pending": 3, "no_text": 0, "leak_exact": 2}, unit="signals", title="t").data
    assert list(drawn.y) == ["signals", "pending", "leak exact", "rows"]
    assert list(drawn.x) == [10, -3, -2, 5]
    assert list(drawn.measure) == ["absolute", "relative", "relative", "total"]


def test_losses_are_a_line_for_each_run_and_a_dot_where_there_was_one_step():
    long, short = loss_figure({"a": [2.0, 1.0], "<b>": [3.0]}, title="t").data
    assert (list(long.x), list(long.y), long.mode) == ([1, 2], [2.0, 1.0], "lines")
    assert (short.name, short.mode) == ("&lt;b&gt;", "markers")


def test_a_table_escapes_texts_and_puts_numbers_to_the_right():
    html = html_table(["<i>", "n"], [("<script>", 1234), (None, 0.5)], caption="a & b")
    assert "<script>" not in html
    assert "<i>" not in html
    assert "a &amp; b" in html
    for cell in ("left'>&lt;script&gt;</td>", "right'>1,234</td>", "left'>–</td>", "right'>0.500</td>"):
        assert cell in html


@pytest.mark.parametrize(("share", "said"), [(0.0, "0%"), (0.345, "34%"), (1.0, "100%"), (None, "–")])
def test_a_share_is_said_in_percent(share, said):
    assert percent(share) == said
