"""Verifiable instructions: cases that IFEval publishes with its checks, retyped in short, and what goes wrong.

Source: google-research/instruction_following_eval/instructions_test.py (Apache 2.0), the cases and their results.
"""

import json
import time

import polars as pl
import pytest

from clworkbench.errors import ClwError
from clworkbench.scorers.ifeval import loose
from clworkbench.scorers.ifeval_checks import CHECKS, sentences
from clworkbench.scorers.names import scorer

LESS, LEAST = {"relation": "less than"}, {"relation": "at least"}
N = 20_000
PUPPY = "Paris is a city of romance. The romantic river Seine passes the Louvre Museum, where the Mona Lisa resides."
PAGES = ["length_constraints:nth_paragraph_first_word", {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "I"}]
LONG = "Wow, long.\n\n  I can't believe it.\n\n  {third}\n\n  Living proof.\n\n  Haha, you go that right."


@pytest.mark.parametrize(
    ("name", "kwargs", "text", "followed"),
    [
        ("length_constraints:number_sentences", LESS | {"num_sentences": 4}, "xx,x. xx,x! xx/x. x{x}x?", False),
        ("length_constraints:number_sentences", LESS | {"num_sentences": 5}, "xxxx. xx,x! xxxx. x(x)x?", True),
        ("length_constraints:number_sentences", LEAST | {"num_sentences": 4}, "xxxx. xx,x! xx|x. x&x x?", True),
        ("length_constraints:number_sentences", LEAST | {"num_sentences": 5}, "xx-x. xx,x! xx}x. x,xx?", False),
        (
            "detectable_content:number_placeholders",
            {"num_placeholders": 5},
            "[Name]\n[Email]\n[P]\n[A]\n[W]\nend",
            True,
        ),
        (
            "detectable_content:number_placeholders",
            {"num_placeholders": 7},
            "My [a] [n] is [a] [n]. I [v] and [v].",
            False,
        ),
        (
            "detectable_format:number_bullet_lists",
            {"num_bullets": 3},
            "an asterisk (*):\n  * one\n  *two\n  * three\nmarkdown",
            True,
        ),
        (
            "detectable_format:number_bullet_lists",
            {"num_bullets": 2},
            "inline (*), *, no:\n    * This.\n    * That.\n    . dot",
            True,
        ),
        (
            "detectable_format:number_bullet_lists",
            {"num_bullets": 3},
            "three:\n  - I am.\n  - I was.\n  -I will be.",
            True,
        ),
        (
            "detectable_format:number_bullet_lists",
            {"num_bullets": 1},
            "P 1\n  ***\n  P 2\n  ***\n  P 3\n  * only one",
            True,
        ),
        ("detectable_format:constrained_response", {}, "\n My answer is no.\n", True),
        ("detectable_format:constrained_response", {}, "My answer is no. I am still learning.", True),
        ("detectable_format:constrained_response", {}, "No.", False),
        ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "type:*hello*, or **hello** ", True),
        (
            "detectable_format:number_highlighted_sections",
            {"num_highlights": 2},
            "*Finite\n*Finite methods*\n*Boundary\n*Monte",
            False,
        ),
        (
            "detectable_format:number_highlighted_sections",
            {"num_highlights": 4},
            "*two different* highlighted *in the same*\nline. **This also** for **double.**",
            True,
        ),
        (
            "detectable_format:multiple_sections",
            {"section_spliter": "Section", "num_sections": 3},
            '"Section X":\n Section 1\n [c]\n Section 2\n [c]',
            False,
        ),
        (
            "detectable_format:multiple_sections",
            {"section_spliter": "SECTION", "num_sections": 2},
            "SECTION 1\n [c]\n SECTION 2\n [c]",
            True,
        ),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, "p 1\n  ***\n  p 2\n  ***\n  p 3", True),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, "\n ***\n p 1\n ***\n p 2\n ***\n p 3", True),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, "p 1\n ***\n p 2\n ***\n p 3\n ***", True),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "p 1\n ***\n p 2\n ***\n ***", False),
        ("detectable_content:postscript", {"postscript_marker": "P.S."}, "My words.\n\n  P.S. I hope.", True),
        ("detectable_content:postscript", {"postscript_marker": "PS:"}, "My words.\n\n  P.S. I hope.", False),
        ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "My words.\n\n  P.P.S. I am.", True),
        (
            "detectable_content:postscript",
            {"postscript_marker": "P.S."},
            "(no new line) P.S. I hope you enjoyed!",
            True,
        ),
        (
            "detectable_content:postscript",
            {"postscript_marker": "P.P.S"},
            "also one.\n  p.p.s what if it were lower case?",
            True,
        ),
        (
            "detectable_content:postscript",
            {"postscript_marker": "P.S."},
            "Mysterious.\n  P. S. Sometimes spaces.",
            True,
        ),
        ("keywords:existence", {"keywords": ["romantic", "river", "Mona Lisa"]}, PUPPY, True),
        (
            "keywords:existence",
            {"keywords": ["romantic", "river", "Mona Lisa"]},
            PUPPY.replace("Mona Lisa", "art"),
            False,
        ),
        ("keywords:frequency", LESS | {"keyword": "  keyword ", "frequency": 4}, "keyword, Keyword, KEYWORD", True),
        ("keywords:frequency", LEAST | {"keyword": "  keyword ", "frequency": 3}, "keyword, Keyword, KEYWORD", True),
        ("keywords:frequency", LEAST | {"keyword": "KEYWORD", "frequency": 4}, "*keyword\n *Keyword\n *KEYWORD", False),
        (
            "length_constraints:number_words",
            LESS | {"num_words": 8},
            "d3sCRi7 lArge lAnguagE M0del w1tH 20 w0RdS.",
            True,
        ),
        (
            "length_constraints:number_words",
            LESS | {"num_words": 16},
            "L4 M0: AI syst3m th4t und3rst4nds, g3n, or tr4ns l4ng b4s3d on pr3v l3arn & d4t4 a b.",
            False,
        ),
        (*PAGES, "paragraph 1\n\n  I paragraph 2\n\n  paragraph 3", True),
        (*PAGES, "paragraph 1\n\n  I paragraph 2", False),
        (*PAGES, "paragraph 1\n\n  fail paragraph 2\n\n  paragraph 3", False),
        (PAGES[0], {"num_paragraphs": 5, "nth_paragraph": 5, "first_word": "haha"}, LONG.format(third="No way!"), True),
        (
            PAGES[0],
            {"num_paragraphs": 5, "nth_paragraph": 3, "first_word": "Really"},
            LONG.format(third='"Really?! No!"'),
            True,
        ),
        (
            PAGES[0],
            {"num_paragraphs": 5, "nth_paragraph": 3, "first_word": "Really"},
            LONG.format(third="Rea!lly more?"),
            False,
        ),
        (
            "keywords:forbidden_words",
            {"forbidden_words": ["HOUSE", "POWER", "BECOME"]},
            "He came to power in 1933.",
            False,
        ),
        (
            "keywords:forbidden_words",
            {"forbidden_words": ["HOUSE", "POWER", "BECOME"]},
            "The most powerful until it became.",
            True,
        ),
        (
            "keywords:forbidden_words",
            {"forbidden_words": ["GENE", "TRANSFORM"]},
            "GPT, or Generative Transformer.",
            True,
        ),
        ("combination:two_responses", {}, "This is 1.\n  ******\n  This is 2.", True),
        ("combination:two_responses", {}, "This is 1.\n  ******\n  This is 1.", False),
        ("combination:two_responses", {}, "1.\n  ******\n  2.\n ******\n 3.", False),
        ("combination:two_responses", {}, "******\n 1.\n ******\n ******\n 2.\n ******", False),
        ("combination:two_responses", {}, "******\n 1\n ******\n 2\n ******\n", True),
        (
            "combination:repeat_prompt",
            {"prompt_to_repeat": "Write a CL description."},
            "Write a CL description. Hi, Le.",
            True,
        ),
        (
            "combination:repeat_prompt",
            {"prompt_to_repeat": "Write a CL description."},
            "Hi. Write a CL description.",
            False,
        ),
        (
            "startend:end_checker",
            {"end_phrase": " Any more questions?\n"},
            "The answer is 7. Any more questions?\n ",
            True,
        ),
        (
            "startend:end_checker",
            {"end_phrase": "This is the end."},
            "I am required to say that this is the end.",
            True,
        ),
        ("startend:end_checker", {"end_phrase": "This will fail."}, "This will fail. Paris is cool.", False),
        ("detectable_format:title", {}, "<<Song of Joy>>\n La la.", True),
        ("detectable_format:title", {}, "At the end?\n <<This is the title>>", True),
        ("detectable_format:title", {}, "<< >>\n There is none.", False),
        ("detectable_format:title", {}, "<<This is not.\n A paragraph.>>", False),
        (
            "keywords:letter_frequency",
            {"letter": "T", "let_frequency": 4, "let_relation": "at least"},
            "There is the T. Four T's.",
            True,
        ),
        (
            "keywords:letter_frequency",
            {"letter": "a", "let_frequency": 4, "let_relation": "less than"},
            "asdfghjkl!!aA",
            True,
        ),
        (
            "keywords:letter_frequency",
            {"letter": "#", "let_frequency": 4, "let_relation": "at least"},
            "#1 #2 #3",
            False,
        ),
        ("change_case:english_capital", {}, "EVERY LETTER IS CAPITALIZED!!! AMAZING.", True),
        ("change_case:english_capital", {}, "Every Word Is Capitalized.", False),
        ("change_case:english_lowercase", {}, "every letter is lowercase.", True),
        ("change_case:english_lowercase", {}, "Almost every letter is lowercase.", False),
        (
            "change_case:capital_word_frequency",
            {"capital_frequency": 3, "capital_relation": "at least"},
            "HERE there are THREE FUlly CAPITAL words.",
            True,
        ),
        (
            "change_case:capital_word_frequency",
            {"capital_frequency": 5, "capital_relation": "less than"},
            "THERE are Four FULLY CAPITAL WORDS. Many So.",
            True,
        ),
        (
            "change_case:capital_word_frequency",
            {"capital_frequency": 4, "capital_relation": "less than"},
            "THERE are Four FULLY CAPITAL WORDS. Many So.",
            False,
        ),
        ("punctuation:no_comma", {}, "Every sentence is short. There is no need.", True),
        ("punctuation:no_comma", {}, "Since the start, people punctuate.", False),
        ("startend:quotation", {}, '\n "This entire message is wrapped."\n', True),
        ("startend:quotation", {}, '"This message is wrapped." But not everything.', False),
        ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', True),
        ("detectable_format:json_format", {}, "{'a': 1}", False),
    ],
)
def test_the_published_cases(name: str, kwargs: dict[str, object], text: str, followed: bool):  # noqa: FBT001
    assert CHECKS[name](text, kwargs) is followed


def graded(name: str, *pairs: tuple[str | None, object]) -> tuple[list[float | None], list[str | None]]:
    outputs = pl.Series([output for output, _ in pairs], dtype=pl.String)
    expected = pl.Series([wanted if isinstance(wanted, str | None) else json.dumps(wanted) for _, wanted in pairs])
    score, error = scorer(name).graded(outputs, expected)
    return score.to_list(), error.to_list()


LOW = {"id": "change_case:english_lowercase", "kwargs": {}}
QUIET = {"instruction_id": "punctuation:no_comma", "kwargs": None}
TITLE = {"id": "detectable_format:title"}


def test_all_instructions_must_be_followed_and_no_output_follows_none():
    both = [LOW, QUIET]
    assert graded("ifeval", ("all is well", both), ("all, well", both), ("All well", both), ("", both), (None, both))[
        0
    ] == [1, 0, 0, 0, 0]


def test_loose_forgives_an_introduction_a_last_line_and_emphasis():
    said = "Sure, here it is:\n*all is well*\nAnything else?"
    assert graded("ifeval", (said, [LOW]))[0] == [0]
    assert graded("ifeval:loose", (said, [LOW]), ("Sure, ALL", [LOW]))[0] == [1, 0]
    assert loose("a\n*b*\nc") == ["a\n*b*\nc", "*b*\nc", "a\n*b*", "*b*", "a\nb\nc", "b\nc", "a\nb", "b"]
    ends = [{"id": "startend:end_checker", "kwargs": {"end_phrase": "b"}}, LOW]
    # Different readings may follow different instructions, as in the paper: each is followed by one.
    assert graded("ifeval:loose", ("A\nb", ends))[0] == [1]


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        (None, "expected is a JSON list of instructions"),
        ("be short", "expected is a JSON list of instructions"),
        ([], "expected is a JSON list of instructions"),
        ([{"kwargs": {}}], "is no instruction"),
        (
            [LOW, {"id": "language:response_language", "kwargs": {"language": "de"}}],
            "'language:response_language' is not known here",
        ),
        ([{"id": "punctuation:no_coma"}], "'punctuation:no_coma' is not known here"),
        (
            [{"id": "length_constraints:number_words", "kwargs": {"num_words": "ten"}}],
            "num_words is no whole number: 'ten'",
        ),
        ([{"id": "length_constraints:number_words"}], "an argument is missing or of another kind: 'num_words'"),
        (
            [{"id": "length_constraints:number_words", "kwargs": {"num_words": 3, "relation": "around"}}],
            "relation is 'less than' or 'at least'",
        ),
        ([{"id": "keywords:existence", "kwargs": {"keywords": "a"}}], "keywords is no list of texts"),
        ([{"id": "keywords:letter_frequency", "kwargs": {"letter": "ab", "let_frequency": 1}}], "no single letter"),
        ([LOW | {"kwargs": [1]}], "are no object"),
    ],
)
def test_an_example_whose_instructions_cannot_be_checked_is_not_graded_whatever_the_output(expected: object, says: str):
    scores, errors = graded("ifeval", ("x", expected), (None, expected))
    assert scores == [None, None]
    assert all(says in str(error) for error in errors)


def test_nobody_can_say_a_right_answer_and_another_reading_is_refused():
    assert scorer("ifeval").gold(pl.Series(["[]"])).to_list() == [None]
    with pytest.raises(ClwError, match=r"Write ifeval \(strict\) or ifeval:loose"):
        scorer("ifeval:lose")


def test_sentences_end_at_marks_and_not_after_titles_or_within_numbers():
    assert sentences("Dr. Who paid 3.50 at 9 a.m. He left!") == 2
    assert sentences("No mark") == 1
    assert sentences('Wait... what?! "Yes." Then') == 4
    assert sentences("  ") == 0


@pytest.mark.parametrize(
    ("instruction", "kwargs", "text"),
    [
        ("length_constraints:number_sentences", {"num_sentences": 1}, "." * N + "x"),
        ("length_constraints:number_sentences", {"num_sentences": 1}, "Mr. " * N),
        ("detectable_content:number_placeholders", {"num_placeholders": 1}, "[" * N),
        ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "\n" * N + "x"),
        ("detectable_format:title", {}, "<" * N),
        ("detectable_format:json_format", {}, "a" + " " * N + "b"),
        ("detectable_content:postscript", {"postscript_marker": "p." + " " * 20 + "."}, "p." + " " * N),
    ],
    ids=["marks", "abbreviations", "brackets", "blank_lines", "angles", "blanks", "marker"],
)
def test_an_answer_that_repeats_itself_is_read_in_linear_time(instruction: str, kwargs: dict[str, object], text: str):
    began = time.process_time()
    CHECKS[instruction](text, kwargs)
    assert time.process_time() - began < 2


def test_a_number_without_end_is_told_and_not_raised():
    asked = '[{"id": "length_constraints:number_words", "kwargs": {"num_words": 1e999}}]'
    found = scorer("ifeval").graded(pl.Series(["a"]), pl.Series([asked]))
    assert found.score.to_list() == [None]
    assert "num_words is no whole number: inf" in found.error[0]


def test_an_address_holds_no_postscript():
    assert not CHECKS["detectable_content:postscript"]("See app.stackoverflow.com", {"postscript_marker": "P.S."})


@pytest.mark.parametrize(
    ("text", "n"), [("No. 5 is done. It works (really!). Dr. Who? Yes...", 4), ("NASA. Plan A. Go", 2), ("a.b c!", 1)]
)
def test_sentences_end_at_marks_but_not_at_abbreviations(text: str, n: int):
    assert sentences(text) == n
