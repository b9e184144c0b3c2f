"""The rule as ONNX nodes: estimates, floors and limits in, the decision out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tierwise.features.nodes import Nodes
from tierwise.router_model import layout
from tierwise.router_model.model import Model
from tierwise.router_model.rule import ALWAYS
from tierwise.router_model.spec import PolicySpec

BLOCKED = np.float32(-3e38)  # score of a tier that may not be served, and of serving none


@dataclass(frozen=True)
class Base:
    """Names of what hangs on role and task, each of shape (1, ...).

    Attributes
    ----------
    unseen : str
        Share of the text's tokens that no learn text had.
    quality, cost, latency : str
        Of each tier.
    retry : str
        The matrix from cost to total cost, row by row.
    floors : str
        The strictest floor certified at each point; the first point has the largest.
    default : str
        The floor where the host names none.
    """

    unseen: str
    quality: str
    cost: str
    latency: str
    retry: str
    floors: str
    default: str


@dataclass(frozen=True)
class Estimated:
    """Names of the estimates, each of shape (1, n_tiers)."""

    quality: str
    cost: str
    total: str


@dataclass(frozen=True)
class _Point:
    """Names of what a point of the path means: (1, n_tiers), then three of (1, 1)."""

    bonus: str
    weight: str
    index: str
    reason: str


def add_decision(
    g: Nodes,
    model: Model,
    spec: PolicySpec,
    base: Base,
    said: Estimated,
    preference: str = "",
) -> None:
    """Apply the rule, or a role's `preference` among tiers where the policy is a role table."""
    # An embedding has no tokens, and a role table looks at none: their score is always 0.
    guard = 1.0 if spec.fixed_tier or model.projection is not None else spec.guard
    point = _add_point(g, spec, base, guard)
    barred = _add_barred(g, base)
    if preference:
        score, without_reference = preference, ""
        wanted = score
    else:
        score = _add_score(g, spec, said, point)
        reference = g.const([spec.reference], np.int64)
        without_reference = g.add("Gather", barred, reference, axis=1)
        wanted = g.add("Where", without_reference, said.quality, score)
    moved = g.add("GatherElements", barred, g.add("ArgMax", score, axis=1), axis=1)
    if without_reference:
        moved = g.add("Or", moved, without_reference)
    tier, otherwise, rest, lead = _add_served(g, model, spec, barred, wanted)
    reason = g.add("Where", moved, otherwise, point.reason)
    g.add(
        "Concat", tier, reason, point.index, lead, base.unseen, rest, said.quality, said.cost,
        said.total, base.latency, axis=1, output="decision",
    )  # fmt: skip


def _add_point(g: Nodes, spec: PolicySpec, base: Base, guard: float) -> _Point:
    """Find the last point that the floor allows; where it allows none, that is point 0.

    A step whose score exceeds `guard` has a row of its own: the reference always, reason `guard`.
    """
    k, point = len(spec.tiers), np.arange(len(spec.path))
    floor = g.add("Where", g.add("IsNaN", "floor"), base.default, "floor")
    within = g.add("Min", base.floors, floor)  # largest at each point that the floor allows
    last = g.add("ArgMax", within, axis=1, keepdims=0, select_last_index=1)
    learned = np.where(point > 0, layout.reason("floor"), layout.reason("not_certified"))
    rows = np.zeros((len(point), k + 3), np.float32)
    rows[:, spec.reference] = spec.path.margin
    rows[:, k] = spec.path.weight
    rows[:, k + 1] = point
    rows[:, k + 2] = layout.reason("fixed_role") if spec.fixed_tier else learned
    row = g.add("Gather", g.const(rows, np.float32), last)
    if guard < 1:
        instead = np.zeros((1, k + 3), np.float32)
        instead[0, spec.reference] = ALWAYS
        instead[0, k + 2] = layout.reason("guard")
        unlike = g.add("Greater", base.unseen, g.const(guard, np.float32))
        row = g.add("Where", unlike, g.const(instead, np.float32), row)
    sizes = g.const([k, 1, 1, 1], np.int64)
    return _Point(*g.add_many("Split", [row, sizes], 4, axis=1))


def _add_barred(g: Nodes, base: Base) -> str:
    """Add which tiers may not serve, shape (1, n_tiers); an unknown latency is within limits."""
    forbidden = g.add("LessOrEqual", "allowed", g.const(0.5, np.float32))
    return g.add("Or", forbidden, g.add("Greater", base.latency, "max_latency_s"))


def _add_score(g: Nodes, spec: PolicySpec, said: Estimated, point: _Point) -> str:
    """Add the rule's score in the order of operations of `rule.scores`."""
    relative = g.add(
        "Mul", said.total, g.const(1 / np.float32(spec.mean_reference_cost), np.float32)
    )
    priced = g.add("Sub", said.quality, g.add("Mul", point.weight, relative))
    return g.add("Add", priced, point.bonus)


def _add_served(
    g: Nodes, model: Model, spec: PolicySpec, barred: str, wanted: str
) -> tuple[str, str, str, str]:
    """Serve the tier of greatest score; none, which stands first, where all are blocked.

    Returns
    -------
    tier, otherwise, rest, lead : str
        The tier; the reason where it is not the one that would serve without limits; next tier,
        check and 0; the lead over the runner-up.
    """
    blocked = g.const([[BLOCKED]], np.float32)
    scores = g.add("Concat", blocked, g.add("Where", barred, blocked, wanted), axis=1)
    best, order = g.add_many("TopK", [scores, g.const([2], np.int64)], 2, axis=1)
    moved = float(layout.reason("constrained"))
    rungs = [[-1.0, float(layout.reason("none_allowed")), -1.0, 0.0, 0.0]]
    rungs += [[t, moved, spec.ladder[t], model.checked[t], 0.0] for t in range(len(spec.tiers))]
    first = g.add("Gather", order, g.const(0, np.int64), axis=1)
    rung = g.add("Gather", g.const(rungs, np.float32), first)
    sizes = g.const([1, 1, 3], np.int64)
    tier, otherwise, rest = g.add_many("Split", [rung, sizes], 3, axis=1)
    lead = g.add("MatMul", best, g.const([[1], [-1]], np.float32))
    return tier, otherwise, rest, lead
