"""Who may ask, how often and how much: one ASGI layer before anything reads a request."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tierwise.data.errors import BadInput
from tierwise.serve.http_answers import Refused

PROBES = frozenset({"/healthz", "/readyz"})
_SHORTEST_KEY = 16
_BODY_S = 10.0  # to send a body, once its head has come


def read_keys(path: Path) -> tuple[bytes, ...]:
    """Read API keys, one a line; empty lines and lines that begin with # are passed over.

    Returns
    -------
    tuple of bytes
        Their SHA-256: keys of any length are compared in the same time, and none is kept.

    Raises
    ------
    BadInput
        Where the file cannot be read, holds no key or one of fewer than 16 characters.
    """
    todo = "write one with openssl rand -hex 32"
    try:
        lines = [line.strip() for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"no keys in {path} ({error})", "a key in ASCII a line", todo) from None
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys or min(map(len, keys)) < _SHORTEST_KEY:
        found = f"a key of fewer than {_SHORTEST_KEY} characters" if keys else "no key"
        raise BadInput(f"{found} in {path}", f"at least {_SHORTEST_KEY} characters a line", todo)
    return tuple(_digest(key.encode()) for key in keys)


class Bucket:
    """A token bucket: `rate` steps a second on average, as many at once.

    Parameters
    ----------
    rate : float
        Steps a second, above 0.
    clock : callable
        Seconds since some moment.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._left, self._at = max(rate, 1.0), clock()

    def take(self, steps: int = 1) -> bool:
        """Take steps out, and tell whether that was possible.

        It is while anything is left: a batch may overdraw, and what follows it waits for that.
        """
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._rate, max(self._rate, 1.0))
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= steps
        return True

    def charge(self, steps: int) -> None:
        """Take more steps of a request that was let in."""
        self._left -= steps


class Limits:
    """Refuses before the application sees anything: 401, 413, 415, 429, or 408 for a slow body.

    Whoever sends JSON has to say so: a web page cannot do that across origins unasked, so no page
    in a browser on this machine reaches a sidecar without a key.

    Parameters
    ----------
    app : ASGI application
        Gets a request's whole body in one message, and the key's bucket as `state.bucket`.
    keys : sequence of bytes
        SHA-256 of the API keys; empty lets everyone in.
    max_body : int
        Bytes, counted as they come, whatever the head says.
    rate : float, optional
        Steps a second of one key (of all together without keys).
    """

    def __init__(
        self, app: ASGIApp, keys: Sequence[bytes], max_body: int, rate: float | None
    ) -> None:
        self._app, self._keys, self._max_body = app, tuple(keys), max_body
        names = self._keys or (b"",)
        self._buckets = {} if rate is None else {name: Bucket(rate) for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or refuse it."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        try:
            bucket = self._admit(scope)
            if scope["method"] == "POST":
                body = await self._body(scope, receive)
                receive = _replayed(body, receive)
        except Refused as refused:
            await answer(send, refused.status, refused.body(), refused.headers())
            return
        except ConnectionError:
            return  # whoever asked is gone
        scope.setdefault("state", {})["bucket"] = bucket
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> Bucket | None:
        key = b""
        if self._keys:
            given = _digest(_given(scope["headers"]))
            matches = [one for one in self._keys if hmac.compare_digest(one, given)]
            if not matches:
                raise Refused(401, "no known API key; send one as Authorization: Bearer KEY")
            key = matches[0]
        bucket = self._buckets.get(key)
        if bucket is not None and scope["path"].startswith("/v1/") and not bucket.take():
            raise Refused(429, "more steps a second than this key may ask for", retry_s=1)
        return bucket

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        heads = {name: value for name, value in scope["headers"] if name.startswith(b"content-")}
        kind = heads.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            raise Refused(415, "a body of another kind; send Content-Type: application/json")
        if int(heads.get(b"content-length", b"0")) > self._max_body:
            raise self._too_large()
        body = b""
        try:
            async with asyncio.timeout(_BODY_S):
                more = True
                while more and len(body) <= self._max_body:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionError
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
        except TimeoutError:
            raise Refused(408, f"no whole body within {_BODY_S:.0f} s") from None
        if len(body) > self._max_body:
            raise self._too_large()
        return body

    def _too_large(self) -> Refused:
        return Refused(413, f"a body of more than {self._max_body} bytes")


async def answer(
    send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """Send a whole answer in JSON."""
    head = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Give a body that was read already, then what comes after it."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


def _given(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == b"authorization":
            kind, _, key = value.partition(b" ")
            return key.strip() if kind.lower() == b"bearer" else b""
        if name == b"x-api-key":
            return value
    return b""


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
