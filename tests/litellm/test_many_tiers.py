"""A catalogue of six tiers, more than the complexity router could name."""

from __future__ import annotations

from pathlib import Path

from tests.litellm.policies import mock_models, role_policy
from tests.litellm.proxies import running, served

TIERS = [f"tier-{number}" for number in range(6)]


def test_the_hook_serves_every_one_of_six_tiers(tmp_path: Path) -> None:
    policy = role_policy(tmp_path, TIERS, {f"role-{tier[-1]}": tier for tier in TIERS})
    callbacks = {"callbacks": "tierwise.serve.litellm_hook.hook"}
    config = {"model_list": mock_models(TIERS), "litellm_settings": callbacks}
    with running(tmp_path, config, {"TIERWISE_POLICY": str(policy)}) as proxy:
        found = [served(proxy.ask("Hello", {"x-agent-role": f"role-{n}"})) for n in range(6)]
    assert found == TIERS
