"""Discovery finds a planted slice, says nothing where there is none, and counts as plain Python does."""

import json
import re
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from scipy.stats import fisher_exact

from clworkbench.errors import ExpressionError
from clworkbench.expressions import holds
from clworkbench.slices.attributes import encode
from clworkbench.slices.discover import _halves, discover
from clworkbench.slices.found import Discovery
from clworkbench.slices.search import ADDS, SMALL_PART, STRIKING, search
from tests.slices.made_signals import BY, made_signals


def overlap(frame: pl.DataFrame, found: Discovery, inside: pl.Series) -> float:
    """The greatest share that a found slice and the planted one have in common of both together."""
    held = [holds(frame, one.code(), where="x") for one in found.slices]
    return max((float((rows & inside).sum() / (rows | inside).sum()) for rows in held), default=0.0)


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_slice_is_found_first_with_its_evidence(seed: int):
    frame, inside = made_signals(seed, 20_000)
    found = discover(frame, by=BY, salt=str(seed))
    assert overlap(frame, found, inside) >= 0.5
    first = found.frame.row(0, named=True)
    assert first["effect_low"] < -0.15
    assert first["effect_high"] < -0.05
    assert first["p_adjusted"] < 1e-4
    assert first["mean"] - first["rest"] == pytest.approx(first["effect"])
    assert found.slices[0].code() == first["slice"]


def test_where_nothing_is_planted_nothing_is_told():
    told = [discover(made_signals(seed, 6_000, bad=0.1)[0], by=BY, salt=str(seed)) for seed in range(12)]
    assert sum(bool(found.slices) for found in told) <= 2
    assert next(found.why for found in told if not found.slices).startswith("no slice is")


@pytest.mark.slow
def test_planted_slices_are_found_in_88_of_100_trials():
    hits = 0
    for seed in range(100):
        frame, inside = made_signals(seed, 20_000)
        hits += overlap(frame, discover(frame, by=BY, salt=str(seed)), inside) >= 0.5
    assert hits >= 88


@pytest.mark.slow
@pytest.mark.parametrize("turns", [1, 5])
def test_none_is_told_in_88_of_100_trials_without_one(turns: int):
    quiet = 0
    for seed in range(100):
        frame, _ = made_signals(seed, 20_000, bad=0.1, turns=turns)
        quiet += not discover(frame, by=BY, salt=str(seed)).slices
    assert quiet >= 88


@pytest.mark.slow
def test_conversations_that_fail_as_a_whole_raise_no_alarm():
    alarms = 0
    for seed in range(100):
        frame, _ = made_signals(seed, 10_000, turns=10)
        draw = np.random.default_rng(seed)
        app = pl.Series(np.repeat(draw.choice(["a", "b", "c", "d"], 1000), 10))
        good = pl.Series(np.repeat(draw.random(1000) > 0.15, 10))
        frame = frame.with_columns(app=app, outcome=good)
        alarms += bool(discover(frame, by=BY, salt=str(seed)).slices)
    assert alarms <= 12


def test_a_second_slice_is_found_beside_a_worse_one_and_parents_are_left_out():
    frame, inside = made_signals(0, 30_000, bad=0.9)
    draw = np.random.default_rng(1)
    other = (frame["provider"] == "b").fill_null(value=False) & (frame["n_input_tokens"] < 1000)
    fails = pl.Series(draw.random(30_000) < 0.2) & other & ~inside
    found = discover(frame.with_columns(outcome=frame["outcome"] & ~fails), by=BY, salt="s")
    assert len(found.slices) == 2
    assert overlap(frame, found, inside) > 0.8
    assert overlap(frame, found, other) > 0.7


def test_a_score_is_searched_at_the_end_that_is_bad():
    frame, inside = made_signals(1, 8_000)
    draw = np.random.default_rng(2)
    slow = frame.with_columns(seconds=pl.Series(draw.exponential(2.0, 8_000)) + 2.0 * inside.cast(pl.Float64))
    found = discover(slow, "seconds", by=BY, salt="s", worst="high")
    assert [one.code() for one in found.slices] == ["finish_reason = 'rare'"]
    row = found.frame.row(0, named=True)
    assert row["mean"] == pytest.approx(4.0, abs=0.8)
    assert row["effect_low"] < 2.0 < row["effect_high"]
    assert discover(slow, "seconds", by=BY, salt="s").slices == ()


def test_the_evidence_is_that_of_the_other_half_by_plain_counting():
    frame, _ = made_signals(1, 8_000)
    found = discover(frame, by=["finish_reason"], salt="s").frame.row(0, named=True)
    half, _ = _halves(frame, "s")
    rows = frame.filter(pl.Series(~half)).select("finish_reason", "outcome").rows()
    inside = [good for reason, good in rows if reason == "rare"]
    rest = [good for reason, good in rows if reason != "rare"]
    assert found["slice"] == "finish_reason = 'rare'"
    assert (found["n"], found["mean"], found["rest"]) == (
        len(inside),
        pytest.approx(sum(inside) / len(inside)),
        pytest.approx(sum(rest) / len(rest)),
    )
    bad, rest_bad = len(inside) - sum(inside), len(rest) - sum(rest)
    table = [[bad, sum(inside)], [rest_bad, sum(rest)]]
    assert found["p"] == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
    assert found["support"] == pytest.approx(float((frame["finish_reason"] == "rare").mean()))


def plainly(frame: pl.DataFrame, least: int) -> set[tuple[str, ...]]:
    """What a search must remember, by counting each conjunction on its own."""
    rows = frame.rows(named=True)
    values = [1.0 - row["outcome"] for row in rows]
    n, mean = len(rows), sum(values) / len(rows)
    spread = (sum((value - mean) ** 2 for value in values) / n) ** 0.5

    def counted(parts: tuple[tuple[str, str], ...]) -> tuple[int, float]:
        held = [value for row, value in zip(rows, values, strict=True) if all(row[name] == v for name, v in parts)]
        return len(held), sum(held)

    def adds(parts: tuple[tuple[str, str], ...], parent: tuple[tuple[str, str], ...]) -> bool:
        (a, bad), (b, worse) = counted(parts), counted(parent)
        left = b - a
        if left < SMALL_PART * b or left == 0:
            return False
        rate = worse / b
        error = (rate * (1 - rate) * (1 / a + 1 / left)) ** 0.5
        return error > 0 and (bad / a - (worse - bad) / left) / error >= ADDS

    found = set()
    names = ("a", "b", "c")
    options = [[(name, value) for value in sorted(set(frame[name]))] for name in names]
    for depth in (1, 2, 3):
        for which in combinations(range(3), depth):
            grid = [()]
            for place in which:
                grid = [(*held, one) for held in grid for one in options[place]]
            for parts in grid:
                size, bad = counted(parts)
                if not least <= size <= n - least:
                    continue
                z = (bad / size - mean) / (spread * (1 / size - 1 / n) ** 0.5)
                parents = [tuple(p for p in parts if p is not gone) for gone in parts] if depth > 1 else []
                if z >= STRIKING and all(adds(parts, parent) for parent in parents):
                    found.add(tuple(f"{name} = '{value}'" for name, value in parts))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_search_remembers_what_plain_counting_finds(seed: int):
    draw = np.random.default_rng(seed)
    frame = pl.DataFrame({name: draw.choice(["x", "y", "z"], 600) for name in "abc"})
    corner = (frame["a"] == "x") & (frame["b"] == "y")
    triple = (frame["a"] == "z") & (frame["b"] == "z") & (frame["c"] == "z")
    rate = np.where(corner.to_numpy(), 0.5, np.where(triple.to_numpy(), 0.8, 0.1))
    frame = frame.with_columns(outcome=pl.Series(draw.random(600) >= rate))
    attributes, _ = encode(frame, ["a", "b", "c"], least=10)
    found = search(attributes, 1.0 - frame["outcome"].cast(pl.Float64).to_numpy(), least=10)
    told = {tuple(attributes[which].conditions[at] for which, at in one.parts) for one in found.conjunctions}
    assert told == plainly(frame, 10)
    assert told


def test_a_conversation_stands_in_one_half_and_the_same_salt_gives_the_same():
    frame, _ = made_signals(0, 900, turns=3)
    half, clusters = _halves(frame, "s")
    assert all(len(set(half[clusters == number].tolist())) == 1 for number in range(300))
    assert 0.4 < half.mean() < 0.6
    assert half.tolist() == _halves(frame.reverse(), "s")[0].tolist()[::-1]
    assert half.tolist() != _halves(frame, "t")[0].tolist()


SOME = made_signals(0, 400)[0]


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (SOME.clear(), "not enough data: there are no signals here"),
        (SOME.with_columns(outcome=pl.lit(None, pl.Boolean)), "outcome is not settled in any of 400 signals"),
        (SOME.with_columns(outcome=pl.lit(value=True)), "nothing to find: outcome is true in all 400 settled signals"),
        (SOME.with_columns(outcome=pl.lit(value=False)), "outcome is false in all 400"),
        (SOME.head(30), "not enough data: 30 settled signals; slices are looked for from 160 on"),
        (SOME.with_columns(pl.lit("x").alias(name) for name in BY), "nothing to look at: no column parts the signals"),
        (SOME.with_columns(pl.lit(None).alias(name) for name in BY), "nothing to look at: no column parts the signals"),
    ],
)
def test_where_there_is_too_little_it_says_so(frame: pl.DataFrame, says: str):
    found = discover(frame, by=BY, salt="s")
    assert found.slices == ()
    assert found.frame.is_empty()
    assert found.why is not None
    assert says in found.why
    assert found.why in found._repr_html_()
    assert found.why in "\n".join(found.lines())
    assert found.why in repr(found)
    found.plot()


@pytest.mark.parametrize(
    ("target", "options", "says"),
    [
        ("outcom", {}, "Did you mean outcome?"),
        ("app", {}, "holds String"),
        ("outcome", {"support": 0}, "not above 0"),
        ("outcome", {"by": ["apq"]}, "Did you mean app?"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_words(target, options, says):
    with pytest.raises(ExpressionError) as caught:
        discover(SOME, target, **({"by": BY, "salt": "s"} | options))
    assert says in str(caught.value)


def test_pending_signals_do_not_count_and_are_told():
    frame, _ = made_signals(1, 6_000)
    pending = frame.with_columns(outcome=pl.when(pl.int_range(pl.len()) < 4_000).then("outcome"))
    found = discover(pending, by=BY, salt="s")
    assert (found.counts["settled"], found.counts["pending"]) == (4_000, 2_000)
    assert found.frame.equals(discover(frame.head(4_000), by=BY, salt="s").frame)


def test_hostile_values_are_escaped_and_their_code_selects_them():
    frame, inside = made_signals(1, 8_000)
    bad = "<script>alert('x')</script> -- (select %{x}"
    frame = frame.with_columns(finish_reason=pl.col("finish_reason").replace({"rare": bad}))
    found = discover(frame, by=BY, salt="s")
    assert holds(frame, found.slices[0].code(), where="x").to_list() == inside.to_list()
    assert "<script>" not in found._repr_html_()
    assert "<script>" not in json.dumps(found.plot().to_dict(), default=str)
    assert "%{x}" not in str(found.plot().layout.yaxis.ticktext)


def test_a_figure_shows_slices_beside_the_rest():
    found = discover(made_signals(1, 8_000)[0], by=BY, salt="s")
    inside, rest = found.plot().data
    assert list(inside.x) == found.frame["mean"].to_list()
    assert list(rest.x) == found.frame["rest"].to_list()
    assert "points" in found._repr_html_()


def worded(seed: int, n: int, *, bad: float) -> pl.DataFrame:
    """Signals of which one in ten asks about a chargeback, in one of three wordings, and ends badly so often."""
    draw = np.random.default_rng(seed)
    others = ["where is my parcel", "how do I reset my password", "thanks, that helped", "change my address please"]
    asked = ["I want a chargeback!", "Chargeback: how?", "the bank refused my chargeback, it's unfair"]
    about = draw.random(n) < 0.1
    texts = np.where(about, draw.choice(asked, n), draw.choice(others, n))
    return pl.DataFrame(
        {
            "conversation_id": [f"c{i}" for i in range(n)],
            "text": texts,
            "app": draw.choice(["desk", "phone"], n),
            "outcome": draw.random(n) > np.where(about, bad, 0.1),
        }
    )


def test_what_is_said_in_several_wordings_is_found_as_an_expression_over_the_text():
    frame = worded(1, 4_000, bad=0.4)
    found = discover(frame, by=["app", "text"], salt="s")
    assert found.slices[0].code() == r"regexp_like(text, '\bchargeback\b', 'i')"
    inside = frame["text"].str.to_lowercase().str.contains("chargeback", literal=True)
    assert (holds(frame, found.slices[0].code(), where="x") == inside).all()
    assert found.slices[0].support == pytest.approx(inside.mean())


def test_words_chosen_by_how_signals_ended_are_tested_on_others():
    told = [discover(worded(seed, 2_000, bad=0.1), by=["app", "text"], salt=str(seed)) for seed in range(20)]
    assert sum(bool(found.slices) for found in told) <= 4  # at a nominal 5 %, more than four in 20 come once in 400


def test_texts_that_are_null_numbers_or_all_the_same_make_no_words():
    frame = worded(1, 400, bad=0.9)
    for text in (pl.lit(None, pl.String), pl.lit("17"), pl.lit("the same")):
        found = discover(frame.with_columns(text=text), by=["text"], salt="s")
        assert found.skipped == {"text": "no word tells bad signals from others"}
    assert "text" in discover(frame.with_columns(text=pl.lit(1.5)), by=["text"], salt="s").skipped


def test_an_attribute_with_many_values_is_looked_at_by_its_frequent_ones_and_ids_are_told():
    draw = np.random.default_rng(5)
    company = np.where(draw.random(4_000) < 0.2, "acme", draw.integers(0, 900, 4_000).astype(str))
    frame = pl.DataFrame(
        {
            "attributes": [f'{{"company": "{c}", "call": "x{i}"}}' for i, c in enumerate(company)],
            "outcome": draw.random(4_000) > np.where(company == "acme", 0.4, 0.1),
        }
    )
    found = discover(frame, by=["attributes"], salt="s")
    assert [one.code() for one in found.slices] == ["\"attributes.company\" = 'acme'"]
    assert found.skipped == {"attributes.call": "no value stands in enough signals"}
    assert found.lines()[-1] == "not looked at (no value stands in enough signals): attributes.call"


def test_the_target_itself_is_no_reason_for_the_target():
    with pytest.raises(ExpressionError, match="'outcome' is the target itself"):
        discover(worded(1, 400, bad=0.4), by=["app", "outcome"], salt="s")


def test_what_says_the_same_in_other_words_is_told_once_beside_a_milder_slice():
    draw = np.random.default_rng(3)
    n = 8_000
    app, model = draw.choice(["a", "b", "c", "d"], n), draw.choice(["m", "n", "o", "p"], n)
    rare = np.where((model == "m") & (draw.random(n) < 0.15), "yes", "no")
    bad = np.where(rare == "yes", 0.6, np.where(app == "a", 0.35, 0.1))
    frame = pl.DataFrame({"app": app, "model": model, "rare": rare, "also": rare, "outcome": draw.random(n) > bad})
    found = [one.code() for one in discover(frame, by=["app", "model", "rare", "also"], salt="s").slices]
    assert len({"rare = 'yes'", "also = 'yes'"} & {*found}) == 1
    assert "app = 'a'" in found
    held = [holds(frame, code, where="x") for code in found]
    assert not [(one, other) for one, other in combinations(held, 2) if (one == other).all()]


def test_a_score_in_thousands_is_told_in_whole_numbers_and_nothing_found_in_words():
    draw = np.random.default_rng(4)
    app = draw.choice(["a", "b"], 2_000)
    slow = pl.DataFrame({"app": app, "latency_ms": draw.normal(1_500, 100, 2_000) + np.where(app == "a", 5_000, 0)})
    found = discover(slow, "latency_ms", by=["app"], salt="s", worst="high")
    assert found.slices[0].code() == "app = 'a'"
    assert re.search(r"6,\d\d\d against 1,\d\d\d: \+[45],\d\d\d \[", found.lines()[2])
    nothing = discover(slow.with_columns(latency_ms=pl.lit(3.0)), "latency_ms", by=["app"], salt="s")
    assert nothing.plot().layout.annotations[0].text == nothing.why
