"""What the sidecar answers is what the router decides; what it refuses, it refuses in one line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tests.serve.sidecars import JSON, Sidecar, sidecar
from tierwise.serve import Router
from tierwise.serve.http import add_endpoints
from tierwise.serve.http_models import LONGEST_BATCH, BatchAnswer, DecisionAnswer, StepRequest
from tierwise.serve.reload import ReloadingRouter

SECRET = "the launch code is 0000"


@pytest.fixture(scope="module")
def router(bundle_folder: Path) -> Router:
    return Router.load(bundle_folder)


@pytest.fixture(scope="module")
def served(router: Router, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(router, tmp_path_factory.mktemp("log") / "log.jsonl", max_body=4_000) as running:
        yield running


def test_a_step_is_answered_as_the_router_decides_it(served: Sidecar, router: Router) -> None:
    wanted = router.decide("prove the report", role="worker", n_tools=3)
    found = served.route(role="worker", context={"n_tools": 3}, estimates=True)
    assert found["tier"] == wanted.tier
    assert found["reason"] == wanted.reason
    assert found["quality"] == pytest.approx(wanted.quality, nan_ok=True)
    assert list(found["estimates"]) == list(router.manifest.tier_names)
    of_tier = found["estimates"][wanted.tier]
    assert of_tier["cost_usd"] == pytest.approx(wanted.cost_usd, nan_ok=True)


def test_an_answer_is_the_model_that_openapi_shows(served: Sidecar) -> None:
    DecisionAnswer.model_validate(served.route(), strict=True, extra="forbid")


def test_the_endpoint_that_openapi_shows_answers_like_the_one_that_serves(
    served: Sidecar, router: Router
) -> None:
    """`POST /v1/route` is answered before it gets to FastAPI."""
    app, sent = FastAPI(), []
    add_endpoints(app, served.service)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"text": "prove the report"}'}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/route", "headers": []}
    asyncio.run(app({**scope, "query_string": b"", "root_path": ""}, receive, send))
    assert [message.get("status") for message in sent] == [200, None]
    assert json.loads(sent[1]["body"]).keys() == served.route().keys()


def test_messages_are_decided_like_their_text(served: Sidecar, router: Router) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "prove it"}]
    reply = served.call("POST", "/v1/route", {"messages": messages})
    assert reply.value["quality"] == pytest.approx(router.decide(messages).quality)
    assert router.decide(messages).quality != router.decide("Be brief.").quality


def test_only_allowed_tiers_are_served(served: Sidecar, router: Router) -> None:
    for tier in router.manifest.tier_names:
        assert served.route(allowed=[tier])["tier"] == tier


def test_a_batch_is_decided_like_its_steps(served: Sidecar) -> None:
    steps = [{"text": text, "role": "worker"} for text in ("prove it", "copy the report", "")]
    reply = served.call("POST", "/v1/route/batch", {"steps": steps})
    alone = [served.route(**step) for step in steps]
    BatchAnswer.model_validate(reply.value, strict=True)
    for one, other in zip(reply.value["decisions"], alone, strict=True):
        assert {**one, "decision_id": ""} == {**other, "decision_id": ""}


def test_what_is_not_known_is_null(served: Sidecar, router: Router) -> None:
    reply = served.call("POST", "/v1/route", {"text": "x", "allowed": []})
    assert reply.value["quality"] is None
    assert b"NaN" not in reply.body


def test_an_unpaired_surrogate_is_read_as_everywhere(served: Sidecar, router: Router) -> None:
    reply = served.call("POST", "/v1/route", b'{"text": "prove \\ud800 it"}')
    assert reply.status == 200
    assert reply.value["quality"] == pytest.approx(router.decide("prove \ufffd it").quality)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body: Invalid JSON"),
        (b"\xff\xfe", "body: Invalid JSON"),
        (b'{"text": "\\ud800"', "body: Invalid JSON"),
        (b"[" * 3_000, "body: Invalid JSON"),
        (b'{"text": "\\ud800", "context": ' + b"[" * 3_000, "body: Invalid JSON"),
        ({}, "either text or messages"),
        ({"text": SECRET, "messages": []}, "either text or messages"),
        ({"text": 3}, "text: "),
        ({"text": SECRET, "rolle": "worker"}, "rolle: "),
        ({"text": SECRET, "floor": "high"}, "floor: "),
        (b'{"text": "x", "floor": NaN}', "floor: "),
        (b'{"text": "x", "floor": 1e999}', "floor: "),
        ({"text": "x", "max_latency_s": -1}, "max_latency_s: "),
        ({"text": "x", "allowed": "small"}, "allowed: "),
        ({"text": "x", "context": {"role": "worker"}}, "context: "),
        ({"text": "x", "context": {"step": "y"}}, "context: "),
        ({"text": "x", "context": {"self": "y"}}, "context: "),
        ({"text": "x", "context": {"n_tools": [1]}}, "context.n_tools"),
        ({"text": "x", "context": {str(i): i for i in range(65)}}, "context: "),
    ],
)
def test_a_body_that_is_no_step_is_refused_in_one_line_without_its_text(
    served: Sidecar, body: Any, said: str
) -> None:
    reply = served.call("POST", "/v1/route", body)
    assert reply.status == 422
    assert said in reply.value["detail"]
    assert "\n" not in reply.value["detail"]
    assert SECRET not in reply.value["detail"]


def test_a_pin_that_is_no_tier_is_refused_with_the_names_of_the_tiers(
    served: Sidecar, router: Router
) -> None:
    tiers = ", ".join(router.manifest.tier_names)
    step = {"text": SECRET, "pin": "gpt-9"}
    alone = served.call("POST", "/v1/route", step)
    assert (alone.status, alone.value["detail"][:5]) == (422, "pin: ")
    batch = served.call("POST", "/v1/route/batch", {"steps": [{"text": "x"}, step]})
    assert (batch.status, batch.value["detail"][:13]) == (422, "steps.1.pin: ")
    assert all(reply.value["detail"].endswith(tiers) for reply in (alone, batch))
    assert router.decide(SECRET, pin="gpt-9").reason == "fallback"  # which never raises


def test_no_name_in_a_context_collides_with_an_argument(served: Sidecar) -> None:
    """Each would be given twice, and that is an error of the sidecar, not of the caller."""
    for name in set(StepRequest.model_fields) - {"context"}:
        step = {"text": "x", "context": {name: 1}}
        assert served.call("POST", "/v1/route", step).status in (200, 422)


def test_a_batch_has_a_largest_size(served: Sidecar) -> None:
    steps = [{"text": ""}] * (LONGEST_BATCH + 1)
    body = json.dumps({"steps": steps}, separators=(",", ":")).encode()
    assert len(body) < 4_000
    assert served.call("POST", "/v1/route/batch", body).status == 422
    assert served.call("POST", "/v1/route/batch", {"steps": []}).status == 422


def test_what_needs_no_body_answers_who_serves(served: Sidecar, router: Router) -> None:
    assert served.call("GET", "/healthz").status == 200
    ready = served.call("GET", "/readyz")
    assert ready.status == 200
    assert ready.value["digest"] == router.digest
    assert served.call("GET", "/v1/route").status == 405
    assert served.call("GET", "/nothing").status == 404


def test_metrics_count_decisions_by_tier_reason_and_version(served: Sidecar) -> None:
    made = served.route()
    before = _sample(served, made)
    served.route()
    assert _sample(served, made) == before + 1


def test_metrics_count_what_failed_and_what_was_served_instead(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError

    router = Router.load(bundle_folder)
    monkeypatch.setattr(router, "_decide", broken)
    with sidecar(router, tmp_path / "log") as served:
        assert served.route()["reason"] == "fallback"
        assert _value(served, "tierwise_fallbacks_total") == 1
        assert _value(served, 'tierwise_faults_total{kind="graph"}') == 1


def test_metrics_count_requests_by_path_and_status(served: Sidecar) -> None:
    name = 'tierwise_http_requests_total{path="/v1/route",status="422"}'
    before = _value(served, name)
    served.call("POST", "/v1/route", {})
    assert _value(served, name) == before + 1


def test_metrics_count_reloads_and_show_the_new_policy(tmp_path: Path, bundle_folder: Path) -> None:
    router = ReloadingRouter(bundle_folder)
    with sidecar(router, tmp_path / "log") as served:
        assert router.reload() == "unchanged"
        assert _value(served, 'tierwise_reloads_total{kind="unchanged"}') == 1
        version, digest = router.manifest.policy_version, router.digest
        name = f'tierwise_policy_info{{digest="{digest}",policy_version="{version}"}}'
        assert _value(served, name) == 1


def test_an_unknown_path_is_no_label(served: Sidecar) -> None:
    served.call("GET", "/one/of/very/many")
    page = served.call("GET", "/metrics").body
    assert b"very" not in page
    assert b'path="other",status="404"' in page


def test_a_decision_is_logged_without_its_text(served: Sidecar) -> None:
    made = served.route(SECRET, role="worker")
    served.call("POST", "/v1/route", {"text": SECRET, "floor": SECRET})
    lines = served.logged()
    mine = next(line for line in lines if line.get("decision_id") == made["decision_id"])
    assert (mine["event"], mine["tier"], mine["reason"]) == (
        "decision", made["tier"], made["reason"],
    )  # fmt: skip
    assert lines[-1]["status"] == 422
    assert SECRET not in json.dumps(lines)


def test_the_text_is_logged_where_asked_for(router: Router, tmp_path: Path) -> None:
    with sidecar(router, tmp_path / "log", log_text=True) as served:
        served.route(SECRET)
        assert [line["text"] for line in served.logged()] == [SECRET]


def test_no_line_is_logged_where_not_wanted(router: Router, tmp_path: Path) -> None:
    with sidecar(router, tmp_path / "log", log_decisions=False) as served:
        served.route(SECRET)
        assert served.logged() == []


def test_an_error_is_one_line_and_told_to_the_log_without_what_it_says(
    router: Router, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **given: object) -> None:
        raise RuntimeError(SECRET)

    with sidecar(router, tmp_path / "log") as served:
        monkeypatch.setattr(served.service, "route", broken)
        reply = served.call("POST", "/v1/route", {"text": SECRET})
        assert reply.status == 500
        assert reply.value == {"detail": "an error in the sidecar; its log says where"}
        assert SECRET not in json.dumps(served.logged())
        assert served.call("GET", "/healthz").status == 200


def test_every_answer_closes_its_connection_while_draining(router: Router, tmp_path: Path) -> None:
    with sidecar(router, tmp_path / "log") as served:
        assert "connection" not in served.call("POST", "/v1/route", {"text": "x"}).headers
        served.service.draining = True
        reply = served.call("POST", "/v1/route", {"text": "x"})
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert served.call("GET", "/readyz").status == 503
        assert served.call("GET", "/healthz").status == 200


def _sample(served: Sidecar, made: dict[str, Any]) -> float:
    return _value(
        served,
        f'tierwise_decisions_total{{policy_version="{made["policy_version"]}",'
        f'reason="{made["reason"]}",tier="{made["tier"]}"}}',
    )


def _value(served: Sidecar, name: str) -> float:
    page = served.call("GET", "/metrics", headers=JSON).body.decode()
    found = [line.rpartition(" ")[2] for line in page.splitlines() if line.startswith(name + " ")]
    return float(found[0]) if found else 0.0
