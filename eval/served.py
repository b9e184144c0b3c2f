"""What the policy serves on recorded steps, at the point that was certified for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from tierwise.data.errors import BadInput
from tierwise.eval.metrics import Floats
from tierwise.features.steps import StepTable
from tierwise.router_model.rule import choose, guarded, unlike
from tierwise.router_model.spec import PolicySpec

BLOCK = 4096  # steps swept at a time: 48 points of 4,096 steps are 1.6 MB
UNKNOWN = ""


class Estimates(Protocol):
    """What the graph says of each step and tier, each of shape (n_steps, n_tiers), and of steps."""

    @property
    def quality(self) -> NDArray[np.float32]:
        """Expected quality 0..1."""

    @property
    def total_cost(self) -> NDArray[np.float32]:
        """Expected USD, retries included."""

    @property
    def ood(self) -> NDArray[np.float32]:
        """Out-of-distribution score 0..1, shape (n_steps,)."""


@dataclass(frozen=True)
class Served:
    """The policy's decisions on n steps.

    Attributes
    ----------
    tier : ndarray of int64, shape (n_steps,)
        Served at the certified point.
    reason : ndarray of str, shape (n_steps,)
        floor, not_certified, guard or fixed_role.
    path : ndarray of int8, shape (n_points, n_steps)
        Served at every point, from "reference always" to cheapest.
    """

    tier: NDArray[np.int64]
    reason: NDArray[np.str_]
    path: NDArray[np.int8]


def category(table: StepTable, spec: PolicySpec, name: str) -> NDArray[np.str_]:
    """Return a context category as words, shape (n_steps,), empty where unknown."""
    for index, column in enumerate(spec.context):
        if column.name == name and column.kind == "category":
            code = np.nan_to_num(table.context[:, index], nan=len(column.vocabulary)).astype(int)
            words = np.array([*column.vocabulary, UNKNOWN])
            return cast(NDArray[np.str_], words[np.clip(code, 0, len(column.vocabulary))])
    return np.full(len(table), UNKNOWN)


def number(table: StepTable, spec: PolicySpec, name: str) -> Floats:
    """Return a context number or flag, shape (n_steps,), NaN where unknown."""
    for index, column in enumerate(spec.context):
        if column.name == name and column.kind != "category":
            return table.context[:, index].astype(np.float64)
    return np.full(len(table), np.nan)


def certified_points(
    role: NDArray[np.str_], strata: Sequence[Mapping[str, Any]], chosen: Mapping[str, int]
) -> NDArray[np.int64]:
    """Return the certified point of each step by its role's stratum, -1 for none.

    A role that no stratum names, an unknown one included, belongs to the pooled rest.
    """
    rest = int(chosen.get("rest", -1))
    of_role = {name: int(chosen.get(s["name"], -1)) for s in strata for name in s["roles"]}
    names, inverse = np.unique(role, return_inverse=True)
    return np.array([of_role.get(str(n), rest) for n in names], dtype=np.int64)[inverse]


def serve(
    estimates: Estimates,
    spec: PolicySpec,
    role: NDArray[np.str_],
    certificate: Mapping[str, Any],
) -> Served:
    """Return what the policy serves: the rule on the graph's own estimates, in float32.

    Parameters
    ----------
    estimates : Estimates
        From the graph that ships, on the same steps.
    spec : PolicySpec
        Its path and reference; a role table where it has one.
    role : ndarray of str, shape (n_steps,)
        Empty where unknown.
    certificate : mapping
        Content of certificate.json: strata and the chosen point of each.

    Raises
    ------
    BadInput
        Where the certificate is that of another path.
    """
    n_steps = len(role)
    if spec.fixed_tier:
        places = {name: tier for name, tier in zip(spec.roles, spec.fixed_tier, strict=False)}
        tiers = np.array([places.get(str(r), spec.fixed_tier[-1]) for r in role], dtype=np.int64)
        return Served(tiers, np.full(n_steps, "fixed_role"), tiers[None, :].astype(np.int8))
    relative = estimates.total_cost / np.float32(spec.mean_reference_cost)
    path = np.empty((len(spec.path), n_steps), dtype=np.int8)
    for start in range(0, n_steps, BLOCK):
        block = slice(start, start + BLOCK)
        chosen = choose(estimates.quality[block], relative[block], spec.reference, spec.path)
        path[:, block] = guarded(chosen, estimates.ood[block], spec.guard, spec.reference)
    point = certified_points(role, certificate["strata"], certificate["chosen"])
    if point.max(initial=-1) >= len(path):
        raise BadInput(
            f"certified point {point.max()} of a path of {len(path)} points",
            "the certificate of this graph",
            "run certify again",
        )
    tier = np.where(point < 0, spec.reference, path[np.maximum(point, 0), np.arange(n_steps)])
    by_floor = np.where(point < 0, "not_certified", "floor")
    reason = np.where(unlike(estimates.ood, spec.guard), "guard", by_floor)
    return Served(tier.astype(np.int64), reason, path)


def with_retries(values: Floats, valid: Floats, ladder: Sequence[int]) -> Floats:
    """Return cost or time of starting at each tier, failed answers run again one rung up.

    total[t] = value[t] + (t's answer is known to be invalid) x total[ladder[t]], to the top of
    the ladder. An answer of unknown validity is taken as it is.

    Parameters
    ----------
    values, valid : ndarray of shape (n_steps, n_tiers)
        USD or seconds; 1, 0 or NaN.
    ladder : sequence of int
        The next tier of each, -1 where none.

    Raises
    ------
    ValueError
        Where the ladder runs in a circle.
    """
    failed = valid == 0
    total: dict[int, Floats] = {}

    def of(tier: int, below: tuple[int, ...]) -> Floats:
        if tier in below:
            raise ValueError(f"the ladder runs in a circle: {[*below, tier]}")
        if tier not in total:
            spent = values[:, tier]
            if ladder[tier] >= 0:
                again = of(ladder[tier], (*below, tier))
                spent = np.where(failed[:, tier], spent + again, spent)
            total[tier] = spent
        return total[tier]

    return np.stack([of(tier, ()) for tier in range(values.shape[1])], axis=1)
