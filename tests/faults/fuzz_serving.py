"""What is fuzzed of a gateway: bundles and their parts, rules, decisions."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.strategies import Target, edited, edits, messages, scalars, values, words
from tests.router_model.test_signature import PUBLIC
from tierwise.data.errors import BadInput
from tierwise.router_model import golden, role_bundle
from tierwise.router_model.bundle import verify_bundle
from tierwise.router_model.graph_check import check_graph
from tierwise.router_model.manifest import BundleError, Manifest
from tierwise.router_model.rules import Known, Rules
from tierwise.router_model.rules_read import read_rules
from tierwise.router_model.signature import check_signature
from tierwise.serve import Router

TIERS = ("small", "mid", "frontier")


def seal(bundle: Path) -> None:
    """Make the digests fit the files again, so that a change reaches what is behind them."""
    try:
        manifest = json.loads((bundle / "manifest.json").read_bytes())
        for one in manifest["files"]:
            content = (bundle / one["name"]).read_bytes()
            one |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (bundle / "manifest.json").write_text(json.dumps(manifest))
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        pass  # no manifest any more: its bytes are sealed as they are
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    (bundle / "manifest.sha256").write_text(f"{digest}\n")


def serving_targets(folder: Path) -> dict[str, Target]:
    """Return what reads bundles and rules, and what decides; `folder` is for their files."""
    good = folder / "policy"
    role_bundle.write(folder / "roles.yaml", folder / "tiers.yaml", good)
    return {**bundle_targets(folder, good), **part_targets(good), **decision_targets(good)}


def bundle_targets(folder: Path, good: Path) -> dict[str, Target]:
    """Return what reads whole bundles and their graphs."""
    damaged = folder / "damaged"
    graph = (good / "policy.onnx").read_bytes()
    names = st.sampled_from(["policy.onnx", "manifest.json", "golden.jsonl"])

    @given(st.one_of(st.binary(max_size=200), edits.map(lambda changes: edited(graph, changes))))
    def graphs(model: bytes) -> None:
        with contextlib.suppress(BundleError):
            check_graph(model)

    @given(names, edits, st.booleans())
    def bundles(name: str, changes: list[tuple[int, int]], sealed: bool) -> None:
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(good, damaged)
        (damaged / name).write_bytes(edited((good / name).read_bytes(), changes))
        if sealed:
            seal(damaged)
        with contextlib.suppress(BundleError):
            verify_bundle(damaged)

    return {"policy graphs": graphs, "bundles": bundles}


def part_targets(good: Path) -> dict[str, Target]:
    """Return what reads the parts of a bundle: manifest, rules, examples, signature."""
    bundle = verify_bundle(good)
    manifest = json.loads((good / "manifest.json").read_bytes())
    example = json.loads((good / "golden.jsonl").read_bytes().splitlines()[0])
    known = Known.of(bundle.manifest)
    fields = st.dictionaries(st.sampled_from(sorted(manifest)), values, max_size=2)
    of_a_tier = st.dictionaries(st.sampled_from(sorted(manifest["tiers"][0])), values, max_size=2)
    pins = st.lists(
        st.dictionaries(
            st.sampled_from(
                ["name", "role", "tenant", "irreversible", "tier", "allowed", "unless"]
            ),
            st.one_of(st.sampled_from(TIERS), st.lists(st.sampled_from(TIERS)), values),
        ),
        max_size=3,
    )
    rules = st.dictionaries(
        st.sampled_from(sorted(Rules().to_json())), st.one_of(values, pins), max_size=4
    )

    @given(fields, of_a_tier)
    def manifests(changes: dict[str, Any], odd: dict[str, Any]) -> None:
        tiers = [manifest["tiers"][0] | odd, *manifest["tiers"][1:]]
        text = json.dumps({**manifest, "tiers": tiers, **changes}).encode()
        with contextlib.suppress(BundleError):
            router = Router(replace(bundle, manifest=Manifest.from_bytes(text)))
            assert router.decide("step", role="worker").tier in router.manifest.tier_names

    @given(st.one_of(values, rules))
    def compiled_rules(content: Any) -> None:
        with contextlib.suppress(BadInput):
            read_rules(content, known, "rules")

    @given(st.dictionaries(st.sampled_from(sorted(example)), values, min_size=1, max_size=3))
    def examples(changes: dict[str, Any]) -> None:
        with contextlib.suppress(BundleError):
            golden.from_bytes(json.dumps(example | changes).encode())

    @given(st.binary(max_size=130))
    def signatures(signature: bytes) -> None:
        with contextlib.suppress(BundleError):
            check_signature(b"{}", signature, PUBLIC)

    return {
        "manifests": manifests,
        "rules": compiled_rules,
        "examples": examples,
        "signatures": signatures,
    }


def decision_targets(good: Path) -> dict[str, Target]:
    """Return what decides: a policy alone, and one under rules."""
    bundle = verify_bundle(good)
    said = {
        "pins": [{"name": "payments", "data_class": "payments", "tier": "mid"}],
        "budgets": {"default": {"usd": 0.01, "usd_per_day": 1}},
        "explore": {"rate": 0.1},
        "latency_s": {"interactive": 5},
    }
    ruled = Router(replace(bundle, manifest=replace(bundle.manifest, rules=(said,))))
    plain = Router(bundle)
    columns = st.dictionaries(
        st.sampled_from(
            ["role", "task_type", "context_tokens", "x", "allowed", "floor", "max_latency_s",
             "tenant", "data_class", "pin", "workload", "irreversible"]
        ),
        st.one_of(values, words, scalars, st.lists(st.sampled_from(TIERS))),
    )  # fmt: skip

    @given(st.one_of(values, messages), columns)
    def decisions(text: Any, given: dict[str, Any]) -> None:
        assert plain.decide(text, **given).tier in TIERS

    @given(st.one_of(values, messages), columns)
    def under_rules(text: Any, given: dict[str, Any]) -> None:
        assert ruled.decide(text, **given).tier in TIERS
        assert ruled.decide(text, **given | {"data_class": "payments"}).tier == "mid"

    return {"decisions": decisions, "decisions under rules": under_rules}
