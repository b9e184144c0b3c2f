"""What the explored steps of a log can certify: an absolute floor, on steps that may be explored.

Where every tier might have been drawn, a step whose draw is the tier that the policy would serve
shows what the policy would have done (replay, Li et al. 2011, "Unbiased offline evaluation of
contextual-bandit-based news article recommendation algorithms", section 3). The draws are thinned
to one common rate, so that which steps match has nothing to do with how hard they are. The
reference's outcome on the same step is never seen: `retain` and `miss` need steps with several
tiers' quality.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from tierwise.features.steps import StepTable
from tierwise.training.certificate import level_grid, walk
from tierwise.training.promise import Certificate, Explored, Floor, Stratum
from tierwise.training.pvalues import betting
from tierwise.training.strata import REST, split_roles
from tierwise.training.units import UnitSums, design_effect, sum_units

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SALT = "tierwise thinning 1"
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Slice:
    """Steps that count for a certificate.

    Attributes
    ----------
    kept : ndarray of bool, shape (n_steps,)
    rate : float
        Probability with which each tier of each eligible step is drawn and kept.
    eligible : int
        Steps that every tier might have been drawn for, and whose draw was judged.
    """

    kept: Bools
    rate: float
    eligible: int


def explored_slice(steps: StepTable) -> Slice:
    """Thin the steps that may be explored to a common rate, by a salted hash of their keys.

    Eligible are steps whose every tier has a known probability above 0: what was pinned, masked or
    logged without its whole distribution (as Thompson sampling is, whose probabilities are only
    estimated) is not. The common rate is the least probability among them; a step is kept with
    probability rate / propensity, so that each tier of each is drawn and kept at the same rate.
    """
    chance = steps.propensities
    whole = np.isfinite(chance).all(axis=1) & (np.abs(chance.sum(axis=1) - 1) <= SUM_TOLERANCE)
    eligible = whole & (chance > 0).all(axis=1) & (steps.served >= 0)
    rows, tier = np.arange(len(steps)), np.maximum(steps.served, 0)
    eligible &= ~np.isnan(steps.quality[rows, tier])
    if not eligible.any():
        return Slice(eligible, 0.0, 0)
    rate = float(chance[eligible].min())
    drawn = np.array([_fraction(str(step)) for step in steps.step])
    kept = eligible & (drawn < rate / np.where(eligible, chance[rows, tier], 1.0))
    return Slice(kept, rate, int(eligible.sum()))


def _fraction(step: str) -> float:
    """Return a number in [0, 1) that depends on the key alone: nobody can draw again."""
    digest = hashlib.sha256(f"{SALT}:{step}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def certify_explored(
    choice: NDArray[np.int64],
    steps: StepTable,
    role: NDArray[np.str_],
    floor: Floor,
    delta: float,
    *,
    reference: str,
    min_units: int = 500,
) -> Certificate:
    """Certify an absolute floor from steps whose draw the policy would have served too.

    Parameters
    ----------
    choice : ndarray of shape (n_points, n_steps)
        Tier served at each point of the path.
    steps : StepTable
        Kept steps only, see `explored_slice`.
    role : ndarray of shape (n_steps,)
    floor : Floor
        Of kind absolute.
    delta, reference, min_units
        As for `certify`.
    """
    matched = choice == steps.served
    quality = steps.quality[np.arange(len(steps)), np.maximum(steps.served, 0)]
    unit = steps.unit.astype(np.str_)
    levels = level_grid(floor)
    parts = split_roles(role, unit, min_units)
    share = delta / max(1, sum(bool(part.steps.any()) for part in parts))
    strata = []
    lacks = Explored(0, None, 0)
    for part in parts:
        hits = matched[:, part.steps]
        good = _sums(np.where(hits, quality[part.steps], 0.0), unit[part.steps])
        count = _sums(hits.astype(np.float64), unit[part.steps])
        reached = [walk(_p_values(good, count, level, share), share) for level in levels]
        strata.append(
            Stratum(
                name=part.name,
                roles=part.roles,
                units=len(good.size),
                steps=int(part.steps.sum()),
                largest_unit=int(good.size.max(initial=0)),
                design_effect=design_effect(good, quality[part.steps]),
                delta=share,
                points=tuple(np.minimum.accumulate(reached).tolist()),
            )
        )
        if part.name == REST or lacks.steps == 0:
            lacks = _lacking(good, count, floor.level, share, int(part.steps.sum()))
    return Certificate(floor, delta, reference, tuple(levels), tuple(strata), explored=lacks)


def _sums(values: Floats, unit: NDArray[np.str_]) -> UnitSums:
    n_steps = values.shape[1]
    same = np.zeros(values.shape, np.bool_)
    return sum_units(values, np.zeros(n_steps), same, unit)


def _p_values(good: UnitSums, count: UnitSums, level: float, delta: float) -> Floats:
    """Return p-values of "this point breaks the floor"; which steps match says nothing of them."""
    if not len(good.size):
        return np.ones(len(good.served))
    if good.single and good.binary:
        right, seen = good.served.sum(axis=1), count.served.sum(axis=1)
        return np.asarray(np.where(seen > 0, binom.sf(right - 1, seen, level), 1.0), np.float64)
    bound = int(good.size.max())
    gain = good.served - level * count.served
    return betting(gain, worst=level * bound, spread=bound / 4, delta=delta)


def _lacking(good: UnitSums, count: UnitSums, level: float, delta: float, have: int) -> Explored:
    """Return what "reference always" was seen to do, and how many steps would show the floor.

    By the growth of the bet: gap^2 / (2 variance) of log-wealth a matched step must reach
    ln(1 / delta). Twice that is asked for, as the path has to be walked on from its safe end.
    """
    seen = float(count.served[0].sum()) if len(count.served) else 0.0
    if not seen:
        return Explored(have, None, 0)
    mean = float(good.served[0].sum()) / seen
    gap = mean - level
    if gap <= 0:
        return Explored(have, mean, 0)
    variance = max(mean * (1 - mean), 0.01)
    matched = 2 * 2 * variance * math.log(1 / delta) / gap**2
    return Explored(have, mean, math.ceil(matched * have / seen))
