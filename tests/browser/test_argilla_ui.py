"""An annotator's day in a real browser: log in, correct one answer, rank another, submit; and hostile texts."""

import json
import secrets
from collections.abc import Iterator

import pytest

from clworkbench.loop import data
from clworkbench.loop.labels import ask
from clworkbench.loop.labels.answers import pull
from clworkbench.loop.signals.capture import ingest
from clworkbench.workspace import Workspace
from tests.audit.people import write_lines
from tests.browser.front_ends import ARGUMENTS, CHROMIUM

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

pytestmark = [
    pytest.mark.argilla,
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no browser at {CHROMIUM}"),
]

HOSTILE = (
    "<script>alert('script')</script><img src=x onerror=\"alert('image')\"><b>bold</b> **stars** "
    "[link](javascript:alert(1)) ![pixel](http://evil.example/p.png) <img src=http://evil.example/q.png> "
    "a & b &amp; &lt;i&gt; 1 < 2\n  indented \u202eesrever\u202c end"
)
SHOWN = HOSTILE.replace("\u202e", "⟨U+202E⟩").replace("\u202c", "⟨U+202C⟩")
SETTINGS = """\
format = 1
[policy]
redaction = "off"
[sources.app]
format = "openai"
[outcomes]
corrected = { negative = "edited", positive = "accepted" }
[labels.ask.ui-corrections]
asks = ["accept", "correct", "comment"]
team = "ui-team"
guidelines = "guide.md"
[labels.ask.ui-ranks]
asks = ["rank", "comment"]
team = "ui-team"
"""


def said(own, asked, answered, better=None):
    verdict = {"name": "edited" if better else "accepted", "origin": "operator", "at": "2026-03-02T10:00:00Z"}
    return {
        "id": own,
        "created": "2026-03-02T09:00:00Z",
        "model": "<i>model</i>",
        "messages": [
            {"role": "system", "content": HOSTILE},
            {"role": "user", "content": asked},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x": "<u>"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": HOSTILE},
            {"role": "assistant", "content": answered},
        ],
        "feedback": [verdict | ({"improvement": better} if better else {})],
    }


class Watched:
    """A page, and all that it ran or asked for that it should not have."""

    def __init__(self, page, url: str) -> None:
        self.page = page
        self.wrong: list[str] = []
        self.url = url
        self.elsewhere: set[str] = set()
        page.on("request", self.asked)
        page.on("requestfailed", self.failed)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("dialog", lambda dialog: (self.wrong.append(f"a text ran: {dialog.message}"), dialog.dismiss()))

    def asked(self, request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.elsewhere.add(request.url)

    def failed(self, request) -> None:
        if request.failure == "csp":  # the server had the browser refuse it, so that nothing went out
            self.elsewhere.discard(request.url)


@pytest.fixture
def pushed(argilla_server, monkeypatch, tmp_path) -> Workspace:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    workspace = Workspace.create(tmp_path / "w")
    (workspace.folder / "clw.toml").write_text(SETTINGS)
    (workspace.folder / "guide.md").write_text("# Be kind\n\nRead *all* of it.\n")
    turns = [said("corrected", HOSTILE, HOSTILE), said("ranked", "Which is it?", "The first.", "The <b>second</b>.")]
    write_lines(workspace.folder / "turns.jsonl", turns)
    ingest(workspace, workspace.folder / "turns.jsonl", "app")
    data.choose(workspace, 2)
    monkeypatch.setenv("ARGILLA_API_URL", argilla_server.url)
    monkeypatch.setenv("ARGILLA_API_KEY", argilla_server.api_key)
    ids = dict(workspace.signals().select("source_id", "interaction_id").iter_rows())
    assert ask.push(workspace, "ui-corrections", ids=[ids["corrected"]]).pushed == 1
    assert ask.push(workspace, "ui-ranks").pushed == 1
    return workspace


@pytest.fixture
def nora(pushed, argilla_server) -> Iterator[Watched]:
    """The page of an annotator who has logged in."""
    account = ask.add_annotator(pushed, f"nora-{secrets.token_hex(4)}")
    with (
        playwright.sync_playwright() as drive,
        drive.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS) as browser,
    ):
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(30_000)
        watched = Watched(page, argilla_server.url)
        page.goto(f"{argilla_server.url}/sign-in")
        page.locator("input[type=text]").fill(account.name)
        page.locator("input[type=password]").fill(account.password)
        page.keyboard.press("Enter")
        expect(page.get_by_text("ui-corrections")).to_be_visible()
        yield watched


def opened(nora: Watched, name: str) -> None:
    nora.page.goto(f"{nora.url}/datasets")
    nora.page.get_by_text(name).first.click()
    expect(nora.page.get_by_text("Conversation", exact=True)).to_be_visible()


def submitted(page) -> None:
    with page.expect_response(lambda response: "/responses" in response.url) as found:
        page.get_by_role("button", name="Submit").click()
    assert found.value.status in (200, 201), json.dumps(found.value.json())


def test_an_annotator_corrects_one_answer_and_ranks_another_and_both_come_back(nora, pushed, tmp_path):
    page = nora.page
    opened(nora, "ui-corrections")
    shown = page.locator(".chat__bubble").all_inner_texts()
    assert shown == [SHOWN, SHOWN, '→ calls look({"x": "<u>"})', SHOWN]
    assert page.locator(".chat__role").all_inner_texts() == ["system", "user", "assistant", "result of look"]
    assert page.locator(".text_field_component .content-area > div").all_inner_texts() == [SHOWN]
    assert page.locator(".chat img, .chat script, .chat b, .content-area img").count() == 0
    page.screenshot(path=tmp_path / "correcting.png")
    better = page.locator("[contenteditable=true]").first
    expect(better).to_have_text(HOSTILE.replace("\u202e", "").replace("\u202c", ""), use_inner_text=True)
    better.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("It is <b>better</b> now.")
    page.get_by_text("Reject", exact=True).click()
    submitted(page)

    opened(nora, "ui-ranks")
    texts = page.locator(".text_field_component .content-area > div").all_inner_texts()
    assert sorted(texts) == ["The <b>second</b>.", "The first."]
    best = texts.index("The <b>second</b>.") + 1
    for place, number in enumerate((best, 3 - best)):
        answer = page.locator(f"#answer_{number}-span")
        answer.drag_to(page.locator(".draggable__slot-box").nth(place))
    page.screenshot(path=tmp_path / "ranking.png")
    submitted(page)
    assert (nora.wrong, nora.elsewhere) == ([], set())

    assert pull(pushed).new > 0
    ids = dict(pushed.signals().select("source_id", "interaction_id").iter_rows())
    labels = {row["question"]: row for row in pushed.read("labels").iter_rows(named=True)}
    assert labels["answer"]["value"] == "reject"
    assert labels["improvement"]["interaction_id"] == ids["corrected"]
    assert labels["improvement"]["improvement"][0]["content"] == "It is <b>better</b> now."
    assert labels["improvement"]["equals_suggestion"] is False
    assert labels["ranking"]["interaction_id"] == ids["ranked"]
    assert json.loads(labels["ranking"]["value"]) == [["improvement"], [ids["ranked"]]]


def test_whatever_a_page_shows_of_a_record_runs_nothing(nora):
    page = nora.page
    opened(nora, "ui-corrections")
    page.get_by_text("Guidelines", exact=True).first.click()
    expect(page.get_by_role("heading", name="Be kind")).to_be_visible()
    page.locator(".record-menu button").first.click()
    page.get_by_text("View metadata").first.click()
    page.wait_for_timeout(300)
    page.goto(f"{page.url.split('?')[0]}?_page=1&_search=script")
    expect(page.get_by_text("Conversation", exact=True)).to_be_visible()
    assert (nora.wrong, nora.elsewhere) == ([], set())
