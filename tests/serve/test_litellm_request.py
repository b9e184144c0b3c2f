"""What a request to LiteLLM's proxy says about its step."""

from __future__ import annotations

from typing import Any

import pytest

from tierwise.data.errors import BadInput
from tierwise.serve.litellm_request import step_of
from tierwise.serve.litellm_settings import settings

COLUMNS = frozenset({"role", "task_type", "n_tools", "has_schema"})
ASKED = [{"role": "user", "content": "What is new?"}]


def request(bucket: str = "metadata", **more: Any) -> dict[str, Any]:
    said = {"role": "worker", "tier": "small", "trace_id": "t1", "task_type": "fill_form", "x": 1}
    return {"messages": ASKED, "litellm_call_id": "c1", bucket: {"requester_metadata": said}} | more


@pytest.mark.parametrize("bucket", ["metadata", "litellm_metadata"])
def test_metadata_are_read_wherever_the_route_keeps_them(bucket: str) -> None:
    step = step_of(request(bucket), COLUMNS)
    assert (step.role, step.pin, step.whose["trace_id"]) == ("worker", "small", "t1")
    assert step.context == {"task_type": "fill_form"}  # x is no column


def test_headers_win_over_metadata() -> None:
    headers = {"x-agent-role": "critic", "x-tierwise-tier": "mid", "x-litellm-session-id": "s"}
    step = step_of(request(proxy_server_request={"headers": headers}), COLUMNS)
    assert (step.role, step.pin, step.whose["trace_id"]) == ("critic", "mid", "s")


def test_a_request_without_a_trace_is_its_own_and_a_step_of_one_name() -> None:
    assert step_of({"messages": ASKED, "litellm_call_id": "c1"}, COLUMNS).whose == {
        "trace_id": "c1",
        "step_id": "c1",
    }


def test_what_the_proxy_adds_to_metadata_is_not_the_callers_word() -> None:
    data = {"messages": ASKED, "metadata": {"role": "admin", "requester_metadata": {}}}
    assert step_of(data, COLUMNS).role is None


@pytest.mark.parametrize("name", ["system", "instructions"])
def test_a_system_prompt_kept_apart_is_put_first(name: str) -> None:
    step = step_of({"input": "What is new?", name: "Be brief."}, COLUMNS)
    assert step.messages == [{"role": "system", "content": "Be brief."}, *ASKED]


def test_messages_of_a_strange_form_are_left_to_litellm_to_refuse() -> None:
    assert step_of({"messages": 7, "system": "Be brief."}, COLUMNS).messages == 7


def test_tools_and_the_form_of_the_answer_are_seen_and_the_caller_knows_better() -> None:
    body = {"tools": [{}, {}], "response_format": {"type": "json_schema"}}
    assert step_of({"messages": ASKED} | body, COLUMNS).context == {
        "n_tools": 2,
        "has_schema": True,
    }
    said = {"requester_metadata": {"n_tools": 9}}
    assert step_of({"messages": ASKED, "metadata": said} | body, COLUMNS).context["n_tools"] == 9


@pytest.mark.parametrize("strange", [None, "text", 7, [], {"requester_metadata": "text"}])
def test_metadata_of_a_strange_form_say_nothing(strange: object) -> None:
    data = {"messages": ASKED, "metadata": strange, "proxy_server_request": strange}
    assert step_of(data, COLUMNS).role is None


def test_a_proxy_that_is_told_no_policy_does_not_start() -> None:
    with pytest.raises(BadInput, match="TIERWISE_POLICY"):
        settings({})


def test_texts_are_written_only_for_a_plain_yes() -> None:
    environ = {"TIERWISE_POLICY": "policy", "TIERWISE_OUTCOMES": "rows.jsonl"}
    assert not settings(environ | {"TIERWISE_OUTCOMES_TEXT": "no"}).text
    assert settings(environ | {"TIERWISE_OUTCOMES_TEXT": "1"}).text
