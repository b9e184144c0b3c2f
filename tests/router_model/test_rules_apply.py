"""Applying rules makes a new version of a bundle and touches no byte of the graph."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tierwise.data.errors import BadInput
from tierwise.data.starter import RULES as RULES_YAML
from tierwise.data.tiers import Tier
from tierwise.router_model.bundle import verify_bundle, write_bundle
from tierwise.router_model.manifest import BundleError, Manifest
from tierwise.router_model.rules import Known
from tierwise.router_model.rules_apply import apply_rules
from tierwise.router_model.rules_audit import audit, lines
from tierwise.router_model.rules_conflicts import warnings
from tierwise.router_model.rules_file import read_file
from tierwise.serve import Router

RULES = """\
pins:
  - {name: plans, role: planner, tier: large, why: a bad plan spoils the rest}
  - {tenant: [t, u], unless: {role: planner}, allowed: [small, medium]}
floors: {worker: 0.9}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_only_the_version_and_the_rules_change(bundle: Path, rules: Path, tmp_path: Path) -> None:
    manifest, warned = apply_rules(bundle, rules, tmp_path / "new")
    before, after = verify_bundle(bundle), verify_bundle(tmp_path / "new")
    assert warned == []
    assert after.manifest == manifest
    assert manifest.policy_version.startswith("v1+rules.")
    back = replace(manifest, policy_version="v1", rules=())
    assert back == before.manifest
    for name in ("policy.onnx", "golden.jsonl"):
        assert (tmp_path / "new" / name).read_bytes() == (bundle / name).read_bytes()


def test_the_new_bundle_serves_by_its_rules(bundle: Path, rules: Path) -> None:
    apply_rules(bundle, rules)
    made = Router.load(bundle).decide("a", role="planner")
    assert (made.tier, made.reason, made.rule) == ("large", "pinned", "plans")


def test_other_rules_take_the_place_of_all_and_the_base_version_stays(
    bundle: Path, rules: Path
) -> None:
    first, _ = apply_rules(bundle, rules)
    again, _ = apply_rules(bundle, rules)
    assert again == first
    rules.write_text("fixed_roles: {worker: small}")
    second, _ = apply_rules(bundle, rules)
    assert second.policy_version != first.policy_version
    assert second.policy_version.count("+rules.") == 1
    rules.write_text("# nothing\n")
    third, _ = apply_rules(bundle, rules)
    assert (third.policy_version, third.rules) == ("v1", ())


@pytest.mark.parametrize(
    "text",
    [
        "pins: [",
        "pins:\n  - {role: planner, tier: huge}\n",
        "floors: {worker: 1}\nfloors: {}\n",
        "7",
    ],
)
def test_rules_that_cannot_be_honored_leave_the_bundle_as_it_was(
    bundle: Path, rules: Path, tmp_path: Path, text: str
) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    rules.write_text(text)
    with pytest.raises(BadInput) as caught:
        apply_rules(bundle, rules)
    assert "rules.yaml" in str(caught.value)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    with pytest.raises(BadInput):
        apply_rules(bundle, rules, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_key_that_stands_twice_is_named(rules: Path, manifest: Manifest) -> None:
    rules.write_text("floors: {worker: 0.9}\nlatency_s: {}\nfloors: {planner: 0.9}\n")
    with pytest.raises(BadInput, match="floors stands twice"):
        read_file(rules, Known.of(manifest))


def test_a_shared_part_may_be_merged_in(rules: Path, manifest: Manifest) -> None:
    rules.write_text(
        "pins:\n- &one {name: a, role: planner, tier: large}\n- {<<: *one, name: b, role: worker}\n"
    )
    assert [pin.tier for pin in read_file(rules, Known.of(manifest)).pins] == ["large", "large"]


def test_yaml_runs_nothing(rules: Path, manifest: Manifest) -> None:
    rules.write_text("!!python/object/apply:os.getcwd []")
    with pytest.raises(BadInput, match="not YAML"):
        read_file(rules, Known.of(manifest))


def test_a_spoiled_bundle_gets_no_rules(bundle: Path, rules: Path) -> None:
    with (bundle / "policy.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError):
        apply_rules(bundle, rules)


def test_a_folder_of_other_things_is_not_replaced(bundle: Path, rules: Path) -> None:
    with pytest.raises(BadInput, match="no bundle"):
        apply_rules(bundle, rules, rules.parent)
    assert rules.exists()


def test_a_signature_of_the_old_manifest_is_not_carried_over(
    bundle: Path, rules: Path, tmp_path: Path
) -> None:
    shutil.copytree(bundle, tmp_path / "signed")
    (tmp_path / "signed" / "manifest.sig").write_bytes(b"x" * 64)
    apply_rules(tmp_path / "signed", rules)
    assert not (tmp_path / "signed" / "manifest.sig").exists()


def test_the_audit_lists_every_pin_with_its_steps_tiers_and_reason(
    bundle: Path, rules: Path
) -> None:
    apply_rules(bundle, rules)
    found = audit(bundle)
    assert found["pins"] == [
        {
            "name": "plans", "steps": "role planner", "tier": "large", "allowed": ["large"],
            "why": "a bad plan spoils the rest",
        },
        {
            "name": "tenant t/u", "steps": "tenant t or u, unless role planner", "tier": None,
            "allowed": ["small", "medium"], "why": "",
        },
    ]  # fmt: skip
    assert found["rules"] == {"version": 1, "floors": {"worker": 0.9}}
    said = "\n".join(lines(found))
    assert "tiers   large" in said
    assert "the model's choice of small, medium" in said
    assert "nobody says" in said


def test_the_audit_of_a_bundle_without_rules_says_so(bundle: Path) -> None:
    assert lines(audit(bundle))[1:] == ["no rules"]


def test_a_stand_in_is_listed(bundle: Path, rules: Path, manifest: Manifest) -> None:
    rules.write_text("pins: [{role: planner, tier: large, allowed: [large, medium]}]")
    apply_rules(bundle, rules)
    assert "  tiers   large; if it is out: medium" in lines(audit(bundle))


def test_a_vendor_is_known_by_the_manifests_tiers(
    bundle: Path, rules: Path, manifest: Manifest, model_bytes: bytes
) -> None:
    verified = verify_bundle(bundle)
    tiers = tuple(Tier(name, vendor="v" + name) for name in manifest.tier_names)
    write_bundle(bundle, model_bytes, replace(manifest, tiers=tiers), verified.golden)
    rules.write_text("forbidden_vendors: [vlarge]")
    apply_rules(bundle, rules)
    assert Router.load(bundle).decide("a").tier == "medium"


def test_the_examples_of_the_starter_and_of_the_docs_can_all_hold(
    root: Path, tmp_path: Path
) -> None:
    docs = (root / "docs" / "rules.md").read_text(encoding="utf-8")
    examples = [docs.partition("```yaml\n")[2].partition("```")[0]]
    marked = [line for line in RULES_YAML.splitlines()[3:] if line.startswith("# ")]
    examples.append("\n".join(line[2:] for line in marked))
    tiers = [("small", "vendor-b"), ("mid", "vendor-b"), ("mid-high", "vendor-b")]
    tiers += [("frontier", "vendor-a"), ("other", "vendor-c"), ("last", "vendor-x")]
    known = Known(
        tuple(Tier(name, vendor=vendor) for name, vendor in tiers),
        ("planner", "worker", "extract", "router", "coder", "critic"),
        ("pay",),
    )
    for text in examples:
        (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
        rules = read_file(tmp_path / "rules.yaml", known)
        assert rules.pins
        assert rules.explore is not None
        assert rules.budgets is not None
        assert warnings(rules, known) == ()
