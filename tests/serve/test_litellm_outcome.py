"""From LiteLLM's payload to a row of the trace table."""

from __future__ import annotations

from typing import Any

from tierwise.serve import Router
from tierwise.serve.litellm_outcome import Open, outcome
from tierwise.serve.litellm_request import Step

PAYLOAD: dict[str, Any] = {
    "status": "success",
    "model": "openai/mid-model",
    "model_group": "mid",
    "prompt_tokens": 900,
    "completion_tokens": 120,
    "response_cost": 0.004,
    "response_time": 1.5,
    "startTime": 1_795_330_982.5,
    "metadata": {
        "usage_object": {
            "prompt_tokens_details": {"cached_tokens": 800},
            "completion_tokens_details": {"reasoning_tokens": 100},
        }
    },
}


def row(router: Router, attempts: int = 0, **changes: Any) -> dict[str, Any]:
    step = Step("Extract the date", role="worker", whose={"trace_id": "t1", "tenant": "acme"})
    return outcome(Open(step, router.decide("Extract the date"), attempts), PAYLOAD | changes)


def test_tokens_cost_time_and_the_model_that_answered_are_written_down(router: Router) -> None:
    found = row(router)
    assert (found["tier"], found["model"]) == ("mid", "openai/mid-model")
    assert (found["input_tokens"], found["cached_tokens"]) == (900, 800)
    assert (found["output_tokens"], found["reasoning_tokens"]) == (120, 100)
    assert (found["cost_usd"], found["latency_s"]) == (0.004, 1.5)
    assert (found["trace_id"], found["tenant"], found["role"]) == ("t1", "acme", "worker")


def test_a_price_litellm_does_not_know_is_no_cost_of_zero(router: Router) -> None:
    assert row(router, response_cost=0.0)["cost_usd"] is None


def test_a_failed_call_tells_nothing_about_answers(router: Router) -> None:
    found = row(router, status="failure", error_information={"error_class": "Timeout"})
    assert found["error"] == "Timeout"
    assert [found[name] for name in ("valid", "quality", "cost_usd", "input_tokens")] == [None] * 4


def test_a_later_attempt_was_drawn_from_nothing(router: Router) -> None:
    drawn = router.decide("Extract the date").tier
    assert row(router, model_group=drawn)["propensity"] == 1.0
    later = row(router, attempts=2, model_group=drawn)
    assert (later["attempt"], later["propensity"]) == (2, None)


def test_a_tier_that_litellm_put_in_place_of_the_decisions_was_not_drawn(router: Router) -> None:
    assert row(router)["tier"] != router.decide("Extract the date").tier
    assert row(router)["propensity"] is None


def test_usage_without_details_leaves_them_unknown(router: Router) -> None:
    assert row(router, metadata={"usage_object": None})["cached_tokens"] is None
