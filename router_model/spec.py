"""What a graph needs to be understood: tiers, context, path, ladder; plain data and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tierwise.features.columns import ContextColumn
from tierwise.router_model.rule import Path


@dataclass(frozen=True)
class PolicySpec:
    """The part of a policy that is no weight.

    Attributes
    ----------
    tiers : tuple of str
        Cheap to dear.
    reference : int
        The tier that the floor is measured against.
    mean_reference_cost : float
        USD a step, on the learn part.
    path : Path
        The points from "reference always" to cheapest.
    ladder : tuple of int
        The next tier after a failed check, -1 where none.
    context : tuple of ContextColumn
        In input order; the first four are role, task_type, text_bytes, context_tokens.
    bits, pair_bits : int
        Words are hashed into 2 ** bits rows, pairs of words into 2 ** pair_bits.
    fixed_tier : tuple of int
        A tier for each role and, last, for an unknown role, where the policy is a role table;
        empty for a learned policy.
    guard : float
        A step whose out-of-distribution score exceeds it is served the reference whatever the
        floor; 1.0, which no score exceeds, is no guard.
    """

    tiers: tuple[str, ...]
    reference: int
    mean_reference_cost: float
    path: Path
    ladder: tuple[int, ...]
    context: tuple[ContextColumn, ...]
    bits: int
    pair_bits: int
    fixed_tier: tuple[int, ...] = field(default=())
    guard: float = 1.0

    @property
    def roles(self) -> tuple[str, ...]:
        """The vocabulary of the role column."""
        return self.context[0].vocabulary

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON value from which `from_dict` makes an equal spec."""
        return {
            "tiers": list(self.tiers),
            "reference": self.reference,
            "mean_reference_cost": self.mean_reference_cost,
            "path": {
                "margin": [float(x) for x in self.path.margin],
                "weight": [float(x) for x in self.path.weight],
            },
            "ladder": list(self.ladder),
            "context": [
                {"name": c.name, "kind": c.kind, "vocabulary": list(c.vocabulary)}
                for c in self.context
            ],
            "bits": self.bits,
            "pair_bits": self.pair_bits,
            "fixed_tier": list(self.fixed_tier),
            "guard": self.guard,
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> PolicySpec:
        """Read what `as_dict` wrote."""
        path = Path(
            np.array(value["path"]["margin"], np.float32),
            np.array(value["path"]["weight"], np.float32),
        )
        columns = tuple(
            ContextColumn(c["name"], c["kind"], tuple(c["vocabulary"])) for c in value["context"]
        )
        return cls(
            tiers=tuple(value["tiers"]),
            reference=int(value["reference"]),
            mean_reference_cost=float(value["mean_reference_cost"]),
            path=path,
            ladder=tuple(value["ladder"]),
            context=columns,
            bits=int(value["bits"]),
            pair_bits=int(value["pair_bits"]),
            fixed_tier=tuple(value["fixed_tier"]),
            guard=float(value["guard"]),
        )
