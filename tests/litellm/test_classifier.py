"""The complexity router of a real proxy, with the policy as its classifier."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace

import pytest

from tests.litellm.proxies import Proxy, served
from tierwise.data.errors import BadInput
from tierwise.serve.router import Router

Steps = dict[tuple[str, str], str]


def test_every_step_is_served_by_the_tier_the_policy_chooses(
    proxy: Proxy, steps: Steps, down: str
) -> None:
    for (text, role), tier in steps.items():
        if tier != down:
            answer = proxy.ask(text, {"x-agent-role": role}, model="by-complexity")
            assert served(answer) == tier
            assert answer.headers["x-litellm-complexity-router-cause"] == "classifier_plugin"


def test_a_policy_of_more_than_four_tiers_is_sent_to_the_hook(
    policy: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "TIERWISE_POLICY", str(policy))
    from tierwise.serve.litellm_classifier import TierClassifier

    with pytest.raises(BadInput, match="litellm_hook"):
        TierClassifier(SimpleNamespace(tiers=tuple("abcde")))


def test_a_step_the_policy_cannot_decide_is_left_to_litellm(
    router: Router, policy: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "TIERWISE_POLICY", str(policy))
    from tierwise.serve.litellm_classifier import TierClassifier

    request = SimpleNamespace(structured_messages=7, metadata={})
    following = SimpleNamespace(tiers=router.manifest.tier_names, router=router)
    assert asyncio.run(TierClassifier(following).classify(request)) is None
