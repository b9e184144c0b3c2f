"""The example that needs nothing but tierwise runs as it stands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tierwise.data.starter import TIERS
from tierwise.router_model import role_bundle

ROLES = "default: mid\nroles: {planner: frontier, extractor: small}\n"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "roles.yaml").write_text(ROLES)
    (tmp_path / "tiers.yaml").write_text(TIERS)
    folder = tmp_path / "policy"
    role_bundle.write(tmp_path / "roles.yaml", tmp_path / "tiers.yaml", folder)
    return folder


def test_plan_and_execute_escalates_and_leaves_rows_of_the_trace_table(
    root: Path, policy: Path
) -> None:
    command = [sys.executable, str(root / "examples/plan_and_execute.py"), str(policy)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    told = [line.partition(":")[0] for line in lines if not line.startswith("{")]
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    assert told == ["frontier", "small -> mid", "mid", "mid"]
    assert [(row["step_id"], row["tier"], row["valid"]) for row in rows] == [
        ("s0", "frontier", True),
        ("s1", "small", False),
        ("s1", "mid", True),
        ("s2", "mid", True),
        ("s3", "mid", True),
    ]
    assert rows[2]["previous_failed"] is True
