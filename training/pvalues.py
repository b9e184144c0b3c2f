"""P-values of "this point of the path breaks the floor", valid at any sample size.

Two tests. The exact binomial where every unit is one step and quality is 0 or 1. Else a bet: a
gambler who stakes on "the floor is kept" and plays one unit after the other cannot expect to gain
if the floor is broken, so his greatest wealth is at least 1/a with probability at most a (Ville).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

CAP = 0.95  # the greatest part of the wealth that the worst possible unit may take
STAKE = (
    1.2  # over the usual bet: more often past 1/delta by the last unit, which is all that counts
)


def betting(
    gain: NDArray[np.float64], worst: float, spread: float, delta: float
) -> NDArray[np.float64]:
    """Return p-values of H0: E[gain] <= 0, each row against independent units.

    Waudby-Smith & Ramdas (2023), "Estimating means of bounded random variables by betting": the
    wealth prod(1 + bet_t * gain_t) is a nonnegative supermartingale under H0 when each bet is
    set before its unit is seen and lies in [0, 1/worst); p = 1 / greatest wealth by Ville's
    inequality, in one pass (two half-sums with the maxima added are no p-value). The bet is
    their predictable plug-in for a fixed number of units, sqrt(2 ln(1/delta) / (n * V)) times
    `STAKE`, with V the second moment of the units before: it suits gains of about the smallest
    mean that `n_units` units can show. Averaging the wealth of several stakes certified less.

    Parameters
    ----------
    gain : ndarray of shape (n_points, n_units)
        How far each unit keeps the floor, in an order that does not depend on outcomes.
    worst : float
        No gain is below -worst; known without looking at outcomes; > 0.
    spread : float
        First guess of the second moment; > 0. Any value is valid, a good one bets better.
    delta : float
        The level that the p-value will be compared with; it only steers the size of the bets.

    Returns
    -------
    ndarray of shape (n_points,)
        In (0, 1]; 1 where a gain is unknown (NaN) or below -worst.
    """
    n_points, n_units = gain.shape
    if n_units == 0:
        return np.ones(n_points)
    legal = np.all(gain >= -worst * (1 + 1e-12), axis=1)  # false for NaN too
    played = np.where(legal[:, None], gain, 0.0)  # without a stake there is no gain
    moment = np.empty_like(played)
    moment[:, 0] = spread
    np.cumsum(played[:, :-1] ** 2, axis=1, out=moment[:, 1:])
    moment[:, 1:] += spread
    moment /= np.arange(1, n_units + 1)
    usual = np.sqrt(2 * np.log(1 / delta) / (n_units * moment))
    bet = np.minimum(STAKE * usual, CAP / worst)
    wealth = np.cumsum(np.log1p(bet * played), axis=1).max(axis=1)
    return np.asarray(np.exp(-np.maximum(wealth, 0.0)), np.float64)


def at_most(count: NDArray[np.float64], n: int, share: float) -> NDArray[np.float64]:
    """Return exact binomial p-values of H0: P(event) >= share, from `count` events in n steps."""
    return np.asarray(binom.cdf(count, n, share), np.float64)


def at_least(count: NDArray[np.float64], n: int, share: float) -> NDArray[np.float64]:
    """Return exact binomial p-values of H0: P(event) <= share, from `count` events in n steps."""
    return np.asarray(binom.sf(count - 1, n, share), np.float64)
