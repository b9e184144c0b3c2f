"""A role table as a policy, before anything is learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tierwise.data.errors import BadInput
from tierwise.data.role_table import RoleTable
from tierwise.router_model import layout, role_bundle
from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.router_model.role_policy import fixed_tiers, preference

ROLES = """
default: mid
roles: {planner: frontier, worker: small, Critic: b}
"""
TIERS = """
tiers:
  - {name: a, latency_s: 1.0}
  - {name: b, latency_s: 2.0}
  - {name: c}
  - {name: d, latency_s: 8.0}
"""


def write(folder: Path, roles: str = ROLES, tiers: str = TIERS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "roles.yaml").write_text(roles)
    (folder / "tiers.yaml").write_text(tiers)
    role_bundle.write(folder / "roles.yaml", folder / "tiers.yaml", folder / "policy")
    return folder / "policy"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return verify_bundle(write(tmp_path_factory.mktemp("roles")))


def decide(
    bundle: VerifiedBundle, role: str, allowed: object = None, max_latency_s: float | None = None
) -> tuple[int, str]:
    vocabulary = bundle.manifest.context[0].vocabulary
    context = np.full((1, 4), np.nan, np.float32)
    if role in vocabulary:
        context[0, 0] = vocabulary.index(role)
    decision = bundle.graph.decide(b"text", context, allowed, max_latency_s=max_latency_s)
    return int(decision[layout.TIER]), layout.REASONS[int(decision[layout.REASON])]


def test_each_role_gets_its_tier(bundle: VerifiedBundle) -> None:
    assert decide(bundle, "planner") == (3, "fixed_role")
    assert decide(bundle, "worker") == (0, "fixed_role")
    assert decide(bundle, "critic") == (1, "fixed_role")


def test_any_other_role_gets_the_default(bundle: VerifiedBundle) -> None:
    assert decide(bundle, "somebody else") == (2, "fixed_role")


def test_an_outage_goes_to_the_next_dearer_tier_and_up(bundle: VerifiedBundle) -> None:
    assert decide(bundle, "critic", (1, 0, 1, 1)) == (2, "constrained")
    assert decide(bundle, "critic", (1, 0, 0, 1)) == (3, "constrained")


def test_where_no_dearer_tier_is_left_the_nearest_cheaper_serves(bundle: VerifiedBundle) -> None:
    assert decide(bundle, "critic", (1, 0, 0, 0)) == (0, "constrained")
    assert decide(bundle, "planner", (1, 1, 1, 0)) == (2, "constrained")
    assert decide(bundle, "planner", (1, 1, 0, 0)) == (1, "constrained")


def test_an_outage_of_another_tier_changes_nothing(bundle: VerifiedBundle) -> None:
    assert decide(bundle, "critic", (0, 1, 0, 0)) == (1, "fixed_role")


def test_with_every_tier_out_none_is_named(bundle: VerifiedBundle) -> None:
    assert decide(bundle, "critic", (0, 0, 0, 0)) == (-1, "none_allowed")


def test_a_latency_limit_takes_slow_tiers_out_and_unknown_latency_passes(
    bundle: VerifiedBundle,
) -> None:
    assert decide(bundle, "critic", max_latency_s=1.5) == (2, "constrained")
    assert decide(bundle, "planner", max_latency_s=4.0) == (2, "constrained")
    assert decide(bundle, "planner", (1, 1, 0, 1), max_latency_s=4.0) == (1, "constrained")


def test_a_floor_changes_nothing_since_nothing_is_certified(bundle: VerifiedBundle) -> None:
    context = np.full((1, 4), np.nan, np.float32)
    for floor in (None, 0.0, 0.5, 1.0):
        decision = bundle.graph.decide(b"text", context, floor=floor)
        assert decision[layout.TIER] == 2
        assert layout.REASONS[int(decision[layout.REASON])] == "fixed_role"


def test_unknown_quality_and_cost_are_nan_and_not_0(bundle: VerifiedBundle) -> None:
    context = np.full((1, 4), np.nan, np.float32)
    decision = bundle.graph.decide(b"text", context)
    for name in ("quality", "cost_usd", "total_cost_usd"):
        assert np.isnan(decision[layout.block(name, 4)]).all(), name
    np.testing.assert_array_equal(decision[layout.block("latency_s", 4)], [1, 2, np.nan, 8])


def test_the_manifest_names_the_roles_and_promises_nothing(bundle: VerifiedBundle) -> None:
    manifest = bundle.manifest
    assert manifest.role_table == {
        "default": "c",
        "roles": {"planner": "d", "worker": "a", "critic": "b"},
    }
    assert manifest.fallback == "c"
    assert "Nothing is promised" in manifest.promise
    assert manifest.floors == {}


def test_the_same_files_give_the_same_bundle(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    for file in one.iterdir():
        assert file.read_bytes() == (two / file.name).read_bytes()


@pytest.mark.parametrize("n_tiers", [2, 16])
def test_the_fewest_and_the_most_tiers_make_a_bundle(tmp_path: Path, n_tiers: int) -> None:
    lines = "".join(f"\n  - {{name: t{k}}}" for k in range(n_tiers))
    policy = write(tmp_path, "roles: {planner: frontier}", f"tiers:{lines}\n")
    bundle = verify_bundle(policy)
    assert decide(bundle, "planner") == (n_tiers - 1, "fixed_role")
    assert decide(bundle, "") == (n_tiers // 2, "fixed_role")


def test_a_missing_role_table_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="tierwise init"):
        role_bundle.write(tmp_path / "none.yaml", tmp_path / "tiers.yaml", tmp_path / "policy")


def test_a_role_table_of_an_unknown_tier_is_bad_input_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="huge"):
        write(tmp_path, "roles: {planner: huge}")
    assert not (tmp_path / "policy").exists()


def test_roles_match_whatever_their_case_and_blanks() -> None:
    table = RoleTable({"planner": "c"}, "a")
    assert fixed_tiers(table, (" Planner ", "worker"), ("a", "b", "c")) == (2, 0, 0)


def test_a_preference_is_own_tier_then_dearer_then_cheaper() -> None:
    order = np.argsort(-preference((1, 3, 0), 4), axis=1)
    assert order.tolist() == [[1, 2, 3, 0], [3, 2, 1, 0], [0, 1, 2, 3]]
