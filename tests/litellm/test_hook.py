"""A real proxy routes by the policy; a pin holds whatever fails."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.litellm.conftest import ROLES
from tests.litellm.proxies import Proxy, served
from tierwise.serve.router import Router

Steps = dict[tuple[str, str], str]


def step_for(steps: Steps, tier: str) -> tuple[str, str]:
    return next(step for step, chosen in steps.items() if chosen == tier)


def test_every_step_is_served_by_the_tier_the_policy_chooses(
    proxy: Proxy, steps: Steps, down: str
) -> None:
    sound = {step: tier for step, tier in steps.items() if tier != down}
    assert len(set(steps.values())) > 1
    for (text, role), tier in sound.items():
        assert served(proxy.ask(text, {"x-agent-role": role})) == tier


def test_the_role_counts_in_metadata_as_in_the_header_and_the_header_wins(
    proxy: Proxy, steps: Steps, down: str
) -> None:
    text, one, other = next(
        (text, one, other)
        for (text, one), tier in steps.items()
        for other in ROLES
        if steps[text, other] != tier and down not in (tier, steps[text, other])
    )
    assert served(proxy.ask(text, metadata={"role": one})) == steps[text, one]
    answer = proxy.ask(text, {"x-agent-role": other}, metadata={"role": one})
    assert served(answer) == steps[text, other]


def test_a_pin_is_served_whatever_the_policy_chooses(
    proxy: Proxy, router: Router, steps: Steps, down: str
) -> None:
    (text, role), chosen = next(iter(steps.items()))
    for tier in router.manifest.tier_names:
        if tier != down:
            assert served(proxy.ask(text, {"x-agent-role": role, "x-tierwise-tier": tier})) == tier
            assert served(proxy.ask(text, metadata={"role": role, "tier": tier})) == tier
    assert chosen in router.manifest.tier_names


def test_a_step_without_a_pin_goes_to_the_fallback_of_litellm_when_its_tier_is_down(
    proxy: Proxy, steps: Steps, down: str, fallback: str
) -> None:
    text, role = step_for(steps, down)
    assert served(proxy.ask(text, {"x-agent-role": role})) == fallback


@pytest.mark.parametrize(
    "body",
    [{}, {"fallbacks": True}, {"disable_fallbacks": False}, {"stream": True}],
    ids=["plain", "with fallbacks asked for", "with fallbacks switched on", "streamed"],
)
def test_a_pinned_step_whose_tier_is_down_is_refused(
    proxy: Proxy, down: str, fallback: str, body: dict[str, object]
) -> None:
    if body.get("fallbacks"):
        body = {"fallbacks": [fallback]}
    answer = proxy.ask("Extract the invoice date", {"x-tierwise-tier": down}, **body)
    assert answer.status_code == 500
    assert fallback not in answer.text


def test_a_pin_holds_for_a_request_that_names_its_model_itself(
    proxy: Proxy, down: str, fallback: str
) -> None:
    assert served(proxy.ask("Hello", {"x-tierwise-tier": fallback}, model=fallback)) == fallback
    assert proxy.ask("Hello", {"x-tierwise-tier": down}, model=down).status_code == 500
    assert served(proxy.ask("Hello", model=down)) == fallback


def test_a_pin_does_not_lead_to_another_model_than_the_one_asked_for(
    proxy: Proxy, down: str, fallback: str
) -> None:
    """The key of a request may use that model, and nothing says that it may use the pin's."""
    assert proxy.ask("Hello", {"x-tierwise-tier": down}, model=fallback).status_code == 400


def test_a_rule_that_pins_a_step_is_kept_from_the_fallback_too(
    proxy: Proxy, steps: Steps, down: str, fallback: str
) -> None:
    text, role = next(step for step, tier in steps.items() if tier == fallback)
    metadata = {"role": role, "tenant": "regulated"}
    assert served(proxy.ask(text, metadata=metadata | {"tenant": "another"})) == fallback
    assert proxy.ask(text, metadata=metadata).status_code == 500


def test_a_pin_that_a_rule_forbids_is_refused(proxy: Proxy, fallback: str) -> None:
    answer = proxy.ask("Hello", {"x-tierwise-tier": fallback}, metadata={"tenant": "regulated"})
    assert answer.status_code == 503


def test_a_pin_that_is_no_tier_is_refused_with_the_names_of_the_tiers(
    proxy: Proxy, router: Router
) -> None:
    answer = proxy.ask("Hello", {"x-tierwise-tier": "gpt-9"})
    assert answer.status_code == 400
    assert all(tier in answer.text for tier in router.manifest.tier_names)


def test_a_request_for_another_model_is_left_alone(proxy: Proxy, steps: Steps, down: str) -> None:
    for tier in set(steps.values()) - {down}:
        assert served(proxy.ask("Extract the invoice date", model=tier)) == tier


def test_other_routes_are_routed_and_pinned_alike(proxy: Proxy, steps: Steps, down: str) -> None:
    text, role = next(step for step, tier in steps.items() if tier != down)
    messages = [{"role": "user", "content": text}]
    tier = steps[text, role]
    for route, body in (
        ("messages", {"messages": messages, "max_tokens": 99}),
        ("completions", {"prompt": text}),
    ):
        answer = proxy.send(route, {"model": "tierwise"} | body, {"x-agent-role": role})
        assert answer.headers["x-litellm-model-group"] == tier
        answer = proxy.send(route, {"model": "tierwise"} | body, {"x-tierwise-tier": down})
        assert answer.status_code == 500


def test_metadata_of_any_form_cost_the_step_nothing(proxy: Proxy, steps: Steps) -> None:
    text, _ = next(iter(steps))
    strange = {"role": ["a"], "tier": None, "input_complexity": "many", "trace_id": 7, "x": {}}
    assert Counter(proxy.ask(text, metadata=strange).status_code for _ in range(3)) == {200: 3}
