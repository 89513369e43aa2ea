"""Slices of a workspace: rates of the log, a slice planted and saved, and clw.toml kept as it was."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from clworkbench.errors import ExpressionError, SettingsError
from clworkbench.loop.data import freeze_suite
from clworkbench.loop.look import look
from clworkbench.loop.releases.rules import check
from clworkbench.loop.signals.capture import ingest
from clworkbench.loop.slices.slices import declared, discover, save, slice_names, slices
from clworkbench.workspace import Workspace

SETTINGS = """\
format = 1
# who asks
[outcomes]
thumbs = { score = "thumbs" }
[slices]
desk = "app = 'desk'"   # the old one
late = "confidence < 0.5"
"""
START = datetime(2026, 3, 2, tzinfo=UTC)


def answer(number: int) -> dict[str, object]:
    """Every tenth has no thumb; of the others those of tenant b in the phone app are bad, and few others."""
    app, tenant = ("desk", "phone")[number % 2], "abc"[number % 3]
    bad = (app, tenant) == ("phone", "b") or number % 17 == 0
    return {
        "id": f"a{number}",
        "created": (START + timedelta(hours=number)).isoformat(),
        "app": app,
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        "metadata": {"app": app, "tenant": {"id": tenant}, "confidence": (number % 10) / 10},
        "feedback": [] if number % 10 == 0 else [{"name": "thumbs", "score": -1 if bad else 1}],
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("slices")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(folder / "config"))
        made = Workspace.create(folder / "w", settings=SETTINGS)
        (folder / "a.jsonl").write_text("".join(json.dumps(answer(n)) + "\n" for n in range(600)))
        ingest(made, [folder / "a.jsonl"], source="openai")
        _ = made.pseudonyms
        yield made


def counted(numbers) -> tuple[int, int, float]:
    told = [answer(n)["feedback"] for n in numbers]
    good = [feedback[0]["score"] > 0 for feedback in told if feedback]
    return len(good), len(told) - len(good), sum(good) / len(good)


def test_without_columns_each_slice_of_clw_toml_has_a_row(place):
    found = slices(place)
    assert found.frame["slice"].to_list() == ["all", *map(str, declared(place))]
    desk = [n for n in range(600) if n % 2 == 0]
    late = [n for n in range(600) if n % 10 < 5]
    for row, numbers in enumerate((range(600), desk, late)):
        assert found.frame.select("n", "pending", "rate").row(row) == pytest.approx(counted(numbers))
    assert f"{declared(place)[0]}" in found._repr_html_()


def test_by_an_attribute_and_week_rates_are_those_of_the_log(place):
    found = slices(place, "attributes.metadata.tenant.id", every="week").frame
    assert found.columns[:2] == ["week", "attributes.metadata.tenant.id"]
    row = found.row(0, named=True)
    first = [n for n in range(168) if n % 3 == 0]
    assert (row["week"], row["attributes.metadata.tenant.id"]) == (START, "a")
    assert (row["n"], row["pending"], row["rate"]) == pytest.approx(counted(first))


def test_within_a_slice_and_of_another_event(place):
    found = slices(place, "app", slice="late", event="confidence < 0.3")
    assert found.title == f"{declared(place)[1]}: signals where confidence < 0.3 by app"
    assert found.rate == "share"
    assert found.frame["rate"].to_list() == pytest.approx([2 / 3, 0.5])  # of 0, .2, .4 and of .1, .3
    assert "pending" in repr(found)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"by": "ap"}, "Did you mean app?"),
        ({"by": "attributes.metadata.tennant.id"}, "Did you mean attributes.metadata.tenant.id?"),
        ({"event": "outcom"}, "Did you mean outcome?"),
        ({"event": "confidence"}, "not true or false"),
        ({"event": "app in (select x from read_csv('/etc/passwd'))"}, "a subquery is not allowed"),
        ({"slice": "dsk"}, "Did you mean 'desk'?"),
        ({"event": "started_at > '2026-03-01'"}, "started_at >= timestamp '2026-11-01'"),
    ],
)
def test_what_cannot_be_counted_is_refused_in_words(place, options, says):
    with pytest.raises((ExpressionError, SettingsError)) as caught:
        slices(place, **options)
    assert says in str(caught.value)


def test_a_figure_is_drawn_for_each_way_of_counting(place):
    assert list(slices(place).plot().data[0].x) == slices(place).frame["rate"].to_list()
    lines = slices(place, "app", every="week").plot().data
    assert sorted(line.name for line in lines) == ["desk", "phone"]
    assert slices(place, every="day").plot().layout.yaxis.title.text == "good"


def test_what_is_planted_is_found_and_its_code_can_be_saved(place):
    found = discover(place, by=["app", "attributes", "confidence", "started_at"])
    assert found.slices[0].code() == "app = 'phone' and \"attributes.metadata.tenant.id\" = 'b'"
    before = (place.folder / "clw.toml").read_text()
    made = save(place, "phone_b", found.slices[0].code())
    after = (place.folder / "clw.toml").read_text()
    assert [line for line in after.splitlines() if not line.startswith("phone_b")] == before.splitlines()
    assert declared(place)[-1] == made
    inside = slice_names(place, place.signals())
    assert inside.list.contains("phone_b").sum() == sum(n % 2 == 1 and n % 3 == 1 for n in range(600))
    assert save(place, "phone_b", made.expression) == made
    assert (place.folder / "clw.toml").read_text() == after
    assert look(place, "phone_b").title.startswith(str(made))


def test_columns_that_are_handed_in_are_looked_at_as_well(place):
    signals = place.signals()
    beside = signals.select("interaction_id", topic=pl.when(pl.col("outcome").not_()).then(pl.lit("hard")))
    found = discover(place, by=["app"], beside=beside.with_columns(pl.col("topic").fill_null("easy")))
    assert found.slices[0].code() == "topic = 'hard'"


@pytest.mark.parametrize(
    ("name", "expression", "says"),
    [
        ("x", "ap = 'desk'", "Did you mean app?"),
        ("x", "app in (select x from read_csv('/etc/passwd'))", "a subquery is not allowed"),
        ("x", "confidence", "not true or false"),
        ("rest", "app = 'desk'", "gates use that name"),
        ("model", "app = 'desk'", "signals have a column of that name"),
        ("desk", "app = 'phone'", "there is a slice 'desk' already"),
        ("a b", "app = 'phone'", "letters, digits"),
    ],
)
def test_what_cannot_be_saved_is_refused_and_clw_toml_stays(place, name, expression, says):
    before = (place.folder / "clw.toml").read_bytes()
    with pytest.raises((ExpressionError, SettingsError)) as caught:
        save(place, name, expression)
    assert says in str(caught.value)
    assert (place.folder / "clw.toml").read_bytes() == before


def test_an_empty_workspace_says_that_there_is_not_enough_data(workspace):
    assert slices(workspace).why == "not enough data: there are no signals here"
    assert "not enough data" in slices(workspace, "app", every="day")._repr_html_()
    assert discover(workspace).why == "not enough data: there are no signals here"
    slices(workspace, every="day").plot()
    slices(workspace, "app").plot()
    slices(workspace, "app", every="hour").plot()


def test_a_file_that_somebody_holds_read_only_or_links_to_is_kept_as_it_is(workspace, tmp_path):
    path = workspace.folder / "clw.toml"
    real = tmp_path / "shared.toml"
    path.rename(real)
    path.symlink_to(real)
    real.chmod(0o640)
    save(workspace, "desk", "app = 'desk'")
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert workspace.settings.slices == {"desk": "app = 'desk'"}


def test_examples_that_came_from_signals_are_in_the_slices_that_hold_these(place, tmp_path):
    ids = dict(place.signals().select("source_id", "interaction_id").iter_rows())
    examples = [
        {"id": "one", "input": "q", "expected": "a", "slices": ["hard"], "signal_ids": [ids["a0"]]},
        {"id": "two", "input": "q", "expected": "a", "slices": ["desk"], "signal_ids": [ids["a3"], ids["a8"]]},
        {"id": "three", "input": "q", "expected": "a", "signal_ids": [ids["a9"]]},
        {"id": "four", "input": "q", "expected": "a", "slices": ["late"]},
        {"id": "five", "input": "q", "expected": "a", "signal_ids": ["0" * 32]},
    ]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(one) + "\n" for one in examples))
    made = freeze_suite(place, "held", tmp_path / "s.jsonl")
    frozen = dict(place.rows(str(made["id"])).select("example_id", "slices").iter_rows())
    # a0 and a8 are of the desk; a0 and a3 (confidence 0 and 0.3) are late, a8 and a9 are not.
    assert frozen == {
        "one": ["hard", "desk", "late"],
        "two": ["desk", "late"],
        "three": [],
        "four": ["late"],
        "five": [],
    }
    assert made["slices"] == {"desk": 2, "hard": 1, "late": 3}
    assert made["slice_versions"]["desk"] == declared(place)[0].version


def test_a_suite_of_no_signals_has_the_slices_of_its_file_alone(place, tmp_path):
    (tmp_path / "s.jsonl").write_text(json.dumps({"id": "x", "input": "q", "expected": "a", "slices": ["b", "a"]}))
    made = freeze_suite(place, "plain", tmp_path / "s.jsonl")
    assert place.rows(str(made["id"]))["slices"].to_list() == [["b", "a"]]
    assert made["slice_versions"] == {}


def test_counts_of_a_report_by_slice_are_those_of_all_signals(place):
    assert slices(place)._counts == counted(range(600))[:2]
    never = slices(place, event="cost_usd > 1")
    assert never.why == "not enough data: it is not known of any of 600 signals"
    assert "known" in never.lines()[1]


def test_a_score_is_not_searched_by_itself_where_nothing_else_is_said(place):
    found = discover(place, "confidence")
    assert found.counts["settled"] == 600
    assert "confidence" not in found.skipped


def test_a_target_that_no_suite_has_though_clw_toml_does_is_told_with_the_way_there(tmp_path):
    settings = SETTINGS + '[gates]\ntarget = "late"\n[evals]\nscorers = ["exact_match"]\n'
    made = Workspace.create(tmp_path / "w", settings=settings, key=b"k" * 32)
    (tmp_path / "s.jsonl").write_text(json.dumps({"id": "x", "input": "q", "expected": "a"}))
    freeze_suite(made, "main", tmp_path / "s.jsonl")
    with pytest.raises(SettingsError, match=r"no slice 'late' in the suites. clw.toml has one: .*signal_ids"):
        check(made)
