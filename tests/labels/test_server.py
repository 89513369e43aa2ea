"""The annotation server: started by one call, for one user, on this machine only, and never a word too many."""

import json
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import psutil
import pytest

from clworkbench.errors import LabelError
from clworkbench.labels.place import Address
from clworkbench.labels.server import process
from clworkbench.labels.server.home import Home
from clworkbench.labels.server.look import look

pytestmark = pytest.mark.argilla

SERVE = (
    "import sys; from clworkbench.labels.server import home, process; process.serve(home.Home.of(sys.argv[1]), port=0)"
)


@pytest.fixture
def own(tmp_path):
    """A home of its own, whose server is ended afterwards, in a workspace whose name an address would misread."""
    (tmp_path / "50% of a?b=c #1 é").mkdir()
    home = Home.of(tmp_path / "50% of a?b=c #1 é")
    yield home
    process.stop(home)


def log_in(url: str, username: str, password: str) -> httpx.Response:
    """As the UI's form does it."""
    return httpx.post(f"{url}/api/v1/token", data={"username": username, "password": password})


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_the_owner_logs_in_with_the_password_of_the_file_and_with_no_other(argilla_server):
    found = log_in(argilla_server.url, argilla_server.username, argilla_server.password)
    assert found.status_code == 201
    bearer = {"Authorization": f"Bearer {found.json()['access_token']}"}
    assert httpx.get(f"{argilla_server.url}/api/v1/me", headers=bearer).json()["role"] == "owner"
    for name, guess in ((argilla_server.username, "1234"), ("argilla", "1234"), ("owner", "12345678")):
        assert log_in(argilla_server.url, name, guess).status_code == 401


def test_the_owner_is_the_only_user_that_a_server_is_born_with(argilla_server):
    key = {"X-Argilla-Api-Key": argilla_server.api_key}
    users = httpx.get(f"{argilla_server.url}/api/v1/users", headers=key).json()["items"]
    assert [u["username"] for u in users if u["role"] != "annotator"] == ["owner"]
    assert httpx.get(f"{argilla_server.url}/api/v1/me", headers={"X-Argilla-Api-Key": "argilla.apikey"}).is_error


def test_serving_again_starts_nothing_and_names_the_same_process(argilla_server):
    again = process.serve(argilla_server.home)
    assert again == process.running(argilla_server.home)
    assert again.url == argilla_server.url


def test_it_listens_on_this_machine_only(argilla_server):
    pid = process.running(argilla_server.home).pid
    listening = [c.laddr.ip for c in psutil.Process(pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]


def test_nobody_else_may_read_what_lies_in_the_home(argilla_server):
    folder = argilla_server.home.folder
    assert mode(folder) == "0o700"
    inside = {path.name: mode(path) for path in folder.iterdir() if path.is_file()}
    assert {name: found for name, found in inside.items() if found != "0o600"} == {}


def test_the_server_sees_nobody_elses_secret(tmp_path, monkeypatch):
    secrets = (
        "AWS_SECRET_ACCESS_KEY",
        "OPENAI_API_KEY",
        "CLW_KEY",
        "HF_TOKEN",
        "HTTPS_PROXY",
        "ARGILLA_API_KEY",
        "PGPASSWORD",
    )
    for name in secrets:
        monkeypatch.setenv(name, "somebodys")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    told = process._environment(Home.of(tmp_path))
    assert "somebodys" not in told.values()
    assert (told["PATH"], told["LC_ALL"]) == (os.environ["PATH"], "C.UTF-8")


def test_neither_the_process_list_nor_a_log_shows_a_secret(argilla_server):
    secrets = [
        (argilla_server.home.folder / name).read_text().strip() for name in ("auth_secret", "password", "api_key")
    ]
    of_it = psutil.Process(process.running(argilla_server.home).pid)
    log_in(argilla_server.url, "owner", argilla_server.password)
    httpx.get(f"{argilla_server.url}/api/v1/me?token={argilla_server.api_key}")
    logs = [path.read_text() for path in argilla_server.home.folder.glob("*.log*")]
    shown = "\n".join([*of_it.cmdline(), *of_it.environ().values(), *logs])
    assert [secret for secret in secrets if secret in shown] == []


def test_a_request_under_a_foreign_name_is_refused_before_argilla_sees_it(argilla_server):
    """What a page elsewhere could send after its name was pointed to this machine (DNS rebinding)."""
    port = argilla_server.url.rpartition(":")[2]
    hosts = ("attacker.example", f"attacker.example:{port}", "127.0.0.1.attacker.example", "localhost@evil", "")
    refused = {h: httpx.get(f"{argilla_server.url}/api/v1/version", headers={"Host": h}).status_code for h in hosts}
    assert refused == dict.fromkeys(hosts, 421)
    for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert httpx.get(f"{argilla_server.url}/api/v1/version", headers={"Host": host}).status_code == 200


def test_no_answer_lets_a_page_of_another_origin_read_it(argilla_server):
    for method in ("GET", "OPTIONS"):
        asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "GET"}
        found = httpx.request(method, f"{argilla_server.url}/api/v1/version", headers=asked)
        assert [name for name in found.headers if name.startswith("access-control-")] == []


def test_the_ui_may_load_nothing_from_elsewhere_and_run_no_script_of_a_text(argilla_server):
    page = httpx.get(f"{argilla_server.url}/sign-in", follow_redirects=True)
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert "<title>Argilla</title>" in page.text
    assert policy["default-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in policy["script-src"]
    assert "://" not in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("told", [True, False])
def test_a_body_beyond_the_bound_is_refused_whether_or_not_its_length_is_told(argilla_server, told):
    def body():
        for _ in range(65):
            yield b" " * (1 << 20)

    url = f"{argilla_server.url}/api/v1/workspaces"
    headers = {"X-Argilla-Api-Key": argilla_server.api_key, "Content-Type": "application/json"}
    content = b" " * (65 << 20) if told else body()
    with httpx.Client() as client:
        assert client.post(url, content=content, headers=headers).status_code == (413 if told else 400)
    assert httpx.get(f"{argilla_server.url}/api/v1/status").status_code == 200


def test_its_status_tells_version_users_and_where_the_log_is(argilla_server):
    standing = look(Address(argilla_server.url, argilla_server.api_key, embedded=True))
    assert standing.version == "2.8.0"
    assert standing.users["owner"] == "owner"
    assert standing.lines()[0] == f"Argilla 2.8.0 at {argilla_server.url}"


def test_a_wrong_key_and_an_address_where_nobody_is_are_told_apart(argilla_server):
    with pytest.raises(LabelError, match="the key is refused"):
        look(Address(argilla_server.url, "wrong"))
    with pytest.raises(LabelError, match="nobody answers there"):
        look(Address("http://127.0.0.1:9", "any"))


def test_a_port_that_somebody_has_is_told_with_who_and_nothing_is_left_running(tmp_path):
    home = Home.of(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(LabelError, match=rf"(?s)port {port} is taken by process {os.getpid()} .*--port 0"):
            process.serve(home, port=port)
    assert process.running(home) is None


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="bounds files by RLIMIT_FSIZE")
def test_a_start_without_room_is_told_with_the_folder_and_the_next_start_succeeds(own):
    """A process whose files may have 100 kB, less than an empty database."""
    start = [sys.executable, "-c", SERVE, str(own.folder.parent)]
    bounded = f"ulimit -f 100; exec {shlex.join(start)}"
    ended = subprocess.run(["bash", "-c", bounded], capture_output=True, text=True)
    assert f"could not be written to {own.folder}: no room" in ended.stderr
    assert not own.database.exists()
    assert process.serve(own, port=0) == process.running(own)


def test_a_state_file_of_a_dead_or_another_process_is_seen_through(tmp_path):
    home = Home.of(tmp_path)
    home.make_folder()
    dead = {"pid": 2**22 + 1, "started": 1.0, "port": 1}
    reused = {"pid": os.getpid(), "started": psutil.Process().create_time() - 100, "port": 1}
    mine = {"pid": os.getpid(), "started": psutil.Process().create_time(), "port": 1}
    damaged = [mine | wrong for wrong in ({"pid": None}, {"pid": -1}, {"pid": 2**70}, {"port": "x"}, {"started": []})]
    for state in (dead, reused, {}, [], None, *damaged, b'{"pid": 1', b"\xff"):
        home.state.write_bytes(state if isinstance(state, bytes) else json.dumps(state).encode())
        assert process.running(home) is None
        assert process.stop(home) is False
    assert psutil.Process().is_running()


class Receiver:
    """A receiver of webhooks on this machine, which is there or not."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.heard: list[dict] = []

    def listen(self, n: int, within_s: float) -> None:
        """Takes requests until `n` were heard."""
        deadline = time.monotonic() + within_s
        with socket.create_server(("127.0.0.1", self.port)) as server:
            while len(self.heard) < n:
                server.settimeout(max(0.1, deadline - time.monotonic()))
                connection, _ = server.accept()
                with connection:
                    request = b""
                    while b"\r\n\r\n" not in request:
                        request += connection.recv(65536)
                    head, _, body = request.partition(b"\r\n\r\n")
                    length = next(
                        int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")
                    )
                    while len(body) < length:
                        body += connection.recv(65536)
                    self.heard.append(json.loads(body))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.mark.slow
def test_a_start_whose_command_was_killed_is_joined_by_the_next_one_and_ended_by_stop(own):
    with subprocess.Popen([sys.executable, "-c", SERVE, str(own.folder.parent)]) as command:
        while not (own.folder / "serving.lock").exists():
            time.sleep(0.01)
        command.kill()
    joined = process.serve(own, port=0)
    assert log_in(joined.url, "owner", own.password).status_code == 201
    assert process.stop(own) is True
    assert process._unnamed(own) is None


def serve_twice_at_once(home: Home) -> set[process.Serving]:
    found = []
    threads = [threading.Thread(target=lambda: found.append(process.serve(home, port=0))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return set(found)


def test_two_that_serve_at_once_start_one_and_a_kill_loses_neither_password_nor_queued_webhook_call(own):
    (first,) = serve_twice_at_once(own)
    password, receiver = own.password, Receiver()
    with httpx.Client(headers={"X-Argilla-Api-Key": own.api_key}) as client:
        hook = {"url": f"http://127.0.0.1:{receiver.port}", "events": ["dataset.created"], "description": "test"}
        client.post(f"{first.url}/api/v1/webhooks", json=hook).raise_for_status()
        team = client.post(f"{first.url}/api/v1/workspaces", json={"name": "team"}).json()
        made = client.post(f"{first.url}/api/v1/datasets", json={"name": "d", "workspace_id": team["id"]})
        assert made.status_code == 201
    killed = psutil.Process(first.pid)
    killed.send_signal(signal.SIGKILL)
    psutil.wait_procs([killed])
    assert process.running(own) is None

    # Nobody heard the first try; the next is due in seconds, or now, so that the test need not wait.
    with closing(sqlite3.connect(own.folder / "jobs.db")) as jobs:
        assert jobs.execute("update jobs set due_at = 0").rowcount == 1
        jobs.commit()
    listens = threading.Thread(target=receiver.listen, args=(1, 60))
    listens.start()
    second = process.serve(own, port=0)
    listens.join()
    assert [(call["type"], call["data"]["name"]) for call in receiver.heard] == [("dataset.created", "d")]
    assert second.pid != first.pid
    assert own.database.is_file()
    assert [path.name for path in own.folder.parent.iterdir()] == ["argilla"]
    assert [path.name for path in own.folder.parent.parent.iterdir()] == [own.folder.parent.name]
    assert log_in(second.url, "owner", password).status_code == 201


@pytest.mark.slow
def test_a_password_file_that_was_deleted_is_a_new_password_after_the_next_start(own):
    process.serve(own, port=0)
    password = own.password
    own.state.unlink()
    assert process.stop(own) is True
    assert process.stop(own) is False
    own.password_file.unlink()
    serving = process.serve(own, port=0)
    assert own.password != password
    assert log_in(serving.url, "owner", own.password).status_code == 201
    assert log_in(serving.url, "owner", password).status_code == 401
