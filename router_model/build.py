"""Stage bundle: fill the floor table in and write what ships."""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import read_json
from tierwise.data.params import section
from tierwise.data.tiers import Catalogue
from tierwise.router_model import layout
from tierwise.router_model.bundle import write_bundle
from tierwise.router_model.encoder import open_encoder, read_encoder
from tierwise.router_model.floors import floor_table
from tierwise.router_model.golden import make_golden
from tierwise.router_model.graph import set_floors
from tierwise.router_model.manifest import Manifest
from tierwise.router_model.rules_file import apply_file
from tierwise.router_model.runtime import PolicyGraph
from tierwise.router_model.spec import PolicySpec

NO_PROMISE = "Nothing is promised: a role table serves, and no outcome was looked at."

# A bundle travels farther than the logs it was learned from: its examples are texts of our own.
EXAMPLES = (
    "Extract the invoice date and the total as JSON.",
    "Plan the migration of the billing service to the new database, step by step.",
    "Classify this ticket: the app closes when I open the camera.",
    "Why does the test fail? Traceback (most recent call last): KeyError: 'id'",
    "Summarize the discussion in three sentences for someone who was not there.",
    "Prove that the sum of two odd numbers is even, then generalize.",
)


@dataclass(frozen=True)
class BundleParams:
    """Section `bundle` of params.yaml.

    Attributes
    ----------
    fallback : str
        Name of the tier that is served when anything fails; "" is the reference tier.
    sequence : int
        Number of the release, to be raised with each; gateways refuse to go back.
    rules : str
        File of the rules that hold in every bundle built; one without rules sets none.
    """

    fallback: str = ""
    sequence: int = 0
    rules: str = "rules.yaml"


def example_contexts(spec: PolicySpec) -> NDArray[np.float32]:
    """Return a context for each example, walking through roles and tasks."""
    out = np.full((len(EXAMPLES), len(spec.context)), np.nan, np.float32)
    for i, text in enumerate(EXAMPLES):
        for j, column in enumerate(spec.context[:2]):
            if column.vocabulary:
                out[i, j] = i % len(column.vocabulary)
        out[i, 2] = len(text)
    return out


def build(
    run: Path,
    spec: PolicySpec,
    graph: bytes,
    catalogue: Catalogue,
    params: BundleParams,
    params_sha256: str,
) -> tuple[bytes, Manifest]:
    """Return the graph with its floors and its manifest.

    Parameters
    ----------
    run : Path
        Folder of the run; its certificate.json and metrics.json go into the manifest.
    spec : PolicySpec
    graph : bytes
        With an empty floor table.
    catalogue : Catalogue
    params : BundleParams
    params_sha256 : str
        Digest of the parameters' file.

    Raises
    ------
    BadInput
        Where the fallback is no tier.
    """
    fallback = params.fallback or spec.tiers[spec.reference]
    if fallback not in spec.tiers:
        raise BadInput(
            f"bundle.fallback = {fallback!r}", f"one of {', '.join(spec.tiers)}", "mend params.yaml"
        )
    certificate = read_json(run / "certificate.json")
    graph = set_floors(graph, floor_table(certificate, spec))
    manifest = Manifest(
        policy_version=hashlib.sha256(graph).hexdigest()[:12],
        tiers=catalogue.tiers,
        context=spec.context,
        fallback=fallback,
        bits=spec.bits,
        pair_bits=spec.pair_bits,
        outputs=layout.columns(len(spec.tiers)),
        rule=rule(spec),
        role_table=role_table(spec),
        floors=certificate,
        promise=NO_PROMISE if spec.fixed_tier else certificate["promise"],
        measured=_measured(read_json(run / "metrics.json")),
        table_sha256=_digest(run / "traces.parquet"),
        params_sha256=params_sha256,
        sequence=params.sequence,
    )
    return graph, manifest


def role_table(spec: PolicySpec) -> dict[str, Any]:
    """Return the tier of each role where the policy is a role table, else nothing."""
    if not spec.fixed_tier:
        return {}
    served = {r: spec.tiers[t] for r, t in zip(spec.roles, spec.fixed_tier, strict=False)}
    return {"default": spec.tiers[spec.fixed_tier[-1]], "roles": served}


def rule(spec: PolicySpec) -> dict[str, Any]:
    """Return what weighs quality against cost at each point, and from which score on nothing does.

    Nothing where roles decide.
    """
    if spec.fixed_tier:
        return {}
    return {
        "reference": spec.tiers[spec.reference],
        "mean_reference_cost": spec.mean_reference_cost,
        "guard": spec.guard,
        **spec.as_dict()["path"],
    }


def _measured(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: metrics[name] for name in ("policy", "reference", "test") if name in metrics}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def main() -> None:
    """Read the run's graph, certificate, metrics and the rules, write the folder policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = section(args.params, "bundle", BundleParams)
    spec = PolicySpec.from_dict(read_json(args.run / "spec.json"))
    catalogue = Catalogue.from_dict(read_json(args.run / "tiers.json"))
    plain = (args.run / "graph.onnx").read_bytes()
    graph, manifest = build(args.run, spec, plain, catalogue, params, _digest(args.params))
    manifest, warned = apply_file(manifest, Path(params.rules))
    texts = [text.encode() for text in EXAMPLES]
    files = read_encoder(args.run / "encoder")
    opened = PolicyGraph(graph, open_encoder(files))
    golden = make_golden(opened, texts, example_contexts(spec))
    write_bundle(args.run / "policy", graph, manifest, golden, files)
    for line in warned:
        print(f"warning: {line}")


if __name__ == "__main__":
    run_stage(main)
