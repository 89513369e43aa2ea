"""`[judges.NAME]`: read, and refused in words where nobody could be asked, or nothing."""

import pytest

from clworkbench.errors import SettingsError
from clworkbench.settings import parse_settings

ENDPOINT = """
[endpoints.large]
url = "http://127.0.0.1:9/v1"
model = "large-1"
"""
JUDGE = """
[judges.helpful]
endpoint = "large"
rubric = "Is it right?"
"""


def test_a_judge_says_pass_or_fail_and_wants_a_kappa_of_0_4_where_nothing_else_is_said():
    judge = parse_settings(ENDPOINT + JUDGE).judges["helpful"]
    assert (judge.ratings, judge.sees_expected, judge.min_kappa, judge.seed) == (None, False, 0.4, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (JUDGE, r"\[judges.helpful\]: endpoint = 'large' is not declared. Declare it in \[endpoints\]"),
        (ENDPOINT + JUDGE.replace('"large"', '"larg"'), "Did you mean 'large'"),
        (ENDPOINT + JUDGE.replace("Is it right?", " "), "the rubric is empty"),
        (ENDPOINT + JUDGE.replace("judges.helpful", 'judges."a b"'), "letters, digits"),
        (ENDPOINT + JUDGE + "ratings = 1", r"\[judges.*\] Expected `int` >= 2"),
        (ENDPOINT + JUDGE + "ratings = 11", r"Expected `int` <= 10"),
        (ENDPOINT + JUDGE + "min_kappa = 1.5", "Expected `float` <= 1"),
        (ENDPOINT + JUDGE + "min_kappa = 0.0", "Expected `float` > 0"),
        (ENDPOINT + JUDGE + "temperature = 1.0", "no such key 'temperature'"),
        (ENDPOINT + JUDGE + '[evals]\nscorers = ["judge:helpfull"]', "no judge 'helpfull'. Did you mean 'helpful'"),
        ('[evals]\nscorers = ["judge:other"]', r"Declare it as \[judges.other\]"),
    ],
    ids=[
        "no endpoint", "endpoint misspelt", "empty rubric", "name", "one rating", "many ratings", "kappa",
        "kappa of chance", "unknown key", "scorer misspelt", "no judge",
    ],
)  # fmt: skip
def test_a_judge_that_could_not_work_is_refused_in_words(text, words):
    with pytest.raises(SettingsError, match=words):
        parse_settings(text)
