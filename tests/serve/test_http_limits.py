"""Without a key nobody is served, and nobody is served more or larger than was set."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.sidecars import JSON, Sidecar, sidecar
from tierwise.data.errors import BadInput
from tierwise.serve import Router, http_limits
from tierwise.serve.http_limits import Bucket, read_keys

KEYS = ("k1-0123456789abcdef", "k2-0123456789abcdef")
MAX_BODY = 2_000
STEP = {"text": "x"}


@pytest.fixture(scope="module")
def router(bundle_folder: Path) -> Router:
    return Router.load(bundle_folder)


@pytest.fixture(scope="module")
def served(router: Router, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(router, tmp_path_factory.mktemp("log") / "log", max_body=MAX_BODY) as running:
        yield running


@pytest.fixture(scope="module")
def locked(router: Router, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    keys = tuple(hashlib.sha256(key.encode()).digest() for key in KEYS)
    with sidecar(router, tmp_path_factory.mktemp("log") / "log", keys=keys, rate=5.0) as running:
        yield running


def bearer(key: str) -> dict[str, str]:
    return {**JSON, "authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    "headers",
    [
        JSON,
        bearer(""),
        bearer("wrong-0123456789abcdef"),
        bearer(KEYS[0][:-1]),
        {**JSON, "authorization": f"Basic {KEYS[0]}"},
        {**JSON, "x-api-key": ""},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/route"),
        ("POST", "/v1/route/batch"),
        ("POST", "/v1/outcome"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/nothing"),
    ],
)
def test_without_a_known_key_nothing_is_served(
    locked: Sidecar, headers: dict[str, str], method: str, path: str
) -> None:
    reply = locked.call(method, path, STEP if method == "POST" else None, headers)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"


def test_each_key_is_let_in_in_either_header(locked: Sidecar) -> None:
    for key in KEYS:
        assert locked.call("GET", "/metrics", headers=bearer(key)).status == 200
        assert locked.call("GET", "/metrics", headers={"x-api-key": key}).status == 200


def test_probes_need_no_key(locked: Sidecar) -> None:
    assert locked.call("GET", "/healthz").status == 200
    assert locked.call("GET", "/readyz").status == 200


def test_openapi_says_where_a_key_is_needed(locked: Sidecar) -> None:
    said = locked.call("GET", "/openapi.json", headers=bearer(KEYS[0])).value
    assert said["security"] == [{"key": []}]
    assert said["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert said["paths"]["/healthz"]["get"]["security"] == []


def test_one_key_runs_out_of_steps_without_the_other(locked: Sidecar) -> None:
    steps = {"steps": [STEP] * 50}
    assert locked.call("POST", "/v1/route/batch", steps, bearer(KEYS[0])).status == 200
    reply = locked.call("POST", "/v1/route", STEP, bearer(KEYS[0]))
    assert (reply.status, reply.headers["retry-after"]) == (429, "1")
    assert locked.call("POST", "/v1/route", STEP, bearer(KEYS[1])).status == 200
    assert locked.call("GET", "/metrics", headers=bearer(KEYS[0])).status == 200


def test_a_bucket_gives_its_rate_on_average_and_as_much_at_once() -> None:
    now = 100.0
    bucket = Bucket(10.0, clock=lambda: now)
    assert sum(bucket.take() for _ in range(50)) == 10
    now += 0.35
    assert sum(bucket.take() for _ in range(50)) == 3
    now += 1_000.0
    assert sum(bucket.take() for _ in range(50)) == 10


def test_a_batch_may_overdraw_a_bucket_once() -> None:
    now = 0.0
    bucket = Bucket(10.0, clock=lambda: now)
    assert bucket.take()
    bucket.charge(29)
    now += 1.9
    assert not bucket.take()
    now += 0.3
    assert bucket.take()


def test_a_rate_below_one_step_a_second_still_serves_one() -> None:
    now = 0.0
    bucket = Bucket(0.5, clock=lambda: now)
    assert [bucket.take(), bucket.take()] == [True, False]
    now += 2.0
    assert bucket.take()


def test_a_body_beyond_the_limit_is_refused_by_its_head(served: Sidecar) -> None:
    reply = served.call("POST", "/v1/route", {"text": "x" * MAX_BODY})
    assert reply.status == 413
    assert str(MAX_BODY) in reply.value["detail"]


def test_a_body_is_counted_as_it_comes_whatever_its_head_says(served: Sidecar) -> None:
    chunk = b"3e8\r\n" + b"x" * 1_000 + b"\r\n"
    answer = exchange(served, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 3 * chunk)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_of_exactly_the_limit_is_read(served: Sidecar) -> None:
    empty = len(b'{"text":""}')
    body = b'{"text":"' + b"x" * (MAX_BODY - empty) + b'"}'
    assert served.call("POST", "/v1/route", body).status == 200


def test_a_body_in_pieces_is_read_whole(served: Sidecar) -> None:
    pieces = b'8\r\n{"text":\r\n4\r\n"x"}\r\n0\r\n\r\n'
    answer = exchange(served, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + pieces)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_whoever_is_slow_with_a_body_is_not_waited_for(
    served: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_limits, "_BODY_S", 0.2)
    answer = exchange(served, HEAD + b'Content-Length: 12\r\n\r\n{"text')
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_kind_is_refused(served: Sidecar, kind: str) -> None:
    """A web page may send these to this machine unasked, JSON it may not."""
    headers = {"content-type": kind} if kind else {}
    assert served.call("POST", "/v1/route", STEP, headers).status == 415


def test_json_may_name_its_encoding(served: Sidecar) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert served.call("POST", "/v1/route", STEP, headers).status == 200


def test_keys_are_read_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# of the gateway\n{KEYS[0]}\n\n  {KEYS[1]}  \n")
    assert read_keys(file) == tuple(hashlib.sha256(key.encode()).digest() for key in KEYS)


@pytest.mark.parametrize("content", [b"", b"# none\n", b"short\n", b"\xff" * 20])
def test_a_file_without_good_keys_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(BadInput):
        read_keys(tmp_path / "keys")
    with pytest.raises(BadInput, match="no keys in"):
        read_keys(tmp_path / "nothing")


HEAD = b"POST /v1/route HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def exchange(served: Sidecar, request: bytes) -> bytes:
    """Send bytes as they are, and return the first of what comes back."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(4_096)
