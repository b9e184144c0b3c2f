"""Stage certify: run the graph on the certify part and find how far each floor may go."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from tierwise.data.errors import BadInput, run_stage
from tierwise.data.files import read_json, write_json
from tierwise.data.params import section
from tierwise.data.times import days
from tierwise.features.steps import CERTIFY, StepTable, load_steps
from tierwise.router_model.encoder import open_policy
from tierwise.router_model.rule import choose, unlike
from tierwise.router_model.runtime import Estimates
from tierwise.router_model.spec import PolicySpec
from tierwise.training.certificate import Certificate, Floor, certify
from tierwise.training.explored import certify_explored, explored_slice
from tierwise.training.promise import KINDS

NEEDS_PAIRS = (
    "Logs of one tier a step cannot show it: what the reference would have done on the same step "
    "is unknown. Ask for an absolute floor (certify.floor), or have steps answered by several "
    "tiers (tierwise label)."
)


@dataclass(frozen=True)
class CertifyParams:
    """Section `certify` of params.yaml.

    Attributes
    ----------
    floor : str
        retain, miss or absolute.
    level : float
        In (0, 1]; higher is stricter in all three forms.
    delta : float
        The promise holds with probability 1 - delta.
    min_units : int
        A role with fewer certification units joins the pooled rest.
    """

    floor: str = "retain"
    level: float = 0.95
    delta: float = 0.1
    min_units: int = 500


def read_floor(params: CertifyParams) -> Floor:
    """Return the floor that the parameters ask for.

    Raises
    ------
    BadInput
        For an unknown form, or a level or delta outside its range.
    """
    if params.floor not in KINDS:
        raise BadInput(f"certify.floor = {params.floor!r}", f"one of {', '.join(KINDS)}", "mend it")
    if not 0 < params.level <= 1 or not 0 < params.delta < 1:
        raise BadInput(
            f"certify.level = {params.level}, certify.delta = {params.delta}",
            "a level above 0 and at most 1, a delta between 0 and 1",
            "mend params.yaml",
        )
    kind = next(k for k in KINDS if k == params.floor)
    return Floor(kind, params.level)


def role_names(steps: StepTable, spec: PolicySpec) -> NDArray[np.str_]:
    """Return the role of each step as the policy knows it, "" where unknown."""
    code = steps.context[:, 0]
    names = np.array([*spec.roles, ""], dtype=np.str_)
    return names[np.where(np.isnan(code), len(spec.roles), code).astype(np.int64)]


def certify_steps(
    steps: StepTable, said: Estimates, spec: PolicySpec, params: CertifyParams
) -> Certificate:
    """Certify on steps whose outcome is known for every tier.

    Other steps are left out: a promise measured against the reference needs both outcomes, and
    for an absolute floor a step known only where some policy served it is no fair draw. So are
    the steps that the guard holds back, and counted: their reason is `guard`, and the promise is
    about steps served with reason `floor`.

    Parameters
    ----------
    steps : StepTable
        The certify part.
    said : Estimates
        The graph's, for the same steps.
    spec : PolicySpec
    params : CertifyParams
    """
    known = ~np.isnan(steps.quality).any(axis=1)
    if not known.any() and (steps.served >= 0).any():
        return _certify_logged(steps, said, spec, params)
    held_back = known & unlike(said.ood, spec.guard)
    known &= ~held_back
    quality = steps.quality[known]
    served = _path(said, known, spec)
    certificate = certify(
        np.take_along_axis(quality[None], served[:, :, None], axis=2)[:, :, 0],
        quality[:, spec.reference],
        served == spec.reference,
        steps.unit[known].astype(np.str_),
        role_names(steps, spec)[known],
        read_floor(params),
        params.delta,
        reference=spec.tiers[spec.reference],
        min_units=params.min_units,
    )
    return replace(certificate, guarded=int(held_back.sum()))


def _path(said: Estimates, rows: NDArray[np.bool_], spec: PolicySpec) -> NDArray[np.int64]:
    """Return the tier served at each point of the path, shape (n_points, n_rows)."""
    relative = said.total_cost[rows] * (np.float32(1) / np.float32(spec.mean_reference_cost))
    return choose(said.quality[rows], relative, spec.reference, spec.path)


def _certify_logged(
    steps: StepTable, said: Estimates, spec: PolicySpec, params: CertifyParams
) -> Certificate:
    """Certify from logs of one tier a step: an absolute floor, on steps that may be explored."""
    floor, reference = read_floor(params), spec.tiers[spec.reference]
    if floor.kind != "absolute":
        points = np.zeros((len(spec.path.margin), 0))
        nothing = points, np.zeros(0), points.astype(np.bool_)
        names = np.zeros(0, np.str_)
        empty = certify(*nothing, names, names, floor, params.delta, reference=reference)
        return replace(empty, note=NEEDS_PAIRS)
    kept = explored_slice(steps).kept
    held_back = kept & unlike(said.ood, spec.guard)
    kept &= ~held_back
    rows = steps.rows(kept)
    certificate = certify_explored(
        _path(said, kept, spec),
        rows,
        role_names(rows, spec),
        floor,
        params.delta,
        reference=reference,
        min_units=params.min_units,
    )
    return replace(certificate, guarded=int(held_back.sum()))


def main() -> None:
    """Read the run's graph and steps, write certificate.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    args = parser.parse_args()
    params = section(args.params, "certify", CertifyParams)
    with threadpool_limits(1):
        spec = PolicySpec.from_dict(read_json(args.run / "spec.json"))
        steps = load_steps(args.run / "steps.npz").of_part(CERTIFY)
        if spec.fixed_tier or steps.feedback == "none":
            steps = steps.rows(np.zeros(0, np.int64))
        graph = open_policy((args.run / "graph.onnx").read_bytes(), args.run / "encoder")
        said = graph.estimates(steps.text, steps.context)
        certificate = certify_steps(steps, said, spec, params)
        span = days(args.run / "traces.parquet", steps.step) if certificate.explored else None
        if certificate.explored and span:
            per_day = certificate.explored.steps / span
            explored = replace(certificate.explored, per_day=per_day)
            certificate = replace(certificate, explored=explored)
    write_json(args.run / "certificate.json", certificate.as_dict())


if __name__ == "__main__":
    run_stage(main)
