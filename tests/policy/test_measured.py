"""Recall, precision, over-redaction and the bound on what is left, against sums done by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from statsmodels.stats.proportion import proportion_confint

from clworkbench.errors import EvidenceError
from clworkbench.policy.entities import KINDS
from clworkbench.policy.finding import found
from clworkbench.policy.measured import Measured, measure
from clworkbench.policy.measured_own import measure_own, most_left
from clworkbench.policy.planted import SPELLINGS

TEXTS = pl.Series(["0123456789"] * 4 + [None])
Row = tuple[int, str, int, int]


def spans(*rows: Row) -> pl.DataFrame:
    return pl.DataFrame(
        rows, schema={"row": pl.UInt32, "kind": pl.String, "start": pl.Int64, "end": pl.Int64}, orient="row"
    )


def measured(labels: pl.DataFrame, finds: pl.DataFrame) -> Measured:
    return measure(TEXTS, labels, lambda _: finds)


LABELS = spans((0, "PHONE_NUMBER", 2, 6), (2, "EMAIL_ADDRESS", 0, 5))
FINDS = spans((0, "PHONE", 2, 4), (0, "CARD", 4, 7), (1, "EMAIL", 0, 3), (2, "EMAIL", 3, 5))


def test_a_span_is_found_when_all_its_characters_are_covered_by_whatever_kinds() -> None:
    rows = {row["kind"]: row for row in measured(LABELS, FINDS).frame.iter_rows(named=True)}
    assert (rows["PHONE"]["n"], rows["PHONE"]["found"], rows["PHONE"]["touched"]) == (1, 1, 1)
    assert (rows["EMAIL"]["n"], rows["EMAIL"]["found"], rows["EMAIL"]["touched"]) == (1, 0, 1)
    assert (rows["CARD"]["n"], rows["CARD"]["recall"], rows["CARD"]["low"]) == (0, None, None)


def test_a_find_is_right_when_it_meets_a_label_of_any_kind() -> None:
    rows = {row["kind"]: row for row in measured(LABELS, FINDS).frame.iter_rows(named=True)}
    assert {kind: (row["finds"], row["right"], row["precision"]) for kind, row in rows.items()} == {
        "CARD": (1, 1, 1.0), "EMAIL": (2, 1, 0.5), "PHONE": (1, 1, 1.0),
    }  # fmt: skip


def test_over_redaction_counts_characters_outside_labels_and_clean_texts() -> None:
    result = measured(LABELS, FINDS)
    # 40 characters, 4 + 5 labelled; taken outside: one of row 0 (character 6) and three of row 1.
    assert (result.n_outside, result.n_taken) == (31, 4)
    assert result.over_redaction == pytest.approx(4 / 31)
    assert (result.n_texts, result.n_clean, result.n_touched) == (5, 2, 1)


def test_overlapping_finds_and_labels_count_their_characters_once() -> None:
    labels = spans((0, "CARD", 0, 4), (0, "CARD", 2, 6))
    finds = spans((0, "CARD", 0, 3), (0, "CARD", 1, 5), (0, "CARD", 5, 8))
    result = measured(labels, finds)
    assert result.frame.select("n", "found", "touched").row(0) == (2, 2, 2)
    assert (result.n_outside, result.n_taken) == (34, 2)


def test_intervals_are_wilsons() -> None:
    labels = spans(*((row, "IP", 0, 2) for row in range(4)), *((row, "IP", 4, 6) for row in range(4)))
    result = measured(labels, spans((0, "IP", 0, 2), (1, "IP", 4, 6), (3, "IP", 4, 7)))
    expected = proportion_confint(3, 8, method="wilson")
    assert result.frame.select("low", "high").row(0) == pytest.approx(expected, abs=1e-12)


def test_nothing_labelled_and_nothing_found() -> None:
    result = measured(spans(), spans())
    assert (result.frame.height, result.n_clean, result.n_touched, result.over_redaction) == (0, 4, 0, 0.0)
    assert "0 of 0" in repr(result)
    assert "4 clean texts" in result._repr_html_()


def test_a_result_has_its_faces() -> None:
    result = measured(LABELS, FINDS)
    assert repr(result) == "Measured(1 of 2 found in 5 texts, 12.903% of the rest taken)"
    assert "<table" in result._repr_html_()
    assert len(result.plot().data) == 2


def hello(n: int) -> pl.Series:
    return pl.Series([f"Hello {'again ' * i}there. It does not work." for i in range(n)])


def test_no_miss_in_n_planted_values_bounds_the_misses_by_the_rule_of_three_shared_among_kinds() -> None:
    own = measure_own(hello(800), seed=3, n=800)
    row = own.frame.filter(pl.col("kind") == "EMAIL").row(0, named=True)
    kinds = own.frame.height
    assert (row["planted"], row["missed"]) == (800 // kinds, 0)
    assert row["miss_high"] == pytest.approx(1 - (0.05 / kinds) ** (1 / row["planted"]), abs=1e-12)


def test_what_may_be_left_grows_with_what_was_met() -> None:
    texts = pl.Series([f"Text {'and ' * i}more. Write to [EMAIL_{i:08x}] now." for i in range(800)])
    own = measure_own(texts, seed=3, n=800)
    row = own.frame.filter(pl.col("kind") == "EMAIL").row(0, named=True)
    assert row["met"] == 800
    # More than are expected at the highest rate of misses, 800 / (1 - high) - 800: a limit, not an expectation.
    assert row["left_high"] > 800 / (1 - row["miss_high"]) - 800
    assert row["left_high"] == own.left_high == most_left(800, 0, 100, 0.05 / 8)
    assert len(own.plot().data) == 2


def found_no_more(met: int, missed: int, rate: float) -> float:
    """P(at most `met` of `met + missed` values are found) where each is missed at this rate, summed by hand."""
    n = met + missed
    return sum(math.comb(n, k) * (1 - rate) ** k * rate ** (n - k) for k in range(met + 1))


@pytest.mark.parametrize(("met", "planted"), [(1, 60), (7, 30), (40, 188)])
def test_more_values_left_than_the_limit_would_make_so_few_finds_too_rare(met: int, planted: int) -> None:
    # After no miss in n planted values, the rate is at most 1 - 0.025^(1/n), with the half of 5 %.
    high = 1 - 0.025 ** (1 / planted)
    limit = most_left(met, 0, planted, 0.05)
    assert limit is not None
    assert found_no_more(met, limit + 1, high) <= 0.025 < found_no_more(met, limit, high)


def test_nothing_bounds_a_kind_that_was_never_found() -> None:
    assert most_left(0, 60, 60, 0.05) is None
    assert most_left(500, 60, 60, 0.05) is None
    assert most_left(0, 0, 60, 0.05) is None


def test_kinds_that_were_not_met_have_no_bound_and_every_face_says_so() -> None:
    none = measure_own(hello(40), n=40)
    assert none.frame["left_high"].null_count() == none.frame.height
    assert none.left_high is None
    assert none.left == "nothing bounds what is left in the sampled texts"
    own = measure_own(pl.Series(["Write to [EMAIL_0000000a] now."]), n=40)
    others = sorted(set(own.frame["kind"]) - {"EMAIL"})
    assert own.unbounded == tuple(others)
    said = f"t most {own.left_high} left in the sampled texts (95 %) of EMAIL; no bound for {', '.join(others)}"
    assert f"a{said}" in repr(own)
    assert f"A{said}. " in own._repr_html_()
    assert "\n" not in repr(own)


def test_a_text_that_is_used_more_than_once_was_met_once() -> None:
    own = measure_own(pl.Series(["Write to [EMAIL_0000000a] now."]))
    assert own.frame["planted"].sum() == 500
    assert own.frame.filter(pl.col("kind") == "EMAIL")["met"].item() == 1


def test_in_a_notebook_the_long_sentences_stand_below_the_table() -> None:
    own = measure_own(hello(40), n=40)
    table, _, below = own._repr_html_().partition("</table>")
    caption = table.partition("<caption")[2].partition("</caption>")[0]
    assert caption.endswith(">40 invented values planted into these texts")
    assert "Kinds that were not planted are not in it" in below
    assert "style='max-width:50em'" in below
    hostile = replace(own, tiers="<b>one</b>")._repr_html_()
    assert "&lt;b&gt;one" in hostile
    assert "<b>" not in hostile


def test_a_sample_is_the_same_for_the_same_seed_and_few_texts_are_used_again() -> None:
    assert measure_own(hello(3), seed=1).frame.equals(measure_own(hello(3), seed=1).frame)
    assert measure_own(hello(3), seed=1).frame["planted"].sum() == 500


def test_without_a_text_it_says_so() -> None:
    with pytest.raises(EvidenceError, match="No text to measure redaction on"):
        measure_own(pl.Series([None, ""], dtype=pl.String))


def labelled(shared_data: Path) -> tuple[pl.Series, pl.DataFrame]:
    """2,109 texts with 4,055 labelled spans; the people in them are invented."""
    rows = json.loads((shared_data / "presidio_research" / "generated_large.json").read_text())
    told = [
        (n, span["entity_type"], span["start_position"], span["end_position"])
        for n, row in enumerate(rows)
        for span in row["spans"]
    ]
    return pl.Series([row["full_text"] for row in rows]), spans(*told)


def test_the_first_tier_on_labelled_texts_whose_people_are_invented(shared_data: Path) -> None:
    texts, labels = labelled(shared_data)
    result = measure(texts, labels, found)
    rows = {row["kind"]: row for row in result.frame.iter_rows(named=True)}
    assert {kind: rows[kind]["n"] for kind in ("CARD", "EMAIL", "IBAN", "IP", "PHONE", "SSN")} == {
        "CARD": 212, "EMAIL": 58, "IBAN": 28, "IP": 11, "PHONE": 136, "SSN": 44,
    }  # fmt: skip
    assert all(rows[kind]["found"] == rows[kind]["n"] for kind in ("CARD", "EMAIL", "IBAN", "IP", "SSN"))
    assert rows["PHONE"]["found"] >= 131
    assert result.n_touched == 0
    assert result.over_redaction < 0.0005


def test_kinds_that_are_planted_are_those_of_the_first_tier() -> None:
    assert set(measure_own(hello(40), n=40).frame["kind"]) == set(KINDS) & set(SPELLINGS)
