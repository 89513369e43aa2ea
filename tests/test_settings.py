"""`clw.toml` as a person writes it: pleasant forms read, mistakes answered in words."""

import re
from datetime import timedelta

import pytest

from clworkbench.errors import SettingsError
from clworkbench.settings import load_settings, parse_settings, settings_dict, template


def test_the_template_is_valid_and_says_what_the_defaults_are():
    written = parse_settings(template())
    assert settings_dict(written) | {"outcomes": []} == settings_dict(parse_settings("")) | {"outcomes": []}
    assert [rule.name for rule in written.outcomes] == ["corrected", "task", "thumbs"]


def test_what_the_template_comments_out_is_valid_too():
    shown = "\n".join(
        line.removeprefix("# ") if re.match(r"# (\w+ = |\[)", line) else line for line in template().splitlines()
    )
    settings = parse_settings(shown)
    assert settings.sources["tickets"].columns == {"ticket": "target", "reopened_at": "at", "agent": "actor"}
    assert settings.outcomes[-1].within == timedelta(hours=24)
    assert settings.gates.target == "refunds"


def test_redaction_off_is_written_into_the_template():
    assert parse_settings(template(redaction="off")).policy.redaction == "off"


def test_a_source_takes_its_name_from_its_table_and_one_path_is_a_list():
    source = parse_settings("[sources.app]\nformat = 'openai'\npaths = 'a/*.jsonl'").sources["app"]
    assert (source.name, source.paths) == ("app", ("a/*.jsonl",))


@pytest.mark.parametrize(
    ("text", "length"),
    [("90s", 90), ("15m", 900), ("24h", 86400), ("3d", 259200), ("2 w", 1209600)],
)
def test_a_length_of_time_is_a_number_and_a_unit(text, length):
    rule = parse_settings(f"[outcomes]\nx = {{ negative = 'reopened', within = '{text}' }}").outcomes[0]
    assert rule.within == timedelta(seconds=length)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[training]\nreplays = 1", r"\[training\] no such key 'replays'. Did you mean 'replay'\?"),
        ("[training]\nsteps = 'many'", r"\[training.steps\] Expected `int`, got `str`"),
        ("[outcomes]\nx = { negative = 'a', within = 'soon' }", "outcomes.x: within = 'soon' is no length of time"),
        (
            "[sources.b]\n[sources.a]\nrecord = 'row'",
            r"\[sources.a.record\] Invalid enum value 'row'. There: feedback, interaction\.",
        ),
        ("[label.ask.a]\nasks = ['accept']", r"\[the top level\] no such key 'label'. Did you mean 'labels'\?"),
        (
            "[labels.ask.b]\n[labels.ask.a]\nask = ['accept']",
            r"\[labels.ask.a\] no such key 'ask'. Did you mean 'asks'",
        ),
        ("[outcomes]\ngood = { positiv = 'a' }", r"\[outcomes.good\] no such key 'positiv'. Did you mean 'positive'\?"),
        ("[slices]\nfine = 'a = 1'\n[slices.evil]\nx = 1", r"\[slices.evil\] Expected `str`, got `object`"),
        ("[policy.sample]\nrates = { b = 0.5, a = 2 }", r"\[policy.sample.rates.a\] Expected `float` <= 1.0"),
        ("[policy.sample]\nrates = { a = 2 }", r"\[policy.sample.rates.a\] Expected `float` <= 1.0"),
        ("[evals]\nwxyz = 1", r"\[evals\] no such key 'wxyz'. There: suites, scorers, .*commented out"),
        ("[policy]\nredaction = 'of'", r"Invalid enum value 'of'\. There: off, patterns\."),
        (
            "[labels.ask.a]\nasks = ['acept']",
            r"\[labels.ask.a.asks\] Invalid enum value 'acept'\. There: accept, choose",
        ),
        ("[sources.a]\ntarget_source = 'appp'\n[sources.app]", "Did you mean 'app'"),
        ("[sources.a]\nformat = 'opnai'", "Did you mean 'openai'"),
        ("[outcomes]\nx = { negative = 'a', source = 'tikets' }\n[sources.tickets]", "Did you mean 'tickets'"),
        ("[outcomes]\nx = { }", "x: names no feedback"),
        ("[outcomes]\nx = { negative = 'a', good_from = 0.5 }", "x: good_from, or bad_from, belongs to a score"),
        ("[outcomes]\nx = { score = 'a', good_from = 0.5, bad_from = 0.1 }", "Write one of them"),
        ("[outcomes]\nx = { score = 'a', good_from = 5 }", "lies from -1 to 1"),
        ("[training]\nsteps = -60", r"\[training.steps\] Expected `int` >= 1"),
        ("[training]\nmin_gain = 5", r"\[training.min_gain\] Expected `float` <= 1"),
        ("[sources.a]\npaths = ''", "an empty path"),
        ("a = = 1", "not TOML"),
        ("[policy]\nredaction = false", r"\[policy.redaction\] Expected `str`"),
    ],
)
def test_a_mistake_is_answered_with_where_and_what(text, says):
    with pytest.raises(SettingsError, match=says):
        parse_settings(text)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(SettingsError, match="clw init"):
        load_settings(tmp_path / "clw.toml")


def test_a_file_that_is_no_text_says_so(tmp_path):
    (tmp_path / "clw.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(tmp_path / "clw.toml")


POLICY = """
[slices]
tests = "environment = 'test'"
[policy]
retention = "365d"
[policy.exclude]
short = "app = 'internal'"
long = { slice = "tests" }
[policy.sample]
by = "app"
rates = { chat = 0.2 }
[policy.caps]
burst = "10s"
"""


def test_a_policy_is_read_in_its_pleasant_forms():
    policy = parse_settings(POLICY).policy
    assert policy.retention == timedelta(days=365)
    assert [(rule.name, rule.where, rule.slice, rule.at) for rule in policy.exclude] == [
        ("short", "app = 'internal'", None, "use"),
        ("long", None, "tests", "use"),
    ]
    assert (policy.sample.by, policy.sample.rates, policy.sample.rate) == (("app",), {"chat": 0.2}, 1.0)
    assert policy.caps.burst == timedelta(seconds=10)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[policy.exclude]\nx = {}", r"\[policy.exclude.x\]: it excludes nothing"),
        ("[policy.exclude]\nx = { slice = 'test' }\n[slices]\ntests = 'true'", "slice = 'test' .* mean 'tests'"),
        ("[policy.exclude]\nx = { source = 'ap' }\n[sources.app]", "source = 'ap' is not declared. .* 'app'"),
        ("[policy.exclude]\nx = { slice = 'a', at = 'ingest' }\n[slices]\na = 'true'", "known after ingest only"),
        ("[policy.sample]\nrates = { a = 2 }", "rates"),
        ("[policy]\nretention = 'for ever'", "policy: retention = 'for ever' is no length of time"),
        (
            "[policy]\nretention = '9999999d'",
            "retention = '9999999d' is more than 100 years.\nWrite .*'36525d'",
        ),
        ("[policy]\nretention = '99999999999d'", "retention = '99999999999d' is more than 100 years"),
        (f"[policy]\nretention = '{'9' * 5000}s'", "more than 100 years"),
        ("[policy.caps]\nburst = '5218w'", "policy.caps: burst = '5218w' is more than 100 years.\nWrite .*'5217w'"),
        ("[outcomes]\nkept = { negative = 'x', within = '876601h' }", "outcomes.kept: within = '876601h' is more"),
        (
            "[outcomes]\nthumbs = { score = 'thumbs' }\n[policy.quality]\nreliability = { thumbz = 0.1 }",
            r"\[policy.quality\] reliability: no rule 'thumbz' in \[outcomes\]. Did you mean 'thumbs'",
        ),
        ("[policy.quality]\nreliability = { x = 0.1 }", "no rule 'x' .* There: labels."),
    ],
)
def test_a_policy_that_would_keep_nothing_out_is_refused(text: str, says: str):
    with pytest.raises(SettingsError, match=says):
        parse_settings(text)


def test_a_length_of_time_may_be_100_years_and_a_voice_a_rule_or_labels():
    text = "[policy]\nretention = '00036525d'\n[outcomes]\nx = { score = 's' }\n"
    policy = parse_settings(text + "[policy.quality]\nreliability = { x = 0.7, labels = 0.9 }").policy
    assert policy.retention == timedelta(days=36525)
    assert policy.quality.reliability == {"x": 0.7, "labels": 0.9}


def test_what_rows_weigh_is_read_in_its_pleasant_forms():
    text = "[slices]\ncards = 'true'\n[training]\nhalf_life = '90d'\nbalance = 'cards'\nverifier = 'valid_json'"
    training = parse_settings(text).training
    assert (training.half_life, training.balance, training.verifier) == (timedelta(days=90), ("cards",), "valid_json")
    assert (parse_settings("").training.half_life, parse_settings("").training.balance) == (None, ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[training]\nbalance = ['card']\n[slices]\ncards = 'true'", r"balance names 'card'.* Did you mean 'cards'"),
        ("[training]\nbalance = ['x']", r"balance names 'x'.* Declare it in \[slices\]"),
        ("[training]\nhalf_life = '0d'", "half_life must be longer than 0"),
        ("[training]\nhalf_life = 'long'", "training: half_life = 'long' is no length of time"),
    ],
)
def test_weights_that_mean_nothing_are_refused(text: str, says: str):
    with pytest.raises(SettingsError, match=says):
        parse_settings(text)


def test_question_sets_are_read_by_name_and_the_review_is_there_without_any():
    assert [asked.name for asked in parse_settings("format = 1").labels.ask] == ["review"]
    text = "[labels.ask.actions]\nasks = ['choose', 'comment']\noptions = ['refund', 'resend']\noverlap = 2\n"
    (asked,) = parse_settings(text).labels.ask
    assert (asked.name, asked.asks, asked.options, asked.overlap) == (
        "actions", ("choose", "comment"), ("refund", "resend"), 2
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("asks = ['comment']", "no question that must be answered"),
        ("asks = ['accept', 'accept']", "twice"),
        ("asks = ['choose']", "needs options"),
        ("asks = ['spans']", "needs span_labels"),
        ("asks = ['rate']\nratings = 1", "from 1 to 2 at least"),
        ("overlap = 0", "overlap"),
    ],
)
def test_a_question_set_that_nobody_could_answer_is_refused_in_words(line, said):
    with pytest.raises(SettingsError, match=said):
        parse_settings(f"[labels.ask.mine]\n{line}\n")


def test_a_question_sets_name_becomes_a_data_sets_name():
    with pytest.raises(SettingsError, match="letters, digits"):
        parse_settings("[labels.ask.'my set']\nasks = ['accept']\n")
