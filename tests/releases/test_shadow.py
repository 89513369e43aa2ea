"""The shadow stage: passed by agreement, errors and latency, and by nothing that nobody saw."""

from datetime import timedelta

import polars as pl
import pytest

from clworkbench.errors import EvidenceError
from clworkbench.releases.rollout import RolloutDecision
from clworkbench.releases.shadow import decide_shadow
from clworkbench.settings import RolloutSettings, ShadowSettings
from tests.releases.rollouts import BEGAN, shadowed

LATER = BEGAN + timedelta(days=3)


def asked(rows: pl.DataFrame, now=LATER, **shadow: object) -> RolloutDecision:
    return decide_shadow(rows, began=BEGAN, now=now, settings=RolloutSettings(shadow=ShadowSettings(**shadow)))


def test_a_challenger_that_answers_alike_passes_and_one_that_was_seen_too_little_waits():
    assert asked(shadowed(2000)).action == "advance"
    assert asked(shadowed(2000)).then == "5%"
    few = asked(shadowed(40))
    assert (few.action, few.because) == ("stay", "not shown yet: agreement, errors, latency")


def test_without_a_row_it_waits():
    assert asked(shadowed(0)).action == "stay"


@pytest.mark.parametrize(
    ("how", "name"),
    [({"agreement": 0.2}, "agreement"), ({"failed": (0.0, 0.2)}, "errors"), ({"slow_ms": (800.0, 2400.0)}, "latency")],
    ids=["agreement", "errors", "latency"],
)
def test_what_is_shown_otherwise_ends_the_rollout(how: dict[str, object], name: str):
    found = asked(shadowed(1500, **how))
    assert (found.action, found.then) == ("roll back", "rolled back")
    assert found.because == f"shown worse than allowed in the shadow ({name})"
    assert found.frame.filter(verdict="violated")["name"].to_list() == [name]


def test_it_lasts_as_long_as_it_should():
    found = asked(shadowed(2000), at_least=timedelta(days=4))
    assert found.action == "stay"
    assert found.because == "agreement, errors and latency are as asked; the stage lasts until 2026-01-09 00:00 UTC"


def test_rows_answered_later_are_not_known_yet():
    assert asked(shadowed(2000), BEGAN + timedelta(minutes=30)).frame["n_challenger"][0] == 31


def test_where_no_latency_is_known_it_does_not_withhold_and_says_so():
    found = asked(shadowed(2000).with_columns(champion_ms=pl.lit(None, pl.Float64)))
    assert found.action == "advance"
    assert found.frame["says"][2] == "no latency is known"


def test_latencies_are_shares_of_the_champions():
    rows = shadowed(2000).with_columns(champion_ms=pl.lit(100.0), challenger_ms=pl.lit(120.0))
    row = asked(rows).frame.row(2, named=True)
    assert row["difference"] == pytest.approx(0.2)
    assert row["low"] < 0.2 < row["high"] < 0.5
    assert (row["champion"], row["challenger"]) == (100.0, 120.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (pl.lit(2.0).alias("agreement"), "2 of 2 conversations: agreement or an error does not lie within 0 and 1"),
        (pl.lit(float("nan")).alias("challenger_ms"), "a latency is no number of 0 or more"),
    ],
    ids=["agreement", "latency"],
)
def test_rows_that_mean_nothing_are_refused_in_words(change: pl.Expr, says: str):
    with pytest.raises(EvidenceError, match=says):
        asked(shadowed(2).with_columns(change))


def test_a_missing_column_is_named():
    with pytest.raises(EvidenceError, match="no column 'agreement' among"):
        asked(shadowed(2).drop("agreement"))


def test_where_no_error_is_known_it_waits():
    found = asked(shadowed(2000).with_columns(challenger_error=pl.lit(None, pl.Float64)))
    assert (found.action, found.because) == ("stay", "unmeasured yet: errors")


def test_what_is_not_known_is_not_said_to_be_as_asked():
    found = asked(shadowed(2000).with_columns(champion_ms=pl.lit(None, pl.Float64)))
    assert found.because == "agreement and errors are as asked (latency: no latency is known)"
