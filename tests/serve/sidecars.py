"""A sidecar on a thread of the test, and requests to it."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from tierwise.serve import Router
from tierwise.serve.http import app_of
from tierwise.serve.http_log import LogLines
from tierwise.serve.http_server import listen
from tierwise.serve.http_service import Service, Settings
from tierwise.serve.reload import ReloadingRouter

JSON = {"content-type": "application/json"}


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class Sidecar:
    """A running sidecar; its log goes to a file."""

    def __init__(self, service: Service, port: int, log: Path) -> None:
        self.service, self.port, self._log = service, port, log

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = JSON
    ) -> Reply:
        """Send one request on a connection of its own; a body that is no bytes becomes JSON."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, content, dict(headers))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def route(self, text: str = "prove the report", **step: Any) -> Any:
        """Return the decision of a step."""
        reply = self.call("POST", "/v1/route", {"text": text, **step})
        assert reply.status == 200, reply.body
        return reply.value

    def logged(self) -> list[dict[str, Any]]:
        """Return the lines of the log so far."""
        time.sleep(0.25)  # they are written together
        return [json.loads(line) for line in self._log.read_bytes().splitlines()]


@contextmanager
def sidecar(router: Router | ReloadingRouter, log: Path, **settings: Any) -> Iterator[Sidecar]:
    """Run a sidecar on a free port for as long as the block lasts."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    lines = LogLines(handle)
    service = Service(router, Settings(**settings), lines)
    with listen("127.0.0.1", 0, keys=False) as listener:
        config = uvicorn.Config(app_of(service), lifespan="off", log_config=None, ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Sidecar(service, listener.getsockname()[1], log)
        finally:
            server.should_exit = True
            thread.join()
            service.close()
            lines.close()
            os.close(handle)
