"""Live capture under load: spans acknowledged and durable a second while ingest goes on, and MLflow's server beside."""

import json
import os
import re
import selectors
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clworkbench.serving.drain import LiveWorkspace, drain
from clworkbench.serving.spool import Frame
from clworkbench.settings import template
from clworkbench.workspace import Workspace
from tests.serving.conftest import Running
from tests.serving.test_drain import closed_log

pytestmark = pytest.mark.slow

SAID = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Where is it? " + "why " * 60}]}])
ANSWERED = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "because " * 80}]}])


EVENT = b'{"target": "a", "name": "thumbs", "score": 1, "id": "e%d"}'
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "500"))


def requests_of(n_requests: int, n_spans: int, first: int = 1) -> list[bytes]:
    """Requests of GenAI spans of about 1.2 kB each, all with ids of their own."""
    made = []
    for request_number in range(n_requests):
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.add(key="service.name").value.string_value = "desk"
        spans = resource.scope_spans.add(scope={"name": "bench"}).spans
        for number in range(n_spans):
            own = first + request_number * n_spans + number
            start = 1_776_000_000_000_000_000 + own
            ids = {"trace_id": own.to_bytes(16, "big"), "span_id": own.to_bytes(8, "big")}
            span = spans.add(name="chat", kind=3, start_time_unix_nano=start, end_time_unix_nano=start + 10**9, **ids)
            texts = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
            texts |= {"gen_ai.input.messages": SAID, "gen_ai.output.messages": ANSWERED}
            for key, value in texts.items():
                span.attributes.add(key=key).value.string_value = value
            for key in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
                span.attributes.add(key=key).value.int_value = own % 500
        made.append(request.SerializeToString())
    return made


def sent(
    url: str, bodies: list[bytes], senders: int, headers: dict[str, str] | None = None
) -> tuple[float, list[float]]:
    """Sends all bodies over so many connections, each of which waits for its answer before it sends the next.

    Requests are made up beforehand and answers only looked at, so that the sender takes less than the server.

    Returns:
        The seconds, and the time that each answer took.
    """
    host, port = urlsplit(url).hostname, urlsplit(url).port
    named = {"Host": f"{host}:{port}", "Content-Type": "application/x-protobuf"} | (headers or {})
    head = "POST /v1/traces HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in named.items())
    todo = iter([f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies])
    waiting = selectors.DefaultSelector()
    took: list[float] = []

    def send_next(wire: socket.socket) -> None:
        if request := next(todo, None):
            began[wire] = time.perf_counter()
            wire.sendall(request)

    began: dict[socket.socket, float] = {}
    wires = [socket.create_connection((host, port), timeout=120) for _ in range(senders)]
    for wire in wires:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        waiting.register(wire, selectors.EVENT_READ)
        send_next(wire)
    start = time.perf_counter()
    while len(took) < len(bodies):
        for key, _ in waiting.select():
            wire = key.fileobj
            assert isinstance(wire, socket.socket)
            check_answer(wire)
            took.append(time.perf_counter() - began[wire])
            send_next(wire)
    seconds = time.perf_counter() - start
    waiting.close()
    for wire in wires:
        wire.close()
    return seconds, took


def check_answer(wire: socket.socket) -> None:
    """Reads one answer whole, which must be a 200."""
    answer = wire.recv(65536)
    while (end := answer.find(b"\r\n\r\n")) < 0 or len(answer) < end + 4 + length(answer):
        more = wire.recv(65536)
        assert more, answer
        answer += more
    assert answer.startswith(b"HTTP/1.1 200"), answer


def length(answer: bytes) -> int:
    found = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
    assert found, answer
    return int(found[1])


def cpu_s(process: psutil.Process) -> float:
    return sum(process.cpu_times()[:2])


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Workspace, Running]]]:
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    started = []

    def begin(name: str) -> tuple[Workspace, Running]:
        place = Workspace.create(tmp_path / name, settings=template(redaction="off"))
        started.append(Running(place.folder, ("--every", "2")))
        return place, started[-1]

    yield begin
    for running in started:
        running.client.close()
        for stream in (running.process.stdout, running.process.stderr):
            assert stream
            stream.close()


@pytest.mark.parametrize(
    ("n_requests", "n_spans", "senders"),
    [(200, 512, 4), (1500, 20, 4), (5000, 1, 4), (20_000, 1, 32), (20_000, 1, 128)],
)
def test_spans_acknowledged_a_second(start, n_requests, n_spans, senders):
    bodies = requests_of(n_requests, n_spans)
    place, running = start("w")
    server = psutil.Process(running.process.pid)
    sent(running.url, requests_of(20, n_spans, first=10**9), senders)  # the ingest has started
    before, mine = cpu_s(server), time.process_time()
    seconds, took = sent(running.url, bodies, senders)
    served, mine = cpu_s(server) - before, time.process_time() - mine
    rss = server.memory_info().rss
    began = time.monotonic()
    end = running.stop()
    drained = time.monotonic() - began
    took.sort()
    print(f"\n{n_requests:,} requests of {n_spans} spans, {sum(map(len, bodies)) / 1e6:.0f} MB, {senders} senders")
    print(f"{n_requests * n_spans / seconds:,.0f} spans/s, {n_requests / seconds:,.0f} requests/s in {seconds:.1f} s")
    print(
        f"an answer took {took[len(took) // 2] * 1e3:.1f} ms (median), {took[len(took) * 99 // 100] * 1e3:.1f} (99 %)"
    )
    print(f"CPU for a request: server {served / n_requests * 1e6:.0f} µs, sender {mine / n_requests * 1e6:.0f} µs")
    print(
        f"the server held {rss / 1e6:.0f} MB; the rest was ingested in {drained:.1f} s; load {os.getloadavg()[0]:.1f}"
    )
    assert end["ingested"]["new"] == (n_requests + 20) * n_spans == place.counts()["interactions"]
    if n_spans == 512:
        assert n_requests * n_spans / seconds > 5000
    if senders == 128:
        assert served / n_requests < 200e-6  # 5,000 a second on one of two cores


def test_a_round_of_ingest_takes_no_longer_after_many(tmp_path, monkeypatch):
    monkeypatch.setenv("CLW_CONFIG", str(tmp_path / "config"))
    folder = Workspace.create(tmp_path / "w", settings=template(redaction="off")).folder
    live, took = LiveWorkspace(folder, "otlp"), []
    for number in range(ROUNDS):
        log = closed_log(
            folder, Frame("traces", requests_of(1, 40, first=1 + number * 40)[0]), Frame("events", EVENT % number)
        )
        began = time.process_time()
        drain(live, log, "otlp")
        took.append(time.process_time() - began)
    early, late = (sum(part) / len(part) * 1e3 for part in (took[50:150], took[-100:]))
    print(
        f"\n{early:.0f} ms of CPU a round at first, {late:.0f} ms after {ROUNDS} rounds, {max(took) * 1e3:.0f} at most"
    )
    assert late < 2 * early


MLFLOW = os.environ.get("CLW_BENCH_MLFLOW", "")


@pytest.mark.skipif(not MLFLOW, reason="CLW_BENCH_MLFLOW names no mlflow executable (of an environment of its own)")
def test_the_same_spans_at_mlflows_tracking_server(start, tmp_path):
    n_requests, n_spans = 10, 100
    bodies = requests_of(n_requests, n_spans)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        MLFLOW,
        "server",
        "--port",
        str(port),
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/m.db",
        "--workers",
        "2",
    ]
    with (tmp_path / "mlflow.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/health")
        sent(url, requests_of(1, 1, first=10_000_000), 1, {"x-mlflow-experiment-id": "0"})
        theirs, _ = sent(url, bodies, 4, {"x-mlflow-experiment-id": "0"})
    finally:
        server.terminate()
        server.wait()
    _, running = start("w")
    ours, _ = sent(running.url, bodies, 4)
    running.stop()
    n = n_requests * n_spans
    print(f"\n{n:,} spans in requests of {n_spans}: {n / ours:,.0f} spans/s here, {n / theirs:,.0f} at MLflow's server")
    assert ours < theirs


def wait_for(url: str) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} never answered")
