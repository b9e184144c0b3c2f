"""One try of a call to an OpenAI-compatible endpoint."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tierwise.data.errors import BadInput
from tierwise.data.label_calls import cost_of, token_count
from tierwise.data.label_price import Arm
from tierwise.data.label_work import Outcome

_LARGEST_ANSWER = 16 * 2**20  # bytes
_CHUNK = 2**16
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_PERHAPS_PAID = frozenset({408, 502, 504})
"""A gateway gave up waiting: the model behind it may have answered all the same."""


@dataclass(frozen=True)
class Endpoint:
    """Where an OpenAI-compatible API listens.

    Attributes
    ----------
    url : str
        Base, as in https://api.example.com/v1; calls go to `url`/chat/completions.
    key : str
        Sent as a bearer token where not empty; never shown.
    timeout_s : float
        For the whole of an answer.
    """

    url: str
    key: str = field(default="", repr=False)
    timeout_s: float = 120.0


_UNSENT = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would take the key to a host that nobody named."""

    def redirect_request(self, *arguments: Any, **names: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def endpoint(url: str, key_variable: str, timeout_s: float) -> Endpoint:
    """Check an address and read the key from the environment.

    Raises
    ------
    BadInput
        For an address that is not http or https, or a key that cannot be sent.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(
            f"the endpoint {parts.scheme or url}", "an address like http://127.0.0.1:4000/v1",
            "mend --endpoint",
        )  # fmt: skip
    key = os.environ.get(key_variable, "").strip()
    if not key.isascii() or any(ord(letter) < 33 for letter in key):
        raise BadInput(
            f"the key in {key_variable} has spaces or letters beyond ASCII", "a bare key",
            f"export {key_variable} again",
        )  # fmt: skip
    return Endpoint(url.rstrip("/"), key, timeout_s)


def ask(
    to: Endpoint,
    arm: Arm,
    messages: Sequence[Mapping[str, Any]],
    max_tokens: int,
    **more: Any,
) -> Outcome:
    """Ask an endpoint once.

    Parameters
    ----------
    to : Endpoint
    arm : Arm
        Its model and effort are asked; its prices say what the answer cost.
    messages : sequence of dict
        The conversation.
    max_tokens : int
        Longest answer.
    **more
        Further fields of the request.

    Returns
    -------
    Outcome
        Its result has text, cut (at max_tokens), latency_s, cost_usd and token counts; what the
        endpoint does not say is None. Errors name a status or a kind, never a text.
    """
    body: dict[str, Any] = {"model": arm.model, "messages": list(messages)}
    body |= {"max_tokens": max_tokens, **more}
    if arm.effort and arm.effort != "default":
        body["reasoning_effort"] = arm.effort
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if to.key:
        headers["Authorization"] = f"Bearer {to.key}"
    request = urllib.request.Request(
        f"{to.url}/chat/completions", json.dumps(body).encode(), headers, method="POST"
    )
    begin = time.monotonic()
    try:
        with _OPENER.open(request, timeout=to.timeout_s) as response:
            content = _read(response, begin + to.timeout_s)
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error.code, error.headers.get("Retry-After", ""))
    except TimeoutError:
        return Outcome(None, "timeout", None, again=True)
    except urllib.error.URLError as error:
        late = isinstance(error.reason, TimeoutError)
        unsent = isinstance(error.reason, _UNSENT)
        why = "timeout" if late else f"no connection ({type(error.reason).__name__})"
        return Outcome(None, why, 0.0 if unsent else None, again=True)
    except (OSError, http.client.HTTPException) as error:
        return Outcome(None, f"connection lost ({type(error).__name__})", None, again=True)
    return _answered(content, arm, time.monotonic() - begin)


def _read(response: http.client.HTTPResponse, end: float) -> bytes:
    """Read an answer; a socket's timeout alone would let a slow one drip forever."""
    parts, size = [], 0
    while chunk := response.read1(_CHUNK):
        parts.append(chunk)
        size += len(chunk)
        if time.monotonic() > end:
            raise TimeoutError
        if size > _LARGEST_ANSWER:
            raise http.client.HTTPException("too large")
    return b"".join(parts)


def _refused(status: int, retry_after: str) -> Outcome:
    wait = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
    paid = None if status in _PERHAPS_PAID else 0.0
    return Outcome(None, f"HTTP {status}", paid, again=status in _AGAIN, wait_s=wait)


def _answered(content: bytes, arm: Arm, latency_s: float) -> Outcome:
    try:
        value = json.loads(content)
        usage = value.get("usage")
        counts = _usage(usage if isinstance(usage, Mapping) else {})
    except (ValueError, AttributeError, RecursionError):
        return Outcome(None, "the answer is not JSON of the API", None)
    cost = cost_of(counts, arm)
    try:
        choice = value["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        return Outcome(None, "the answer holds no text", cost)
    cut = choice.get("finish_reason") == "length"
    told = {"text": text, "cut": cut, "latency_s": latency_s, "cost_usd": cost, **counts}
    return Outcome(told, paid_usd=cost)


def _usage(usage: Mapping[str, Any]) -> dict[str, int | None]:
    def inner(name: str, key: str) -> int | None:
        details = usage.get(name)
        return token_count(details.get(key)) if isinstance(details, Mapping) else None

    asked = token_count(usage.get("prompt_tokens"))
    cached = inner("prompt_tokens_details", "cached_tokens")
    if asked is None or (cached is not None and cached > asked):
        cached = None
    return {
        "input_tokens": asked,
        "cached_tokens": cached,
        "output_tokens": token_count(usage.get("completion_tokens")),
        "reasoning_tokens": inner("completion_tokens_details", "reasoning_tokens"),
    }
