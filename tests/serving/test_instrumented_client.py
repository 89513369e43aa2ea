"""A really instrumented `openai` client that talks to a local stub: its calls become signals."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

PYTHON = os.environ.get("CLW_INSTRUMENTED_PYTHON", sys.executable)
"""A Python that has `openai` and its instrumentor: `pip install openai opentelemetry-instrumentation-openai-v2
opentelemetry-exporter-otlp-proto-http` in an environment of its own."""

CLIENT = """
import sys
from openai import OpenAI
from opentelemetry import trace, _logs
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

spans, logs = TracerProvider(), LoggerProvider()
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
trace.set_tracer_provider(spans)
_logs.set_logger_provider(logs)
OpenAIInstrumentor().instrument()
client = OpenAI(base_url=sys.argv[1], api_key="none")
for question in sys.argv[2:]:
    client.chat.completions.create(model="stub-1", messages=[{"role": "user", "content": question}])
spans.shutdown()
logs.shutdown()
"""

NEEDED = ("openai", "opentelemetry.instrumentation.openai_v2", "opentelemetry.exporter.otlp.proto.http")


class Stub(BaseHTTPRequestHandler):
    """Answers each chat completion with the question, in capitals."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = {"role": "assistant", "content": asked["messages"][-1]["content"].upper()}
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_776_000_000,
            "model": "stub-1",
            "choices": [{"index": 0, "message": said, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def stub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_calls_of_an_instrumented_openai_client_become_signals(capture, place, stub):
    there = subprocess.run([PYTHON, "-c", "import " + ", ".join(NEEDED)], capture_output=True, check=False)
    if there.returncode:
        pytest.skip(f"{PYTHON} lacks {' or '.join(NEEDED)}; CLW_INSTRUMENTED_PYTHON names one that has them")
    running = capture()
    environment = {
        "PATH": os.environ["PATH"],
        "OTEL_EXPORTER_OTLP_ENDPOINT": running.url,
        "OTEL_SERVICE_NAME": "desk",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
    }
    questions = ["Where is my card?", "Stop the payment!"]
    subprocess.run([PYTHON, "-c", CLIENT, stub, *questions], env=environment, check=True, timeout=60)
    end = running.stop()
    assert end["acknowledged"]["spans"] == 2
    assert end["rejected"] == end["refused"] == end["ingested"]["quarantined"] == 0
    spans = place.read("interactions").filter(pl.col("n_output_tokens").is_not_null())
    assert spans.select("app", "model", "n_input_tokens", "n_output_tokens").rows() == [("desk", "stub-1", 7, 3)] * 2
    # Version 2 of this instrumentor writes what was said into log records, a question and an answer for each call.
    assert end["acknowledged"]["log_records"] == 4
