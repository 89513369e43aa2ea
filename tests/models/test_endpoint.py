"""Chat endpoints: asked over a real socket of a server that misbehaves on purpose."""

import threading
import time

import pytest

from clworkbench.errors import EndpointError, SettingsError
from clworkbench.models import endpoint as module
from clworkbench.models import wire
from clworkbench.models.endpoint import Endpoint, Failed, Reply
from clworkbench.settings import EndpointSettings, parse_settings
from tests.chat_server import Answer, chat_server, failing, nobody_there, said

ASKED = [{"role": "user", "content": "Where is my card?"}]
KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.01)


def endpoint(url, environ=None, **settings):
    return Endpoint(EndpointSettings(url=url, model="large-1", **settings), environ=environ or {})


def ask(url, environ=None, **settings):
    return endpoint(url, environ, **settings).chat(ASKED, max_new_tokens=7)


def test_a_reply_holds_what_was_said_its_tokens_its_price_and_how_long_it_took():
    with chat_server(lambda *_: said("card_arrival", prompt=1000, completion=200)) as server:
        reply = ask(server.url, usd_per_million_prompt=2.0, usd_per_million_completion=10.0)
    assert (reply.text, reply.finish_reason, reply.tool_calls) == ("card_arrival", "stop", ())
    assert (reply.prompt_tokens, reply.completion_tokens) == (1000, 200)
    assert reply.cost_usd == pytest.approx(1000 * 2e-6 + 200 * 1e-5)
    assert 0 < reply.latency_ms < 60_000
    assert server.paths == ["/v1/chat/completions"]
    assert server.requests == [
        {
            "model": "large-1",
            "messages": [{"role": "user", "content": "Where is my card?"}],
            "max_tokens": 7,
            "temperature": 0.0,
        }
    ]


def test_without_prices_nobody_knows_what_it_cost_and_a_price_of_0_is_one():
    with chat_server(lambda *_: said("yes")) as server:
        assert ask(server.url).cost_usd is None
        assert ask(server.url, usd_per_million_prompt=0, usd_per_million_completion=0).cost_usd == 0


def test_calls_of_tools_come_back_with_their_arguments_as_json():
    call = {"id": "c1", "type": "function", "function": {"name": "track", "arguments": '{"card": 4}'}}
    tools = '[{"name": "track", "parameters": {"type": "object"}}]'
    with chat_server(lambda *_: said(None, tool_calls=[call], finish="tool_calls")) as server:
        reply = endpoint(server.url).chat(ASKED, max_new_tokens=7, tools=tools, seed=3, temperature=0.5)
    assert reply.tool_calls == ({"id": "c1", "name": "track", "arguments": '{"card": 4}'},)
    assert (reply.text, reply.finish_reason) == ("", "tool_calls")
    asked = server.requests[0]
    assert asked["tools"] == [{"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}}]
    assert (asked["seed"], asked["temperature"]) == (3, 0.5)


def test_the_key_comes_from_the_environment_and_stands_nowhere_else():
    with chat_server(lambda *_: failing(401, f"Incorrect API key provided: {KEY}")) as server:
        asked = endpoint(server.url, {"MODEL_KEY": f" {KEY}\n"}, key_env="MODEL_KEY")
        with pytest.raises(EndpointError, match=r"401: the key is refused. Check MODEL_KEY\.") as refused:
            asked.chat(ASKED, max_new_tokens=7)
    assert server.keys == [f"Bearer {KEY}"]
    assert KEY not in repr(asked) + str(refused.value)


@pytest.mark.parametrize(
    ("held", "says"), [("", "MODEL_KEY is not set"), ("sk-1\nsk-2", "other characters than a key")]
)
def test_a_key_that_is_missing_or_no_key_is_told_before_anything_is_sent(held, says):
    with pytest.raises(EndpointError, match=says) as refused:
        endpoint("https://api.example.org/v1", {"MODEL_KEY": held}, key_env="MODEL_KEY")
    assert "sk-1" not in str(refused.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 529])
def test_a_busy_endpoint_is_asked_again(status):
    with chat_server(lambda n, _: failing(status) if n < 2 else said("at last")) as server:
        assert ask(server.url).text == "at last"
    assert len(server.requests) == 3


def test_as_many_retries_as_the_settings_say_and_then_the_status_and_reason():
    with (
        chat_server(lambda *_: failing(503, "overloaded", code="busy")) as server,
        pytest.raises(EndpointError, match=r"it answered 503 \(busy: overloaded\)"),
    ):
        ask(server.url, retries=2)
    assert len(server.requests) == 3


def test_an_endpoint_that_says_how_long_to_wait_is_left_alone_so_long():
    with chat_server(lambda n, _: failing(429, Retry_After="1") if n == 0 else said("now")) as server:
        assert ask(server.url).text == "now"
    assert server.at[1] - server.at[0] >= 1.0


def test_an_hour_of_patience_is_not_waited_for():
    with (
        chat_server(lambda *_: failing(429, "limit", Retry_After="3600")) as server,
        pytest.raises(EndpointError, match=r"429 \(limit\); it asks to wait 3,600 s"),
    ):
        ask(server.url)
    assert len(server.requests) == 1


def test_a_date_to_wait_for_is_read_too():
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    with chat_server(lambda n, _: failing(429, Retry_After=past) if n == 0 else said("now")) as server:
        assert ask(server.url).text == "now"


def test_a_quota_that_is_used_up_is_not_asked_again():
    with (
        chat_server(lambda *_: failing(429, "You exceeded your quota", code="insufficient_quota")) as server,
        pytest.raises(EndpointError, match="insufficient_quota"),
    ):
        ask(server.url)
    assert len(server.requests) == 1


def test_a_request_that_is_refused_is_not_sent_again():
    with (
        chat_server(lambda *_: failing(400, "maximum context length is 4096 tokens")) as server,
        pytest.raises(EndpointError, match=r"400 .*maximum context length"),
    ):
        ask(server.url)
    assert len(server.requests) == 1


def test_a_model_that_wants_max_completion_tokens_gets_it_from_then_on():
    def behave(_number, body):
        if "max_tokens" in body:
            return failing(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return said("fine")

    with chat_server(behave) as server:
        asked = endpoint(server.url)
        assert [asked.chat(ASKED, max_new_tokens=7).text for _ in range(2)] == ["fine", "fine"]
    assert [body.get("max_completion_tokens") for body in server.requests] == [None, 7, 7]


def test_an_endpoint_that_hangs_is_given_up_after_its_time():
    began = time.monotonic()
    with (
        chat_server(lambda *_: Answer({}, seconds=30)) as server,
        pytest.raises(EndpointError, match=r"no answer within 0\.2 s"),
    ):
        ask(server.url, timeout_seconds=0.2, retries=1)
    assert time.monotonic() - began < 25
    assert len(server.requests) == 2


def test_half_a_body_is_no_answer_and_is_asked_for_again():
    whole = said("whole")
    half = Answer(whole.body, cut=20)
    with chat_server(lambda n, _: half if n == 0 else whole) as server:
        assert ask(server.url).text == "whole"
    with chat_server(lambda *_: half) as server, pytest.raises(EndpointError, match="broke in the middle"):
        ask(server.url, retries=0)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"choices": [{"mess', "no chat completion"),
        (b"[]", "no chat completion"),
        (b'"\xff\xfe"', "no chat completion"),
        (b"[" * 100_000, "no chat completion"),
        (b'{"choices": []}', "without a choice"),
        (b'{"error": {"message": "no provider", "code": 502}}', r"without a choice \(502: no provider\)"),
        (b'{"choices": [{"message": {"content": 7}}]}', "no chat completion"),
    ],
    ids=["half", "list", "not UTF-8", "deep", "empty", "error as 200", "number"],
)
def test_json_that_is_no_completion_is_asked_for_again_and_then_told(body, says):
    with chat_server(lambda *_: Answer(body)) as server, pytest.raises(EndpointError, match=says):
        ask(server.url, retries=1)
    assert len(server.requests) == 2


def test_a_web_page_is_told_at_once():
    page = Answer(b"<html>Sign in</html>", kind="text/html; charset=utf-8")
    with (
        chat_server(lambda *_: page) as server,
        pytest.raises(EndpointError, match=r"no chat completion but text/html. Check url\."),
    ):
        ask(server.url)
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed():
    with chat_server(lambda *_: said("stolen")) as other:
        away = Answer({}, 307, headers={"Location": f"{other.url}/chat/completions"})
        with (
            chat_server(lambda *_: away) as server,
            pytest.raises(EndpointError, match="a redirect; none is followed"),
        ):
            ask(server.url, {"K": KEY}, key_env="K")
    assert other.requests == []


def test_an_answer_that_does_not_end_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(wire, "MOST_BYTES", 1 << 20)
    with (
        chat_server(lambda *_: Answer(b" " * (3 << 20))) as server,
        pytest.raises(EndpointError, match="longer than 1 MiB"),
    ):
        ask(server.url)
    assert len(server.requests) == 1


def test_an_answer_that_drips_is_given_up_after_its_time():
    import socket

    def drip():
        with listener.accept()[0] as caller:
            caller.recv(1 << 16)
            caller.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(600):
                try:
                    caller.sendall(b" ")
                except OSError:
                    return
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(EndpointError, match=r"no whole answer within 0\.5 s"):
            ask(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", timeout_seconds=0.5, retries=0)
        assert time.monotonic() - began < 25


def test_where_nobody_listens_the_connection_is_refused():
    with pytest.raises(EndpointError, match=r"http://127.0.0.1:\d+/v1: the connection was refused"):
        ask(nobody_there(), retries=1)


def test_many_come_back_in_their_order_with_no_more_at_a_time_than_asked():
    together = threading.Barrier(3)

    def behave(number, body):
        if number < 3:
            together.wait(timeout=60)
        return said(body["messages"][0]["content"].upper())

    inputs = [[{"role": "user", "content": f"question {n}"}] for n in range(20)]
    seen = []
    with chat_server(behave) as server:
        replies = endpoint(server.url, concurrency=3).many(
            inputs, max_new_tokens=5, on_progress=lambda done, total: seen.append((done, total))
        )
    assert [reply.text for reply in replies] == [f"QUESTION {n}" for n in range(20)]
    assert server.busiest == 3
    assert seen == [(n, 20) for n in range(1, 21)]


def test_one_that_is_refused_does_not_keep_the_others_from_being_asked():
    def behave(_number, body):
        return failing(400, "too long") if body["messages"][0]["content"] == "2" else said("fine")

    inputs = [[{"role": "user", "content": str(n)}] for n in range(5)]
    with chat_server(behave) as server:
        replies = endpoint(server.url).many(inputs, max_new_tokens=5)
    assert replies[2] == Failed("refused", "it answered 400 (too long)")
    assert [type(reply) for reply in replies] == [Reply, Reply, Failed, Reply, Reply]


def test_after_three_in_a_row_without_an_answer_nobody_else_is_asked():
    with chat_server(lambda n, _: said("fine") if n < 4 else failing(500)) as server:
        replies = endpoint(server.url, concurrency=1, retries=1).many([ASKED] * 50, max_new_tokens=5)
    kinds = [reply.kind if isinstance(reply, Failed) else "reply" for reply in replies]
    assert kinds == ["reply"] * 4 + ["unavailable"] * 3 + ["unasked"] * 43
    assert replies[-1].why == "it answered 500 (no)"
    assert len(server.requests) == 4 + 3 * 2


def test_a_refused_key_stops_all_at_once():
    with chat_server(lambda *_: failing(401)) as server:
        replies = endpoint(server.url, concurrency=2).many([ASKED] * 50, max_new_tokens=5)
    assert {reply.kind for reply in replies} == {"unavailable", "unasked"}
    assert len(server.requests) <= 4


def test_no_more_is_sent_than_a_limit_allows():
    # 100 tokens of an answer at 10,000 USD a million are 1 USD; the prompt is free; the server uses all 100.
    prices = {"usd_per_million_prompt": 0, "usd_per_million_completion": 10_000}
    with chat_server(lambda *_: said("x", completion=100)) as server:
        replies = endpoint(server.url, **prices).many([ASKED] * 10, max_new_tokens=100, limit_usd=3.5)
    assert sum(isinstance(reply, Reply) for reply in replies) == len(server.requests) == 3
    assert replies[-1] == Failed("unasked", "the next request may cost 1 USD, and 3 of 3.5 are spent")


def test_what_is_put_aside_for_requests_on_their_way_is_not_yet_spent():
    # Each may cost 1 USD and costs 0.01: four at a time may cost more than 2.5, all ten together do not.
    prices = {"usd_per_million_prompt": 0, "usd_per_million_completion": 10_000}
    together = threading.Barrier(2)

    def behave(number, _body):
        if number < 2:
            together.wait(timeout=60)
        return said("x", completion=1)

    with chat_server(behave) as server:
        replies = endpoint(server.url, concurrency=4, **prices).many([ASKED] * 10, max_new_tokens=100, limit_usd=2.5)
    assert [type(reply) for reply in replies] == [Reply] * 10


@pytest.mark.parametrize(
    "told", [-5, 10**400, 1.5, "many", True, None], ids=["negative", "huge", "part", "text", "true", "none"]
)
def test_tokens_that_nobody_can_have_counted_cost_nothing_that_is_known(told):
    usage = {"prompt_tokens": told, "completion_tokens": 5}
    body = {"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}], "usage": usage}
    with chat_server(lambda *_: Answer(body)) as server:
        reply = ask(server.url, usd_per_million_prompt=1, usd_per_million_completion=1)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens, reply.cost_usd) == ("fine", None, 5, None)


def test_a_date_that_no_calendar_has_is_no_reason_to_hang():
    zone = "Wed, 21 Oct 2015 07:28:00 +" + "9" * 40
    with chat_server(lambda n, _: failing(429, Retry_After=zone) if n == 0 else said("now")) as server:
        assert ask(server.url).text == "now"


def test_an_answer_that_broke_off_inside_the_endpoint_is_asked_for_again():
    with chat_server(lambda n, _: said("half", finish="error") if n == 0 else said("whole")) as server:
        assert ask(server.url).text == "whole"


def test_a_limit_cannot_be_held_where_nobody_says_what_a_token_costs():
    with pytest.raises(EndpointError, match="no price is known"):
        endpoint("http://127.0.0.1:1/v1").many([ASKED], max_new_tokens=5, limit_usd=1)


def test_whoever_stops_listening_stops_the_sending():
    closed = threading.Event()

    def behave(number, _body):
        assert number == 0 or closed.wait(timeout=60)
        return said("fine")

    before = {*threading.enumerate()}
    with chat_server(behave) as server:
        replies = endpoint(server.url, concurrency=1).each([ASKED] * 1000, max_new_tokens=5)
        next(replies)
        replies.close()
        closed.set()
        for thread in {*threading.enumerate()} - before:
            if "work" in thread.name:
                thread.join(timeout=60)
        assert len(server.requests) <= 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("url = 'http://api.example.org/v1'", "is no https address"),
        ("url = 'ftp://api.example.org'", "is no https address"),
        ("url = 'api.example.org'", "url is no address"),
        ("url = 'https://[::1'", "url is no address"),
        ("url = 'https://me:secret@api.example.org/v1'", "holds more than an address"),
        ("url = 'https://api.example.org/v1?key=secret'", "holds more than an address"),
        ("url = 'https://a.example.org'\nkey_env = 'sk-secret-1'", "keep it out of this file"),
        ("url = 'https://a.example.org'\nusd_per_million_prompt = 1.0", "one price is missing"),
        ("url = 'https://a.example.org'\nconcurrency = 0", r"endpoints.large"),
        ("url = 'https://a.example.org'\ntimeout = 3", "no such key 'timeout'. Did you mean 'timeout_seconds'"),
    ],
)
def test_an_endpoint_that_cannot_be_asked_is_told_in_words_without_what_may_be_secret(text, says):
    with pytest.raises(SettingsError, match=says) as refused:
        parse_settings(f"[endpoints.large]\nmodel = 'large-1'\n{text}")
    assert "secret" not in str(refused.value).replace("is a secret", "")


def test_an_endpoint_is_read_with_its_defaults():
    found = parse_settings("[endpoints.large]\nurl = 'https://a.example.org/v1/chat/completions'\nmodel = 'm'")
    large = found.endpoints["large"]
    assert large.address == "https://a.example.org/v1"
    assert (large.concurrency, large.retries, large.timeout_seconds, large.key_env) == (4, 5, 60, None)
    assert parse_settings("[endpoints.l]\nurl = 'http://gpu-3:8000/v1'\nmodel = 'm'\nallow_http = true")
