"""Labels of each kind of question are compared as they should be; people are keys; what is not comparable is told."""

import json

import polars as pl
import pytest

from clworkbench.labels.adjudication import adjudicated, enough
from clworkbench.labels.agreement import agreement
from clworkbench.schemas import ASKED, LABELS

ANN, BOB, CAT = ("a" * 32, "b" * 32, "c" * 32)


def label(signal, who, value, question="answer", **more):
    row = {"label_id": f"{signal}{who}{question}{value}", "interaction_id": signal, "question": question}
    base = {"value": value, "annotator_key": who, "status": "submitted", "source": "argilla/review"}
    return row | base | more


def labels(*rows):
    return pl.DataFrame(list(rows), schema=LABELS)


def asked(options):
    rows = [{"ask_id": k, "dataset": "review", "interaction_id": k, "options": v} for k, v in options.items()]
    return pl.DataFrame(rows, schema=ASKED)


NOBODY = asked({})


def answers(*votes, question="answer", **more):
    """One signal for each text of votes, a word for each annotator in turn; `.` says nothing."""
    words = [
        (f"s{i:02}", who, word)
        for i, vote in enumerate(votes)
        for who, word in zip((ANN, BOB, CAT), vote.split(), strict=False)
    ]
    return labels(*(label(signal, who, word, question, **more) for signal, who, word in words if word != "."))


def row_of(report, question):
    return report.frame.row(by_predicate=pl.col("question") == question, named=True)


def test_two_who_accept_and_reject_give_krippendorffs_0_095():
    """Krippendorff 2011, section A, his two observers' 0 and 1 in the words that reviewers may use."""
    meg, owen = "0100000010", "1110010000"
    words = {"0": ("reject", "wrong"), "1": ("accept", "Yes")}
    found = agreement(answers(*(f"{words[m][0]} {words[o][1]}" for m, o in zip(meg, owen, strict=True))), NOBODY)
    row = row_of(found, "answer")
    assert row["alpha"] == pytest.approx(0.095, abs=5e-4)
    assert (row["n"], row["labels"], row["annotators"], row["kind"]) == (10, 20, 2, "nominal")
    assert row["low"] < row["alpha"] < row["high"]


def test_drafts_discarded_and_withdrawn_answers_and_comments_are_not_compared():
    rows = answers("accept accept", "reject reject", "accept reject")
    for status in ("draft", "discarded", "withdrawn"):
        rows = rows.vstack(labels(label("s09", ANN, "accept", status=status), label("s09", BOB, "reject")))
    rows = rows.vstack(labels(label("s00", ANN, "hm", "comment"), label("s00", BOB, "well", "comment")))
    found = agreement(rows, NOBODY)
    assert found.frame["question"].to_list() == ["answer"]
    assert row_of(found, "answer")["n"] == 3


def test_answers_without_a_name_are_counted_and_not_compared():
    found = agreement(answers("accept accept", "reject reject").vstack(labels(label("s00", None, "reject"))), NOBODY)
    assert (found.unattributed, row_of(found, "answer")["labels"]) == (1, 4)
    assert "1 answers name no annotator and were not compared" in found.lines()


def test_untouched_suggestions_are_left_out_beside():
    touched = answers("4 4", "2 2", "5 1", question="rating")
    left = labels(*(label(f"t{i}", who, "3", "rating", equals_suggestion=True) for i in range(9) for who in (ANN, BOB)))
    row = row_of(agreement(touched.vstack(left), NOBODY), "rating")
    alone = row_of(agreement(touched, NOBODY), "rating")
    assert (row["n"], row["n_unaided"]) == (12, 3)
    assert row["alpha"] > row["alpha_unaided"] == alone["alpha"] == alone["alpha_unaided"]


def test_ratings_are_ordinal_unless_said_otherwise():
    rows = answers("1 1", "2 2", "3 3", "5 1", "5 4", question="rating")
    ordinal, nominal = (
        row_of(agreement(rows, NOBODY, levels=levels), "rating") for levels in ({}, {"rating": "nominal"})
    )
    assert (ordinal["kind"], nominal["kind"]) == ("ordinal", "nominal")
    assert ordinal["alpha"] != nominal["alpha"]


def test_a_preference_is_the_place_at_which_the_option_stood():
    """Both prefer what was shown first on one signal and second on another: the ids are others each time."""
    rows = labels(
        *(label("s1", who, "x1", "preference") for who in (ANN, BOB)),
        *(label("s2", who, "y2", "preference") for who in (ANN, BOB)),
        label("s3", ANN, "none", "preference"),
        label("s3", BOB, "z1", "preference"),
        label("unknown", ANN, "q", "preference"),
        label("unknown", BOB, "q", "preference"),
    )
    shown = asked({"s1": ["x1", "x2"], "s2": ["y1", "y2"], "s3": ["z1", "improvement"]})
    row = row_of(agreement(rows, shown), "preference")
    # 3 units; places 1,1 / 2,2 / none,1: 2 of 6 coincidences off the diagonal, 36 - 9 - 4 - 1 = 22 by chance over 5.
    assert (row["n"], row["alpha"]) == (3, pytest.approx(1 - 5 * 2 / 22))


def test_a_ranking_counts_pair_by_pair_and_a_tie_half():
    """One signal, three options: of the pairs two agree and on the third one says tie. Another: all three agree."""
    ranks = {
        ("s1", ANN): [["x"], ["y"], ["z"]],
        ("s1", BOB): [["x"], ["z", "y"]],
        ("s2", ANN): [["v"], ["u"]],
        ("s2", BOB): [["v"], ["u"]],
    }
    rows = labels(*(label(s, who, json.dumps(value), "ranking") for (s, who), value in ranks.items()))
    row = row_of(agreement(rows, asked({"s1": ["x", "y", "z"], "s2": ["u", "v"]})), "ranking")
    # Codes: first higher 0, tie 1, second higher 2: xy 0,0 xz 0,0 yz 0,1 uv 2,2: five 0, one 1, two 2.
    seen, by_chance = 2 * 0.5, 2 * (5 * 1 * 0.5 + 5 * 2 * 1 + 1 * 2 * 0.5)
    assert (row["kind"], row["n"], row["alpha"]) == ("rankings", 2, pytest.approx(1 - 7 * seen / by_chance))


def test_sets_of_choices_are_compared_by_masi():
    values = {"s1": ('["a", "b"]', '["b", "a"]'), "s2": ('["a"]', '["a", "b"]')}
    rows = labels(
        *(label(s, who, v, "choice") for s, vs in values.items() for who, v in zip((ANN, BOB), vs, strict=True))
    )
    row = row_of(agreement(rows, NOBODY), "choice")
    # {a} and {a, b} are 1 - 1/2 · 2/3 = 2/3 apart; one {a} among three {a, b}: 2 · 1 · 3 · 2/3 by chance, over 3.
    assert (row["kind"], row["alpha"]) == ("sets", pytest.approx(1 - (2 * 2 / 3) / (2 * 3 * (2 / 3) / 3)))


def test_spans_are_compared_character_by_character():
    """A text of ten characters: one marks 0-4, the other 0-5; on nine they agree."""
    rows = labels(
        label("s1", ANN, '[{"label": "name", "start": 0, "end": 4}]', "spans"),
        label("s1", BOB, '[{"end": 5, "label": "name", "start": 0}]', "spans"),
    ).with_columns(n_chars=pl.lit(10, pl.Int64))
    row = row_of(agreement(rows, NOBODY), "spans")
    # 20 values, 9 of them `name`: one unit differs, so 2 coincidences; 2 · 9 · 11 by chance, over 19.
    assert (row["kind"], row["n"], row["alpha"]) == ("spans", 1, pytest.approx(1 - 19 * 2 / (2 * 9 * 11)))


def test_of_a_correction_it_counts_whether_the_answer_was_kept():
    kept = {"question": "improvement", "equals_suggestion": True}
    changed = kept | {"equals_suggestion": False}
    rows = labels(
        *(
            label(s, who, None, **(kept if s in ("s1", "s2") else changed))
            for s in ("s1", "s2", "s3")
            for who in (ANN, BOB)
        )
    )
    row = row_of(agreement(rows, NOBODY), "improvement")
    assert (row["alpha"], row["n"]) == (1.0, 3)
    assert row["low"] < 0.5


def test_free_text_is_not_compared_and_says_so():
    rows = labels(*(label(f"s{i}", who, f"text {i} {who}", "tone") for i in range(150) for who in (ANN, BOB)))
    row = row_of(agreement(rows, NOBODY), "tone")
    assert row["alpha"] is None
    assert "free text" in row["why"]


def test_hostile_values_are_answers_and_nothing_more():
    texts = ["[", "[]", '[{"label": 1}]', "[1]", "{", '[["x"], 3]', "<script>alert(1)</script>", "nan", "1e999"]
    for question in ("answer", "rating", "preference", "ranking", "choice", "spans", "improvement"):
        rows = labels(*(label(f"s{i}", who, text, question) for i, text in enumerate(texts) for who in (ANN, BOB)))
        report = agreement(rows, asked({"s0": ["x", "y"]}), experts=[ANN])
        assert "<script>" not in report._repr_html_()
        report.plot()
        json.dumps(report.as_dict(), allow_nan=False)
        adjudicated(rows)


def test_a_question_that_two_sets_ask_is_named_by_both():
    rows = answers("accept accept", "reject accept").vstack(
        answers("accept accept", "reject reject", source="reviewers").with_columns(pl.col("label_id") + "r")
    )
    assert agreement(rows, NOBODY).frame["question"].to_list() == ["review/answer", "reviewers/answer"]


def test_each_annotator_is_held_against_gold():
    gold = labels(*(label(f"s0{i}", None, "good", source="gold") for i in range(4)))
    rows = answers("accept accept", "accept reject", "accept reject", "yes yes", "reject accept").vstack(gold)
    found = agreement(rows, NOBODY).annotators
    assert found.select("annotator", "labels", "n", "right", "rate").rows() == [
        (ANN, 5, 4, 4, 1.0),
        (BOB, 5, 4, 2, 0.5),
    ]
    # Wilson for 2 of 4, by hand: 1/2 ± sqrt(z²/16 + z⁴/64)/(1 + z²/4) with z = 1.96, so 0.150 to 0.850.
    assert found["low"][1] == pytest.approx(0.150, abs=1e-3)
    assert found["high"][1] == pytest.approx(0.850, abs=1e-3)


def test_where_there_is_no_gold_the_experts_are_right_and_not_held_against_themselves():
    gold = labels(label("s00", None, "reject", source="gold"))
    rows = answers("accept accept reject", "accept reject reject", "accept . reject").vstack(gold)
    found = agreement(rows, NOBODY, experts=[ANN]).annotators
    assert found.select("annotator", "n", "right").rows() == [(ANN, 1, 0), (BOB, 2, 0), (CAT, 3, 1)]
    contradicting = agreement(rows, NOBODY, experts=[ANN, BOB]).annotators
    assert contradicting.select("annotator", "n", "right").rows() == [(ANN, 1, 0), (BOB, 1, 0), (CAT, 2, 1)]


def test_agreement_by_slice():
    rows = answers("accept accept", "reject reject", "accept reject", "reject accept")
    inside = pl.col("interaction_id").is_in(["s00", "s01"])
    sliced = rows.with_columns(slices=pl.when(inside).then(pl.lit(["easy"])).otherwise(pl.lit(["hard"])))
    found = agreement(sliced, NOBODY)
    assert found.slices.select("slice", "n").rows() == [("easy", 2), ("hard", 2)]
    assert found.slices["alpha"][0] == 1.0
    assert found.slices["alpha"][1] < 0
    found.plot_slices("answer")


def test_disagreements_come_farthest_first_and_name_keys_not_people():
    rows = answers("5 1 5", "3 4 3", "2 2 2", "4 4 4", question="rating")
    found = agreement(rows, NOBODY).disagreements
    assert found["interaction_id"].to_list() == ["s00", "s01"]
    assert found["said"][0] == "1: bbbbbbbb; 5: aaaaaaaa, cccccccc"
    texts = pl.DataFrame({"interaction_id": ["s00"], "text": ["why <b>?"], "answer": ["so"]})
    report = agreement(rows, NOBODY)
    assert "why" not in report._repr_html_()
    assert "why &lt;b&gt;?" in report.with_texts(texts)._repr_html_()


def test_nobody_answered():
    report = agreement(labels(), NOBODY)
    assert repr(report) == "AgreementReport(nobody has answered yet)"
    assert report.as_dict() == {}
    assert "nobody has answered yet" in report._repr_html_()
    assert list(enough(report)) == []


def test_a_report_says_its_numbers_in_every_form():
    report = agreement(answers(*["accept accept"] * 6, *["reject reject"] * 5, "accept reject"), NOBODY)
    assert report.as_dict()["answer"]["n"] == 12
    assert {"alpha", "low", "high", "n"} <= set(report.as_dict()["answer"])
    assert str(report).startswith("answer         alpha 0.8")
    assert "n = 12" in repr(report)
    figure = report.plot()
    assert [trace.name for trace in figure.data] == ["all"]
    assert list(figure.data[0].x) == [pytest.approx(report.as_dict()["answer"]["alpha"])]


def test_the_majority_counts_and_a_tie_is_held_back():
    rows = answers("accept accept reject", "accept reject .", "reject . .")
    found = adjudicated(rows)
    assert found.labels.select("interaction_id", "annotator_key").rows() == [("s00", ANN), ("s00", BOB), ("s02", ANN)]
    assert found.labels.columns == rows.columns
    assert found.disputed.rows() == [("s01", "answer", 2)]


def test_an_expert_decides_and_where_experts_differ_it_is_held_back():
    rows = answers("accept accept reject", "accept reject .", "accept accept .")
    found = adjudicated(rows, rule="expert", experts=[CAT])
    assert found.labels.select("interaction_id", "annotator_key").rows() == [("s00", CAT), ("s02", ANN), ("s02", BOB)]
    assert found.disputed["interaction_id"].to_list() == ["s01"]
    two = adjudicated(rows, rule="expert", experts=[BOB, CAT])
    assert two.disputed["interaction_id"].to_list() == ["s00"]
    assert two.labels.filter(pl.col("interaction_id") == "s01")["annotator_key"].to_list() == [BOB]


def test_who_agrees_with_an_expert_counts_but_not_with_a_text_of_their_own():
    agreed = adjudicated(answers("accept reject accept"), rule="expert", experts=[CAT])
    assert agreed.labels["annotator_key"].to_list() == [ANN, CAT]
    text = [{"role": "assistant", "content": "better"}]
    changed = {"equals_suggestion": False, "improvement": text}
    rows = labels(*(label("s1", who, None, "improvement", **changed) for who in (ANN, BOB, CAT)))
    assert adjudicated(rows, rule="expert", experts=[BOB]).labels["annotator_key"].to_list() == [BOB]
    assert adjudicated(rows).labels.height == 3


def test_what_is_known_decides_against_everybody():
    rows = answers("accept accept accept").vstack(labels(label("s00", None, "wrong", source="gold")))
    for rule in ("majority", "expert", "hold"):
        found = adjudicated(rows, rule=rule, experts=[ANN])
        assert found.labels["source"].to_list() == ["gold"]
        assert found.disputed.is_empty()


def test_hold_keeps_only_what_all_say():
    found = adjudicated(answers("accept accept reject", "accept accept accept"), rule="hold")
    assert found.labels["interaction_id"].unique().to_list() == ["s01"]
    assert found.disputed["interaction_id"].to_list() == ["s00"]


def test_corrections_left_as_they_were_filled_in_outvote_no_correction():
    better = [{"role": "assistant", "content": "better"}]
    kept = {"question": "improvement", "equals_suggestion": True, "improvement": better}
    changed = kept | {"equals_suggestion": False}
    rows = labels(
        *(label("s1", who, None, **how) for who, how in ((ANN, kept), (BOB, kept), (CAT, changed))),
        *(label("s2", who, None, **how) for who, how in ((ANN, kept), (BOB, changed))),
    )
    for rule in ("majority", "expert", "hold"):
        found = adjudicated(rows, rule=rule, experts=[ANN])
        assert found.labels.equals(rows)
        assert found.disputed.is_empty()


def test_adjudication_leaves_comments_and_what_was_not_submitted_as_they_are():
    rows = answers("accept reject").vstack(
        labels(label("s00", ANN, "hm", "comment"), label("s00", CAT, "accept", status="draft"))
    )
    found = adjudicated(rows)
    assert found.labels["value"].to_list() == ["hm", "accept"]
    assert found.disputed.height == 1


def test_where_nobody_disagrees_adjudication_changes_nothing():
    rows = answers("accept accept accept", "reject . .", "accept . accept").vstack(labels(label("s07", None, None)))
    assert adjudicated(rows).labels.equals(rows)
    assert adjudicated(rows, rule="expert", experts=[ANN]).disputed.is_empty()


def test_enough_says_how_many_records_are_wanting_and_halving_the_width_asks_for_four_times_as_many():
    rows = answers(*["accept accept"] * 40, *["reject reject"] * 40, *["accept reject"] * 20)
    report = agreement(rows, NOBODY)
    spread = report.frame["spread"][0]
    (narrow,), (wide,) = enough(report, width=0.1), enough(report, width=2)
    assert narrow.more + 100 == pytest.approx(100 * (2 * 1.96 * spread / 0.1) ** 2, abs=1.5)
    assert (wide.enough, wide.more, wide.line().split(": ")[1]) == (True, 0, "narrow enough")
    (half,) = enough(report, width=0.05)
    assert half.more + 100 == pytest.approx(4 * (narrow.more + 100), abs=4)


def test_the_estimate_comes_true():
    """From 100 records the rule foretells how many give a width of 0.15; with so many it is between 0.12 and 0.18."""
    ten = ["accept accept"] * 4 + ["reject reject"] * 4 + ["accept reject"] * 2
    (stop,) = enough(agreement(answers(*ten * 10), NOBODY), width=0.15)
    (later,) = enough(agreement(answers(*ten * round((stop.more + stop.n) / 10)), NOBODY), width=0.15)
    assert later.width == pytest.approx(0.15, abs=0.02)


def test_of_few_records_nobody_says_how_many_are_wanting():
    (stop,) = enough(agreement(answers("accept accept", "reject reject", "accept reject"), NOBODY), width=0.1)
    assert (stop.enough, stop.more) == (False, None)
    assert "too few to say" in stop.line()
    (none,) = enough(agreement(answers("accept accept"), NOBODY))
    assert (none.enough, none.width, none.line()) == (False, None, "")
