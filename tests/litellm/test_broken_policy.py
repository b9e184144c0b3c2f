"""A bundle that is not as it was built decides nothing; the fallback serves, and pins hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.litellm.proxies import Proxy, served
from tierwise.data.errors import BadInput
from tierwise.serve.litellm_policy import Policy
from tierwise.serve.litellm_settings import settings

Steps = dict[tuple[str, str], str]


def test_the_fallback_serves_every_step(broken: Proxy, steps: Steps, fallback: str) -> None:
    for text, role in list(steps)[::7]:
        assert served(broken.ask(text, {"x-agent-role": role})) == fallback


def test_a_pin_is_served_and_still_refused_where_its_tier_is_down(
    broken: Proxy, steps: Steps, down: str
) -> None:
    other = next(tier for tier in steps.values() if tier != down)
    assert served(broken.ask("Hello", {"x-tierwise-tier": other})) == other
    assert broken.ask("Hello", {"x-tierwise-tier": down}).status_code == 500


def test_the_complexity_router_goes_to_its_default_model(broken: Proxy, fallback: str) -> None:
    answer = broken.ask("Extract the invoice date", model="by-complexity")
    assert served(answer) == fallback
    assert answer.headers["x-litellm-complexity-router-cause"] == "default_model_fallback"


def test_a_proxy_with_neither_policy_nor_fallback_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"manifest\.json"):
        Policy(settings({"TIERWISE_POLICY": str(tmp_path)}))
