"""Live capture under load: spans acknowledged and durable a second while ingest goes on, and MLflow's server beside."""

import http.client
import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clworkbench.settings import template
from clworkbench.workspace import Workspace
from tests.serving.conftest import Running

pytestmark = pytest.mark.slow

CONNECTIONS = 4
SAID = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Where is it? " + "why " * 60}]}])
ANSWERED = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "because " * 80}]}])


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


def sent(url: str, bodies: list[bytes], headers: dict[str, str] | None = None) -> tuple[float, list[float]]:
    """Sends all bodies over a few connections; returns the seconds and the time that each answer took."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    todo: Iterator[bytes] = iter(bodies)
    lock = threading.Lock()
    took: list[float] = []

    def work() -> None:
        connection = http.client.HTTPConnection(host or "", port, timeout=120)
        while True:
            with lock:
                body = next(todo, None)
            if body is None:
                break
            began = time.monotonic()
            connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"} | (headers or {}))
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 200, said
            took.append(time.monotonic() - began)
        connection.close()

    began = time.monotonic()
    workers = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.monotonic() - began, took


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


@pytest.mark.parametrize(("n_requests", "n_spans"), [(200, 512), (1500, 20), (5000, 1)])
def test_spans_acknowledged_a_second(start, n_requests, n_spans):
    bodies = requests_of(n_requests, n_spans)
    place, running = start("w")
    seconds, took = sent(running.url, bodies)
    server = psutil.Process(running.process.pid)
    cpu, rss = sum(server.cpu_times()[:2]), server.memory_info().rss
    began = time.monotonic()
    end = running.stop()
    drained = time.monotonic() - began
    speed = n_requests * n_spans / seconds
    took.sort()
    print(f"\n{n_requests:,} requests of {n_spans} spans, {sum(map(len, bodies)) / 1e6:.0f} MB, {CONNECTIONS} senders")
    print(f"{speed:,.0f} spans/s, {n_requests / seconds:,.0f} requests/s acknowledged and durable in {seconds:.1f} s")
    print(
        f"an answer took {took[len(took) // 2] * 1e3:.1f} ms (median), {took[len(took) * 99 // 100] * 1e3:.1f} (99 %)"
    )
    print(
        f"the server took {cpu:.1f} CPU s with its start, {rss / 1e6:.0f} MB; the rest was ingested in {drained:.1f} s"
    )
    assert end["ingested"]["new"] == n_requests * n_spans == place.counts()["interactions"]
    if n_spans == 512:
        assert speed > 5000


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
        sent(url, requests_of(1, 1, first=10_000_000), {"x-mlflow-experiment-id": "0"})
        theirs, _ = sent(url, bodies, {"x-mlflow-experiment-id": "0"})
    finally:
        server.terminate()
        server.wait()
    _, running = start("w")
    ours, _ = sent(running.url, bodies)
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
