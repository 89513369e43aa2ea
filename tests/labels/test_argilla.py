"""The real server wherever it can show it; a few lines of `http.server` for what stands at a wrong address."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from clworkbench.errors import LabelError
from clworkbench.labels.argilla import Address, address, connect
from clworkbench.labels.assignment import annotator
from clworkbench.labels.cards import Card, Suggestion
from clworkbench.labels.literal import escaped, wide_as_entities
from clworkbench.labels.questions import form
from clworkbench.labels.rest import FIRST_WAIT_S, TRIES
from clworkbench.settings import ASKS, QuestionSet
from tests.browser.front_ends import free_port

ALL = QuestionSet("every-ask", asks=ASKS, options=("a", "b"), span_labels=("wrong",), team="every-team", overlap=2)
HOSTILE = "<script>alert(1)</script> & \u202e \x00 \ud83d"


def card(own, **more):
    fields = {
        "conversation": [{"role": "user", "content": "why?"}],
        "answer": "because",
        "answer_1": "one",
        "answer_2": "two",
    }
    about = {"reasons": ["failure"], "slice": ["x", "y"]}
    plain = Card(own, None, gold=False, options=(), fields=fields, metadata=about, suggestions=())
    return replace(plain, **more)


# where it is


def test_a_teams_argilla_is_used_where_both_variables_name_one(tmp_path):
    given = {"ARGILLA_API_URL": "https://argilla.example.org/", "ARGILLA_API_KEY": " secret "}
    found = address(tmp_path, given)
    assert (found.url, found.api_key, found.embedded) == ("https://argilla.example.org", "secret", False)
    assert "secret" not in repr(found)


@pytest.mark.parametrize("name", ["ARGILLA_API_URL", "ARGILLA_API_KEY"])
def test_one_of_the_two_alone_is_refused(tmp_path, name):
    with pytest.raises(LabelError, match=f"{name} is set and ARGILLA_API_.* is not"):
        address(tmp_path, {name: "http://x"})


def test_without_a_server_the_words_name_the_command_that_starts_one(tmp_path):
    with pytest.raises(LabelError, match="clw label serve"):
        address(tmp_path, {})


@pytest.mark.parametrize("url", ["localhost:6900", "ftp://host", "http://", "argilla.example.org"])
def test_what_is_no_address_is_refused_in_words(tmp_path, url):
    with pytest.raises(LabelError, match=r"ARGILLA_API_URL.*\nIt looks like https://"):
        address(tmp_path, {"ARGILLA_API_URL": url, "ARGILLA_API_KEY": "k"})


# what stands at a wrong address


@contextmanager
def answering(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers in turn, the last again and again; its address, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, body = answers[min(len(asked), len(answers) - 1)]
            asked.append(f"{self.command} {self.path}")
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def said(body: object) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(body).encode()


VERSION = said({"version": "2.8.0"})
OWNER = said({"id": "u", "username": "olga", "role": "owner"})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {}, b"<html>Welcome</html>"), "it answers, but not as Argilla does"),
        ((404, {}, b"<html>Not here</html>"), "no Argilla there, but another web page"),
        (said(["something"]), "it answers, but not as Argilla does"),
        (said({"version": "1.29.1"}), r"Argilla 1.29.1 is there; this works with 2.4 to 2.8"),
        (said({"version": "2.3.0"}), r"Argilla 2.3.0 is there"),
        (said({"version": "3.0.0"}), r"Argilla 3.0.0 is there"),
        ((301, {"location": "https://u:pw@other/x?token=t"}, b""), r"it sends on to https://other/x"),
        ((500, {}, b"boom"), r"it fails \(HTTP 500\)"),
    ],
    ids=["a page", "a page that is missing", "other JSON", "too old", "no chat", "too new", "redirect", "broken"],
)
def test_what_else_answers_is_told_and_where_to_look(answer, words):
    with answering(answer) as (url, _), pytest.raises(LabelError, match=words) as told:
        connect(Address(url, "the-key"))
    assert "the-key" not in str(told.value)
    assert "pw" not in str(told.value)
    assert "\n" in str(told.value)


def test_nobody_there_is_told_at_once():
    with pytest.raises(LabelError, match=r"nobody answers there .*\nIs it running\?"):
        connect(Address(f"http://127.0.0.1:{free_port()}", "k", embedded=True))


def test_a_busy_server_is_asked_again_and_then_answers(monkeypatch):
    monkeypatch.setattr("clworkbench.labels.rest.FIRST_WAIT_S", 0.001)
    busy = (503, {}, b"")
    with (
        answering(VERSION, OWNER, busy, busy, said({"items": []})) as (url, asked),
        connect(Address(url, "k")) as found,
    ):
        assert found.team("x") is None
    assert asked[-3:] == ["GET /api/v1/me/workspaces"] * 3


def test_a_server_that_stays_busy_is_given_up_in_words(monkeypatch):
    monkeypatch.setattr("clworkbench.labels.rest.FIRST_WAIT_S", 0.001)
    with (
        answering(VERSION, OWNER, (502, {}, b"")) as (url, asked),
        connect(Address(url, "k")) as found,
        pytest.raises(LabelError, match=r"it fails \(HTTP 502\).*\nIts log tells why"),
    ):
        found.team("x")
    assert len(asked) == 2 + TRIES


def test_all_waits_together_are_bounded():
    assert sum(FIRST_WAIT_S * 2**turn for turn in range(TRIES - 1)) == pytest.approx(7.75)


def test_what_makes_something_is_not_asked_for_twice(monkeypatch):
    monkeypatch.setattr("clworkbench.labels.rest.FIRST_WAIT_S", 0.001)
    with (
        answering(VERSION, OWNER, (500, {}, b"")) as (url, asked),
        connect(Address(url, "k")) as found,
        pytest.raises(LabelError),
    ):
        found.add_annotator("ann", "password")
    assert asked[2:] == ["POST /api/v1/users"]


def test_records_that_are_too_many_at_once_go_in_smaller_portions():
    full = (413, {}, b"")
    dataset_answers = (VERSION, OWNER, full, full, said({}), said({}), said({}))
    with answering(*dataset_answers) as (url, asked), connect(Address(url, "k")) as found:
        found.push(_nowhere(), [card(f"i{n}") for n in range(4)])
    assert len(asked) == 2 + 5  # 4 refused, 2 refused, then 1, 1 and 2


def test_a_record_that_is_too_large_alone_is_named():
    with (
        answering(VERSION, OWNER, (413, {}, b"")) as (url, _),
        connect(Address(url, "k")) as found,
        pytest.raises(LabelError, match=r"the record of i7 \([\d,]+ bytes\) is more than that server takes"),
    ):
        found.push(_nowhere(), [card("i7")])


def test_what_a_server_says_of_a_bad_value_is_told_without_the_value():
    body = {
        "detail": {"code": "x", "params": {"errors": [{"loc": ["body", "items"], "msg": "too short", "input": "TEXT"}]}}
    }
    refused = (422, {}, json.dumps(body).encode())
    with (
        answering(VERSION, OWNER, refused) as (url, _),
        connect(Address(url, "k")) as found,
        pytest.raises(LabelError, match=r"HTTP 422\): body.items: too short") as told,
    ):
        found.team("x")
    assert "TEXT" not in str(told.value)


def _nowhere():
    from clworkbench.labels.argilla import Dataset

    return Dataset("d", "s", "t", {}, 0, None, 1, is_published=True)


# the real server


@pytest.fixture
def argilla(argilla_server):
    with connect(Address(argilla_server.url, argilla_server.api_key, embedded=True)) as found:
        yield found


@pytest.mark.argilla
def test_the_real_server_tells_its_version_and_whose_key_it_is(argilla, argilla_server):
    assert (argilla.version, argilla.username, argilla.role) == ("2.8.0", argilla_server.username, "owner")
    assert argilla_server.api_key not in repr(argilla)


@pytest.mark.argilla
def test_a_wrong_key_is_refused_in_words(argilla_server):
    with pytest.raises(LabelError, match=r"the key is refused.\nCheck ARGILLA_API_KEY") as told:
        connect(Address(argilla_server.url, "not-the-key"))
    assert "not-the-key" not in str(told.value)


@pytest.mark.argilla
def test_an_annotator_gets_an_account_once_and_their_key_is_not_taken(argilla, argilla_server, tmp_path):
    made = annotator(argilla, "nora@example.com", "nora-team", tmp_path / "annotators")
    assert (made.made, made.joined) == (True, True)
    assert made.password_file.read_text().strip() == made.password
    assert made.password_file.stat().st_mode & 0o777 == 0o600
    assert made.password not in repr(made)
    assert made.password_file.parent.parent.stat().st_mode & 0o777 == 0o700
    again = annotator(argilla, "nora@example.com", "nora-team", tmp_path / "annotators")
    assert (again.made, again.joined, again.password) == (False, False, None)
    other = annotator(argilla, "nora@example.com", "another-team", tmp_path / "annotators")
    assert (other.made, other.joined) == (False, True)
    body = {"username": "nora@example.com", "password": made.password}
    token = httpx.post(f"{argilla_server.url}/api/v1/token", data=body, trust_env=False).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    key = httpx.get(f"{argilla_server.url}/api/v1/me", headers=bearer, trust_env=False).json()["api_key"]
    with pytest.raises(LabelError, match=r"the key is that of nora@example.com, an annotator"):
        connect(Address(argilla_server.url, key))


@pytest.mark.argilla
def test_two_who_make_the_same_account_at_once_leave_the_password_that_opens_it(argilla, argilla_server, tmp_path):
    def make(_: int) -> bool:
        return annotator(argilla, "twin", "twin-team", tmp_path / "argilla" / "annotators").made

    argilla.make_team("twin-team")
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(make, range(2))) == [False, True]
    body = {"username": "twin", "password": (tmp_path / "argilla" / "annotators" / "twin").read_text().strip()}
    assert httpx.post(f"{argilla_server.url}/api/v1/token", data=body, trust_env=False).status_code == 201
    assert (tmp_path / "argilla").stat().st_mode & 0o777 == 0o700


def test_an_account_that_another_machine_makes_meanwhile_leaves_no_password_that_opens_nothing(tmp_path):
    nobody, twin = said({"items": []}), said({"items": [{"id": "u", "username": "twin", "role": "annotator"}]})
    team = said({"items": [{"id": "t", "name": "team"}]})
    with (
        answering(VERSION, OWNER, team, nobody, (409, {}, b'{"detail": "exists"}'), twin, twin) as (url, _),
        connect(Address(url, "k")) as found,
    ):
        made = annotator(found, "twin", "team", tmp_path / "annotators")
    assert (made.made, made.password, made.password_file) == (False, None, None)
    assert list((tmp_path / "annotators").iterdir()) == []


@pytest.mark.argilla
@pytest.mark.parametrize("name", ["", "../etc", "a b", "-x", "n" * 81])
def test_what_cannot_be_a_username_is_refused(argilla, tmp_path, name):
    with pytest.raises(LabelError, match="cannot be a username"):
        annotator(argilla, name, "t", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.argilla
def test_the_data_set_that_a_form_describes_is_made_once_and_found_again(argilla):
    wanted = form(ALL, n_answers=2, guidelines="# Read this")
    made = argilla.ensure(wanted, ALL.team)
    assert argilla.ensure(wanted, ALL.team) == made == argilla.find(ALL.name, ALL.team)
    assert list(made.questions) == [each["name"] for each in wanted.questions]
    assert (made.n_answers, made.guidelines, made.overlap) == (2, "# Read this", 2)
    assert argilla.find("no-such", ALL.team) is argilla.find(ALL.name, "no-such") is None


@pytest.mark.argilla
def test_guidelines_and_overlap_are_brought_up_to_date(argilla):
    asked = QuestionSet("changing", team="changing-team")
    argilla.ensure(form(asked), asked.team)
    found = argilla.ensure(form(QuestionSet("changing", overlap=3), guidelines="New."), asked.team)
    assert (found.overlap, found.guidelines) == (3, "New.")
    assert argilla.ensure(form(asked), asked.team).guidelines is None


@pytest.mark.argilla
def test_other_questions_under_the_same_name_are_told_with_the_way_out(argilla):
    asked = QuestionSet("taken", team="taken-team", asks=("rate",), ratings=3)
    argilla.ensure(form(asked), asked.team)
    with pytest.raises(LabelError, match=r"asks something else than clw.toml") as told:
        argilla.ensure(form(QuestionSet("taken", asks=("rate", "comment"), ratings=4)), asked.team)
    assert "question rating: options is 1, 2, 3 there, and 1, 2, 3, 4 in clw.toml" in str(told.value)
    assert "question comment: not there" in str(told.value)
    assert "[labels.ask.taken-2]" in str(told.value)


@pytest.mark.argilla
def test_a_data_set_that_a_killed_push_left_half_made_is_made_anew(argilla, monkeypatch):
    monkeypatch.setattr("clworkbench.labels.argilla.LEFT_S", 0.6)
    team = argilla.make_team("half-team")
    half = argilla.http.post("/api/v1/datasets", json={"name": "half", "workspace_id": team}).json()
    argilla.http.post(f"/api/v1/datasets/{half['id']}/fields", json=dict(form(QuestionSet("half")).fields[0]))
    made = argilla.ensure(form(QuestionSet("half")), "half-team")
    assert made.is_published
    assert made.id != half["id"]


@pytest.mark.argilla
@pytest.mark.parametrize("theirs", ["a field", "guidelines"])
def test_somebody_elses_unpublished_data_set_of_the_name_is_kept_and_told(argilla, monkeypatch, theirs):
    monkeypatch.setattr("clworkbench.labels.argilla.LEFT_S", 0.0)
    name, team = f"draft-{len(theirs)}", argilla.make_team("draft-team")
    body = {"name": name, "workspace_id": team} | ({"guidelines": "Mine."} if theirs == "guidelines" else {})
    draft = argilla.http.post("/api/v1/datasets", json=body).json()
    if theirs == "a field":
        field = {"name": "x", "title": "x", "required": True, "settings": {"type": "text", "use_markdown": False}}
        argilla.http.post(f"/api/v1/datasets/{draft['id']}/fields", json=field)
    with pytest.raises(LabelError, match=rf"{name!r} of draft-team is there that nobody has published.*\nPublish or"):
        argilla.ensure(form(QuestionSet(name)), "draft-team")
    assert argilla.find(name, "draft-team").id == draft["id"]


@pytest.mark.argilla
def test_a_data_set_that_another_push_is_making_is_waited_for(argilla, argilla_server, monkeypatch):
    monkeypatch.setattr("clworkbench.labels.argilla.LEFT_S", 2.0)
    monkeypatch.setattr("clworkbench.labels.argilla.LOOK_S", 0.05)
    wanted, team = form(QuestionSet("slow")), argilla.make_team("slow-team")
    made = argilla.http.post("/api/v1/datasets", json={"name": "slow", "workspace_id": team}).json()
    with connect(Address(argilla_server.url, argilla_server.api_key)) as other, ThreadPoolExecutor(1) as pool:
        found = pool.submit(other.ensure, wanted, "slow-team")
        for part, rows in (("fields", wanted.fields), ("questions", wanted.questions)):
            for row in rows:
                time.sleep(0.1)
                argilla.http.post(f"/api/v1/datasets/{made['id']}/{part}", json=row)
        argilla.http.put(f"/api/v1/datasets/{made['id']}/publish")
        assert found.result().id == made["id"]


@pytest.mark.argilla
def test_two_that_make_the_same_data_set_at_once_get_one(argilla_server):
    def make(_):
        with connect(Address(argilla_server.url, argilla_server.api_key)) as found:
            return found.ensure(form(QuestionSet("twice")), "twice-team").id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(make, range(4)))) == 1


@pytest.mark.argilla
def test_a_data_set_that_is_refused_leaves_nothing_behind(argilla):
    asked = QuestionSet("refused", asks=("choose",), options=("x" * 300, "y"), team="refused-team")
    with pytest.raises(LabelError, match=r"questions is refused \(HTTP 422\).*String should have at most 200"):
        argilla.ensure(form(asked), asked.team)
    assert argilla.find("refused", asked.team) is None


@pytest.mark.argilla
def test_records_are_written_once_whatever_stands_in_them_found_by_their_own_id_and_removed(argilla):
    asked = QuestionSet("records", asks=("correct", "rank"), team="records-team")
    dataset = argilla.ensure(form(asked, n_answers=2), asked.team)
    suggested = (Suggestion("improvement", HOSTILE.replace("\x00", "").replace("\ud83d", ""), "m", 0.5),)
    pushed = [card(f"i{n:03}") for n in range(450)]
    hostile = pushed[7].fields | {"answer": "&lt;script>"}
    pushed[7] = card("i007", fields=hostile, metadata={"source": "<b>"}, suggestions=suggested)
    told = []
    for _ in range(2):
        argilla.push(dataset, pushed, lambda done, total, _: told.append((done, total)))
    assert told == [(200, 450), (400, 450), (450, 450)] * 2
    there = list(argilla.records(dataset, [each.interaction_id for each in pushed] + ["never-pushed"]))
    assert sorted(each.external_id for each in there) == [each.interaction_id for each in pushed]
    assert argilla.http.get(f"/api/v1/datasets/{dataset.id}/progress").json()["total"] == 450
    argilla.remove(dataset, [each.id for each in there if each.external_id != "i007"])
    (left,) = argilla.records(dataset, [each.interaction_id for each in pushed])
    kept = argilla.http.get(f"/api/v1/records/{left.id}").json()
    assert kept["fields"]["answer"] == "&lt;script>"
    suggestion = argilla.http.get(f"/api/v1/records/{left.id}/suggestions").json()["items"][0]
    assert (suggestion["value"], suggestion["agent"], suggestion["score"]) == (suggested[0].value, "m", 0.5)


@pytest.mark.argilla
def test_a_span_at_the_end_of_a_text_with_emoji_is_taken_though_the_page_counts_them_twice(argilla):
    asked = QuestionSet("emoji", asks=("spans",), span_labels=("wrong",), team="emoji-team")
    dataset = argilla.ensure(form(asked), asked.team)
    text = "👍👍👍👍 no"
    shown = wide_as_entities(escaped(text))
    argilla.push(dataset, [card("e", fields={"conversation": [{"role": "user", "content": "?"}], "answer": shown})])
    (there,) = argilla.records(dataset, ["e"])
    end = len(text.encode("utf-16-le")) // 2
    body = {"status": "submitted", "values": {"spans": {"value": [{"label": "wrong", "start": end - 2, "end": end}]}}}
    assert argilla.http.post(f"/api/v1/records/{there.id}/responses", json=body).status_code == 201
