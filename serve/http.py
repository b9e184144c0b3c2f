"""The sidecar's web application: endpoints, limits and OpenAPI around a `Service`."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tierwise.serve.http_answers import Refused, encoded
from tierwise.serve.http_limits import PROBES, Limits, answer
from tierwise.serve.http_models import (
    BatchAnswer,
    BatchRequest,
    DecisionAnswer,
    OutcomeAnswer,
    OutcomeRequest,
    Problem,
    State,
    StepRequest,
)
from tierwise.serve.http_service import Service

ROUTE, BATCH, OUTCOME = "/v1/route", "/v1/route/batch", "/v1/outcome"
HEALTH, READY, METRICS, OPENAPI = "/healthz", "/readyz", "/metrics", "/openapi.json"
_PATHS = frozenset({ROUTE, BATCH, OUTCOME, HEALTH, READY, METRICS, OPENAPI})
_GONE = 499  # whoever asked hung up before there was an answer
_REF = "#/components/schemas/{model}"
_LIMITED = (401, 408, 413, 415, 429)  # what `Limits` answers
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def app_of(service: Service) -> FastAPI:
    """Make the application around a service that is closed by whoever made it."""
    settings = service.settings
    app = FastAPI(
        title="tierwise",
        version=version("tierwise"),
        description="Which model tier serves a step of an agent.",
        openapi_url=OPENAPI,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(Watched, service=service),
            Middleware(Limits, keys=settings.keys, max_body=settings.max_body, rate=settings.rate),
            Middleware(Shortcut, service=service),
        ],
    )
    app.add_exception_handler(Refused, _refuse)
    app.add_exception_handler(Exception, _fail)
    add_endpoints(app, service)
    described = _openapi(app, bool(settings.keys))
    app.openapi = lambda: described  # type: ignore[method-assign]  # FastAPI's documented way
    return app


class Watched:
    """Counts and times every request, logs refusals, and says goodbye while the service drains."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), _GONE
        service = self._service

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if service.draining:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            status = 500
            raise
        finally:
            path = scope["path"] if scope["path"] in _PATHS else "other"
            seconds = time.perf_counter() - began
            service.metrics.answered(path, status, seconds)
            if status >= 400:
                service.log.line("refused", path=path, status=status, ms=round(seconds * 1e3, 3))


class Shortcut:
    """Answers `POST /v1/route` itself: routing, request and answer of FastAPI take half the time.

    The endpoint of that path says in OpenAPI what this does, and does the same.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != ROUTE or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = (await receive())["body"]
        try:
            found = self._service.route(body, scope["headers"])
        except Refused as refused:
            await answer(send, refused.status, refused.body(), refused.headers())
            return
        await answer(send, 200, found)


def add_endpoints(app: FastAPI, service: Service) -> None:
    """Add the endpoints, each with the models that describe it."""

    @app.post(ROUTE, **_described(StepRequest, DecisionAnswer, 422))
    async def route(request: Request) -> Response:
        """Decide which tier serves a step."""
        return _json(service.route(await request.body(), request.scope["headers"]))

    @app.post(BATCH, **_described(BatchRequest, BatchAnswer, 422))
    async def route_batch(request: Request) -> Response:
        """Decide up to 256 steps, in their order."""
        body, headers = await request.body(), request.scope["headers"]
        return _json(await service.batch(body, headers, request.scope["state"]["bucket"]))

    @app.post(OUTCOME, **_described(OutcomeRequest, OutcomeAnswer, 404, 409, 422, 507))
    async def outcome(request: Request) -> Response:
        """Write what came of a decision, for the next policy to learn from."""
        return _json(service.outcome(await request.body()))

    @app.get(HEALTH)
    async def healthz() -> Response:
        """Tell that the process lives."""
        return _json(b'{"status":"alive"}')

    @app.get(READY, responses={200: {"model": State}, 503: {"model": State}})
    async def readyz() -> Response:
        """Tell whether to send requests here; 503 while it stops."""
        status, body = service.state()
        return _json(body, status)

    problem = {"application/json": {"schema": {"$ref": _REF.format(model=Problem.__name__)}}}

    @app.get(METRICS, response_class=PlainTextResponse, responses={401: {"content": problem}})
    async def metrics() -> Response:
        """Give the counters in Prometheus' text format."""
        return Response(service.metrics.page(), headers={"content-type": _PROMETHEUS})


def _described(asked: type[BaseModel], answered: type[BaseModel], *refusals: int) -> dict[str, Any]:
    """Return what OpenAPI says of an endpoint that reads a request's bytes itself."""
    schema = {"$ref": _REF.format(model=asked.__name__)}
    body = {"required": True, "content": {"application/json": {"schema": schema}}}
    described: dict[int, dict[str, Any]] = {
        status: {"model": Problem} for status in (*refusals, *_LIMITED)
    }
    described[200] = {"model": answered}
    return {"responses": described, "openapi_extra": {"requestBody": body}}


def _openapi(app: FastAPI, keys: bool) -> dict[str, Any]:
    """Return FastAPI's description, with the models that it does not see and the key."""
    found = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    _, asked = models_json_schema(
        [(model, "validation") for model in (StepRequest, BatchRequest, OutcomeRequest)],
        ref_template=_REF,
    )
    found["components"]["schemas"] |= asked["$defs"]
    if keys:
        found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"key": []}]
        for path in PROBES:
            found["paths"][path]["get"]["security"] = []
    return found


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _refuse(request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    return _json(refused.body(), refused.status)


def _fail(request: Request, error: Exception) -> Response:
    return _json(encoded({"detail": "an error in the sidecar; its log says where"}), 500)
