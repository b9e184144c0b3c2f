"""The stage bundle: what ships is complete, verifies, and holds nobody's texts."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.training.fits import EASY, HARD, small_fit
from tierwise.data.errors import BadInput
from tierwise.data.tiers import Catalogue, Tier
from tierwise.router_model import build, layout
from tierwise.router_model.build import EXAMPLES, example_contexts
from tierwise.router_model.bundle import VerifiedBundle, verify_bundle
from tierwise.router_model.golden import _TEXTS as ODD_TEXTS
from tierwise.router_model.manifest import Manifest

CERTIFICATE = {
    "floor": {"kind": "retain", "level": 0.95},
    "levels": [0.9, 0.95, 1.0],
    "strata": [{"name": "rest", "points": [6, 4, 0]}],
    "promise": "In words.",
}
MEASURED = {"policy": {"quality": 0.8}, "reference": {"quality": 0.82}, "curve": [1, 2, 3]}


def build_run(
    run: Path, params: str = "bundle: {fallback: '', sequence: 7}\n", rules: str = "# none\n"
) -> Path:
    """Run the stage on a small run, in a folder with its params.yaml and rules.yaml."""
    run.mkdir(exist_ok=True)
    small = small_fit()
    (run / "graph.onnx").write_bytes(small.graph)
    tiers = Catalogue(tuple(Tier(name, price_in=1.0) for name in small.fitted.spec.tiers))
    for name, value in (
        ("spec", small.fitted.spec.as_dict()),
        ("tiers", tiers.to_dict()),
        ("certificate", CERTIFICATE),
        ("metrics", MEASURED),
    ):
        (run / f"{name}.json").write_text(json.dumps(value))
    (run / "traces.parquet").write_bytes(b"a table")
    (run / "params.yaml").write_text(params)
    (run / "rules.yaml").write_text(rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(run)
        patch.setattr(sys, "argv", ["bundle", "--run", str(run)])
        build.main()
    return run / "policy"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("build") / "run").parent


@pytest.fixture(scope="module")
def bundle(run: Path) -> VerifiedBundle:
    return verify_bundle(run / "policy")


def test_what_is_built_verifies_and_serves_by_its_certificate(bundle: VerifiedBundle) -> None:
    unknown = np.full((1, 6), np.nan, np.float32)
    by_default = bundle.graph.decide(b"copy the file", unknown)
    assert by_default[layout.POINT] == 4
    assert layout.REASONS[int(by_default[layout.REASON])] == "floor"
    assert bundle.graph.decide(b"a", unknown, floor=0.9)[layout.POINT] == 6
    assert bundle.graph.decide(b"a", unknown, floor=1.0)[layout.POINT] == 0


def test_every_example_is_the_projects_own_text(bundle: VerifiedBundle) -> None:
    own = {text.encode() for text in EXAMPLES} | set(ODD_TEXTS)
    assert {one.text for one in bundle.golden} <= own
    assert {text.encode() for text in EXAMPLES} <= {one.text for one in bundle.golden}


def test_no_logged_text_and_no_step_is_in_any_file(run: Path) -> None:
    steps = small_fit().steps
    lines = (run / "policy" / "golden.jsonl").read_text().splitlines()
    texts = b"\n".join(base64.b64decode(json.loads(line)["text"]) for line in lines)
    content = texts + b"".join(f.read_bytes() for f in (run / "policy").iterdir())
    for text in steps.text:
        assert text not in content
    for word in (*EASY, *HARD):
        if not any(word in example.lower() for example in EXAMPLES):
            assert f" {word} ".encode() not in content
    for name in (*steps.step[:50], *steps.unit[:50]):
        assert f'"{name}"'.encode() not in content


def test_the_manifest_says_what_is_promised_and_measured(bundle: VerifiedBundle, run: Path) -> None:
    manifest = bundle.manifest
    assert manifest.floors == CERTIFICATE
    assert manifest.promise == "In words."
    assert manifest.measured == {n: MEASURED[n] for n in ("policy", "reference")}
    assert manifest.sequence == 7
    assert manifest.role_table == {}
    assert manifest.fallback == "tier2"
    assert manifest.tier_names == small_fit().fitted.spec.tiers
    assert manifest.context == small_fit().fitted.spec.context


def test_the_manifest_says_what_decides_and_what_weighs(bundle: VerifiedBundle) -> None:
    spec, rule = small_fit().fitted.spec, bundle.manifest.rule
    assert bundle.manifest.decides == layout.DECIDES
    assert rule["reference"] == spec.tiers[spec.reference]
    assert rule["mean_reference_cost"] == spec.mean_reference_cost
    assert rule["margin"] == [float(one) for one in spec.path.margin]
    assert rule["weight"] == [float(one) for one in spec.path.weight]


def test_a_manifest_of_before_the_rule_was_in_it_is_read(run: Path) -> None:
    content = json.loads((run / "policy" / "manifest.json").read_text())
    del content["rule"], content["decides"]
    manifest = Manifest.from_bytes(json.dumps(content).encode())
    assert (manifest.rule, manifest.decides) == ({}, {})


def test_digests_are_those_of_the_runs_table_and_parameters(
    bundle: VerifiedBundle, run: Path
) -> None:
    for digest, name in (("table_sha256", "traces.parquet"), ("params_sha256", "params.yaml")):
        content = (run / name).read_bytes()
        assert getattr(bundle.manifest, digest) == hashlib.sha256(content).hexdigest()


def test_the_version_is_the_graphs_digest(bundle: VerifiedBundle) -> None:
    digest = hashlib.sha256(bundle.model_bytes).hexdigest()
    assert digest.startswith(bundle.manifest.policy_version)
    assert len(bundle.manifest.policy_version) == 12


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    again = build_run(tmp_path / "again")
    for file in (run / "policy").iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()


def test_a_fallback_can_be_any_tier(tmp_path: Path) -> None:
    policy = build_run(tmp_path / "run", "bundle: {fallback: tier1}\n")
    assert verify_bundle(policy).manifest.fallback == "tier1"


def test_a_fallback_that_is_no_tier_is_bad_input_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="tier0, tier1, tier2"):
        build_run(tmp_path / "run", "bundle: {fallback: huge}\n")
    assert not (tmp_path / "run" / "policy").exists()


def test_example_contexts_lie_inside_the_vocabularies() -> None:
    spec = small_fit().fitted.spec
    contexts = example_contexts(spec)
    assert contexts.shape == (len(EXAMPLES), len(spec.context))
    for j, column in enumerate(spec.context[:2]):
        assert contexts[:, j].max() < len(column.vocabulary)
        assert len(set(contexts[:, j])) == len(column.vocabulary)
    assert contexts[:, 2].tolist() == [len(text.encode()) for text in EXAMPLES]
    assert np.isnan(contexts[:, 3:]).all()
