"""A policy, and an endpoint of OpenAI's form that answers with the name of the model asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tierwise.serve import Router

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUIET = {
    "OPENAI_API_KEY": "none",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}


@dataclass
class Endpoint:
    """Where the models are, and the models asked so far."""

    url: str = ""
    models: list[str] = field(default_factory=list)

    def run(self, home: Path, example: str, *arguments: str, **environ: str) -> str:
        """Run an example against this endpoint; return what it printed."""
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / example), *arguments],
            env=os.environ | QUIET | {"OPENAI_BASE_URL": self.url, "HOME": str(home)} | environ,
            cwd=home, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.models.append(asked["model"])
            body = json.dumps(completion(asked["model"])).encode()
            self.send_response(200 if self.path == "/v1/chat/completions" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep the output of tests clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def completion(model: str) -> dict[str, Any]:
    """Return an answer of OpenAI's form."""
    message = {"role": "assistant", "content": f"answer of {model}"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{model}-model",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12},
    }


@pytest.fixture(scope="session")
def policy() -> Path:
    folder = Path(os.environ.get("TIERWISE_POLICY", "artifacts/fleet/policy")).resolve()
    if not (folder / "manifest.json").is_file():
        pytest.fail(f"no bundle in {folder}: run `make repro`, or set POLICY to one")
    return folder


@pytest.fixture(scope="session")
def router(policy: Path) -> Router:
    return Router.load(policy)
