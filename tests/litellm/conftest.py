"""Two proxies, one with a sound policy and one with a broken one, and steps that the sound one
sends to different tiers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.litellm.proxies import Proxy, configuration, running
from tierwise.serve.router import Router

TEXTS = (
    "Extract the invoice date and the total as JSON.",
    "Plan the migration of the billing service to the new database, step by step.",
    "Redesign the access rights of the claims team. Stay below 80 words.",
    "Compare the medical reports of the billing team. Cite the line that supports each statement.",
)
ROLES = ("worker", "planner", "coder", "critic", "extractor", "router")


@pytest.fixture(scope="session")
def policy() -> Path:
    folder = Path(os.environ.get("TIERWISE_POLICY", "artifacts/fleet/policy"))
    if not (folder / "manifest.json").is_file():
        pytest.fail(f"no bundle in {folder}: run `make repro`, or set POLICY to one")
    return folder


@pytest.fixture(scope="session")
def router(policy: Path) -> Router:
    return Router.load(policy)


@pytest.fixture(scope="session")
def steps(router: Router) -> dict[tuple[str, str], str]:
    """The tier of every text and role."""
    return {(text, role): router.decide(text, role=role).tier for text in TEXTS for role in ROLES}


@pytest.fixture(scope="session")
def fallback(router: Router) -> str:
    return router.manifest.fallback


@pytest.fixture(scope="session")
def down(steps: dict[tuple[str, str], str], fallback: str) -> str:
    """The tier that is out of order: one that the policy chooses for some steps."""
    chosen = sorted(set(steps.values()) - {fallback})
    assert chosen, "the policy sends none of the texts to a tier other than the fallback"
    return chosen[0]


@pytest.fixture(scope="session")
def proxy(
    tmp_path_factory: pytest.TempPathFactory, policy: Path, router: Router, down: str, fallback: str
) -> Iterator[Proxy]:
    """Its rules pin the steps of one tenant to the tier that is out of order."""
    folder = tmp_path_factory.mktemp("proxy")
    pin = {"name": "regulated", "tier": down, "allowed": [down], "tenant": ["regulated"]}
    copy = with_rules(policy, folder / "policy", {"version": 1, "pins": [pin]})
    config = configuration(list(router.manifest.tier_names), down, fallback)
    with running(folder, config, {"TIERWISE_POLICY": str(copy)}) as started:
        yield started


def with_rules(policy: Path, copy: Path, rules: dict[str, Any]) -> Path:
    """Copy a bundle and write rules into its manifest."""
    shutil.copytree(policy, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    text = json.dumps(manifest | {"rules": [rules]})
    (copy / "manifest.json").write_text(text)
    (copy / "manifest.sha256").write_text(hashlib.sha256(text.encode()).hexdigest() + "\n")
    return copy


@pytest.fixture(scope="session")
def broken(
    tmp_path_factory: pytest.TempPathFactory, policy: Path, router: Router, down: str, fallback: str
) -> Iterator[Proxy]:
    """The same with a policy one byte of which was changed; texts go into the outcomes."""
    folder = tmp_path_factory.mktemp("broken")
    changed = folder / "policy"
    shutil.copytree(policy, changed)
    graph = bytearray((changed / "policy.onnx").read_bytes())
    graph[-1] ^= 1
    (changed / "policy.onnx").write_bytes(bytes(graph))
    environ = {
        "TIERWISE_POLICY": str(changed),
        "TIERWISE_FALLBACK": fallback,
        "TIERWISE_OUTCOMES_TEXT": "1",
    }
    config = configuration(list(router.manifest.tier_names), down, fallback)
    with running(folder, config, environ) as started:
        yield started
