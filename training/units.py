"""Steps summed up per split unit, in an order nobody can choose: what certification tests.

Steps of one trace are not independent; split units (connected traces) are. So the tests see one
number a unit. A betting test may only use the units before the current one, hence the order of
the units must not depend on their outcomes: it is the order of a salted hash of their ids, with
the salt fixed here, so that nobody can shop for a lucky order either.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SALT = "tierwise certification order 1"


@dataclass(frozen=True)
class UnitSums:
    """Sums over the steps of each unit, units in the order of their salted hash.

    Attributes
    ----------
    served : ndarray of shape (n_points, n_units)
        Quality of the served tier at each point of the path.
    reference : ndarray of shape (n_units,)
        Quality of the reference tier.
    shortfall : ndarray of shape (n_points, n_units)
        max(0, reference's quality - served quality); for quality 0 or 1 this counts the steps
        where the reference is ok and the served tier is not.
    size : ndarray of shape (n_units,)
        Steps in the unit.
    binary : bool
        Whether every quality is 0 or 1.
    always_reference : bool
        Whether point 0 serves the reference on every step.
    """

    served: NDArray[np.float64]
    reference: NDArray[np.float64]
    shortfall: NDArray[np.float64]
    size: NDArray[np.int64]
    binary: bool
    always_reference: bool

    @property
    def single(self) -> bool:
        """Whether every unit is one step, so that steps are independent."""
        return bool((self.size == 1).all())


def hashed_order(ids: list[str]) -> list[int]:
    """Return the positions of the ids in the order of their salted SHA-256; ids must differ."""
    digests = [hashlib.sha256(f"{SALT}:{one}".encode("utf-8", "surrogatepass")) for one in ids]
    keys = [digest.digest() for digest in digests]
    return sorted(range(len(ids)), key=keys.__getitem__)


def sum_units(
    served_quality: NDArray[np.float64],
    reference_quality: NDArray[np.float64],
    served_is_reference: NDArray[np.bool_],
    unit: NDArray[np.str_],
) -> UnitSums:
    """Sum the steps of each unit.

    Parameters
    ----------
    served_quality : ndarray of shape (n_points, n_steps)
        Quality 0..1 of the tier served at each point of the path; NaN where unknown.
    reference_quality : ndarray of shape (n_steps,)
        Quality 0..1 of the reference tier on the same steps.
    served_is_reference : ndarray of shape (n_points, n_steps)
        Whether the served tier is the reference.
    unit : ndarray of shape (n_steps,)
        Split unit of each step.

    Raises
    ------
    ValueError
        If shapes differ or a known quality lies outside 0..1: the tests' bounds rest on it.
    """
    served = np.atleast_2d(np.asarray(served_quality, np.float64))
    reference = np.asarray(reference_quality, np.float64)
    same = np.atleast_2d(np.asarray(served_is_reference, np.bool_))
    n_steps = len(reference)
    if served.shape[1] != n_steps or same.shape != served.shape or len(unit) != n_steps:
        raise ValueError(
            f"shapes {served.shape}, {reference.shape}, {same.shape}, ({len(unit)},) do not fit"
        )
    # Not the negation of "inside": NaN is unknown, not outside.
    if any(bool(((q < 0) | (q > 1)).any()) for q in (served, reference)):
        raise ValueError("quality outside 0..1")
    binary = all(bool(((q == 0) | (q == 1)).all()) for q in (served, reference))
    shortfall = np.maximum(reference - served, 0.0)

    names = list(dict.fromkeys(unit.tolist()))
    rank = {names[position]: place for place, position in enumerate(hashed_order(names))}
    place = np.array([rank[name] for name in unit.tolist()], np.int64)
    steps = np.argsort(place, kind="stable")
    size = np.bincount(place, minlength=len(names)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(size)[:-1]]).astype(np.int64)

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        ordered = values[..., steps]
        if len(names) == n_steps:
            return ordered
        return np.asarray(np.add.reduceat(ordered, starts, axis=-1), np.float64)

    return UnitSums(
        served=summed(served),
        reference=summed(reference),
        shortfall=summed(shortfall),
        size=size,
        binary=binary,
        always_reference=len(same) > 0 and bool(same[0].all()),
    )


def design_effect(sums: UnitSums, reference_quality: NDArray[np.float64]) -> float:
    """Return how much wider correlated steps make an interval for the reference's mean quality.

    The variance of the mean over steps, estimated between units (ratio estimator, linearized),
    over that of as many independent steps (Kish 1965, section 8.2): 1 for independent steps, up
    to the unit size for steps that agree within their unit. 1 where nothing varies or is known.

    Parameters
    ----------
    sums : UnitSums
        The units.
    reference_quality : ndarray of shape (n_steps,)
        The steps behind them, in any order.
    """
    n_units, n_steps = len(sums.size), len(reference_quality)
    if n_units < 2:
        return 1.0
    mean = float(np.mean(reference_quality))
    within = float(np.sum((reference_quality - mean) ** 2)) / (n_steps - 1)
    between = float(np.sum((sums.reference - mean * sums.size) ** 2)) / (n_units - 1)
    if not (np.isfinite(within) and np.isfinite(between)) or within <= 0:
        return 1.0
    return between * n_units / (within * n_steps)
