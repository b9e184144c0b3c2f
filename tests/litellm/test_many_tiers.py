"""A catalogue of six tiers, more than the complexity router could name."""

from __future__ import annotations

from pathlib import Path

from tests.litellm.proxies import running, served
from tierwise.router_model import role_bundle

TIERS = [f"tier-{number}" for number in range(6)]


def role_policy(folder: Path) -> Path:
    """Write a policy that serves role-N by tier-N."""
    prices = [
        f"  - {{name: {tier}, price_in: {n + 1}, price_out: 9}}\n" for n, tier in enumerate(TIERS)
    ]
    roles = [f"  role-{tier[-1]}: {tier}\n" for tier in TIERS]
    (folder / "tiers.yaml").write_text("tiers:\n" + "".join(prices))
    (folder / "roles.yaml").write_text("default: tier-5\nroles:\n" + "".join(roles))
    role_bundle.write(folder / "roles.yaml", folder / "tiers.yaml", folder / "policy")
    return folder / "policy"


def test_the_hook_serves_every_one_of_six_tiers(tmp_path: Path) -> None:
    models = [
        {
            "model_name": tier,
            "litellm_params": {"model": f"openai/{tier}", "api_key": "none", "mock_response": tier},
        }
        for tier in TIERS
    ]
    callbacks = {"callbacks": "tierwise.serve.litellm_hook.hook"}
    config = {"model_list": models, "litellm_settings": callbacks}
    with running(tmp_path, config, {"TIERWISE_POLICY": str(role_policy(tmp_path))}) as proxy:
        found = [served(proxy.ask("Hello", {"x-agent-role": f"role-{n}"})) for n in range(6)]
    assert found == TIERS
