"""Policies that serve each role by one tier, written in a moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tierwise.router_model import role_bundle


def role_policy(folder: Path, tiers: Sequence[str], roles: Mapping[str, str]) -> Path:
    """Write a bundle of these tiers, cheap to dear; the last one serves every other role."""
    folder.mkdir(parents=True, exist_ok=True)
    prices = [
        f"  - {{name: {tier}, price_in: {n + 1}, price_out: 9}}\n" for n, tier in enumerate(tiers)
    ]
    table = [f"  {role}: {tier}\n" for role, tier in roles.items()]
    (folder / "tiers.yaml").write_text("tiers:\n" + "".join(prices))
    (folder / "roles.yaml").write_text(f"default: {tiers[-1]}\nroles:\n" + "".join(table))
    role_bundle.write(folder / "roles.yaml", folder / "tiers.yaml", folder / "policy")
    return folder / "policy"


def mock_models(tiers: Sequence[str]) -> list[dict[str, Any]]:
    """Return a proxy's model_list: every tier answers with its name."""
    return [
        {
            "model_name": tier,
            "litellm_params": {"model": f"openai/{tier}", "api_key": "none", "mock_response": tier},
        }
        for tier in tiers
    ]
