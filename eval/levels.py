"""What the policy serves at each level of its floor, certified or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.eval.served import Served, certified_points
from tierwise.router_model.spec import PolicySpec

ROLES = 24  # rows of the tier mix by role; the rarer roles share one


@dataclass(frozen=True)
class Level:
    """One level of the floor, as it would be served on the judged steps.

    Attributes
    ----------
    level : float
        A higher one is stricter.
    covered : float
        Share of steps of strata where this level is certified; elsewhere the reference serves.
    certified, uncertified : tuple of str
        Strata of either kind that have a judged step.
    tier : ndarray of int64, shape (n_steps,)
    """

    level: float
    covered: float
    certified: tuple[str, ...]
    uncertified: tuple[str, ...]
    tier: NDArray[np.int64]


def served_at(
    served: Served, role: NDArray[np.str_], spec: PolicySpec, certificate: Mapping[str, Any]
) -> tuple[Level, ...]:
    """Return every level of a certificate, in ascending strictness.

    A certified point 0 is "reference always": under `retain` and `miss` that is true without any
    data, so that nothing counts as certified there. A role table has no levels: no floor moves it.

    Parameters
    ----------
    served : Served
        Its path, shape (n_points, n_steps).
    role : ndarray of str, shape (n_steps,)
        Empty where unknown.
    spec : PolicySpec
    certificate : mapping
        Content of certificate.json.
    """
    if spec.fixed_tier or not len(role):
        return ()
    strata, levels = certificate["strata"], certificate["levels"]
    least = 0 if certificate["floor"]["kind"] == "absolute" else 1
    ranks = {one["name"]: rank for rank, one in enumerate(strata)}
    stratum = certified_points(role, strata, ranks)
    present = np.unique(stratum)
    rows, found = np.arange(len(role)), []
    for index, level in enumerate(levels):
        at = {one["name"]: one["points"][index] for one in strata}
        point = certified_points(role, strata, at)
        tier = np.where(point < 0, spec.reference, served.path[np.maximum(point, 0), rows])
        names = [strata[rank]["name"] if rank >= 0 else "rest" for rank in present]
        shown = [name for name in names if at.get(name, -1) >= least]
        found.append(
            Level(
                level=float(level),
                covered=float((point >= least).mean()),
                certified=tuple(shown),
                uncertified=tuple(name for name in names if name not in shown),
                tier=tier.astype(np.int64),
            )
        )
    return tuple(found)


def default_level(certificate: Mapping[str, Any]) -> int:
    """Return the place of the floor that ships among a certificate's levels."""
    levels = certificate["levels"]
    return min(range(len(levels)), key=lambda i: abs(levels[i] - certificate["floor"]["level"]))


def role_rows(role: NDArray[np.str_]) -> dict[str, NDArray[np.bool_]]:
    """Return the rows of the tier mix: all steps, then roles by their steps, the rarest pooled."""
    names, counts = np.unique(role, return_counts=True)
    ordered = [str(names[i]) for i in np.argsort(-counts, kind="stable")]
    head = ordered if len(ordered) <= ROLES else ordered[: ROLES - 1]
    rows = {"all steps": np.ones(len(role), dtype=np.bool_)}
    for name in head:
        rows[name or "role unknown"] = np.asarray(role == name)
    if len(head) < len(ordered):
        rows[f"{len(ordered) - len(head):,} rarer roles"] = ~np.isin(role, head)
    return rows


def counted(tier: NDArray[np.int64], rows: Mapping[str, NDArray[np.bool_]], k: int) -> list[Any]:
    """Return how many steps each of k tiers serves, a list for every row."""
    return [np.bincount(tier[mask], minlength=k).tolist() for mask in rows.values()]
