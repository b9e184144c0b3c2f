"""Every example runs as it stands, and asks for the model that the policy chooses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.conftest import Endpoint
from tierwise.serve import Router

TEXT = "Plan the migration of the billing service to the new database, step by step."


@pytest.fixture
def sidecar(policy: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a sidecar that keeps outcomes in `outcomes.jsonl`."""
    command = [str(Path(sys.executable).parent / "tierwise"), "serve", str(policy), "--json"]
    with subprocess.Popen(
        [*command, "--port", "0", "--outcomes", str(tmp_path / "outcomes.jsonl")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        where = json.loads(process.stdout.readline())
        yield f"http://{where['host']}:{where['port']}"
        process.terminate()


def test_the_openai_client_goes_through_the_sidecar_and_reports_what_came_of_it(
    endpoint: Endpoint, sidecar: str, router: Router, tmp_path: Path
) -> None:
    said = endpoint.run(tmp_path, "openai_client.py", TEXT, TIERWISE_URL=sidecar)
    tier = router.decide(TEXT, role="worker").tier
    assert endpoint.models == [tier]
    assert f"answer of {tier}" in said
    (line,) = (tmp_path / "outcomes.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["trace_id"], row["tier"], row["model"]) == ("example", tier, f"{tier}-model")
    assert (row["input_tokens"], row["output_tokens"], row["valid"]) == (7, 5, True)


def test_nodes_of_langgraph_are_routed_by_their_roles(
    endpoint: Endpoint, policy: Path, router: Router, tmp_path: Path
) -> None:
    said = endpoint.run(tmp_path, "langgraph_node.py", str(policy), TEXT)
    asked = [{"role": "user", "content": TEXT}]
    first = router.decide(asked, role="planner").tier
    asked.append({"role": "assistant", "content": f"answer of {first}"})
    second = router.decide(asked, role="critic", previous_tier=first).tier
    assert endpoint.models == [first, second]
    assert said.splitlines() == [f"{tier}: answer of {tier}" for tier in (first, second)]


def test_an_agent_of_crewai_is_served_by_the_tier_the_policy_chooses(
    endpoint: Endpoint, policy: Path, router: Router, tmp_path: Path
) -> None:
    said = endpoint.run(tmp_path, "crewai_llm.py", str(policy), TEXT)
    assert endpoint.models
    assert set(endpoint.models) <= set(router.manifest.tier_names)
    tiers = ", ".join(endpoint.models)
    assert f"{tiers}: answer of {endpoint.models[-1]}" in said


def test_an_agent_of_the_agent_framework_is_served_by_the_tier_the_policy_chooses(
    endpoint: Endpoint, policy: Path, router: Router, tmp_path: Path
) -> None:
    said = endpoint.run(tmp_path, "agent_framework_middleware.py", str(policy), TEXT)
    asked = [
        {"role": "system", "content": "You plan the work of others."},
        {"role": "user", "content": TEXT},
    ]
    tier = router.decide(asked, role="planner").tier
    assert endpoint.models == [tier]
    assert f"{tier}: answer of {tier}" in said
