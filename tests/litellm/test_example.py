"""The configuration among the examples runs as it stands."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.litellm.proxies import running, served
from tierwise.serve.router import Router

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "litellm_config.yaml"
TEXT = "Extract the invoice date and the total as JSON."


def test_the_example_routes_to_the_tiers_of_the_simulated_fleet(
    policy: Path, router: Router, tmp_path: Path
) -> None:
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    with running(tmp_path, config, {"TIERWISE_POLICY": str(policy.resolve())}) as proxy:
        for role in ("extractor", "planner"):
            tier = router.decide(TEXT, role=role).tier
            assert served(proxy.ask(TEXT, {"x-agent-role": role})) == f"{tier} answers"
