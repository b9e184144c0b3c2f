"""What is sent to an API, and what becomes of whatever it answers."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tierwise.data.errors import BadInput
from tierwise.data.label_endpoint import Endpoint, ask, endpoint
from tierwise.data.label_price import Arm

ARM = Arm("mid", "mid-model", "high", 3.0, 0.3, 6.0)
MESSAGES = [{"role": "user", "content": "why?"}]


def ask_api(api: Any, key: str = "", timeout_s: float = 5.0, **more: Any) -> Any:
    return ask(Endpoint(api.url, key, timeout_s), ARM, MESSAGES, 77, **more)


def test_the_request_has_the_model_the_messages_the_limit_and_the_effort(api: Any) -> None:
    ask_api(api, seed=1)
    assert api.paths == ["/v1/chat/completions"]
    assert api.bodies == [
        {
            "model": "mid-model",
            "messages": MESSAGES,
            "max_tokens": 77,
            "reasoning_effort": "high",
            "seed": 1,
        }
    ]


def test_an_answer_has_its_text_its_tokens_and_their_price(api: Any) -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 500,
        "prompt_tokens_details": {"cached_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 300},
    }
    api.reply = lambda number, body: api.Reply(usage=usage)
    outcome = ask_api(api)
    cost = (600 * 3 + 400 * 0.3 + 500 * 6) / 1e6
    assert outcome.paid_usd == pytest.approx(cost)
    result = dict(outcome.result)
    assert 0 < result.pop("latency_s") < 5
    assert result == {
        "text": "fine",
        "cut": False,
        "cost_usd": outcome.paid_usd,
        "input_tokens": 1000,
        "cached_tokens": 400,
        "output_tokens": 500,
        "reasoning_tokens": 300,
    }


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": -5, "completion_tokens": 1}, {"prompt_tokens": "9"}],
)
def test_without_usage_tokens_and_cost_are_unknown_and_not_zero(api: Any, usage: Any) -> None:
    api.reply = lambda number, body: api.Reply(usage=usage)
    outcome = ask_api(api)
    assert outcome.paid_usd is None
    assert outcome.result["cost_usd"] is None
    assert outcome.result["input_tokens"] is None


def test_more_cached_tokens_than_tokens_are_not_believed(api: Any) -> None:
    details = {"cached_tokens": 11}
    api.reply = lambda number, body: api.Reply(
        usage={"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": details}
    )
    assert ask_api(api).result["cached_tokens"] is None


@pytest.mark.parametrize(
    ("status", "again", "paid"),
    [
        (429, True, 0.0),
        (500, True, 0.0),
        (503, True, 0.0),
        (504, True, None),
        (400, False, 0.0),
        (401, False, 0.0),
    ],
)
def test_a_status_says_whether_to_try_again_and_whether_it_may_have_cost(
    api: Any, status: int, again: bool, paid: float | None
) -> None:
    api.reply = lambda number, body: api.Reply(status=status, body=b"the prompt was: why?")
    outcome = ask_api(api)
    assert (outcome.result, outcome.error) == (None, f"HTTP {status}")
    assert (outcome.again, outcome.paid_usd) == (again, paid)


def test_the_pause_that_is_asked_for_is_read(api: Any) -> None:
    api.reply = lambda number, body: api.Reply(status=429, headers={"Retry-After": "7"})
    assert ask_api(api).wait_s == 7
    api.reply = lambda number, body: api.Reply(status=429, headers={"Retry-After": "Wed, 21 Oct"})
    assert ask_api(api).wait_s == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"not json", b"[1]", b'"x"', b"\xff\xfe", b'{"choices": []}', b'{"choices": [{}]}',
     b'{"choices": [{"message": {"content": null}}]}', b"[" * 100_000],
)  # fmt: skip
def test_an_answer_without_text_is_an_error_that_may_have_cost(api: Any, body: bytes) -> None:
    api.reply = lambda number, body_sent: api.Reply(body=body)
    outcome = ask_api(api)
    assert outcome.result is None
    assert outcome.paid_usd is None
    assert not outcome.again


def test_a_slow_answer_is_a_timeout_that_may_have_cost(api: Any) -> None:
    api.reply = lambda number, body: api.Reply(delay_s=5)
    outcome = ask_api(api, timeout_s=0.2)
    assert (outcome.error, outcome.paid_usd, outcome.again) == ("timeout", None, True)


def test_an_answer_that_drips_is_a_timeout_too(api: Any) -> None:
    api.reply = lambda number, body: api.Reply(drip_s=0.1)
    assert ask_api(api, timeout_s=0.5).error == "timeout"


def test_nobody_listening_costs_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    outcome = ask(Endpoint(f"http://127.0.0.1:{port}/v1"), ARM, MESSAGES, 5)
    assert "no connection" in outcome.error
    assert (outcome.paid_usd, outcome.again) == (0.0, True)


def test_a_connection_cut_short_may_have_cost(api: Any) -> None:
    api.reply = lambda number, body: api.Reply(body=b"{}", headers={"Transfer-Encoding": "chunked"})
    outcome = ask_api(api)
    assert outcome.result is None
    assert outcome.paid_usd is None


def test_the_key_comes_from_the_environment_and_goes_into_the_header_only(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", " sk-secret\n")
    to = endpoint(api.url + "/", "MY_KEY", 5.0)
    outcome = ask(to, ARM, MESSAGES, 5)
    assert api.headers[0]["Authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in repr(to) + repr(outcome) + repr(api.bodies)


def test_without_a_key_none_is_sent(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_KEY", raising=False)
    ask(endpoint(api.url, "MY_KEY", 5.0), ARM, MESSAGES, 5)
    assert "Authorization" not in api.headers[0]


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_is_not_followed_with_the_key(api: Any, status: int) -> None:
    elsewhere = {"Location": api.url + "/elsewhere"}
    api.reply = lambda number, body: api.Reply(status=status, headers=elsewhere)
    assert ask_api(api, key="sk-secret").error == f"HTTP {status}"
    assert len(api.paths) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1:80", "http://", "ftp://x/v1"])
def test_an_address_that_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="endpoint"):
        endpoint(url, "MY_KEY", 5.0)


def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret\nX-Evil: 1")
    with pytest.raises(BadInput, match="MY_KEY") as caught:
        endpoint("http://127.0.0.1:1", "MY_KEY", 5.0)
    assert "secret" not in str(caught.value)
