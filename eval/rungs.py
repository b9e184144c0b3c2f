"""The kinds of policy that climb, from a constant to the graph with all its context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.data.role_table import RoleTable
from tierwise.eval.role_table import serve_by_role
from tierwise.eval.served import Estimates, category, certified_points, serve
from tierwise.features.columns import ContextColumn
from tierwise.features.steps import StepTable
from tierwise.router_model.rule import choose, unlike
from tierwise.router_model.runtime import PolicyGraph
from tierwise.router_model.spec import PolicySpec
from tierwise.training.certificate import certified_point
from tierwise.training.promise import Floor

Tiers = NDArray[np.int64]

CONSTANT, ROLE_TABLE, LEARNED, AWARE = "constant", "role table", "learned", "context-aware"
SEEN = ("role", "text_bytes")  # context that a policy without context still knows


def without_context(
    context: NDArray[np.float32], columns: tuple[ContextColumn, ...]
) -> NDArray[np.float32]:
    """Return the context with everything unknown but the role and the length of the text."""
    kept = np.array([column.name in SEEN for column in columns])
    return np.where(kept, context, np.float32(np.nan)).astype(np.float32)


def make_rungs(
    graph: PolicyGraph,
    spec: PolicySpec,
    certificate: Mapping[str, Any],
    roles: RoleTable,
    certify: StepTable,
    test: StepTable,
    aware: Tiers,
) -> dict[str, Tiers]:
    """Return the tier that each kind of policy serves on the test part, lowest kind first.

    The constant is the reference. `learned` is the graph with the text, its length and the role,
    every other column unknown; it gets points of its own, certified like those that ship, so that
    both kinds make the same promise and may differ in cost.

    Parameters
    ----------
    graph, spec, certificate
        What ships.
    roles : RoleTable
    certify, test : StepTable
        Parts of the run.
    aware : ndarray of int64, shape (n_test_steps,)
        What ships serves on `test`.
    """
    role = category(test, spec, "role")
    unaware = graph.estimates(test.text, without_context(test.context, spec.context))
    points = unaware_points(graph, spec, certificate, certify)
    return {
        CONSTANT: np.full(len(test), spec.reference),
        ROLE_TABLE: serve_by_role(roles, role, spec.tiers),
        LEARNED: serve(unaware, spec, role, {**certificate, "chosen": points}).tier,
        AWARE: aware,
    }


def unaware_points(
    graph: PolicyGraph, spec: PolicySpec, certificate: Mapping[str, Any], certify: StepTable
) -> dict[str, int]:
    """Return the certified point of each stratum for the graph without context.

    Where no step of the certify part has every outcome, the points are those that ship: nothing
    better is known.
    """
    steps = certify.rows(np.flatnonzero(np.isfinite(certify.quality).all(axis=1)))
    if not len(steps):
        return dict(certificate["chosen"])
    said = graph.estimates(steps.text, without_context(steps.context, spec.context))
    known = ~unlike(said.ood, spec.guard)
    steps, served = steps.rows(known), _path(said, spec)[:, known]
    strata = certificate["strata"]
    ranks = {one["name"]: rank for rank, one in enumerate(strata)}
    stratum = certified_points(category(steps, spec, "role"), strata, ranks)
    rows, found = np.arange(len(steps)), {}
    for rank, one in enumerate(strata):
        mine = stratum == rank
        found[one["name"]] = certified_point(
            steps.quality[rows, served][:, mine],
            steps.quality[mine, spec.reference],
            served[:, mine] == spec.reference,
            steps.unit[mine].astype(np.str_),
            Floor(certificate["floor"]["kind"], certificate["floor"]["level"]),
            one.get("delta", certificate["delta"]),
        )
    return found


def _path(said: Estimates, spec: PolicySpec) -> NDArray[np.int64]:
    relative = said.total_cost * (np.float32(1) / np.float32(spec.mean_reference_cost))
    return np.asarray(choose(said.quality, relative, spec.reference, spec.path), np.int64)
