"""A log with one answer a step, its catalogue, and an API that misbehaves on order."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tierwise.data.label_calls import call
from tierwise.data.label_judge import by_function
from tierwise.data.label_open import Request
from tierwise.data.label_plan import make_plan
from tierwise.data.label_price import Arm
from tierwise.data.label_run import Judge, run
from tierwise.data.label_steps import Source, locate, survey
from tierwise.data.label_work import Limits, Outcome

Row = dict[str, Any]
Said = Mapping[str, Any]

TIERS = """\
- {name: small, models: [small-model], price_in: 1, price_out: 2}
- {name: mid, models: [mid-model], price_in: 3, price_out: 6}
- {name: large, models: [large-model], price_in: 10, price_out: 20}
"""
NAMES = ("small", "mid", "large")
ROLES = ("worker", "worker", "worker", "critic", "planner")


def make_rows(n_traces: int = 60, **cells: Any) -> list[Row]:
    """Four steps a trace, one tier each, served at random with a known propensity."""
    return [
        {
            "trace_id": f"t{trace:03d}",
            "step_id": str(step),
            "text": f"question {step} of task {trace}",
            "role": ROLES[(trace + step) % 5],
            "tier": NAMES[(trace + step) % 3],
            "propensity": 0.25,
            "output_text": f"answer {step}",
            "input_tokens": 100,
            "output_tokens": 50,
            "quality": float((trace * 7 + step) % 3 > 0),
            "quality_source": "user",
        }
        | cells
        for trace in range(n_traces)
        for step in range(4)
    ]


class Log:
    """Rows on disk with their catalogue."""

    def __init__(self, folder: Path) -> None:
        self.path, self.tiers = folder / "log" / "traces.jsonl", folder / "tiers.yaml"
        self.path.parent.mkdir()
        self.tiers.write_text(TIERS)

    def write(self, rows: list[Row]) -> Source:
        self.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return locate(self.path, self.tiers)


@pytest.fixture(scope="session")
def log_at() -> type[Log]:
    return Log


@pytest.fixture(scope="session")
def rows() -> Callable[..., list[Row]]:
    return make_rows


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


@pytest.fixture
def plan_of() -> Callable[..., Any]:
    """Make a plan of a source; the budget pays for everything unless told."""

    def plan(source: Source, budget_usd: float = 1e3, **asked: Any) -> Any:
        request = Request(budget_usd, **{"tiers": NAMES, **asked})
        return make_plan(survey(source), request)

    return plan


class Answers:
    """A function that answers, and counts how often it was asked what."""

    def __init__(self, **told: Any) -> None:
        self.asked: Counter[tuple[str, str, str]] = Counter()
        self.requests: list[Said] = []
        self.told = {"text": "new answer", "input_tokens": 100, "output_tokens": 50} | told

    def __call__(self, arm: Arm, request: Said) -> Outcome:
        self.asked[request["trace_id"], request["step_id"], request["tier"]] += 1
        self.requests.append(request)
        return call(lambda request: self.told, request, arm)


@pytest.fixture
def answering() -> type[Answers]:
    return Answers


def _carry_out(plan: Any, source: Any, out: Path, answer: Any, **more: Any) -> Any:
    limits = Limits(more.pop("cap", plan.budget_usd), concurrency=2, backoff_s=0.01, **more)
    judge = None
    if plan.judge:
        arm = plan.arm(plan.judge)
        judge = Judge(by_function(lambda r: {"quality": 0.75, "cost_usd": 0.0}, arm))
    return run(plan, source, out, answer, judge, limits)


@pytest.fixture
def carry_out() -> Callable[..., Any]:
    """Run a plan with a function that answers; the judge is free and says 0.75."""
    return _carry_out


@dataclass
class Reply:
    """What the API says to one call."""

    text: str = "fine"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {"prompt_tokens": 10, "completion_tokens": 5}
    )
    body: bytes | None = None
    delay_s: float = 0.0  # before the answer
    drip_s: float = 0.0  # after each of its bytes

    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        message = {"role": "assistant", "content": self.text}
        value = {"choices": [{"message": message, "finish_reason": "stop"}]}
        return json.dumps(value | ({"usage": self.usage} if self.usage else {})).encode()


class Api:
    """An OpenAI-compatible API; `reply` decides by the number of the call and its body."""

    Reply = Reply

    def __init__(self) -> None:
        self.reply: Callable[[int, dict[str, Any]], Reply] = lambda number, body: Reply()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with api._lock:
                    number = len(api.bodies)
                    api.bodies.append(body)
                    api.headers.append(dict(self.headers))
                    api.paths.append(self.path)
                reply = api.reply(number, body)
                api.stop.wait(reply.delay_s)
                content = reply.content()
                try:
                    self.send_response(reply.status)
                    for name, value in {
                        "Content-Length": str(len(content)),
                        **reply.headers,
                    }.items():
                        self.send_header(name, value)
                    self.end_headers()
                    for place in range(len(content)) if reply.drip_s else ():
                        self.wfile.write(content[place : place + 1])
                        api.stop.wait(reply.drip_s)
                    if not reply.drip_s:
                        self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # the caller has given up

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Api()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.stop.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()
