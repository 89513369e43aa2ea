"""Scores for each example, and what they come to."""

from pathlib import Path

import polars as pl
import pytest

from clworkbench.errors import ClwError, EvidenceError
from clworkbench.evals.evaluate import CANNOT_GRADE, evaluate, summary
from clworkbench.models.generate import generate
from clworkbench.models.load import Loaded, ModelSpec, load
from clworkbench.schemas import SCORES, SUITE


@pytest.fixture(scope="module")
def tiny(tiny_base: Path) -> Loaded:
    return load(ModelSpec("tiny", str(tiny_base)), dtype="float32", threads=1)


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def suite(*rows: tuple[str, str, str | None, list[str]]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"example_id": name, "input": user(text), "expected": expected, "slices": slices, "signal_ids": []}
            for name, text, expected, slices in rows
        ],
        schema=SUITE,
    )


def scored(*rows: tuple[str, list[str], float | None], scorer: str = "exact_match") -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "model": "m",
                "suite": "s",
                "example_id": name,
                "slices": slices,
                "scorer": scorer,
                "score": score,
                "termination": "stop",
            }
            for name, slices, score in rows
        ],
        schema=SCORES,
    )


def test_each_example_is_scored_on_its_own_answer_whatever_the_order(tiny: Loaded):
    said = generate(tiny, [user("hi")], max_new_tokens=4)["output"][0]
    asked = suite(("b", "hi", said, ["short"]), ("a", "where is my card", "something else", []))
    scores = evaluate(tiny, asked, ["exact_match", "valid_json"], model="m", suite_id="s", max_new_tokens=4)
    assert scores.schema == {name: kind for name, kind in SCORES.items() if name != "batch_id"}
    exact = scores.filter(scorer="exact_match")
    assert exact["example_id"].to_list() == ["a", "b"]
    assert exact["score"].to_list() == [0.0, 1.0]
    assert exact["output"][1] == said
    assert exact["latency_ms"].null_count() == exact["cost_usd"].null_count() == 2
    assert exact["n_output_tokens"].to_list() == [4, 4]


def test_an_example_that_cannot_be_graded_has_no_score_and_says_why(tiny: Loaded):
    asked = suite(("a", "hi", None, []), ("b", "hi", "x", []))
    scores = evaluate(tiny, asked, ["exact_match"], model="m", suite_id="s", max_new_tokens=2)
    assert scores["score"].to_list() == [None, 0.0]
    assert scores["error"].to_list() == [CANNOT_GRADE, None]


def test_an_example_the_model_cannot_answer_scores_0(tiny: Loaded):
    asked = suite(("a", "card " * 600, "x", []), ("b", "hi", "x", []))
    scores = evaluate(tiny, asked, ["exact_match"], model="m", suite_id="s", max_new_tokens=2)
    assert scores["score"].to_list() == [0.0, 0.0]
    assert scores["termination"].to_list() == ["error", "length"]
    assert "exceed the model's 512" in scores["error"][0]


def test_nothing_to_grade_is_refused_before_the_model_answers(tiny: Loaded):
    def never(_done: int, _total: int) -> None:
        pytest.fail("the model was asked")

    empty, blank = suite(), suite(("a", "hi", None, []))
    for asked, scorers, says in [
        (empty, ["exact_match"], "0 examples and 1 scorers"),
        (blank, [], "1 examples and 0 scorers"),
        (blank, ["exact_match"], "on any of 1 examples"),
    ]:
        with pytest.raises(EvidenceError, match=says):
            evaluate(tiny, asked, scorers, model="m", suite_id="s", on_progress=never)
    with pytest.raises(ClwError, match="Did you mean exact_match"):
        evaluate(tiny, suite(("a", "hi", "x", [])), ["exact"], model="m", suite_id="s", on_progress=never)


def test_a_mean_has_its_wilson_interval_over_all_and_by_slice():
    rows = [(f"{i}", ["late"] if i < 2 else ["old"], 1.0 if i else 0.0) for i in range(10)]
    report = summary(scored(*rows))
    # 9 of 10: Wilson 95 % from R's binom::binom.confint(9, 10, methods = "wilson"); 1 of 2 likewise.
    whole = report.frame.row(0, named=True)
    assert (whole["slice"], whole["n"], whole["mean"]) == ("all", 10, 0.9)
    assert (whole["low"], whole["high"]) == pytest.approx((0.5958500, 0.9821238), abs=1e-6)
    late = report.frame.filter(slice="late").row(0, named=True)
    assert (late["n"], late["mean"]) == (2, 0.5)
    assert (late["low"], late["high"]) == pytest.approx((0.0945312, 0.9054688), abs=1e-6)


def test_an_example_in_two_slices_counts_in_both_and_once_over_all():
    report = summary(scored(("a", ["x", "y"], 1.0), ("b", ["y"], 0.0), ("c", [], 1.0)))
    counts = dict(report.frame.select("slice", "n").iter_rows())
    assert counts == {"all": 3, "x": 1, "y": 2}


def test_repetitions_of_an_example_count_as_one():
    report = summary(scored(("a", [], 1.0), ("a", [], 0.0), ("b", [], 1.0)))
    row = report.frame.row(0, named=True)
    assert (row["n"], row["mean"]) == (2, 0.75)


def test_examples_without_a_score_are_counted_apart():
    row = summary(scored(("a", [], 1.0), ("b", [], None))).frame.row(0, named=True)
    assert (row["n"], row["ungraded"], row["mean"]) == (1, 1, 1.0)
    nothing = summary(scored(("a", [], None))).frame.row(0, named=True)
    assert (nothing["n"], nothing["mean"], nothing["low"]) == (0, None, None)


def test_scores_outside_0_to_1_get_a_normal_interval():
    row = summary(scored(("a", [], 10.0), ("b", [], 20.0), ("c", [], 30.0), ("d", [], 40.0))).frame.row(0, named=True)
    # Mean 25, standard deviation sqrt(500 / 3), standard error 6.454972; 1.959964 of them is 12.651514.
    assert (row["low"], row["high"]) == pytest.approx((25 - 12.651514, 25 + 12.651514), abs=1e-5)


def test_the_report_is_ready_for_json_and_escapes_what_it_shows():
    rows = scored(("a", ["<script>"], 1.0), ("b", [], 0.0)).with_columns(model=pl.lit("<b>m</b>"))
    report = summary(rows)
    told = report.as_dict()
    assert (told["model"], told["suite"], told["n"]) == ("<b>m</b>", "s", 2)
    assert told["metrics"]["exact_match"]["mean"] == 0.5
    assert [row["slice"] for row in told["slices"]] == ["<script>"]
    assert told["terminations"] == {"stop": 2}
    assert "<script>" not in report._repr_html_()
    assert "<b>m</b>" not in report._repr_html_()
    assert "&lt;b&gt;m&lt;/b&gt;" in report._repr_html_()
    assert repr(report) == "EvalReport(<b>m</b> on s: exact_match 0.500 (0.095 to 0.905) (n = 2))"
    assert len(report.plot().data[0].x) == 2


def test_scores_of_two_models_are_not_summed_up_together():
    both = pl.concat([scored(("a", [], 1.0)), scored(("a", [], 0.0)).with_columns(model=pl.lit("other"))])
    with pytest.raises(EvidenceError, match="found 2 pairs"):
        summary(both)
    with pytest.raises(EvidenceError, match="found 0 pairs"):
        summary(scored())
