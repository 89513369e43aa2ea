"""The explorer's script in a bare page that a real explorer answers: what happens between a click and its answer."""

import json
from collections.abc import Callable, Iterator

import pytest

from clworkbench.display.explorer.widget import Explorer
from clworkbench.loop.signals.explore import explore
from tests.browser.front_ends import ARGUMENTS, CHROMIUM
from tests.loop.made_talks import make_talks

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}"),
]

MODEL = """async ({ script, state }) => {
    const heard = {};
    const held = [];
    const emit = (name, ...said) => (heard[name] ?? []).slice().forEach((listener) => listener(...said));
    window.kernel = {
        holds: false,
        dead: false,
        release: () => { window.kernel.holds = false; while (held.length) held.shift()(); },
        set: (name, value) => { state[name] = value; emit(`change:${name}`); },
        get: (name) => state[name],
    };
    const model = {
        get: (name) => state[name],
        set: (name, value) => {
            const before = JSON.stringify(state[name]);
            state[name] = value;
            if (JSON.stringify(value) !== before) emit(`change:${name}`);
        },
        save_changes: () => {
            const { filters, group_by, selected_ids } = state;
            window.told(JSON.stringify({ filters, group_by, selected_ids }));
        },
        on: (name, listener) => { (heard[name] ??= []).push(listener); },
        off: (name, listener) => { heard[name] = (heard[name] ?? []).filter((each) => each !== listener); },
        send: async (message) => {
            if (window.kernel.dead) return;
            if (window.kernel.holds) await new Promise((go) => held.push(go));
            emit("msg:custom", JSON.parse(await window.asked(JSON.stringify(message))));
        },
    };
    const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    (await import(url)).default.render({ model, el: document.body });
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLW_CONFIG", str(folder / "config"))
        yield make_talks(folder / "w")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with (
        playwright.sync_playwright() as drive,
        drive.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as opened,
    ):
        yield opened


@pytest.fixture
def explorer(place) -> Explorer:
    return explore(place, group_by="model")


@pytest.fixture
def page(browser, explorer):
    """A page that shows the explorer, told of nothing wrong at its end."""
    with browser.new_page(viewport={"width": 1200, "height": 1000}) as shown:
        wrong: list[str] = []
        shown.on("pageerror", lambda error: wrong.append(str(error)))
        shown.clock.install()
        shown.expose_function("asked", answered(explorer))
        shown.expose_function("told", lambda state: explorer.set_state(json.loads(state)))
        names = ("filters", "group_by", "selected_ids", "offers")
        state = {name: getattr(explorer, name) for name in names}
        shown.evaluate(MODEL, {"script": explorer._esm, "state": state})
        expect(status(shown)).to_have_text("60 of 60 signals.")
        expect(shown.locator(".clw-rows")).to_have_attribute("aria-busy", "false")
        yield shown
        assert wrong == []


def answered(explorer: Explorer) -> Callable[[str], str]:
    def answer(said: str) -> str:
        message = json.loads(said)
        return json.dumps({"request": message["request"], **explorer.answer(message)}, allow_nan=False)

    return answer


def status(page):
    return page.get_by_test_id("clw-status")


def test_bars_by_another_column_before_a_filter_is_answered_lose_no_filter(page, explorer):
    page.evaluate("() => { window.kernel.holds = true; }")
    page.get_by_test_id("clw-slice").select_option("money")
    page.get_by_test_id("clw-group").select_option("outcome_rule")
    page.evaluate("() => window.kernel.release()")
    expect(status(page)).to_have_text("20 of 60 signals.")
    expect(page.get_by_test_id("clw-bars")).to_contain_text("Good outcomes by outcome_rule")
    assert (explorer.filters, explorer.group_by) == ({"slice": "money"}, "outcome_rule")


def test_a_mark_before_a_filter_is_answered_keeps_the_kernel_told_of_the_filter(page, explorer):
    marked = explorer._source.rows({}, ())["interaction_id"][57]
    page.evaluate("() => { window.kernel.holds = true; }")
    page.get_by_test_id("clw-slice").select_option("money")
    page.locator(f"tr[data-id='{marked}'] input").click()
    page.evaluate("() => window.kernel.release()")
    expect(status(page)).to_have_text("20 of 60 signals, 1 marked.")
    assert (explorer.filters, explorer.selected) == ({"slice": "money"}, [marked])


def test_marks_that_a_cell_sets_are_the_same_in_the_page_and_in_the_kernel_once_it_says_so(page, explorer):
    page.get_by_test_id("clw-slice").select_option("money")
    expect(status(page)).to_have_text("20 of 60 signals.")
    page.evaluate("() => window.kernel.set('selected_ids', ['gone'])")
    page.get_by_test_id("clw-sort-model").click()
    expect(status(page)).to_contain_text("no longer marked")
    assert page.evaluate("() => window.kernel.get('selected_ids')") == explorer.selected == []


def test_a_kernel_that_does_not_answer_is_told_and_no_longer_once_it_does(page):
    late = page.get_by_test_id("clw-late")
    page.evaluate("() => { window.kernel.holds = true; }")
    page.get_by_test_id("clw-next").click()
    expect(late).to_be_hidden()
    page.clock.fast_forward(6000)
    expect(late).to_contain_text("No answer for 5 s")
    page.evaluate("() => window.kernel.release()")
    expect(late).to_be_hidden()


@pytest.mark.parametrize("name", ["clw-sort-model", "clw-next", "clw-bar"])
def test_the_focus_stays_where_it_was_when_the_answer_is_drawn(page, name):
    page.get_by_test_id(name).first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".clw-rows")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_test_id(name).first).to_be_focused()


def test_a_filter_that_is_taken_away_by_keys_leaves_the_focus_in_the_explorer(page):
    page.get_by_test_id("clw-values").select_option(label="m2")
    page.get_by_test_id("clw-chip").focus()
    page.keyboard.press("Enter")
    expect(status(page)).to_have_text("60 of 60 signals.")
    expect(page.get_by_test_id("clw-row").first).to_be_focused()


def test_an_area_of_the_map_is_named_by_the_words_that_tell_it_apart(page, explorer):
    explorer._source.explored.mapped.is_made(30)
    page.get_by_test_id("clw-map-box").locator("summary").click()
    expect(page.get_by_test_id("clw-map-said")).to_contain_text("60 signals by what the user said last")
    points = explorer._source.points({}).frame
    told = explorer._source.points({"slice": "money"}).frame
    middle = told.select("x", "y").median().row(0)
    width, height = (points[name].max() - points[name].min() for name in ("x", "y"))
    page.get_by_test_id("clw-map").scroll_into_view_if_needed()
    box = page.get_by_test_id("clw-map").bounding_box()
    across = (middle[0] - points["x"].min()) / width * box["width"] + box["x"]
    up = box["y"] + box["height"] - (middle[1] - points["y"].min()) / height * box["height"]
    left, right, top, bottom = (box["x"] + 2, box["x"] + box["width"] - 2, box["y"] + 2, box["y"] + box["height"] - 2)
    page.mouse.move(max(left, across - 60), max(top, up - 60))
    page.mouse.down()
    page.mouse.move(min(right, across + 60), min(bottom, up + 60), steps=3)
    page.mouse.up()
    expect(page.get_by_test_id("clw-map-telling")).to_contain_text("charged")
    page.get_by_test_id("clw-area").click()
    expect(page.get_by_test_id("clw-map-telling")).to_have_text("")
