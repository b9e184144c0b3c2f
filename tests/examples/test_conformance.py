"""The vectors beside the examples are what this version computes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.faults.bundles import write
from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.router_model.rules import Rules


@pytest.fixture(scope="module")
def kit(root: Path) -> ModuleType:
    return module(root / "examples/conformance/write.py")


@pytest.fixture(scope="module")
def ruled(root: Path) -> ModuleType:
    return module(root / "examples/conformance/rules.py")


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    folder = tmp_path_factory.mktemp("bundle") / "policy"
    write(folder, "medium", rules={"pins": [{"role": "planner", "tier": "large"}]})
    return verify_bundle(folder)


@pytest.mark.parametrize("name", ["texts", "contexts"])
def test_the_vectors_in_the_folder_are_those_of_this_version(
    kit: ModuleType, root: Path, name: str
) -> None:
    made: list[dict[str, Any]] = getattr(kit, name)()
    folder = root / "examples" / "conformance"
    assert (folder / f"{name}.jsonl").read_text(encoding="ascii") == kit.jsonl(made)


def test_every_rule_of_a_text_has_its_vector(root: Path) -> None:
    """An empty one, one that is cut, one of broken UTF-16, one with parts, one of text alone."""
    lines = (root / "examples/conformance/texts.jsonl").read_text(encoding="ascii").splitlines()
    vectors = [json.loads(line) for line in lines]
    sizes = {one["text_bytes"] for one in vectors}
    assert {0, 4096, 4097} <= sizes
    assert any(isinstance(one["messages"], str) for one in vectors)
    assert any("\\ud800" in line for line in lines)


def test_decisions_under_rules_begin_with_those_under_the_rules_of_the_bundle(
    ruled: ModuleType, bundle: VerifiedBundle
) -> None:
    lines = ruled.sets(bundle, np.random.default_rng(0), 0, 300)
    steps = next(lines)["steps"]
    rules = {one["decision"]["rule"] for one in steps if one["asked"].get("role") == "planner"}
    assert rules == {"role planner"}


def test_every_rule_and_every_reason_is_among_the_decisions(
    ruled: ModuleType, bundle: VerifiedBundle
) -> None:
    """All that needs no memory of earlier steps: no budget and no draw."""
    lines = [*ruled.sets(bundle, np.random.default_rng(0), 100, 30)]
    decisions = [one["decision"] for line in lines for one in line["steps"]]
    assert {made["reason"] for made in decisions} >= {
        *("pinned", "fixed_role", "constrained", "fallback", "none_allowed"),
    }
    assert {made["rule"].split(".")[0].split(" ")[0] for made in decisions} >= {
        *("pin", "forbidden_vendors", "outage", "fixed_roles", "frontier_only_for"),
        *("call", "latency_s", "floors", ""),
    }
    compiled = {name for line in lines for rules in line["rules"] for name in rules if rules[name]}
    assert compiled >= set(Rules().to_json()) - {"budgets", "explore"}


def test_the_same_seed_gives_the_same_decisions(ruled: ModuleType, bundle: VerifiedBundle) -> None:
    one, other = (json.dumps([*ruled.sets(bundle, np.random.default_rng(7), 5, 9)]) for _ in "ab")
    assert one == other
