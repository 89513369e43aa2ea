"""What would be asked, without a server."""

import json
from dataclasses import replace

import polars as pl
import pytest

from clworkbench.audit.asked import asked
from clworkbench.audit.forget import forget
from clworkbench.errors import BudgetError, ExpressionError, LabelError
from clworkbench.labels.argilla import Address, Dataset
from clworkbench.labels.records import RecordThere
from clworkbench.loop import data
from clworkbench.loop.labels import ask
from clworkbench.loop.labels.asked import note
from clworkbench.loop.labels.deck import deal
from clworkbench.loop.signals.capture import ingest
from clworkbench.schemas import LABELS
from clworkbench.workspace.catalog import now
from tests.audit.people import write_lines
from tests.loop.asking import make, turn


@pytest.fixture
def asking(workspace):
    return make(workspace)


def dealt(asking, which="review", **more):
    return deal(asking.workspace, ask.question_set(asking.workspace, f"{asking.team}-{which}"), **more)


def one_more(asking):
    """A sixth signal, which is the only candidate of a second selection."""
    write_lines(asking.workspace.folder / "more.jsonl", [turn("six", "May I send it back?", "You may.")])
    ingest(asking.workspace, asking.workspace.folder / "more.jsonl", "app")
    assert data.choose(asking.workspace, 4).frame.height == 1


def who(asking, deck):
    """The source's own ids of the signals on the cards."""
    own = {interaction: source for source, interaction in asking.ids().items()}
    return sorted(own[card.interaction_id] for card in deck.cards)


def test_all_candidates_are_dealt_the_most_urgent_first(asking):
    deck = dealt(asking)
    urgent = asking.workspace.read("candidates").sort("priority", descending=True)["interaction_id"].to_list()
    assert [card.interaction_id for card in deck.cards] == urgent
    assert (deck.known, deck.left_out, deck.n_answers) == (0, {}, 0)


def test_candidates_that_a_later_selection_left_alone_are_still_asked_about(asking):
    assert data.choose(asking.workspace, 4).taken_out["drawn_before"] == 5
    assert len(dealt(asking).cards) == 5
    one_more(asking)
    assert len(dealt(asking).cards) == 6
    assert len(dealt(asking, n=2).cards) == 2


def test_a_candidate_that_was_answered_in_a_sheet_is_not_asked_about_and_is_counted(asking, tmp_path):
    sheet = tmp_path / "answered.csv"
    sheet.write_text(f"interaction_id,value\n{asking.ids()['one']},accept\n")
    data.import_labels(asking.workspace, sheet)
    deck = dealt(asking)
    assert (len(deck.cards), deck.left_out) == (4, {"answered in a sheet already": 1})


def test_a_signal_that_somebody_names_is_asked_about_without_a_candidate(asking):
    own = asking.ids()["three"]
    (card,) = dealt(asking, ids=[own, own]).cards
    assert (card.interaction_id, card.candidate_id) == (own, None)
    with pytest.raises(LabelError, match=r"no signal 'nobody' that may be shown \(1 of 2\)"):
        dealt(asking, ids=[own, "nobody"])


def test_where_keeps_out_what_it_does_not_hold_for(asking):
    deck = dealt(asking, "cards")
    assert who(asking, deck) == ["five", "one", "two"]
    assert deck.left_out == {"outside of `where`": 2}


def test_what_the_policy_excludes_never_leaves(asking):
    asking.also("[policy.exclude.safety]\nwhere = \"text LIKE '%safe%'\"\n")
    deck = dealt(asking)
    assert who(asking, deck) == ["five", "one", "three", "two"]
    assert deck.left_out == {"kept out by the policy, or forgotten": 1}
    with pytest.raises(LabelError, match="the policy keeps it out"):
        dealt(asking, ids=[asking.ids()["four"]])


def test_an_answer_that_the_policy_excludes_is_not_compared_with_another_either(asking):
    asking.also("[policy.exclude.m2]\nwhere = \"model = 'm2'\"\n")
    options = {card.interaction_id: card.options for card in dealt(asking, "ranks").cards}
    assert set(options[asking.ids()["one"]]) == {asking.ids()["one"], "improvement"}


def test_a_signal_that_was_forgotten_is_never_shown(asking):
    gone = asking.ids()["three"]
    forget(asking.workspace, asked(now(), interactions=(gone,)))
    assert who(asking, dealt(asking)) == ["five", "four", "one", "two"]


def test_answers_to_the_same_question_are_compared_and_what_they_are_is_told(asking):
    deck = dealt(asking, "ranks")
    ids = asking.ids()
    assert who(asking, deck) == ["four", "one", "two"]
    assert deck.left_out == {"fewer than 2 different answers to compare": 2}
    said = {ids["one"]: "It &lt;b>left&lt;/b> &amp; comes.", ids["two"]: "I do not know.", ids["four"]: "Yes."}
    better = {ids["one"]: "It comes on Monday.", ids["four"]: "Yes, it is."}
    for card in deck.cards:
        texts = [better[card.interaction_id] if each == "improvement" else said[each] for each in card.options]
        assert texts == [card.fields["answer_1"], card.fields["answer_2"]]
        assert card.interaction_id in card.options


def test_a_data_set_that_stands_says_how_many_answers_are_compared(asking):
    deck = dealt(asking, "ranks", n_answers=3)
    assert who(asking, deck) == ["one"]
    assert deck.left_out == {"fewer than 3 different answers to compare": 4}
    ids = asking.ids()
    assert set(deck.cards[0].options) == {ids["one"], "improvement", ids["two"]}


PLACE = Address("http://127.0.0.1:6900", "k", embedded=True)


def noted(asking, deck, which="ranks", state="pushing"):
    """As a push notes a deck before it writes it."""
    dataset = Dataset("d", f"{asking.team}-{which}", asking.team, {}, deck.n_answers, None, 1, is_published=True)
    return note(asking.workspace, PLACE, dataset, deck.cards, state)


def shown(deck):
    return {card.interaction_id: [card.fields["answer_1"], card.fields["answer_2"]] for card in deck.cards}


def answered_alike(asking):
    """Newer answers of other models to the question of `one` and `two`."""
    turns = [turn(f"new{n}", "Where is my card? I am jo@example.com", f"Ask {n}.", model=f"n{n}") for n in range(4)]
    ingest(asking.workspace, write_lines(asking.workspace.folder / "new.jsonl", turns), "app")


def test_what_an_interrupted_push_noted_is_dealt_again_first_and_with_the_same_answers(asking):
    before = dealt(asking, "ranks", n=2)
    noted(asking, before)
    answered_alike(asking)
    data.choose(asking.workspace, 9)
    deck = dealt(asking, "ranks", n_answers=2, n=9)
    assert [card.interaction_id for card in deck.cards[:2]] == [card.interaction_id for card in before.cards]
    assert [shown(deck)[card.interaction_id] for card in before.cards] == list(shown(before).values())
    assert len(deck.cards) > 2
    assert deck.known == 0
    noted(asking, before, state="asked")
    assert dealt(asking, "ranks", n_answers=2, n=9).known == 2


def test_of_what_an_interrupted_push_noted_an_answer_that_may_not_be_shown_is_not(asking):
    ids, before = asking.ids(), dealt(asking, "ranks")
    noted(asking, before)
    answered_alike(asking)
    asking.also("[policy.exclude.m2]\nwhere = \"model = 'm2'\"\n")
    deck = dealt(asking, "ranks", n_answers=2)
    options = {card.interaction_id: card.options for card in deck.cards}
    assert options[ids["four"]] == next(c.options for c in before.cards if c.interaction_id == ids["four"])
    assert not any(ids["two"] in each for each in options.values())


def test_a_record_that_stands_stays_in_the_deck_only_where_it_shows_what_the_card_does(asking):
    deck = dealt(asking, "ranks")
    first, second, third = deck.cards
    changed = {**second.fields, "answer_1": "other"}
    there = [RecordThere(f"r{n}", c.interaction_id, fields=dict(c.fields)) for n, c in enumerate(deck.cards[:2])]
    there[1] = RecordThere("r1", second.interaction_id, fields=changed)
    found = deck.beside(there)
    assert found.cards == [first, third]
    assert found.standing == {first.interaction_id}
    assert found.left_out == deck.left_out | {"stands in Argilla already, and shows other answers": 1}
    noted(asking, deck)
    again = dealt(asking, "ranks").beside(there)  # what was noted says what it shows, whatever its text was cleared of
    assert again.standing == {first.interaction_id, second.interaction_id}


def labelled(asking, source_id, source="gold"):
    row = {
        "label_id": f"{source}-{source_id}",
        "interaction_id": asking.ids()[source_id],
        "question": "answer",
        "value": "accept",
        "source": source,
        "status": "submitted",
        "annotator_key": "x",
    }
    schema = {name: dtype for name, dtype in LABELS.items() if name != "batch_id"}
    asking.workspace.write_batch(row["label_id"], "labels", {"labels": pl.DataFrame([row], schema=schema)})


def test_known_answers_are_mixed_in_unmarked(asking):
    labelled(asking, "five")
    one_more(asking)
    deck = dealt(asking, "gold", n=6)
    (gold,) = (card for card in deck.cards if card.gold)
    others = [card for card in deck.cards if not card.gold]
    assert len(others) == 5
    assert gold.interaction_id == asking.ids()["five"]
    assert gold.candidate_id is None
    assert gold.metadata["reasons"] in [card.metadata["reasons"] for card in others]
    assert {*gold.metadata} - {"slice"} == {*others[0].metadata} - {"slice"}
    assert {*gold.fields} == {*others[0].fields}
    assert "gold" not in json.dumps([gold.fields, gold.metadata])


def test_a_set_without_a_share_of_gold_asks_nothing_that_is_known(asking):
    labelled(asking, "five")
    one_more(asking)
    assert not any(card.gold for card in dealt(asking).cards)


def test_without_a_selection_the_words_name_select(workspace):
    with pytest.raises(LabelError, match="clw select"):
        ask.push(workspace, dry_run=True)


def test_the_set_that_is_meant_must_be_clear(asking):
    with pytest.raises(LabelError, match=r"which question set\? clw.toml has .*-review, .*-ranks"):
        ask.push(asking.workspace)
    with pytest.raises(LabelError, match="no question set 'nope'"):
        ask.push(asking.workspace, "nope")


def test_a_dry_run_needs_no_server_and_writes_nothing(asking):
    found = ask.push(asking.workspace, f"{asking.team}-ranks", dry_run=True)
    assert (found.pushed, found.url, found.batch_id) == (3, None, None)
    assert {"conversation", "answer_1", "answer_2"} == set(found.first.fields)
    assert asking.workspace.read("asked").height == 0


def test_nothing_is_asked_where_nothing_is_left_to_spend(asking):
    asking.also("[budget.label]\nusd = 1.0\n")
    asking.workspace.catalog.spend("label", "x", 0.0, 2.0)
    with pytest.raises(BudgetError, match="label: this month's budget is spent"):
        ask.push(asking.workspace, f"{asking.team}-review")


def test_a_condition_of_the_push_holds_beside_the_sets_own(asking):
    found = ask.push(asking.workspace, f"{asking.team}-cards", where="model = 'm2' OR text = 'x'", dry_run=True)
    assert found.pushed == 1
    assert found.left_out == {"outside of `where`": 4}
    found = ask.push(asking.workspace, f"{asking.team}-review", where="model = 'm2'", dry_run=True)
    assert found.pushed == 1
    with pytest.raises(ExpressionError, match=r"labels.ask.*where: .*no column 'modl'"):
        ask.push(asking.workspace, f"{asking.team}-review", where="modl = 'm2'", dry_run=True)


def test_guidelines_that_are_missing_are_told_before_anything_is_asked(asking):
    (asking.workspace.folder / "guide.md").unlink()
    with pytest.raises(LabelError, match=r"guide.md cannot be read"):
        ask.push(asking.workspace, f"{asking.team}-review", dry_run=True)


def test_personal_data_is_out_before_a_card_is_made(asking):
    shown = json.dumps([[card.fields, card.metadata] for card in dealt(asking).cards])
    assert "Where is my card? I am " in shown
    assert "jo@example.com" not in shown
    assert "secret person" not in shown


def test_what_was_pushed_says_so_in_a_notebook_with_all_text_escaped(asking):
    found = ask.push(asking.workspace, f"{asking.team}-ranks", dry_run=True)
    shown = replace(found, left_out={"<b>": 1})._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
