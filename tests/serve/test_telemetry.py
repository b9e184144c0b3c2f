"""A decision is one span, where spans go anywhere; a prompt is never in it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.serve.sidecars import JSON, Sidecar, sidecar
from tierwise.serve import Router, telemetry

SECRET = "the launch code is 0000"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What is exported by a provider that only this test sees."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return exporter


def ask(served: Sidecar, traced: bool) -> dict[str, str]:
    headers = {**JSON, "traceparent": f"00-{TRACE}-{PARENT}-01"} if traced else JSON
    step = {"text": SECRET, "role": "worker", "trace_id": "task 7"}
    made: dict[str, str] = served.call("POST", "/v1/route", step, headers).value
    return made


def test_a_decision_is_a_span_that_says_what_was_decided(
    bundle_folder: Path, tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    with sidecar(Router.load(bundle_folder), tmp_path / "log") as served:
        made = ask(served, traced=False)
    (span,) = [one for one in spans.get_finished_spans() if one.name == telemetry.SPAN]
    assert span.attributes is not None
    wanted = {
        "gen_ai.operation.name": "route",
        "gen_ai.request.model": made["tier"],
        "gen_ai.agent.name": "worker",
        "gen_ai.conversation.id": "task 7",
        "tierwise.decision_id": made["decision_id"],
        "tierwise.reason": made["reason"],
        "tierwise.policy_version": made["policy_version"],
    }
    assert {name: span.attributes[name] for name in wanted} == wanted
    assert SECRET not in span.to_json()
    assert span.start_time is not None
    assert span.end_time is not None
    assert 0 < span.end_time - span.start_time < 5e9


def test_a_span_continues_the_trace_of_whoever_asks(
    bundle_folder: Path, tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    """Below the span of the request, where FastAPI makes one; else below the caller's own."""
    with sidecar(Router.load(bundle_folder), tmp_path / "log") as served:
        ask(served, traced=True)
    ours = [json.loads(one.to_json()) for one in spans.get_finished_spans()]
    assert {one["context"]["trace_id"] for one in ours} == {f"0x{TRACE}"}
    assert f"0x{PARENT}" in {one["parent_id"] for one in ours}


@pytest.mark.parametrize("inside", [False, True])
def test_the_parent_is_an_open_span_or_the_one_that_the_headers_name(
    bundle_folder: Path, spans: InMemorySpanExporter, inside: bool
) -> None:
    tracer = telemetry.tracer()
    assert tracer is not None
    decision = Router.load(bundle_folder).decide(SECRET)
    headers = [(b"traceparent", f"00-{TRACE}-{PARENT}-01".encode())]
    with tracer.start_as_current_span("request") if inside else nullcontext():
        telemetry.add_span(
            tracer, decision, 1, headers=headers, decision_id="1", role=None, trace_id=None
        )
    ours, *request = spans.get_finished_spans()
    assert ours.parent is not None
    wanted = request[0].context.span_id if inside else int(PARENT, 16)
    assert ours.parent.span_id == wanted


def test_where_nothing_was_set_up_there_are_no_spans() -> None:
    assert telemetry.tracer() is None
