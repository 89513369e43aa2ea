"""The explorer on a workspace, without a browser: its answers, its code run again, its still picture."""

import gc
import json
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from html.parser import HTMLParser

import polars as pl
import pytest
import traitlets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clworkbench as clw
from clworkbench.errors import ExpressionError, LabelError, SettingsError
from clworkbench.loop.signals.explore import explore, find
from clworkbench.workspace import Workspace
from tests.loop.made_talks import HOSTILE, make_talks


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explore")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(folder / "config"))
        yield make_talks(folder / "w")


@pytest.fixture
def explorer(place):
    return explore(place)


def asked(explorer, **message) -> dict:
    """A request as the browser sends it, and the answer as JSON has it."""
    sent: list[dict] = []
    explorer.send = lambda content: sent.append(json.loads(json.dumps(content, allow_nan=False)))
    explorer._handle_custom_msg({"request": "r:1", **message}, [])
    assert [answer["request"] for answer in sent] == ["r:1"]
    return sent[0]


def numbers(frame: pl.DataFrame) -> list[int]:
    return [int(own.removeprefix("chat-")) for own in frame["source_id"]]


def test_a_look_holds_one_page_and_what_is_drawn(explorer):
    look = asked(explorer, kind="look", filters={"slice": "money"}, group_by="model", page=0)["look"]
    assert look["found"] == 20  # every third of 60
    assert len(look["rows"]) == 20
    assert look["rows"][0]["text"] == "charged twice 57"
    assert {bar["group"]: bar["n"] + bar["pending"] for bar in look["bars"]} == {"m<i>1</i>": 10, "m2": 10}
    assert sum(period["n"] for period in look["time"]) == 17  # without 0, 21 and 42, which are pending
    assert look["code"] == "clw.find(workspace, slice='money')"


def test_a_look_says_which_of_the_marked_are_still_found(explorer, place):
    ids = {own: each for each, own in place.signals().select("interaction_id", "source_id").rows()}
    marked = [ids["chat-4"], ids["chat-3"], "gone"]
    look = asked(explorer, kind="look", filters={"slice": "money"}, selected=marked)["look"]
    assert look["kept"] == [ids["chat-3"]]


def test_a_filter_that_cannot_be_used_is_answered_in_words(explorer):
    assert "Did you mean text?" in asked(explorer, kind="look", filters={"where": "txt = 'a'"})["error"]
    assert "is no table" in asked(explorer, kind="look", filters=["a"])["error"]
    assert "no column 'nope'" in asked(explorer, kind="look", filters={}, group_by="nope")["error"]
    assert "there are look, map, area, ready, ids, detail, save, pick, push" in asked(explorer, kind="drop")["error"]
    assert "no signal 'x'" in asked(explorer, kind="detail", id="x")["error"]


def test_what_is_no_request_is_not_answered(explorer):
    explorer.send = lambda *_: pytest.fail("answered")
    explorer._handle_custom_msg("text", [])
    explorer._handle_custom_msg({"kind": "look"}, [])


def test_a_detail_holds_tool_calls_feedback_and_the_turns_as_they_were_written(explorer, place):
    signal = find(place, "text LIKE '%twice 3 %'")["interaction_id"][0]
    detail = asked(explorer, kind="detail", id=signal)["detail"]
    assert [message["role"] for message in detail["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert detail["messages"][1]["calls"] == [{"name": "look_up", "arguments": '{"order": "<b>7</b>"}'}]
    assert detail["messages"][3]["text"] == f"answer 3 {HOSTILE}"
    assert detail["messages"][3]["answer"]
    assert [(each["name"], each["score"]) for each in detail["feedback"]] == [("thumbs", 1.0)]
    assert detail["feedback"][0]["comment"] == f"so so {HOSTILE}"
    assert detail["turns"].index(signal) == 1
    assert len(detail["turns"]) == 2
    assert detail["facts"]["outcome"] is True


def test_a_new_filter_lets_go_of_marks_that_it_does_not_find(explorer, place):
    ids = {own: each for each, own in place.signals().select("interaction_id", "source_id").rows()}
    explorer.selected_ids = [ids["chat-3"], ids["chat-4"]]
    explorer.filters = {"slice": "money"}
    assert explorer.selected == [ids["chat-3"]]
    assert numbers(explorer.rows) == [3]


def test_filters_set_from_a_cell_are_checked_and_a_wrong_one_changes_nothing(explorer):
    explorer.filters = {"slice": "money", "text": ""}
    assert explorer.filters == {"slice": "money"}
    with pytest.raises((ExpressionError, traitlets.TraitError), match="no filter 'colour'"):
        explorer.filters = {"colour": "red"}
    with pytest.raises((SettingsError, traitlets.TraitError), match="no slice 'honey'"):
        explorer.filters = {"slice": "honey"}
    assert explorer.filters == {"slice": "money"}


def ran(code: str) -> list[str]:
    names: dict[str, object] = {}
    exec(code, names)
    rows = names["rows"]
    assert isinstance(rows, pl.DataFrame)
    return rows["interaction_id"].to_list()


WORDS = st.sampled_from(["", "charged", "IS IT", "'", HOSTILE, "ß", "%", "_", "\\", "\n"])
STATES = st.fixed_dictionaries(
    {},
    optional={
        "slice": st.sampled_from(["", "money"]),
        "outcome": st.lists(st.sampled_from(["good", "bad", "pending"]), unique=True),
        "values": st.dictionaries(
            st.sampled_from(["model", "attributes.metadata.tenant.id", "feedback_names", "app"]),
            st.lists(st.sampled_from(["m2", "m<i>1</i>", "a", "thumbs", None, HOSTILE]), unique=True),
        ),
        "text": WORDS,
        "since": st.sampled_from(["", "2026-03-05"]),
        "until": st.sampled_from(["", "2026-03-12"]),
        "where": st.sampled_from(["", "n_feedback > 0 or text like '%9'", "text <> '''\n\"\"\"'"]),
    },
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(state=STATES, marks=st.lists(st.integers(0, 59), max_size=3, unique=True))
def test_code_gives_the_same_rows_when_it_is_run(explorer, place, state, marks):
    explorer.selected_ids = []
    explorer.filters = state
    explorer.selected_ids = [each for at, each in enumerate(explorer.rows["interaction_id"]) if at in marks]
    rows = explorer.rows
    assert ran(explorer.code()) == rows["interaction_id"].to_list()
    assert rows.columns == place.signals().columns
    assert set(explorer.selected) <= set(rows["interaction_id"])


def test_code_keeps_the_moment_up_to_which_something_was_known(place):
    moment = place.signals()["started_at"][30]
    explorer = explore(place, as_of=moment, event_time=True)
    assert explorer.rows.height == 31
    assert len(ran(explorer.code())) == 31


def test_a_moment_may_be_written_as_a_text_and_means_utc(place):
    explorer = explore(place, as_of="2026-03-10T19:00", event_time=True)
    assert explorer.rows["started_at"].max() == datetime(2026, 3, 10, 13, tzinfo=UTC)  # 28 times seven hours
    assert ran(explorer.code()) == explorer.rows["interaction_id"].to_list()
    assert "as_of='2026-03-10T19:00:00+00:00'" in explorer.code()


def test_a_closed_explorer_lets_go_of_its_signals(place):
    explorer = explore(place)
    held = weakref.ref(explorer._source)
    explorer.answer({"kind": "look"})
    explorer.close()
    del explorer
    gc.collect()
    assert held() is None


def test_saved_filters_are_a_slice_that_holds_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    place = make_talks(tmp_path / "w", 20)
    explorer = explore(place, "money", where="n_feedback > 0 or app = 'x'")
    explorer.save("told")
    assert find(Workspace(place.folder), slice="told")["source_id"].to_list() == explorer.rows["source_id"].to_list()
    explorer.filters = {"text": "9"}
    with pytest.raises(SettingsError, match="there is a slice 'told' already"):
        explorer.save("told")
    explorer.filters = {}
    with pytest.raises(ExpressionError, match="nothing is filtered"):
        explorer.save("all")


def test_nothing_marked_is_nothing_to_push(explorer, place):
    with pytest.raises(LabelError, match="no signal is marked"):
        explorer.push()


def test_marked_signals_are_what_annotators_would_be_asked(explorer):
    explorer.selected_ids = explorer.rows["interaction_id"][:2].to_list()
    assert explorer.push(dry_run=True).pushed == 2


def test_another_thread_may_ask(explorer, place):
    signal = place.signals()["interaction_id"][3]
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(explorer.answer, {"kind": "detail", "id": signal}).result()
    assert len(answer["detail"]["messages"]) == 4


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        self.seen.add(tag)

    def handle_data(self, data):
        self.said.append(data)


def test_the_still_picture_shows_hostile_text_as_it_stands_and_runs_none(place):
    explorer = explore(place, where="text like '%twice 3 %'", group_by="model", texts=True)
    still = Tags(explorer._repr_html_())
    assert still.seen <= {"div", "p", "b", "pre", "table", "thead", "tbody", "tr", "th", "td", "caption"}
    assert "1 of 60 signals" in still.said
    assert any("<script>alert('owned')</script>" in text for text in still.said)
    assert "m<i>1</i>" in still.said
    assert "good" in still.said
    assert "2026-03-03 06:00:00" in still.said


def test_the_still_picture_holds_no_texts_unless_asked(place):
    assert "charged" not in explore(place)._repr_html_()
    assert "charged" in explore(place, texts=True)._repr_html_()


def test_in_a_notebook_the_still_picture_is_an_output_of_its_own_and_follows(place, monkeypatch):
    shown: list[object] = []
    updated: list[object] = []

    class Shown:
        def update(self, what):
            updated.append(what)

    def display(what, **options):
        shown.append(what)
        return Shown() if options.get("display_id") else None

    monkeypatch.setattr("IPython.display.display", display)
    explorer = explore(place)
    explorer._ipython_display_()
    assert "application/vnd.jupyter.widget-view+json" in shown[0]
    assert "60 of 60 signals" in shown[1].data
    explorer.filters = {"slice": "money"}
    assert "20 of 60 signals" in updated[-1].data


def test_a_workspace_without_signals_is_explored_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    explorer = explore(make_talks(tmp_path / "w", 0))
    look = asked(explorer, kind="look", filters={"text": "a"})["look"]
    assert (look["found"], look["rows"], look["bars"], look["time"]) == (0, [], [], [])
    assert "0 of 0 signals" in explorer._repr_html_()
    assert explorer.rows.is_empty()


def test_the_public_names_are_these():
    assert (clw.explore, clw.find) == (explore, find)


@pytest.mark.parametrize(
    "argument", [{"slice": "honey"}, {"where": "txt = 1"}, {"group_by": "nope"}, {"group_by": "attributes.nope"}]
)
def test_an_explorer_does_not_begin_with_what_is_not_there(place, argument):
    with pytest.raises((SettingsError, ExpressionError), match="no "):
        explore(place, **argument)


def test_a_map_counts_every_signal_and_an_area_of_it_is_a_filter_with_code(explorer):
    explorer.answer({"kind": "map"})
    assert explorer._source.explored.mapped.is_made(30)
    chart = asked(explorer, kind="map", filters={"slice": "money"})["map"]
    assert (chart["placed"], chart["unplaced"], chart["model"]) == (20, 0, "hashed")
    assert sum(n + pending for _, _, n, pending, *_ in chart["cells"]) == 20
    row, column, n, pending, *_ = max(chart["cells"], key=lambda cell: cell[2] + cell[3])
    area = [chart["x"][column], chart["x"][column + 1], chart["y"][row], chart["y"][row + 1]]
    explorer.filters = {"slice": "money", "area": area}
    assert explorer.rows.height == n + pending
    assert f"slice='money', area=({area[0]}, " in explorer.code()
    assert ran(explorer.code()) == explorer.rows["interaction_id"].to_list()
    with pytest.raises(ExpressionError, match="no expression tells an area of the map"):
        explorer.save("there")


def test_a_map_of_too_few_texts_is_answered_in_words(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    explorer = explore(make_talks(tmp_path / "w", 2))
    explorer._source.explored.mapped.is_made(30)
    assert "2 different texts are too few" in asked(explorer, kind="map", filters={})["error"]


def test_a_text_is_found_the_same_once_the_texts_are_prepared(place):
    cold, warm = explore(place), explore(place)
    asked(warm, kind="ready")
    for text in ("TWICE 3", HOSTILE, "\u017f", "ß", "where", "'"):
        wanted = asked(cold, kind="look", filters={"text": text, "outcome": ["good"]})["look"]
        assert asked(warm, kind="look", filters={"text": text, "outcome": ["good"]})["look"] == wanted


def test_what_is_kept_by_clicks_stands_in_the_code_and_happens_again_without_harm(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    place = make_talks(tmp_path / "w", 20)
    explorer = explore(place, "money")
    (name,) = asked(explorer, kind="ids", filters={"text": "twice 12"})["ids"]
    said = asked(explorer, kind="save", name="told", filters={"text": "TWICE 1"})["save"]
    assert said.endswith("stands in clw.toml.")
    assert asked(explorer, kind="pick", ids=[name])["pick"] == "Candidates: 1 new, 0 known before."
    assert asked(explorer, kind="look", filters={"slice": "told"})["look"]["slices"] == ["money", "told"]
    code = explorer.code()
    assert "clw.save_slice(workspace, 'told', " in code
    assert f"clw.pick(workspace, ['{name}'])" in code
    before = (place.folder / "clw.toml").read_text(), Workspace(place.folder).read("candidates")
    assert ran(code) == explorer.rows["interaction_id"].to_list()
    assert (place.folder / "clw.toml").read_text() == before[0]
    assert Workspace(place.folder).read("candidates").equals(before[1])
    assert "clw.pick(" in explorer._repr_html_()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"kind": "save", "name": "money", "filters": {"text": "a"}}, "there is a slice 'money' already"),
        ({"kind": "save", "name": "a b", "filters": {"text": "a"}}, "a name holds letters, digits"),
        ({"kind": "save", "name": "", "filters": {"text": "a"}}, "a name holds letters, digits"),
        ({"kind": "save", "name": "all", "filters": {}}, "nothing is filtered"),
        ({"kind": "pick", "ids": []}, "no signal is marked"),
        ({"kind": "pick", "ids": ["nobody"]}, "no signal 'nobody'"),
        ({"kind": "push", "name": "none", "ids": ["nobody"]}, "no question set 'none'"),
        ({"kind": "ids", "filters": {"where": "txt = 1"}}, "Did you mean text?"),
    ],
    ids=["taken", "blank", "nameless", "unfiltered", "none", "unknown", "set", "where"],
)
def test_what_cannot_be_kept_is_answered_in_words_and_leaves_no_code(place, message, said):
    explorer = explore(place)
    assert said in asked(explorer, **message)["error"]
    assert "save_slice" not in explorer.code()
    assert "pick" not in explorer.code()


def test_what_is_seen_first_stays_in_the_widget_without_texts_unless_asked(place):
    bare, told = explore(place, "money").offers["first"], explore(place, "money", texts=True).offers["first"]
    assert (bare["found"], len(bare["rows"])) == (20, 20)
    assert "charged" not in json.dumps({**bare, "code": ""})
    assert "charged" in json.dumps(told["rows"])
