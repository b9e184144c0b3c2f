"""How far towards cheap the policy may go so that the floor holds with probability 1 - delta.

Learn-then-Test (Angelopoulos et al. 2021, arXiv 2110.01052) with a fixed sequence: the points of
the path are tested from the safe end, and the walk stops at the first that is not shown to keep
the floor. Pure functions of arrays; the stage that runs the graph is `certify`.
"""

from __future__ import annotations

import numpy as np
from mapie.risk_control import control_fwer
from numpy.typing import NDArray

from tierwise.training.promise import Certificate, Floor, Stratum
from tierwise.training.pvalues import at_least, at_most, betting
from tierwise.training.strata import split_roles
from tierwise.training.units import UnitSums, design_effect, sum_units

__all__ = ["Certificate", "Floor", "Stratum", "certified_point", "certify", "level_grid"]

_BLOCK = 8  # points tested at a time: the walk mostly stops long before the path's end
_GRIDS = {
    "retain": np.round(np.arange(160, 201) * 0.005, 3),
    "miss": np.round(np.arange(160, 200) * 0.005, 3),
    "absolute": np.round(np.arange(30, 101) * 0.01, 2),
}


def level_grid(floor: Floor) -> list[float]:
    """Return the levels a certificate covers, in ascending strictness, the floor's own included."""
    return sorted({*_GRIDS[floor.kind].tolist(), float(floor.level)})


def p_values(
    sums: UnitSums, floor: Floor, delta: float, largest_unit: int | None = None
) -> NDArray[np.float64]:
    """Return the p-value of "this point breaks the floor" for every point that the walk reaches.

    `retain` tests the sum of served - level * reference, `absolute` of served - level, `miss` of
    (1 - level) - shortfall, each over the steps of a unit; under the null their mean is <= 0 and
    none is below -level * largest unit. A mean over steps keeps the floor exactly when the mean
    of these sums does, whatever the sizes of the units.

    Parameters
    ----------
    sums : UnitSums
        Certification units.
    floor : Floor
        What is promised.
    delta : float
        Points after the first p-value above it are not computed but reported as 1.
    largest_unit : int, optional
        Steps that no unit of the traffic exceeds; by default the largest unit seen.

    Returns
    -------
    ndarray of shape (n_points,)
        0 for "reference always" under `retain` and `miss`: true by definition.
    """
    n_points = len(sums.served)
    p = np.ones(n_points)
    if not len(sums.size):
        return p
    first = 0
    if floor.kind != "absolute" and sums.always_reference:
        p[0], first = 0.0, 1
    for start in range(first, n_points, _BLOCK):
        block = slice(start, min(start + _BLOCK, n_points))
        p[block] = _block(sums, floor, delta, largest_unit, block)
        if not (p[block] <= delta).all():
            break
    return np.where(np.isfinite(p), p, 1.0)


def _block(
    sums: UnitSums, floor: Floor, delta: float, largest_unit: int | None, block: slice
) -> NDArray[np.float64]:
    served, shortfall = sums.served[block], sums.shortfall[block]
    if sums.single and sums.binary and floor.kind == "miss":
        return at_most(shortfall.sum(axis=1), len(sums.size), 1 - floor.level)
    if sums.single and sums.binary and floor.kind == "absolute":
        return at_least(served.sum(axis=1), len(sums.size), floor.level)
    if floor.kind == "retain":
        gain = served - floor.level * sums.reference
    elif floor.kind == "absolute":
        gain = served - floor.level * sums.size
    else:
        gain = (1 - floor.level) * sums.size - shortfall
    bound = int(sums.size.max()) if largest_unit is None else largest_unit
    return betting(gain, worst=floor.level * bound, spread=bound / 4, delta=delta)


def walk(p: NDArray[np.float64], delta: float) -> int:
    """Return the last point that the fixed sequence reaches at family-wise level delta, or -1."""
    if not len(p):
        return -1
    return int(np.max(control_fwer(p, delta, fwer_method="fixed_sequence"), initial=-1))


def certified_point(
    served_quality: NDArray[np.float64],
    reference_quality: NDArray[np.float64],
    served_is_reference: NDArray[np.bool_],
    unit: NDArray[np.str_],
    floor: Floor,
    delta: float,
    *,
    largest_unit: int | None = None,
) -> int:
    """Return the cheapest point of the path that is certified to keep the floor, -1 for none.

    Parameters
    ----------
    served_quality : ndarray of shape (n_points, n_steps)
        Quality 0..1 of the tier served at each point, from "reference always" to cheapest.
    reference_quality : ndarray of shape (n_steps,)
        Quality 0..1 of the reference tier on the same steps.
    served_is_reference : ndarray of shape (n_points, n_steps)
        Whether the served tier is the reference.
    unit : ndarray of shape (n_steps,)
        Split unit of each step; units are independent of each other, steps of one need not be.
    floor : Floor
        What is promised.
    delta : float
        Greatest probability, over the draw of the units, that the returned point breaks it.
    largest_unit : int, optional
        Steps that no unit of the traffic exceeds; by default the largest unit seen. A larger
        unit in the data then leaves every tested point uncertified.

    Raises
    ------
    ValueError
        If shapes do not fit or a known quality lies outside 0..1.
    """
    sums = sum_units(served_quality, reference_quality, served_is_reference, unit)
    return walk(p_values(sums, floor, delta, largest_unit), delta)


def certify(
    served_quality: NDArray[np.float64],
    reference_quality: NDArray[np.float64],
    served_is_reference: NDArray[np.bool_],
    unit: NDArray[np.str_],
    role: NDArray[np.str_],
    floor: Floor,
    delta: float,
    *,
    reference: str,
    min_units: int = 500,
    largest_unit: int | None = None,
) -> Certificate:
    """Certify every level of the floor's grid in every stratum.

    Strata are the roles with at least `min_units` units and the pooled rest; delta is shared
    equally among those that have data, so that the floor holds in all of them together with
    probability 1 - delta. Each level is a promise of its own; a stricter level never gets farther
    than a looser one.

    Parameters
    ----------
    served_quality, reference_quality, served_is_reference, unit, floor, largest_unit
        As in `certified_point`.
    role : ndarray of shape (n_steps,)
        Role of each step, "" where unknown.
    delta : float
        Greatest probability that any stratum's point for one level breaks the floor, in (0, 1).
    reference : str
        Name of the reference tier, for the words.
    min_units : int
        Units a role needs for a stratum of its own.

    Raises
    ------
    ValueError
        As in `certified_point`.
    """
    served = np.atleast_2d(np.asarray(served_quality, np.float64))
    same = np.atleast_2d(np.asarray(served_is_reference, np.bool_))
    levels = level_grid(floor)
    parts = split_roles(role, unit, min_units)
    share = delta / max(1, sum(bool(part.steps.any()) for part in parts))
    strata = []
    for part in parts:
        known = np.asarray(reference_quality, np.float64)[part.steps]
        sums = sum_units(served[:, part.steps], known, same[:, part.steps], unit[part.steps])
        reached = [
            walk(p_values(sums, Floor(floor.kind, level), share, largest_unit), share)
            for level in levels
        ]
        strata.append(
            Stratum(
                name=part.name,
                roles=part.roles,
                units=len(sums.size),
                steps=len(known),
                largest_unit=int(sums.size.max(initial=0)),
                design_effect=design_effect(sums, known),
                delta=share,
                points=tuple(np.minimum.accumulate(reached).tolist()),
            )
        )
    return Certificate(floor, delta, reference, tuple(levels), tuple(strata))
