"""A waterfall adds up, also where signals turn into another number of pairs."""

import pytest

from clworkbench.training_sets.descent import Turned
from clworkbench.training_sets.waterfall import Waterfall


@pytest.mark.parametrize("pairs", [3, 30])
def test_signals_turn_into_fewer_or_more_pairs_on_the_way(pairs):
    dropped = {"pending": 0, "no_pair": 6, "cosmetic": 1}
    found = Waterfall("training_set:p@1", 10, dropped, {"train": pairs - 1}, pairs - 1, Turned(4, pairs))
    assert found.frame.rows() == [
        ("signals", 10, 10),
        ("no_pair", 6, 4),
        ("pairs, made of 4 answers", 4 - pairs, pairs),
        ("cosmetic", 1, pairs - 1),
        ("rows", pairs - 1, pairs - 1),
    ]
    figure = found.plot()
    assert list(figure.data[0].x) == [10, -6, pairs - 4, -1, pairs - 1]
    assert figure.layout.xaxis.range[1] >= max(10, pairs)
